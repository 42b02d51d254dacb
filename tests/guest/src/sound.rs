//! Tones, and what of them is recognised: for the guest, and for those who listen to it.

/// Frames a second.
pub const RATE: u32 = 48_000;

/// What is quieter than this is silence: a thousandth of full scale.
const QUIET: i16 = 33;

/// A tone.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "model", derive(serde::Serialize, serde::Deserialize))]
pub struct Tone {
    /// Its pitch, 0 for silence.
    pub hz: u32,
    /// The pitch at its end, where that is another one.
    #[cfg_attr(feature = "model", serde(default, skip_serializing_if = "Option::is_none"))]
    pub to_hz: Option<u32>,
    /// How long it is, in milliseconds.
    pub ms: u32,
    /// Its peak in per cent of full scale.
    pub level: u8,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "model", derive(serde::Serialize, serde::Deserialize))]
pub struct Heard {
    /// How much, in milliseconds of sound.
    pub ms: u32,
    /// How long it took, in milliseconds of the guest's clock.
    pub took: u64,
    /// The greatest sample, of 32768.
    pub peak: u16,
    /// Its pitch, as far as it has one.
    pub hz: f64,
    /// When it was first louder than a thousandth of full scale, in milliseconds.
    pub first: Option<u32>,
    /// Milliseconds from then to when it last was.
    pub sound: u32,
    /// How often it was silent for 10 ms in between.
    pub gaps: u32,
}

/// A tone as signed 16-bit samples, least significant byte first, left and right.
#[must_use]
pub fn tone(tone: &Tone) -> Vec<u8> {
    let frames = u64::from(tone.ms) * u64::from(RATE) / 1000;
    let (from, to) = (f64::from(tone.hz), f64::from(tone.to_hz.unwrap_or(tone.hz)));
    let mut phase = 0.0f64;
    let mut bytes = Vec::with_capacity(frames as usize * 4);
    for n in 0..frames {
        let sample = (phase.sin() * f64::from(tone.level) / 100.0 * 32_767.0) as i16;
        let hz = from + (to - from) * n as f64 / frames as f64;
        phase += hz * std::f64::consts::TAU / f64::from(RATE);
        bytes.extend(sample.to_le_bytes());
        bytes.extend(sample.to_le_bytes());
    }
    bytes
}

/// What such samples hold, by their left side.
#[must_use]
pub fn describe(bytes: &[u8], took_ms: u64) -> Heard {
    let samples: Vec<i16> =
        bytes.chunks_exact(4).map(|frame| i16::from_le_bytes([frame[0], frame[1]])).collect();
    let loud = |sample: &&i16| sample.unsigned_abs() > QUIET.unsigned_abs();
    let first = samples.iter().position(|sample| loud(&sample));
    let last = samples.iter().rposition(|sample| loud(&sample));
    let heard = match (first, last) {
        (Some(first), Some(last)) => &samples[first..=last],
        _ => &[],
    };
    // A gap is where nothing is loud for longer than any tone above 50 Hz is quiet.
    let mut gaps = 0;
    let mut quiet = 0u32;
    for sample in heard {
        quiet = if loud(&sample) { 0 } else { quiet + 1 };
        gaps += u32::from(quiet == RATE / 100);
    }
    let ups: Vec<usize> =
        heard.windows(2).enumerate().filter(|(_, two)| two[0] <= 0 && two[1] > 0).map(|(n, _)| n).collect();
    let hz = match (ups.first(), ups.last()) {
        (Some(first), Some(last)) if last > first => {
            (ups.len() - 1) as f64 * f64::from(RATE) / (last - first) as f64
        }
        _ => 0.0,
    };
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
    let ms = |frames: usize| (frames as u64 * 1000 / u64::from(RATE)) as u32;
    Heard {
        ms: ms(samples.len()),
        took: took_ms,
        peak,
        hz: (hz * 10.0).round() / 10.0,
        first: first.map(ms),
        sound: ms(heard.len()),
        gaps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_recognised() {
        let mut bytes = vec![0; 4 * 480];
        bytes.extend(tone(&Tone { hz: 440, to_hz: None, ms: 500, level: 50 }));
        bytes.extend(vec![0; 4 * 4_800]);
        bytes.extend(tone(&Tone { hz: 440, to_hz: None, ms: 500, level: 50 }));
        let heard = describe(&bytes, 0);
        assert_eq!((heard.ms, heard.first, heard.gaps), (1_110, Some(10), 1));
        assert!(heard.peak.abs_diff(16_383) < 10, "{heard:?}");
        let heard = describe(&bytes[..4 * 24_000], 0);
        assert!((heard.hz - 440.0).abs() < 1.0, "{heard:?}");
        assert_eq!(
            describe(&[0; 400], 3),
            Heard { ms: 2, took: 3, peak: 0, hz: 0.0, first: None, sound: 0, gaps: 0 }
        );
    }
}
