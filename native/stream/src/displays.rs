//! The guest's displays as viewers see them: each with encoders of its own, as long as somebody does.

use crate::pipeline::{Counters, Limits, Pipeline, Shared};
use crate::screen::{self, ScreenState};
use parking_lot::Mutex;
use sampan_guest::{Guest, Watched};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A display that somebody sees.
pub struct Shown {
    number: usize,
    pipeline: Arc<Pipeline>,
    screen: watch::Receiver<ScreenState>,
    follower: JoinHandle<()>,
    /// Keeps its picture up to date.
    _watched: Watched,
}

impl Shown {
    fn new(number: usize, watched: Watched, shared: Shared) -> Arc<Self> {
        let (screen, follower) = screen::follow(watched.screen().clone());
        let pipeline = Pipeline::new(watched.screen().clone(), shared);
        Arc::new(Self { number, pipeline, screen, follower, _watched: watched })
    }

    /// Its number, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its encoders.
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// Its size and its cursor.
    pub fn screen(&self) -> watch::Receiver<ScreenState> {
        self.screen.clone()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// All of them. The first is always followed, which costs no encoding.
pub struct Displays {
    guest: Arc<dyn Guest>,
    shared: Shared,
    first: Arc<Shown>,
    others: Mutex<HashMap<usize, Weak<Shown>>>,
}

impl Displays {
    /// The displays of a guest.
    pub fn new(guest: Arc<dyn Guest>, limits: Limits) -> Arc<Self> {
        let shared = Shared::new(limits);
        let first = Shown::new(0, Watched::new(guest.screen(), ()), shared.clone());
        Arc::new(Self { guest, shared, first, others: Mutex::default() })
    }

    /// What has been encoded of all of them.
    pub fn counters(&self) -> &Counters {
        self.shared.counters()
    }

    /// How many there are, lit or dark.
    pub fn count(&self) -> usize {
        self.guest.displays().len()
    }

    /// The first.
    pub fn first(&self) -> &Arc<Shown> {
        &self.first
    }

    /// One, by its number from 0, while what this gives is held; `None` if there is none.
    pub fn show(&self, number: usize) -> Option<Arc<Shown>> {
        if number == 0 {
            return Some(self.first.clone());
        }
        let mut others = self.others.lock();
        if let Some(shown) = others.get(&number).and_then(Weak::upgrade) {
            return Some(shown);
        }
        let shown = Shown::new(number, self.guest.watch(number)?, self.shared.clone());
        others.insert(number, Arc::downgrade(&shown));
        Some(shown)
    }
}
