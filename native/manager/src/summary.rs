//! What is told of a machine in a list.

use crate::Manager;
use crate::error::Result;
use crate::machine::document;
use crate::run::{EndRecord, How};
use crate::thumbnails::picture_at_rest;
use sampan_config::{Arch, Preset};
use sampan_control::{State, Status};
use sampan_library::{Bundle, Entry, VmId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What a machine's process says.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// There is none: the machine does not run.
    NotRunning,
    /// The machine's own word.
    Says(Box<Status>),
    /// Nothing was heard for too long: it hangs, or was stopped.
    Silent {
        /// The process, where it is known.
        pid: Option<u32>,
    },
    /// Something that is not understood.
    Unintelligible(String),
}

/// The state of any machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineState {
    /// It does not run.
    Stopped,
    /// It does not run, and goes on where it was when it is started.
    Suspended,
    /// It is being started.
    Starting,
    /// It is there, halted before its first instruction.
    Ready,
    /// Its CPUs run.
    Running,
    /// Its CPUs are halted.
    Paused,
    /// The guest has powered off.
    PoweredOff,
    /// Its process is about to end.
    Ending,
    /// Its process does not answer.
    Silent,
    /// Its bundle cannot be read.
    Broken,
}

impl MachineState {
    /// Its name, as it is serialized.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Suspended => "suspended",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::PoweredOff => "powered-off",
            Self::Ending => "ending",
            Self::Silent => "silent",
            Self::Broken => "broken",
        }
    }
}

/// That QEMU died in a machine's last run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// When, in seconds since 1970.
    pub time: u64,
    /// Whether there is a report.
    pub report: bool,
}

/// A machine in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Its name; `None` where its bundle cannot be read.
    pub name: Option<String>,
    /// Its state.
    pub state: MachineState,
    /// More of it in words: why QEMU paused it, how its last run ended if not as it should, why it is broken.
    pub detail: String,
    /// What it is for.
    pub preset: Option<Preset>,
    /// Its architecture.
    pub arch: Option<Arch>,
    /// Its memory.
    pub memory_mib: Option<u32>,
    /// Its CPUs.
    pub cpus: Option<u32>,
    /// What it takes of the disk, in bytes.
    pub usage: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub created: Option<u64>,
    /// When it was last started, suspended or ended, in seconds since 1970.
    #[serde(default)]
    pub last_used: Option<u64>,
    /// Whether all that the guest writes in this run is thrown away at its end.
    #[serde(default)]
    pub throw_away: bool,
    /// Where it is seen. The address holds a secret.
    pub viewer: Option<String>,
    /// Which picture there is of it: `live`, or a name of what it showed when it was suspended, or of its newest snapshot's. Another
    /// picture has another name.
    pub picture: Option<String>,
    /// How its last run ended, if QEMU died then.
    pub crash: Option<Crash>,
}

impl Summary {
    /// What is on disk of a machine.
    pub fn at_rest(bundle: &Bundle) -> Self {
        let document = document(bundle).ok();
        let manifest = bundle.manifest();
        let suspended = manifest.suspended.is_some();
        let last = EndRecord::last(bundle.path());
        let suspended_at = manifest.suspended.as_ref().map(|suspended| suspended.time);
        let last_used = last.as_ref().map(|last| last.time).max(suspended_at);
        let last = last.filter(|last| last.how != How::Ended && !last.dismissed);
        Self {
            id: bundle.id().to_string(),
            name: Some(bundle.name().to_owned()),
            state: if suspended { MachineState::Suspended } else { MachineState::Stopped },
            crash: last
                .as_ref()
                .filter(|last| last.how == How::Died)
                .map(|last| Crash { time: last.time, report: last.report.is_some() }),
            detail: last.map_or_else(String::new, |last| last.words),
            preset: document.as_ref().map(|document| document.system.preset),
            arch: document.as_ref().map(|document| document.system.arch),
            memory_mib: document.as_ref().map(|document| document.memory.mib),
            cpus: document.as_ref().map(|document| document.cpu.count),
            usage: bundle.usage().ok(),
            created: Some(manifest.created),
            last_used,
            throw_away: false,
            viewer: None,
            picture: picture_at_rest(manifest),
        }
    }

    fn broken(id: VmId, error: &sampan_library::Error) -> Self {
        Self {
            id: id.to_string(),
            name: None,
            state: MachineState::Broken,
            detail: error.to_string(),
            preset: None,
            arch: None,
            memory_mib: None,
            cpus: None,
            usage: None,
            created: None,
            last_used: None,
            throw_away: false,
            viewer: None,
            picture: None,
            crash: None,
        }
    }

    /// The same with what its process says.
    #[must_use]
    pub fn with(mut self, condition: Condition) -> Self {
        let (state, detail) = match condition {
            Condition::NotRunning => return self,
            Condition::Silent { pid } => {
                (MachineState::Silent, sampan_control::ClientError::Silent { pid }.to_string())
            }
            // It is there, and cannot be understood.
            Condition::Unintelligible(why) => (MachineState::Running, why),
            Condition::Says(status) => {
                let state = match status.state {
                    State::Starting => MachineState::Starting,
                    State::Ready => MachineState::Ready,
                    State::Running => MachineState::Running,
                    State::Paused => MachineState::Paused,
                    State::PoweredOff => MachineState::PoweredOff,
                    State::Ended => MachineState::Ending,
                };
                self.throw_away = status.facts.as_ref().is_some_and(|facts| facts.throw_away);
                if let (Some(facts), false) = (status.facts, state == MachineState::Ending) {
                    self.viewer = facts.viewer;
                    self.picture = Some("live".into());
                }
                (state, status.detail)
            }
        };
        (self.state, self.detail, self.crash) = (state, detail, None);
        self
    }
}

/// How long a list serves all who ask, unless something is known to have changed: it reads every bundle. As long as a
/// picture of a machine does, which the machine has to make.
pub const FRESH: Duration = Duration::from_secs(1);

/// How long the processes of machines may take to tell their conditions to a page.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The last list.
pub(crate) struct Listing {
    last: Option<(Instant, Arc<Vec<Summary>>)>,
    changes: watch::Receiver<()>,
}

impl Listing {
    pub(crate) fn new(changes: watch::Receiver<()>) -> Self {
        Self { last: None, changes }
    }
}

impl Manager {
    /// The same as [`Manager::list`] for pages, which ask again and again: however many ask, the library is read once in
    /// [`FRESH`], or when something has changed. A machine whose process says nothing for a moment is told as silent.
    ///
    /// # Errors
    /// The library cannot be read.
    pub async fn recent_list(&self) -> Result<Arc<Vec<Summary>>> {
        let mut listing = self.listing().lock().await;
        let changed = listing.changes.has_changed().unwrap_or(true);
        listing.changes.borrow_and_update();
        match &listing.last {
            Some((at, list)) if !changed && self.now().duration_since(*at) < FRESH => {
                return Ok(Arc::clone(list));
            }
            _ => {}
        }
        let list = Arc::new(self.list(PATIENCE).await?);
        listing.last = Some((self.now(), Arc::clone(&list)));
        Ok(list)
    }

    /// What the machine's process says now. `patience` is how long nothing may be heard of it.
    pub async fn condition(&self, bundle: &Bundle, patience: Duration) -> Condition {
        match self.runs().local(bundle.id()) {
            Some(local) => Condition::Says(Box::new(sampan_control::Handler::status(&*local))),
            None if self.runs().is_starting(bundle.id()) => {
                Condition::Says(Box::new(Status::starting(bundle.name().to_owned())))
            }
            None => self.live().condition(bundle.id(), bundle.path(), patience).await,
        }
    }

    /// Every machine of the library with its condition. All processes are asked at once, and those that say nothing for
    /// `patience` are told as silent.
    ///
    /// # Errors
    /// The library cannot be read.
    pub async fn list(&self, patience: Duration) -> Result<Vec<Summary>> {
        let library = self.library().clone();
        let entries: Vec<(Summary, Entry)> = crate::blocking(move || {
            let entries = library.list()?.into_iter();
            Ok(entries
                .map(|entry| match &entry.bundle {
                    Ok(bundle) => (Summary::at_rest(bundle), entry),
                    Err(error) => (Summary::broken(entry.id, error), entry),
                })
                .collect())
        })
        .await?;
        let there = |id| entries.iter().any(|(_, entry)| entry.id == id);
        self.forget_thumbnails(there);
        self.forget_activities(there);
        self.live().keep_only(|id| entries.iter().any(|(_, entry)| entry.id == id && entry.bundle.is_ok()));
        let mut asked = tokio::task::JoinSet::new();
        for (place, (_, entry)) in entries.iter().enumerate() {
            let Ok(bundle) = &entry.bundle else { continue };
            let (manager, bundle) = (self.clone(), bundle.clone());
            asked.spawn(async move { (place, manager.condition(&bundle, patience).await) });
        }
        let mut summaries: Vec<Summary> = entries.into_iter().map(|(summary, _)| summary).collect();
        while let Some(told) = asked.join_next().await {
            if let Ok((place, condition)) = told
                && let Some(summary) = summaries.get_mut(place)
            {
                if condition == Condition::NotRunning
                    && let Some(id) = VmId::from_folder(&format!("{}.sampan", summary.id))
                {
                    self.activity_at_rest(id);
                }
                *summary = summary.clone().with(condition);
            }
        }
        Ok(summaries)
    }
}
