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

use sampan_audio::{Input, Output};
use sampan_frame::{Screen, Size};
use sampan_input::{Event, Locks};
use std::any::Any;
use std::borrow::Cow;
use std::fs::File;
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

/// Why a guest did not do what a viewer asked for: a text did not reach it, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestError {
    /// What programs go by, in snake case; it never changes.
    pub code: Cow<'static, str>,
    /// The reason in words, and what to do.
    pub words: String,
}

/// What a guest takes a while for. Whoever drops it gives it up.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, GuestError>> + Send>>;

/// Ends once the guest has a text, or does not get it.
pub type Typed = Pending<()>;

/// A kind of what a clipboard holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipboardKind {
    /// Text in UTF-8, with line feeds between its lines.
    Text,
    /// A picture as PNG.
    Png,
}

/// What is known of a guest's clipboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClipboardStatus {
    /// Whether an agent answers in the guest.
    pub agent: bool,
    /// Whether the guest may be given something.
    pub to_guest: bool,
    /// Whether something may be taken from the guest.
    pub from_guest: bool,
    /// Whether it holds a text that a program of the guest's has copied, and that may be taken.
    pub text: bool,
    /// The same of a picture.
    pub png: bool,
    /// How often a program of the guest's has filled it.
    pub copied: u64,
}

/// A guest's clipboard. Contents cross when somebody pastes, have 16 MiB at most, and are checked by whoever shares it.
pub trait Clipboard: Send + Sync {
    /// What is known of it, and every change of it.
    fn status(&self) -> watch::Receiver<ClipboardStatus>;

    /// What is in it. The program in the guest that has it is asked now.
    fn get(&self, kind: ClipboardKind) -> Pending<Vec<u8>>;

    /// Lets the guest's programs paste this, until one of them copies something else.
    fn set(&self, kind: ClipboardKind, content: Vec<u8>) -> Pending<()>;
}

/// Where a file is that a guest was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Where the desktop's user keeps downloads: the agent there chose.
    Downloads,
    /// The file of this full name in the guest, or `9p:TAG/NAME` in a folder of the host's of which nobody tells where it is mounted.
    Path(String),
}

/// Exchanges files with a guest. On their way they wait on this host, in files without a name.
pub trait Files: Send + Sync {
    /// An empty file that waits, where there is room for so many bytes. It blocks for a moment.
    ///
    /// # Errors
    /// There is too little room, or the system refuses.
    fn spool(&self, bytes: u64) -> Result<File, GuestError>;

    /// Whether there is room for so many more bytes. It blocks for a moment.
    ///
    /// # Errors
    /// There is not.
    fn has_room(&self, bytes: u64) -> Result<(), GuestError>;

    /// Gives the guest a file of so many bytes, under a name; `progress` is told the bytes that were sent.
    fn give(&self, file: File, size: u64, name: String, progress: watch::Sender<u64>) -> Pending<Given>;

    /// Fetches a file of the guest's, by its full name there, and says how many bytes it has; `progress` is told those that came.
    fn take(&self, path: String, progress: watch::Sender<u64>) -> Pending<(File, u64)>;
}

/// A display that somebody sees: its picture is kept up to date while this is held.
pub struct Watched {
    screen: Arc<Screen>,
    _held: Box<dyn Any + Send + Sync>,
}

impl Watched {
    /// A screen, and what keeps it up to date until it is dropped.
    pub fn new(screen: Arc<Screen>, held: impl Any + Send + Sync) -> Self {
        Self { screen, _held: Box::new(held) }
    }

    /// Its picture and its cursor. It has no size while the display is dark.
    pub fn screen(&self) -> &Arc<Screen> {
        &self.screen
    }
}

/// One guest, as its viewers need it. Nothing here may block.
///
/// It has one display or more, counted from 0, and one keyboard. What names no display is about the first.
pub trait Guest: Send + Sync + 'static {
    /// Its name for a window's title.
    fn name(&self) -> String;

    /// Its screen.
    fn screen(&self) -> Arc<Screen>;

    /// Its displays: the size of each in pixels, `None` for one that is dark. A display beyond the first is dark until a viewer that
    /// watches it asks for a size, and again when its last viewer has gone.
    fn displays(&self) -> Vec<Option<Size>> {
        vec![self.screen().size()]
    }

    /// Has a display shown from now on, while what this gives is held; `None` if there is none of this number.
    fn watch(&self, display: usize) -> Option<Watched> {
        (display == 0).then(|| Watched::new(self.screen(), ()))
    }

    /// Takes one event of a viewer.
    fn input(&self, event: Event);

    /// The same of a viewer that sees this display: positions are on it.
    fn input_on(&self, display: usize, event: Event) {
        let _ = display;
        self.input(event);
    }

    /// Takes a text that no key of the viewer's made, such as an input method's, and types it after the events before it and
    /// before those that follow. Whoever drops what this gives takes back a text that has not begun.
    fn text(&self, text: String) -> Typed {
        let _ = text;
        let words = "this machine takes no text, only keys".to_owned();
        Box::pin(std::future::ready(Err(GuestError { code: "text_unsupported".into(), words })))
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

    /// The same for one display.
    fn resize_on(&self, display: usize, size: Size, mm: (u16, u16)) {
        if display == 0 {
            self.resize(size, mm);
        }
    }

    /// Its condition, and every change of it.
    fn status(&self) -> watch::Receiver<GuestStatus>;

    /// Its clipboard; `None` for one that shares none.
    fn clipboard(&self) -> Option<Arc<dyn Clipboard>> {
        None
    }

    /// What exchanges files with it; `None` where nothing does.
    fn files(&self) -> Option<Arc<dyn Files>> {
        None
    }

    /// What it plays; `None` for one without a sound card. Each viewer that hears it pulls by a clock of its own.
    fn sound(&self) -> Option<Arc<Output>> {
        None
    }

    /// What it records; `None` for one without a sound card. What a viewer says is a microphone's
    /// ([`Origin::Microphone`](sampan_audio::Origin::Microphone)), heard while the machine's owner allows it.
    fn microphone(&self) -> Option<Arc<Input>> {
        None
    }
}
