//! QEMUs in one process make coroutines at the same moment: what one does to the process for that is not the others' end.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crate::common::{in_process, spec, start};
use sampan_emulator::Exit;

const AT_ONCE: usize = 3;
/// Copies of slow disks that each makes, and the reads of each that are under way at the same time: every one has a coroutine
/// of its own, which QEMU has to make.
const COPIES: usize = 5;
const READS: usize = 64;

#[test]
fn three_vms_make_coroutines_at_once() {
    let launcher = in_process();
    let barrier = Barrier::new(AT_ONCE);
    thread::scope(|scope| {
        for i in 0..AT_ONCE {
            let (launcher, barrier) = (&launcher, &barrier);
            scope.spawn(move || {
                let mut spec = spec(&format!("reader {i}"));
                for copy in 0..COPIES {
                    // A tenth of a second for each read.
                    let node = |name: &str| format!("driver=null-co,size=8388608,read-zeroes=off,node-name={name}{copy}");
                    spec.args(["-blockdev", &format!("{},latency-ns=100000000", node("slow"))]);
                    spec.args(["-blockdev", &node("target")]);
                }
                let mut vm = start(launcher, spec);
                barrier.wait();
                // Not by the monitor's qemu-io: it reads its options by libc's getopt, whose state is the process's.
                for copy in 0..COPIES {
                    let answer = vm.execute(&format!(
                        r#"{{"execute":"blockdev-backup","arguments":{{"job-id":"copy{copy}","device":"slow{copy}","target":"target{copy}","sync":"full","x-perf":{{"max-workers":{READS},"max-chunk":65536}}}}}}"#
                    ));
                    assert!(answer.contains(r#""return": {}"#), "{answer}");
                }
                // Each has read something: its coroutines were made.
                while vm.execute(r#"{"execute":"query-block-jobs"}"#).matches(r#""offset": 0"#).count() > 0 {
                    thread::sleep(Duration::from_millis(50));
                }
                assert_eq!(vm.quit(), Exit::Clean);
            });
        }
    });
}
