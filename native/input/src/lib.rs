//! Input: one event type for every source of it, and the key tables.
//!
//! Keys, pointer and touch reach a guest from an ArkUI page, a browser's data channel or the control socket. All
//! of them are turned into one [`Event`], and only `display` knows how QEMU wants it.
//!
//! **Invariant:** pure and total. No clock, no I/O, no panic on any input: a code that no table knows is `None`.
//!
//! ```
//! use sampan_input::{Event, Key};
//!
//! let key = Key::from_dom("KeyA").unwrap();
//! assert_eq!((key.evdev(), key.qnum(), key.name()), (30, 0x1e, "a"));
//! let _press = Event::Key { key, down: true };
//! ```
#![forbid(unsafe_code)]

mod entry;
mod event;
mod key;
mod layout;
mod locks;
mod pressed;
mod table;

pub use event::{Button, Event, TouchPhase, rescale};
pub use key::Key;
pub use layout::{Layout, Stroke};
pub use locks::Locks;
pub use pressed::Pressed;
