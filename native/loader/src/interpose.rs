//! What the library's code and `c/*.c` call: the heap's functions by libc's names, and notes of what a run
//! owns.

use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;
use std::ptr;
use std::sync::{Mutex, MutexGuard};

use crate::heap::Heap;
use crate::lock::locked;
use crate::mapping::page_size;
use crate::run_context;
use crate::run_resources::{RunResources, Stream};

/// What a run owns. Shared with all its threads.
pub(crate) struct Owner {
    pub(crate) heap: Heap,
    resources: Mutex<RunResources>,
}

/// The owners there are, for a block that is freed on a thread of nobody's.
static OWNERS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl Owner {
    /// `None` where there is no address space left. To be given to [`Owner::drop_raw`].
    pub(crate) fn new_raw() -> Option<*const Self> {
        let owner = Box::new(Self { heap: Heap::new()?, resources: Mutex::default() });
        let owner: *const Self = Box::into_raw(owner);
        locked(&OWNERS).push(owner.expose_provenance());
        Some(owner)
    }

    /// # Safety
    /// `owner` is of [`Owner::new_raw`], and nobody uses it or anything on its heap any more.
    pub(crate) unsafe fn drop_raw(owner: *const Self) {
        locked(&OWNERS).retain(|other| *other != owner.addr());
        // SAFETY: the caller's.
        drop(unsafe { Box::from_raw(owner.cast_mut()) });
    }

    pub(crate) fn resources(&self) -> MutexGuard<'_, RunResources> {
        locked(&self.resources)
    }
}

/// That of this thread's run.
fn owner<'a>() -> Option<&'a Owner> {
    // SAFETY: what `run_context::Inside::new` was given, and for as long as this thread is in the run.
    unsafe { run_context::owner().cast::<Owner>().as_ref() }
}

/// Calls `with` for the heap that has the block; `None` for a block of libc's.
fn for_heap<T>(block: *mut c_void, with: impl Fn(&Heap) -> T) -> Option<T> {
    if let Some(owner) = owner() {
        return owner.heap.has(block.cast()).then(|| with(&owner.heap));
    }
    let owners = locked(&OWNERS);
    // SAFETY: those in the list exist, and none is dropped before it is taken from it.
    let mut all = owners.iter().map(|o| unsafe { &*ptr::with_exposed_provenance::<Owner>(*o) });
    all.find(|owner| owner.heap.has(block.cast())).map(|owner| with(&owner.heap))
}

/// As `aligned_alloc`; libc's where no run is at work.
fn allocate(align: usize, size: usize) -> *mut c_void {
    match owner() {
        Some(owner) => owner.heap.allocate(size, align).cast(),
        // SAFETY: any size will do, and any power of two.
        None => unsafe { libc::memalign(align.max(16), size) },
    }
}

#[unsafe(no_mangle)]
extern "C" fn sampan_malloc(size: usize) -> *mut c_void {
    allocate(1, size)
}

extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    match (owner(), count.checked_mul(size)) {
        (Some(owner), Some(size)) => owner.heap.allocate_zeroed(size).cast(),
        (Some(_), None) => ptr::null_mut(),
        // SAFETY: any size will do.
        (None, _) => unsafe { libc::calloc(count, size) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sampan_realloc(old: *mut c_void, size: usize) -> *mut c_void {
    if old.is_null() {
        return sampan_malloc(size);
    }
    // SAFETY: the caller's: a block that is his.
    let moved = for_heap(old, |heap| unsafe { heap.resize(old.cast(), size) });
    // SAFETY: as above; it is none of ours.
    moved.map_or_else(|| unsafe { libc::realloc(old, size) }, <*mut u8>::cast)
}

unsafe extern "C" fn reallocarray(old: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's.
        Some(size) => unsafe { sampan_realloc(old, size) },
        None => ptr::null_mut(),
    }
}

unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: the caller's: a block that is his, and used no more.
    if for_heap(block, |heap| unsafe { heap.free(block.cast()) }).is_none() {
        // SAFETY: as above; it is none of ours.
        unsafe { libc::free(block) };
    }
}

extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if align.is_power_of_two() { allocate(align, size) } else { ptr::null_mut() }
}

unsafe extern "C" fn posix_memalign(result: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || align < size_of::<usize>() {
        return libc::EINVAL;
    }
    let block = allocate(align, size);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's: a place for a pointer.
    unsafe { *result = block };
    0
}

/// A function of the heap by its name.
pub(crate) fn heap_function(name: &CStr) -> Option<usize> {
    let function: *const () = match name.to_bytes() {
        b"malloc" => sampan_malloc as *const (),
        b"calloc" => calloc as *const (),
        b"realloc" => sampan_realloc as *const (),
        b"reallocarray" => reallocarray as *const (),
        b"free" => free as *const (),
        b"aligned_alloc" | b"memalign" => aligned_alloc as *const (),
        b"posix_memalign" => posix_memalign as *const (),
        _ => return None,
    };
    Some(function.expose_provenance())
}

/// # Safety
/// What C was given for the run that calls.
unsafe fn note(owner: *mut c_void, note: impl FnOnce(&mut RunResources)) {
    // SAFETY: the caller's.
    if let Some(owner) = unsafe { owner.cast::<Owner>().as_ref() } {
        note(&mut owner.resources());
    }
}

/// Whole pages; none for nothing, which `munmap` refuses.
fn pages(start: *mut c_void, size: usize) -> Option<Range<usize>> {
    let start = start.expose_provenance();
    let end = start.checked_add(size.checked_next_multiple_of(page_size())?)?;
    (end > start).then_some(start..end)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sampan_mapped(owner: *mut c_void, start: *mut c_void, size: usize) {
    let Some(range) = pages(start, size) else { return };
    // SAFETY: `c/memory.c` passes what it was given.
    unsafe { note(owner, |b| b.mapped.insert(range)) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sampan_unmapped(owner: *mut c_void, start: *mut c_void, size: usize) {
    let Some(range) = pages(start, size) else { return };
    // SAFETY: as above.
    unsafe { note(owner, |b| b.mapped.remove(range)) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sampan_opened(owner: *mut c_void, stream: *mut c_void, kind: c_int) {
    let kind = if kind == 0 { Stream::File } else { Stream::Folder };
    // SAFETY: `c/streams.c` passes what it was given.
    unsafe { note(owner, |b| _ = b.streams.insert(stream.expose_provenance(), kind)) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sampan_closed(owner: *mut c_void, stream: *mut c_void) {
    // SAFETY: as above.
    unsafe { note(owner, |b| _ = b.streams.remove(&stream.addr())) };
}
