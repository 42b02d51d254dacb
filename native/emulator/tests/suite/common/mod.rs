//! Real VMs for tests, and the programs that Cargo builds with them.

pub mod bare;
mod vm;

use sampan_emulator::Child;
pub use vm::*;

/// Only a test is told by Cargo where this program is; an example is told by its test.
pub const VMHOST: &str = env!("CARGO_BIN_EXE_sampan-vmhost");

pub fn child() -> Child {
    Child::with_program(libqemu(), VMHOST)
}
