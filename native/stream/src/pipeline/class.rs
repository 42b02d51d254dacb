//! Which of two encoders of a codec a viewer is served by: a path that takes much less than the best one has pictures of its own.

use super::budget::KEY_TIME;

/// The viewers that an encoder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Those whose paths take about as much as the best one.
    Fast,
    /// Those whose paths take much less, or of which nothing is known yet.
    Slow,
}

impl Class {
    /// Where a viewer is to be whose path takes `target` bits per second, while the best path of the others takes `best`; `None` where
    /// nobody else can be sent anything. Between the bounds it stays, so that an estimate that wavers moves nobody to and fro.
    pub fn next(self, target: u32, best: Option<u32>) -> Self {
        let Some(best) = best else { return self };
        let share = f64::from(target) / f64::from(best.max(1));
        match self {
            Self::Fast if share < 0.4 => Self::Slow,
            Self::Slow if share >= 0.6 => Self::Fast,
            stays => stays,
        }
    }

    /// Where a viewer begins whose path is taken to be one of `target` bits per second, beside an encoder that serves the others at
    /// `rate` and has kept so many bytes for who comes; 0 is nothing, so that there would be a keyframe.
    pub fn first(target: u32, rate: u32, kept: usize) -> Self {
        let takes = f64::from(target) / 8.0 * KEY_TIME.as_secs_f64();
        let fits = rate / 2 <= target || kept > 0 && kept as f64 <= takes;
        if fits { Self::Fast } else { Self::Slow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_served_with_its_like_and_does_not_waver() {
        use Class::{Fast, Slow};
        assert_eq!(
            [Fast.next(100_000, None), Slow.next(100_000, None)],
            [Fast, Slow],
            "a move would be for nothing"
        );
        assert_eq!(Fast.next(1_000_000, Some(40_000_000)), Slow);
        assert_eq!(
            [Fast.next(5_000_000, Some(10_000_000)), Slow.next(5_000_000, Some(10_000_000))],
            [Fast, Slow]
        );
        assert_eq!(Slow.next(6_000_000, Some(10_000_000)), Fast);
        assert_eq!(Fast.next(u32::MAX, Some(0)), Fast);
    }

    #[test]
    fn who_comes_is_sent_no_more_than_its_path_is_known_to_take() {
        use Class::{Fast, Slow};
        assert_eq!(
            Class::first(1_000_000, 1_500_000, 400_000),
            Fast,
            "the encoder makes no more than it takes"
        );
        assert_eq!(Class::first(1_000_000, 40_000_000, 400_000), Slow);
        assert_eq!(Class::first(1_000_000, 40_000_000, 37_500), Fast, "what is kept is small");
        assert_eq!(Class::first(1_000_000, 40_000_000, 0), Slow, "there would be a keyframe for all");
    }
}
