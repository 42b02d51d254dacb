//! The codes of this crate's errors, and the values that their texts are made of.

use crate::{DisplayError, DisplayFault};
use sampan_audio::StreamError;
use sampan_frame::ScanoutError;
use sampan_message::{Message, Params, io_code, samples as samples_of};
use std::io::{Error, ErrorKind};

impl DisplayError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Silent => ("display_silent", Params::new()),
            Self::NotADisplay(why) => ("not_a_display", Params::of("why", &**why)),
            Self::NoConsole => ("no_console", Params::new()),
            Self::Relative => ("pointer_relative", Params::new()),
            Self::NoPicture => ("no_picture", Params::new()),
            Self::TooManyFingers(slots) => ("too_many_fingers", Params::of("slots", *slots)),
            Self::NotFinite => ("not_finite", Params::new()),
            Self::Refused { call, reason } => {
                ("display_refused", Params::of("call", *call).with("why", &**reason))
            }
            Self::Bus(error) => ("display_closed", Params::of("why", error.to_string())),
            Self::Io(error) => (io_code(error), Params::of("why", error.to_string())),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Silent => Self::NotADisplay("authentication failed".into()),
            Self::NotADisplay(_) => Self::NoConsole,
            Self::NoConsole => Self::Relative,
            Self::Relative => Self::NoPicture,
            Self::NoPicture => Self::TooManyFingers(10),
            Self::TooManyFingers(_) => Self::NotFinite,
            Self::NotFinite => Self::Refused { call: "Keyboard.Press", reason: "no such key".into() },
            Self::Refused { .. } => Self::Bus(zbus::Error::InvalidReply),
            Self::Bus(_) => Self::Io(Error::from(ErrorKind::OutOfMemory)),
            Self::Io(_) => return None,
        })
    }
}

impl DisplayFault {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Arguments { member, reason } => {
                ("display_malformed", Params::of("member", &**member).with("why", &**reason))
            }
            Self::UnknownMember(member) => ("display_malformed", Params::of("member", &**member)),
            Self::Scanout(error) => {
                ("bad_scanout", Params::of("reason", error.code()).with("why", error.to_string()))
            }
            Self::Rectangle { .. } => ("bad_rectangle", Params::new()),
            Self::Modifier(modifier) => ("tiled_picture", Params::of("modifier", *modifier)),
            Self::NotMapped => ("not_mapped", Params::new()),
            Self::Cursor { bytes, .. } => ("bad_cursor", Params::of("bytes", *bytes)),
            Self::Memory(bytes) => ("picture_too_large", Params::of("bytes", *bytes)),
            Self::Console(console) => ("too_many_consoles", Params::of("console", *console)),
            Self::ListenerClosed => ("picture_stopped", Params::new()),
            Self::SoundStream(error) | Self::SoundData(error) => {
                ("bad_sound", Params::of("why", error.to_string()))
            }
            Self::SoundClosed(why) => ("sound_not_connected", Params::of("why", &**why)),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Arguments { .. } => Self::UnknownMember("Listener.Dance".into()),
            Self::UnknownMember(_) => Self::Scanout(ScanoutError::NotMemory),
            Self::Scanout(_) => Self::Rectangle { x: -1, y: 0, width: 0, height: 0 },
            Self::Rectangle { .. } => Self::Modifier(1),
            Self::Modifier(_) => Self::NotMapped,
            Self::NotMapped => Self::Cursor { width: 0, height: 0, bytes: 3 },
            Self::Cursor { .. } => Self::Memory(1 << 30),
            Self::Memory(_) => Self::Console(99),
            Self::Console(_) => Self::ListenerClosed,
            Self::ListenerClosed => Self::SoundData(StreamError::Unknown),
            Self::SoundStream(_) | Self::SoundData(_) => Self::SoundClosed("it was refused".into()),
            Self::SoundClosed(_) => return None,
        })
    }
}

sampan_message::coded!(DisplayError, DisplayFault);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let mut all = samples_of(DisplayError::Silent, DisplayError::after);
    let first = DisplayFault::Arguments { member: "Scanout".into(), reason: "it has five, not six".into() };
    all.extend(samples_of(first, DisplayFault::after));
    all
}
