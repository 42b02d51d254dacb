//! The locks of the functions that a library gets in place of libc's.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Not `parking_lot`'s: a thread that waits for one of those has thread-local data, which on OpenHarmony takes one of the
/// process's 128 keys of thread-specific data, and memory; and memory is what these locks give out. What they guard is
/// whole between calls, so a poisoned one is as good as any.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
