//! QEMU's D-Bus display: pictures, cursor and size in, keys, pointer and touch out, sound both ways.
//!
//! [`Display::connect`] takes our end of a socket pair whose other end went to QEMU by `add_client`, and
//! registers a listener for the first head of each card. From then on its console's [`Screen`](sampan_frame::Screen) shows what the
//! guest shows, and [`Console::send`] brings it what a person does. Other heads are shown while somebody holds [`Console::watch`].
//! [`Display::sound`] is what the guest plays and records.
//!
//! # Invariant
//!
//! Nothing that QEMU or its guest sends makes this crate block, panic or grow: messages are handled one after the
//! other, at most two wait, every number is checked before it is used, and each kind of fault is logged once and
//! then only counted ([`Display::faults`]).
//!
//! # Why there is no object server here
//!
//! QEMU reads our `Interfaces` synchronously on its main loop, right after authentication, and drops shared memory
//! for good when `ScanoutMap` is late. So the stream of messages exists before the first byte is read, and calls are
//! answered straight from it, in order, by name. The queue in front is two messages long where an object server's
//! is 64, which at 8 MB per picture would be half a gigabyte.
//!
//! # Example
//!
//! ```no_run
//! # async fn example(ours: std::os::unix::net::UnixStream) -> Result<(), sampan_display::DisplayError> {
//! use sampan_display::Display;
//! use sampan_input::{Event, Key};
//!
//! let display = Display::connect(ours).await?;
//! let console = &display.consoles()[0];
//! println!("{} shows {:?}", display.vm_name(), console.screen().size());
//! if let Some(key) = Key::from_name("ret") {
//!     console.send(Event::Key { key, down: true }).await?;
//!     console.send(Event::Key { key, down: false }).await?;
//! }
//! display.closed().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod audio;
mod audio_in;
mod audio_out;
mod auth;
mod bus;
mod call;
mod codes;
mod console;
mod display;
mod dmabuf;
mod error;
mod fault;
mod inactive;
mod keyboard;
mod listener;
mod map;
mod mouse;
mod picture;
mod serve;
mod touch;
mod vm;
mod wire;

pub use audio::{Activity, Sound};
pub use call::Call;
#[doc(hidden)]
pub use codes::samples;
pub use console::{Console, ConsoleKind, Watch};
pub use display::Display;
pub use error::DisplayError;
pub use fault::{DisplayFault, FaultKind, Faults};
pub use picture::{Budget, GuestSize, Picture};
