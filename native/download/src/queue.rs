//! The queue: which downloads run, and the handles to them.

use crate::error::DownloadError;
use crate::http::{Client, Trust};
use crate::journal::{JOURNAL, PART};
use crate::live::{Changes, Live};
use crate::part::Part;
use crate::progress::{Progress, State};
use crate::request::Request;
use crate::settings::Settings;
use crate::transfer::{Context, Ended, blocking, run};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// Downloads that a queue holds, those that are over included.
pub const MAX_DOWNLOADS: usize = 1000;

/// Downloads files, a few at a time, in order.
///
/// It works on a thread of its own, which waits for the network and writes to disk; hashing and syncing have others.
/// Nothing here blocks but what says so, and everything may be called from any thread. Dropping the last handle stops
/// what runs, with its journal written.
#[derive(Clone)]
pub struct Queue(Arc<Owner>);

/// One download of a [`Queue`]; as long as it is in the queue, whatever handles there are.
#[derive(Clone)]
pub struct Download {
    id: u64,
    owner: Arc<Owner>,
}

struct Owner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    table: Mutex<Table>,
    changes: Arc<Changes>,
    wake: Notify,
    settings: Settings,
    client: Arc<Client>,
}

struct Table {
    /// In the order of the queue.
    items: Vec<Item>,
    next: u64,
    parallel: usize,
    closing: bool,
}

struct Item {
    id: u64,
    request: Request,
    live: Arc<Live>,
    wish: Wish,
    /// Set while its task runs; told to stop by it.
    running: Option<Arc<Notify>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Run,
    Pause,
    Cancel { keep: bool },
}

impl Queue {
    /// Starts a queue.
    ///
    /// # Errors
    /// Unusable certificates in [`Settings::extra_roots`], an unusable proxy in [`Settings::proxy`], or no thread.
    pub fn start(settings: Settings) -> Result<Self, DownloadError> {
        let settings = settings.bounded();
        let trust = Trust::new(settings.extra_roots.as_deref(), &settings.proxy)?;
        let client = Arc::new(Client { trust, timeouts: settings.timeouts });
        let table = Table { items: Vec::new(), next: 1, parallel: settings.parallel, closing: false };
        let shared = Arc::new(Shared {
            table: Mutex::new(table),
            changes: Arc::default(),
            wake: Notify::new(),
            settings,
            client,
        });
        let failed = |e: std::io::Error| DownloadError::Start { why: e.to_string() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let tasks = shared.clone();
        let thread = std::thread::Builder::new()
            .name("sampan-download".into())
            .spawn(move || {
                LocalSet::new().block_on(&runtime, tasks.work());
                // Reading a name may hang for minutes in the system's resolver; nobody waits for its answer.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Self(Arc::new(Owner { shared, thread: Mutex::new(Some(thread)) })))
    }

    /// Puts a download at the end of the queue.
    ///
    /// # Errors
    /// What [`Request::check`] finds, a name that is being downloaded already, or a full queue.
    pub fn add(&self, request: Request) -> Result<Download, DownloadError> {
        request.check()?;
        let shared = &self.0.shared;
        let id = {
            let mut table = shared.table.lock();
            if table.closing {
                return Err(DownloadError::Closed);
            }
            if table.items.len() >= MAX_DOWNLOADS {
                return Err(DownloadError::Full { limit: MAX_DOWNLOADS });
            }
            let over = |state| matches!(state, State::Done | State::Cancelled);
            if table.items.iter().any(|i| i.request.to == request.to && !over(i.live.state())) {
                return Err(DownloadError::Busy { path: request.to });
            }
            let id = table.next;
            table.next += 1;
            let live = Arc::new(Live::new(shared.changes.clone()));
            table.items.push(Item { id, request, live, wish: Wish::Run, running: None });
            id
        };
        shared.notice();
        Ok(Download { id, owner: self.0.clone() })
    }

    /// All downloads, in the order of the queue.
    pub fn list(&self) -> Vec<Progress> {
        let table = self.0.shared.table.lock();
        table.items.iter().map(Item::progress).collect()
    }

    /// The download with this number.
    pub fn get(&self, id: u64) -> Option<Download> {
        let table = self.0.shared.table.lock();
        table.items.iter().any(|i| i.id == id).then(|| Download { id, owner: self.0.clone() })
    }

    /// How many files are loaded at the same time; at least 1, at most 16. Running downloads go on.
    pub fn set_parallel(&self, files: usize) {
        self.0.shared.table.lock().parallel = files.clamp(1, 16);
        self.0.shared.notice();
    }

    /// A number that grows with every change of any download; bytes count at most five times a second.
    pub fn changes(&self) -> u64 {
        self.0.shared.changes.count()
    }

    /// Waits until [`Queue::changes`] is no longer `seen`, for at most `limit`, and returns it. It blocks.
    pub fn wait_change(&self, seen: u64, limit: Duration) -> u64 {
        self.0.shared.changes.wait(seen, limit)
    }

    /// Stops what runs, waits until its journals are written, and refuses whatever comes later. It blocks, for some
    /// moments.
    pub fn shutdown(&self) {
        self.0.close();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Owner {
    fn close(&self) {
        self.shared.table.lock().closing = true;
        self.shared.notice();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in it has been reported by the panic hook.
            let _ = thread.join();
        }
    }

    fn with<T>(&self, id: u64, f: impl FnOnce(&mut Table, usize) -> T) -> Result<T, DownloadError> {
        let result = {
            let mut table = self.shared.table.lock();
            let at = table.items.iter().position(|i| i.id == id).ok_or(DownloadError::Unknown)?;
            f(&mut table, at)
        };
        self.shared.notice();
        Ok(result)
    }

    fn wish(&self, id: u64, wish: Wish) -> Result<(), DownloadError> {
        self.with(id, |table, at| {
            if let Some(item) = table.items.get_mut(at) {
                item.wish(wish);
            }
        })
    }
}

impl Item {
    fn progress(&self) -> Progress {
        self.live.snapshot(self.id, self.request.to.clone())
    }

    fn wish(&mut self, wish: Wish) {
        let state = self.live.state();
        match (&state, wish) {
            // What is over stays over, and a cancelled one is not brought back by a late call.
            (State::Done | State::Cancelled, _) => return,
            (State::Failed(_), Wish::Pause) => return,
            _ if matches!(self.wish, Wish::Cancel { .. }) => return,
            _ => self.wish = wish,
        }
        match (wish, &self.running) {
            (Wish::Run, None) => {
                if state.is_settled() {
                    self.live.set(State::Queued);
                }
            }
            // It is put back into the queue when its task has ended.
            (Wish::Run, Some(_)) => {}
            (_, Some(stop)) => stop.notify_one(),
            (Wish::Pause, None) => self.live.set(State::Paused),
            // Files are removed by a task.
            (Wish::Cancel { .. }, None) => {}
        }
    }
}

impl Download {
    /// Its number in the queue.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`DownloadError::Unknown`] after [`Download::remove`]; so the others.
    pub fn progress(&self) -> Result<Progress, DownloadError> {
        let table = self.owner.shared.table.lock();
        table.items.iter().find(|i| i.id == self.id).map(Item::progress).ok_or(DownloadError::Unknown)
    }

    /// Stops it with what was loaded, until [`Download::resume`].
    ///
    /// # Errors
    /// See [`Download::progress`].
    pub fn pause(&self) -> Result<(), DownloadError> {
        self.owner.wish(self.id, Wish::Pause)
    }

    /// Lets a paused or failed download go on when its turn comes.
    ///
    /// # Errors
    /// See [`Download::progress`].
    pub fn resume(&self) -> Result<(), DownloadError> {
        self.owner.wish(self.id, Wish::Run)
    }

    /// Ends it for good. With `keep`, the part file and its journal stay, for a later download of the same.
    ///
    /// # Errors
    /// See [`Download::progress`].
    pub fn cancel(&self, keep: bool) -> Result<(), DownloadError> {
        self.owner.wish(self.id, Wish::Cancel { keep })
    }

    /// Moves it to a place in the queue; 0 is the first. What runs goes on.
    ///
    /// # Errors
    /// See [`Download::progress`].
    pub fn move_to(&self, place: usize) -> Result<(), DownloadError> {
        self.owner.with(self.id, |table, at| {
            let item = table.items.remove(at);
            table.items.insert(place.min(table.items.len()), item);
        })
    }

    /// Takes a download that is over out of the queue; `false` if it is not over.
    ///
    /// # Errors
    /// See [`Download::progress`].
    pub fn remove(&self) -> Result<bool, DownloadError> {
        self.owner.with(self.id, |table, at| {
            let over = table.items.get(at).is_some_and(|i| {
                i.running.is_none()
                    && matches!(i.live.state(), State::Done | State::Cancelled | State::Failed(_))
            });
            if over {
                table.items.remove(at);
            }
            over
        })
    }

    /// Waits until it is done, for at most `limit`; `Ok(None)` if it is not by then, or paused. It blocks.
    ///
    /// # Errors
    /// Why it failed, or that it was cancelled.
    pub fn wait(&self, limit: Duration) -> Result<Option<PathBuf>, DownloadError> {
        let until = Instant::now().checked_add(limit);
        loop {
            let seen = self.owner.shared.changes.count();
            let progress = self.progress()?;
            match progress.state {
                State::Done => return Ok(Some(progress.to)),
                State::Failed(error) => return Err(error),
                State::Cancelled => return Err(DownloadError::Cancelled),
                State::Paused => return Ok(None),
                _ if self.owner.shared.table.lock().closing => return Err(DownloadError::Closed),
                _ => {}
            }
            let left = until
                .map_or(Duration::from_secs(60), |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(None);
            }
            self.owner.shared.changes.wait(seen, left);
        }
    }
}

impl Shared {
    fn notice(&self) {
        self.wake.notify_one();
        self.changes.bump();
    }

    /// Starts what may start, until the queue closes and nothing runs.
    async fn work(self: Arc<Self>) {
        loop {
            if self.step() {
                return;
            }
            self.wake.notified().await;
        }
    }

    /// Starts tasks; tells whether everything is over.
    fn step(self: &Arc<Self>) -> bool {
        let mut table = self.table.lock();
        let closing = table.closing;
        let mut running = table.items.iter().filter(|i| i.running.is_some()).count();
        if closing {
            table.items.iter().filter_map(|i| i.running.as_ref()).for_each(|stop| stop.notify_one());
            return running == 0;
        }
        let parallel = table.parallel;
        for item in &mut table.items {
            if item.running.is_some() {
                continue;
            }
            let state = item.live.state();
            let start = match item.wish {
                Wish::Run => running < parallel && state == State::Queued,
                Wish::Pause => false,
                Wish::Cancel { .. } => !matches!(state, State::Done | State::Cancelled),
            };
            if start {
                running += 1;
                let stop = Arc::new(Notify::new());
                item.running = Some(stop.clone());
                let context = Context {
                    client: self.client.clone(),
                    settings: self.settings.clone(),
                    request: item.request.clone(),
                    live: item.live.clone(),
                };
                let (shared, id) = (self.clone(), item.id);
                tokio::task::spawn_local(async move { shared.task(id, context, &stop).await });
            }
        }
        false
    }

    /// Runs one download until it ends or is stopped, and carries out what was wished meanwhile.
    async fn task(&self, id: u64, context: Context, stop: &Notify) {
        let cancelled = matches!(self.wish(id), Wish::Cancel { .. });
        let result = if cancelled { Ok(Ended::Stopped) } else { run(&context, stop.notified()).await };
        let wish = self.wish(id);
        let state = match (result, wish) {
            (Ok(Ended::Done), _) => State::Done,
            (_, Wish::Cancel { keep }) => {
                if !keep {
                    discard(&context.request).await;
                }
                State::Cancelled
            }
            (Err(error), _) => State::Failed(error),
            (Ok(Ended::Stopped), Wish::Pause) => State::Paused,
            // Resumed before it had stopped, or the queue closes.
            (Ok(Ended::Stopped), Wish::Run) => State::Queued,
        };
        if let State::Failed(error) = &state {
            log::warn!("{}: {error}", context.request.to.display());
        }
        if let Some(item) = self.table.lock().items.iter_mut().find(|i| i.id == id) {
            // A wish that came in the last moment is heard.
            let late = item.wish != wish;
            item.running = None;
            item.live.set(state);
            if late {
                item.wish(item.wish);
            }
        }
        self.notice();
    }

    fn wish(&self, id: u64) -> Wish {
        self.table.lock().items.iter().find(|i| i.id == id).map_or(Wish::Pause, |i| i.wish)
    }
}

/// Removes what was loaded of a request.
async fn discard(request: &Request) {
    let request = request.clone();
    if let Err(error) = blocking(move || discard_now(&request)).await {
        log::warn!("what was loaded stays on the disk: {error}");
    }
}

/// Removes what was loaded of a request that is in no queue, its journal too. Nothing there is no error. It blocks.
///
/// # Errors
/// [`DownloadError::Busy`] while somebody is at it; what the system says.
pub fn discard_now(request: &Request) -> Result<(), DownloadError> {
    // Opening would create the file.
    if !request.beside(PART).exists() && !request.beside(JOURNAL).exists() {
        return Ok(());
    }
    match Part::open(request)? {
        Some(part) => part.finisher().discard(),
        None => Ok(()),
    }
}
