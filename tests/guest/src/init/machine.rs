//! File systems, the clock, and the end.

use std::fs;
use std::time::Duration;

use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};
use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

/// How the machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Powered off.
    PowerOff,
    /// Started again.
    Restart,
}

/// Mounts what the kernel offers at its usual places.
pub fn mount_file_systems() -> Result<(), Failure> {
    for (kind, at) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        fs::create_dir_all(at).map_err(|error| format!("cannot create {at}: {error}"))?;
        match mount(kind, at, kind, MountFlags::empty(), c"") {
            // The kernel may have mounted /dev by itself.
            Ok(()) | Err(rustix::io::Errno::BUSY) => {}
            Err(error) => return Err(format!("cannot mount {kind} on {at}: {error}").into()),
        }
    }
    Ok(())
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // Both are never negative on this clock.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Ends the machine; does not return.
pub fn stop(end: End) -> ! {
    rustix::fs::sync();
    let command = match end {
        End::PowerOff => RebootCommand::PowerOff,
        End::Restart => RebootCommand::Restart,
    };
    if let Err(error) = reboot(command) {
        crate::console::say(&format!("sampan-guest: cannot stop the machine: {error}"));
    }
    // Init must not return, even from a machine that will not stop.
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
