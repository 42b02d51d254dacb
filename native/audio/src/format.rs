//! PCM as QEMU describes it (`Init` in `ui/dbus-display1.xml`), and frames as this crate has them.

/// One moment of sound: left and right, full scale at −1 and 1.
pub type Frame = [f32; 2];

/// No sound.
pub const SILENCE: Frame = [0.0; 2];

/// Frames a second wherever this crate does not say otherwise.
pub const RATE: u32 = 48_000;

/// Frames a second that are taken of a peer: what sound cards do.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// Channels that are taken of a peer: up to 7.1.
const MAX_CHANNELS: u8 = 8;

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    F32,
}

/// What a peer says of its PCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Bits of a sample.
    pub bits: u8,
    /// Whether samples are signed.
    pub is_signed: bool,
    /// Whether samples are floating-point numbers.
    pub is_float: bool,
    /// Frames a second.
    pub rate: u32,
    /// Samples of a frame.
    pub channels: u8,
    /// Bytes of a frame.
    pub bytes_per_frame: u32,
    /// Bytes of a second.
    pub bytes_per_second: u32,
    /// Whether samples have their most significant byte first.
    pub is_big_endian: bool,
}

/// Why a description is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No such samples.
    #[error("samples of {bits} bits (signed {is_signed}, float {is_float}) are not played")]
    Sample {
        /// As described.
        bits: u8,
        /// As described.
        is_signed: bool,
        /// As described.
        is_float: bool,
    },
    /// No sound card is that slow or fast.
    #[error("{0} frames a second are not played: from {min} to {max} are", min = RATES.start(), max = RATES.end())]
    Rate(u32),
    /// No or too many channels.
    #[error("{0} channels are not played: 1 to {MAX_CHANNELS} are")]
    Channels(u8),
    /// The numbers contradict one another.
    #[error("its frames would have {frame} bytes and its seconds {second}, not what it says")]
    Sizes {
        /// Bytes of a frame by the other numbers.
        frame: u32,
        /// Bytes of a second by the other numbers.
        second: u32,
    },
}

/// A description that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    encoding: Encoding,
    rate: u32,
    channels: u8,
    is_big_endian: bool,
}

impl Format {
    /// Samples of 16 bits, two channels, 48000 frames a second, least significant byte first: what crosses a control socket.
    pub const WIRE: Self = Self { encoding: Encoding::S16, rate: RATE, channels: 2, is_big_endian: false };

    /// Checks a description.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn new(described: &Described) -> Result<Self, FormatError> {
        let Described { bits, is_signed, is_float, rate, channels, is_big_endian, .. } = *described;
        let encoding = match (bits, is_signed, is_float) {
            (8, false, false) => Encoding::U8,
            (8, true, false) => Encoding::S8,
            (16, false, false) => Encoding::U16,
            (16, true, false) => Encoding::S16,
            (32, false, false) => Encoding::U32,
            (32, true, false) => Encoding::S32,
            // QEMU calls its floats signed or not by where they come from.
            (32, _, true) => Encoding::F32,
            _ => return Err(FormatError::Sample { bits, is_signed, is_float }),
        };
        if !RATES.contains(&rate) {
            return Err(FormatError::Rate(rate));
        }
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(FormatError::Channels(channels));
        }
        let frame = u32::from(channels) * u32::from(bits / 8);
        let second = frame * rate;
        if (described.bytes_per_frame, described.bytes_per_second) != (frame, second) {
            return Err(FormatError::Sizes { frame, second });
        }
        Ok(Self { encoding, rate, channels, is_big_endian })
    }

    /// Frames a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Bytes of a frame.
    pub fn frame_bytes(&self) -> usize {
        usize::from(self.channels) * self.sample_bytes()
    }

    fn sample_bytes(&self) -> usize {
        match self.encoding {
            Encoding::U8 | Encoding::S8 => 1,
            Encoding::U16 | Encoding::S16 => 2,
            Encoding::U32 | Encoding::S32 | Encoding::F32 => 4,
        }
    }

    /// Appends the whole frames in `bytes` to `frames`, and returns how many bytes are left over. One channel is played on both
    /// sides; of more than two the first two are taken, which are the front ones.
    pub fn decode(&self, bytes: &[u8], frames: &mut Vec<Frame>) -> usize {
        let (width, channels) = (self.sample_bytes(), usize::from(self.channels));
        let whole = bytes.chunks_exact(width * channels);
        let left_over = whole.remainder().len();
        frames.extend(whole.map(|frame| {
            let left = self.sample(&frame[..width]);
            let right = if channels == 1 { left } else { self.sample(&frame[width..2 * width]) };
            [left, right]
        }));
        left_over
    }

    fn sample(&self, bytes: &[u8]) -> f32 {
        let mut raw = [0; 4];
        let raw = &mut raw[..bytes.len()];
        raw.copy_from_slice(bytes);
        if self.is_big_endian {
            raw.reverse();
        }
        let number = raw.iter().rev().fold(0u32, |number, byte| (number << 8) | u32::from(*byte));
        match self.encoding {
            Encoding::U8 => (number as f32 - 128.0) / 128.0,
            Encoding::S8 => f32::from(number as u8 as i8) / 128.0,
            Encoding::U16 => (number as f32 - 32_768.0) / 32_768.0,
            Encoding::S16 => f32::from(number as u16 as i16) / 32_768.0,
            Encoding::U32 => ((f64::from(number) - 2_147_483_648.0) / 2_147_483_648.0) as f32,
            Encoding::S32 => (f64::from(number as i32) / 2_147_483_648.0) as f32,
            // What is no number is silent.
            Encoding::F32 => {
                Some(f32::from_bits(number)).filter(|s| s.is_finite()).unwrap_or(0.0).clamp(-1.0, 1.0)
            }
        }
    }

    /// Appends frames as bytes. Channels beyond two are silent; one channel gets the mean of both sides.
    pub fn encode(&self, frames: &[Frame], bytes: &mut Vec<u8>) {
        for &[left, right] in frames {
            if self.channels == 1 {
                self.write((left + right) / 2.0, bytes);
                continue;
            }
            self.write(left, bytes);
            self.write(right, bytes);
            for _ in 2..self.channels {
                self.write(0.0, bytes);
            }
        }
    }

    fn write(&self, sample: f32, bytes: &mut Vec<u8>) {
        let sample = sample.clamp(-1.0, 1.0);
        // `as` ends at the largest number there is, so full scale does not wrap.
        let scaled = |full: f32| (sample * full).round();
        let number = match self.encoding {
            Encoding::U8 => (scaled(128.0) as i8 as u8 ^ 0x80).into(),
            Encoding::S8 => (scaled(128.0) as i8 as u8).into(),
            Encoding::U16 => (scaled(32_768.0) as i16 as u16 ^ 0x8000).into(),
            Encoding::S16 => (scaled(32_768.0) as i16 as u16).into(),
            Encoding::U32 => (f64::from(sample) * 2_147_483_648.0).round() as i32 as u32 ^ 0x8000_0000,
            Encoding::S32 => (f64::from(sample) * 2_147_483_648.0).round() as i32 as u32,
            Encoding::F32 => sample.to_bits(),
        };
        let width = self.sample_bytes();
        if self.is_big_endian {
            bytes.extend(&number.to_be_bytes()[4 - width..]);
        } else {
            bytes.extend(&number.to_le_bytes()[..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn described(bits: u8, is_signed: bool, is_float: bool, rate: u32, channels: u8) -> Described {
        let bytes_per_frame = u32::from(channels) * u32::from(bits / 8);
        let bytes_per_second = bytes_per_frame.saturating_mul(rate);
        Described {
            bits,
            is_signed,
            is_float,
            rate,
            channels,
            bytes_per_frame,
            bytes_per_second,
            is_big_endian: false,
        }
    }

    #[test]
    fn hostile_descriptions_are_refused() {
        let good = described(16, true, false, 48_000, 2);
        assert!(Format::new(&good).is_ok());
        for bits in [0, 1, 7, 12, 24, 64, 255] {
            assert!(
                matches!(Format::new(&Described { bits, ..good }), Err(FormatError::Sample { .. })),
                "{bits}"
            );
        }
        for rate in [0, 1, 3_999, 192_001, u32::MAX] {
            assert_eq!(Format::new(&Described { rate, ..good }), Err(FormatError::Rate(rate)));
        }
        for channels in [0, 9, 255] {
            assert_eq!(Format::new(&Described { channels, ..good }), Err(FormatError::Channels(channels)));
        }
        for bytes_per_frame in [0, 3, 5, u32::MAX] {
            assert!(matches!(
                Format::new(&Described { bytes_per_frame, ..good }),
                Err(FormatError::Sizes { .. })
            ));
        }
        assert!(matches!(
            Format::new(&Described { bytes_per_second: 1, ..good }),
            Err(FormatError::Sizes { .. })
        ));
    }

    #[test]
    fn known_samples() {
        let decode = |described: Described, bytes: &[u8]| {
            let mut frames = Vec::new();
            let left = Format::new(&described).expect("good").decode(bytes, &mut frames);
            (frames, left)
        };
        let s16 = described(16, true, false, 48_000, 2);
        assert_eq!(decode(s16, &[0, 0x80, 0, 0x40, 9]), (vec![[-1.0, 0.5]], 1));
        let big = Described { is_big_endian: true, ..s16 };
        assert_eq!(decode(big, &[0x80, 0, 0x40, 0]), (vec![[-1.0, 0.5]], 0));
        assert_eq!(
            decode(described(8, false, false, 8_000, 1), &[0, 128]),
            (vec![[-1.0, -1.0], [0.0, 0.0]], 0)
        );
        let nan = f32::NAN.to_le_bytes();
        assert_eq!(decode(described(32, true, true, 48_000, 1), &nan), (vec![[0.0, 0.0]], 0));
        let six: Vec<u8> = [100i16, 200, 1, 2, 3, 4].iter().flat_map(|s| s.to_le_bytes()).collect();
        let (frames, _) = decode(described(16, true, false, 48_000, 6), &six);
        assert_eq!(frames, [[100.0 / 32_768.0, 200.0 / 32_768.0]]);
    }

    #[test]
    fn full_scale_does_not_wrap() {
        for (bits, is_signed, is_float) in [
            (8, false, false),
            (8, true, false),
            (16, false, false),
            (16, true, false),
            (32, false, false),
            (32, true, false),
            (32, true, true),
        ] {
            let format = Format::new(&described(bits, is_signed, is_float, 48_000, 2)).expect("good");
            let (mut bytes, mut frames) = (Vec::new(), Vec::new());
            format.encode(&[[1.0, -1.0], [7.0, -7.0], [0.0, 0.0]], &mut bytes);
            format.decode(&bytes, &mut frames);
            for frame in &frames[..2] {
                assert!(frame[0] > 0.99 && frame[1] <= -0.99, "{bits} {is_signed} {is_float}: {frame:?}");
            }
            assert_eq!(frames[2], SILENCE, "{bits} {is_signed} {is_float}");
        }
    }

    proptest! {
        #[test]
        fn sixteen_bits_come_back_as_they_were(bytes in prop::collection::vec(any::<u8>(), 0..400), channels in 1u8..=2, is_big_endian: bool, is_signed: bool) {
            let format = Format::new(&Described { is_big_endian, ..described(16, is_signed, false, 44_100, channels) }).expect("good");
            let (mut frames, mut again) = (Vec::new(), Vec::new());
            let left = format.decode(&bytes, &mut frames);
            format.encode(&frames, &mut again);
            prop_assert_eq!(&again[..], &bytes[..bytes.len() - left]);
        }
    }
}
