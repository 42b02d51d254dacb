//! What becomes of the clipboard.

use serde::{Deserialize, Serialize};

/// Which way the clipboard is shared with the guest. Nothing crosses by itself either way: a person puts something into the
/// guest's clipboard, or takes what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClipboardPolicy {
    /// Not at all.
    Off,
    /// The guest may be given something.
    ToGuest,
    /// Something may be taken from the guest.
    FromGuest,
    /// Both.
    #[default]
    Both,
}

impl ClipboardPolicy {
    /// Whether the guest may be given something.
    pub fn to_guest(self) -> bool {
        matches!(self, Self::ToGuest | Self::Both)
    }

    /// Whether something may be taken from the guest.
    pub fn from_guest(self) -> bool {
        matches!(self, Self::FromGuest | Self::Both)
    }
}

/// What pastes in the guest, for text that has no keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PasteKeys {
    /// Shift-Insert: in desktops' programs, in terminals and in Windows.
    #[default]
    ShiftInsert,
    /// Ctrl-V: not in terminals, where it is a key of its own.
    CtrlV,
    /// Ctrl-Shift-V: in terminals, and without the format in many programs.
    CtrlShiftV,
}

impl PasteKeys {
    /// The keys' names, in the order they are pressed.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::ShiftInsert => &["shift", "insert"],
            Self::CtrlV => &["ctrl", "v"],
            Self::CtrlShiftV => &["ctrl", "shift", "v"],
        }
    }
}
