//! A number by which bytes are known again: no protection against intent, but against mistakes and damage.

use zerokara_core::{Array, Elements};

/// A running number of 64 bits. Each word is taken in by steps that can be undone, so that a change of one word alone always
/// changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Fingerprint {
    pub(crate) fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        self.0 = mixed ^ (mixed >> 29);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|&w| self.word(u64::from_le_bytes(w)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self.word(bytes.len() as u64);
    }

    /// The elements' bits.
    pub(crate) fn array(&mut self, array: &Array) {
        match array.elements() {
            Elements::F32(x) => x.iter().for_each(|v| self.word(v.to_bits().into())),
            Elements::F64(x) => x.iter().for_each(|v| self.word(v.to_bits())),
            Elements::I64(x) => x.iter().for_each(|&v| self.word(v as u64)),
            Elements::U8(x) | Elements::Bool(x) => self.bytes(x),
        }
    }

    /// Sixteen digits.
    pub(crate) fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_of_bytes_is_seen() {
        let of = |bytes: &[u8]| {
            let mut all = Fingerprint::default();
            all.bytes(bytes);
            all.text()
        };
        let bytes: Vec<u8> = (0..37).collect();
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 4;
            assert_ne!(of(&bytes), of(&other), "{at}");
        }
        assert_ne!(of(&bytes), of(&[&bytes[..], &[0]].concat()));
    }
}
