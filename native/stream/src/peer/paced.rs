//! A viewer's requests for another size or another display, not more often than a guest and an encoder can follow.

use std::time::{Duration, Instant};

/// Between two changes: another size has a guest set its display up anew, another display has an encoder made.
const PACE: Duration = Duration::from_millis(250);

/// The newest request wins; one that comes too early is kept until its time has come.
#[derive(Debug)]
pub struct Paced<T> {
    last: Option<Instant>,
    waiting: Option<T>,
}

impl<T> Default for Paced<T> {
    fn default() -> Self {
        Self { last: None, waiting: None }
    }
}

impl<T> Paced<T> {
    /// A request.
    pub fn ask(&mut self, wanted: T) {
        self.waiting = Some(wanted);
    }

    /// The one that waits is not wanted any more.
    pub fn forget(&mut self) {
        self.waiting = None;
    }

    /// When the one that waits is due.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.waiting.as_ref().map(|_| self.last.map_or(now, |last| last + PACE))
    }

    /// The one that waits, if its time has come.
    pub fn take(&mut self, now: Instant) -> Option<T> {
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
    use sampan_frame::Size;

    #[test]
    fn the_first_is_passed_on_at_once_and_of_many_the_newest_later() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let wanted = |width| (Size { width, height: 600 }, (0, 0));
        let mut resizes = Paced::default();
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
