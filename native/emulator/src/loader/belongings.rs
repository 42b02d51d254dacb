//! What a run has mapped and opened and not given back yet.

use std::collections::BTreeMap;
use std::ffi::c_void;

/// Address ranges by their start, none touching another's inside.
#[derive(Debug, Default)]
pub(crate) struct Ranges(BTreeMap<usize, usize>);

impl Ranges {
    pub(crate) fn add(&mut self, start: usize, end: usize) {
        self.remove(start, end);
        self.0.insert(start, end);
    }

    /// Of any number of ranges, any part.
    pub(crate) fn remove(&mut self, start: usize, end: usize) {
        let touched: Vec<_> =
            self.0.range(..end).rev().take_while(|(_, e)| **e > start).map(|(s, e)| (*s, *e)).collect();
        for (from, to) in touched {
            self.0.remove(&from);
            if from < start {
                self.0.insert(from, start);
            }
            if to > end {
                self.0.insert(end, to);
            }
        }
    }

    fn unmap(&mut self) -> usize {
        let ranges = std::mem::take(&mut self.0);
        for (start, end) in &ranges {
            // SAFETY: mapped by the run, which has ended, and not unmapped by it: nobody else's.
            unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(*start), end - start) };
        }
        ranges.len()
    }
}

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
pub(crate) struct Belongings {
    pub(crate) mapped: Ranges,
    /// Pointers that libc gave.
    pub(crate) streams: BTreeMap<usize, Stream>,
}

impl Belongings {
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
        self.mapped.unmap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(given: &[(usize, usize)]) -> Ranges {
        let mut ranges = Ranges::default();
        given.iter().for_each(|(start, end)| ranges.add(*start, *end));
        ranges
    }

    fn left(ranges: &Ranges) -> Vec<(usize, usize)> {
        ranges.0.iter().map(|(s, e)| (*s, *e)).collect()
    }

    #[test]
    fn any_part_may_go() {
        for ((start, end), expected) in [
            ((10, 20), vec![(30, 40)]),
            ((12, 15), vec![(10, 12), (15, 20), (30, 40)]),
            ((0, 15), vec![(15, 20), (30, 40)]),
            ((15, 35), vec![(10, 15), (35, 40)]),
            ((0, 100), vec![]),
            ((20, 30), vec![(10, 20), (30, 40)]),
            ((40, 50), vec![(10, 20), (30, 40)]),
        ] {
            let mut ranges = ranges(&[(10, 20), (30, 40)]);
            ranges.remove(start, end);
            assert_eq!(left(&ranges), expected, "without {start} to {end}");
        }
    }

    #[test]
    fn what_is_mapped_over_counts_once() {
        assert_eq!(left(&ranges(&[(10, 40), (20, 30)])), [(10, 20), (20, 30), (30, 40)]);
        assert_eq!(left(&ranges(&[(20, 30), (10, 40)])), [(10, 40)]);
    }
}
