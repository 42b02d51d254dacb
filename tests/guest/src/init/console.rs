//! Words for the serial console.

use std::io::Write;

/// Prints one line. A console that is gone must not stop the guest, so errors are dropped.
pub fn say(line: &str) {
    // One write, so that the kernel's own lines do not come in between.
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}
