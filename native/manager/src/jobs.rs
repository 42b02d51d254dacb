//! Work that outlives whoever asked for it: a page may close, and come back to see how far it is.

use crate::Manager;
use crate::error::{Error, Result};
use crate::findings::{Confirmed, confirm};
use crate::lifecycle::Pressed;
use crate::run::StartOptions;
use crate::sentences::Sentence;
use parking_lot::{Mutex, MutexGuard};
use sampan_control::{Progress, Reporter, Request};
use sampan_library::VmId;
use sampan_message::{Coded, Message};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Failed jobs that are remembered until somebody discards them.
const MAX_FAILED: usize = 32;

/// What a machine can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Start, or resume where it was suspended.
    Start,
    /// Press the power button.
    Stop,
    /// End without asking the guest.
    ForceStop,
    /// Halt the CPUs.
    Pause,
    /// Let the CPUs run.
    Resume,
    /// Press the reset button.
    Reset,
    /// Save the memory and end.
    Suspend,
}

impl Action {
    fn kind(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::ForceStop => "force-stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reset => "reset",
            Self::Suspend => "suspend",
        }
    }

    /// That a machine is busy with it.
    pub(crate) fn busy(self) -> Message {
        let text = format!("the machine is {}: wait until that is done", self.participle());
        Message::new("busy", text).with("doing", self.kind())
    }

    fn participle(self) -> &'static str {
        match self {
            Self::Start => "being started",
            Self::Stop => "being told to shut down",
            Self::ForceStop => "being ended",
            Self::Pause => "being paused",
            Self::Resume => "being resumed",
            Self::Reset => "being reset",
            Self::Suspend => "being suspended",
        }
    }
}

/// A job as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Its number.
    pub id: u64,
    /// What it does, as a stable code: `start`, `import`, `download`.
    pub kind: String,
    /// The machine it concerns.
    pub machine: Option<String>,
    /// What it is about besides a machine: the name of a medium, or of a machine that is not there yet.
    pub name: Option<String>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Whether it rests until somebody has it go on.
    #[serde(default)]
    pub paused: bool,
    /// Whether it can rest where it is now.
    #[serde(default)]
    pub can_pause: bool,
    /// Why it has failed; `None` while it goes on.
    pub error: Option<Message>,
}

/// What is being done with a machine, and how the last thing went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    /// What is being done.
    pub doing: Option<Action>,
    /// Why the last thing failed.
    pub problem: Option<Message>,
    /// Whether the power button was pressed in this run.
    pub asked_to_stop: bool,
    /// Which action it is: ending a machine takes the place of what was being done.
    number: u64,
}

struct Entry {
    kind: &'static str,
    machine: Option<VmId>,
    name: Option<String>,
    reporter: Reporter,
    error: Option<Message>,
}

/// All jobs.
pub(crate) struct Jobs {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    last: u64,
    jobs: BTreeMap<u64, Entry>,
    /// Those that rest because the network costs money.
    held: BTreeSet<u64>,
    /// Those that were cancelled last, for whoever tells how they ended.
    cancelled: VecDeque<u64>,
    activities: HashMap<VmId, Activity>,
}

impl Jobs {
    pub(crate) fn new(changed: watch::Sender<()>) -> Self {
        Self { state: Mutex::default(), changed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn insert(&self, kind: &'static str, about: About) -> (u64, Reporter) {
        let reporter = Reporter::new();
        let mut state = self.lock();
        state.last += 1;
        let id = state.last;
        let About { machine, name } = about;
        state.jobs.insert(id, Entry { kind, machine, name, reporter: reporter.clone(), error: None });
        drop(state);
        self.changed.send_replace(());
        (id, reporter)
    }

    fn note_cancelled(&self, id: u64) {
        let mut state = self.lock();
        state.cancelled.push_back(id);
        if state.cancelled.len() > MAX_FAILED {
            state.cancelled.pop_front();
        }
    }

    fn end(&self, id: u64, error: Option<Message>) {
        let mut state = self.lock();
        state.held.remove(&id);
        match error {
            None => drop(state.jobs.remove(&id)),
            Some(error) => {
                if let Some(entry) = state.jobs.get_mut(&id) {
                    entry.error = Some(error);
                }
                let failed: Vec<u64> =
                    state.jobs.iter().filter(|(_, job)| job.error.is_some()).map(|(id, _)| *id).collect();
                for id in failed.iter().take(failed.len().saturating_sub(MAX_FAILED)) {
                    state.jobs.remove(id);
                }
            }
        }
        drop(state);
        self.changed.send_replace(());
    }
}

/// What a job is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The machine that it concerns.
    pub machine: Option<VmId>,
    /// The name of a medium, or of a machine that is not there yet.
    pub name: Option<String>,
}

impl From<VmId> for About {
    fn from(machine: VmId) -> Self {
        Self { machine: Some(machine), name: None }
    }
}

impl From<&str> for About {
    fn from(name: &str) -> Self {
        Self { machine: None, name: Some(name.to_owned()) }
    }
}

fn no_job(id: u64) -> Error {
    Error::saying(&Sentence::NoJob { job: id.to_string() })
}

/// Work that was begun. Dropping this does not end it.
pub struct Job<T = ()> {
    id: u64,
    reporter: Reporter,
    task: JoinHandle<Result<T>>,
}

impl<T> Job<T> {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Carries its progress, and cancels it.
    pub fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Its own.
    pub async fn wait(self) -> Result<T> {
        self.task.await.unwrap_or(Err(Error::Thread))
    }
}

impl Manager {
    /// Begins work that goes on whoever waits for it, and is listed by [`Manager::job_list`] until it is done.
    pub fn spawn_job<T, F>(
        &self,
        kind: &'static str,
        about: impl Into<About>,
        work: impl FnOnce(Manager, Reporter) -> F,
    ) -> Job<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (id, reporter) = self.jobs().insert(kind, about.into());
        let work = work(self.clone(), reporter.clone());
        let manager = self.clone();
        let task = tokio::spawn(async move {
            // A task of its own, so that even a panic in it ends the job.
            let done = tokio::spawn(work).await.unwrap_or(Err(Error::Thread));
            if done.as_ref().is_err_and(Error::is_cancelled) {
                manager.jobs().note_cancelled(id);
            }
            let error = done.as_ref().err().filter(|error| !error.is_cancelled()).map(Coded::message);
            if let Some(error) = &error {
                log::info!("{kind} failed: {error}");
            }
            manager.jobs().end(id, error);
            done
        });
        Job { id, reporter, task }
    }

    /// All jobs that go on, and those that have failed and were not discarded yet.
    pub fn job_list(&self) -> Vec<JobInfo> {
        let state = self.jobs().lock();
        let info = |(id, entry): (&u64, &Entry)| JobInfo {
            id: *id,
            kind: entry.kind.to_owned(),
            machine: entry.machine.map(|id| id.to_string()),
            name: entry.name.clone(),
            progress: entry.reporter.watch().borrow().clone(),
            paused: entry.reporter.is_paused(),
            can_pause: entry.reporter.can_pause(),
            error: entry.error.clone(),
        };
        state.jobs.iter().map(info).collect()
    }

    /// Whether a job that is over was cancelled; known of the last ones.
    pub fn was_cancelled(&self, id: u64) -> bool {
        self.jobs().lock().cancelled.contains(&id)
    }

    /// Cancels a job that goes on, and forgets one that has failed.
    pub fn discard_job(&self, id: u64) {
        let mut state = self.jobs().lock();
        let failed = state.jobs.get(&id).map(|entry| {
            entry.reporter.cancel();
            entry.error.is_some()
        });
        if failed == Some(true) {
            state.jobs.remove(&id);
        }
        drop(state);
        self.changed();
    }

    /// Has a job rest where it is: a download keeps what it has.
    ///
    /// # Errors
    /// `job_not_found`, `cannot_pause`.
    pub fn pause_job(&self, id: u64) -> Result<()> {
        let paused = {
            let state = self.jobs().lock();
            let entry = state.jobs.get(&id).ok_or_else(|| no_job(id))?;
            entry.reporter.pause().then_some(()).ok_or(entry.kind)
        };
        self.changed();
        paused.map_err(|kind| Error::saying(&Sentence::CannotPause { kind: kind.to_owned() }))
    }

    /// Lets a job that rests go on; of one that does not, nothing changes.
    ///
    /// # Errors
    /// `job_not_found`; [`Error::NeedsConfirm`] where the network costs money, and `offline` where there is none.
    pub fn resume_job(&self, id: u64, confirmed: &Confirmed) -> Result<()> {
        let name = {
            let state = self.jobs().lock();
            let entry = state.jobs.get(&id).ok_or_else(|| no_job(id))?;
            entry.reporter.is_paused().then(|| entry.name.clone().unwrap_or_default())
        };
        let Some(name) = name else { return Ok(()) };
        confirm(Vec::from_iter(self.network().finding(&name)), confirmed)?;
        let mut state = self.jobs().lock();
        state.held.remove(&id);
        if let Some(entry) = state.jobs.get(&id) {
            entry.reporter.go_on();
        }
        drop(state);
        self.changed();
        Ok(())
    }

    /// Has downloads rest that nobody wants over a network that costs money, or lets those go on that rest for that reason.
    pub(crate) fn hold_downloads(&self, hold: bool) {
        let mut state = self.jobs().lock();
        let State { jobs, held, .. } = &mut *state;
        if hold {
            // One that rests already was told to by a person.
            let going = jobs.iter().filter(|(_, entry)| !entry.reporter.is_paused());
            held.extend(going.filter(|(_, entry)| entry.reporter.pause()).map(|(id, _)| *id));
        } else {
            for id in std::mem::take(held) {
                if let Some(entry) = jobs.get(&id) {
                    entry.reporter.go_on();
                }
            }
        }
        drop(state);
        self.changed();
    }

    /// What is being done with a machine.
    pub fn activity(&self, id: VmId) -> Activity {
        self.jobs().lock().activities.get(&id).cloned().unwrap_or_default()
    }

    /// The machine does not run: nobody has pressed its power button in this run.
    pub(crate) fn activity_at_rest(&self, id: VmId) {
        if let Some(activity) = self.jobs().lock().activities.get_mut(&id) {
            activity.asked_to_stop = false;
        }
    }

    /// Forgets machines that are not in the library any more.
    pub(crate) fn forget_activities(&self, there: impl Fn(VmId) -> bool) {
        self.jobs().lock().activities.retain(|id, activity| there(*id) || activity.doing.is_some());
    }

    /// Begins an action on a machine. A machine does one thing at a time; ending it by force takes the place of whatever is
    /// being done. `listen` is where its viewer is to be, if it is started behind a supervisor.
    ///
    /// # Errors
    /// `busy`: something else is being done.
    pub fn begin(&self, id: VmId, action: Action, listen: Option<SocketAddr>) -> Result<Job> {
        let number = {
            let mut state = self.jobs().lock();
            let activity = state.activities.entry(id).or_default();
            match activity.doing {
                Some(now) if action != Action::ForceStop || now == Action::ForceStop => {
                    return Err(Error::Told(now.busy()));
                }
                _ => {}
            }
            activity.number += 1;
            activity.doing = Some(action);
            activity.problem = None;
            activity.number
        };
        Ok(self.spawn_job(action.kind(), id, move |manager, reporter| async move {
            let done = manager.act(id, action, listen, &reporter).await;
            let mut state = manager.jobs().lock();
            if let Some(activity) = state.activities.get_mut(&id).filter(|a| a.number == number) {
                activity.doing = None;
                match &done {
                    Ok(()) => activity.asked_to_stop |= action == Action::Stop,
                    Err(error) => activity.problem = Some(error.message()),
                }
            }
            drop(state);
            done
        }))
    }

    async fn act(
        &self,
        id: VmId,
        action: Action,
        listen: Option<SocketAddr>,
        reporter: &Reporter,
    ) -> Result<()> {
        let tell = async |request| self.running(id).await?.tell(request).await;
        match action {
            Action::Start => {
                let tell = |message: Message| log::info!("{id}: {message}");
                self.start(id, StartOptions::default(), listen, &tell).await.map(drop)
            }
            Action::Stop => match self.press_power(id).await {
                // It has shut down by itself meanwhile.
                Ok(Pressed::Asked | Pressed::Ended) | Err(Error::NotRunning { .. }) => Ok(()),
                Err(error) => Err(error),
            },
            Action::ForceStop => match self.force_off(id).await? {
                crate::Ended::WasOff => {
                    Err(Error::NotRunning { name: self.bundle(id).await?.name().to_owned() })
                }
                _ => Ok(()),
            },
            Action::Pause => tell(Request::Pause).await,
            Action::Resume => tell(Request::Resume).await,
            Action::Reset => tell(Request::Reset).await,
            Action::Suspend => self.suspend(id, reporter).await,
        }
    }
}
