//! Files that go to the guest and come from it. Each waits on the host in a file without a name, so that a slow viewer holds up
//! nothing in the guest, and nothing is left of it after an end of any kind.
//!
//! A file to the guest is announced, comes in pieces, and is given when it is whole. One from the guest is fetched first, and
//! can then be loaded once by an address that nobody can guess, which the page is told.

use super::{may_exchange, of};
use crate::http::refused::Refused;
use crate::state::ServerState;
use crate::viewers::Viewer;
use crate::web;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sampan_guest::{Files, Given, GuestError};
use sampan_trust::Right;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Bytes of one piece: it comes within the time that a request may take also where the path is slow.
pub(crate) const PIECE: usize = 1 << 20;

/// The longest file: the guest's agents take no longer ones.
const MAX_FILE: u64 = 64 << 30;

/// Bytes of an announcement: a path has 4096 at most on Linux.
pub(crate) const ANNOUNCEMENT: usize = 16 << 10;

/// A file of which no piece comes for so long is given up, and one that waits to be loaded.
const IDLE: Duration = Duration::from_secs(60);

/// Read at once, of a file that is loaded.
const READ: usize = 256 << 10;

/// How far a viewer's file is, as its page is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileNews {
    /// Its number, of this viewer's.
    pub id: u64,
    /// How far it is.
    pub state: Step,
    /// Bytes that are done.
    pub done: u64,
    /// Bytes in all; 0 while that is not known.
    pub size: u64,
    /// Where it is: in the guest, or the path by which it can be loaded; empty for the guest's downloads.
    pub at: String,
    /// Why not: a code, and the same in words.
    pub code: String,
    /// Likewise.
    pub text: String,
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It goes into the guest.
    Giving,
    /// It comes out of the guest.
    Taking,
    /// It can be loaded.
    Ready,
    /// It is in the guest.
    Done,
    /// It is not.
    Failed,
}

/// A file that comes in pieces.
struct Incoming {
    name: String,
    size: u64,
    have: u64,
    file: Arc<File>,
}

enum Work {
    Incoming(Incoming),
    /// A piece is being written.
    Writing,
    /// The guest is given it, or gives it.
    Moving(AbortHandle),
    /// It waits to be loaded by whoever has this key.
    Ready {
        key: String,
        file: File,
        size: u64,
        name: String,
    },
}

/// What a viewer has on its way: one file at a time.
pub(crate) struct Transfer {
    numbers: u64,
    work: Option<(u64, Work)>,
    since: Instant,
    news: watch::Sender<Option<FileNews>>,
}

impl Default for Transfer {
    fn default() -> Self {
        Self { numbers: 0, work: None, since: Instant::now(), news: watch::Sender::new(None) }
    }
}

impl Transfer {
    /// How far it is, and every change of it.
    pub(crate) fn news(&self) -> watch::Receiver<Option<FileNews>> {
        self.news.subscribe()
    }

    /// Takes a place for one more; what was given up makes room.
    fn begin(&mut self, work: impl FnOnce(u64) -> Work) -> Result<u64, Refused> {
        if matches!(self.work, Some((_, Work::Writing | Work::Moving(_)))) {
            return Err(Refused::busy());
        }
        self.numbers += 1;
        self.set(self.numbers, work(self.numbers));
        Ok(self.numbers)
    }

    fn set(&mut self, id: u64, work: Work) {
        self.work = Some((id, work));
        self.since = Instant::now();
    }

    fn is(&self, id: u64) -> bool {
        self.work.as_ref().is_some_and(|(now, _)| *now == id)
    }

    fn end(&mut self, id: u64) -> bool {
        let is = self.is(id);
        if is && let Some((_, Work::Moving(task))) = self.work.take() {
            task.abort();
        }
        is
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some((_, Work::Moving(task))) = &self.work {
            task.abort();
        }
    }
}

fn files(state: &ServerState) -> Result<Arc<dyn Files>, Refused> {
    let none = || {
        Refused::new(
            StatusCode::NOT_FOUND,
            "no_files",
            "this machine exchanges no files with viewers: only one of the library does",
        )
    };
    state.guest().files().ok_or_else(none)
}

fn with<T>(state: &ServerState, id: &str, work: impl FnOnce(&mut Transfer) -> T) -> Result<T, Refused> {
    state.viewers.with(id, |viewer: &mut Viewer| work(&mut viewer.transfer)).ok_or_else(Refused::not_found)
}

/// What may block, elsewhere.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GuestError> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    let broken = |_| GuestError { code: "internal".into(), words: "the work was broken off".to_owned() };
    Ok(done.map_err(broken)??)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announced {
    name: String,
    size: u64,
}

fn read<T: serde::de::DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    let bad =
        |error: serde_json::Error| Refused::new(StatusCode::BAD_REQUEST, "bad_content", error.to_string());
    serde_json::from_slice(body).map_err(bad)
}

/// `POST /whep/ID/files`: a file is going to come.
pub(super) async fn announce(
    State(state): State<Weak<ServerState>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    let state = of(&state)?;
    may_exchange(&state, &id, Right::Files)?;
    let Announced { name, size } = read(&super::whole(body, ANNOUNCEMENT).await?)?;
    if size > MAX_FILE {
        let words = format!("a file of {size} bytes: at most {MAX_FILE} are taken");
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", words));
    }
    let files = files(&state)?;
    let file = Arc::new(blocking(move || files.spool(size)).await?);
    let number = with(&state, &id, |transfer| {
        transfer.begin(|_| Work::Incoming(Incoming { name, size, have: 0, file }))
    })??;
    watch_over(&state, &id, number);
    if size == 0 {
        given_when_whole(&state, &id, number)?;
    }
    Ok((StatusCode::CREATED, Json(serde_json::json!({ "id": number }))).into_response())
}

/// `PUT /whep/ID/files/N/BYTE`: the next piece, which begins there.
pub(super) async fn piece(
    State(state): State<Weak<ServerState>>,
    Path((id, number, at)): Path<(String, u64, u64)>,
    body: Body,
) -> Result<Response, Refused> {
    let state = of(&state)?;
    may_exchange(&state, &id, Right::Files)?;
    let gone =
        || Refused::new(StatusCode::NOT_FOUND, "no_file", "there is no such file (any more): send it anew");
    let taken = with(&state, &id, |transfer| match transfer.work.take() {
        Some((now, Work::Incoming(incoming))) if now == number => {
            transfer.set(number, Work::Writing);
            Ok(incoming)
        }
        Some((now, Work::Writing)) if now == number => {
            transfer.work = Some((now, Work::Writing));
            Err(Refused::busy())
        }
        other => {
            transfer.work = other;
            Err(gone())
        }
    })?;
    let mut back = Back { state: &state, id: &id, number, incoming: Some(taken?) };
    let incoming = back.incoming.as_mut().expect("taken by `drop` alone");
    let written = write(&state, incoming, at, body).await;
    let (have, whole) = (incoming.have, incoming.have == incoming.size);
    drop(back);
    // It may have been given up meanwhile, or its viewer be gone.
    with(&state, &id, |_| ())?;
    written?;
    if whole {
        given_when_whole(&state, &id, number)?;
    }
    Ok(Json(serde_json::json!({ "have": have })).into_response())
}

/// Puts a file back of which a piece was being written: also where the request ended before its piece was whole, as on a path that
/// breaks off, so that the viewer can go on from there.
struct Back<'a> {
    state: &'a ServerState,
    id: &'a str,
    number: u64,
    incoming: Option<Incoming>,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take() else { return };
        let _ = with(self.state, self.id, |transfer| {
            // It may have been given up meanwhile.
            if transfer.is(self.number) {
                transfer.set(self.number, Work::Incoming(incoming));
            }
        });
    }
}

async fn write(
    state: &Arc<ServerState>,
    incoming: &mut Incoming,
    at: u64,
    body: Body,
) -> Result<(), Refused> {
    if at != incoming.have {
        let words = format!("the next piece begins at byte {}", incoming.have);
        return Err(Refused::new(StatusCode::CONFLICT, "wrong_piece", words));
    }
    let bytes = super::whole(body, PIECE).await?;
    let end = at + bytes.len() as u64;
    if end > incoming.size {
        return Err(Refused::new(
            StatusCode::BAD_REQUEST,
            "wrong_piece",
            "the file is longer than was announced",
        ));
    }
    let (files, file) = (files(state)?, incoming.file.clone());
    blocking(move || {
        files.has_room(bytes.len() as u64)?;
        let failed = |error: std::io::Error| GuestError {
            code: "spool_failed".into(),
            words: format!("the file cannot be kept on the host: {error}"),
        };
        file.write_all_at(&bytes, at).map_err(failed)
    })
    .await?;
    incoming.have = end;
    Ok(())
}

/// A file that is whole goes to the guest.
fn given_when_whole(state: &Arc<ServerState>, id: &str, number: u64) -> Result<(), Refused> {
    let files = files(state)?;
    with(state, id, |transfer| {
        let work = transfer.work.take();
        let Some((now, Work::Incoming(incoming))) = work else {
            transfer.work = work;
            return;
        };
        let Incoming { name, size, file, .. } = incoming;
        let news = transfer.news.clone();
        let progress = told(&news, number, Step::Giving, size);
        let (weak, viewer) = (Arc::downgrade(state), id.to_owned());
        let task = tokio::spawn(async move {
            let (sender, seen) = watch::channel(0);
            let giving = async {
                let file = Arc::try_unwrap(file).or_else(|file| file.try_clone());
                let lost = |error: std::io::Error| GuestError {
                    code: "spool_failed".into(),
                    words: error.to_string(),
                };
                files.give(file.map_err(lost)?, size, name, sender).await
            };
            let given = with_progress(giving, seen, progress).await;
            let (state, at) = match &given {
                Ok(Given::Downloads) => (Step::Done, String::new()),
                Ok(Given::Path(path)) => (Step::Done, path.clone()),
                Err(_) => (Step::Failed, String::new()),
            };
            tell(&news, number, state, size, at, given.err());
            finished(&weak, &viewer, number);
        });
        transfer.set(now, Work::Moving(task.abort_handle()));
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pull {
    path: String,
}

/// `POST /whep/ID/pulls`: a file of the guest's is wanted.
pub(super) async fn pull(
    State(state): State<Weak<ServerState>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    let state = of(&state)?;
    may_exchange(&state, &id, Right::Files)?;
    let Pull { path } = read(&super::whole(body, ANNOUNCEMENT).await?)?;
    let files = files(&state)?;
    let key = web::random_text(16).map_err(|error| {
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "no_random_numbers", error.to_string())
    })?;
    let weak = Arc::downgrade(&state);
    let viewer = id.clone();
    let number = with(&state, &id, |transfer| {
        let news = transfer.news.clone();
        transfer.begin(|number| {
            let progress = told(&news, number, Step::Taking, 0);
            let task = tokio::spawn(async move {
                let (sender, seen) = watch::channel(0);
                let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
                match with_progress(files.take(path, sender), seen, progress).await {
                    Ok((file, size)) => {
                        let Some(state) = weak.upgrade() else { return };
                        let at = format!("/file/{key}");
                        let kept = with(&state, &viewer, |transfer| {
                            let is = transfer.is(number);
                            if is {
                                transfer.set(number, Work::Ready { key, file, size, name });
                            }
                            is
                        });
                        if kept.is_ok_and(|kept| kept) {
                            watch_over(&state, &viewer, number);
                            tell(&news, number, Step::Ready, size, at, None);
                        }
                    }
                    Err(error) => {
                        tell(&news, number, Step::Failed, 0, String::new(), Some(error));
                        finished(&weak, &viewer, number);
                    }
                }
            });
            Work::Moving(task.abort_handle())
        })
    })??;
    Ok((StatusCode::ACCEPTED, Json(serde_json::json!({ "id": number }))).into_response())
}

/// `DELETE /whep/ID/files/N`: it is not wanted any more.
pub(super) async fn give_up(
    State(state): State<Weak<ServerState>>,
    Path((id, number)): Path<(String, u64)>,
) -> Result<Response, Refused> {
    let state = of(&state)?;
    with(&state, &id, |transfer| transfer.end(number))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /file/KEY`: a file of the guest's, once. The browser stores it by itself, so there is no header that says who asks: the
/// key does.
pub(super) async fn load(
    State(state): State<Weak<ServerState>>,
    Path(wanted): Path<String>,
) -> Result<Response, Refused> {
    let state = of(&state)?;
    let found = state.viewers.find(|viewer| {
        let transfer = &mut viewer.transfer;
        match transfer.work.take() {
            Some((_, Work::Ready { key, file, size, name })) if web::is_equal(&key, &wanted) => {
                Some((file, size, name))
            }
            other => {
                transfer.work = other;
                None
            }
        }
    });
    let (file, size, name) = found
        .ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "no_file", "there is no such file (any more)"))?;
    let file = Arc::new(file);
    let stream = futures_util::stream::try_unfold((file, 0_u64), move |(file, at)| async move {
        let length = usize::try_from((size - at).min(READ as u64)).unwrap_or(READ);
        if length == 0 {
            return Ok::<_, std::io::Error>(None);
        }
        let reading = file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; length];
            reading.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
        });
        let piece = read.await.map_err(std::io::Error::other)??;
        let end = at + piece.len() as u64;
        Ok(Some((piece, (file, end))))
    });
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, size.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", encoded(&name))),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// A name as RFC 8187 has it.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn tell(
    news: &watch::Sender<Option<FileNews>>,
    id: u64,
    state: Step,
    size: u64,
    at: String,
    error: Option<GuestError>,
) {
    let done = if state == Step::Failed { 0 } else { size };
    let (code, text) = error.map(|error| (error.code.into_owned(), error.words)).unwrap_or_default();
    news.send_replace(Some(FileNews { id, state, done, size, at, code, text }));
}

/// Tells how far a file is.
fn told(
    news: &watch::Sender<Option<FileNews>>,
    id: u64,
    state: Step,
    size: u64,
) -> impl Fn(u64) + Send + Sync + 'static {
    let news = news.clone();
    let say = move |done: u64| {
        let (at, code, text) = Default::default();
        news.send_replace(Some(FileNews { id, state, done, size, at, code, text }));
    };
    say(0);
    say
}

async fn with_progress<T>(
    work: impl Future<Output = Result<T, GuestError>>,
    mut seen: watch::Receiver<u64>,
    tell: impl Fn(u64),
) -> Result<T, GuestError> {
    /// How often it is told at most.
    const PACE: Duration = Duration::from_millis(200);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Ok(()) = seen.changed() => tell(*seen.borrow_and_update()),
        }
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PACE) => {}
        }
    }
}

fn finished(state: &Weak<ServerState>, id: &str, number: u64) {
    if let Some(state) = state.upgrade() {
        let _ = with(&state, id, |transfer| {
            if transfer.is(number) {
                transfer.work = None;
            }
        });
    }
}

/// Gives a file up of which nothing comes any more, or that nobody loads.
fn watch_over(state: &Arc<ServerState>, id: &str, number: u64) {
    let (state, id) = (Arc::downgrade(state), id.to_owned());
    tokio::spawn(async move {
        let mut at = Instant::now() + IDLE;
        loop {
            tokio::time::sleep_until(at).await;
            let Some(state) = state.upgrade() else { return };
            let next = with(&state, &id, |transfer| match &transfer.work {
                Some((now, Work::Incoming(_) | Work::Writing | Work::Ready { .. })) if *now == number => {
                    let end = transfer.since + IDLE;
                    if end <= Instant::now() {
                        transfer.work = None;
                    }
                    Some(end)
                }
                _ => None,
            });
            match next {
                Ok(Some(end)) if end > Instant::now() => at = end,
                _ => return,
            }
        }
    });
}
