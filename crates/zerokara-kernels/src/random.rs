//! Counter-based random numbers: Philox4x32-10.

/// Element `i` of step `counter` of the stream `key`: uniform in `[0, 1)`.
pub fn uniform(key: u64, counter: u64, i: u64) -> f32 {
    let block = i / 4;
    let mut c = [block as u32, (block >> 32) as u32, counter as u32, (counter >> 32) as u32];
    let mut k = [key as u32, (key >> 32) as u32];
    for _ in 0..10 {
        let (a, b) = (0xD251_1F53u64 * c[0] as u64, 0xCD9E_8D57u64 * c[2] as u64);
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    (c[(i % 4) as usize] >> 8) as f32 / (1u32 << 24) as f32
}
