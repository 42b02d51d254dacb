//! The control socket: one machine, driven by any program of the same user. `docs/control.md` is its specification.

pub mod ask;
mod client;
mod console;
mod kept;
mod places;
mod protocol;
mod pull;
mod service;
mod socket;

pub use client::{Client, Silent, Whose};
pub use protocol::Request;
pub use service::{Facts, Service};
pub use socket::bind;
