//! A disk's image on its way out of an appliance: unpacked, and compared with its digest.

use super::appliance::disagrees;
use super::sums::Check;
use crate::block::Progress;
use crate::clone::Share;
use crate::error::{Error, Result, damaged, io};
use crate::fault::ArchiveFault;
use crate::image::MAX_VIRTUAL_SIZE;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Zeros are looked for in pieces of this many bytes, and become holes.
const PIECE: usize = 64 << 10;
/// What a description's size may be exceeded by: tables, and what fills the last cluster of each kind.
const TABLES: u64 = 64 << 20;

/// An image in an appliance.
pub(super) struct Extract<'a, R> {
    /// Its bytes as they are there.
    pub from: R,
    /// The appliance.
    pub path: &'a Path,
    /// Its name there.
    pub name: &'a str,
    /// What its bytes are compared with.
    pub check: Check,
}

/// Shows what is read to the digest.
struct Shown<'a, R> {
    from: &'a mut R,
    check: &'a mut Check,
}

impl<R: Read> Read for Shown<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.check.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}

impl<R: Read> Extract<'_, R> {
    /// Reads it to its end, for its digest alone.
    pub(super) fn verify(self, share: &mut Share<'_>) -> Result<()> {
        let Self { mut from, path, name, mut check } = self;
        let mut shown = Shown { from: &mut from, check: &mut check };
        pump(&mut shown, path, u64::MAX, share, |_| Ok(()))?;
        agreed(check, path, name)
    }

    /// Copies it to an empty file, with holes for its zeros.
    pub(super) fn copy_to(&mut self, to: &mut File, share: &mut Share<'_>) -> Result<()> {
        let mut shown = Shown { from: &mut self.from, check: &mut self.check };
        write(&mut shown, self.path, u64::MAX, to, share)?;
        self.agreed()
    }

    /// Unpacks it to an empty file; `size` is that of the disk, if it is described.
    pub(super) fn unzip_to(&mut self, to: &mut File, size: Option<u64>, share: &mut Share<'_>) -> Result<()> {
        let limit =
            size.map_or(MAX_VIRTUAL_SIZE, |size| size.saturating_add(size / 8).saturating_add(TABLES));
        let shown = Shown { from: &mut self.from, check: &mut self.check };
        let mut unpacked = MultiGzDecoder::new(shown);
        write(&mut unpacked, self.path, limit, to, share).map_err(|error| match error {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::InvalidInput => {
                damaged(self.path, ArchiveFault::Gzip { name: self.name.to_owned() })
            }
            other => other,
        })?;
        self.agreed()
    }

    fn agreed(&mut self) -> Result<()> {
        agreed(std::mem::take(&mut self.check), self.path, self.name)
    }
}

fn agreed(check: Check, path: &Path, name: &str) -> Result<()> {
    match check.agrees() {
        true => Ok(()),
        false => Err(damaged(path, disagrees(name))),
    }
}

fn write(from: &mut impl Read, path: &Path, limit: u64, to: &mut File, share: &mut Share<'_>) -> Result<()> {
    let mut end = 0u64;
    let unpack = io("unpack from", path);
    pump(from, path, limit, share, |bytes| {
        for piece in bytes.chunks(PIECE) {
            end += piece.len() as u64;
            match piece.iter().all(|byte| *byte == 0) {
                true => to.seek(SeekFrom::Start(end)).map(drop)?,
                false => to.write_all(piece)?,
            }
        }
        Ok(())
    })?;
    to.set_len(end).map_err(unpack)
}

/// Reads to the end, at most `limit` bytes.
fn pump(
    from: &mut impl Read,
    path: &Path,
    limit: u64,
    share: &mut Share<'_>,
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<()> {
    let (mut buffer, mut read) = (vec![0; 1 << 20], 0u64);
    loop {
        // Unpacking is not counted: it only asks whether to go on.
        if share.tell(0, Progress { done: 0, total: 1 }).is_break() {
            return Err(Error::Cancelled);
        }
        let n = from.read(&mut buffer).map_err(io("read", path))?;
        read = read.saturating_add(n as u64);
        if n == 0 {
            return Ok(());
        }
        if read > limit {
            return Err(damaged(path, ArchiveFault::UnpacksToMore));
        }
        each(buffer.get(..n).unwrap_or_default()).map_err(io("unpack from", path))?;
    }
}
