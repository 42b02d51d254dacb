//! The control socket: one machine, driven by any program of the same user. `docs/control.md` is its specification.

mod client;
mod console;
mod kept;
mod protocol;
mod pull;
mod service;
mod socket;

pub use client::Client;
pub use protocol::{Request, Response, line};
pub use service::{Facts, Service};
pub use socket::bind;
