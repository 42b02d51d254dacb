//! A running guest as those who show it know it: the streaming server, the app's screen page, and whatever else draws a
//! guest or passes a person's input on.
//!
//! [`Guest`] is implemented by a session and consumed by viewers, so neither links the other: a face that draws on a
//! surface needs no WebRTC, no HTTP and no encoder.
//!
//! **Invariant:** nothing here blocks, and everything a guest says is bounded: its screen is shared memory that readers
//! copy from at their own pace, its condition is one value of which the newest counts.
//!
//! ```
//! use sampan_frame::{Screen, Size};
//! use sampan_guest::{Guest, GuestState, GuestStatus};
//! use sampan_input::Event;
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
//! let running = GuestStatus { state: GuestState::Running, detail: String::new(), absolute: true };
//! let guest: Arc<dyn Guest> = Arc::new(Blank(Screen::new(), watch::Sender::new(running)));
//! guest.resize(Size::new(800, 600)?, (0, 0));
//! assert_eq!(guest.screen().size(), Some(Size { width: 800, height: 600 }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

use sampan_frame::{Screen, Size};
use sampan_input::{Event, Locks};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;

/// Whether a guest is there to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestState {
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It is paused.
    Paused,
    /// It was shut down.
    Stopped,
    /// Its emulator ended without being asked.
    Died,
}

/// A guest's condition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GuestStatus {
    /// Whether it runs.
    pub state: GuestState,
    /// More of it in words, for a person; may be empty.
    pub detail: String,
    /// Whether it has an absolute pointing device now. If not, pages lock the pointer and send relative motion.
    pub absolute: bool,
}

/// Why a text did not reach a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// What programs go by, in snake case; it never changes.
    pub code: &'static str,
    /// The reason in words, and what to do.
    pub words: String,
}

/// Ends once the guest has a text, or does not get it.
pub type Typed = Pin<Box<dyn Future<Output = Result<(), TextError>> + Send>>;

/// One guest, as its viewers need it. Nothing here may block.
pub trait Guest: Send + Sync + 'static {
    /// Its name for a window's title.
    fn name(&self) -> String;

    /// Its screen.
    fn screen(&self) -> Arc<Screen>;

    /// Takes one event of a viewer.
    fn input(&self, event: Event);

    /// Takes a text that no key of the viewer's made, such as an input method's, and types it after the events before it and
    /// before those that follow. Whoever drops what this gives takes back a text that has not begun.
    fn text(&self, text: String) -> Typed {
        let _ = text;
        let words = "this machine takes no text, only keys".to_owned();
        Box::pin(std::future::ready(Err(TextError { code: "text_unsupported", words })))
    }

    /// Which locks of its keyboard are on; `None` while the guest has not told. Ends with the guest.
    fn locks(&self) -> watch::Receiver<Option<Locks>> {
        watch::Sender::new(None).subscribe()
    }

    /// Whether it has a touch screen. If not, fingers are a pointer.
    fn touch_screen(&self) -> bool {
        false
    }

    /// Asks the guest for another resolution: `size` in pixels, shown at `mm` millimetres (0 if unknown).
    fn resize(&self, size: Size, mm: (u16, u16));

    /// Its condition, and every change of it.
    fn status(&self) -> watch::Receiver<GuestStatus>;
}
