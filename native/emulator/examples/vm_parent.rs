//! Runs a VM in a child and says the child's PID, until it is killed: a program of `tests/suite/child.rs`. `vm_parent VMHOST`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "its test sees the panic")]

#[path = "../tests/suite/common/vm.rs"]
mod vm;

use sampan_emulator::Child;

fn main() {
    let vmhost = std::env::args_os().nth(1).expect("vm_parent VMHOST");
    let vm = vm::start(&Child::with_program(vm::libqemu(), vmhost), vm::spec("orphan"));
    println!("pid={}", vm.running.control.pid().unwrap());
    // Ends with its test, should that end without killing it.
    let _ = std::io::stdin().read_line(&mut String::new());
}
