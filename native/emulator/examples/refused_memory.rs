//! Runs VMs while executable memory is refused to this process: a program of `tests/suite/jit.rs`. `refused_memory REFUSAL`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "its test sees the panic")]

#[path = "../tests/suite/common/vm.rs"]
mod common;
#[path = "../tests/suite/refusal/mod.rs"]
mod refusal;

use refusal::Refusal;

fn main() {
    let name = std::env::args().nth(1).expect("refused_memory REFUSAL");
    let refusal = Refusal::ALL.into_iter().find(|refusal| format!("{refusal:?}") == name);
    refusal::vms::under(refusal.expect("a name of `Refusal`"));
    println!("\nthe process lives");
}
