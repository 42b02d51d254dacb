//! How far long work is, and whether it is still wanted.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// How far a piece of work is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done, as a stable code: `download`, `copy`, `memory`.
    pub phase: Cow<'static, str>,
    /// What is done, in bytes where it is not said otherwise.
    pub done: u64,
    /// What there is to do; 0 where that is not known. It may grow.
    pub total: u64,
}

/// Carries progress from the work to whoever watches it, and cancellation back. Clones belong to the same work. The newest
/// progress replaces an older one, so a slow listener holds nothing up.
#[derive(Clone, Debug)]
pub struct Reporter {
    progress: watch::Sender<Option<Progress>>,
    cancelled: Arc<AtomicBool>,
    pause: Arc<Pause>,
}

/// Whether work rests.
#[derive(Debug, Default)]
struct Pause {
    /// It can rest where it is now.
    possible: AtomicBool,
    wanted: AtomicBool,
}

impl Default for Reporter {
    fn default() -> Self {
        Self::new()
    }
}

impl Reporter {
    /// For a new piece of work.
    pub fn new() -> Self {
        Self::cancelled_by(Arc::default())
    }

    /// The same, cancelled by a flag that exists already.
    pub fn cancelled_by(cancelled: Arc<AtomicBool>) -> Self {
        Self { progress: watch::Sender::new(None), cancelled, pause: Arc::default() }
    }

    /// Tells how far the work is. It should stop on [`ControlFlow::Break`].
    pub fn report(&self, phase: &'static str, done: u64, total: u64) -> ControlFlow<()> {
        self.pass_on(Progress { phase: phase.into(), done, total })
    }

    /// The same of work that is done elsewhere.
    pub fn pass_on(&self, progress: Progress) -> ControlFlow<()> {
        self.progress.send_replace(Some(progress));
        if self.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        // Whoever waits for news looks at the flag then.
        self.progress.send_modify(|_| {});
    }

    /// The work says whether it can rest from now on. What was asked of it counts no more where it cannot.
    pub fn set_can_pause(&self, can: bool) {
        self.pause.possible.store(can, Ordering::Relaxed);
        if !can {
            self.pause.wanted.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the work can rest.
    pub fn can_pause(&self) -> bool {
        self.pause.possible.load(Ordering::Relaxed)
    }

    /// Asks the work to rest until [`Self::go_on`]; false where it cannot.
    pub fn pause(&self) -> bool {
        let can = self.can_pause();
        if can {
            self.pause.wanted.store(true, Ordering::Relaxed);
            self.progress.send_modify(|_| {});
        }
        can
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.pause.wanted.store(false, Ordering::Relaxed);
        self.progress.send_modify(|_| {});
    }

    /// Whether the work was asked to rest.
    pub fn is_paused(&self) -> bool {
        self.pause.wanted.load(Ordering::Relaxed)
    }

    /// Returns once the work is not to rest any more, or was asked to stop.
    pub async fn rest(&self) {
        let mut changes = self.progress.subscribe();
        // The sender lives as long as `self`.
        while self.is_paused() && !self.is_cancelled() && changes.changed().await.is_ok() {}
    }

    /// Whether the work was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The flag behind [`Self::is_cancelled`], for work that polls one.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// Returns once the work was asked to stop.
    pub async fn cancelled(&self) {
        let mut changes = self.progress.subscribe();
        // The sender lives as long as `self`.
        while !self.is_cancelled() && changes.changed().await.is_ok() {}
    }

    /// The newest progress, and every later one.
    pub fn watch(&self) -> watch::Receiver<Option<Progress>> {
        self.progress.subscribe()
    }
}
