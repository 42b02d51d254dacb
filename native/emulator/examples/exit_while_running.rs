//! Exits with status 42 while a VM runs in this process: a program of `tests/suite/in_process.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "its test sees the panic")]

#[path = "../tests/suite/common/vm.rs"]
mod vm;

fn main() {
    let _vm = vm::start(&vm::in_process(), vm::spec("running"));
    std::process::exit(42);
}
