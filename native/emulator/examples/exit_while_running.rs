//! Exits with status 42 while a VM with sound runs in this process: a program of `tests/suite/in_process.rs`.
//!
//! When all that libqemu might have asked to be called at the process's end has been called, the VM is still whole: it is paused,
//! which every part of it is told of.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "its test sees the panic")]

#[path = "../tests/suite/common/vm.rs"]
mod vm;

use std::sync::Mutex;

static VM: Mutex<Option<vm::Vm>> = Mutex::new(None);

/// Called after the handlers of libqemu's, which is loaded later.
extern "C" fn at_the_end() {
    let mut vm = VM.lock().unwrap();
    assert!(vm.as_mut().unwrap().execute(r#"{"execute":"stop"}"#).contains("return"));
    println!("paused");
}

fn main() {
    // SAFETY: the handler unwinds into nothing: a panic in it aborts.
    assert_eq!(unsafe { libc::atexit(at_the_end) }, 0);
    let mut spec = vm::spec("running");
    spec.args(["-audiodev", "none,id=sound", "-device", "intel-hda", "-device", "hda-duplex,audiodev=sound"]);
    *VM.lock().unwrap() = Some(vm::start(&vm::in_process(), spec));
    std::process::exit(42);
}
