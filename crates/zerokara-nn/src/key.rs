//! Keys of random streams: a fixed function of seed, path and call, written out so that it never changes.

/// FNV-1a of the bytes, 64 bits (Fowler, Noll, Vo).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// The output function of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
fn split_mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The key of the stream that belongs to a seed, a path (`conv1.weight`, `dropout1`) and the number of the draw among
/// those of the path.
pub fn stream_key(seed: u64, path: &str, call: u64) -> u64 {
    split_mix(split_mix(split_mix(seed) ^ fnv1a(path.as_bytes())) ^ call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        assert_eq!(fnv1a(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xAF63_DC4C_8601_EC8C);
        // First output of SplitMix64 seeded with 0.
        assert_eq!(split_mix(0), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn every_argument_counts() {
        let key = stream_key(1, "conv1.weight", 0);
        assert_ne!(key, stream_key(2, "conv1.weight", 0));
        assert_ne!(key, stream_key(1, "conv2.weight", 0));
        assert_ne!(key, stream_key(1, "conv1.weight", 1));
    }
}
