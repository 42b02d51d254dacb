//! Loudness, which changes by a short ramp: a step would be heard as a click.

use crate::Frame;

/// Frames that a change from nothing to full takes: 10 ms at 48 kHz.
const RAMP: f32 = 480.0;

/// How loud something is, per side.
#[derive(Clone, Copy, Debug)]
pub struct Gain {
    now: Frame,
    target: Frame,
}

impl Default for Gain {
    /// As it is.
    fn default() -> Self {
        Self::at([1.0; 2])
    }
}

impl Gain {
    /// This loud from the first frame on.
    pub fn at(gain: Frame) -> Self {
        Self { now: gain, target: gain }
    }

    /// Where it goes from now on, by 10 ms from nothing to full.
    pub fn set(&mut self, target: Frame) {
        self.target = target;
    }

    /// Applies it to the next frames.
    pub fn apply(&mut self, frames: &mut [Frame]) {
        if self.now == self.target && self.now == [1.0; 2] {
            return;
        }
        for frame in frames {
            for (sample, (now, target)) in frame.iter_mut().zip(self.now.iter_mut().zip(self.target)) {
                let left = target - *now;
                *now = if left.abs() <= 1.0 / RAMP { target } else { *now + left.signum() / RAMP };
                *sample *= *now;
            }
        }
    }
}

/// What a person's volume does to samples: its cube, as PulseAudio has it, so that equal steps sound equal.
pub fn loudness(volume: f32) -> f32 {
    volume.clamp(0.0, 1.0).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_takes_ten_milliseconds_and_no_step_is_large() {
        let mut gain = Gain::default();
        let mut frames = vec![[1.0; 2]; 1000];
        gain.apply(&mut frames[..10]);
        gain.set([0.0, 0.5]);
        gain.apply(&mut frames[10..]);
        assert!(frames[..10].iter().all(|frame| *frame == [1.0; 2]));
        let step = frames.windows(2).map(|two| (two[1][0] - two[0][0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.0022, "{step}");
        assert_eq!(frames[10 + 481], [0.0, 0.5]);
        assert!(frames[10 + 470][0] > 0.0);
    }

    #[test]
    fn loudness_is_bounded() {
        assert_eq!((loudness(-1.0), loudness(1.0), loudness(9.0)), (0.0, 1.0, 1.0));
        assert!((loudness(0.5) - 0.125).abs() < 1e-6);
    }
}
