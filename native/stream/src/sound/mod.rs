//! What a guest plays, as Opus, encoded once for all who hear it; and what a viewer says, for the guest.
//!
//! Nobody who hears it: no encoder. A guest that is silent: no packet. The time of a packet (RTP) is that of its first frame, also after a
//! silence, of which nothing is sent.

mod lane;
mod red;
mod spurts;
mod voice;

pub use lane::Ear;
pub use red::pack;
pub use voice::{Voice, VoicePacket};

use crate::codec::opus::OpusError;
use bytes::Bytes;
use lane::Lane;
use parking_lot::Mutex;
use sampan_audio::{Input, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// One packet of sound, for every viewer that hears it.
#[derive(Clone, Debug, Default)]
pub struct Packet {
    /// Opus.
    pub data: Bytes,
    /// The packets right before it, the oldest first, with how much older each is, in units of 1/48000 s.
    pub before: Vec<(u32, Bytes)>,
    /// Its time in units of 1/48000 s; it wraps around.
    pub timestamp: u32,
    /// Whether silence came before it.
    pub first: bool,
}

/// What has been encoded so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets.
    pub packets: AtomicU64,
    /// Bytes of them; what every viewer gets counts once.
    pub bytes: AtomicU64,
}

/// Why nobody can hear the guest.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// The codec.
    #[error(transparent)]
    Codec(#[from] OpusError),
    /// The system has no thread for it.
    #[error("cannot start the sound encoder: {0}")]
    Thread(#[from] std::io::Error),
}

/// A guest's sound and its viewers.
pub struct Sound {
    output: Arc<Output>,
    input: Option<Arc<Input>>,
    counters: Arc<Counters>,
    lane: Mutex<Option<Arc<Lane>>>,
    /// When the time of packets began. It goes on while nobody hears: a receiver that hears again would take an earlier time for that of
    /// packets that are late, and leave them out until it has caught up.
    origin: Instant,
}

impl Sound {
    /// What a guest plays, and what it records.
    pub fn new(output: Arc<Output>, input: Option<Arc<Input>>) -> Arc<Self> {
        Arc::new(Self {
            output,
            input,
            counters: Arc::default(),
            lane: Mutex::default(),
            origin: Instant::now(),
        })
    }

    /// What the guest records.
    pub fn input(&self) -> Option<&Arc<Input>> {
        self.input.as_ref()
    }

    /// What has been encoded so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Somebody hears it from now on. The first one starts the encoder, the last one ends it.
    ///
    /// # Errors
    /// [`SoundError`].
    pub fn hear(self: &Arc<Self>) -> Result<Ear, SoundError> {
        let mut lane = self.lane.lock();
        let running = match lane.as_ref() {
            Some(running) => running.clone(),
            None => lane.insert(Lane::start(&self.output, self.counters.clone(), self.origin)?).clone(),
        };
        Ok(Ear::new(self, running))
    }

    /// One that heard it does no more.
    fn leave(&self, ear: &Ear) {
        let mut lane = self.lane.lock();
        if ear.lane().leave(ear) {
            ear.lane().stop();
            *lane = None;
        }
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.get_mut() {
            lane.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_audio::Described;
    use std::time::Duration;

    /// 16 bits, two channels, 48 kHz.
    const DESCRIBED: Described = Described {
        bits: 16,
        is_signed: true,
        is_float: false,
        rate: 48_000,
        channels: 2,
        bytes_per_frame: 4,
        bytes_per_second: 192_000,
        is_big_endian: false,
    };

    /// A tone as QEMU writes it, 10 ms of it.
    fn piece() -> Vec<u8> {
        (0..480u16)
            .flat_map(|n| [if n % 96 < 48 { 9_000i16 } else { -9_000 }; 2])
            .flat_map(i16::to_le_bytes)
            .collect()
    }

    #[tokio::test]
    async fn the_time_of_packets_goes_on_while_nobody_hears() {
        let output = Output::new(|_| ());
        output.init(1, &DESCRIBED).expect("is described well");
        output.set_enabled(1, true).expect("is there");
        let player = output.clone();
        let plays = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            loop {
                ticks.tick().await;
                player.write(1, &piece()).expect("is there");
            }
        });
        let sound = Sound::new(output, None);
        let ear = sound.hear().expect("hears");
        let mut last = ear.next().await.timestamp;
        for _ in 0..30 {
            let next = ear.next().await.timestamp;
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        drop(ear);
        let ear = sound.hear().expect("hears again");
        let next = ear.next().await.timestamp;
        assert!(next > last, "{next} after {last}");
        plays.abort();
    }
}
