//! Values out of fuzzed bytes.

/// Hands out values from bytes; once they are used up, zeros.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    /// Starts at the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Whether all bytes are used up.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// At most `most` bytes.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.bytes(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    /// Two bytes, little-endian; so the others.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// Four bytes.
    pub fn i32(&mut self) -> i32 {
        i32::from_le_bytes(self.array())
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number that is more often near the edges: small, in the middle, or anything. One byte, and more as needed.
    pub fn side(&mut self) -> u32 {
        match self.u8() {
            small @ 0..=127 => small.into(),
            128..=191 => self.u16().into(),
            _ => self.u32(),
        }
    }

    /// As [`Source::side`], and negative.
    pub fn coordinate(&mut self) -> i32 {
        match self.u8() {
            small @ 0..=127 => small.into(),
            small @ 128..=160 => 127 - i32::from(small),
            161..=200 => self.u16().into(),
            _ => self.i32(),
        }
    }
}
