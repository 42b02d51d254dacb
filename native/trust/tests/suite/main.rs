//! One program, which nextest runs a process a test of.
pub mod device;
mod pairing;
mod store;
