//! The file behind a scanout: a memfd read by `pread`, or a dmabuf.

use crate::dmabuf::{Dmabuf, SyncGuard, is_dmabuf};
use crate::error::{ReadError, ScanoutError};
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use nix::sys::uio::pread;
use std::io;
use std::os::fd::OwnedFd;

/// Memory that someone else writes.
#[derive(Debug)]
pub(crate) enum Memory {
    /// A memfd or other plain file.
    File(OwnedFd),
    /// A buffer of the GPU.
    Dmabuf(Dmabuf),
}

impl Memory {
    /// Takes the file, which is refused unless it can be read without waiting.
    pub(crate) fn new(fd: OwnedFd) -> Result<Self, ScanoutError> {
        if is_dmabuf(&fd) {
            return Dmabuf::new(fd).map(Self::Dmabuf);
        }
        let status = fstat(&fd).map_err(io::Error::from)?;
        // A pipe, socket or device could make a read wait for its peer for ever.
        if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(ScanoutError::NotMemory);
        }
        match pread(&fd, &mut [0], 0) {
            Ok(_) => Ok(Self::File(fd)),
            Err(Errno::EBADF | Errno::EINVAL | Errno::ESPIPE) => Err(ScanoutError::NotMemory),
            Err(e) => Err(ScanoutError::Io(e.into())),
        }
    }

    /// The size in bytes now; that of a plain file may be smaller at the next moment.
    pub(crate) fn size(&self) -> Result<u64, ScanoutError> {
        match self {
            Self::File(fd) => Ok(u64::try_from(fstat(fd).map_err(io::Error::from)?.st_size).unwrap_or(0)),
            Self::Dmabuf(map) => Ok(map.size()),
        }
    }

    /// Starts a series of reads; a dmabuf's caches are right until the guard is dropped.
    pub(crate) fn begin(&self) -> Result<Option<SyncGuard<'_>>, ReadError> {
        match self {
            Self::File(_) => Ok(None),
            Self::Dmabuf(map) => map.begin().map(Some),
        }
    }

    /// Whether each read is a system call, so that a few large ones beat many small ones.
    pub(crate) fn prefers_spans(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Reads exactly `into.len()` bytes from `offset`.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), ReadError> {
        match self {
            Self::File(fd) => read_exact_at(fd, offset, into),
            Self::Dmabuf(map) => map.read(offset, into),
        }
    }
}

fn read_exact_at(fd: &OwnedFd, offset: u64, into: &mut [u8]) -> Result<(), ReadError> {
    let mut done = 0;
    while done < into.len() {
        let at = offset.checked_add(done as u64).and_then(|at| libc::off_t::try_from(at).ok());
        match pread(fd, &mut into[done..], at.ok_or(ReadError::OutOfBounds)?) {
            Ok(0) => return Err(ReadError::Shrank),
            Ok(n) => done += n,
            Err(Errno::EINTR) => {}
            Err(e) => return Err(ReadError::Io(e.into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, AsRawFd};

    #[test]
    fn what_could_block_or_cannot_be_read_is_refused() {
        let (pipe, _writer) = nix::unistd::pipe().expect("pipe");
        assert!(matches!(Memory::new(pipe), Err(ScanoutError::NotMemory)));
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().expect("pair");
        assert!(matches!(Memory::new(socket.into()), Err(ScanoutError::NotMemory)));
        let null = std::fs::File::open("/dev/zero").expect("open");
        assert!(matches!(Memory::new(null.into()), Err(ScanoutError::NotMemory)));
        let exe = std::env::current_exe().expect("a path");
        let directory = std::fs::File::open(exe.parent().expect("a folder")).expect("open");
        assert!(matches!(Memory::new(directory.into()), Err(ScanoutError::NotMemory)));
    }

    #[test]
    fn a_file_open_only_for_writing_is_refused() {
        use nix::sys::memfd::{MFdFlags, memfd_create};
        let memfd = memfd_create("test", MFdFlags::empty()).expect("memfd");
        nix::unistd::ftruncate(memfd.as_fd(), 4096).expect("size");
        let path = format!("/proc/self/fd/{}", memfd.as_raw_fd());
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("reopened");
        assert!(matches!(Memory::new(file.into()), Err(ScanoutError::NotMemory)));
    }
}
