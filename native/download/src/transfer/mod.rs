//! One download from its first request to its final name.
//!
//! The first request asks for the first piece of the file. A 206 with a strong validator shows that the server can
//! send parts of one version, and further connections are opened; any other good answer is read from its beginning
//! to its end. Bytes are joined only under one validator and one length; whatever contradicts them starts over.

mod body;
mod pieces;
mod single;

use crate::checksums;
use crate::digest::Digest;
use crate::error::DownloadError;
use crate::fault::BadAnswer;
use crate::http::{Answer, Client, Get, Validator, content_range, status_error};
use crate::journal::Identity;
use crate::live::Live;
use crate::part::{Part, check_space};
use crate::progress::State;
use crate::request::Request;
use crate::retry;
use crate::settings::Settings;
use hyper::header::CONTENT_RANGE;
use hyper::{Response, StatusCode};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use url::Url;

/// A file that changes more often while it is loaded cannot be had.
const MAX_CHANGES: u32 = 3;
/// The journal is written at latest so long after bytes came.
const JOURNAL_EVERY: Duration = Duration::from_secs(2);
/// Free space is looked at so often.
const SPACE_EVERY: Duration = Duration::from_secs(1);

/// How a run ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The file is there.
    Done,
    /// It was stopped; what was loaded is kept.
    Stopped,
}

/// Why loading stopped short of the end.
pub(crate) enum Halt {
    /// The file is another one now.
    Changed,
    /// The server's ranges cannot be used: load the file from its beginning, by one request.
    NoRanges,
    /// Anything else.
    Error(DownloadError),
}

impl From<DownloadError> for Halt {
    fn from(error: DownloadError) -> Self {
        Self::Error(error)
    }
}

/// What a download works with.
pub(crate) struct Context {
    pub client: Arc<Client>,
    pub settings: Settings,
    pub request: Request,
    pub live: Arc<Live>,
}

struct Transfer<'a> {
    context: &'a Context,
    part: Part,
    url: Url,
    digest: Option<Digest>,
    /// Set once the server's ranges have proven useless.
    plain: Cell<bool>,
    /// Tries in a row that came no further than the best one before.
    failures: Cell<u32>,
    /// Bytes that were there at once, at most.
    best: Cell<u64>,
    /// Parts of the file that no connection has taken yet.
    open: RefCell<Vec<std::ops::Range<u64>>>,
    save: Notify,
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DownloadError> + Send + 'static,
) -> Result<T, DownloadError> {
    // The pool refuses work only when the runtime ends.
    spawn_blocking(work).await.unwrap_or(Err(DownloadError::Closed))
}

/// Downloads one file; ends early, in good order, when `stop` ends.
pub(crate) async fn run(context: &Context, stop: impl Future<Output = ()>) -> Result<Ended, DownloadError> {
    tokio::pin!(stop);
    context.live.set(State::Connecting);
    context.request.check()?;
    let request = context.request.clone();
    let Some(part) = blocking(move || Part::open(&request)).await? else { return Ok(Ended::Done) };
    let (url, digest) = tokio::select! {
        resolved = resolve(context) => resolved?,
        () = &mut stop => return Ok(Ended::Stopped),
    };
    let transfer = Transfer {
        context,
        part,
        url,
        digest,
        plain: Cell::new(false),
        failures: Cell::new(0),
        best: Cell::new(0),
        open: RefCell::default(),
        save: Notify::new(),
    };
    let result = tokio::select! {
        result = transfer.whole() => result.map(|()| Ended::Done),
        () = &mut stop => Ok(Ended::Stopped),
    };
    match &result {
        Ok(Ended::Done) => {}
        // Nothing came and nothing will: no litter stays.
        Err(error) if !error.is_transient() && transfer.part.loaded() == 0 => {
            let finisher = transfer.part.finisher();
            let _ = blocking(move || finisher.discard()).await;
        }
        // Where the part file has been moved away, this changes nothing.
        _ => {
            let last = transfer.part.checkpoint();
            // On a full disk the journal of before stays; the error that is told is the first one.
            if let Err(error) = blocking(move || last.save()).await {
                log::warn!("{error}");
            }
        }
    }
    // A thread that still syncs or hashes holds the file's lock; the next run needs it.
    while transfer.part.is_shared() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    result
}

/// The file's address and digest; the checksum file is loaded if there is one.
async fn resolve(context: &Context) -> Result<(Url, Option<Digest>), DownloadError> {
    let Some(sums) = context.request.sums()? else { return context.request.resolve(None) };
    let get = Get { url: sums, plain_http: context.request.allow_http, range: None, if_range: None };
    let mut failures = 0;
    loop {
        match body::text(context, &get, checksums::MAX_BYTES).await {
            Ok(text) => return context.request.resolve(Some(&text)),
            Err(error) => {
                failures += 1;
                pause(context, failures, error).await?;
            }
        }
    }
}

/// Waits before the next try, or gives the error back.
async fn pause(context: &Context, failures: u32, error: DownloadError) -> Result<(), DownloadError> {
    let Some(wait) = retry::wait(&context.settings.retry, failures, &error, retry::random()) else {
        return Err(error);
    };
    rest(context, wait, error).await;
    Ok(())
}

/// Waits, and says why.
async fn rest(context: &Context, wait: Duration, error: DownloadError) {
    log::info!("{}: {error}; next try in {wait:?}", context.request.to.display());
    context.live.set(State::Waiting { wait, error });
    tokio::time::sleep(wait).await;
    context.live.set(State::Connecting);
}

impl Transfer<'_> {
    async fn whole(&self) -> Result<(), DownloadError> {
        // Another digest is another file, whatever the server says.
        if self.part.identity().is_some_and(|identity| identity.digest != self.digest) {
            self.part.reset(None)?;
        }
        let mut changes = 0;
        self.best.set(self.part.loaded());
        loop {
            let loaded = tokio::select! {
                loaded = self.load() => loaded,
                error = self.keep_journal() => Err(Halt::Error(error)),
                error = self.watch_space() => Err(Halt::Error(error)),
            };
            match loaded {
                Ok(()) => break,
                Err(Halt::Changed) => {
                    changes += 1;
                    log::info!("{} has changed, it is loaded anew", self.url);
                    let error = DownloadError::Changed { url: self.url.to_string(), times: changes };
                    if changes > MAX_CHANGES {
                        return Err(error);
                    }
                    self.part.reset(None)?;
                    rest(self.context, retry::backoff(&self.context.settings.retry, changes), error).await;
                }
                // Once: what is asked for without a range is whole, or an error.
                Err(Halt::NoRanges) if self.plain.get() => return Err(self.never_whole()),
                Err(Halt::NoRanges) => {
                    log::info!("{} cannot be loaded in parts", self.url);
                    self.plain.set(true);
                    let lost = self.part.loaded() > 0;
                    self.part.reset(None)?;
                    if lost {
                        let why = BadAnswer::NoMoreParts;
                        let error = DownloadError::Protocol { url: self.url.to_string(), why };
                        rest(self.context, retry::backoff(&self.context.settings.retry, 1), error).await;
                    }
                }
                Err(Halt::Error(error)) => {
                    // One that starts over each time is further only when it has more than ever.
                    let (best, now) = (self.best.get(), self.part.loaded());
                    self.failures.set(if now > best { 1 } else { self.failures.get() + 1 });
                    self.best.set(best.max(now));
                    pause(self.context, self.failures.get(), error).await?;
                }
            }
        }
        self.finish().await
    }

    /// Loads all that is missing.
    async fn load(&self) -> Result<(), Halt> {
        if let (Some(identity), false) = (self.part.identity(), self.plain.get())
            && let (Some(length), Some(validator)) = (identity.length, identity.validator.clone())
        {
            self.context.live.size(self.part.loaded(), Some(length));
            if self.part.missing(length).is_empty() {
                return Ok(());
            }
            self.room(Some(length))?;
            return self.in_pieces(&identity, length, &validator, None).await;
        }
        if self.part.identity().is_some() || self.part.loaded() > 0 {
            self.part.reset(None)?;
        }
        self.context.live.size(0, None);
        self.room(None)?;
        let piece = self.context.settings.piece;
        let range = (!self.plain.get()).then_some(0..piece);
        let answer = self.context.client.get(&self.get(&self.url, range, None), None).await?;
        if let Some(error) = status_error(&answer.url, &answer.response) {
            // An empty file has no first byte to ask for.
            let unsatisfiable = answer.response.status() == StatusCode::RANGE_NOT_SATISFIABLE;
            return Err(if unsatisfiable && !self.plain.get() { Halt::NoRanges } else { error.into() });
        }
        self.context.live.set(State::Loading);
        if answer.response.status() != StatusCode::PARTIAL_CONTENT {
            return self.single(answer, None).await;
        }
        let (0, end, Some(length)) = part_of(&answer.response).ok_or(Halt::NoRanges)? else {
            return Err(Halt::NoRanges);
        };
        // A part was not asked for; but this one is all there is.
        if self.plain.get() && end == length {
            return self.single(answer, Some(length)).await;
        }
        if end > piece || self.plain.get() {
            return Err(Halt::NoRanges);
        }
        match Validator::of(answer.response.headers()) {
            Some(validator) => {
                let identity = self.begin(&answer, Some(length), Some(validator.clone()))?;
                self.in_pieces(&identity, length, &validator, Some((answer, 0..end))).await
            }
            None if end == length => self.single(answer, Some(length)).await,
            None => Err(Halt::NoRanges),
        }
    }

    /// The server sends parts that were not asked for, whatever it is asked.
    fn never_whole(&self) -> DownloadError {
        DownloadError::Parts { url: self.url.to_string() }
    }

    fn get(&self, url: &Url, range: Option<std::ops::Range<u64>>, if_range: Option<Validator>) -> Get {
        // With a digest the way that bytes come does not matter.
        let plain_http = self.context.request.allow_http || self.digest.is_some();
        Get { url: url.clone(), plain_http, range, if_range }
    }

    /// The file is known now: checks its length, and starts the part file for it.
    fn begin(
        &self,
        answer: &Answer,
        length: Option<u64>,
        validator: Option<Validator>,
    ) -> Result<Identity, DownloadError> {
        self.limit(length.unwrap_or(0))?;
        self.room(length)?;
        let identity = Identity { url: answer.url.to_string(), validator, length, digest: self.digest };
        self.part.reset(Some(identity.clone()))?;
        self.context.live.size(0, length);
        Ok(identity)
    }

    fn limit(&self, size: u64) -> Result<(), DownloadError> {
        let limit = self.context.request.max_size;
        if size <= limit {
            Ok(())
        } else {
            Err(DownloadError::TooLarge { url: self.url.to_string(), size, limit })
        }
    }

    /// Whether the rest fits onto the disk.
    fn room(&self, length: Option<u64>) -> Result<(), DownloadError> {
        let needed = length.unwrap_or(0).saturating_sub(self.part.loaded());
        check_space(&self.context.request.to, needed, self.context.settings.reserve)
    }

    /// Writes bytes that came; they are in the journal a little later.
    fn store(&self, lane: usize, at: u64, bytes: &[u8]) -> Result<(), DownloadError> {
        self.part.write(at, bytes)?;
        self.context.live.add(lane, bytes.len() as u64);
        if self.part.unsaved() >= self.context.settings.checkpoint {
            self.save.notify_one();
        }
        Ok(())
    }

    async fn keep_journal(&self) -> DownloadError {
        loop {
            let _ = tokio::time::timeout(JOURNAL_EVERY, self.save.notified()).await;
            if self.part.unsaved() > 0 {
                let checkpoint = self.part.checkpoint();
                if let Err(error) = blocking(move || checkpoint.save()).await {
                    return error;
                }
            }
        }
    }

    async fn watch_space(&self) -> DownloadError {
        loop {
            tokio::time::sleep(SPACE_EVERY).await;
            if let Err(error) = check_space(&self.context.request.to, 0, self.context.settings.reserve) {
                return error;
            }
        }
    }

    /// Verifies the file and gives it its name.
    async fn finish(&self) -> Result<(), DownloadError> {
        let length = self.part.loaded();
        self.context.live.set(State::Verifying);
        if let Some(expected) = self.digest {
            let (finisher, live) = (self.part.finisher(), self.context.live.clone());
            let cancel = CancelOnDrop::default();
            let cancelled = cancel.0.clone();
            let found = blocking(move || {
                finisher.hash(&expected, |done| {
                    live.verified(done);
                    !cancelled.load(Ordering::Relaxed)
                })
            });
            let found = found.await?.ok_or(DownloadError::Cancelled)?;
            if found != expected {
                let finisher = self.part.finisher();
                let kept = blocking(move || finisher.set_aside()).await?;
                let url = self.part.identity().map_or(self.url.to_string(), |identity| identity.url);
                let (expected, found) = (expected.to_string(), found.to_string());
                return Err(DownloadError::Checksum { url, expected, found, kept });
            }
        }
        let finisher = self.part.finisher();
        blocking(move || finisher.publish(length)).await
    }
}

/// Tells a thread that nobody waits for its result.
#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// First byte, end and total of a 206; `None` if they are not told as they must be.
fn part_of<T>(response: &Response<T>) -> Option<(u64, u64, Option<u64>)> {
    let mut values = response.headers().get_all(CONTENT_RANGE).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let range = content_range(value.to_str().ok()?)?;
    let (first, end) = range.range?;
    Some((first, end, range.total))
}
