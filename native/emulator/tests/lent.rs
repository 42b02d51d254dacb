//! The sockets of a VM that ends in the middle of a run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{exiting_on_a_cpu, in_process, spec, try_start};
use sampan_emulator::Exit;

/// QEMU's ends of them: the monitor and the serial line.
const LENT: usize = 2;

fn sockets() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

/// The only test of its program, so that what it counts is its own. `exit()` on a CPU's thread: the others may still be at
/// work, and would write to whatever gets these numbers next.
#[test]
fn what_its_cpus_may_still_write_to_is_hung_up_and_nobody_elses() {
    let launcher = in_process();
    let mut failed = spec("a start that fails");
    failed.args(["-device", "no-such-device"]);
    let before = sockets();
    assert!(matches!(try_start(&launcher, failed).unwrap().wait(), Exit::Failed { .. }));
    assert_eq!(sockets(), before, "nothing has run: both are closed");

    let (_folder, spec) = exiting_on_a_cpu(7);
    let mut vm = try_start(&launcher, spec).unwrap();
    vm.read_qmp_to_end();
    assert!(matches!(vm.wait(), Exit::Failed { status: 7, .. }));
    assert_eq!(sockets(), before + LENT);
}
