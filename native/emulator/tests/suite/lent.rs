//! The sockets of a VM that ends in the middle of a run.

use crate::common::{exiting_on_a_cpu, in_process, spec, start, try_start};
use sampan_emulator::Exit;
use std::sync::Mutex;

/// What is counted is the whole process's.
static ALONE: Mutex<()> = Mutex::new(());

/// QEMU's ends of them: the monitor and the serial line.
const LENT: usize = 2;

fn sockets() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

/// `exit()` on a CPU's thread: the others may still be at work, and would write to whatever gets these numbers next.
#[test]
fn what_an_arm_machines_cpus_may_still_write_to_is_hung_up_and_nobody_elses() {
    let _alone = ALONE.lock().unwrap();
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

/// `exit()` on the main thread, here for a state that is none: our own loader ends all CPUs, and then gives the numbers back.
#[test]
fn what_cpus_that_have_been_ended_wrote_to_is_given_back() {
    let _alone = ALONE.lock().unwrap();
    let mut spec = spec("incoming");
    spec.args(["-incoming", "defer"]);
    let before = sockets();
    let mut vm = start(&in_process(), spec);
    vm.ask(r#"{"execute":"migrate-incoming","arguments":{"uri":"file:/dev/null"}}"#);
    vm.read_qmp_to_end();
    assert!(matches!(vm.wait(), Exit::Failed { .. }));
    let copied = cfg!(target_env = "gnu");
    assert_eq!(sockets(), before + if copied { LENT } else { 0 });
}
