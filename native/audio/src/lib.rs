//! A guest's sound, between QEMU and whoever plays or records it.
//!
//! [`Output`] is what a guest plays: any number of listeners each pull from a [`Playback`] by a clock of their own. [`Input`] is
//! what it records: any number of sources each push to a [`Capture`], and a read of the guest's is answered with what its time is
//! worth. Between two clocks stands a [`JitterBuffer`], which holds its level by reading a little faster or slower. [`Sink`] and
//! [`Source`] are what has no clock: files, connections, encoders.
//!
//! Frames are two floats at 48000 a second everywhere but on QEMU's side of an [`Output`] or [`Input`].
//!
//! **Invariant:** no call waits, whatever the other side does; what a guest sends is checked and makes nothing grow; nothing begins,
//! ends or changes its loudness with a step. Clocks are read here only where a caller's own call is timed.
//!
//! ```
//! use sampan_audio::{Described, Output, PIECE, SILENCE};
//!
//! let output = Output::new(|playing| println!("plays: {playing}"));
//! let mut playback = output.listen();
//! let cd = Described {
//!     bits: 16, is_signed: true, is_float: false, rate: 44_100, channels: 2, bytes_per_frame: 4,
//!     bytes_per_second: 176_400, is_big_endian: false,
//! };
//! output.init(1, &cd)?;
//! output.set_enabled(1, true)?;
//! output.write(1, &[0; 1764])?;
//! let mut piece = [SILENCE; PIECE];
//! assert!(!playback.pull(&mut piece), "10 ms are not enough to begin");
//! # Ok::<(), sampan_audio::StreamError>(())
//! ```
#![forbid(unsafe_code)]

mod endpoint;
mod error;
mod format;
mod gain;
mod input;
mod jitter;
mod kernel;
mod output;
mod pace;
mod wav;

pub use endpoint::{PIECE, Sink, Source};
pub use error::AudioError;
#[doc(hidden)]
pub use error::samples;
pub use format::{Described, Format, FormatError, Frame, RATE, SILENCE};
pub use gain::{Gain, loudness};
pub use input::{Capture, Input, Origin};
pub use jitter::{Counts, JitterBuffer};
pub use output::{MAX_STREAMS, Output, Playback, StreamError};
pub use pace::Pacer;
pub use wav::{WavSink, WavSource};

/// What this crate's calls return.
pub type Result<T> = std::result::Result<T, AudioError>;
