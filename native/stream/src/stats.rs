//! What has been done, in numbers.

use crate::codec::Codec;
use crate::pipeline::{Counters, Seat};
use crate::sound::Sound;
use serde::Serialize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a server has done since it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Pictures encoded.
    pub frames_encoded: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Keyframes of high quality among those, which end a burst of changes.
    pub refined: u64,
    /// Keyframes sent again from memory.
    pub resent: u64,
    /// Bytes of video encoded; what every viewer gets counts once.
    pub bytes: u64,
    /// Microseconds spent on conversion and encoding.
    pub encode_us: u64,
    /// Packets of sound encoded, 10 ms each.
    pub sound_packets: u64,
    /// Bytes of sound encoded; what every viewer gets counts once.
    pub sound_bytes: u64,
    /// The viewers now, the longest-standing first.
    pub viewers: Vec<ViewerStats>,
}

/// One viewer in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ViewerStats {
    /// Its number, as log messages name it.
    pub label: String,
    /// Whether it is the media server that the stream is published to.
    pub published: bool,
    /// The display it sees, from 1.
    pub display: usize,
    /// What it is sent.
    pub codec: Codec,
    /// Since when it watches.
    pub seconds: u64,
    /// What its path is estimated to take, in bits per second.
    pub bitrate: u32,
    /// Packets sent to it.
    pub packets: u64,
    /// Frames that were dropped because it was behind.
    pub dropped: u64,
    /// Whether it has stopped to answer.
    pub silent: bool,
    /// Whether it drives the guest.
    pub driving: bool,
    /// Whether it asks for control.
    pub asking: bool,
    /// Whether it hears the guest.
    pub hears: bool,
    /// Whether it speaks to the guest: it drives, and has its microphone on.
    pub speaks: bool,
}

impl Stats {
    pub(crate) fn of(counters: &Counters, sound: Option<&Sound>, viewers: Vec<ViewerStats>) -> Self {
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            frames_encoded: get(&counters.frames),
            keyframes: get(&counters.keyframes),
            refined: get(&counters.refined),
            resent: get(&counters.resent),
            bytes: get(&counters.bytes),
            encode_us: get(&counters.encode_nanos) / 1000,
            sound_packets: sound.map_or(0, |sound| get(&sound.counters().packets)),
            sound_bytes: sound.map_or(0, |sound| get(&sound.counters().bytes)),
            viewers,
        }
    }
}

impl ViewerStats {
    pub(crate) fn of(label: &str, seat: &Seat, age: Duration) -> Self {
        let outbox = seat.outbox();
        let flow = outbox.flow();
        Self {
            label: label.to_owned(),
            published: false,
            display: 1,
            codec: seat.codec(),
            seconds: age.as_secs(),
            bitrate: flow.target(),
            packets: flow.sent(),
            dropped: outbox.dropped(),
            silent: flow.muted(),
            driving: false,
            asking: false,
            hears: false,
            speaks: false,
        }
    }
}
