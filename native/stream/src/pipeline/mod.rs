//! From a screen of the guest's to encoded frames: an encoder for each codec, shared by its viewers, and a second one for those whose
//! paths are much slower than the best.

mod allocator;
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
    lanes: Mutex<Lanes>,
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
        let place = self.place(codec, &outbox)?;
        Ok(Seat { codec, place: Mutex::new(place), moves: Mutex::default(), outbox })
    }

    /// A place where a viewer begins.
    fn place(self: &Arc<Self>, codec: Codec, outbox: &Arc<Outbox>) -> std::io::Result<Place> {
        let mut lanes = self.lanes.lock();
        let class = match lanes.get(&(codec, Class::Fast)) {
            Some(lane) => Class::first(outbox.flow().target(), lane.rate(), lane.kept()),
            None => Class::Fast,
        };
        self.place_in(&mut lanes, codec, class, outbox)
    }

    /// A place among the viewers of a class.
    fn place_in(
        self: &Arc<Self>,
        lanes: &mut Lanes,
        codec: Codec,
        class: Class,
        outbox: &Arc<Outbox>,
    ) -> std::io::Result<Place> {
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
        Ok(Place { pipeline: Arc::downgrade(self), lane, since: Instant::now() })
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let lanes = self.lanes.get_mut();
        lanes.values().for_each(|lane| lane.stop());
    }
}

type Lanes = HashMap<(Codec, Class), Arc<Lane>>;

/// For whom an encoder is.
fn class_of(lanes: &Lanes, codec: Codec, lane: &Arc<Lane>) -> Option<Class> {
    [Class::Fast, Class::Slow]
        .into_iter()
        .find(|class| lanes.get(&(codec, *class)).is_some_and(|other| Arc::ptr_eq(other, lane)))
}

/// An encoder, and where it is kept.
struct Place {
    pipeline: Weak<Pipeline>,
    lane: Arc<Lane>,
    since: Instant,
}

impl Place {
    fn leave(&self, codec: Codec, outbox: &Arc<Outbox>) {
        let Some(pipeline) = self.pipeline.upgrade() else { return };
        let mut lanes = pipeline.lanes.lock();
        if self.lane.leave(outbox) {
            self.lane.stop();
            let Some(class) = class_of(&lanes, codec, &self.lane) else { return };
            lanes.remove(&(codec, class));
            // Whoever is left goes on as they are: a new encoder would begin with less than they see.
            if class == Class::Fast
                && let Some(slow) = lanes.remove(&(codec, Class::Slow))
            {
                lanes.insert((codec, Class::Fast), slow);
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
        let place = pipeline.place(self.codec, &self.outbox)?;
        let old = std::mem::replace(&mut *self.place.lock(), place);
        old.leave(self.codec, &self.outbox);
        Ok(())
    }

    /// Moves to the encoder for paths like this viewer's, where that is another one; answers whether it did.
    ///
    /// # Errors
    /// The system's, if it has no thread for the encoder; the viewer stays where it is then.
    pub fn settle(&self) -> std::io::Result<bool> {
        self.settle_at(Instant::now())
    }

    fn settle_at(&self, now: Instant) -> std::io::Result<bool> {
        let _moving = self.moves.lock();
        if self.outbox.flow().muted() {
            return Ok(false);
        }
        let (pipeline, lane, stayed) = {
            let place = self.place.lock();
            (place.pipeline.upgrade(), place.lane.clone(), now.saturating_duration_since(place.since))
        };
        let Some(pipeline) = pipeline else { return Ok(false) };
        let place = {
            // Held from the question to the move: the classes change with who leaves.
            let mut lanes = pipeline.lanes.lock();
            let Some(class) = class_of(&lanes, self.codec, &lane) else { return Ok(false) };
            let of_codec = lanes.iter().filter(|((codec, _), _)| *codec == self.codec);
            let best = of_codec.filter_map(|(_, lane)| lane.best(&self.outbox)).max();
            let next = class.next(self.outbox.flow().target(), best);
            // Who has come is let up as soon as its path is known.
            let may = stayed >= STAY || (class, next) == (Class::Slow, Class::Fast);
            if next == class || !may {
                return Ok(false);
            }
            pipeline.place_in(&mut lanes, self.codec, next, &self.outbox)?
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: u32 = 1_000_000;
    const WIDE: u32 = 40_000_000;

    fn pipeline() -> Arc<Pipeline> {
        let rates = Rates { initial: NARROW, least: 100_000, most: WIDE };
        Pipeline::new(Screen::new(), Shared::new(Limits { max_fps: 60, rates }))
    }

    fn join(pipeline: &Arc<Pipeline>, target: u32) -> Seat {
        pipeline.join(Codec::H264, Arc::new(Flow::new(target)), false).expect("a thread")
    }

    fn class(pipeline: &Arc<Pipeline>, seat: &Seat) -> Option<Class> {
        class_of(&pipeline.lanes.lock(), Codec::H264, &seat.place.lock().lane)
    }

    #[test]
    fn a_narrow_path_goes_to_an_encoder_of_its_own_and_back() {
        let pipeline = pipeline();
        let (wide, narrow) = (join(&pipeline, WIDE), join(&pipeline, NARROW));
        assert_eq!(class(&pipeline, &narrow), Some(Class::Fast), "the encoder begins with what that takes");
        assert!(!narrow.settle().expect("a thread"), "it has just come");
        let later = Instant::now() + STAY;
        assert!(!wide.settle_at(later).expect("a thread") && narrow.settle_at(later).expect("a thread"));
        assert_eq!(
            [class(&pipeline, &wide), class(&pipeline, &narrow)],
            [Some(Class::Fast), Some(Class::Slow)]
        );
        narrow.outbox.flow().set_target(WIDE);
        assert!(narrow.settle().expect("a thread"));
        assert_eq!([class(&pipeline, &narrow), class(&pipeline, &wide)], [Some(Class::Fast); 2]);
        assert_eq!(pipeline.lanes.lock().len(), 1, "the second one has ended");
    }

    #[test]
    fn whoever_is_left_stays_with_its_encoder() {
        let pipeline = pipeline();
        let (wide, narrow) = (join(&pipeline, WIDE), join(&pipeline, NARROW));
        assert!(narrow.settle_at(Instant::now() + STAY).expect("a thread"));
        let lane = narrow.place.lock().lane.clone();
        drop(wide);
        assert_eq!(class(&pipeline, &narrow), Some(Class::Fast));
        assert!(!narrow.settle_at(Instant::now() + 2 * STAY).expect("a thread"));
        assert!(Arc::ptr_eq(&lane, &narrow.place.lock().lane));
        drop(narrow);
        assert!(pipeline.lanes.lock().is_empty());
    }
}
