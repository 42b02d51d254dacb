//! One program, which nextest runs a process a test of.
mod device;
mod pairing;
mod store;
