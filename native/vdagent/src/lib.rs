//! The clipboard that a guest shares: our end of the protocol that SPICE's agent (vdagent) speaks on the virtio-serial port
//! `com.redhat.spice.0` (`spice-protocol`, `vd_agent.h`).
//!
//! [`Core`] is the protocol without I/O: bytes in, bytes out, and what became of them. [`Peer`] runs it on a socket.
//!
//! A clipboard is shared by promise. Who copies something tells the other side its kinds (a *grab*); its content crosses when
//! somebody pastes (a *request*). So neither side learns of a content that nobody asked for, and no loop can arise: a grab
//! is never answered by a grab.
//!
//! The same agent takes files that are dropped on the guest ([`files`]), and sets the size of its screen where the driver does not
//! follow the display by itself (`VD_AGENT_MONITORS_CONFIG`).
//!
//! **Invariant:** the guest is not trusted: nothing that it sends makes more than [`MAX_CONTENT`] bytes be kept, a panic, or an
//! endless wait. Nothing is sent before the guest has opened its port. A content leaves only in the direction that
//! [`Policy`] allows.
#![forbid(unsafe_code)]

mod codes;
mod content;
mod core;
pub mod files;
mod monitors;
mod outbox;
mod peer;
pub mod wire;

#[doc(hidden)]
pub use codes::samples;
pub use content::{Content, ContentError, Kind, Kinds, MAX_CONTENT, MAX_PIXELS};
pub use core::{Core, Event, Offer, Selection, State};
pub use files::FileError;
pub use monitors::{MAX_MONITORS, Monitor};
pub use peer::{FileSource, Peer, Port};

use std::time::Duration;

/// Which way a content may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The guest may be given something.
    pub to_guest: bool,
    /// Something may be taken from the guest.
    pub from_guest: bool,
}

impl Policy {
    /// Both ways.
    pub const BOTH: Self = Self { to_guest: true, from_guest: true };
    /// Neither way.
    pub const OFF: Self = Self { to_guest: false, from_guest: false };
}

/// Why the clipboard is not shared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClipboardError {
    /// Nobody answers in the guest.
    #[error(
        "no clipboard agent answers in the guest: install spice-vdagent in it (on Windows the SPICE guest tools), and log in to its desktop"
    )]
    NoAgent,
    /// A person turned this direction off.
    #[error("the machine's clipboard takes nothing from outside: allow it in the machine's settings first")]
    ToGuestOff,
    /// The same for the other direction.
    #[error("the machine's clipboard is not given out: allow it in the machine's settings first")]
    FromGuestOff,
    /// The guest's clipboard has nothing of that kind.
    #[error("the guest's clipboard holds no {0}")]
    Nothing(Kind),
    /// The guest was asked and gave nothing.
    #[error("the guest's clipboard gave no {0}: copy it anew in the guest")]
    Refused(Kind),
    /// The guest's clipboard changed, or its agent went, while it was asked.
    #[error("the guest's clipboard changed meanwhile: try again")]
    Changed,
    /// The guest did not give what it offered.
    #[error("the guest did not give its clipboard within {} s: the program there may hang", .0.as_secs())]
    Silent(Duration),
    /// The guest has more than is taken.
    #[error("the guest's clipboard has {size} bytes, more than the {MAX_CONTENT} that are taken")]
    TooLarge {
        /// Bytes.
        size: u64,
    },
    /// What is to be shared, or what the guest gave, is not what it should be.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Its source marked it as secret.
    #[error(
        "this is marked as secret, such as a password: it is not put into a clipboard that programs in the guest read"
    )]
    Secret,
    /// As many wait for the guest's clipboard as may.
    #[error("too many wait for the guest's clipboard: try again in a moment")]
    Busy,
    /// QEMU is gone.
    #[error("the machine has ended")]
    Ended,
}
