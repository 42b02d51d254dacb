//! ELF as far as Sampan's machines know it: 64 bits, little-endian. The crate `object` has the layouts; what a file
//! may ask for is decided here and in the files beside.

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(crate) use object::LittleEndian as LE;
use object::elf::{self, FileHeader64};
use object::pod;
use object::read::elf::FileHeader;

use crate::error::{Checked, LoadError, LoadErrorKind};

pub(crate) type Header = FileHeader64<LE>;

/// An address or a size. One that a `usize` does not hold is nowhere, and found to be so.
pub(crate) fn word(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Is this file a shared library for this processor? Asked before any loader is, since `dlopen`'s own answer
/// ("invalid ELF header") tells a user nothing. Reads the file's header alone.
///
/// # Errors
/// [`LoadErrorKind::System`] where it cannot be opened or read, else what its header says.
pub fn check_shared_library(path: &Path) -> Result<(), LoadError> {
    check(path).map_err(LoadErrorKind::of(path))
}

pub(crate) fn check(path: &Path) -> Checked<()> {
    let file = File::open(path).map_err(LoadErrorKind::system("opened"))?;
    let mut header = Vec::new();
    let most = size_of::<Header>() as u64;
    file.take(most).read_to_end(&mut header).map_err(LoadErrorKind::system("read"))?;
    check_header(&header)
}

fn check_header(bytes: &[u8]) -> Checked<()> {
    // First: a file that is something else altogether may be short as well.
    if bytes.len() >= elf::ELFMAG.len() && !bytes.starts_with(&elf::ELFMAG) {
        return Err(LoadErrorKind::NotElf);
    }
    let (header, _) = pod::from_bytes::<Header>(bytes).map_err(|()| LoadErrorKind::TooShort)?;
    if !header.is_class_64() || !header.is_little_endian() {
        return Err(LoadErrorKind::WrongClass);
    }
    if header.e_type.get(LE) != elf::ET_DYN {
        return Err(LoadErrorKind::NotALibrary);
    }
    let machine = header.e_machine.get(LE);
    let wanted = if cfg!(target_arch = "x86_64") { elf::EM_X86_64 } else { elf::EM_AARCH64 };
    if machine != wanted {
        let found = match machine {
            elf::EM_X86_64 => "x86_64".to_owned(),
            elf::EM_AARCH64 => "aarch64".to_owned(),
            other => format!("ELF machine {other}"),
        };
        return Err(LoadErrorKind::WrongProcessor { found, ours: std::env::consts::ARCH });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, kind: u16, machine: u16) -> [u8; size_of::<Header>()] {
        let mut h = [0; size_of::<Header>()];
        h[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
        h[16..18].copy_from_slice(&kind.to_le_bytes());
        h[18..20].copy_from_slice(&machine.to_le_bytes());
        h
    }

    #[test]
    fn only_a_library_of_this_machine_passes() {
        let (ours, other) = if cfg!(target_arch = "x86_64") {
            (elf::EM_X86_64, elf::EM_AARCH64)
        } else {
            (elf::EM_AARCH64, elf::EM_X86_64)
        };
        let good = header(2, elf::ET_DYN, ours);
        assert!(check_header(&good).is_ok());
        let refusal = |header: &[u8]| check_header(header).unwrap_err();
        assert!(matches!(refusal(&header(2, elf::ET_DYN, other)), LoadErrorKind::WrongProcessor { .. }));
        assert!(matches!(refusal(&header(2, elf::ET_EXEC, ours)), LoadErrorKind::NotALibrary));
        assert!(matches!(refusal(&header(1, elf::ET_DYN, ours)), LoadErrorKind::WrongClass));
        assert!(matches!(refusal(&[0; 20]), LoadErrorKind::NotElf));
        for length in 0..good.len() {
            assert!(matches!(refusal(&good[..length]), LoadErrorKind::TooShort), "{length}");
        }
    }
}
