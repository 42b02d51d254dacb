//! What a viewer says, on its way to the guest.

use crate::Source;
use sampan_stream::{Voice, VoicePacket};
use std::time::{Duration, Instant};

/// Packets of any bytes, redundant or not, at any times.
pub fn voice(data: &[u8]) {
    let (mut source, begun) = (Source::new(data), Instant::now());
    let Ok(mut voice) = Voice::new(begun) else { return };
    let (mut frames, mut passed) = (Vec::new(), Duration::ZERO);
    while !source.is_empty() {
        let what = source.u8();
        passed += Duration::from_millis(u64::from(what >> 4));
        let length = usize::from(source.u8());
        let packet = VoicePacket {
            timestamp: source.u16().wrapping_mul(120).into(),
            payload: source.bytes(length).to_vec().into(),
            red: (what & 1 != 0).then_some(111),
        };
        frames.clear();
        voice.take(begun + passed, &packet, &mut frames);
        // Its own 120 ms and those of nine in it, and a hole of 100 ms before each.
        assert!(frames.len() <= 10 * (5760 + 4800), "{} frames of one packet", frames.len());
        assert!(frames.iter().flatten().all(|sample| sample.abs() <= 1.0));
    }
}
