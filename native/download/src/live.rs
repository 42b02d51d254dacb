//! The state of a download, shared between its task and whoever looks at it.

use crate::progress::{Lane, Meter, Progress, State, eta};
use parking_lot::{Condvar, Mutex};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Progress in bytes is told to waiters so often at most.
const TELL: Duration = Duration::from_millis(200);

/// Counts changes of anything in a queue, for those who wait for one.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Changes {
    pub fn bump(&self) {
        *self.count.lock() += 1;
        self.changed.notify_all();
    }

    pub fn count(&self) -> u64 {
        *self.count.lock()
    }

    /// Waits until the count differs from `seen`, or for so long; returns the count.
    pub fn wait(&self, seen: u64, limit: Duration) -> u64 {
        let mut count = self.count.lock();
        self.changed.wait_while_for(&mut count, |count| *count == seen, limit);
        *count
    }
}

/// One download as others see it.
#[derive(Debug)]
pub(crate) struct Live {
    changes: Arc<Changes>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    loaded: u64,
    total: Option<u64>,
    verified: u64,
    meter: Meter,
    lanes: Vec<Option<(u64, Option<u64>, Meter)>>,
    told: Option<Instant>,
}

impl Live {
    pub fn new(changes: Arc<Changes>) -> Self {
        let inner = Inner {
            state: State::Queued,
            loaded: 0,
            total: None,
            verified: 0,
            meter: Meter::default(),
            lanes: Vec::new(),
            told: None,
        };
        Self { changes, inner: Mutex::new(inner) }
    }

    pub fn state(&self) -> State {
        self.inner.lock().state.clone()
    }

    pub fn set(&self, state: State) {
        {
            let mut inner = self.inner.lock();
            if state.is_settled() || matches!(state, State::Waiting { .. } | State::Queued) {
                inner.lanes.clear();
                inner.meter = Meter::default();
            }
            inner.state = state;
        }
        self.changes.bump();
    }

    /// What is known before or after bytes came.
    pub fn size(&self, loaded: u64, total: Option<u64>) {
        {
            let mut inner = self.inner.lock();
            inner.loaded = loaded;
            inner.total = total;
            inner.verified = 0;
        }
        self.changes.bump();
    }

    /// A connection begins with a range.
    pub fn lane(&self, index: usize, at: u64, end: Option<u64>) {
        let mut inner = self.inner.lock();
        if inner.lanes.len() <= index {
            inner.lanes.resize(index + 1, None);
        }
        if let Some(lane) = inner.lanes.get_mut(index) {
            let meter = lane.take().map(|(.., meter)| meter).unwrap_or_default();
            *lane = Some((at, end, meter));
        }
    }

    pub fn close_lane(&self, index: usize) {
        if let Some(lane) = self.inner.lock().lanes.get_mut(index) {
            *lane = None;
        }
    }

    /// A connection brought bytes.
    pub fn add(&self, index: usize, bytes: u64) {
        let now = Instant::now();
        let tell = {
            let mut inner = self.inner.lock();
            inner.loaded += bytes;
            inner.meter.add(now, bytes);
            if let Some(Some((at, _, meter))) = inner.lanes.get_mut(index) {
                *at += bytes;
                meter.add(now, bytes);
            }
            inner.due(now)
        };
        if tell {
            self.changes.bump();
        }
    }

    pub fn verified(&self, bytes: u64) {
        let tell = {
            let mut inner = self.inner.lock();
            inner.verified = bytes;
            inner.due(Instant::now())
        };
        if tell {
            self.changes.bump();
        }
    }

    pub fn snapshot(&self, id: u64, to: PathBuf) -> Progress {
        let now = Instant::now();
        let inner = self.inner.lock();
        let speed = inner.meter.speed(now);
        let lane = |(at, end, meter): &(u64, Option<u64>, Meter)| Lane {
            at: *at,
            end: *end,
            speed: meter.speed(now),
        };
        Progress {
            id,
            to,
            state: inner.state.clone(),
            loaded: inner.loaded,
            total: inner.total,
            verified: inner.verified,
            speed,
            eta: eta(inner.loaded, inner.total, speed),
            connections: inner.lanes.iter().flatten().map(lane).collect(),
        }
    }
}

impl Inner {
    fn due(&mut self, now: Instant) -> bool {
        let due = self.told.is_none_or(|told| now.duration_since(told) >= TELL);
        if due {
            self.told = Some(now);
        }
        due
    }
}
