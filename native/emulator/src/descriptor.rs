//! Descriptors that come to us as numbers, as from the file picker of the system.

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
}
