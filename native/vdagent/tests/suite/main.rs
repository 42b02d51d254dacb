//! The clipboard against played guests, and against Debian's agent.

mod guest;
mod protocol;
mod real;
mod task;
