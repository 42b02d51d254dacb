//! Three VMs at once in one process, started and stopped again and again, and what stays behind.

use crate::common::{Usage, in_process, spec, start, try_start};
use sampan_emulator::{Exit, LaunchSpec};

/// Fewer where a process has fewer keys, which each VM keeps some of.
const ROUNDS: usize = if cfg!(target_env = "gnu") { 10 } else { 4 };
const AT_ONCE: usize = 3;
const FAILURES: usize = 5;

/// What a copy keeps of them, without a display: `keys::enough` counts on it.
const KEYS_OF_A_COPY: usize = 5;

/// Of each VM, all in use; most of what a VM takes, so that keeping it would show.
const GUEST_MIB: usize = 64;

/// The only test of its program, so that what it counts is its own.
#[test]
fn three_at_once_again_and_again() {
    let launcher = in_process();
    let before = Usage::now();
    let mut after = before;
    for round in 0..ROUNDS {
        let vms: Vec<_> = (0..AT_ONCE).map(|i| start(&launcher, full(&format!("{round}.{i}")))).collect();
        let during = Usage::now();
        for vm in vms {
            assert_eq!(vm.quit(), Exit::Clean);
        }
        after = Usage::now();
        println!("round {round}: with {AT_ONCE} VMs {during:?}, after {after:?}");
    }
    let runs = ROUNDS * AT_ONCE;
    let (threads, fds) = (after.threads - before.threads, after.fds - before.fds);
    let anonymous = (after.anonymous_kib - before.anonymous_kib) / runs;
    let file = (after.file_kib - before.file_kib) / runs;
    println!(
        "left behind by {runs} runs: {threads} threads, {fds} fds; by each {anonymous} KiB and {file} KiB of its copy"
    );
    // What docs/emulator.md says. The supervisors of the last round may still be ending.
    assert!(threads <= AT_ONCE, "{threads} threads");
    assert!(fds <= runs, "{fds} fds");
    // The program's own threads make a few at their first use; fewer than one for each copy.
    let keys = before.free_keys - after.free_keys;
    assert!(keys < (KEYS_OF_A_COPY + 1) * runs, "{keys} keys");
    assert!(anonymous < GUEST_MIB / 4 * 1024, "{anonymous} KiB");

    // QEMU that gives up cleans nothing up; what it leaves is bounded all the same.
    let before = Usage::now();
    for i in 0..FAILURES {
        let mut wrong = spec(&format!("wrong {i}"));
        wrong.args(["-device", "no-such-device"]);
        assert!(matches!(try_start(&launcher, wrong).unwrap().wait(), Exit::Failed { .. }));
    }
    let after = Usage::now();
    let (threads, fds) = (after.threads.saturating_sub(before.threads), after.fds - before.fds);
    println!("left behind by {FAILURES} failures: {threads} threads, {fds} fds");
    // RCU's, GLib's and supervisors that still end. One that serves the monitor would close a number that is somebody else's by then.
    assert!(threads < 3 * FAILURES, "{threads} threads");
    assert!(fds <= 8 * FAILURES, "{fds} fds");
}

/// A machine whose memory is all in use.
fn full(name: &str) -> LaunchSpec {
    let mut spec = spec(name);
    spec.args(["-m", &GUEST_MIB.to_string(), "-mem-prealloc"]);
    spec
}
