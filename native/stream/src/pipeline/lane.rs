//! One encoder on a thread of its own, and the viewers it feeds.

use super::allocator;
use super::budget::Budget;
use super::kept::Kept;
use super::outbox::Outbox;
use super::schedule::{Now, Schedule, Step};
use super::signal::Signal;
use super::{Counters, Limits};
use crate::codec::{self, Codec, Encoder, Kind, Picture, Settings};
use crate::transport::{Frame, packetize, rtp_time};
use parking_lot::{Mutex, MutexGuard};
use sampan_frame::{Consumer, Rect, Screen, Size, Staging};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A change of the target rate below this fraction is not passed on: the rate control needs steady ground.
const RATE_STEP: f64 = 0.05;

/// A viewer whose path is much slower than the others' skips from keyframe to keyframe, and while the picture moves is
/// given one at most this often: keyframes cost everyone.
const LAGGARD_KEY_GAP: Duration = Duration::from_secs(2);

/// Encoders are made at most this often: a guest that changes its mode in a loop must not keep a core busy.
const REMAKE_GAP: Duration = Duration::from_millis(100);

/// What the thread and the viewers' tasks share.
pub struct Lane {
    /// Its number among all: outboxes take frames from one alone.
    number: u64,
    codec: Codec,
    signal: Arc<Signal>,
    seats: Mutex<Vec<Arc<Outbox>>>,
    stop: AtomicBool,
    notice: watch::Sender<String>,
    /// The rate that it encodes for, in bits per second.
    rate: AtomicU32,
    /// Bytes that are kept for who comes; 0 where nothing is.
    kept: AtomicUsize,
}

impl Lane {
    /// Starts a thread that encodes `screen` for whoever joins.
    ///
    /// # Errors
    /// The system's, if it has no more threads.
    pub fn start(
        codec: Codec,
        screen: &Arc<Screen>,
        limits: Limits,
        counters: Arc<Counters>,
        epoch: Instant,
    ) -> std::io::Result<Arc<Self>> {
        static LANES: AtomicU64 = AtomicU64::new(1);
        let lane = Arc::new(Self {
            number: LANES.fetch_add(1, Ordering::Relaxed),
            codec,
            signal: Arc::default(),
            seats: Mutex::default(),
            stop: AtomicBool::new(false),
            notice: watch::Sender::new(String::new()),
            rate: AtomicU32::new(limits.rates.initial),
            kept: AtomicUsize::new(0),
        });
        let signal = lane.signal.clone();
        let consumer = screen.attach(Box::new(move || signal.raise()));
        let worker = Worker {
            lane: lane.clone(),
            screen: screen.clone(),
            consumer,
            staging: Staging::new(),
            schedule: Schedule::new(limits.max_fps),
            encoder: None,
            made: None,
            refused: None,
            rate: limits.rates.initial,
            unreadable: false,
            key_at: None,
            kept: Kept::default(),
            budget: Budget::new(Instant::now()),
            limits,
            counters,
            epoch,
        };
        std::thread::Builder::new().name(format!("encode {codec}")).spawn(move || {
            worker.run();
            allocator::give_back();
        })?;
        Ok(lane)
    }

    /// Adds a viewer.
    pub fn join(&self, outbox: Arc<Outbox>) {
        outbox.follow(self.number);
        self.seats().push(outbox);
        self.signal.raise();
    }

    /// Removes a viewer; answers whether it was the last one.
    pub fn leave(&self, outbox: &Arc<Outbox>) -> bool {
        let mut seats = self.seats();
        seats.retain(|seat| !Arc::ptr_eq(seat, outbox));
        seats.is_empty()
    }

    /// The rate that it encodes for, in bits per second.
    pub fn rate(&self) -> u32 {
        self.rate.load(Ordering::Relaxed)
    }

    /// Bytes that are kept for who comes; 0 where there will be a keyframe.
    pub fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    /// What the best path of its viewers takes, but for one of them; `None` where nobody else can be sent anything.
    pub fn best(&self, but: &Arc<Outbox>) -> Option<u32> {
        let seats = self.seats();
        let others = seats.iter().filter(|seat| !Arc::ptr_eq(seat, but) && !seat.flow().muted());
        others.map(|seat| seat.flow().target()).max()
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.signal.raise();
    }

    /// Wakes the thread because a viewer can take more or asks for something.
    pub fn wake(&self) {
        self.signal.raise();
    }

    /// Words for the viewers, empty when all is well.
    pub fn notices(&self) -> watch::Receiver<String> {
        self.notice.subscribe()
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Arc<Outbox>>> {
        self.seats.lock()
    }
}

struct Worker {
    lane: Arc<Lane>,
    screen: Arc<Screen>,
    consumer: Consumer,
    staging: Staging,
    schedule: Schedule,
    encoder: Option<(Size, Box<dyn Encoder>)>,
    /// When the last encoder was made.
    made: Option<Instant>,
    /// A size for which no encoder could be made.
    refused: Option<Size>,
    rate: u32,
    /// The last read of the screen failed, which has been said.
    unreadable: bool,
    /// When the last keyframe was made.
    key_at: Option<Instant>,
    /// The last keyframe and what followed it.
    kept: Kept,
    budget: Budget,
    limits: Limits,
    counters: Arc<Counters>,
    epoch: Instant,
}

impl Worker {
    fn run(mut self) {
        while !self.lane.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            let seats: Vec<Arc<Outbox>> = self.lane.seats().clone();
            match self.schedule.step(now, self.input(now, &seats)) {
                Step::Wait(until) => self.lane.signal.wait(until),
                Step::Resend => self.resend(now, &seats),
                Step::Encode(kind) => {
                    if let Some(wait) = self.encode(kind, now, &seats) {
                        self.lane.signal.wait(wait);
                    }
                }
            }
        }
    }

    fn input(&self, now: Instant, seats: &[Arc<Outbox>]) -> Now {
        let size = self.screen.size();
        let drawable = size.is_some() && size != self.refused;
        let mut input =
            Now { damaged: self.consumer.is_damaged(), kept: !self.kept.is_empty(), ..Now::default() };
        // On a picture at rest a keyframe is sent to whom it helps, or ends the burst for all.
        let costs = input.damaged
            && self.key_at.is_some_and(|at| now.saturating_duration_since(at) < LAGGARD_KEY_GAP);
        for seat in seats.iter().filter(|seat| drawable && seat.can_take()) {
            input.ready = true;
            input.beat |= seat.relays();
            match seat.needs_key(now) {
                Some(at) if at > now => {
                    input.key_later = Some(input.key_later.map_or(at, |other| other.min(at)));
                }
                Some(_) => input.key |= !(costs && is_laggard(seat.flow().target(), self.rate)),
                None => {}
            }
        }
        input
    }

    /// Sends the kept pictures to those who lack them.
    fn resend(&mut self, now: Instant, seats: &[Arc<Outbox>]) {
        let frames = self.kept.at(rtp_time(self.epoch.elapsed()));
        let needy = |seat: &&Arc<Outbox>| seat.needs_key(now).is_some_and(|at| at <= now) && seat.can_take();
        for seat in seats.iter().filter(needy) {
            seat.replay(self.lane.number, frames.clone());
            self.counters.resent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes what is on the screen now, encodes it and hands it out. An answer is how long to wait before trying
    /// again.
    fn encode(&mut self, kind: Kind, now: Instant, seats: &[Arc<Outbox>]) -> Option<Option<Instant>> {
        let taken = match self.consumer.take(&mut self.staging) {
            Ok(taken) => {
                self.unreadable = false;
                taken
            }
            Err(error) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    log::warn!("the guest's screen could not be read: {error}");
                }
                return Some(None);
            }
        };
        let mut damage = taken.map(|taken| taken.damage).unwrap_or_default();
        let size = self.staging.size;
        let mut kind = kind;
        let fits = self.encoder.as_ref().is_some_and(|(made_for, _)| *made_for == size);
        // An encoder's keyframes follow what it did before; only a new one begins with what a screen at rest is to look like.
        if !fits || kind == Kind::RefinedKey {
            if let Some(wait) = self.remake(size, kind == Kind::RefinedKey, now) {
                return Some(wait);
            }
            damage = vec![size.rect()];
            kind = if fits { kind } else { Kind::Key };
        }
        let rate = self.wanted_rate(seats);
        let most = self.budget.most(now, rate, self.limits.max_fps, kind.is_key());
        let Some((_, encoder)) = &mut self.encoder else { return Some(None) };
        let at = now.saturating_duration_since(self.epoch);
        let begun = Instant::now();
        let picture = Picture { pixels: &self.staging, damage: &damage, at, most };
        let result = encoder.set_bitrate(rate).and_then(|()| encoder.encode(picture, kind));
        self.counters.encode_nanos.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        let settled = !matches!(&result, Ok(Some(unit)) if !unit.settled);
        self.schedule.encoded(now, kind, is_large(&damage, size), settled);
        match result {
            Ok(Some(unit)) => self.hand_out(&unit, at, seats),
            Ok(None) => {}
            Err(error) => {
                log::error!("{error}");
                self.lane.notice.send_replace(error.to_string());
                self.refused = Some(size);
                self.encoder = None;
            }
        }
        None
    }

    fn hand_out(&mut self, unit: &codec::AccessUnit, at: Duration, seats: &[Arc<Outbox>]) {
        let payloads = packetize(self.lane.codec, &unit.data);
        let bytes: usize = payloads.iter().map(bytes::Bytes::len).sum();
        let refined = unit.settled;
        let frame = Arc::new(Frame { payloads, key: unit.key, timestamp: rtp_time(at), refined });
        self.counters.frames.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.counters.keyframes.fetch_add(u64::from(unit.key), Ordering::Relaxed);
        self.counters.refined.fetch_add(u64::from(refined), Ordering::Relaxed);
        self.budget.spend(bytes);
        self.kept.add(&frame);
        self.lane.kept.store(self.kept.bytes(), Ordering::Relaxed);
        self.key_at = if frame.key { Some(Instant::now()) } else { self.key_at };
        for seat in seats {
            seat.push(self.lane.number, &frame);
        }
    }

    /// Makes an encoder for a size, which begins with a `refined` picture or not. An answer is how long to wait instead.
    fn remake(&mut self, size: Size, refined: bool, now: Instant) -> Option<Option<Instant>> {
        self.encoder = None;
        self.kept.clear();
        self.lane.kept.store(0, Ordering::Relaxed);
        if let Some(next) = self.made.map(|made| made + REMAKE_GAP).filter(|next| *next > now) {
            // The damage has been taken; the new encoder will want all of it anyway.
            self.consumer.invalidate();
            return Some(Some(next));
        }
        self.made = Some(now);
        let settings = Settings { size, max_fps: self.limits.max_fps, bitrate: self.rate, refined };
        match codec::encoder(self.lane.codec, settings) {
            Ok(encoder) => {
                self.encoder = Some((size, encoder));
                self.refused = None;
                self.lane.notice.send_if_modified(|text| !std::mem::take(text).is_empty());
                None
            }
            Err(error) => {
                log::warn!("{error}");
                self.lane.notice.send_replace(error.to_string());
                self.refused = Some(size);
                Some(None)
            }
        }
    }

    /// The rate for the viewers there are.
    fn wanted_rate(&mut self, seats: &[Arc<Outbox>]) -> u32 {
        let targets = seats.iter().map(|seat| seat.flow()).filter(|flow| !flow.muted()).map(|f| f.target());
        let Some(target) = common_rate(targets) else { return self.rate };
        let target = target.clamp(self.limits.rates.least, self.limits.rates.most);
        if f64::from(target.abs_diff(self.rate)) > f64::from(self.rate) * RATE_STEP {
            self.rate = target;
            self.lane.rate.store(target, Ordering::Relaxed);
        }
        self.rate
    }
}

/// Whether a path is so slow that it must not set the pace for the others: less than half of `rate`.
fn is_laggard(target: u32, rate: u32) -> bool {
    target < rate / 2
}

/// The rate that suits everyone but the laggards.
fn common_rate(targets: impl Iterator<Item = u32> + Clone) -> Option<u32> {
    let best = targets.clone().max()?;
    targets.filter(|target| !is_laggard(*target, best)).min()
}

/// Whether a good part of the screen changed.
fn is_large(damage: &[Rect], size: Size) -> bool {
    damage.iter().map(|rect| rect.area()).sum::<u64>() * 8 >= size.area()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_path_does_not_set_the_pace() {
        assert_eq!(common_rate([8_000_000, 6_000_000].into_iter()), Some(6_000_000));
        assert_eq!(common_rate([8_000_000, 1_000_000, 6_000_000].into_iter()), Some(6_000_000));
        assert_eq!(common_rate([1_000_000].into_iter()), Some(1_000_000));
        assert_eq!(common_rate([].into_iter()), None);
    }
}
