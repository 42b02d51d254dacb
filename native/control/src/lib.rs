//! The control socket: a running machine, asked and told things by other programs of the same user.
//!
//! A machine that runs in a process of its own is reached through a Unix socket in its bundle. The protocol is one JSON
//! object a line each way; `docs/control.md` specifies it and a test compares that page with the types here.
//!
//! - [`Request`] and [`Reply`] are what is asked and answered. [`Status`] is what a machine says of itself.
//! - [`Client`] is the asking side: asynchronous, with progress and cancellation, and it never waits for ever.
//! - [`Server`] is the answering side. It hands requests to a [`Handler`], which is also how a machine in this process is
//!   asked, so both paths behave the same.
//! - [`Reporter`] carries progress one way and cancellation the other.
//!
//! **Invariant:** whoever connects can neither hold up the machine nor keep others out: every queue, line and wait is
//! bounded, and a machine answers however many are connected to it. The socket is its owner's alone.
//!
//! ```
//! use sampan_control::{Request, wire};
//!
//! let line = wire::request_line(&Request::Grow { drive: "disk0".into(), size: 1 << 30 }).unwrap();
//! assert_eq!(line, b"{\"command\":\"grow\",\"drive\":\"disk0\",\"size\":1073741824,\"version\":2}\n");
//! assert_eq!(wire::parse_request(&line).unwrap(), Request::Grow { drive: "disk0".into(), size: 1 << 30 });
//! ```
#![forbid(unsafe_code)]

mod address;
mod client;
mod codes;
mod console;
mod places;
mod reply;
mod reporter;
mod request;
mod server;
mod socket;
mod sound;
pub mod wire;

pub use address::{Address, run_folder};
pub use client::{Client, ClientError, PATIENCE, Watcher, listens};
#[doc(hidden)]
pub use codes::samples;
pub use console::Console;
pub use reply::{
    AgentInfo, Applied, ClipboardContent, ClipboardInfo, Effect, Execution, Facts, Feature, FeatureInfo,
    FeatureState, GivenTo, GuestSystem, Install, PausedBy, Picture, PublishState, Publishing, Reply,
    SoundInfo, State, Status,
};
pub use reporter::{Progress, Reporter};
pub use request::{ClipboardKind, Request};
pub use server::{Handler, Server};
pub use socket::BindError;
pub use sound::{Playing, Recording, SoundStream};
