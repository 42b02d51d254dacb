//! The encoder on a thread of its own, and who hears it.

use super::spurts::Spurts;
use super::{Counters, Packet, Sound, SoundError};
use crate::codec::opus::{Encoder, PACKET};
use crate::pipeline::Signal;
use parking_lot::{Mutex, MutexGuard};
use sampan_audio::{Output, Playback, SILENCE};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Packets that may wait for a viewer: 160 ms. What is older than that nobody wants to hear.
const CAPACITY: usize = 16;

/// Pieces that are made up for where the thread was not run for a while: 60 ms. More is left out.
const CATCH_UP: u64 = 6;

/// Pieces of nothing after which the thread sleeps until the guest plays: half a second.
const REST: u32 = 50;

/// What the thread and those who hear it share.
pub struct Lane {
    signal: Arc<Signal>,
    queues: Mutex<Vec<Arc<Queue>>>,
    stop: AtomicBool,
}

impl Lane {
    /// Starts a thread that encodes what is played. The time of its packets counts from `origin`.
    ///
    /// # Errors
    /// [`SoundError`].
    pub fn start(output: &Output, counters: Arc<Counters>, origin: Instant) -> Result<Arc<Self>, SoundError> {
        let signal = Arc::new(Signal::default());
        let wake = signal.clone();
        let playback = output.listen_to_send(move || wake.raise());
        let lane = Arc::new(Self { signal, queues: Mutex::default(), stop: AtomicBool::new(false) });
        let encoder = Encoder::new()?;
        let worker = Worker { lane: lane.clone(), playback, encoder, spurts: Spurts::default(), counters };
        std::thread::Builder::new().name("encode sound".to_owned()).spawn(move || worker.run(origin))?;
        Ok(lane)
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.signal.raise();
    }

    /// Removes one who heard; answers whether it was the last one.
    pub fn leave(&self, ear: &Ear) -> bool {
        let mut queues = self.queues();
        queues.retain(|queue| !Arc::ptr_eq(queue, &ear.queue));
        queues.is_empty()
    }

    fn queues(&self) -> MutexGuard<'_, Vec<Arc<Queue>>> {
        self.queues.lock()
    }
}

/// The place of one who hears; dropping it leaves.
pub struct Ear {
    sound: Weak<Sound>,
    lane: Arc<Lane>,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    packets: Mutex<VecDeque<Arc<Packet>>>,
    arrived: Notify,
}

impl Queue {
    /// Puts one in. Where there is no room the oldest goes: whoever is behind hears what is now.
    fn push(&self, packet: Arc<Packet>) {
        let mut packets = self.packets.lock();
        if packets.len() == CAPACITY {
            packets.pop_front();
        }
        packets.push_back(packet);
        drop(packets);
        self.arrived.notify_one();
    }
}

impl Ear {
    pub(super) fn new(sound: &Arc<Sound>, lane: Arc<Lane>) -> Self {
        let queue = Arc::new(Queue::default());
        lane.queues().push(queue.clone());
        Self { sound: Arc::downgrade(sound), lane, queue }
    }

    pub(super) fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The next packet, as soon as there is one.
    pub async fn next(&self) -> Arc<Packet> {
        loop {
            if let Some(packet) = self.queue.packets.lock().pop_front() {
                return packet;
            }
            self.queue.arrived.notified().await;
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(sound) = self.sound.upgrade() {
            sound.leave(self);
        }
    }
}

struct Worker {
    lane: Arc<Lane>,
    playback: Playback,
    encoder: Encoder,
    spurts: Spurts,
    counters: Arc<Counters>,
}

/// The time of so many pieces.
fn time(pieces: u64) -> Duration {
    Duration::from_millis(10 * pieces)
}

/// The pieces that a time has.
fn pieces(time: Duration) -> u64 {
    time.as_millis() as u64 / 10
}

impl Worker {
    fn run(mut self, origin: Instant) {
        let (mut done, mut nothing) = (pieces(origin.elapsed()), 0);
        while !self.lane.stop.load(Ordering::Relaxed) {
            let due = pieces(origin.elapsed());
            if done >= due {
                self.lane.signal.wait(Some(origin + time(done + 1)));
                continue;
            }
            if due - done > CATCH_UP {
                done = due - CATCH_UP;
                self.spurts.interrupt();
            }
            nothing = if self.piece(done) { 0 } else { nothing + 1 };
            done += 1;
            if nothing >= REST && self.playback.rest() {
                self.spurts.interrupt();
                self.lane.signal.wait(None);
                (done, nothing) = (pieces(origin.elapsed()), 0);
            }
        }
    }

    /// Deals with one piece; answers whether the guest plays anything, be it silence.
    fn piece(&mut self, number: u64) -> bool {
        let mut frames = [SILENCE; PACKET];
        let is_played = self.playback.pull(&mut frames);
        if !self.spurts.wants(&frames) {
            return is_played;
        }
        match self.encoder.encode(&frames) {
            Ok(data) => {
                self.counters.packets.fetch_add(1, Ordering::Relaxed);
                self.counters.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                // Wraps by design (RFC 3550, section 5.1).
                let packet = Arc::new(self.spurts.packet(data, (number * PACKET as u64) as u32));
                self.lane.queues().iter().for_each(|queue| queue.push(packet.clone()));
            }
            Err(error) => {
                log::error!("{error}");
                self.spurts.interrupt();
            }
        }
        is_played
    }
}
