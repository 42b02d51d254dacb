//! Sound between simulated clocks.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod clocks;
mod streams;
