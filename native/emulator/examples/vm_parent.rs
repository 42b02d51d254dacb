//! Runs a VM in a child and says the child's PID, until it is killed: a program of `tests/suite/child.rs` and `fork.rs`.
//! `vm_parent VMHOST|--fork`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "its test sees the panic")]

#[path = "../tests/suite/common/vm.rs"]
mod vm;

use sampan_emulator::{Child, ForkHost, Launcher};

fn main() {
    let vmhost = std::env::args_os().nth(1).expect("vm_parent VMHOST|--fork");
    let launcher: Box<dyn Launcher> = match vmhost == "--fork" {
        true => Box::new(ForkHost::new(vm::libqemu()).unwrap()),
        false => Box::new(Child::with_program(vm::libqemu(), vmhost)),
    };
    let vm = vm::start(&*launcher, vm::spec("orphan"));
    println!("pid={}", vm.running.control.pid().unwrap());
    // Ends with its test, should that end without killing it.
    let _ = std::io::stdin().read_line(&mut String::new());
}
