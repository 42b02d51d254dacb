//! The codes of this crate's errors, and the values that their texts are made of.

use crate::error::{BadBuffer, OhosError};
use sampan_frame::ReadError;
use sampan_message::{Coded, Message, Params, Reason, io_code, samples as samples_of};
use std::io::{Error, ErrorKind};

/// `OHNativeErrorCode` as a value: it is never negative but where a device invents one.
fn number(code: i32) -> u64 {
    code.unsigned_abs().into()
}

impl OhosError {
    fn parts(&self) -> (&'static str, Params) {
        const TRIED_AGAIN: &str = "surface_not_ready";
        match self {
            Self::NoLibrary { library, reason } => {
                ("system_library_missing", Params::of("library", &**library).with("why", &**reason))
            }
            Self::NotOpened(code) | Self::Lost(code) => ("surface_lost", Params::of("error", number(*code))),
            Self::OptionRefused { option, code } => {
                ("surface_refused", Params::of("option", *option).with("error", number(*code)))
            }
            Self::NoBuffer(code) => {
                (TRIED_AGAIN, Params::of("reason", "no_buffer").with("error", number(*code)))
            }
            Self::NotTaken(code) => {
                (TRIED_AGAIN, Params::of("reason", "not_taken").with("error", number(*code)))
            }
            Self::NoCursorLock => ("no_pointer_lock", Params::new()),
            Self::CursorNotLocked(code) => ("pointer_not_locked", Params::of("error", number(*code))),
            Self::StillInUse => (TRIED_AGAIN, Params::of("reason", "still_in_use")),
            Self::BadBuffer(why) => (TRIED_AGAIN, why.params()),
            Self::Read(error) => {
                ("bad_scanout", Params::of("reason", error.code()).with("why", error.to_string()))
            }
            Self::NotMapped(error) | Self::NoThread(error) => {
                (io_code(error), Params::of("why", error.to_string()))
            }
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::NoLibrary { .. } => Self::NotOpened(40_001_000),
            Self::NotOpened(_) => Self::OptionRefused { option: "format", code: 40_001_000 },
            Self::OptionRefused { .. } => Self::Lost(41_202_000),
            Self::Lost(_) => Self::NoBuffer(40_601_000),
            Self::NoBuffer(_) => Self::StillInUse,
            Self::StillInUse => Self::NotTaken(41_207_000),
            Self::NotTaken(_) => Self::BadBuffer(BadBuffer::NoMemory),
            Self::BadBuffer(_) => Self::NotMapped(Error::from(ErrorKind::OutOfMemory)),
            Self::NotMapped(_) => Self::Read(ReadError::Shrank),
            Self::Read(_) => Self::NoThread(Error::from(ErrorKind::OutOfMemory)),
            Self::NoThread(_) => Self::NoCursorLock,
            Self::NoCursorLock => Self::CursorNotLocked(201),
            Self::CursorNotLocked(_) => return None,
        })
    }
}

sampan_message::coded!(OhosError);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let first = OhosError::NoLibrary {
        library: "libnative_window.so".into(),
        reason: "there is no such file".into(),
    };
    let mut all = samples_of(first, OhosError::after);
    all.extend(BadBuffer::all().into_iter().map(|why| OhosError::BadBuffer(why).message()));
    all
}
