//! The library's machines as the console sees them.

use super::fault::Fault;
use super::job::Job;
use super::picture::{Picture, newest};
use crate::control::Request;
use crate::control::ask::{AskError, Told, ask_patiently};
use crate::supervisor::last_end;
use crate::vm::described;
use sampan_library::{Bundle, Library, VmId};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// How long all supervisors together may take to tell their conditions.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How long a listing serves all who ask: it reads every bundle.
pub const KEPT: Duration = Duration::from_secs(1);

/// What the console remembers of one machine.
#[derive(Default)]
pub struct Machine {
    /// What is being done with it.
    pub job: Mutex<Job>,
    /// What it showed last.
    pub picture: tokio::sync::Mutex<Option<Picture>>,
    /// Its supervisor does not answer.
    pub silent: AtomicBool,
    /// Its supervisor, if the console started it: whoever does not wait for a child keeps a zombie.
    pub child: Mutex<Option<Child>>,
}

impl Machine {
    /// Whether a supervisor that the console started is still there. Buries it if it is not.
    pub fn has_child(&self) -> bool {
        let mut child = locked(&self.child);
        let lives = child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !lives {
            *child = None;
        }
        lives
    }
}

type Condition = JoinHandle<Told>;

#[derive(Default)]
struct Listing {
    last: Option<(Instant, Arc<Value>)>,
    /// Questions without an answer so far. One for each machine: those that hang are not asked again and again, since
    /// every question takes a place in their queue.
    asked: HashMap<VmId, Condition>,
}

/// The library, and what is remembered of its machines.
pub struct Machines {
    library: Library,
    known: Mutex<HashMap<VmId, Arc<Machine>>>,
    listing: tokio::sync::Mutex<Listing>,
    stale: AtomicBool,
    /// Pictures decoded at a time: one may take a hundred megabytes.
    pub decoders: Semaphore,
}

/// A lock whose data are whole after every step: a panic elsewhere is no reason to fail.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What of a machine is on disk.
struct Found {
    id: VmId,
    value: Value,
    /// `None` where the bundle cannot be read.
    kept: Option<Kept>,
}

struct Kept {
    folder: PathBuf,
    suspended: bool,
    picture: Option<String>,
    last: Option<Value>,
}

impl Machines {
    pub fn new(library: Library) -> Arc<Self> {
        Arc::new(Self {
            library,
            known: Mutex::default(),
            listing: tokio::sync::Mutex::default(),
            stale: AtomicBool::new(false),
            decoders: Semaphore::new(1),
        })
    }

    /// The library itself.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The next listing is a new one.
    pub fn changed(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    /// A machine by its id, in the one spelling that the library gives it.
    pub async fn find(&self, id: &str) -> Result<(Bundle, Arc<Machine>), Fault> {
        let missing =
            || Fault::missing("there is no such machine (any more): the list tells those there are");
        let id = VmId::from_folder(&format!("{id}.sampan")).ok_or_else(missing)?;
        let library = self.library.clone();
        let read = tokio::task::spawn_blocking(move || library.read(id)).await.map_err(Fault::failed)?;
        match read {
            Ok(bundle) => Ok((bundle, self.machine(id))),
            Err(sampan_library::Error::NotFound(_)) => Err(missing()),
            Err(error) => Err(Fault::failed(error)),
        }
    }

    fn machine(&self, id: VmId) -> Arc<Machine> {
        Arc::clone(locked(&self.known).entry(id).or_default())
    }

    /// Every machine with its condition.
    pub async fn list(&self) -> Result<Arc<Value>, Fault> {
        let mut listing = self.listing.lock().await;
        let stale = self.stale.swap(false, Ordering::Relaxed);
        if let Some((at, value)) = &listing.last
            && !stale
            && at.elapsed() < KEPT
        {
            return Ok(Arc::clone(value));
        }
        let library = self.library.clone();
        let found = tokio::task::spawn_blocking(move || read(&library)).await.map_err(Fault::failed)??;
        self.forget_all_but(&found, &mut listing.asked);
        for (id, folder) in found.iter().filter_map(|f| Some((f.id, &f.kept.as_ref()?.folder))) {
            let folder = folder.clone();
            let ask = async move { ask_patiently(&folder, &Request::Status).await };
            listing.asked.entry(id).or_insert_with(|| tokio::spawn(ask));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut machines = Vec::with_capacity(found.len());
        for one in found {
            let condition = match listing.asked.get_mut(&one.id) {
                None => None,
                Some(asked) => match timeout_at(deadline, asked).await {
                    Ok(told) => {
                        listing.asked.remove(&one.id);
                        Some(told.unwrap_or(Ok(None)))
                    }
                    Err(_) => Some(Err(AskError::Silent)),
                },
            };
            machines.push(self.told(one, condition));
        }
        let value = Arc::new(Value::from(machines));
        listing.last = Some((Instant::now(), Arc::clone(&value)));
        Ok(value)
    }

    /// Machines that are gone need not be remembered.
    fn forget_all_but(&self, found: &[Found], asked: &mut HashMap<VmId, Condition>) {
        let there = |id: &VmId| found.iter().any(|one| one.id == *id && one.kept.is_some());
        asked.retain(|id, question| {
            let keep = there(id);
            if !keep {
                question.abort();
            }
            keep
        });
        locked(&self.known).retain(|id, machine| {
            let child = machine.has_child();
            there(id) || child || locked(&machine.job).doing().is_some()
        });
    }

    /// One machine of the listing.
    fn told(&self, found: Found, condition: Option<Told>) -> Value {
        let Found { id, mut value, kept: Some(kept) } = found else { return found.value };
        let machine = self.machine(id);
        machine.silent.store(matches!(condition, Some(Err(AskError::Silent))), Ordering::Relaxed);
        let mut job = locked(&machine.job);
        value["viewer"] = Value::Null;
        value["detail"] = "".into();
        value["picture"] = kept.picture.into();
        value["crash"] = Value::Null;
        match condition {
            Some(Ok(Some(status))) => {
                let ending = status["state"] == "ended";
                value["state"] = if ending { "ending".into() } else { status["state"].clone() };
                value["detail"] = status["detail"].clone();
                if !ending {
                    value["viewer"] = status["viewer"].clone();
                    value["picture"] = "live".into();
                }
            }
            Some(Err(error)) => {
                value["state"] = "silent".into();
                value["detail"] = error.to_string().into();
            }
            Some(Ok(None)) | None => {
                job.ended();
                value["state"] = if kept.suspended { "suspended" } else { "stopped" }.into();
                // How the last run ended is told where it was not as it should.
                let last = kept.last.filter(|last| last["how"] != "ended");
                if let Some(last) = &last
                    && last["how"] == "died"
                {
                    value["crash"] = json!({ "time": last["time"], "report": last["report"].is_string() });
                }
                value["detail"] = last.map_or("".into(), |last| last["words"].clone());
            }
        }
        value["doing"] = json!(job.doing());
        value["asked_to_stop"] = job.asked_to_stop().into();
        value["problem"] = json!(job.problem());
        value
    }
}

fn read(library: &Library) -> Result<Vec<Found>, Fault> {
    let entries = library.list().map_err(Fault::failed)?;
    Ok(entries
        .into_iter()
        .map(|entry| match entry.bundle {
            Ok(bundle) => Found {
                id: entry.id,
                value: described(&bundle),
                kept: Some(Kept {
                    folder: bundle.path().to_owned(),
                    suspended: bundle.manifest().suspended.is_some(),
                    picture: newest(bundle.manifest()).map(|id| id.as_str().to_owned()),
                    last: last_end(bundle.path()),
                }),
            },
            Err(error) => {
                let id = entry.id.to_string();
                let value = json!({ "id": id, "name": null, "state": "broken", "detail": error.to_string() });
                Found { id: entry.id, value, kept: None }
            }
        })
        .collect())
}
