//! When to encode what: pure, so that time is a parameter.

use crate::codec::Kind;
use std::time::{Duration, Instant};

/// How long nothing must change before the picture is refined.
pub const QUIET: Duration = Duration::from_millis(300);

/// The longest that [`QUIET`] grows to where small changes recur, such as a blinking text cursor: each refinement is a picture more.
pub const QUIET_MAX: Duration = Duration::from_millis(2400);

/// Refinements closer together than this lengthen the next wait.
const REFINE_GAP: Duration = Duration::from_secs(10);

/// The time between pictures that refine the same one. Each may be as large as the path takes in it; more often, they would only cost
/// more processor time.
const REFINE_STEP: Duration = Duration::from_millis(100);

/// The most pictures in a row that refine one picture: a screen at rest costs nothing in the end, whatever an encoder says.
const MAX_REFINEMENTS: u32 = 100;

/// The least time between two keyframes that viewers asked for while the picture changes: the loss of one viewer's
/// packets must not turn everyone's stream into keyframes.
pub const KEY_GAP: Duration = Duration::from_millis(400);

/// How often a picture is sent at rest while somebody relays the stream, as a difference to the same picture: some ten bytes of H.264. A browser
/// asks for a keyframe when none has come for 3 s (see `peer/keyrequest.rs`), and behind a relay those of all would be answered, which makes all of
/// them ask again 3 s later, forever. As no timer asks, every request is that of somebody who came or lost something, and is answered.
pub const BEAT: Duration = Duration::from_secs(2);

/// What the scheduler is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Something on the screen changed since the last picture.
    pub damaged: bool,
    /// At least one viewer can take a picture.
    pub ready: bool,
    /// A viewer that can take a picture needs a keyframe.
    pub key: bool,
    /// The last keyframe and all since are at hand.
    pub kept: bool,
    /// From when on a viewer needs a keyframe that has just been given one.
    pub key_later: Option<Instant>,
    /// Pictures are wanted at rest, too.
    pub beat: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing until something changes, or at the latest until the time named.
    Wait(Option<Instant>),
    /// Encode a picture.
    Encode(Kind),
    /// Send the kept pictures to those who need a keyframe.
    Resend,
}

/// Decides when to encode: on damage only, at most so many times a second, and once more in high quality when the
/// screen has come to rest.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    /// When the next picture is due at an even rate.
    due: Option<Instant>,
    last: Option<Instant>,
    last_key: Option<Instant>,
    last_refined: Option<Instant>,
    quiet: Duration,
    /// The last picture is as good as it gets.
    settled: bool,
    /// Refinements in a row.
    refinements: u32,
}

impl Schedule {
    /// A schedule of at most `max_fps` pictures a second.
    pub fn new(max_fps: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / max_fps.clamp(1, 1000),
            due: None,
            last: None,
            last_key: None,
            last_refined: None,
            quiet: QUIET,
            settled: false,
            refinements: 0,
        }
    }

    /// What to do at `now`.
    pub fn step(&self, now: Instant, input: Now) -> Step {
        if !input.ready {
            return Step::Wait(None);
        }
        let Some(last) = self.last else {
            return Step::Encode(Kind::Key);
        };
        if input.key && input.kept && !input.damaged {
            return Step::Resend;
        }
        // Half an interval early is on time: a guest's own 60 Hz is not ours to the millisecond.
        let allowed = self.due.and_then(|due| due.checked_sub(self.interval / 2)).unwrap_or(now);
        let key_from = self.last_key.map_or(now, |key| key + KEY_GAP).max(allowed);
        let refine_from = last + if self.refinements > 0 { REFINE_STEP } else { self.quiet };
        if input.key && now >= key_from {
            let still = !input.damaged && (self.settled || now >= last + QUIET);
            return Step::Encode(if still { Kind::RefinedKey } else { Kind::Key });
        }
        if input.damaged && now >= allowed {
            return Step::Encode(Kind::Delta);
        }
        let beat = (input.beat && !input.damaged && self.settled).then_some(last + BEAT);
        let is_due = |at: Instant| now >= at;
        if beat.is_some_and(is_due) || !input.damaged && !self.settled && now >= refine_from {
            return Step::Encode(Kind::Refined);
        }
        let times = [
            input.key.then_some(key_from),
            input.damaged.then_some(allowed),
            (!input.damaged && !self.settled).then_some(refine_from),
            input.key_later,
            beat,
        ];
        Step::Wait(times.into_iter().flatten().min())
    }

    /// Notes that a picture was encoded at `now`; `large` says that a good part of the screen had changed, `settled` that the picture
    /// is as good as it gets.
    pub fn encoded(&mut self, now: Instant, kind: Kind, large: bool, settled: bool) {
        self.due = Some(self.due.map_or(now, |due| due.max(now)) + self.interval);
        self.last = Some(now);
        if kind.is_key() {
            self.last_key = Some(now);
        }
        if !kind.is_refined() {
            (self.settled, self.refinements) = (false, 0);
            if large {
                self.quiet = QUIET;
            }
            return;
        }
        if self.refinements == 0 {
            let soon = self.last_refined.is_some_and(|at| now.saturating_duration_since(at) < REFINE_GAP);
            self.quiet = if soon { (self.quiet * 2).min(QUIET_MAX) } else { QUIET };
        }
        self.last_refined = Some(now);
        self.refinements += 1;
        self.settled = settled || self.refinements >= MAX_REFINEMENTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn ready() -> Now {
        Now { ready: true, ..Now::default() }
    }

    #[test]
    fn nothing_without_anyone_who_can_take_it() {
        let schedule = Schedule::new(60);
        let all = Now { damaged: true, key: true, kept: true, ..Now::default() };
        assert_eq!(schedule.step(Instant::now(), all), Step::Wait(None));
    }

    #[test]
    fn a_burst_ends_with_a_refinement_and_then_there_is_rest() {
        let start = Instant::now();
        let mut schedule = Schedule::new(60);
        assert_eq!(schedule.step(start, ready()), Step::Encode(Kind::Key));
        schedule.encoded(start, Kind::Key, true, false);
        let next = start + 20 * MS;
        assert_eq!(schedule.step(next, Now { damaged: true, ..ready() }), Step::Encode(Kind::Delta));
        schedule.encoded(next, Kind::Delta, false, false);
        assert_eq!(schedule.step(next + MS, ready()), Step::Wait(Some(next + QUIET)));
        let rest = next + QUIET;
        assert_eq!(schedule.step(rest, ready()), Step::Encode(Kind::Refined));
        schedule.encoded(rest, Kind::Refined, false, true);
        let later = rest + Duration::from_secs(3600);
        assert_eq!(schedule.step(later, ready()), Step::Wait(None));
        // Whoever asks now gets what is kept.
        assert_eq!(schedule.step(later, Now { key: true, kept: true, ..ready() }), Step::Resend);
    }

    #[test]
    fn who_relays_gets_pictures_at_rest() {
        let start = Instant::now();
        let mut schedule = Schedule::new(60);
        schedule.encoded(start, Kind::Key, true, false);
        let mut rest = start + QUIET;
        schedule.encoded(rest, Kind::Refined, false, true);
        let relay = Now { beat: true, ..ready() };
        for _ in 0..1000 {
            assert_eq!(schedule.step(rest + MS, relay), Step::Wait(Some(rest + BEAT)));
            assert_eq!(schedule.step(rest + MS, Now { key: true, kept: true, ..relay }), Step::Resend);
            rest += BEAT;
            assert_eq!(schedule.step(rest, ready()), Step::Wait(None), "nobody else does");
            assert_eq!(schedule.step(rest, relay), Step::Encode(Kind::Refined));
            // Whatever an encoder says.
            schedule.encoded(rest, Kind::Refined, false, false);
            if schedule.step(rest + REFINE_STEP, relay) == Step::Encode(Kind::Refined) {
                schedule.encoded(rest, Kind::Refined, false, true);
            }
        }
    }

    #[test]
    fn a_picture_that_does_not_fit_is_refined_in_steps_that_have_an_end() {
        let start = Instant::now();
        let mut schedule = Schedule::new(60);
        schedule.encoded(start, Kind::Key, true, false);
        let mut now = start + QUIET;
        let mut steps = 0;
        while schedule.step(now, ready()) == Step::Encode(Kind::Refined) {
            schedule.encoded(now, Kind::Refined, false, false);
            steps += 1;
            now += REFINE_STEP;
        }
        assert_eq!((steps, schedule.step(now, ready())), (MAX_REFINEMENTS, Step::Wait(None)));
        schedule.encoded(now, Kind::Delta, false, false);
        assert!(
            matches!(schedule.step(now + MS, ready()), Step::Wait(Some(_))),
            "and begins anew after a change"
        );
    }

    #[test]
    fn who_asks_at_rest_without_anything_kept_gets_a_keyframe_as_good_as_what_others_see() {
        let start = Instant::now();
        let mut schedule = Schedule::new(60);
        schedule.encoded(start, Kind::Key, true, false);
        schedule.encoded(start + QUIET, Kind::Refined, false, true);
        let asking = Now { key: true, ..ready() };
        assert_eq!(schedule.step(start + 2 * KEY_GAP, asking), Step::Encode(Kind::RefinedKey));
        let just_served = Now { key_later: Some(start + 3 * KEY_GAP), ..ready() };
        assert_eq!(schedule.step(start + 2 * KEY_GAP, just_served), Step::Wait(just_served.key_later));
    }

    #[test]
    fn a_blinking_cursor_does_not_cost_a_picture_each_time() {
        let mut now = Instant::now();
        let mut schedule = Schedule::new(60);
        schedule.encoded(now, Kind::Key, true, false);
        let mut refined = 0;
        for blink in 0..100 {
            let end = now + 530 * MS;
            let mut input = Now { damaged: blink > 0, ..ready() };
            while now < end {
                if let Step::Encode(kind) = schedule.step(now, input) {
                    refined += u32::from(kind == Kind::Refined);
                    schedule.encoded(now, kind, false, kind == Kind::Refined);
                    input.damaged = false;
                }
                now += MS;
            }
        }
        assert!(refined <= 2, "{refined} refinements for a blinking cursor");
    }

    #[test]
    fn a_viewer_that_loses_packets_gets_its_keyframe_but_not_one_per_request() {
        let start = Instant::now();
        let mut schedule = Schedule::new(60);
        schedule.encoded(start, Kind::Key, true, false);
        let asking = Now { damaged: true, key: true, ..ready() };
        assert_eq!(schedule.step(start + 50 * MS, asking), Step::Encode(Kind::Delta));
        assert_eq!(schedule.step(start + KEY_GAP, asking), Step::Encode(Kind::Key));
    }

    proptest! {
        /// However fast the guest draws, the rate is kept, and a wait always ends in the future.
        #[test]
        fn the_rate_is_kept(fps in 1u32..240, gaps in proptest::collection::vec(0u64..40, 1..300)) {
            let start = Instant::now();
            let mut now = start;
            let mut schedule = Schedule::new(fps);
            schedule.encoded(now, Kind::Key, true, false);
            let mut encoded = 0u32;
            for gap in gaps {
                now += Duration::from_millis(gap);
                match schedule.step(now, Now { damaged: true, ..ready() }) {
                    Step::Encode(kind) => {
                        schedule.encoded(now, kind, true, false);
                        encoded += 1;
                    }
                    Step::Wait(Some(until)) => prop_assert!(until > now),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            let allowed = (now - start).as_secs_f64() * f64::from(fps) + 1.0;
            prop_assert!(f64::from(encoded) <= allowed, "{encoded} of {allowed}");
        }
    }
}
