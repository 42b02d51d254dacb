//! Video encoders behind one trait, and Opus for sound.

mod h264;
pub mod opus;
mod planar;
#[cfg(vp8)]
mod vp8;
#[cfg(vp8)]
mod vpx;
mod x264;

pub use h264::H264;
pub use planar::{Planar, Sampling};

use bytes::Bytes;
use sampan_frame::{Rect, Size, Staging};
use std::time::Duration;

/// A video codec that a viewer can be served with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// H.264 constrained baseline: 4:2:0.
    H264,
    /// H.264 High 4:4:4 Predictive: a colour for every pixel.
    #[serde(rename = "h264-444")]
    H264Full,
    /// VP8.
    Vp8,
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Codec::H264 => "H.264",
            Codec::H264Full => "H.264 4:4:4",
            Codec::Vp8 => "VP8",
        })
    }
}

/// How a picture is to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As a difference to the picture before, if there was one.
    Delta,
    /// As a keyframe.
    Key,
    /// As a difference of high quality, which brings a screen at rest closer to what it is. It makes no part of it worse.
    Refined,
    /// As a keyframe of that quality.
    RefinedKey,
}

impl Kind {
    /// Whether it can be decoded without any picture before it.
    pub fn is_key(self) -> bool {
        matches!(self, Kind::Key | Kind::RefinedKey)
    }

    /// Whether it is of high quality.
    pub fn is_refined(self) -> bool {
        matches!(self, Kind::Refined | Kind::RefinedKey)
    }
}

/// One encoded picture.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// The codec's bytes: Annex B for H.264.
    pub data: Bytes,
    /// Whether it can be decoded without any picture before it.
    pub key: bool,
    /// A refined picture that is as good as it gets: its size was not in the way.
    pub settled: bool,
}

/// A failure of an encoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The screen has too many pixels for the codec.
    #[error(
        "the guest's screen is {width}x{height}, and {codec} here goes up to {limit}: choose a smaller resolution in the guest"
    )]
    TooLarge {
        /// The codec.
        codec: Codec,
        /// Columns of the screen.
        width: u32,
        /// Rows of the screen.
        height: u32,
        /// The limit in words.
        limit: &'static str,
    },
    /// The screen has too few pixels for the codec.
    #[error(
        "the guest's screen is {width}x{height}, and a picture needs 16x16 pixels: choose a larger resolution in the guest"
    )]
    TooSmall {
        /// Columns of the screen.
        width: u32,
        /// Rows of the screen.
        height: u32,
    },
    /// The encoder was given a picture of another size than it was made for.
    #[error(
        "the encoder was made for {expected} and was given {given}: make a new one when the size changes"
    )]
    WrongSize {
        /// The size it was made for.
        expected: Size,
        /// The size it was given.
        given: Size,
    },
    /// The codec's library refused.
    #[error("the {codec} encoder failed in {call} with {code}: connect again, and report this if it stays")]
    Library {
        /// The codec.
        codec: Codec,
        /// The function that failed.
        call: &'static str,
        /// What it answered.
        code: i32,
    },
    /// The program was built without this codec.
    #[error("this build has no {0} encoder: build it with the feature of that name")]
    NotBuilt(Codec),
}

/// What an [`Encoder`] is made for.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The guest's screen.
    pub size: Size,
    /// Frames per second at most.
    pub max_fps: u32,
    /// Bits per second to begin with.
    pub bitrate: u32,
    /// Begin with a picture of high quality.
    pub refined: bool,
}

/// The picture to encode, and what changed in it since the last call.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// The pixels, of the size the encoder was made for.
    pub pixels: &'a Staging,
    /// What changed since the last call; everything else is as it was.
    pub damage: &'a [Rect],
    /// The time of the picture on the stream's clock; it never goes back.
    pub at: Duration,
    /// How many bytes it may have at most, as far as the codec can tell in advance.
    pub most: usize,
}

/// Encodes pictures of one size.
///
/// An encoder is used by one thread at a time and may block it as long as it likes. It keeps what it needs of earlier
/// pictures: only `damage` is read of a new one.
pub trait Encoder: Send {
    /// The codec it encodes for.
    fn codec(&self) -> Codec;

    /// Sets the bit rate to aim at, in bits per second.
    ///
    /// # Errors
    /// [`EncodeError::Library`].
    fn set_bitrate(&mut self, bitrate: u32) -> Result<(), EncodeError>;

    /// Encodes one picture. `None` means that the encoder had nothing to say about it.
    ///
    /// # Errors
    /// [`EncodeError::WrongSize`] or [`EncodeError::Library`].
    fn encode(&mut self, picture: Picture<'_>, kind: Kind) -> Result<Option<AccessUnit>, EncodeError>;
}

/// Makes the encoder of a codec.
///
/// # Errors
/// [`EncodeError::TooLarge`] or [`EncodeError::TooSmall`] for a screen that the codec cannot hold,
/// [`EncodeError::NotBuilt`] for a codec left out of this build, [`EncodeError::Library`] otherwise.
pub fn encoder(codec: Codec, settings: Settings) -> Result<Box<dyn Encoder>, EncodeError> {
    let Size { width, height } = settings.size;
    if width < 16 || height < 16 {
        return Err(EncodeError::TooSmall { width, height });
    }
    match codec {
        Codec::H264 | Codec::H264Full => Ok(Box::new(H264::new(codec, settings)?)),
        #[cfg(vp8)]
        Codec::Vp8 => Ok(Box::new(vp8::Vp8::new(settings)?)),
        #[cfg(not(vp8))]
        Codec::Vp8 => Err(EncodeError::NotBuilt(codec)),
    }
}
