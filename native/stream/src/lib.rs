//! Sampan's stream: a guest's screen encoded and sent to browsers over WebRTC, and what people do there brought back.
//!
//! A [`Server`] serves one [`Guest`](sampan_guest::Guest) on a loopback address. Browsers load the page from it, post an offer and get the
//! screen as H.264 or VP8; two data channels carry input one way, and the cursor, the size and the guest's condition
//! the other way.
//!
//! The invariant: whatever a viewer does, it costs neither the guest nor the other viewers. Frames are pulled from the
//! [`Screen`](sampan_frame::Screen) when someone can take them, by a thread of the encoder's own; every queue is bounded;
//! a viewer that falls behind skips to the next keyframe; nothing is encoded without viewers or without a change.
//! And nothing but the page itself is given to anyone without the token, or, where [`Server::share`] shows the guest to other
//! devices, to any but those that the owner has let in.
//!
//! ```
//! use sampan_frame::{Screen, Size};
//! use sampan_input::Event;
//! use sampan_guest::{Guest, GuestState, GuestStatus};
//! use sampan_stream::{Server, ServerConfig};
//! use std::sync::Arc;
//! use tokio::sync::watch;
//!
//! struct Blank(Arc<Screen>, watch::Sender<GuestStatus>);
//!
//! impl Guest for Blank {
//!     fn name(&self) -> String { "blank".into() }
//!     fn screen(&self) -> Arc<Screen> { self.0.clone() }
//!     fn input(&self, event: Event) { println!("{event:?}") }
//!     fn resize(&self, size: Size, _mm: (u16, u16)) { self.0.set_blank(size) }
//!     fn status(&self) -> watch::Receiver<GuestStatus> { self.1.subscribe() }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let running = GuestStatus { state: GuestState::Running, detail: String::new(), absolute: true };
//! let guest = Arc::new(Blank(Screen::new(), watch::Sender::new(running)));
//! let server = Server::start(ServerConfig::default(), guest).await.unwrap();
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! server.stop().await;
//! # });
//! ```

#![deny(unsafe_code)]

/// The licences of what is linked that is no crate: x264's.
pub const LICENSES: &str = include_str!(concat!(env!("OUT_DIR"), "/licenses.txt"));

pub mod codec;
mod displays;
mod drive;
mod error;
mod exchange;
mod http;
mod message;
mod peer;
mod pipeline;
mod publish;
mod screen;
mod server;
mod share;
mod sound;
mod state;
mod stats;
mod transport;
mod viewers;
pub mod web;

pub use error::ServeError;
#[doc(hidden)]
pub use error::samples;
pub use message::{MAX_MESSAGE, MessageError, Reader, Request};
#[doc(hidden)]
pub use pipeline::Budget;
pub use publish::{Offer, Published};
pub use server::{Server, ServerConfig};
pub use share::ShareConfig;
#[doc(hidden)]
pub use sound::{Voice, VoicePacket};
pub use stats::{Stats, ViewerStats};
pub use transport::{Channel, Rates};
pub use transport::{addresses, way_to};
