//! Memory that an encoder had, and the system does not have back yet.
#![allow(unsafe_code)]

/// Gives the system back what is free. An encoder of a 1080p picture frees some 30 MiB when its last viewer has gone, in pieces that
/// glibc keeps for whoever asks next, for hours if nobody does. Other allocators give back by themselves, or have no such call.
pub fn give_back() {
    // SAFETY: takes no pointer, and any thread may call it at any time (malloc_trim(3)).
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}
