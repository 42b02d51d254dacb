//! How large the next picture may be, so that none of them fills the path for long. Pure: time is a parameter.

use std::time::{Duration, Instant};

/// How long a keyframe may keep a path busy that takes the rate: whoever waits for one sees nothing, or something old.
pub const KEY_TIME: Duration = Duration::from_millis(300);

/// How long a difference may: what follows waits behind it.
pub const DELTA_TIME: Duration = Duration::from_millis(100);

/// Bytes that were sent and that the path has not taken yet, by the rate it is believed to take.
#[derive(Debug)]
pub struct Budget {
    debt: f64,
    at: Instant,
}

impl Budget {
    /// Nothing is under way at `now`.
    pub fn new(now: Instant) -> Self {
        Self { debt: 0.0, at: now }
    }

    /// The most bytes of a picture at `now`, on a path of `rate` bits per second and with `fps` pictures a second at most. It is
    /// never less than one picture's share.
    pub fn most(&mut self, now: Instant, rate: u32, fps: u32, key: bool) -> usize {
        let bytes = f64::from(rate) / 8.0;
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.debt = (self.debt - bytes * passed).max(0.0);
        self.at = now.max(self.at);
        let time = if key { KEY_TIME } else { DELTA_TIME };
        let share = bytes / f64::from(fps.max(1));
        (bytes * time.as_secs_f64() - self.debt).max(share) as usize
    }

    /// Notes that a picture of `bytes` was handed out.
    pub fn spend(&mut self, bytes: usize) {
        self.debt += bytes as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn after_a_rest_there_is_room_and_in_a_burst_each_has_its_share() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert_eq!(budget.most(start, 8_000_000, 60, true), 300_000);
        assert_eq!(budget.most(start, 8_000_000, 60, false), 100_000);
        budget.spend(100_000);
        assert_eq!(budget.most(start, 8_000_000, 60, false), 16_666);
        let later = start + DELTA_TIME / 2;
        assert_eq!(budget.most(later, 8_000_000, 60, false), 50_000);
        assert_eq!(budget.most(start + Duration::from_secs(9), 8_000_000, 60, false), 100_000);
    }

    proptest! {
        /// Whatever is asked and sent, when: in the long run no more leaves than the path takes, and each frame's share.
        #[test]
        fn the_rate_is_kept(
            rate in 100_000u32..40_000_000, fps in 1u32..120,
            steps in proptest::collection::vec((0u64..50, any::<bool>()), 1..200),
        ) {
            let start = Instant::now();
            let mut budget = Budget::new(start);
            let (mut now, mut sent, mut least) = (start, 0.0, 0.0);
            for (gap, key) in steps {
                now += Duration::from_millis(gap);
                let most = budget.most(now, rate, fps, key);
                budget.spend(most);
                sent += most as f64;
                least += f64::from(rate) / 8.0 / f64::from(fps);
            }
            let taken = f64::from(rate) / 8.0 * ((now - start) + KEY_TIME).as_secs_f64();
            prop_assert!(sent <= taken + least + 1.0, "{sent} of {taken}");
        }
    }
}
