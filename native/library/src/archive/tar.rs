//! tar, as far as archives of machines need it (POSIX.1-2017 `pax`, "ustar Interchange Format"; GNU's base-256 sizes, long
//! names and sparse files).
//!
//! Of our own, because what a stranger's archive may make a reader do is the point here: headers and extensions are
//! bounded, and whatever is neither a file nor a folder is refused.

use super::field::{BLOCK, TarError, decimal, number};
use super::sparse::{Sparse, SparseHeader};
use crate::fault::ArchiveFault;
use std::io::{self, Read, Write};

/// The most bytes of an extended header.
const MAX_EXTENSION: u64 = 64 << 10;
/// The most bytes of a member's name.
const MAX_NAME: usize = 255;

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, checked by [`check_member`].
    pub name: String,
    /// Its bytes, the holes of a sparse file among them.
    pub size: u64,
    /// Bytes that the archive has of it: fewer than its size for a sparse file.
    pub stored: u64,
    /// Whether it is a folder.
    pub folder: bool,
}

/// Checks that a member's name stays below the folder it is put into: relative, of ordinary components.
///
/// # Errors
///
/// [`TarError::BadName`].
pub fn check_member(name: &str) -> Result<(), TarError> {
    let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.len() > MAX_NAME;
    let odd = |c: char| c.is_control() || c == '\\';
    if name.is_empty() || name.len() > 1024 || name.chars().any(odd) || name.split('/').any(bad) {
        return Err(TarError::BadName(
            name.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect(),
        ));
    }
    Ok(())
}

/// Reads an archive from its beginning to its end.
#[derive(Debug)]
pub struct TarReader<R> {
    inner: R,
    /// Bytes of the current member that the archive has and that were not read.
    left: u64,
    /// Bytes that fill its last block.
    padding: u64,
    /// Where its holes are, if it has some.
    sparse: Option<Sparse>,
}

impl<R: Read> TarReader<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, left: 0, padding: 0, sparse: None }
    }

    /// The next member; what was not read of the one before is passed over. `None` at the end.
    ///
    /// # Errors
    ///
    /// [`TarError`].
    pub fn next_member(&mut self) -> Result<Option<Member>, TarError> {
        let mut extended = Extended::default();
        // A member has at most a few extended headers in front of it.
        for _ in 0..8 {
            let Some(block) = self.block()? else { return Ok(None) };
            let own_size = number(block.get(124..136).unwrap_or_default())?;
            let kind = block.get(156).copied().unwrap_or(0);
            match kind {
                b'x' => extended.read(&self.extension(own_size)?)?,
                b'g' => drop(self.extension(own_size)?),
                b'L' => {
                    let text = self.extension(own_size)?;
                    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
                    extended.name = Some(utf8(text.get(..end).unwrap_or_default())?);
                }
                0 | b'0' | b'7' | b'5' | b'S' => {
                    let mut name = extended.name.take().map_or_else(|| header_name(&block), Ok)?;
                    let folder = kind == b'5' || (kind == 0 && name.ends_with('/'));
                    if folder {
                        name.truncate(name.trim_end_matches('/').len());
                    }
                    let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
                    if !(folder && (name.is_empty() || name == ".")) {
                        check_member(&name)?;
                    }
                    let stored = if folder { 0 } else { extended.size.unwrap_or(own_size) };
                    let sparse = match (kind, extended.sparse.take()) {
                        (b'S', _) => Some(SparseHeader::of_gnu(&block, &mut self.inner)?),
                        (b'5', _) | (_, None) => None,
                        (_, Some(header)) => Some(header),
                    };
                    self.expect(stored);
                    self.sparse = match sparse {
                        Some(header) => {
                            let (sparse, map) = header.map(&mut self.inner, stored)?;
                            self.left -= map;
                            Some(sparse)
                        }
                        None => None,
                    };
                    let size = self.sparse.as_ref().map_or(stored, Sparse::left);
                    return Ok(Some(Member { name, size, stored, folder }));
                }
                _ => return Err(TarError::NotAFile(header_name(&block).unwrap_or_default())),
            }
        }
        Err(TarError::Damaged(ArchiveFault::Headers))
    }

    fn expect(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        self.sparse = None;
    }

    /// Bytes of the current member that were not read, holes among them.
    fn unread(&self) -> u64 {
        self.sparse.as_ref().map_or(self.left, Sparse::left)
    }

    /// The next header, or `None` at the end.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let rest = self.left + self.padding;
        if io::copy(&mut self.inner.by_ref().take(rest), &mut io::sink())? != rest {
            return Err(TarError::Damaged(ArchiveFault::EndsInMember));
        }
        (self.left, self.padding) = (0, 0);
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(free) = block.get_mut(filled..).filter(|f| !f.is_empty()) {
            match self.inner.read(free) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(TarError::Damaged(ArchiveFault::EndsInHeader)),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        if block == [0; BLOCK] {
            return Ok(None);
        }
        // The sum of all bytes, those of the sum itself counted as spaces.
        let byte = |(i, b): (usize, &u8)| u64::from(if (148..156).contains(&i) { b' ' } else { *b });
        let sum: u64 = block.iter().enumerate().map(byte).sum();
        if number(&block[148..156])? != sum {
            return Err(TarError::Damaged(ArchiveFault::HeaderChecksum));
        }
        Ok(Some(block))
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > MAX_EXTENSION {
            return Err(TarError::Damaged(ArchiveFault::ExtensionLength));
        }
        self.expect(size);
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        match bytes.len() as u64 == size {
            true => Ok(bytes),
            false => Err(TarError::Damaged(ArchiveFault::EndsInExtension)),
        }
    }

    /// Reads the whole current member, which must not have more than `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`TarError::Damaged`] if it is longer.
    pub fn small_member(&mut self, limit: u64) -> Result<Vec<u8>, TarError> {
        if self.unread() > limit {
            return Err(TarError::Damaged(ArchiveFault::MemberLength));
        }
        let (mut bytes, size) = (Vec::new(), self.unread());
        self.read_to_end(&mut bytes)?;
        match bytes.len() as u64 == size {
            true => Ok(bytes),
            false => Err(TarError::Damaged(ArchiveFault::EndsInMember)),
        }
    }
}

/// Reads the current member.
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(sparse) = &mut self.sparse else {
            let n = self.inner.by_ref().take(self.left).read(buffer)?;
            self.left -= n as u64;
            return Ok(n);
        };
        let before = sparse.stored_left();
        let n = sparse.read(&mut self.inner, buffer)?;
        self.left -= before - sparse.stored_left();
        Ok(n)
    }
}

fn utf8(bytes: &[u8]) -> Result<String, TarError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| TarError::Damaged(ArchiveFault::NameNotUtf8))
}

fn header_name(block: &[u8; BLOCK]) -> Result<String, TarError> {
    let field = |from: usize, to: usize| block[from..to].split(|b| *b == 0).next().unwrap_or_default();
    let name = utf8(field(0, 100))?;
    let prefix = if &block[257..263] == b"ustar\0" { utf8(field(345, 500))? } else { String::new() };
    Ok(if prefix.is_empty() { name } else { format!("{prefix}/{name}") })
}

/// What extended headers say of the member behind them.
#[derive(Default)]
struct Extended {
    name: Option<String>,
    size: Option<u64>,
    sparse: Option<SparseHeader>,
}

impl Extended {
    /// Reads `length key=value\n` records.
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), TarError> {
        let damaged = || TarError::Damaged(ArchiveFault::Extension);
        while !bytes.is_empty() {
            let space = bytes.iter().position(|b| *b == b' ').ok_or_else(damaged)?;
            let length = std::str::from_utf8(bytes.get(..space).unwrap_or_default()).ok();
            let length: usize = length.and_then(|s| s.parse().ok()).ok_or_else(damaged)?;
            let record = bytes.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n"));
            let record = record.ok_or_else(damaged)?;
            let equals = record.iter().position(|b| *b == b'=').ok_or_else(damaged)?;
            let value = record.get(equals + 1..).unwrap_or_default();
            match record.get(..equals).unwrap_or_default() {
                // That of a sparse file is a made-up one.
                b"path" if self.sparse.is_none() => self.name = Some(utf8(value)?),
                b"path" => {}
                b"GNU.sparse.name" => {
                    self.sparse.get_or_insert_default();
                    self.name = Some(utf8(value)?);
                }
                b"size" => self.size = Some(decimal(value)?),
                key => {
                    if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                        self.sparse.get_or_insert_default().record(key, value)?;
                    }
                }
            }
            bytes = bytes.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Writes an archive.
#[derive(Debug)]
pub struct TarWriter<W> {
    inner: W,
    padding: usize,
}

impl<W: Write> TarWriter<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, padding: 0 }
    }

    /// Begins a file; exactly `size` bytes are to be written after it.
    ///
    /// # Errors
    ///
    /// A name of more than 100 bytes, or what the system says.
    pub fn begin(&mut self, name: &str, size: u64) -> Result<(), TarError> {
        check_member(name)?;
        let mut block = [0u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| {
            block.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
        };
        if name.len() > 100 {
            return Err(TarError::BadName(name.to_owned()));
        }
        put(0, name.as_bytes());
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        if size < 1 << 33 {
            put(124, format!("{size:011o}\0").as_bytes());
        } else {
            // Twelve bytes: the mark, and the number in the last eight.
            put(124, &[0x80]);
            put(128, &size.to_be_bytes());
        }
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, b"0");
        put(257, b"ustar\x0000");
        let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
        let sum = format!("{sum:06o}\0 ");
        block.iter_mut().skip(148).zip(sum.as_bytes()).for_each(|(to, from)| *to = *from);
        self.end_member()?;
        self.inner.write_all(&block)?;
        self.padding = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or(0);
        Ok(())
    }

    fn end_member(&mut self) -> Result<(), TarError> {
        self.inner.write_all([0; BLOCK].get(..self.padding).unwrap_or_default())?;
        self.padding = 0;
        Ok(())
    }

    /// Ends the archive.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn finish(mut self) -> Result<W, TarError> {
        self.end_member()?;
        self.inner.write_all(&[0; 2 * BLOCK])?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

/// Writes the current member.
impl<W: Write> Write for TarWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(members in prop::collection::vec(("[a-z]{1,20}(/[a-z.]{2,9}x)?", prop::collection::vec(any::<u8>(), 0..1500)), 0..5)) {
            let mut writer = TarWriter::new(Vec::new());
            for (name, bytes) in &members {
                writer.begin(name, bytes.len() as u64).expect("begun");
                writer.write_all(bytes).expect("written");
            }
            let tar = writer.finish().expect("finished");
            let mut reader = TarReader::new(tar.as_slice());
            for (name, bytes) in &members {
                let member = reader.next_member().expect("read").expect("there");
                prop_assert_eq!((&member.name, member.size), (name, bytes.len() as u64));
                prop_assert_eq!(&reader.small_member(2000).expect("read"), bytes);
            }
            prop_assert_eq!(reader.next_member().expect("read"), None);
        }
    }

    #[test]
    fn sizes_beyond_eight_gib_are_written_and_read() {
        let mut writer = TarWriter::new(Vec::new());
        writer.begin("disk", 123 << 32).expect("begun");
        let block = writer.inner;
        let member = TarReader::new(block.as_slice()).next_member().expect("read").expect("there");
        assert_eq!(member.size, 123 << 32);
    }

    #[test]
    fn links_and_names_that_lead_out_are_refused() {
        for name in ["/etc/passwd", "../x", "a/../b", "a//b", "a\\b", "", "a\nb", ".."] {
            assert!(check_member(name).is_err(), "{name:?}");
        }
        let mut writer = TarWriter::new(Vec::new());
        writer.begin("link", 0).expect("begun");
        let mut tar = writer.finish().expect("finished");
        let sum =
            u32::from_str_radix(std::str::from_utf8(&tar[148..154]).expect("digits"), 8).expect("octal");
        for kind in *b"12346" {
            tar[156] = kind;
            let digits = format!("{:06o}", sum - u32::from(b'0') + u32::from(kind));
            tar[148..154].copy_from_slice(digits.as_bytes());
            assert!(matches!(TarReader::new(tar.as_slice()).next_member(), Err(TarError::NotAFile(_))));
        }
    }
}
