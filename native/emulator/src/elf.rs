//! Is this file a shared library that this process can load? Asked before `dlopen`, whose own answer
//! ("invalid ELF header") tells a user nothing.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// `e_machine` of ELF, as far as Sampan runs on them. Source: System V ABI, and its processor supplements.
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

const ET_DYN: u16 = 3;

/// Checks the first bytes of `path`. The error is the rest of a sentence that begins with the path.
pub(crate) fn check_shared_library(path: &Path) -> Result<(), String> {
    let mut header = [0u8; 20];
    let mut file = File::open(path).map_err(|e| format!("cannot be opened: {e}"))?;
    file.read_exact(&mut header).map_err(|_| "is too short for a library: build it again".to_owned())?;
    check_header(&header)
}

fn check_header(header: &[u8; 20]) -> Result<(), String> {
    if header[..4] != *b"\x7fELF" {
        return Err("is no ELF file: build it again".into());
    }
    // EI_CLASS 2: 64 bits; EI_DATA 1: little-endian. Every host of ours is both.
    if header[4] != 2 || header[5] != 1 {
        return Err("is not for a 64-bit little-endian machine".into());
    }
    if u16::from_le_bytes([header[16], header[17]]) != ET_DYN {
        return Err("is no shared library".into());
    }
    let machine = u16::from_le_bytes([header[18], header[19]]);
    let wanted = if cfg!(target_arch = "x86_64") { EM_X86_64 } else { EM_AARCH64 };
    if machine != wanted {
        let name = match machine {
            EM_X86_64 => "x86_64".to_owned(),
            EM_AARCH64 => "aarch64".to_owned(),
            other => format!("ELF machine {other}"),
        };
        return Err(format!("is built for {name}, this program for {}", std::env::consts::ARCH));
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
        assert_eq!(check_header(&header(2, ET_DYN, ours)), Ok(()));
        assert!(check_header(&header(2, ET_DYN, other)).is_err_and(|e| e.contains("is built for")));
        assert!(check_header(&header(2, 2, ours)).is_err_and(|e| e.contains("no shared library")));
        assert!(check_header(&header(1, ET_DYN, ours)).is_err_and(|e| e.contains("64-bit")));
        assert!(check_header(&[0; 20]).is_err_and(|e| e.contains("no ELF")));
    }
}
