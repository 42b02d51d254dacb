//! Keys of thread-specific data (`pthread_key_create`). A process has 128 with musl and with OpenHarmony's libc, 1024 with glibc;
//! each copy of libqemu keeps some for ever, and GLib ends the process when there is none. So they are counted before.

use std::sync::{Mutex, PoisonError};

/// What a copy takes: 5 (`tests/suite/leaks.rs`), and 3 more with the D-Bus display.
const OF_A_COPY: usize = 8;
/// For variables of the program that no thread has used yet, and for copies that are loaded and have not taken theirs.
const SPARE: usize = 3 * OF_A_COPY;

/// Is there room for one more copy, and something to spare? There is no counting keys but by making them: where fewer are left,
/// there is none for a moment.
pub(crate) fn enough() -> bool {
    // Two that count would take each other's. Not `parking_lot`'s: a thread that waits for one of those may need a key for
    // it just when there is none.
    static COUNTING: Mutex<()> = Mutex::new(());
    let _guard = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = [0; OF_A_COPY + SPARE];
    let mut count = 0;
    // SAFETY: the key is written when the call succeeds; it has no destructor.
    while count < taken.len() && unsafe { libc::pthread_key_create(&mut taken[count], None) } == 0 {
        count += 1;
    }
    for key in &taken[..count] {
        // SAFETY: made above, and nobody else knows it.
        unsafe { libc::pthread_key_delete(*key) };
    }
    count == taken.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_seen_before_it_comes() {
        assert!(enough());
        let mut keys = Vec::new();
        while enough() {
            let mut key = 0;
            // SAFETY: as above.
            let refused = unsafe { libc::pthread_key_create(&mut key, None) };
            assert_eq!(refused, 0, "there was more than one left");
            keys.push(key);
        }
        for key in keys {
            // SAFETY: made above.
            unsafe { libc::pthread_key_delete(key) };
        }
        assert!(enough());
    }
}
