//! Files with holes in a tar archive: GNU tar's own header, and its three forms in extended headers (the GNU tar manual,
//! "Storing Sparse Files"). libarchive, which macOS has, writes the last of them.

use super::field::{BLOCK, TarError, decimal, number};
use crate::fault::ArchiveFault;
use std::io::{self, Read};

/// The most pieces between holes. GNU's own header takes 512 bytes for 21 of them.
const MAX_PIECES: usize = 1 << 20;

fn damaged() -> TarError {
    TarError::Damaged(ArchiveFault::SparseMap)
}

/// What headers say of a sparse file.
#[derive(Debug, Default)]
pub(super) struct SparseHeader {
    /// Its size with all holes.
    size: u64,
    /// Where its pieces begin, and their lengths.
    pieces: Vec<(u64, u64)>,
    /// The beginning of a piece, whose length follows (form 0.0).
    begins: Option<u64>,
    /// The map stands in front of the data (form 1.0).
    in_data: bool,
}

impl SparseHeader {
    /// GNU tar's own header, whose map goes on in blocks behind it.
    pub(super) fn of_gnu(block: &[u8; BLOCK], inner: &mut impl Read) -> Result<Self, TarError> {
        let mut header = Self { size: number(&block[483..495])?, ..Self::default() };
        header.of_block(&block[386..482])?;
        let mut goes_on = block[482] != 0;
        while goes_on {
            let mut block = [0; BLOCK];
            inner.read_exact(&mut block).map_err(|_| TarError::Damaged(ArchiveFault::EndsInHeader))?;
            header.of_block(&block[..504])?;
            goes_on = block[504] != 0;
        }
        Ok(header)
    }

    /// Pairs of twelve digits each; the first without any ends them.
    fn of_block(&mut self, bytes: &[u8]) -> Result<(), TarError> {
        for pair in bytes.as_chunks::<24>().0 {
            if pair[0] == 0 {
                return Ok(());
            }
            self.piece(number(&pair[..12])?, number(&pair[12..])?)?;
        }
        Ok(())
    }

    fn piece(&mut self, begins: u64, length: u64) -> Result<(), TarError> {
        if self.pieces.len() >= MAX_PIECES {
            return Err(TarError::Damaged(ArchiveFault::SparsePieces));
        }
        self.pieces.push((begins, length));
        Ok(())
    }

    /// A record of an extended header; `key` is what stands behind `GNU.sparse.`.
    pub(super) fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        match key {
            b"size" | b"realsize" => self.size = decimal(value)?,
            b"major" => match decimal(value)? {
                0 => {}
                1 => self.in_data = true,
                _ => return Err(TarError::Damaged(ArchiveFault::SparseVersion)),
            },
            b"offset" => self.begins = Some(decimal(value)?),
            b"numbytes" => {
                let begins = self.begins.take().ok_or_else(damaged)?;
                self.piece(begins, decimal(value)?)?;
            }
            b"map" => {
                let numbers: Vec<&[u8]> = value.split(|b| *b == b',').collect();
                for pair in numbers.chunks(2) {
                    let [begins, length] = pair else { return Err(damaged()) };
                    self.piece(decimal(begins)?, decimal(length)?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The file, of which the archive has `stored` bytes, and how many of these are its map.
    pub(super) fn map(mut self, inner: &mut impl Read, stored: u64) -> Result<(Sparse, u64), TarError> {
        let map = if self.in_data { self.read_map(inner, stored)? } else { 0 };
        let (mut end, mut sum) = (0, 0u64);
        for (begins, length) in &self.pieces {
            let after = begins.checked_add(*length).filter(|_| *begins >= end).ok_or_else(damaged)?;
            (end, sum) = (after, sum.saturating_add(*length));
        }
        if end > self.size || sum != stored - map || self.begins.is_some() {
            return Err(damaged());
        }
        self.pieces.reverse();
        Ok((Sparse { at: 0, size: self.size, stored: sum, pieces: self.pieces }, map))
    }

    /// Decimal numbers, a line each, in whole blocks: how many pieces there are, and each one's beginning and length.
    fn read_map(&mut self, inner: &mut impl Read, stored: u64) -> Result<u64, TarError> {
        let (mut taken, mut line, mut numbers) = (0, Vec::new(), 0u64);
        let mut wanted = None;
        while wanted.is_none_or(|wanted| numbers < wanted) {
            let mut block = [0; BLOCK];
            taken += BLOCK as u64;
            if taken > stored {
                return Err(damaged());
            }
            inner.read_exact(&mut block).map_err(|_| TarError::Damaged(ArchiveFault::EndsInMember))?;
            for byte in block {
                match byte {
                    b'\n' => {
                        let number = decimal(&line)?;
                        line.clear();
                        match wanted {
                            None => wanted = Some(number.checked_mul(2).ok_or_else(damaged)?),
                            Some(_) => {
                                numbers += 1;
                                match self.begins.take() {
                                    None => self.begins = Some(number),
                                    Some(begins) => self.piece(begins, number)?,
                                }
                            }
                        }
                        if wanted == Some(numbers) {
                            break;
                        }
                    }
                    digit if line.len() < 20 => line.push(digit),
                    _ => return Err(damaged()),
                }
            }
        }
        Ok(taken)
    }
}

/// A sparse file as it is read, holes and all.
#[derive(Debug)]
pub(super) struct Sparse {
    /// How far it was read.
    at: u64,
    size: u64,
    /// Bytes of the archive that are its and were not read.
    stored: u64,
    /// What is left of its pieces, the next one last.
    pieces: Vec<(u64, u64)>,
}

impl Sparse {
    pub(super) fn left(&self) -> u64 {
        self.size - self.at
    }

    pub(super) fn stored_left(&self) -> u64 {
        self.stored
    }

    pub(super) fn read(&mut self, inner: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        let room = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX).min(buffer.len());
        while self.pieces.last().is_some_and(|(_, length)| *length == 0) {
            self.pieces.pop();
        }
        let n = match self.pieces.last_mut() {
            Some((begins, length)) if *begins <= self.at => {
                let room = room(*length);
                let n = inner.read(buffer.get_mut(..room).unwrap_or_default())?;
                (*begins, *length) = (*begins + n as u64, *length - n as u64);
                self.stored -= n as u64;
                n
            }
            next => {
                let end = next.map_or(self.size, |(begins, _)| *begins);
                let n = room(end - self.at);
                buffer.get_mut(..n).unwrap_or_default().fill(0);
                n
            }
        };
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::super::TarReader;
    use std::io::Read;
    use std::path::Path;
    use std::process::Command;

    /// GNU tar writes each form, and what it has written is read as the file was.
    #[test]
    fn each_form_of_gnu_tar_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("disk.vmdk");
        let mut content = vec![0; 3 << 20];
        for n in 0..40 {
            content[n * 65_536 + 4096..][..4096].fill(u8::try_from(n).expect("few") + 1);
        }
        sparsely(&file, &content);
        for (format, version) in [("gnu", "0.0"), ("posix", "0.0"), ("posix", "0.1"), ("posix", "1.0")] {
            let tar = folder.path().join("tar");
            let mut command = Command::new("tar");
            command.args(["--sparse", "--hard-dereference", &format!("--format={format}")]);
            if format == "posix" {
                command.arg(format!("--sparse-version={version}"));
            }
            command.arg("-cf").arg(&tar).arg("-C").arg(folder.path()).args(["disk.vmdk", "disk.vmdk"]);
            assert!(command.status().expect("GNU tar").success());
            let archive = std::fs::read(&tar).expect("read");
            assert!(archive.len() < content.len(), "{format} {version}: it is sparse");
            let mut reader = TarReader::new(archive.as_slice());
            // Read whole, and passed over.
            for whole in [true, false] {
                let member = reader.next_member().expect("read").expect("there");
                assert_eq!((member.name.as_str(), member.size), ("disk.vmdk", content.len() as u64));
                assert!(member.stored < member.size);
                let mut bytes = Vec::new();
                if whole {
                    reader.read_to_end(&mut bytes).expect("read");
                    assert!(bytes == content, "{format} {version}");
                }
            }
            assert_eq!(reader.next_member().expect("read"), None);
            // Nothing that is cut off is read as if it were whole, and nothing panics.
            for cut in (0..archive.len()).step_by(199) {
                let mut reader = TarReader::new(&archive[..cut]);
                while let Ok(Some(member)) = reader.next_member() {
                    let mut bytes = Vec::new();
                    let _ = reader.by_ref().take(8 << 20).read_to_end(&mut bytes);
                    assert!(bytes.len() as u64 <= member.size);
                }
            }
        }
    }

    fn sparsely(file: &Path, content: &[u8]) {
        use std::os::unix::fs::FileExt;
        let written = std::fs::File::create(file).expect("made");
        written.set_len(content.len() as u64).expect("grown");
        for (n, piece) in content.chunks(4096).enumerate().filter(|(_, p)| p.iter().any(|b| *b != 0)) {
            written.write_all_at(piece, n as u64 * 4096).expect("written");
        }
    }
}
