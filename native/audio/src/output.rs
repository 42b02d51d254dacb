//! What a guest plays, for any number of listeners, each by a clock of its own.

use crate::format::Described;
use crate::gain::{Gain, loudness};
use crate::{Format, FormatError, Frame, JitterBuffer, RATE, SILENCE};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Streams that a guest may have at once: QEMU mixes those of all its cards into one.
pub const MAX_STREAMS: usize = 4;

/// Why a call of a guest's was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// It describes what is no PCM.
    #[error("a sound stream was refused: {0}")]
    Format(#[from] FormatError),
    /// There are too many.
    #[error("a sound stream beyond the {MAX_STREAMS} that are played was refused")]
    TooMany,
    /// It was never described.
    #[error("sound came for a stream that was never described, and was ignored")]
    Unknown,
    /// It is no whole number of frames, or longer than a piece of sound can be.
    #[error("{bytes} bytes of sound are not what a sound card moves at once")]
    Size {
        /// Bytes that came or were asked for.
        bytes: u64,
    },
}

/// Told whenever it begins or ends that a guest plays or records.
pub(crate) type Told = Box<dyn Fn(bool) + Send + Sync>;

/// By how much a piece may be late for a listener that has no buffer behind it, and for one whose own listeners have buffers that mend
/// what this one does not.
const MARGIN: Duration = Duration::from_millis(20);
const SMALL_MARGIN: Duration = Duration::from_millis(10);

/// Wakes a listener that rests.
type Wake = Box<dyn Fn() + Send + Sync>;

/// What a guest plays.
///
/// **Invariant:** no call waits for a listener, and what a guest sends makes nothing grow: a listener keeps at most a second of
/// each of [`MAX_STREAMS`] streams.
pub struct Output {
    origin: Instant,
    inner: Mutex<Inner>,
    told: Told,
}

struct Inner {
    streams: Vec<Stream>,
    listeners: Vec<Weak<Mutex<Listening>>>,
    volume: f32,
    is_muted: bool,
    decoded: Vec<Frame>,
}

struct Stream {
    id: u64,
    format: Format,
    is_enabled: bool,
    gain: Gain,
}

#[derive(Default)]
struct Listening {
    streams: Vec<Heard>,
    gain: Gain,
    margin: Duration,
    wake: Option<Wake>,
    is_resting: bool,
}

/// A stream as a listener has it.
struct Heard {
    id: u64,
    rate: u32,
    buffer: JitterBuffer,
}

/// One listener's way out of an [`Output`]. Dropped, it hears nothing more.
pub struct Playback {
    origin: Instant,
    listening: Arc<Mutex<Listening>>,
}

impl Output {
    /// `told` is called with true when the guest begins to play, with false when it has ended; it must not block.
    pub fn new(told: impl Fn(bool) + Send + Sync + 'static) -> Arc<Self> {
        let inner = Inner {
            streams: Vec::new(),
            listeners: Vec::new(),
            volume: 1.0,
            is_muted: false,
            decoded: Vec::new(),
        };
        Arc::new(Self { origin: Instant::now(), inner: Mutex::new(inner), told: Box::new(told) })
    }

    /// Somebody listens from now on, to 48000 frames a second.
    pub fn listen(&self) -> Playback {
        self.listen_by(MARGIN, None)
    }

    /// The same for one that sends it on, to receivers with buffers of their own: less is kept for what may be late. It rests while
    /// there is nothing to be heard ([`Playback::rest`]), and `wake` is called when something comes, which must not block, and must
    /// call nothing of this output's.
    pub fn listen_to_send(&self, wake: impl Fn() + Send + Sync + 'static) -> Playback {
        self.listen_by(SMALL_MARGIN, Some(Box::new(wake)))
    }

    fn listen_by(&self, margin: Duration, wake: Option<Wake>) -> Playback {
        let mut inner = self.inner.lock();
        let gain = Gain::at(inner.gain());
        let listening =
            Arc::new(Mutex::new(Listening { streams: Vec::new(), gain, margin, wake, is_resting: false }));
        inner.listeners.retain(|listener| listener.strong_count() > 0);
        inner.listeners.push(Arc::downgrade(&listening));
        Playback { origin: self.origin, listening }
    }

    /// How loud it is for every listener: from 0 to 1, by its cube, and whether it is silent instead.
    pub fn set_volume(&self, volume: f32, is_muted: bool) {
        let mut inner = self.inner.lock();
        (inner.volume, inner.is_muted) = (if volume.is_finite() { volume } else { 1.0 }, is_muted);
        let gain = inner.gain();
        inner.each(|listening| listening.gain.set(gain));
    }

    /// Whether the guest plays: it has a stream that is enabled, whatever is in it.
    pub fn is_playing(&self) -> bool {
        self.inner.lock().is_playing()
    }

    /// `Init`: a stream with this PCM, in the place of one with the same number.
    ///
    /// # Errors
    /// [`StreamError`]; then there is no stream with this number.
    pub fn init(&self, id: u64, described: &Described) -> Result<(), StreamError> {
        self.change(|inner| {
            inner.remove(id);
            let format = Format::new(described)?;
            if inner.streams.len() >= MAX_STREAMS {
                return Err(StreamError::TooMany);
            }
            inner.streams.push(Stream { id, format, is_enabled: false, gain: Gain::default() });
            Ok(())
        })
    }

    /// `Fini`: it is gone.
    ///
    /// # Errors
    /// [`StreamError::Unknown`].
    pub fn fini(&self, id: u64) -> Result<(), StreamError> {
        self.change(|inner| if inner.remove(id) { Ok(()) } else { Err(StreamError::Unknown) })
    }

    /// `SetEnabled`: it plays, or does not.
    ///
    /// # Errors
    /// [`StreamError::Unknown`].
    pub fn set_enabled(&self, id: u64, is_enabled: bool) -> Result<(), StreamError> {
        self.change(|inner| {
            inner.stream(id)?.is_enabled = is_enabled;
            if !is_enabled {
                inner.end(id);
            }
            Ok(())
        })
    }

    /// `SetVolume`: how loud the guest wants it, each side from 0 to 255. QEMU leaves it to its listeners to do that.
    ///
    /// # Errors
    /// [`StreamError::Unknown`].
    pub fn set_stream_volume(&self, id: u64, is_muted: bool, volume: &[u8]) -> Result<(), StreamError> {
        self.inner.lock().stream(id)?.gain.set(wanted(is_muted, volume));
        Ok(())
    }

    /// `Write`: a piece of sound.
    ///
    /// # Errors
    /// [`StreamError::Unknown`], [`StreamError::Size`]; of the latter the whole frames are played.
    pub fn write(&self, id: u64, bytes: &[u8]) -> Result<(), StreamError> {
        self.write_at(self.origin.elapsed(), id, bytes)
    }

    fn write_at(&self, now: Duration, id: u64, bytes: &[u8]) -> Result<(), StreamError> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let size = StreamError::Size { bytes: bytes.len() as u64 };
        let stream = inner.streams.iter_mut().find(|stream| stream.id == id).ok_or(StreamError::Unknown)?;
        let format = stream.format;
        let most = format.frame_bytes() * format.rate() as usize;
        if bytes.len() > most {
            return Err(size);
        }
        inner.decoded.clear();
        let left_over = format.decode(bytes, &mut inner.decoded);
        stream.gain.apply(&mut inner.decoded);
        for listener in inner.listeners.iter().filter_map(Weak::upgrade) {
            listener.lock().push(now, id, format.rate(), &inner.decoded);
        }
        if left_over == 0 { Ok(()) } else { Err(size) }
    }

    fn change(&self, change: impl FnOnce(&mut Inner) -> Result<(), StreamError>) -> Result<(), StreamError> {
        let (changed, before, after) = {
            let mut inner = self.inner.lock();
            let before = inner.is_playing();
            (change(&mut inner), before, inner.is_playing())
        };
        if before != after {
            (self.told)(after);
        }
        changed
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("is_playing", &self.is_playing()).finish_non_exhaustive()
    }
}

/// What a card's volume does to samples: it is linear (`audio/mixeng.c`). Sides that it does not tell are as the last one.
pub(crate) fn wanted(is_muted: bool, volume: &[u8]) -> Frame {
    if is_muted {
        return SILENCE;
    }
    let side = |side: usize| {
        let told = volume.get(side).or(volume.last()).copied().unwrap_or(u8::MAX);
        f32::from(told) / f32::from(u8::MAX)
    };
    [side(0), side(1)]
}

impl Inner {
    fn gain(&self) -> Frame {
        if self.is_muted { SILENCE } else { [loudness(self.volume); 2] }
    }

    fn is_playing(&self) -> bool {
        self.streams.iter().any(|stream| stream.is_enabled)
    }

    fn stream(&mut self, id: u64) -> Result<&mut Stream, StreamError> {
        self.streams.iter_mut().find(|stream| stream.id == id).ok_or(StreamError::Unknown)
    }

    fn remove(&mut self, id: u64) -> bool {
        let count = self.streams.len();
        self.streams.retain(|stream| stream.id != id);
        self.end(id);
        self.streams.len() < count
    }

    fn end(&mut self, id: u64) {
        self.each(|listening| {
            listening.streams.iter_mut().filter(|heard| heard.id == id).for_each(|heard| heard.buffer.end());
        });
    }

    fn each(&mut self, mut change: impl FnMut(&mut Listening)) {
        self.listeners.retain(|listener| match listener.upgrade() {
            Some(listening) => {
                change(&mut listening.lock());
                true
            }
            None => false,
        });
    }
}

impl Listening {
    fn push(&mut self, now: Duration, id: u64, rate: u32, frames: &[Frame]) {
        if std::mem::take(&mut self.is_resting)
            && let Some(wake) = &self.wake
        {
            wake();
        }
        if let Some(heard) = self.streams.iter_mut().find(|heard| heard.id == id && heard.rate == rate) {
            return heard.buffer.push(now, frames);
        }
        // Streams that are gone play to their end; of a listener that never pulls they have none.
        self.streams.retain(|heard| !heard.buffer.is_empty());
        if self.streams.len() >= 2 * MAX_STREAMS {
            self.streams.remove(0);
        }
        let mut buffer = JitterBuffer::new(rate, RATE).with_margin(self.margin);
        buffer.push(now, frames);
        self.streams.push(Heard { id, rate, buffer });
    }
}

impl Playback {
    /// The next frames, 48000 a second, at once; silence where there is nothing. Returns whether any of it is sound. May be called
    /// on any thread; it takes one lock, which is held for the copying of a piece at most, and allocates nothing.
    pub fn pull(&mut self, out: &mut [Frame]) -> bool {
        self.pull_at(self.origin.elapsed(), out)
    }

    fn pull_at(&mut self, now: Duration, out: &mut [Frame]) -> bool {
        let mut listening = self.listening.lock();
        let Listening { streams, gain, is_resting, .. } = &mut *listening;
        *is_resting = false;
        let mut is_sound = false;
        out.fill(SILENCE);
        for heard in streams.iter_mut() {
            is_sound |= heard.buffer.mix(now, out);
        }
        gain.apply(out);
        out.iter_mut().flatten().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
        is_sound
    }

    /// Whether the listener may stop to pull until it is woken: there is nothing that it has not pulled. What comes from now on wakes
    /// it once.
    pub fn rest(&mut self) -> bool {
        let mut listening = self.listening.lock();
        listening.is_resting = listening.streams.iter().all(|heard| heard.buffer.is_empty());
        listening.is_resting
    }

    /// The time that sound spends here, the longest of its streams'.
    pub fn latency(&self) -> Duration {
        self.listening.lock().streams.iter().map(|heard| heard.buffer.latency()).max().unwrap_or_default()
    }

    /// What had to be done that may be heard, so far.
    pub fn counts(&self) -> crate::Counts {
        let mut all = crate::Counts::default();
        for heard in &self.listening.lock().streams {
            let counts = heard.buffer.counts();
            all.dry += counts.dry;
            all.skipped += counts.skipped;
        }
        all
    }
}

impl std::fmt::Debug for Playback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Playback")
    }
}
