//! Which pieces of sound are worth a packet.

use super::Packet;
use crate::codec::opus::PACKET;
use bytes::Bytes;
use sampan_audio::Frame;
use std::collections::VecDeque;

/// What is nowhere louder than this is silence: two steps of 16 bits, 84 dB below full scale.
const QUIET: f32 = 2.0 / 32_768.0;

/// Silent pieces that are sent all the same, so that whatever a receiver makes up for what does not follow is silence: 100 ms.
const LINGER: u32 = 10;

/// Older packets that are sent again with each: as many as may be lost in a row.
const AGAIN: usize = 2;

/// Follows when there is something to be heard.
#[derive(Debug)]
pub struct Spurts {
    quiet: u32,
    is_first: bool,
    before: VecDeque<Bytes>,
}

impl Default for Spurts {
    /// Silence, as of old.
    fn default() -> Self {
        Self { quiet: LINGER, is_first: true, before: VecDeque::with_capacity(AGAIN) }
    }
}

impl Spurts {
    /// Whether the next piece is to be sent.
    pub fn wants(&mut self, frames: &[Frame]) -> bool {
        let is_quiet = frames.iter().flatten().all(|sample| sample.abs() <= QUIET);
        self.quiet = if is_quiet { self.quiet.saturating_add(1) } else { 0 };
        let wants = self.quiet <= LINGER;
        if !wants {
            self.interrupt();
        }
        wants
    }

    /// Something is left out before the next piece.
    pub fn interrupt(&mut self) {
        self.is_first = true;
        self.before.clear();
    }

    /// The packet of the piece that was wanted.
    pub fn packet(&mut self, data: Bytes, timestamp: u32) -> Packet {
        let ages = (1..=self.before.len() as u32).rev().map(|age| age * PACKET as u32);
        let before = ages.zip(self.before.iter().cloned()).collect();
        if self.before.len() == AGAIN {
            self.before.pop_front();
        }
        self.before.push_back(data.clone());
        Packet { data, before, timestamp, first: std::mem::take(&mut self.is_first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: [Frame; 4] = [[0.0, 0.1]; 4];
    const SILENT: [Frame; 4] = [[0.0, 1.0 / 32_768.0]; 4];

    #[test]
    fn silence_is_sent_for_a_moment_and_then_no_more() {
        let mut spurts = Spurts::default();
        assert!(!spurts.wants(&SILENT), "nothing to begin with");
        assert!(spurts.wants(&LOUD));
        assert_eq!((0..100).filter(|_| spurts.wants(&SILENT)).count(), 10);
        assert!(spurts.wants(&LOUD));
    }

    #[test]
    fn a_packet_carries_those_right_before_it() {
        let mut spurts = Spurts::default();
        let mut packet = |n: u8| spurts.packet(Bytes::from(vec![n]), u32::from(n) * 480);
        assert_eq!((packet(1).first, packet(2).first), (true, false));
        let third = packet(3);
        assert_eq!(third.before, [(960, Bytes::from_static(&[1])), (480, Bytes::from_static(&[2]))]);
        assert_eq!(packet(4).before, [(960, Bytes::from_static(&[2])), (480, Bytes::from_static(&[3]))]);
        spurts.interrupt();
        let next = spurts.packet(Bytes::from_static(&[9]), 99_000);
        assert!(next.first && next.before.is_empty());
    }
}
