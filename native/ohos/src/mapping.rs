//! The memory of a buffer, mapped to be written.

use crate::error::{BadBuffer, OhosError};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::unistd::{Whence, lseek};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

/// Which memory a descriptor names, so that a number used again for another buffer is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Result<Self, OhosError> {
        let status = fstat(fd).map_err(|e| OhosError::NotMapped(e.into()))?;
        Ok(Self { device: status.st_dev, inode: status.st_ino })
    }
}

/// A mapping of a whole buffer.
pub(crate) struct Mapping {
    base: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Mapping {
    /// Maps `length` bytes, which the memory must have.
    pub(crate) fn new(fd: BorrowedFd<'_>, length: usize) -> Result<Self, OhosError> {
        let bad = || OhosError::BadBuffer(BadBuffer::Shorter { length: length as u64 });
        // Memory that has an end, as memfds and dmabufs do, must reach so far: what lies beyond it is a SIGBUS.
        if let Ok(end) = lseek(fd, 0, Whence::SeekEnd)
            && u64::try_from(end).is_ok_and(|end| end < length as u64)
        {
            return Err(bad());
        }
        let length = NonZeroUsize::new(length).ok_or_else(bad)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new shared mapping at an address of the kernel's choice replaces nothing; this value owns it and unmaps it in
        // its drop.
        let base = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, fd, 0) }
            .map_err(|e| OhosError::NotMapped(e.into()))?;
        Ok(Self { base, length })
    }

    /// The bytes. Only between request and flush: the buffer is ours then, and others at most read it.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has so many bytes and lives as long as `self`, which is borrowed exclusively. Between request and flush
        // nobody else writes them, by the contract of the buffer queue, and graphics memory does not shrink.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().cast(), self.length.get()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and length are those of the mapping made in `new`, which is unmapped only here.
        let _ = unsafe { munmap(self.base, self.length.get()) };
    }
}
