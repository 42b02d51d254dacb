//! What an ELF file asks to have in memory: its program headers, read and checked. Nothing here trusts the
//! file, which may be broken or hostile: whatever does not hold together is refused in words.

use std::ops::Range;

use object::elf::{
    PF_R, PF_W, PF_X, PT_DYNAMIC, PT_GNU_RELRO, PT_GNU_STACK, PT_LOAD, PT_TLS, ProgramHeader64,
};
use object::read::elf::FileHeader;

use crate::elf::{Header, LE, word};
use crate::error::Checked;
use crate::error::LoadErrorKind::{self, Damaged};

/// How much of the file [`Program::parse`] wants to see.
pub(crate) const HEADERS: usize = 4096;

/// More than any build of QEMU takes; an address space has room for several.
const LARGEST: usize = 1 << 30;

/// QEMU's has 23 entries.
const LONGEST_DYNAMIC: usize = 1 << 16;

/// A piece of the file, and where it goes, relative to where the library begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) at: usize,
    /// In memory; what the file does not give is zeroes.
    pub(crate) size: usize,
    pub(crate) offset: usize,
    pub(crate) in_file: usize,
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) execute: bool,
}

impl Segment {
    /// The bytes that the file gives.
    pub(crate) fn given(&self) -> Range<usize> {
        self.at..self.at + self.in_file
    }

    pub(crate) fn range(&self) -> Range<usize> {
        self.at..self.at + self.size
    }
}

/// A library's layout. Every range in it lies within `size`, and no segment shares a page with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// In the order of their addresses.
    pub(crate) segments: Vec<Segment>,
    /// Of the address space.
    pub(crate) size: usize,
    /// Where in the file the dynamic section is.
    pub(crate) dynamic: Range<usize>,
    /// What is made read-only when all is linked, whole pages.
    pub(crate) relro: Option<Range<usize>>,
}

struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: usize,
    at: usize,
    in_file: usize,
    size: usize,
}

impl ProgramHeader {
    fn of(header: &ProgramHeader64<LE>) -> Self {
        Self {
            kind: header.p_type.get(LE),
            flags: header.p_flags.get(LE),
            offset: word(header.p_offset.get(LE)),
            at: word(header.p_vaddr.get(LE)),
            in_file: word(header.p_filesz.get(LE)),
            size: word(header.p_memsz.get(LE)),
        }
    }
}

impl Program {
    /// Reads the first [`HEADERS`] bytes (or fewer) of a file of `length` bytes; `page` is the system's, a power
    /// of two. That it is an ELF file of this machine is known (`elf.rs`).
    pub(crate) fn parse(file: &[u8], length: usize, page: usize) -> Checked<Self> {
        let headers = Header::parse(file).and_then(|header| header.program_headers(LE, file));
        let headers = headers.map_err(|_| Damaged("has broken program headers"))?;
        let mut headers: Vec<_> = headers.iter().map(ProgramHeader::of).collect();
        for header in &headers {
            let end = header.offset.checked_add(header.in_file);
            if header.kind != PT_GNU_STACK && end.is_none_or(|end| end > length) {
                return Err(Damaged("is shorter than it says"));
            }
        }
        if headers.iter().any(|h| h.kind == PT_TLS) {
            return LoadErrorKind::unsupported(
                "has thread-local storage that only the dynamic linker can give",
            );
        }
        if headers.iter().any(|h| h.kind == PT_GNU_STACK && h.flags & PF_X != 0) {
            return LoadErrorKind::unsupported("wants an executable stack");
        }
        headers.retain(|h| h.kind != PT_LOAD || h.size > 0);
        let segments = segments(&headers, page)?;
        let size = segments.last().map_or(0, |last| last.range().end.next_multiple_of(page));
        let dynamic =
            headers.iter().find(|h| h.kind == PT_DYNAMIC).ok_or(Damaged("has no dynamic section"))?;
        if dynamic.in_file > LONGEST_DYNAMIC {
            return Err(Damaged("has a dynamic section that is too long"));
        }
        let relro = headers.iter().find(|h| h.kind == PT_GNU_RELRO);
        let relro = relro.map(|header| relro_of(header, &segments, page)).transpose()?.flatten();
        Ok(Self { segments, size, dynamic: dynamic.offset..dynamic.offset + dynamic.in_file, relro })
    }

    /// The segment that has all of these bytes.
    pub(crate) fn segment_of(&self, at: usize, size: usize) -> Option<&Segment> {
        let end = at.checked_add(size)?;
        self.segments.iter().find(|s| s.at <= at && end <= s.at + s.size)
    }
}

fn segments(headers: &[ProgramHeader], page: usize) -> Checked<Vec<Segment>> {
    let mut segments: Vec<Segment> = Vec::new();
    for header in headers.iter().filter(|h| h.kind == PT_LOAD) {
        header.at.checked_add(header.size).filter(|end| *end <= LARGEST).ok_or(Damaged("is too large"))?;
        if header.in_file > header.size || header.at % page != header.offset % page {
            return Err(Damaged("has a segment that cannot be mapped"));
        }
        let free = segments.last().map_or(0, |last| last.range().end.next_multiple_of(page));
        if header.at / page * page < free {
            return LoadErrorKind::unsupported("has segments that share a page");
        }
        let [read, write, execute] = [PF_R, PF_W, PF_X].map(|flag| header.flags & flag != 0);
        if write && execute {
            return LoadErrorKind::unsupported("has a segment that is both writable and executable");
        }
        let ProgramHeader { at, size, offset, in_file, .. } = *header;
        segments.push(Segment { at, size, offset, in_file, read, write, execute });
    }
    if segments.is_empty() { Err(Damaged("has nothing to load")) } else { Ok(segments) }
}

/// Rounded as dynamic linkers do: a last page that is not wholly covered stays writable. What has no whole page is nothing,
/// wherever it lies.
fn relro_of(header: &ProgramHeader, segments: &[Segment], page: usize) -> Checked<Option<Range<usize>>> {
    let bad = || Damaged("protects what is not its own");
    let end = header.at.checked_add(header.size).ok_or_else(bad)? / page * page;
    let start = (header.at / page * page).min(end);
    let within =
        |s: &Segment| s.write && s.at / page * page <= start && end <= s.range().end.next_multiple_of(page);
    match start == end {
        true => Ok(None),
        false if segments.iter().any(within) => Ok(Some(start..end)),
        false => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample;

    const PAGE: usize = 4096;

    fn parse(file: &[u8]) -> Checked<Program> {
        Program::parse(&file[..file.len().min(HEADERS)], file.len(), PAGE)
    }

    #[test]
    fn a_library_is_laid_out() {
        let program = parse(&sample::library()).unwrap();
        assert!(program.segments.iter().any(|s| s.execute && !s.write));
        assert!(program.segments.iter().any(|s| s.write && !s.execute && s.size > s.in_file));
        assert!(program.size.is_multiple_of(PAGE));
        assert!(program.relro.is_some_and(|relro| relro.end <= program.size));
    }

    /// Each with the words that tell it from the others.
    #[test]
    fn what_cannot_be_mapped_is_refused() {
        let file = sample::library();
        let load = sample::header(&file, PT_LOAD, 0);
        let second = sample::header(&file, PT_LOAD, 1);
        let cases: [(usize, u64, &str); 7] = [
            (load, u64::from(PT_TLS), "thread-local"),
            (load + 32, u64::MAX / 2, "shorter than it says"),
            (load + 40, 1 << 40, "too large"),
            (second + 16, u64::MAX, "too large"),
            (second + 16, 1, "cannot be mapped"),
            (54, 8, "broken program headers"),
            (32, u64::MAX, "broken program headers"),
        ];
        for (at, value, words) in cases {
            let mut bad = file.clone();
            let size = if at == load {
                4
            } else if at == 54 {
                2
            } else {
                8
            };
            bad[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
            let refusal = parse(&bad).unwrap_err().to_string();
            assert!(refusal.contains(words), "{at}: {refusal}");
        }
        let mut both = file;
        both[load + 4] |= 7;
        assert!(parse(&both).unwrap_err().to_string().contains("both writable and executable"));
    }

    /// A part of a page protects nothing, and may lie anywhere.
    #[test]
    fn what_protects_no_page_is_nothing() {
        let mut file = sample::library();
        let relro = sample::header(&file, PT_GNU_RELRO, 0);
        for at in [1u64 << 20, 0] {
            file[relro + 16..relro + 24].copy_from_slice(&at.to_le_bytes());
            file[relro + 40..relro + 48].copy_from_slice(&1u64.to_le_bytes());
            assert_eq!(parse(&file).unwrap().relro, None, "{at}");
        }
    }

    proptest! {
        /// Whatever is changed: refused, or every range lies where it may.
        #[test]
        fn no_file_leads_outside(changes in prop::collection::vec((0usize..600, any::<u8>()), 1..12), cut in 0usize..9000) {
            let mut file = sample::library();
            for (at, byte) in changes {
                file[at] = byte;
            }
            file.truncate(file.len() - cut.min(file.len()));
            if let Ok(program) = parse(&file) {
                prop_assert!(program.size <= LARGEST);
                prop_assert!(program.dynamic.end <= file.len());
                let mut free = 0;
                for s in &program.segments {
                    prop_assert!(s.at / PAGE * PAGE >= free && s.in_file <= s.size);
                    prop_assert!(s.offset + s.in_file <= file.len() && s.range().end <= program.size);
                    prop_assert!(!(s.write && s.execute));
                    free = s.range().end.next_multiple_of(PAGE);
                }
                if let Some(relro) = program.relro {
                    prop_assert!(relro.start <= relro.end && relro.end <= program.size);
                }
            }
        }
    }
}
