//! Descriptors that come to us as numbers, as from the file picker of the system, and those that a forked copy of this process has of it.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A descriptor of our own for the same open file (`F_DUPFD_CLOEXEC`, fcntl(2)). The number stays its owner's.
///
/// # Errors
/// Nothing is open under the number; there are too many descriptors.
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: it touches no memory, and a number that is not open is an error.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just made it, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Lets go of all that the program has open, but for `kept`: each number leads to `/dev/null` from now on. It stays taken, so that a library
/// which remembers its own (a log's socket, say) never writes into a descriptor of QEMU's; and nobody's mark of ownership (OpenHarmony's fdsan) is met.
///
/// # Safety
/// In a process whose descriptors nobody uses.
pub(crate) unsafe fn forget_descriptors(kept: RawFd) {
    const BUFFER: usize = 512;
    // Where a `linux_dirent64` has its length and its name (getdents64(2)).
    const LENGTH: usize = 16;
    const NAME: usize = 19;
    // SAFETY: the kernel writes whole entries into the buffer, as many bytes as it returns; texts are constant.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        let folder =
            libc::open(c"/proc/self/fd".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
        let forget = |number: RawFd| {
            if number == kept || number == null || number == folder {
            } else if null < 0 {
                libc::syscall(libc::SYS_close, number);
            } else {
                libc::dup3(null, number, libc::O_CLOEXEC);
            }
        };
        if folder < 0 {
            // Without /proc: those that a program begins with, and more than an app has.
            for number in 0..4096 {
                if libc::fcntl(number, libc::F_GETFD) >= 0 {
                    forget(number);
                }
            }
            return;
        }
        let mut buffer = [0_u64; BUFFER];
        loop {
            let read = libc::syscall(libc::SYS_getdents64, folder, buffer.as_mut_ptr(), BUFFER * 8);
            let Ok(read @ 1..) = usize::try_from(read) else { break };
            let bytes = std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), read.min(BUFFER * 8));
            let mut at = 0;
            while let Some(length) = bytes.get(at + LENGTH..at + LENGTH + 2) {
                let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
                if let Some(number) = bytes.get(at + NAME..at + length).and_then(number) {
                    forget(number);
                }
                at += length.max(NAME);
            }
        }
        libc::syscall(libc::SYS_close, folder);
    }
}

/// The number that a text of digits ending in NUL is.
fn number(text: &[u8]) -> Option<RawFd> {
    let mut number: RawFd = 0;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => number = number.checked_mul(10)?.checked_add(RawFd::from(byte - b'0'))?,
            0 if at > 0 => return Some(number),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsRawFd;

    #[test]
    fn a_copy_outlives_its_original_and_a_closed_number_is_an_error() {
        let mut original = tempfile::tempfile().expect("a file");
        original.write_all(b"lent").expect("is written");
        let mut copy = std::fs::File::from(duplicate(original.as_raw_fd()).expect("is copied"));
        drop(original);
        copy.rewind().expect("from the beginning");
        let mut text = String::new();
        copy.read_to_string(&mut text).expect("is read");
        assert_eq!(text, "lent");
        for closed in [-1, 1_000_000] {
            assert_eq!(duplicate(closed).expect_err("is not open").raw_os_error(), Some(libc::EBADF));
        }
    }

    #[test]
    fn numbers_of_descriptors_are_read_and_other_names_are_not() {
        assert_eq!(number(b"17\0"), Some(17));
        for other in [&b".\0"[..], b"..\0", b"", b"\0", b"1x\0", b"99999999999\0", b"3"] {
            assert_eq!(number(other), None, "{other:?}");
        }
    }
}
