//! The display of a QEMU: of a stand-in that misbehaves, and of a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;
mod flood;
mod hostile;
mod pictures;
mod qemu;
mod several;
mod sound;
