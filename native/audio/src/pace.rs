//! How many frames a time is worth.

use std::time::Duration;

/// Counts frames against a clock, for whoever has no clock of its own that moves sound.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    rate: f64,
    since: Duration,
    taken: u64,
}

impl Pacer {
    /// So many frames a second, from the clock's beginning on.
    pub fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), since: Duration::ZERO, taken: 0 }
    }

    /// Begins anew.
    pub fn start(&mut self, now: Duration) {
        (self.since, self.taken) = (now, 0);
    }

    /// Takes the frames that have become due, at most `most` of them. What has been due for longer than `catch_up` seconds is
    /// forgotten.
    pub fn take(&mut self, now: Duration, catch_up: f64, most: u64) -> u64 {
        let passed = (now.saturating_sub(self.since).as_secs_f64() * self.rate) as u64;
        let due = passed.saturating_sub(self.taken);
        let kept = due.min((catch_up * self.rate) as u64);
        self.taken += due - kept;
        let taken = kept.min(most);
        self.taken += taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_worth_an_hour_and_a_halt_nothing() {
        let mut pacer = Pacer::new(48_000);
        pacer.start(Duration::from_secs(7));
        let mut taken = 0;
        for step in 0..360_000u64 {
            taken += pacer.take(Duration::from_secs(7) + Duration::from_micros(step * 10_007), 0.06, 960);
        }
        let wanted = (359_999.0 * 0.010_007 * 48_000.0) as u64;
        assert!(wanted.abs_diff(taken) < 960, "{taken} of {wanted}");
        let later = Duration::from_secs(9_000);
        assert_eq!(pacer.take(later, 0.06, u64::MAX), 2_880);
        assert_eq!(pacer.take(later, 0.06, u64::MAX), 0);
    }
}
