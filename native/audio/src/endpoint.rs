//! Where sound goes, and where it comes from.

use crate::{Frame, Result};

/// Frames that move at a time where nobody wants another number: 20 ms, which is also what one packet of Opus holds.
pub const PIECE: usize = 960;

/// Takes what a guest plays, piece by piece: a file, a connection, an encoder.
///
/// Whoever drives it pulls pieces from a [`Playback`](crate::Playback) by a clock, also while the guest is silent, so that time in
/// the sink is time outside: a packet of a stream is due every 20 ms whether or not there is sound in it, and
/// [`Playback::pull`](crate::Playback::pull) says whether there is. What has a clock of its own, such as a loudspeaker that calls
/// when it wants more, pulls by itself and is no `Sink`.
pub trait Sink: Send {
    /// Takes the next frames, 48000 a second. May block for as long as its own buffer is full; then whoever drives it drives
    /// nothing else.
    ///
    /// # Errors
    /// It takes no more.
    fn write(&mut self, frames: &[Frame]) -> Result<()>;

    /// Nothing follows. A file is complete after this.
    ///
    /// # Errors
    /// What was written last is not there.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Gives what a guest is to record, piece by piece: a file, a connection, a decoder. What has a clock of its own, such as a
/// microphone, pushes to a [`Capture`](crate::Capture) by itself and is no `Source`.
pub trait Source: Send {
    /// Writes the next frames, 48000 a second, and returns how many; 0 is the end.
    ///
    /// # Errors
    /// There is no more to be had.
    fn read(&mut self, frames: &mut [Frame]) -> Result<usize>;
}
