//! Random numbers by counting: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
//! 1, 2, 3", 2011). Element i of a draw depends on (key, counter, i) alone, so any part can be made by anyone.

use crate::simd::{Simd, multiversion};

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// The four words that Philox4x32-10 makes of a counter and a key.
///
/// ```
/// use zerokara_kernels::random::philox4x32_10;
///
/// // From the authors' known answers.
/// let words = philox4x32_10([0; 4], [0; 2]);
/// assert_eq!(words, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let mut key = key;
    for _ in 0..ROUNDS {
        let first = u64::from(a) * u64::from(MULTIPLIERS[0]);
        let second = u64::from(c) * u64::from(MULTIPLIERS[1]);
        (a, b, c, d) = (
            (second >> 32) as u32 ^ b ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ d ^ key[1],
            first as u32,
        );
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    [a, b, c, d]
}

/// The 32 random bits of element `i` of a draw.
pub fn bits(key: u64, counter: u64, i: u64) -> u32 {
    let block = i / 4;
    let words = [
        block as u32,
        (block >> 32) as u32,
        counter as u32,
        (counter >> 32) as u32,
    ];
    philox4x32_10(words, [key as u32, (key >> 32) as u32])[(i % 4) as usize]
}

/// Element `i` of a uniform draw: a multiple of 2^-24 in `[0, 1)`.
pub fn uniform(key: u64, counter: u64, i: u64) -> f32 {
    to_unit(bits(key, counter, i))
}

#[inline(always)]
fn to_unit(bits: u32) -> f32 {
    // The conversion is exact; signed, since that is what vector instructions have.
    (bits >> 8) as i32 as f32 * (1.0 / 16_777_216.0)
}

/// Blocks that are made side by side.
const SIDE: usize = 16;

/// Writes elements `4 * block ..` of a draw, `SIDE` blocks at a time.
#[inline(always)]
#[allow(clippy::extra_unused_type_parameters)] // plain loops, compiled for each
unsafe fn blocks_body<S: Simd>(to: *mut f32, key: u64, counter: u64, block: u64, groups: usize) {
    const LOW: u64 = 0xffff_ffff;
    let multipliers = MULTIPLIERS.map(u64::from);
    for group in 0..groups {
        let first = block + (group * SIDE) as u64;
        // Words of 32 bits in the low halves of lanes of 64, where products have room. What gathers in the high halves
        // is never looked at: multiplication and the end of the loop take the low ones.
        let (mut a, mut b) = ([0u64; SIDE], [0u64; SIDE]);
        let (mut c, mut d) = ([counter & LOW; SIDE], [counter >> 32; SIDE]);
        for i in 0..SIDE {
            let block = first + i as u64;
            a[i] = block;
            b[i] = block >> 32;
        }
        let mut key = [key as u32, (key >> 32) as u32];
        for _ in 0..ROUNDS {
            let wide = key.map(u64::from);
            for i in 0..SIDE {
                let first = (a[i] & LOW) * multipliers[0];
                let second = (c[i] & LOW) * multipliers[1];
                a[i] = (second >> 32) ^ b[i] ^ wide[0];
                b[i] = second;
                c[i] = (first >> 32) ^ d[i] ^ wide[1];
                d[i] = first;
            }
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        for i in 0..SIDE {
            let words = [a[i] as u32, b[i] as u32, c[i] as u32, d[i] as u32].map(to_unit);
            // SAFETY: the caller vouches for `4 * SIDE * groups` elements.
            unsafe {
                to.add((group * SIDE + i) * 4)
                    .cast::<[f32; 4]>()
                    .write(words)
            };
        }
    }
}
multiversion! {
    pub(crate) unsafe fn blocks(to: *mut f32, key: u64, counter: u64, block: u64, groups: usize) = blocks_body;
}

/// Elements of one group.
pub(crate) const GROUP: usize = 4 * SIDE;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn known_answers() {
        // `kat_vectors` of the authors' library Random123.
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, words) in cases {
            assert_eq!(philox4x32_10(counter, key), words);
        }
    }

    #[test]
    fn vectors_agree_with_single_numbers() {
        let (key, counter) = (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
        for isa in Isa::available() {
            // Across the edge where the block's number outgrows 32 bits.
            let block = u64::from(u32::MAX) - 20;
            let mut x = vec![0.0f32; 3 * GROUP];
            // SAFETY: the CPU has the instruction set; three groups fit.
            unsafe { blocks(isa, x.as_mut_ptr(), key, counter, block, 3) };
            for (i, &x) in x.iter().enumerate() {
                assert_eq!(x, uniform(key, counter, block * 4 + i as u64));
                assert!((0.0..1.0).contains(&x));
            }
        }
    }
}
