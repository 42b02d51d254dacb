//! Which of a viewer's requests for a keyframe mean something.

use std::time::{Duration, Instant};

/// The last frame that a viewer was sent.
#[derive(Clone, Copy, Debug)]
pub struct LastFrame {
    /// When.
    pub at: Instant,
    /// Whether it was the refined keyframe of a screen at rest.
    pub refined: bool,
}

/// Chromium asks for a keyframe when no frame has come for 3 s although packets came within the last 5 s
/// (`VideoReceiveStream2::OnDecodableFrameTimeout`). On a screen at rest that request means nothing, and answering it
/// would make the viewer ask again 3 s later, forever. A request in this time after a complete keyframe is let pass
/// once.
const TIMER: std::ops::Range<Duration> = Duration::from_millis(2500)..Duration::from_millis(5500);

/// Tells requests that are due to a timer from those of a decoder in need.
#[derive(Debug, Default)]
pub struct KeyRequests {
    passed_over: Option<Instant>,
}

impl KeyRequests {
    /// Whether a request that came at `now` is to be answered.
    pub fn answer(&mut self, now: Instant, last: Option<LastFrame>) -> bool {
        let Some(last) = last.filter(|last| last.refined) else { return true };
        let is_timer = TIMER.contains(&now.saturating_duration_since(last.at));
        if !is_timer || self.passed_over == Some(last.at) {
            return true;
        }
        self.passed_over = Some(last.at);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_of_a_screen_at_rest_is_not_answered() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let rest = Some(LastFrame { at: start, refined: true });
        let mut requests = KeyRequests::default();
        assert!(requests.answer(after(100), rest), "a decoder in need asks soon");
        assert!(!requests.answer(after(3000), rest));
        assert!(requests.answer(after(3200), rest), "one that insists is in need");
        assert!(requests.answer(after(7000), rest));
        let moving = Some(LastFrame { at: start, refined: false });
        assert!(requests.answer(after(3000), moving), "its last frame may have been lost");
        assert!(requests.answer(start, None));
    }
}
