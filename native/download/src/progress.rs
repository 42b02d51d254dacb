//! How far a download is.

use crate::error::DownloadError;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The span over which speeds are measured.
const WINDOW: Duration = Duration::from_secs(5);
/// Samples are at least so far apart.
const STEP: Duration = Duration::from_millis(100);

/// What a download does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// It asks the server, or loads the checksum file.
    Connecting,
    /// Bytes come.
    Loading,
    /// Something failed that may pass; it tries again.
    Waiting {
        /// Until the next try, as of the moment when the wait began.
        wait: Duration,
        /// What failed.
        error: DownloadError,
    },
    /// All bytes are there; their digest is computed.
    Verifying,
    /// By the user's wish.
    Paused,
    /// The file is there.
    Done,
    /// It failed for good; [`Download::resume`](crate::Download::resume) tries once more with what was loaded.
    Failed(DownloadError),
    /// By the user's wish.
    Cancelled,
}

impl State {
    /// Whether nothing more will happen by itself.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Paused | Self::Done | Self::Failed(_) | Self::Cancelled)
    }
}

/// One connection of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The next byte of the file that it writes.
    pub at: u64,
    /// The end of what it was asked for, if known.
    pub end: Option<u64>,
    /// Bytes a second, over the last seconds.
    pub speed: u64,
}

/// A snapshot of one download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The download's number in its queue.
    pub id: u64,
    /// The final name.
    pub to: PathBuf,
    /// What it does.
    pub state: State,
    /// Bytes that are there; those of earlier runs count.
    pub loaded: u64,
    /// The file's length in bytes, once it is known.
    pub total: Option<u64>,
    /// Bytes whose digest was computed.
    pub verified: u64,
    /// Bytes a second, over the last seconds.
    pub speed: u64,
    /// How long the rest takes at this speed.
    pub eta: Option<Duration>,
    /// The open connections.
    pub connections: Vec<Lane>,
}

/// Measures a speed over the last seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    bytes: u64,
    samples: VecDeque<(Instant, u64)>,
}

impl Meter {
    pub fn add(&mut self, now: Instant, bytes: u64) {
        if self.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= STEP) {
            self.samples.push_back((now, self.bytes));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        // One sample from before the window stays, to measure from.
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Bytes a second.
    pub fn speed(&self, now: Instant) -> u64 {
        let Some((from, bytes)) =
            self.samples.iter().find(|(at, _)| now.duration_since(*at) <= WINDOW).or(self.samples.back())
        else {
            return 0;
        };
        let span = now.duration_since(*from).max(STEP);
        if span > WINDOW * 2 {
            return 0;
        }
        let speed = u128::from(self.bytes - bytes) * 1000 / span.as_millis().max(1);
        u64::try_from(speed).unwrap_or(u64::MAX)
    }
}

/// The time that the rest takes.
pub(crate) fn eta(loaded: u64, total: Option<u64>, speed: u64) -> Option<Duration> {
    let rest = total?.saturating_sub(loaded);
    (speed > 0).then(|| Duration::from_secs(rest.div_ceil(speed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_has_its_speed_and_a_stalled_one_loses_it() {
        let start = Instant::now();
        let mut meter = Meter::default();
        for ms in 0..100 {
            meter.add(start + Duration::from_millis(ms * 100), 1000);
        }
        let speed = meter.speed(start + Duration::from_secs(10));
        assert!((9_500..=10_500).contains(&speed), "{speed}");
        assert!(meter.speed(start + Duration::from_secs(14)) < speed / 2);
        assert_eq!(meter.speed(start + Duration::from_secs(60)), 0);
        assert!(meter.samples.len() <= 60);
    }

    #[test]
    fn the_rest_takes_its_time() {
        assert_eq!(eta(10, Some(110), 10), Some(Duration::from_secs(10)));
        assert_eq!(eta(10, None, 10), None);
        assert_eq!(eta(10, Some(110), 0), None);
    }
}
