//! From a screen of the guest's to encoded frames: an encoder for each codec, shared by its viewers, and a second one for those whose
//! paths are much slower than the best.

mod budget;
mod class;
mod kept;
mod lane;
mod outbox;
mod schedule;
mod signal;

pub use budget::Budget;
#[cfg(test)]
pub use budget::KEY_TIME;
pub use outbox::Outbox;
pub use signal::Signal;

use crate::codec::Codec;
use crate::transport::{Flow, Rates};
use class::Class;
use lane::Lane;
use parking_lot::Mutex;
use sampan_frame::Screen;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a viewer stays with an encoder before it may go to another one: each move costs a keyframe.
const STAY: Duration = Duration::from_secs(2);

/// The bounds of encoding.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Frames per second at most.
    pub max_fps: u32,
    /// Bit rates.
    pub rates: Rates,
}

/// What has been encoded so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Pictures.
    pub frames: AtomicU64,
    /// Keyframes among them.
    pub keyframes: AtomicU64,
    /// Pictures of a screen at rest that are as good as they get.
    pub refined: AtomicU64,
    /// Times that the kept pictures were sent again, without being encoded.
    pub resent: AtomicU64,
    /// Bytes of payload, counted once however many viewers got them.
    pub bytes: AtomicU64,
    /// Time spent in conversion and encoding.
    pub encode_nanos: AtomicU64,
}

/// What the pipelines of a guest's displays share.
#[derive(Clone, Debug)]
pub struct Shared {
    limits: Limits,
    counters: Arc<Counters>,
    /// When the time of RTP began, which goes on for a viewer that sees another display.
    epoch: Instant,
}

impl Shared {
    /// Nothing has been encoded yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, counters: Arc::default(), epoch: Instant::now() }
    }

    /// What has been encoded so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Starts encoders when their first viewer comes and ends each when its last one goes.
pub struct Pipeline {
    screen: Arc<Screen>,
    shared: Shared,
    lanes: Mutex<HashMap<(Codec, Class), Arc<Lane>>>,
}

impl Pipeline {
    /// A pipeline of `screen`; it does nothing until someone joins.
    pub fn new(screen: Arc<Screen>, shared: Shared) -> Arc<Self> {
        Arc::new(Self { screen, shared, lanes: Mutex::default() })
    }

    /// Adds a viewer; one that relays is sent pictures [at rest](schedule::BEAT), too.
    ///
    /// # Errors
    /// The system's, if it has no thread for the encoder.
    pub fn join(self: &Arc<Self>, codec: Codec, flow: Arc<Flow>, relays: bool) -> std::io::Result<Seat> {
        let outbox = Arc::new(Outbox::new(flow, relays));
        let place = self.place(codec, None, &outbox)?;
        Ok(Seat { codec, place: Mutex::new(place), moves: Mutex::default(), outbox })
    }

    /// A place among the viewers of a class, or where a viewer begins.
    fn place(
        self: &Arc<Self>,
        codec: Codec,
        class: Option<Class>,
        outbox: &Arc<Outbox>,
    ) -> std::io::Result<Place> {
        let mut lanes = self.lanes.lock();
        let class = class.unwrap_or_else(|| match lanes.get(&(codec, Class::Fast)) {
            Some(lane) => Class::first(outbox.flow().target(), lane.rate(), lane.kept()),
            None => Class::Fast,
        });
        let lane = match lanes.get(&(codec, class)) {
            Some(lane) => lane.clone(),
            None => {
                let Shared { limits, counters, epoch } = self.shared.clone();
                let lane = Lane::start(codec, &self.screen, limits, counters, epoch)?;
                lanes.insert((codec, class), lane.clone());
                lane
            }
        };
        lane.join(outbox.clone());
        Ok(Place { pipeline: Arc::downgrade(self), lane, class, since: Instant::now() })
    }

    /// What the best path takes of the viewers of a codec, but for one of them.
    fn best(&self, codec: Codec, but: &Arc<Outbox>) -> Option<u32> {
        let lanes = self.lanes.lock();
        let of_codec = lanes.iter().filter(|((of, _), _)| *of == codec);
        of_codec.filter_map(|(_, lane)| lane.best(but)).max()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let lanes = self.lanes.get_mut();
        lanes.values().for_each(|lane| lane.stop());
    }
}

/// An encoder, and where it is kept.
struct Place {
    pipeline: Weak<Pipeline>,
    lane: Arc<Lane>,
    class: Class,
    since: Instant,
}

impl Place {
    fn leave(&self, codec: Codec, outbox: &Arc<Outbox>) {
        let Some(pipeline) = self.pipeline.upgrade() else { return };
        let mut lanes = pipeline.lanes.lock();
        if self.lane.leave(outbox) {
            self.lane.stop();
            let key = (codec, self.class);
            if lanes.get(&key).is_some_and(|lane| Arc::ptr_eq(lane, &self.lane)) {
                lanes.remove(&key);
            }
        }
    }
}

/// A viewer's place at an encoder; dropping it leaves.
pub struct Seat {
    codec: Codec,
    place: Mutex<Place>,
    /// Held while it moves.
    moves: Mutex<()>,
    outbox: Arc<Outbox>,
}

impl Seat {
    /// The codec it is sent.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// What the encoder puts in for this viewer.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Moves to the encoder of another display, which begins with a keyframe for this viewer.
    ///
    /// # Errors
    /// The system's, if it has no thread for the encoder; the viewer stays where it is then.
    pub fn move_to(&self, pipeline: &Arc<Pipeline>) -> std::io::Result<()> {
        let _moving = self.moves.lock();
        if self.place.lock().pipeline.ptr_eq(&Arc::downgrade(pipeline)) {
            return Ok(());
        }
        let place = pipeline.place(self.codec, None, &self.outbox)?;
        let old = std::mem::replace(&mut *self.place.lock(), place);
        old.leave(self.codec, &self.outbox);
        Ok(())
    }

    /// Moves to the encoder for paths like this viewer's, where that is another one; answers whether it did.
    ///
    /// # Errors
    /// The system's, if it has no thread for the encoder; the viewer stays where it is then.
    pub fn settle(&self) -> std::io::Result<bool> {
        let _moving = self.moves.lock();
        if self.outbox.flow().muted() {
            return Ok(false);
        }
        let (pipeline, class, stayed) = {
            let place = self.place.lock();
            (place.pipeline.upgrade(), place.class, place.since.elapsed())
        };
        let Some(pipeline) = pipeline else { return Ok(false) };
        let best = pipeline.best(self.codec, &self.outbox);
        let next = class.next(self.outbox.flow().target(), best);
        // Who has come is let up as soon as its path is known.
        let may = stayed >= STAY || (class, next) == (Class::Slow, Class::Fast);
        if next == class || !may {
            return Ok(false);
        }
        let place = pipeline.place(self.codec, Some(next), &self.outbox)?;
        let old = std::mem::replace(&mut *self.place.lock(), place);
        old.leave(self.codec, &self.outbox);
        Ok(true)
    }

    /// Tells the encoder that this viewer can take more, or needs something.
    pub fn wake(&self) {
        self.place.lock().lane.wake();
    }

    /// Words from the encoder for the viewer, empty when all is well.
    pub fn notices(&self) -> watch::Receiver<String> {
        self.place.lock().lane.notices()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.outbox.close();
        self.place.get_mut().leave(self.codec, &self.outbox);
    }
}
