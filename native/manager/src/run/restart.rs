//! Starting a machine again by itself after its QEMU has died: a few times and no more, so that one that dies at once does
//! not do so for ever.

use serde::{Deserialize, Serialize};

/// How often at most, in how many seconds.
const TRIES: usize = 3;
const WITHIN: u64 = 600;

/// When a machine was started again, in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Restarts(Vec<u64>);

impl Restarts {
    /// With one more at `now`; `None` where there were enough. A clock that went back makes the bounds tighter, never wider.
    #[must_use]
    pub fn next(&self, now: u64) -> Option<Self> {
        let mut recent: Vec<u64> =
            self.0.iter().copied().filter(|at| now.saturating_sub(*at) < WITHIN).collect();
        if recent.len() >= TRIES {
            return None;
        }
        recent.push(now);
        Some(Self(recent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_dies_at_once_is_not_started_for_ever_and_one_that_dies_seldom_is() {
        let mut restarts = Restarts::default();
        for now in [1000, 1001, 1002] {
            restarts = restarts.next(now).expect("is within the bounds");
        }
        assert_eq!(restarts.next(1003), None);
        assert_eq!(restarts.next(900), None, "a clock that went back");
        assert!(restarts.next(1000 + WITHIN).is_some(), "the first one is long ago");
        let mut seldom = Restarts::default();
        for time in (0..20).map(|n| n * WITHIN) {
            seldom = seldom.next(time).expect("is within the bounds");
        }
    }
}
