//! What lies between two frames: a windowed sinc.
//!
//! Resamplers of crates.io (`rubato`) work in pieces of a size and with a delay of their own, and change every sample. A jitter
//! buffer reads as many frames as its sink asks for, changes its speed with each of them by less than a per cent, and passes
//! frames on as they are where it runs at the speed that they came with. That is 60 lines.

use crate::Frame;

/// Frames that one is computed from.
pub(crate) const TAPS: usize = 16;

/// Of these, the ones before and at the place.
pub(crate) const BEFORE: usize = TAPS / 2 - 1;

/// Places between two frames that are tabulated; between those the table is read linearly.
const PHASES: usize = 256;

/// A table of weights.
#[derive(Debug)]
pub(crate) struct Kernel(Vec<[f32; TAPS]>);

impl Kernel {
    /// For frames of which `step` are passed per frame that is made: above 1, what the slower rate cannot hold is taken out.
    pub(crate) fn new(step: f64) -> Self {
        let cutoff = 1.0 / step.max(1.0);
        let phase = |phase: usize| {
            let place = phase as f64 / PHASES as f64;
            let mut weights = [0.0; TAPS];
            for (tap, weight) in weights.iter_mut().enumerate() {
                let x = tap as f64 - BEFORE as f64 - place;
                *weight = sinc(x * cutoff) * window(x);
            }
            let sum: f64 = weights.iter().sum();
            weights.map(|weight| (weight / sum) as f32)
        };
        Self((0..=PHASES).map(phase).collect())
    }

    /// The frame at `place` (0 to 1) between `frames[BEFORE]` and the next one.
    pub(crate) fn at(&self, frames: &[Frame; TAPS], place: f64) -> Frame {
        let exact = place * PHASES as f64;
        let phase = (exact as usize).min(PHASES - 1);
        let between = (exact - phase as f64) as f32;
        let (low, high) = (&self.0[phase], &self.0[phase + 1]);
        let mut made = [0.0; 2];
        for (tap, frame) in frames.iter().enumerate() {
            let weight = low[tap] + (high[tap] - low[tap]) * between;
            made[0] += frame[0] * weight;
            made[1] += frame[1] * weight;
        }
        made
    }
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    // At whole numbers it is exactly nothing, so that a frame in its place stays as it is.
    if x == 0.0 {
        1.0
    } else if (x / std::f64::consts::PI).fract() == 0.0 {
        0.0
    } else {
        x.sin() / x
    }
}

/// Blackman's, over the taps.
fn window(x: f64) -> f64 {
    let angle = std::f64::consts::PI * x / (TAPS as f64 / 2.0);
    0.42 + 0.5 * angle.cos() + 0.08 * (2.0 * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_in_its_place_stays_as_it_is() {
        let mut frames = [[0.3, -0.7]; TAPS];
        for (n, frame) in frames.iter_mut().enumerate() {
            frame[0] = (n as f32).sin();
        }
        assert_eq!(Kernel::new(1.0).at(&frames, 0.0), frames[BEFORE]);
    }

    #[test]
    fn a_tone_between_frames_is_the_tone() {
        for (hz, worst) in [(100.0, 1e-4), (1_000.0, 1e-4), (8_000.0, 1e-3), (15_000.0, 0.05)] {
            let tone = |t: f64| (t * hz * std::f64::consts::TAU / 48_000.0).sin() as f32;
            let kernel = Kernel::new(1.0);
            let frames: [Frame; TAPS] = std::array::from_fn(|n| [tone(n as f64); 2]);
            for step in 0..1000 {
                let place = f64::from(step) / 1000.0;
                let error = (kernel.at(&frames, place)[0] - tone(BEFORE as f64 + place)).abs();
                assert!(error < worst, "{hz} Hz at {place}: {error}");
            }
        }
    }
}
