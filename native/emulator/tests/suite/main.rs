//! VMs by a real libqemu, in this process and in children.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod again;
mod app_sandbox;
mod child;
mod common;
mod coroutines;
mod documents;
#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
mod double;
#[path = "../../../../tests/example.rs"]
mod example;
mod fork;
mod hpet;
mod in_process;
mod jit;
mod leaks;
mod lent;
mod probe;
mod refusal;
mod sandbox;
mod sandbox_escape;
mod signals;
mod translated;
