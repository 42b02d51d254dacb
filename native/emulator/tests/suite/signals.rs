//! A VM in this process leaves the process's signals as they are, before, during and after.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::common::{PATIENCE, in_process, spec, start, try_start};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;
use sampan_emulator::Exit;

static CAUGHT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::SeqCst);
}

/// By it libc tells the kernel how its handlers return; musl sets it for a default action too.
const SA_RESTORER: libc::c_int = 0x0400_0000;

/// What the process does about each signal, and which of them this thread blocks.
fn dispositions() -> (Vec<(Signal, usize, i32)>, Vec<Signal>) {
    let actions = Signal::iterator()
        .map(|signal| {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: asks only; the struct is valid for writing, and any bytes are a value of it.
            let action = unsafe {
                libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr());
                action.assume_init()
            };
            (signal, action.sa_sigaction, action.sa_flags & !SA_RESTORER)
        })
        .collect();
    (actions, SigSet::thread_get_mask().unwrap().iter().collect())
}

/// The only test of its program, as signals are the process's.
#[test]
fn signals_stay_the_programs() {
    let action = SigAction::new(SigHandler::Handler(count), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGBUS] {
        // SAFETY: the handler only counts.
        unsafe { sigaction(signal, &action) }.unwrap();
    }
    // Not even ignored: a write of QEMU's to a closed socket must not kill the process all the same.
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler.
    unsafe { sigaction(Signal::SIGPIPE, &default) }.unwrap();
    let before = dispositions();

    let vm = start(&in_process(), spec("signals"));
    assert_eq!(dispositions(), before, "while the VM runs");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(Pid::this(), signal).unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    while CAUGHT.load(Ordering::SeqCst) < 3 {
        assert!(Instant::now() < deadline, "the program's handlers are not called");
        std::thread::yield_now();
    }
    // QEMU took none of them for itself.
    let mut vm = vm;
    assert!(vm.execute(r#"{"execute":"query-status"}"#).contains("running"));

    // QEMU's answer and event go to a socket that nobody holds any more.
    let control = vm.running.control.clone();
    let exit = vm.hang_up();
    control.terminate();
    assert_eq!(exit.recv_timeout(PATIENCE), Ok(Exit::Clean));
    assert_eq!(dispositions(), before, "after the VM has ended");

    let mut wrong = spec("wrong");
    wrong.args(["-no-such-option"]);
    let exit = try_start(&in_process(), wrong).unwrap().wait();
    assert!(matches!(exit, Exit::Failed { .. }), "{exit}");
    assert_eq!(dispositions(), before, "after a VM that failed");
}
