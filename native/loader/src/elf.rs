//! An ELF file's header.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Checked, LoadError, LoadErrorKind};

/// `e_machine` of ELF, as far as Sampan runs on them. Source: System V ABI, and its processor supplements.
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

const ET_DYN: u16 = 3;

/// Is this file a shared library for this processor? Asked before any loader is, since `dlopen`'s own answer
/// ("invalid ELF header") tells a user nothing. Reads the file's header alone.
///
/// # Errors
/// [`LoadErrorKind::System`] where it cannot be opened, else what its header says.
pub fn check_shared_library(path: &Path) -> Result<(), LoadError> {
    check(path).map_err(LoadErrorKind::of(path))
}

pub(crate) fn check(path: &Path) -> Checked<()> {
    let mut header = [0u8; 20];
    let mut file = File::open(path).map_err(LoadErrorKind::system("opened"))?;
    file.read_exact(&mut header).map_err(|_| LoadErrorKind::TooShort)?;
    check_header(&header)
}

fn check_header(header: &[u8; 20]) -> Checked<()> {
    if header[..4] != *b"\x7fELF" {
        return Err(LoadErrorKind::NotElf);
    }
    // EI_CLASS 2: 64 bits; EI_DATA 1: little-endian. Every host of ours is both.
    if header[4] != 2 || header[5] != 1 {
        return Err(LoadErrorKind::WrongClass);
    }
    if u16::from_le_bytes([header[16], header[17]]) != ET_DYN {
        return Err(LoadErrorKind::NotALibrary);
    }
    let machine = u16::from_le_bytes([header[18], header[19]]);
    let wanted = if cfg!(target_arch = "x86_64") { EM_X86_64 } else { EM_AARCH64 };
    if machine != wanted {
        let found = match machine {
            EM_X86_64 => "x86_64".to_owned(),
            EM_AARCH64 => "aarch64".to_owned(),
            other => format!("ELF machine {other}"),
        };
        return Err(LoadErrorKind::WrongProcessor { found, ours: std::env::consts::ARCH });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, kind: u16, machine: u16) -> [u8; 20] {
        let mut h = [0; 20];
        h[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
        h[16..18].copy_from_slice(&kind.to_le_bytes());
        h[18..20].copy_from_slice(&machine.to_le_bytes());
        h
    }

    #[test]
    fn only_a_library_of_this_machine_passes() {
        let (ours, other) =
            if cfg!(target_arch = "x86_64") { (EM_X86_64, EM_AARCH64) } else { (EM_AARCH64, EM_X86_64) };
        assert!(check_header(&header(2, ET_DYN, ours)).is_ok());
        let refusal = |header| check_header(&header).unwrap_err();
        assert!(matches!(refusal(header(2, ET_DYN, other)), LoadErrorKind::WrongProcessor { .. }));
        assert!(matches!(refusal(header(2, 2, ours)), LoadErrorKind::NotALibrary));
        assert!(matches!(refusal(header(1, ET_DYN, ours)), LoadErrorKind::WrongClass));
        assert!(matches!(refusal([0; 20]), LoadErrorKind::NotElf));
    }
}
