//! QEMUs in one process make coroutines at the same moment: what one does to the process for that is not the others' end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Barrier;
use std::thread;

use common::{in_process, spec, start};
use sampan_emulator::Exit;

const AT_ONCE: usize = 3;
/// Under way at the same time, so that each needs a coroutine of its own, which QEMU has to make.
const READS: usize = 300;

#[test]
fn three_vms_make_coroutines_at_once() {
    let launcher = in_process();
    let barrier = Barrier::new(AT_ONCE);
    thread::scope(|scope| {
        for i in 0..AT_ONCE {
            let (launcher, barrier) = (&launcher, &barrier);
            scope.spawn(move || {
                let mut spec = spec(&format!("reader {i}"));
                // A second for each read.
                spec.args(["-drive", "if=none,id=slow,driver=null-co,read-zeroes=on,latency-ns=1000000000"]);
                let mut vm = start(launcher, spec);
                barrier.wait();
                for _ in 0..READS {
                    let read = r#"{"execute":"human-monitor-command","arguments":{"command-line":"qemu-io slow \"aio_read -q 0 512\""}}"#;
                    let answer = vm.execute(read);
                    assert!(answer.contains(r#""return": """#), "{answer}");
                }
                assert_eq!(vm.quit(), Exit::Clean);
            });
        }
    });
}
