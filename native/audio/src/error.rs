//! What can go wrong with files.

use sampan_message::{Message, Params, io_code, samples as samples_of};
use std::io::{Error, ErrorKind};

/// Why sound is not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The system refused.
    #[error("the sound cannot be read or written: {0}")]
    Io(#[from] Error),
    /// A file is no such file.
    #[error("this is not a WAV file with PCM that sound cards play: {0}")]
    Wav(String),
    /// A file has as much as it can have.
    #[error("a WAV file holds six hours at most: begin another one")]
    WavFull,
}

impl From<hound::Error> for AudioError {
    fn from(error: hound::Error) -> Self {
        match error {
            // hound reads a file that ends early as one that cannot be read.
            hound::Error::IoError(error)
                if error.kind() != ErrorKind::UnexpectedEof && error.kind() != ErrorKind::Other =>
            {
                Self::Io(error)
            }
            hound::Error::FormatError(why) => Self::Wav(why.to_owned()),
            other => Self::Wav(other.to_string()),
        }
    }
}

impl AudioError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Io(error) => (io_code(error), Params::of("why", error.to_string())),
            Self::Wav(why) => ("bad_wav", Params::of("why", &**why)),
            Self::WavFull => ("wav_full", Params::new()),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Wav(_) => Self::WavFull,
            Self::WavFull => Self::Io(Error::from(ErrorKind::StorageFull)),
            Self::Io(_) => return None,
        })
    }
}

sampan_message::coded!(AudioError);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    samples_of(AudioError::Wav("Ill-formed WAVE file".into()), AudioError::after)
}
