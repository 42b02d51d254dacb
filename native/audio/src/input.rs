//! What a guest records: silence, unless its owner allows a microphone or gives it something else to hear.

use crate::format::Described;
use crate::gain::Gain;
use crate::output::{MAX_STREAMS, StreamError, Told, wanted};
use crate::{Format, Frame, JitterBuffer, Pacer, RATE, SILENCE};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest time that a guest may catch up with, in seconds: its machine may have been halted between two reads.
const CATCH_UP: f64 = 0.060;

/// The most that is read at once, in bytes: more than a second of anything is.
const MOST_READ: u64 = 1 << 20;

/// Whose sound it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A microphone's: heard while the owner allows it.
    Microphone,
    /// Something that the owner has chosen for this guest, such as a file: heard while it is there.
    Chosen,
}

/// What a guest records.
///
/// **Invariant:** a read is answered at once, with as much as the time that has passed is worth: QEMU's main loop waits for it, and
/// does not pace it. Nothing of a microphone's passes while it is not allowed.
pub struct Input {
    origin: Instant,
    inner: Mutex<Inner>,
    told: Told,
}

struct Inner {
    streams: Vec<Stream>,
    captures: Vec<Arc<Mutex<Heard>>>,
    is_allowed: bool,
    frames: Vec<Frame>,
    heard: Vec<Frame>,
}

struct Stream {
    id: u64,
    format: Format,
    is_enabled: bool,
    gain: Gain,
    /// What it may have read since it was enabled.
    pacer: Pacer,
}

/// What one source gives, for each stream that is enabled.
struct Heard {
    origin: Origin,
    is_allowed: bool,
    /// Whether it is gone, and only the end of what it gave is left.
    is_gone: bool,
    /// Its own loudness: nothing where it may not be heard.
    gain: Gain,
    streams: Vec<(u64, JitterBuffer)>,
}

/// One source's way into an [`Input`]. Dropped, it is heard to the end of what it gave.
pub struct Capture {
    clock: Instant,
    heard: Arc<Mutex<Heard>>,
}

impl Input {
    /// `told` is called with true when the guest begins to record, with false when it has ended; it must not block.
    pub fn new(told: impl Fn(bool) + Send + Sync + 'static) -> Arc<Self> {
        let inner = Inner {
            streams: Vec::new(),
            captures: Vec::new(),
            is_allowed: false,
            frames: Vec::new(),
            heard: Vec::new(),
        };
        Arc::new(Self { origin: Instant::now(), inner: Mutex::new(inner), told: Box::new(told) })
    }

    /// The way in for a source of 48000 frames a second.
    pub fn capture(&self, origin: Origin) -> Capture {
        let mut inner = self.inner.lock();
        let enabled = inner.streams.iter().filter(|stream| stream.is_enabled);
        let streams =
            enabled.map(|stream| (stream.id, JitterBuffer::new(RATE, stream.format.rate()))).collect();
        let is_allowed = inner.is_allowed || origin == Origin::Chosen;
        let gain = Gain::at(loud(is_allowed));
        let heard = Arc::new(Mutex::new(Heard { origin, is_allowed, is_gone: false, gain, streams }));
        inner.captures.push(Arc::clone(&heard));
        Capture { clock: self.origin, heard }
    }

    /// Whether a microphone is heard.
    pub fn allow_microphone(&self, is_allowed: bool) {
        let mut inner = self.inner.lock();
        inner.is_allowed = is_allowed;
        inner.each(|heard| {
            heard.is_allowed = is_allowed || heard.origin == Origin::Chosen;
            heard.gain.set(loud(heard.is_allowed));
            if !heard.is_allowed {
                heard.end();
            }
        });
    }

    /// Whether a microphone is allowed.
    pub fn is_microphone_allowed(&self) -> bool {
        self.inner.lock().is_allowed
    }

    /// Whether the guest records: it has a stream that is enabled, whatever is in it.
    pub fn is_recording(&self) -> bool {
        self.inner.lock().is_recording()
    }

    /// `Init`: a stream with this PCM, in the place of one with the same number.
    ///
    /// # Errors
    /// [`StreamError`]; then there is no stream with this number.
    pub fn init(&self, id: u64, described: &Described) -> Result<(), StreamError> {
        self.change(|inner, _| {
            inner.remove(id);
            let format = Format::new(described)?;
            if inner.streams.len() >= MAX_STREAMS {
                return Err(StreamError::TooMany);
            }
            let gain = Gain::default();
            inner.streams.push(Stream {
                id,
                format,
                is_enabled: false,
                gain,
                pacer: Pacer::new(format.rate()),
            });
            Ok(())
        })
    }

    /// `Fini`: it is gone.
    ///
    /// # Errors
    /// [`StreamError::Unknown`].
    pub fn fini(&self, id: u64) -> Result<(), StreamError> {
        self.change(|inner, _| if inner.remove(id) { Ok(()) } else { Err(StreamError::Unknown) })
    }

    /// `SetEnabled`: it records, or does not.
    ///
    /// # Errors
    /// [`StreamError::Unknown`].
    pub fn set_enabled(&self, id: u64, is_enabled: bool) -> Result<(), StreamError> {
        self.change(|inner, now| {
            let stream = inner.stream(id)?;
            stream.is_enabled = is_enabled;
            stream.pacer.start(now);
            let rate = stream.format.rate();
            // Each recording begins with what is heard from its beginning on.
            inner.each(|heard| {
                heard.streams.retain(|(one, _)| *one != id);
                if is_enabled {
                    heard.streams.push((id, JitterBuffer::new(RATE, rate)));
                }
            });
            Ok(())
        })
    }

    /// `SetVolume`: how sensitive the guest wants it, each side from 0 to 255. QEMU leaves it to its listeners to do that.
    ///
    /// # Errors
    /// [`StreamError::Unknown`].
    pub fn set_stream_volume(&self, id: u64, is_muted: bool, volume: &[u8]) -> Result<(), StreamError> {
        self.inner.lock().stream(id)?.gain.set(wanted(is_muted, volume));
        Ok(())
    }

    /// `Read`: appends at most `size` bytes of what was recorded, at once. Less where less time has passed.
    ///
    /// # Errors
    /// [`StreamError::Unknown`], [`StreamError::Size`] for more than 1 MiB or less than a frame.
    pub fn read(&self, id: u64, size: u64, bytes: &mut Vec<u8>) -> Result<(), StreamError> {
        self.read_at(self.origin.elapsed(), id, size, bytes)
    }

    fn read_at(&self, now: Duration, id: u64, size: u64, bytes: &mut Vec<u8>) -> Result<(), StreamError> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let stream = inner.streams.iter_mut().find(|stream| stream.id == id).ok_or(StreamError::Unknown)?;
        let frame_bytes = stream.format.frame_bytes() as u64;
        if size > MOST_READ || size < frame_bytes {
            return Err(StreamError::Size { bytes: size });
        }
        // No more than the catching up is worth, so it fits.
        let count = stream.pacer.take(now, CATCH_UP, size / frame_bytes) as usize;
        inner.frames.clear();
        inner.frames.resize(count, SILENCE);
        inner.heard.resize(count, SILENCE);
        inner.captures.retain(|capture| {
            let mut heard = capture.lock();
            let Heard { gain, streams, .. } = &mut *heard;
            if let Some((_, buffer)) = streams.iter_mut().find(|(one, _)| *one == id) {
                buffer.pull(now, &mut inner.heard);
                gain.apply(&mut inner.heard);
                for (sum, frame) in inner.frames.iter_mut().zip(&inner.heard) {
                    *sum = [sum[0] + frame[0], sum[1] + frame[1]];
                }
            }
            !heard.is_over()
        });
        stream.gain.apply(&mut inner.frames);
        stream.format.encode(&inner.frames, bytes);
        Ok(())
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Inner, Duration) -> Result<(), StreamError>,
    ) -> Result<(), StreamError> {
        let (changed, before, after) = {
            let mut inner = self.inner.lock();
            let before = inner.is_recording();
            (change(&mut inner, self.origin.elapsed()), before, inner.is_recording())
        };
        if before != after {
            (self.told)(after);
        }
        changed
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("is_recording", &self.is_recording()).finish_non_exhaustive()
    }
}

fn loud(is_allowed: bool) -> Frame {
    if is_allowed { [1.0; 2] } else { SILENCE }
}

impl Heard {
    fn end(&mut self) {
        self.streams.iter_mut().for_each(|(_, buffer)| buffer.end());
    }

    fn is_over(&self) -> bool {
        self.is_gone && self.streams.iter().all(|(_, buffer)| buffer.is_empty())
    }
}

impl Inner {
    fn is_recording(&self) -> bool {
        self.streams.iter().any(|stream| stream.is_enabled)
    }

    fn stream(&mut self, id: u64) -> Result<&mut Stream, StreamError> {
        self.streams.iter_mut().find(|stream| stream.id == id).ok_or(StreamError::Unknown)
    }

    fn remove(&mut self, id: u64) -> bool {
        let count = self.streams.len();
        self.streams.retain(|stream| stream.id != id);
        self.each(|heard| heard.streams.retain(|(one, _)| *one != id));
        self.streams.len() < count
    }

    fn each(&mut self, mut change: impl FnMut(&mut Heard)) {
        self.captures.retain(|capture| {
            let mut heard = capture.lock();
            change(&mut heard);
            !heard.is_over()
        });
    }
}

impl Capture {
    /// Gives the guest the next frames, 48000 a second, as they are recorded. May be called on any thread.
    pub fn push(&mut self, frames: &[Frame]) {
        self.push_at(self.clock.elapsed(), frames);
    }

    fn push_at(&mut self, now: Duration, frames: &[Frame]) {
        let mut heard = self.heard.lock();
        // What is said while it may not be heard is not kept for later.
        if heard.is_allowed {
            heard.streams.iter_mut().for_each(|(_, buffer)| buffer.push(now, frames));
        }
    }

    /// Nothing follows for now: what was given is heard to its end.
    pub fn end(&mut self) {
        self.heard.lock().end();
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let mut heard = self.heard.lock();
        heard.is_gone = true;
        heard.end();
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Capture")
    }
}
