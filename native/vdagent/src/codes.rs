//! The codes of this crate's errors, and the values that their texts are made of.

use crate::content::{ContentError, Kind, MAX_CONTENT};
use crate::files::FileError;
use crate::{ClipboardError, MAX_PIXELS};
use sampan_message::{Message, Params, samples as samples_of};
use std::time::Duration;

impl ContentError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::TooLarge { size } => {
                ("clipboard_too_large", Params::of("size", *size).with("most", MAX_CONTENT))
            }
            Self::NotText => ("clipboard_not_text", Params::new()),
            Self::NotPng => ("clipboard_not_png", Params::new()),
            Self::TooManyPixels { width, height } => (
                "clipboard_picture_too_large",
                Params::of("width", *width).with("height", *height).with("most", MAX_PIXELS),
            ),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::TooLarge { .. } => Self::NotText,
            Self::NotText => Self::NotPng,
            Self::NotPng => Self::TooManyPixels { width: 100_000, height: 100_000 },
            Self::TooManyPixels { .. } => return None,
        })
    }
}

impl ClipboardError {
    fn parts(&self) -> (&'static str, Params) {
        let none = Params::new();
        match self {
            Self::NoAgent => ("no_clipboard_agent", none),
            Self::ToGuestOff => ("clipboard_to_guest_off", none),
            Self::FromGuestOff => ("clipboard_from_guest_off", none),
            Self::Nothing(kind) => ("clipboard_empty", none.with("kind", kind.name())),
            Self::Refused(kind) => ("clipboard_not_given", none.with("kind", kind.name())),
            Self::Changed => ("clipboard_changed", none),
            Self::Silent(limit) => ("clipboard_silent", none.with("seconds", limit.as_secs())),
            Self::TooLarge { size } => {
                ("clipboard_guest_too_large", none.with("size", *size).with("most", MAX_CONTENT))
            }
            Self::Content(error) => error.parts(),
            Self::Secret => ("clipboard_secret", none),
            Self::Busy => ("clipboard_busy", none),
            Self::Ended => ("machine_ended", none),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::NoAgent => Self::ToGuestOff,
            Self::ToGuestOff => Self::FromGuestOff,
            Self::FromGuestOff => Self::Nothing(Kind::Text),
            Self::Nothing(_) => Self::Refused(Kind::Png),
            Self::Refused(_) => Self::Changed,
            Self::Changed => Self::Silent(Duration::from_secs(10)),
            Self::Silent(_) => Self::TooLarge { size: 64 << 20 },
            Self::TooLarge { .. } => Self::Secret,
            Self::Secret => Self::Busy,
            Self::Busy => Self::Ended,
            // These have samples of their own.
            Self::Ended | Self::Content(_) => return None,
        })
    }
}

impl FileError {
    fn parts(&self) -> (&'static str, Params) {
        let none = Params::new();
        match self {
            Self::NoAgent => ("no_file_agent", none),
            Self::Disabled => ("guest_files_off", none),
            Self::Locked => ("guest_locked", none),
            Self::NoSpace { free: None } => ("guest_disk_full", none),
            Self::NoSpace { free: Some(free) } => ("guest_disk_too_full", none.with("free", *free)),
            Self::StoppedByGuest => ("guest_stopped_file", none),
            Self::Failed => ("guest_file_failed", none),
            Self::Silent(limit) => ("guest_file_silent", none.with("seconds", limit.as_secs())),
            Self::Gone => ("guest_agent_gone", none),
            Self::BadName { name } => ("bad_guest_name", none.with("name", &**name)),
            Self::Source { why } => ("file_unreadable", none.with("why", &**why)),
            Self::Ended => ("machine_ended", none),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::NoAgent => Self::Disabled,
            Self::Disabled => Self::Locked,
            Self::Locked => Self::NoSpace { free: Some(1 << 20) },
            Self::NoSpace { free: Some(_) } => Self::NoSpace { free: None },
            Self::NoSpace { free: None } => Self::StoppedByGuest,
            Self::StoppedByGuest => Self::Failed,
            Self::Failed => Self::Silent(Duration::from_secs(30)),
            Self::Silent(_) => Self::Gone,
            Self::Gone => Self::BadName { name: "../etc".into() },
            Self::BadName { .. } => Self::Source { why: "Input/output error".into() },
            Self::Source { .. } | Self::Ended => return None,
        })
    }
}

sampan_message::coded!(ContentError, ClipboardError, FileError);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let mut all = samples_of(ClipboardError::NoAgent, ClipboardError::after);
    all.extend(samples_of(ContentError::TooLarge { size: 17 << 20 }, ContentError::after));
    all.extend(samples_of(FileError::NoAgent, FileError::after));
    all
}
