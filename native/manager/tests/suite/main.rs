//! The application core with real libqemu and real guests, as a phone runs it: in this process, without a supervisor, without
//! a terminal.

mod accidents;
mod background;
mod common;
mod downloads;
#[path = "../../../../tests/example.rs"]
mod example;
mod giving;
mod life;
mod making;
mod parts;
mod server;
mod sound;
