//! Opus (RFC 6716), as sound goes to and from viewers. The crate `ropus` does the work: libopus's fixed-point code in Rust.

use bytes::Bytes;
use ropus::{Application, Bitrate, Channels, DecodeMode, Signal};
use sampan_audio::{Frame, RATE, SILENCE};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Frames of one packet of ours: 10 ms. Shorter packets spend their bits on heads, longer ones take time to fill.
pub const PACKET: usize = RATE as usize / 100;

/// Bits per second of two channels.
const BITS: u32 = 96_000;

/// Of ten; what more than this gains is not heard at this rate.
const COMPLEXITY: u8 = 5;

/// The longest packet, in bytes (RFC 6716, section 3.2.1: a frame has 1275 at most, and ours has one).
const MOST_BYTES: usize = 1276;

/// The longest packet that is decoded, in frames: 120 ms, the longest that there is (RFC 6716, section 2.1.4).
const LONGEST: usize = RATE as usize * 120 / 1000;

/// A failure of the codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpusError {
    /// It could not be made.
    #[error("the sound codec cannot be set up: report this")]
    Setup,
    /// What was given is no packet of it.
    #[error("this is not a packet of Opus")]
    Packet,
    /// It could not encode.
    #[error("the sound encoder failed: connect again, and report this if it stays")]
    Encode,
}

/// Encodes two channels, [`PACKET`] frames at a time.
pub struct Encoder {
    encoder: ropus::Encoder,
    samples: Vec<f32>,
    bytes: Vec<u8>,
}

impl Encoder {
    /// One that looks 2.5 ms ahead and no further.
    ///
    /// # Errors
    /// [`OpusError::Setup`].
    pub fn new() -> Result<Self, OpusError> {
        // The codec's own low-delay mode: CELT alone, without the look-ahead that its speech coder needs.
        let encoder = ropus::Encoder::builder(RATE, Channels::Stereo, Application::RestrictedLowDelay)
            .bitrate(Bitrate::Bits(BITS))
            .complexity(COMPLEXITY)
            .signal(Signal::Music)
            .vbr(true)
            .vbr_constraint(true)
            .build()
            .map_err(|_| OpusError::Setup)?;
        Ok(Self { encoder, samples: Vec::with_capacity(2 * PACKET), bytes: vec![0; MOST_BYTES] })
    }

    /// The packet of these frames.
    ///
    /// # Errors
    /// [`OpusError::Encode`].
    pub fn encode(&mut self, frames: &[Frame; PACKET]) -> Result<Bytes, OpusError> {
        self.samples.clear();
        self.samples.extend(frames.iter().flatten());
        let length = self.encoder.encode_float(&self.samples, &mut self.bytes);
        let length = length.map_err(|_| OpusError::Encode)?;
        Ok(Bytes::copy_from_slice(self.bytes.get(..length).ok_or(OpusError::Encode)?))
    }
}

/// Decodes packets of one stream, whatever sender made them.
pub struct Decoder {
    decoder: ropus::Decoder,
    samples: Vec<f32>,
}

impl Decoder {
    /// One that has heard nothing yet.
    ///
    /// # Errors
    /// [`OpusError::Setup`].
    pub fn new() -> Result<Self, OpusError> {
        let decoder = ropus::Decoder::new(RATE, Channels::Stereo).map_err(|_| OpusError::Setup)?;
        Ok(Self { decoder, samples: vec![0.0; 2 * LONGEST] })
    }

    /// Appends what a packet holds; gives its frames.
    ///
    /// # Errors
    /// [`OpusError::Packet`]. What follows can be decoded all the same.
    pub fn decode(&mut self, packet: &[u8], frames: &mut Vec<Frame>) -> Result<usize, OpusError> {
        if packet.is_empty() {
            return Err(OpusError::Packet);
        }
        self.run(packet, LONGEST, frames)
    }

    /// Appends so many frames in the place of a packet that was lost, of which the codec makes up the best it can: 2.5 to 120 ms.
    ///
    /// # Errors
    /// [`OpusError::Packet`] for another length.
    pub fn conceal(&mut self, length: usize, frames: &mut Vec<Frame>) -> Result<usize, OpusError> {
        if length == 0 || length > LONGEST || !length.is_multiple_of(RATE as usize / 400) {
            return Err(OpusError::Packet);
        }
        self.run(&[], length, frames)
    }

    fn run(&mut self, packet: &[u8], most: usize, frames: &mut Vec<Frame>) -> Result<usize, OpusError> {
        let Self { decoder, samples } = self;
        let samples = &mut samples[..2 * most];
        // These are a stranger's bytes, and the decoder is large: a fault in it costs its stream, and nobody else anything.
        let run = AssertUnwindSafe(|| decoder.decode_float(packet, samples, DecodeMode::Normal));
        let decoded = match catch_unwind(run) {
            Ok(decoded) => decoded.map_err(|_| OpusError::Packet)?,
            Err(_) => {
                *self = Self::new()?;
                return Err(OpusError::Packet);
            }
        };
        let decoded = decoded.min(most);
        frames.extend(samples[..2 * decoded].chunks_exact(2).map(|frame| {
            let sound = |sample: f32| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { SILENCE[0] };
            [sound(frame[0]), sound(frame[1])]
        }));
        Ok(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tone(hz: f32, level: f32, at: usize) -> Frame {
        [(at as f32 * hz * std::f32::consts::TAU / RATE as f32).sin() * level; 2]
    }

    /// What comes back of a tone of a second, after the codec has settled.
    fn through(hz: f32, level: f32, lost: impl Fn(usize) -> bool) -> Vec<Frame> {
        let (mut encoder, mut decoder) = (Encoder::new().expect("made"), Decoder::new().expect("made"));
        let mut heard = Vec::new();
        for packet in 0..100 {
            let frames: [Frame; PACKET] = std::array::from_fn(|n| tone(hz, level, packet * PACKET + n));
            let bytes = encoder.encode(&frames).expect("encoded");
            assert!(bytes.len() < 400, "{} bytes for 10 ms", bytes.len());
            let decoded = if lost(packet) {
                decoder.conceal(PACKET, &mut heard)
            } else {
                decoder.decode(&bytes, &mut heard)
            };
            assert_eq!(decoded, Ok(PACKET));
        }
        heard.split_off(RATE as usize / 5)
    }

    fn pitch(frames: &[Frame]) -> f64 {
        let rises = frames.windows(2).filter(|two| two[0][0] < 0.0 && two[1][0] >= 0.0).count();
        rises as f64 * f64::from(RATE) / frames.len() as f64
    }

    fn power(frames: &[Frame]) -> f32 {
        (frames.iter().map(|frame| frame[0] * frame[0]).sum::<f32>() / frames.len() as f32).sqrt()
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_level() {
        for (hz, level) in [(100.0, 0.5), (440.0, 0.5), (1_000.0, 0.05), (5_000.0, 0.9), (12_000.0, 0.3)] {
            let heard = through(hz, level, |_| false);
            let (pitch, power) = (pitch(&heard), power(&heard) * std::f32::consts::SQRT_2);
            assert!((pitch - f64::from(hz)).abs() < f64::from(hz) * 0.01 + 2.0, "{pitch} for {hz}");
            assert!((power / level - 1.0).abs() < 0.1, "{power} for {level} at {hz}");
        }
    }

    #[test]
    fn a_packet_that_is_lost_is_made_up() {
        let heard = through(440.0, 0.5, |packet| packet % 10 == 9);
        assert_eq!(heard.len(), RATE as usize * 4 / 5);
        assert!((pitch(&heard) - 440.0).abs() < 8.0, "{}", pitch(&heard));
        let quietest = heard.chunks(PACKET).map(power).fold(f32::INFINITY, f32::min);
        assert!(quietest > 0.1, "a hole of {quietest}");
    }

    #[test]
    fn both_sides_are_kept_apart() {
        let (mut encoder, mut decoder) = (Encoder::new().expect("made"), Decoder::new().expect("made"));
        let mut heard = Vec::new();
        for packet in 0..50 {
            let frames = std::array::from_fn(|n| [tone(440.0, 0.5, packet * PACKET + n)[0], 0.0]);
            let bytes = encoder.encode(&frames).expect("encoded");
            decoder.decode(&bytes, &mut heard).expect("decoded");
        }
        let (left, right) =
            heard[RATE as usize / 5..].iter().fold((0.0f32, 0.0f32), |(left, right), frame| {
                (left.max(frame[0].abs()), right.max(frame[1].abs()))
            });
        assert!(left > 0.4 && right < 0.05, "{left} and {right}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_answered_and_the_next_packet_is_heard(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8)) {
            let (mut encoder, mut decoder) = (Encoder::new().expect("made"), Decoder::new().expect("made"));
            let mut heard = Vec::new();
            for packet in &packets {
                let before = heard.len();
                if let Ok(decoded) = decoder.decode(packet, &mut heard) {
                    prop_assert!(decoded <= LONGEST);
                    prop_assert_eq!(heard.len(), before + decoded);
                }
            }
            prop_assert!(heard.iter().flatten().all(|sample| sample.abs() <= 1.0));
            let good = encoder.encode(&[[0.1; 2]; PACKET]).expect("encoded");
            prop_assert_eq!(decoder.decode(&good, &mut heard), Ok(PACKET));
        }
    }
}
