//! What a run has mapped and opened and not given back yet.

use std::collections::BTreeMap;
use std::ffi::c_void;

use rangemap::RangeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    File,
    Folder,
}

// SAFETY: as declared by libc; they are not in the libc crate.
unsafe extern "C" {
    fn ftrylockfile(file: *mut libc::FILE) -> libc::c_int;
    fn funlockfile(file: *mut libc::FILE);
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct RunResources {
    /// Address ranges.
    pub(crate) mapped: RangeSet<usize>,
    /// Pointers that libc gave.
    pub(crate) streams: BTreeMap<usize, Stream>,
}

impl RunResources {
    /// Closes what is open. What was to be written to a stream is written, by the library's own code where it is
    /// a stream of the library's own.
    pub(crate) fn close(&mut self) -> usize {
        let streams = std::mem::take(&mut self.streams);
        for (address, kind) in &streams {
            let stream: *mut c_void = std::ptr::with_exposed_provenance_mut(*address);
            // SAFETY: libc gave it to the run, which has ended and has not closed it. A stream that is locked by a
            // thread that is gone can never be closed.
            unsafe {
                match kind {
                    Stream::Folder => drop(libc::closedir(stream.cast())),
                    Stream::File if ftrylockfile(stream.cast()) == 0 => {
                        funlockfile(stream.cast());
                        libc::fclose(stream.cast());
                    }
                    Stream::File => {}
                }
            }
        }
        streams.len()
    }

    /// Unmaps what is mapped; returns how many pieces.
    pub(crate) fn unmap(&mut self) -> usize {
        let ranges = std::mem::take(&mut self.mapped);
        for range in ranges.iter() {
            // SAFETY: mapped by the run, which has ended, and not unmapped by it: nobody else's.
            unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(range.start), range.len()) };
        }
        ranges.len()
    }
}
