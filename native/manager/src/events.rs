//! What changes, for whoever shows it. The newest state replaces an older one: a slow listener misses steps in between and
//! nothing grows.

use crate::error::Result;
use crate::{JobInfo, Manager, Summary};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked whether another process has changed the library.
const PACE: Duration = Duration::from_secs(1);

/// How often anything is told at most.
const AT_MOST: Duration = Duration::from_millis(100);

/// Something that has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The machines of the library with their conditions.
    Machines(Arc<Vec<Summary>>),
    /// What is being done, downloads among it, and how far it is.
    Jobs(Vec<JobInfo>),
}

/// A subscription, which begins with what there is now.
pub struct Events {
    manager: Manager,
    changes: watch::Receiver<()>,
    machines: Option<Arc<Vec<Summary>>>,
    jobs: Option<Vec<JobInfo>>,
}

impl Manager {
    /// Subscribes to what changes.
    pub fn events(&self) -> Events {
        Events { manager: self.clone(), changes: self.changes(), machines: None, jobs: None }
    }
}

impl Events {
    /// The next change.
    ///
    /// # Errors
    /// The library cannot be read; the next call tries again.
    pub async fn next(&mut self) -> Result<Event> {
        loop {
            self.changes.borrow_and_update();
            let jobs = self.manager.job_list();
            if self.jobs.as_ref() != Some(&jobs) {
                self.jobs = Some(jobs.clone());
                return Ok(Event::Jobs(jobs));
            }
            let machines = self.manager.recent_list().await?;
            if self.machines.as_ref() != Some(&machines) {
                self.machines = Some(machines.clone());
                return Ok(Event::Machines(machines));
            }
            tokio::time::sleep(AT_MOST).await;
            // Of how far a job is nobody is told; while there is one, it is looked at.
            let goes_on = jobs.iter().any(|job| job.error.is_none());
            let pace = if goes_on { AT_MOST } else { PACE };
            let _ = tokio::time::timeout(pace, self.changes.changed()).await;
        }
    }
}
