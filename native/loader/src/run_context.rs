//! `c/inside.h` in Rust.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

/// `struct sampan_inside` of `c/inside.h`: a run, as C knows it.
#[repr(C)]
pub struct RawInside {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawVisit {
    _opaque: [u8; 0],
}

// SAFETY: the declarations mirror c/inside.h.
unsafe extern "C" {
    fn sampan_inside_new(owner: *const c_void, base: *mut u8, size: usize) -> *mut RawInside;
    fn sampan_inside_free(inside: *mut RawInside);
    fn sampan_inside_enter(inside: *mut RawInside) -> *mut RawVisit;
    fn sampan_inside_leave(visit: *mut RawVisit);
    fn sampan_inside_owner() -> *mut c_void;
    fn sampan_inside_name(name: *const c_char) -> *const c_void;
    fn sampan_inside_end(inside: *mut RawInside, milliseconds: c_int) -> c_int;
    fn sampan_inside_take_back(inside: *mut RawInside) -> usize;
}

/// The owner that the run on this thread was made with; null for none.
pub(crate) fn owner() -> *mut c_void {
    // SAFETY: asks only.
    unsafe { sampan_inside_owner() }
}

/// What a library gets in libc's stead.
pub(crate) fn name(name: &CStr) -> Option<usize> {
    // SAFETY: a string.
    let address = unsafe { sampan_inside_name(name.as_ptr()) };
    (!address.is_null()).then(|| address.expose_provenance())
}

/// A run's threads, and which thread is in it.
pub(crate) struct Inside(NonNull<RawInside>);

// SAFETY: every function locks what it changes.
unsafe impl Send for Inside {}
// SAFETY: as above.
unsafe impl Sync for Inside {}

impl Inside {
    /// # Safety
    /// `owner` stays until the run is [freed](Self::free), and so does the library at `base`.
    pub(crate) unsafe fn new(owner: *const c_void, base: NonNull<u8>, size: usize) -> Option<Self> {
        // SAFETY: the caller's.
        NonNull::new(unsafe { sampan_inside_new(owner, base.as_ptr(), size) }).map(Self)
    }

    pub(crate) fn raw(&self) -> *mut RawInside {
        self.0.as_ptr()
    }

    /// Calls the library: for the call this thread is one of the run's.
    pub(crate) fn visit<T>(&self, call: impl FnOnce() -> T) -> T {
        // SAFETY: entered and left in pairs, on one thread; what is called may end the process, but does not unwind,
        // as it is C.
        unsafe {
            let visit = sampan_inside_enter(self.raw());
            let result = call();
            sampan_inside_leave(visit);
            result
        }
    }

    /// Ends all threads that are left; false if one does not stop in time, and then all go on.
    #[must_use]
    pub(crate) fn end(&self, patience: Duration) -> bool {
        let milliseconds = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: waits for other threads; this one is none of them.
        unsafe { sampan_inside_end(self.raw(), milliseconds) == 0 }
    }

    /// Descriptors and signal handlers; returns how many descriptors were closed.
    pub(crate) fn take_back(&self) -> usize {
        // SAFETY: as above.
        unsafe { sampan_inside_take_back(self.raw()) }
    }

    /// # Safety
    /// Nobody is in the run, or ever will be; this is not used again.
    pub(crate) unsafe fn free(&self) {
        // SAFETY: the caller's.
        unsafe { sampan_inside_free(self.raw()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before there is a run our key is nobody's, and its number may be anybody's.
    #[test]
    fn other_peoples_keys_are_no_run() {
        let mut keys = Vec::new();
        for _ in 0..32 {
            let mut key = 0;
            // SAFETY: the key is written; its values have no destructor.
            let made = unsafe { libc::pthread_key_create(&mut key, None) };
            assert_eq!(made, 0);
            keys.push(key);
        }
        for key in &keys {
            // SAFETY: a key made above; nobody follows the value.
            unsafe { libc::pthread_setspecific(*key, NonNull::<c_void>::dangling().as_ptr()) };
        }
        assert!(owner().is_null());
        for key in keys {
            // SAFETY: made above.
            unsafe { libc::pthread_key_delete(key) };
        }
    }
}
