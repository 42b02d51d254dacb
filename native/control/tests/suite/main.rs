//! The control socket and its protocol, as clients see them.

mod page;
mod socket;
mod wire;
