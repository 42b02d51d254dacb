//! A library's address space: its segments mapped from the file as the dynamic linker does, each with the
//! rights that it names. Code is never writable.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

use crate::program::{Program, Segment};
use crate::tables::View;

/// Unmapped when dropped: nobody may run its code then.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    program: Program,
    page: usize,
}

// SAFETY: memory belongs to no thread; writing takes `&mut`.
unsafe impl Send for Mapping {}

/// The system's, a power of two.
pub(crate) fn page_size() -> usize {
    // SAFETY: no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
}

fn checked(result: *mut libc::c_void) -> io::Result<NonNull<u8>> {
    match NonNull::new(result.cast()) {
        Some(address) if result != libc::MAP_FAILED => Ok(address),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Mapping {
    /// `program` is that of `file`, for pages of this size.
    pub(crate) fn new(file: &File, program: Program, page: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: new memory, at an address of the system's choice.
        let base =
            checked(unsafe { libc::mmap(ptr::null_mut(), program.size, libc::PROT_NONE, flags, -1, 0) })?;
        let mapping = Self { base, program, page };
        for segment in &mapping.program.segments {
            mapping.map(file, segment)?;
        }
        Ok(mapping)
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    fn address(&self, at: usize) -> *mut libc::c_void {
        self.base.as_ptr().wrapping_add(at).cast()
    }

    fn map(&self, file: &File, segment: &Segment) -> io::Result<()> {
        let mut rights = libc::PROT_NONE;
        for (has, right) in [
            (segment.read, libc::PROT_READ),
            (segment.write, libc::PROT_WRITE),
            (segment.execute, libc::PROT_EXEC),
        ] {
            rights |= if has { right } else { 0 };
        }
        let fixed = libc::MAP_PRIVATE | libc::MAP_FIXED;
        let start = segment.at / self.page * self.page;
        let given = if segment.in_file == 0 { start } else { segment.given().end };
        let (given_pages, end) =
            (given.next_multiple_of(self.page), segment.range().end.next_multiple_of(self.page));
        if given_pages > start {
            let offset = segment.offset - (segment.at - start);
            let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
            let (size, fd) = (given_pages - start, file.as_raw_fd());
            // SAFETY: whole pages within our reservation, which no other segment has.
            checked(unsafe { libc::mmap(self.address(start), size, rights, fixed, fd, offset) })?;
        }
        if end > given_pages {
            let size = end - given_pages;
            // SAFETY: as above, the pages behind.
            checked(unsafe {
                libc::mmap(self.address(given_pages), size, rights, fixed | libc::MAP_ANONYMOUS, -1, 0)
            })?;
        }
        if segment.write && segment.size > segment.in_file {
            // SAFETY: the rest of the last page that the file gives, mapped writable just now.
            unsafe { ptr::write_bytes(self.address(given).cast::<u8>(), 0, given_pages - given) };
        }
        Ok(())
    }

    /// What the file gives and nobody writes.
    pub(crate) fn view(&self) -> View<'_> {
        let piece = |s: &Segment| {
            let start = self.address(s.at).cast::<u8>();
            // SAFETY: mapped readable from the file, never written as the segment is not writable, and for as long
            // as the mapping is borrowed. A file that shrinks meanwhile is as fatal as under the dynamic linker.
            (s.at, unsafe { std::slice::from_raw_parts(start, s.in_file) })
        };
        View(self.program.segments.iter().filter(|s| s.read && !s.write).map(piece).collect())
    }

    /// Where eight bytes may be written.
    pub(crate) fn may_write(&self, at: usize) -> bool {
        // One comparison for each end: asked a hundred thousand times.
        let within = |s: &Segment| s.size >= 8 && at.wrapping_sub(s.at) <= s.size - 8;
        self.program.segments.iter().any(|s| s.write && within(s))
    }

    /// # Safety
    /// [`Self::may_write`] says yes, [`Self::protect`] has not been called, and no code of the library runs.
    pub(crate) unsafe fn write(&self, at: usize, value: usize) {
        // SAFETY: within a segment that is mapped writable, of which nobody has a reference.
        unsafe { self.address(at).cast::<usize>().write_unaligned(value) };
    }

    /// What was there before; under the same conditions.
    ///
    /// # Safety
    /// As for [`Self::write`].
    pub(crate) unsafe fn read(&self, at: usize) -> usize {
        // SAFETY: as in `write`; what is writable is readable on every processor of ours.
        unsafe { self.address(at).cast::<usize>().read_unaligned() }
    }

    /// The address of code, or nothing for a place that is none.
    pub(crate) fn code(&self, at: usize) -> Option<*const ()> {
        self.program.segment_of(at, 1).filter(|s| s.execute).map(|_| self.address(at).cast_const().cast())
    }

    /// Makes read-only what is only written while linking.
    pub(crate) fn protect(&self) -> io::Result<()> {
        let Some(Range { start, end }) = self.program.relro.clone() else { return Ok(()) };
        // SAFETY: whole pages of a writable segment of ours.
        match unsafe { libc::mprotect(self.address(start), end - start, libc::PROT_READ) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the whole of our reservation, which nobody uses any more.
        unsafe { libc::munmap(self.address(0), self.program.size) };
    }
}
