//! The QEMUs that work on images: each piece of work has one of its own.

use super::worker::{Process, Worker};
use sampan_emulator::{Allowed, Arch, Confinement, Launcher};
use sampan_library::BlockError;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many pieces of long work run at once: each takes all of the disk that it gets, so more of them only end later.
const LONG: usize = 2;

/// How many pieces of short work run at once beside them. A guest stands still, or a person waits, for most of these,
/// so none ever waits for long work. Together the two bound what idle QEMUs in this process may hold: about 11 MiB each.
const SHORT: usize = 2;

/// How long a piece of work takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// It touches headers and tables alone.
    Short,
    /// It may touch all of an image.
    Long,
}

/// The QEMU that a piece of work has, for whoever must end it.
pub(super) type Working = Mutex<Option<Arc<Process>>>;

/// Starts QEMUs, and keeps those that cannot be confined for the next piece of work.
pub(super) struct Pool {
    launcher: Arc<dyn Launcher>,
    name: String,
    arch: Arch,
    long: Semaphore,
    short: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

impl Pool {
    pub(super) fn new(launcher: Arc<dyn Launcher>, name: &str, arch: Arch) -> Self {
        Self {
            launcher,
            name: name.to_owned(),
            arch,
            long: Semaphore::new(LONG),
            short: Semaphore::new(SHORT),
            idle: Mutex::default(),
        }
    }

    /// Does a piece of work by a QEMU that reaches these files and nothing else. Whoever drops this future ends that QEMU.
    pub(super) async fn with<T>(
        &self,
        length: Length,
        files: Vec<Allowed>,
        working: &Working,
        work: impl AsyncFnOnce(&Worker) -> Result<T, BlockError>,
    ) -> Result<T, BlockError> {
        let _turn = self.turn(length).await?;
        let worker = match self.take_idle().await {
            Some(worker) => worker,
            None => {
                let confinement = Confinement { files, network: false };
                Worker::start(Arc::clone(&self.launcher), &self.name, self.arch, confinement)
                    .await
                    .map_err(|e| BlockError::Unavailable(e.to_string()))?
            }
        };
        *lock(working) = Some(worker.process());
        let done = work(&worker).await;
        *lock(working) = None;
        // One that does not answer any more serves nobody.
        if worker.is_in_this_process() && !matches!(done, Err(BlockError::Unavailable(_))) {
            lock(&self.idle).push(worker);
        } else {
            worker.stop().await;
        }
        done
    }

    /// Ends the QEMUs that are kept.
    pub(super) async fn stop_idle(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        for worker in idle {
            worker.stop().await;
        }
    }

    async fn turn(&self, length: Length) -> Result<SemaphorePermit<'_>, BlockError> {
        let turns = match length {
            Length::Long => &self.long,
            Length::Short => &self.short,
        };
        turns.acquire().await.map_err(|e| BlockError::Unavailable(e.to_string()))
    }

    /// One that is kept and lives. There are never more than turns, since one is started only where none is idle.
    async fn take_idle(&self) -> Option<Worker> {
        loop {
            let worker = lock(&self.idle).pop()?;
            if worker.lives().await {
                return Some(worker);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
