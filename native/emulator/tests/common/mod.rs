//! Real VMs for tests, and the programs that Cargo builds with them.
#![allow(dead_code, unused_imports, reason = "each test program uses a part")]

mod vm;

use std::path::{Path, PathBuf};

use sampan_emulator::Child;
pub use vm::*;

/// Only a test is told by Cargo where this program is; an example is told by its test.
pub const VMHOST: &str = env!("CARGO_BIN_EXE_sampan-vmhost");

pub fn child() -> Child {
    Child::with_program(libqemu(), VMHOST)
}

/// A program of `examples/`. Cargo builds it with the tests unless one of them is chosen by `--test`.
pub fn example(name: &str) -> PathBuf {
    let program = Path::new(VMHOST).with_file_name("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: cargo build --package sampan-emulator --examples",
        program.display()
    );
    program
}
