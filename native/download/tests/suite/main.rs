//! Downloads against a server that misbehaves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bench;
mod cuts;
#[path = "../../../../tests/example.rs"]
mod example;
mod exchange;
mod good;
mod kill;
mod misbehaving;
mod queue;
mod redirects;
mod resume;
mod server;
mod trust;
