//! A viewer's requests for another size, not more often than a guest can follow.

use sampan_frame::Size;
use std::time::{Duration, Instant};

/// Between two changes of the size: each has a guest set its display up anew.
const PACE: Duration = Duration::from_millis(250);

type Wanted = (Size, (u16, u16));

/// The newest request wins; one that comes too early is kept until its time has come.
#[derive(Debug, Default)]
pub struct Resizes {
    last: Option<Instant>,
    waiting: Option<Wanted>,
}

impl Resizes {
    /// A request.
    pub fn ask(&mut self, wanted: Wanted) {
        self.waiting = Some(wanted);
    }

    /// When the one that waits is due.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.waiting.as_ref().map(|_| self.last.map_or(now, |last| last + PACE))
    }

    /// The one that waits, if its time has come.
    pub fn take(&mut self, now: Instant) -> Option<Wanted> {
        if self.due(now).is_none_or(|due| due > now) {
            return None;
        }
        self.last = Some(now);
        self.waiting.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_passed_on_at_once_and_of_many_the_newest_later() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let wanted = |width| (Size { width, height: 600 }, (0, 0));
        let mut resizes = Resizes::default();
        assert_eq!(resizes.due(start), None);
        let mut passed = Vec::new();
        for ms in 0..1000 {
            resizes.ask(wanted(u32::try_from(ms).expect("small") + 1));
            passed.extend(resizes.take(at(ms)).map(|(size, _)| size.width));
        }
        assert_eq!(passed, [1, 251, 501, 751]);
        assert_eq!(resizes.due(at(1000)), Some(at(1000)));
        assert_eq!(resizes.take(at(1000)), Some(wanted(1000)));
        assert_eq!(resizes.take(at(2000)), None);
    }
}
