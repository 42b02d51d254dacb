//! What a viewer says: packets of Opus in, frames out, in their order and without holes.

use super::red::{Block, unpack};
use crate::codec::opus::{Decoder, OpusError};
use bytes::Bytes;
use sampan_audio::{Frame, RATE};
use std::time::{Duration, Instant};

/// The longest hole that is filled: 100 ms. A longer one is a pause of the speaker's.
const LONGEST_HOLE: u32 = RATE / 10;

/// Frames in which a hole is filled: 10 ms, and what is left.
const STEP: u32 = RATE / 100;

/// How long ago a packet may belong that is late; one from longer ago begins anew.
const LATE: u32 = RATE;

/// Frames that are decoded beyond what the time is worth, at most: a second.
const AHEAD: u64 = RATE as u64;

/// How much faster than time packets may go on coming, in per cent: no clock is off by more.
const FASTER: u64 = 105;

/// A packet as it came.
#[derive(Clone, Debug)]
pub struct VoicePacket {
    /// Its time in units of 1/48000 s.
    pub timestamp: u32,
    /// Its payload.
    pub payload: Bytes,
    /// The payload type of the Opus packets in it, where it is a redundant one (RFC 2198).
    pub red: Option<u8>,
}

/// One speaker's stream.
pub struct Voice {
    decoder: Decoder,
    /// The time of the frame after those that are out.
    next: Option<u32>,
    begun: Instant,
    decoded: u64,
}

impl Voice {
    /// One that has said nothing yet.
    ///
    /// # Errors
    /// [`OpusError::Setup`].
    pub fn new(now: Instant) -> Result<Self, OpusError> {
        Ok(Self { decoder: Decoder::new()?, next: None, begun: now, decoded: 0 })
    }

    /// Appends the frames that a packet adds: its own, those before it that were lost and that it carries again, and something in the
    /// place of others. Nothing for one that is late, or for whoever sends more than time passes.
    pub fn take(&mut self, now: Instant, packet: &VoicePacket, frames: &mut Vec<Frame>) {
        if self.decoded > self.worth(now.saturating_duration_since(self.begun)) {
            return;
        }
        let before = frames.len();
        match packet.red {
            None => self.block(packet.timestamp, &packet.payload, frames),
            Some(opus) => {
                for Block { payload_type, offset, data } in unpack(&packet.payload) {
                    if payload_type == opus {
                        self.block(packet.timestamp.wrapping_sub(offset), &data, frames);
                    }
                }
            }
        }
        self.decoded += (frames.len() - before) as u64;
    }

    /// Frames that a time is worth.
    fn worth(&self, time: Duration) -> u64 {
        let frames = time.as_millis().saturating_mul(u128::from(RATE) * u128::from(FASTER) / 100) / 1000;
        u64::try_from(frames).unwrap_or(u64::MAX).saturating_add(AHEAD)
    }

    fn block(&mut self, timestamp: u32, data: &[u8], frames: &mut Vec<Frame>) {
        // An empty one says that nothing was said.
        if data.is_empty() {
            return;
        }
        if let Some(next) = self.next {
            let ahead = timestamp.wrapping_sub(next);
            if next.wrapping_sub(timestamp).wrapping_sub(1) < LATE {
                return;
            }
            if ahead <= LONGEST_HOLE {
                self.fill(ahead, frames);
            }
        }
        let decoded = match self.decoder.decode(data, frames) {
            Ok(decoded) => decoded as u32,
            Err(_) => 0,
        };
        self.next = Some(timestamp.wrapping_add(decoded));
    }

    fn fill(&mut self, hole: u32, frames: &mut Vec<Frame>) {
        let mut left = hole;
        while left > 0 {
            let length = left.min(STEP);
            if self.decoder.conceal(length as usize, frames).is_err() {
                return;
            }
            left -= length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pack;
    use super::*;
    use crate::codec::opus::{Encoder, PACKET};

    const OPUS: u8 = 111;

    /// Packets of a tone of 440 Hz, each with its time.
    fn packets(count: usize) -> Vec<(u32, Bytes)> {
        let mut encoder = Encoder::new().expect("made");
        let tone = |n: usize| [(n as f32 * 440.0 * std::f32::consts::TAU / RATE as f32).sin() * 0.5; 2];
        let packet = |number: usize| {
            let frames = std::array::from_fn(|n| tone(number * PACKET + n));
            ((number * PACKET) as u32, encoder.encode(&frames).expect("encoded"))
        };
        (0..count).map(packet).collect()
    }

    fn plain((timestamp, payload): &(u32, Bytes)) -> VoicePacket {
        VoicePacket { timestamp: *timestamp, payload: payload.clone(), red: None }
    }

    /// A time at which all is worth decoding.
    fn later() -> (Instant, Instant) {
        let begun = Instant::now();
        (begun, begun + Duration::from_secs(3600))
    }

    fn heard(packets: impl IntoIterator<Item = VoicePacket>) -> Vec<Frame> {
        let (begun, now) = later();
        let mut voice = Voice::new(begun).expect("made");
        let mut frames = Vec::new();
        packets.into_iter().for_each(|packet| voice.take(now, &packet, &mut frames));
        frames
    }

    #[test]
    fn what_is_lost_is_filled_and_what_is_late_or_doubled_is_not_heard_again() {
        let all = packets(40);
        let whole = heard(all.iter().map(plain));
        assert_eq!(whole.len(), 40 * PACKET);
        let lossy = heard(all.iter().enumerate().filter(|(n, _)| n % 7 != 6).map(|(_, one)| plain(one)));
        assert_eq!(lossy.len(), 40 * PACKET, "as long as it was");
        let mut disorder: Vec<_> = all.iter().map(plain).collect();
        disorder.swap(10, 11);
        disorder.insert(20, plain(&all[5]));
        disorder.insert(21, plain(&all[20]));
        assert_eq!(heard(disorder).len(), 40 * PACKET);
    }

    #[test]
    fn a_packet_that_carries_the_ones_before_it_mends_a_loss_to_the_bit() {
        let all = packets(40);
        let red = |n: usize| {
            let before: Vec<_> =
                (n.saturating_sub(2)..n).map(|old| (all[n].0 - all[old].0, all[old].1.clone())).collect();
            VoicePacket { timestamp: all[n].0, payload: pack(OPUS, &before, &all[n].1), red: Some(OPUS) }
        };
        let whole = heard(all.iter().map(plain));
        let lossy = heard((0..40).filter(|n| !matches!(n, 9 | 20 | 21)).map(red));
        assert_eq!(lossy, whole);
        // Two of three that are lost in a row are there again, and the third is filled.
        assert_eq!(heard((0..40).filter(|n| !(20..23).contains(n)).map(red)).len(), whole.len());
        let strange = VoicePacket { timestamp: 0, payload: pack(OPUS, &[], &all[0].1), red: Some(OPUS + 1) };
        assert!(heard([strange]).is_empty());
    }

    #[test]
    fn a_pause_is_no_loss_and_times_wrap_around() {
        let all = packets(30);
        let paused = all.iter().map(plain).map(|mut packet| {
            packet.timestamp = packet.timestamp.wrapping_add(u32::MAX - 10 * PACKET as u32);
            if packet.timestamp < u32::MAX / 2 {
                packet.timestamp += 5 * RATE;
            }
            packet
        });
        assert_eq!(heard(paused).len(), 30 * PACKET);
        // A sender that begins anew, long before the times that it had.
        let anew = all.iter().map(plain).chain(all.iter().map(plain).map(|mut packet| {
            packet.timestamp = packet.timestamp.wrapping_sub(60 * RATE);
            packet
        }));
        assert_eq!(heard(anew).len(), 60 * PACKET);
    }

    #[test]
    fn whoever_sends_more_than_time_passes_is_not_decoded() {
        let all = packets(300);
        let begun = Instant::now();
        let mut voice = Voice::new(begun).expect("made");
        let mut frames = Vec::new();
        all.iter().map(plain).for_each(|packet| voice.take(begun, &packet, &mut frames));
        assert_eq!(frames.len(), RATE as usize + PACKET, "a second, and the packet that it ended with");
        frames.clear();
        voice.take(begun + Duration::from_secs(1), &plain(&all[299]), &mut frames);
        assert!(!frames.is_empty(), "and again when time has passed");
    }
}
