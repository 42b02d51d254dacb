//! Whether a viewer still reports what it receives.

use std::time::{Duration, Instant};

/// A viewer that was sent packets and has reported nothing for this long is not sent more: browsers report several
/// times a second.
const SILENCE: Duration = Duration::from_secs(3);

/// Watches two counters.
#[derive(Debug, Default)]
pub struct Liveness {
    heard: u64,
    /// Packets that had been sent when the last report was seen.
    sent: u64,
    /// Since when packets go out unanswered.
    unanswered: Option<Instant>,
}

impl Liveness {
    /// Whether the viewer is silent, given how many packets it was sent and how many reports came from it.
    pub fn look(&mut self, now: Instant, sent: u64, heard: u64) -> bool {
        if heard != self.heard {
            (self.heard, self.sent, self.unanswered) = (heard, sent, None);
        } else if sent > self.sent && self.unanswered.is_none() {
            self.unanswered = Some(now);
        }
        self.unanswered.is_some_and(|since| now.saturating_duration_since(since) >= SILENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_while_there_is_something_to_answer() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut liveness = Liveness::default();
        assert!(!liveness.look(at(0), 10, 1));
        assert!(!liveness.look(at(3600), 10, 1), "nothing was sent");
        assert!(!liveness.look(at(3601), 11, 1));
        assert!(liveness.look(at(3605), 12, 1));
        assert!(!liveness.look(at(3606), 12, 2), "it answers again");
    }
}
