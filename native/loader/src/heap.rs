//! A heap for each run, dropped whole after it. Pointers that are not its own are libc's.
//!
//! Small blocks come from one reserved range, so that a comparison tells whose a pointer is; large ones are
//! mappings of their own, which go back to the system when they are freed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::sync::Mutex;

use dlmalloc::{Allocator, Dlmalloc};

use crate::lock::locked;
use crate::mapping::page_size;

/// Tried in this order: address space alone, but some systems count it.
const RESERVED: [usize; 3] = [1 << 30, 1 << 28, 1 << 26];

const LARGE: usize = 1 << 18;

const MALLOC_ALIGN: usize = 16;

/// The reserved range, used from its start.
struct Range {
    start: usize,
    size: usize,
    used: Cell<usize>,
    page: usize,
}

// SAFETY: every block is within the mapped range, no two overlap, and what is given back is its end.
unsafe impl Allocator for Range {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let size = size.next_multiple_of(self.page);
        let start = self.used.get();
        if size > self.size - start {
            return (ptr::null_mut(), 0, 0);
        }
        self.used.set(start + size);
        (ptr::with_exposed_provenance_mut(self.start + start), size, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, block: *mut u8, old: usize, new: usize) -> bool {
        let (keep, end) = (block.addr() - self.start + new, block.addr() - self.start + old);
        if end != self.used.get() || !keep.is_multiple_of(self.page) {
            return false;
        }
        self.used.set(keep);
        // SAFETY: whole pages of our range that hold nothing any more.
        unsafe { libc::madvise(block.add(new).cast(), old - new, libc::MADV_DONTNEED) };
        true
    }

    fn free(&self, block: *mut u8, size: usize) -> bool {
        self.free_part(block, size, 0)
    }

    fn can_release_part(&self, _: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        self.page
    }
}

fn map(size: usize, flags: c_int) -> Option<NonNull<u8>> {
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory, at an address of the system's choice.
    let memory =
        unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if memory == libc::MAP_FAILED { None } else { NonNull::new(memory.cast()) }
}

fn unmap(start: usize, size: usize) {
    // SAFETY: only called for what `map` gave and nobody uses any more.
    unsafe { libc::munmap(ptr::with_exposed_provenance_mut(start), size) };
}

/// See the module. Everything is unmapped when it is dropped.
pub(crate) struct Heap {
    start: usize,
    size: usize,
    small: Mutex<Dlmalloc<Range>>,
    /// By address: the size of the mapping, and where it really begins.
    large: Mutex<BTreeMap<usize, Large>>,
}

#[derive(Clone, Copy)]
struct Large {
    start: usize,
    size: usize,
}

impl Heap {
    /// `None` where the system has no address space left.
    pub(crate) fn new() -> Option<Self> {
        Self::of(&RESERVED)
    }

    fn of(sizes: &[usize]) -> Option<Self> {
        let (size, memory) = sizes.iter().find_map(|size| Some((*size, map(*size, libc::MAP_NORESERVE)?)))?;
        let start = memory.as_ptr().expose_provenance();
        let range = Range { start, size, used: Cell::new(0), page: page_size() };
        let small = Mutex::new(Dlmalloc::new_with_allocator(range));
        Some(Self { start, size, small, large: Mutex::default() })
    }

    fn is_small(&self, block: *mut u8) -> bool {
        block.addr().wrapping_sub(self.start) < self.size
    }

    /// Is it a block of this heap?
    pub(crate) fn has(&self, block: *mut u8) -> bool {
        self.is_small(block) || locked(&self.large).contains_key(&block.addr())
    }

    /// Null where there is no memory left. `align` is a power of two.
    pub(crate) fn allocate(&self, size: usize, align: usize) -> *mut u8 {
        if size < LARGE && align < LARGE {
            let align = align.max(MALLOC_ALIGN);
            // SAFETY: any size and any power of two will do.
            let block = unsafe { locked(&self.small).c_memalign(align, size) };
            if !block.is_null() {
                return block;
            }
        }
        self.allocate_large(size, align)
    }

    fn allocate_large(&self, size: usize, align: usize) -> *mut u8 {
        let page = page_size();
        let Some(whole) = size.max(1).checked_next_multiple_of(page) else { return ptr::null_mut() };
        let spare = if align > page { align } else { 0 };
        let Some(total) = whole.checked_add(spare) else { return ptr::null_mut() };
        let Some(memory) = map(total, 0) else { return ptr::null_mut() };
        let start = memory.as_ptr().expose_provenance();
        let block = if spare > 0 { start.next_multiple_of(align) } else { start };
        locked(&self.large).insert(block, Large { start, size: total });
        ptr::with_exposed_provenance_mut(block)
    }

    /// As `calloc`, of a size that did not overflow.
    pub(crate) fn allocate_zeroed(&self, size: usize) -> *mut u8 {
        let block = self.allocate(size, MALLOC_ALIGN);
        if self.is_small(block) {
            // SAFETY: a new block of this size; a large one is new memory of the system's.
            unsafe { ptr::write_bytes(block, 0, size) };
        }
        block
    }

    /// # Safety
    /// `block` is of this heap and not used any more.
    pub(crate) unsafe fn free(&self, block: *mut u8) {
        if self.is_small(block) {
            // SAFETY: the caller's.
            unsafe { locked(&self.small).c_free(block) };
        } else if let Some(large) = locked(&self.large).remove(&block.addr()) {
            unmap(large.start, large.size);
        }
    }

    /// # Safety
    /// `block` is of this heap; it is used no more unless the answer is null.
    pub(crate) unsafe fn resize(&self, block: *mut u8, size: usize) -> *mut u8 {
        if self.is_small(block) {
            // SAFETY: the caller's.
            let moved = unsafe { locked(&self.small).c_realloc(block, size) };
            return if moved.is_null() { self.move_out(block, size) } else { moved };
        }
        if let Some(moved) = self.resize_large(block, size) {
            return moved;
        }
        let room = locked(&self.large).get(&block.addr()).map_or(0, |l| l.start + l.size - block.addr());
        let moved = self.allocate(size, MALLOC_ALIGN);
        if !moved.is_null() {
            // SAFETY: both are blocks of at least this size, and different ones.
            unsafe {
                ptr::copy_nonoverlapping(block, moved, room.min(size));
                self.free(block);
            }
        }
        moved
    }

    /// A small block for which the range has no more room. How large it is only dlmalloc knows: not larger than the
    /// rest of the range, all of which can be read.
    fn move_out(&self, block: *mut u8, size: usize) -> *mut u8 {
        let moved = self.allocate_large(size, MALLOC_ALIGN);
        if !moved.is_null() {
            let most = self.start + self.size - block.addr();
            // SAFETY: see above; a new block of this size; and the old one is given up.
            unsafe {
                ptr::copy_nonoverlapping(block, moved, most.min(size));
                self.free(block);
            }
        }
        moved
    }

    /// The system moves pages without copying them.
    fn resize_large(&self, block: *mut u8, size: usize) -> Option<*mut u8> {
        let mut large = locked(&self.large);
        let old = *large.get(&block.addr()).filter(|old| old.start == block.addr())?;
        let size = size.max(1).checked_next_multiple_of(page_size())?;
        // SAFETY: the whole of a mapping of ours.
        let moved = unsafe { libc::mremap(block.cast(), old.size, size, libc::MREMAP_MAYMOVE) };
        if moved == libc::MAP_FAILED {
            return None;
        }
        large.remove(&block.addr());
        let start = moved.expose_provenance();
        large.insert(start, Large { start, size });
        Some(moved.cast())
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        unmap(self.start, self.size);
        for large in locked(&self.large).values() {
            unmap(large.start, large.size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(heap: &Heap, size: usize, align: usize, with: u8) -> *mut u8 {
        let block = heap.allocate(size, align);
        assert!(!block.is_null() && block.addr().is_multiple_of(align) && heap.has(block));
        // SAFETY: a block of this size.
        unsafe { ptr::write_bytes(block, with, size) };
        block
    }

    fn holds(block: *const u8, size: usize, byte: u8) -> bool {
        // SAFETY: written before, at least as long.
        unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|b| *b == byte)
    }

    #[test]
    fn blocks_of_all_sizes_keep_what_is_in_them() {
        let heap = Heap::new().unwrap();
        let sizes = [1, 24, 4096, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE];
        let blocks: Vec<_> =
            (1u8..).zip(sizes).map(|(n, size)| (n, size, filled(&heap, size, 16, n))).collect();
        for (n, size, block) in blocks {
            for other in [1, size / 2, 2 * size, 5 * LARGE] {
                // SAFETY: blocks of this heap, of these sizes.
                let grown = unsafe { heap.resize(filled(&heap, size, 16, n), other) };
                assert!(holds(grown, size.min(other), n), "{size} to {other}");
                // SAFETY: not used any more.
                unsafe { heap.free(grown) };
            }
            assert!(holds(block, size, n), "{size}");
        }
    }

    #[test]
    fn alignment_is_kept_and_zeroes_are_zeroes() {
        let heap = Heap::new().unwrap();
        for align in [16, 64, 4096, 1 << 16, 1 << 21] {
            for size in [1, 100, LARGE] {
                let block = filled(&heap, size, align, 0xff);
                // SAFETY: of this heap, not used any more.
                unsafe { heap.free(block) };
                let zeroed = heap.allocate_zeroed(size);
                assert!(holds(zeroed, size, 0), "{size}");
            }
        }
    }

    #[test]
    fn a_small_block_grows_when_the_range_is_full() {
        let heap = Heap::of(&[4 * LARGE]).unwrap();
        let block = filled(&heap, 1000, 16, 7);
        while heap.is_small(filled(&heap, LARGE / 2, 16, 8)) {}
        // SAFETY: of this heap, of this size.
        let grown = unsafe { heap.resize(block, LARGE / 2) };
        assert!(!grown.is_null() && !heap.is_small(grown) && holds(grown, 1000, 7));
        let again = filled(&heap, 1000, 16, 9);
        assert!(heap.is_small(again) && holds(grown, 1000, 7), "the old block can be had again");
    }

    #[test]
    fn others_blocks_are_not_its_own() {
        let (heap, other) = (Heap::new().unwrap(), Heap::new().unwrap());
        let mut local = 0;
        assert!(!heap.has(&raw mut local) && !heap.has(ptr::null_mut()));
        for size in [8, LARGE] {
            assert!(!heap.has(other.allocate(size, 16)));
        }
    }

    #[test]
    fn what_is_freed_is_used_again() {
        let heap = Heap::new().unwrap();
        for _ in 0..100_000 {
            let block = heap.allocate(1 << 16, 16);
            // SAFETY: of this heap, not used any more.
            unsafe { heap.free(block) };
        }
        assert!(locked(&heap.small).allocator().used.get() < 1 << 20);
        assert!(locked(&heap.large).is_empty());
    }
}
