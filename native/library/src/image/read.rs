//! Reading at an offset, and numbers from what was read.

use std::io::{Error, ErrorKind, Result};

/// Something that can be read at any offset: a file, or bytes in memory.
pub trait ReadAt {
    /// Fills `buffer` from `offset`, or as much as there is; how much that was.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// The size in bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn size(&self) -> Result<u64>;

    /// At most `length` bytes from `offset`.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn up_to(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|r| !r.is_empty()) {
            let Some(at) = offset.checked_add(filled as u64) else { break };
            match self.read_at(rest, at) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Exactly `length` bytes from `offset`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnexpectedEof`] when there are fewer.
    fn exactly(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let bytes = self.up_to(offset, length)?;
        match bytes.len() == length {
            true => Ok(bytes),
            false => Err(Error::new(ErrorKind::UnexpectedEof, "the file ends within its header")),
        }
    }
}

impl ReadAt for std::fs::File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    fn size(&self) -> Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Bytes in memory.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl ReadAt for Bytes<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|o| self.0.get(o..)).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(n)
    }

    fn size(&self) -> Result<u64> {
        Ok(self.0.len() as u64)
    }
}

/// Shows `length` bytes from `offset` to `each`, in pieces of whole 8 bytes but for the last: a table may be large.
pub(crate) fn pieces<E: From<Error>>(
    file: &impl ReadAt,
    offset: u64,
    length: u64,
    mut each: impl FnMut(&[u8]) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    const PIECE: u64 = 1 << 20;
    let mut done = 0;
    while done < length {
        let piece = PIECE.min(length - done);
        // A piece has 1 MiB at most.
        each(&file.exactly(offset + done, usize::try_from(piece).unwrap_or_default())?)?;
        done += piece;
    }
    Ok(())
}

/// Numbers from bytes; what lies beyond the end reads as zero, so lengths are checked before.
pub(crate) trait Numbers {
    /// `N` bytes at an offset.
    fn array<const N: usize>(&self, at: usize) -> [u8; N];

    fn be16(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.array(at))
    }
    fn be32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.array(at))
    }
    fn be64(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.array(at))
    }
    fn le16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }
    fn le32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }
    fn le64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

impl Numbers for [u8] {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        at.checked_add(N).and_then(|end| self.get(at..end)).and_then(|s| s.try_into().ok()).unwrap_or([0; N])
    }
}
