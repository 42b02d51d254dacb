//! A dmabuf that is read through a mapping, since it cannot be read as a file.
//!
//! The mapping never becomes a slice: its bytes may change at any moment, so they are copied with volatile
//! loads. A dmabuf has a fixed size for life (`drivers/dma-buf/dma-buf.c` offers no truncation), so unlike a
//! mapped memfd it cannot end in SIGBUS behind our back.

use crate::error::{ReadError, ScanoutError};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::statfs::fstatfs;
use nix::unistd::{Whence, lseek64};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;

/// `DMA_BUF_MAGIC` of the kernel's `include/uapi/linux/magic.h`.
const MAGIC: i64 = 0x444d_4142;
/// `DMA_BUF_IOCTL_SYNC` and its flags of `include/uapi/linux/dma-buf.h`: `_IOW('b', 0, u64)`.
const IOCTL_SYNC: libc::Ioctl = 0x4008_6200;
const SYNC_READ: u64 = 1;
const SYNC_END: u64 = 4;

/// A mapped dmabuf.
#[derive(Debug)]
pub(crate) struct Dmabuf {
    fd: OwnedFd,
    base: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: the mapping is only read, by volatile loads, and is unmapped once, on drop; nothing depends on a thread.
unsafe impl Send for Dmabuf {}
// SAFETY: as above; concurrent volatile reads do not disturb each other.
unsafe impl Sync for Dmabuf {}

/// Whether the file is a dmabuf.
pub(crate) fn is_dmabuf(fd: &OwnedFd) -> bool {
    // The type's width and sign differ between C libraries; the magic fits all of them.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    fstatfs(fd).is_ok_and(|s| s.filesystem_type().0 as i64 == MAGIC)
}

impl Dmabuf {
    /// Maps the whole buffer; the caller has checked that it is a dmabuf.
    pub(crate) fn new(fd: OwnedFd) -> Result<Self, ScanoutError> {
        let end = lseek64(&fd, 0, Whence::SeekEnd).map_err(std::io::Error::from)?;
        let length = usize::try_from(end).ok().and_then(NonZeroUsize::new).ok_or(ScanoutError::NotMemory)?;
        // SAFETY: a new shared read-only mapping at an address of the kernel's choice replaces nothing; it is
        // owned by this value and unmapped in its drop.
        let base = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, &fd, 0) }
            .map_err(std::io::Error::from)?;
        Ok(Self { fd, base, length })
    }

    /// The size in bytes, which never changes.
    pub(crate) fn size(&self) -> u64 {
        self.length.get() as u64
    }

    /// Makes what the GPU wrote visible to the CPU until the guard is dropped.
    pub(crate) fn begin(&self) -> Result<SyncGuard<'_>, ReadError> {
        self.sync(SYNC_READ)?;
        Ok(SyncGuard(self))
    }

    fn sync(&self, flags: u64) -> Result<(), ReadError> {
        loop {
            // SAFETY: the ioctl reads eight bytes from a live local; on a file that is no dmabuf it fails.
            let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), IOCTL_SYNC, &raw const flags) };
            match Errno::result(result) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(e) => return Err(ReadError::Io(e.into())),
            }
        }
    }

    /// Copies `into.len()` bytes from `offset`.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), ReadError> {
        let start = usize::try_from(offset).map_err(|_| ReadError::OutOfBounds)?;
        let end = start.checked_add(into.len()).ok_or(ReadError::OutOfBounds)?;
        if end > self.length.get() {
            return Err(ReadError::OutOfBounds);
        }
        // SAFETY: start..end was just checked to lie inside the mapping, which lives as long as `self`.
        unsafe { volatile_copy(self.base.as_ptr().cast::<u8>().add(start), into) };
        Ok(())
    }
}

impl Drop for Dmabuf {
    fn drop(&mut self) {
        // SAFETY: base and length are those of the mapping made in `new`, which is unmapped only here.
        let _ = unsafe { munmap(self.base, self.length.get()) };
    }
}

/// Ends CPU access on drop.
pub(crate) struct SyncGuard<'a>(&'a Dmabuf);

impl Drop for SyncGuard<'_> {
    fn drop(&mut self) {
        // Nothing to do about a failure: the read is over and only cache maintenance is skipped.
        let _ = self.0.sync(SYNC_READ | SYNC_END);
    }
}

/// Copies memory that others may write meanwhile, in words of eight bytes where it is aligned.
///
/// # Safety
/// `source` must be readable for `into.len()` bytes and must not overlap `into`.
unsafe fn volatile_copy(source: *const u8, into: &mut [u8]) {
    let head = source.align_offset(8).min(into.len());
    let (first, rest) = into.split_at_mut(head);
    let (words, last) = rest.as_chunks_mut::<8>();
    let tail = head + words.len() * 8;
    for (i, byte) in first.iter_mut().enumerate() {
        // SAFETY: i < into.len(), which the caller promises to be readable.
        *byte = unsafe { source.add(i).read_volatile() };
    }
    for (i, word) in words.iter_mut().enumerate() {
        // SAFETY: head + 8 * i + 8 <= into.len(), and source + head is aligned to eight.
        *word = unsafe { source.add(head + 8 * i).cast::<u64>().read_volatile() }.to_ne_bytes();
    }
    for (i, byte) in last.iter_mut().enumerate() {
        // SAFETY: tail + i < into.len().
        *byte = unsafe { source.add(tail + i).read_volatile() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Seek, Write};

    proptest! {
        #[test]
        fn the_volatile_copy_copies(bytes in prop::collection::vec(any::<u8>(), 0..80), skip in 0usize..17) {
            let skip = skip.min(bytes.len());
            let mut out = vec![0; bytes.len() - skip];
            // SAFETY: both buffers are live and of the same length.
            unsafe { volatile_copy(bytes[skip..].as_ptr(), &mut out) };
            prop_assert_eq!(&out[..], &bytes[skip..]);
        }
    }

    fn memfd(bytes: &[u8]) -> OwnedFd {
        use nix::sys::memfd::{MFdFlags, memfd_create};
        let mut file = std::fs::File::from(memfd_create("test", MFdFlags::empty()).expect("memfd"));
        file.write_all(bytes).expect("write");
        file.rewind().expect("rewind");
        file.into()
    }

    /// No machine of ours has a GPU, so the mapping's arithmetic is tested on a memfd that is never shrunk.
    #[test]
    fn reads_stay_inside_the_mapping() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let map = Dmabuf::new(memfd(&bytes)).expect("mapped");
        let mut out = [0; 33];
        map.read(3, &mut out).expect("inside");
        assert_eq!(out, bytes[3..36]);
        map.read(5000 - 33, &mut out).expect("the last bytes");
        assert_eq!(out, bytes[5000 - 33..]);
        assert!(matches!(map.read(5000 - 32, &mut out), Err(ReadError::OutOfBounds)));
        assert!(matches!(map.read(u64::MAX, &mut out), Err(ReadError::OutOfBounds)));
    }

    #[test]
    fn a_memfd_is_no_dmabuf() {
        let fd = memfd(&[0; 64]);
        assert!(!is_dmabuf(&fd));
        let map = Dmabuf::new(fd).expect("mapped");
        assert!(map.begin().is_err(), "the sync ioctl exists only for dmabufs");
    }
}
