//! The connection: one task reads, callers write in turn.

use crate::shape::{self, Shape};
use crate::{Event, QmpError, wire};
use nix::sys::socket::{Shutdown, shutdown};
use qapi_qmp as types;
use qapi_spec::{Command, Execute};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{broadcast, oneshot, watch};

/// How long a command may take unless its caller says otherwise. QEMU answers all that we use at once; only a main loop
/// that is blocked (a listener's slow authentication, a slow disk) makes it late.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the greeting and the first answer may take: QEMU loads firmware, kernel and devices before.
const GREETING_TIMEOUT: Duration = Duration::from_secs(60);

/// Events that a slow receiver may lag behind by: they are rare (tens a minute), and a receiver that lags is told so.
const EVENTS: usize = 256;

/// Why a line is not read to its end.
const TOO_LONG: &str = "a line that is longer than any answer";

/// A connection to one QEMU's monitor. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Qmp {
    shared: Arc<Shared>,
}

struct Shared {
    stream: Arc<UnixStream>,
    /// Held while a line is written, so that lines do not mix.
    writing: tokio::sync::Mutex<()>,
    waiting: Arc<Waiting>,
    events: broadcast::Sender<Event>,
    closed: watch::Receiver<bool>,
    version: String,
    /// Milliseconds.
    timeout: AtomicU64,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reader.abort();
        // The aborted task lets go of the socket only when the runtime gets to it; the peer shall see the end now.
        // An error means that the peer was faster.
        let _ = shutdown(self.stream.as_raw_fd(), Shutdown::Both);
    }
}

/// Commands that wait for their answer, by id, or why there will be none.
struct Waiting(Mutex<Result<Pending, End>>);

/// Why a connection has ended.
#[derive(Clone, Copy)]
enum End {
    /// The peer is gone.
    Gone,
    /// It was too much.
    Flooded(&'static str),
}

impl From<End> for QmpError {
    fn from(end: End) -> Self {
        match end {
            End::Gone => Self::Closed,
            End::Flooded(what) => Self::Flooded { what },
        }
    }
}

struct Pending {
    next: u64,
    answers: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Result<Pending, End>> {
        // Nothing panics while holding it; and what it guards is whole after each statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Result<(u64, oneshot::Receiver<Result<Value, String>>), End> {
        let mut guard = self.lock();
        let pending = guard.as_mut().map_err(|end| *end)?;
        let id = pending.next;
        pending.next += 1;
        let (sender, receiver) = oneshot::channel();
        pending.answers.insert(id, sender);
        Ok((id, receiver))
    }

    /// Why a command that was entered has got no answer.
    fn end(&self) -> End {
        self.lock().as_ref().err().copied().unwrap_or(End::Gone)
    }

    fn leave(&self, id: u64) -> Option<oneshot::Sender<Result<Value, String>>> {
        self.lock().as_mut().ok()?.answers.remove(&id)
    }
}

/// Forgets a command whose caller gave up, so that a caller who always gives up cannot make the table grow.
struct Entered<'a>(&'a Waiting, u64);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

#[derive(Deserialize)]
struct Greeting {
    #[serde(rename = "QMP")]
    qmp: GreetingBody,
}

#[derive(Deserialize)]
struct GreetingBody {
    version: Value,
}

/// Anything that QEMU sends after its greeting.
enum Message {
    Event(Event),
    Answer { id: Option<u64>, answer: Result<Value, String> },
}

/// Why a line is no message.
enum Unfit {
    /// No program of QEMU's says so much.
    TooMuch(&'static str),
    /// It is something else.
    Unknown(String),
}

impl Message {
    /// Reads a line, whose values are counted before any is made.
    fn read(line: &[u8]) -> Result<Self, Unfit> {
        let unknown = |e: serde_json::Error| Unfit::Unknown(e.to_string());
        let shape = Shape::of(line);
        if !shape.fits(shape::ANSWER) {
            return Err(Unfit::TooMuch("an answer with more values than any has"));
        }
        let mut value: Value = serde_json::from_slice(line).map_err(unknown)?;
        if value.get("event").is_some() {
            if line.len() > wire::MAX_EVENT || !shape.fits(shape::EVENT) {
                return Err(Unfit::TooMuch("an event that is larger than any"));
            }
            return serde_json::from_value(value).map(Self::Event).map_err(unknown);
        }
        let id = value["id"].as_u64();
        let answer = match (value.get_mut("return").map(Value::take), value["error"]["desc"].as_str()) {
            (Some(value), _) => Ok(value),
            (None, Some(words)) => Err(words.to_owned()),
            (None, None) => return Err(Unfit::Unknown("neither an event nor an answer".into())),
        };
        Ok(Self::Answer { id, answer })
    }
}

impl Qmp {
    /// Takes QEMU's greeting and leaves capabilities negotiation.
    ///
    /// # Errors
    /// [`QmpError::Closed`] where QEMU ended before it greeted (its own words are on the `log` fd),
    /// [`QmpError::Timeout`], [`QmpError::Flooded`], [`QmpError::Malformed`].
    pub async fn connect(stream: std::os::unix::net::UnixStream) -> Result<Qmp, QmpError> {
        stream.set_nonblocking(true)?;
        let stream = Arc::new(UnixStream::from_std(stream)?);
        let mut lines = wire::Lines::default();
        let greeting = tokio::time::timeout(GREETING_TIMEOUT, greeting(&stream, &mut lines))
            .await
            .map_err(|_| QmpError::Timeout { command: "the greeting", timeout: GREETING_TIMEOUT })??;
        let waiting = Arc::new(Waiting(Mutex::new(Ok(Pending { next: 1, answers: HashMap::new() }))));
        let (events, _) = broadcast::channel(EVENTS);
        let (closed_tx, closed) = watch::channel(false);
        let reader =
            tokio::spawn(read(Arc::clone(&stream), lines, Arc::clone(&waiting), events.clone(), closed_tx));
        let version = version(&greeting.qmp.version);
        let shared = Shared {
            stream,
            writing: tokio::sync::Mutex::new(()),
            waiting,
            events,
            closed,
            version,
            timeout: AtomicU64::new(DEFAULT_TIMEOUT.as_millis() as u64),
            reader,
        };
        let qmp = Qmp { shared: Arc::new(shared) };
        // QEMU greets before it makes its devices, and hears commands only after.
        qmp.execute_within(types::qmp_capabilities { enable: None }, GREETING_TIMEOUT).await?;
        Ok(qmp)
    }

    /// QEMU's version, as `10.0.13`.
    pub fn version(&self) -> &str {
        &self.shared.version
    }

    /// Sets how long a command may take from now on unless its caller says otherwise. Until it is called that is
    /// [`DEFAULT_TIMEOUT`].
    pub fn set_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.shared.timeout.store(millis, Ordering::Relaxed);
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.shared.timeout.load(Ordering::Relaxed))
    }

    /// Executes a command within [`DEFAULT_TIMEOUT`], or what [`Qmp::set_timeout`] was told.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Ok, QmpError> {
        self.execute_within(command, self.timeout()).await
    }

    /// Executes a command with a deadline of its own.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn execute_within<C: Command>(&self, command: C, timeout: Duration) -> Result<C::Ok, QmpError> {
        self.run(command, None, timeout).await
    }

    /// Executes a command whose arguments are given as JSON: for block nodes, jobs and migration, whose types would
    /// say no more than the JSON does.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn execute_json(&self, command: &'static str, arguments: Value) -> Result<Value, QmpError> {
        let line = |id| serde_json::json!({ "execute": command, "arguments": arguments, "id": id });
        let timeout = self.timeout();
        let answer = tokio::time::timeout(timeout, self.exchange(line, None)).await;
        answer
            .map_err(|_| QmpError::Timeout { command, timeout })??
            .map_err(|message| QmpError::Refused { command, message })
    }

    /// Gives QEMU an open file as a set of its own (`add-fd`): `/dev/fdset/N` names it where a file's name is wanted,
    /// also where QEMU may open no files itself. Forgotten by `remove-fd`, or when its last user closes it.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn add_fd(&self, file: impl AsFd) -> Result<String, QmpError> {
        let command = types::add_fd { fdset_id: None, opaque: None };
        let added = self.run(command, Some(file.as_fd()), self.timeout()).await?;
        Ok(format!("/dev/fdset/{}", added.fdset_id))
    }

    /// Adds a descriptor of the same file to a set of [`Qmp::add_fd`], and says which number it has in QEMU: when QEMU opens the
    /// set's name it takes one whose access mode fits (`monitor_fdset_dup_fd_add` in `monitor/fds.c`), so an image wants one for
    /// reading and one for both.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn add_fd_to(&self, set: &str, file: impl AsFd) -> Result<i64, QmpError> {
        let command = types::add_fd { fdset_id: number_of(set), opaque: None };
        Ok(self.run(command, Some(file.as_fd()), self.timeout()).await?.fd)
    }

    /// Lets QEMU close one descriptor of a set. What it has opened by the set's name stays open.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn remove_fd(&self, set: &str, fd: i64) -> Result<(), QmpError> {
        let Some(number) = number_of(set) else { return Ok(()) };
        self.execute(types::remove_fd { fdset_id: number, fd: Some(fd) }).await?;
        Ok(())
    }

    /// Lets QEMU close a set of [`Qmp::add_fd`], or forget it once its last user has closed it.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn remove_fds(&self, set: &str) -> Result<(), QmpError> {
        let Some(number) = number_of(set) else { return Ok(()) };
        self.execute(types::remove_fd { fdset_id: number, fd: None }).await?;
        Ok(())
    }

    /// Gives QEMU a file descriptor under a name, for commands that take one (`add_client`, `netdev_add`).
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn send_fd(&self, name: &str, fd: impl AsFd) -> Result<(), QmpError> {
        self.run(types::getfd { fdname: name.to_owned() }, Some(fd.as_fd()), self.timeout()).await?;
        Ok(())
    }

    /// Gives QEMU's D-Bus display one end of a socket pair: the peer of `ours` becomes its client
    /// (`ui/dbus.c`, protocol `@dbus-display`).
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn add_display_client(&self, theirs: impl AsFd) -> Result<(), QmpError> {
        self.send_fd("sampan-display", theirs).await?;
        self.execute(types::add_client {
            protocol: "@dbus-display".to_owned(),
            fdname: "sampan-display".to_owned(),
            skipauth: None,
            tls: None,
        })
        .await?;
        Ok(())
    }

    /// Events from now on. A receiver that falls behind by more than 256 events is told how many it missed.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Resolves when the peer is gone.
    pub async fn closed(&self) {
        let mut closed = self.shared.closed.clone();
        // An error means that the reader, which holds the sender, has ended: closed all the same.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    async fn run<C: Command>(
        &self,
        command: C,
        fd: Option<BorrowedFd<'_>>,
        timeout: Duration,
    ) -> Result<C::Ok, QmpError> {
        let line = |id| Execute::new(&command, Some(id));
        let answer = tokio::time::timeout(timeout, self.exchange(line, fd))
            .await
            .map_err(|_| QmpError::Timeout { command: C::NAME, timeout })??;
        let value = answer.map_err(|message| QmpError::Refused { command: C::NAME, message })?;
        serde_json::from_value(value)
            .map_err(|e| QmpError::Malformed { command: C::NAME, message: e.to_string() })
    }

    /// Sends the line made for an id and waits for the answer of that id.
    async fn exchange<L: Serialize>(
        &self,
        line: impl FnOnce(u64) -> L,
        fd: Option<BorrowedFd<'_>>,
    ) -> Result<Result<Value, String>, QmpError> {
        let shared = &self.shared;
        let (id, answer) = shared.waiting.enter()?;
        let _entered = Entered(&shared.waiting, id);
        let mut line = serde_json::to_vec(&line(id)).map_err(io::Error::from)?;
        line.push(b'\n');
        {
            // A caller who gives up in the middle of a line would break the stream for all, so the line is
            // written by a task of its own where it does not fit at once. Lines are short and QEMU reads
            // promptly, hence this is the rare case; see `write`.
            let _turn = shared.writing.lock().await;
            self.write(line, fd).await?;
        }
        answer.await.map_err(|_| shared.waiting.end().into())
    }

    async fn write(&self, line: Vec<u8>, fd: Option<BorrowedFd<'_>>) -> Result<(), QmpError> {
        let fd = fd.map(|fd| fd.try_clone_to_owned()).transpose()?;
        let stream = Arc::clone(&self.shared.stream);
        let writer =
            tokio::spawn(async move { wire::write_line(&stream, &line, fd.as_ref().map(AsFd::as_fd)).await });
        match writer.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) if e.kind() == io::ErrorKind::BrokenPipe => Err(self.shared.waiting.end().into()),
            Ok(Err(e)) => Err(e.into()),
            Err(_) => Err(QmpError::Closed),
        }
    }
}

async fn greeting(stream: &UnixStream, lines: &mut wire::Lines) -> Result<Greeting, QmpError> {
    loop {
        if let Some(line) = lines.next() {
            if !Shape::of(&line).fits(shape::EVENT) {
                return Err(QmpError::Flooded { what: "a greeting with more values than any has" });
            }
            return serde_json::from_slice(&line)
                .map_err(|e| QmpError::Malformed { command: "the greeting", message: e.to_string() });
        }
        if lines.overflows() {
            return Err(QmpError::Flooded { what: TOO_LONG });
        }
        match lines.fill(stream).await {
            Ok(true) => {}
            Ok(false) => return Err(QmpError::Closed),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Err(QmpError::Closed),
            Err(e) => return Err(e.into()),
        }
    }
}

async fn read(
    stream: Arc<UnixStream>,
    mut lines: wire::Lines,
    waiting: Arc<Waiting>,
    events: broadcast::Sender<Event>,
    closed: watch::Sender<bool>,
) {
    let end = read_to_end(&stream, &mut lines, &waiting, &events).await;
    if let End::Flooded(what) = end {
        log::error!("QEMU sent {what}: the connection to its monitor is ended");
        // It may never end by itself. An error means that it was faster.
        let _ = shutdown(stream.as_raw_fd(), Shutdown::Both);
    }
    // Dropping the senders ends every waiting command.
    *waiting.lock() = Err(end);
    closed.send_replace(true);
}

async fn read_to_end(
    stream: &UnixStream,
    lines: &mut wire::Lines,
    waiting: &Waiting,
    events: &broadcast::Sender<Event>,
) -> End {
    let mut warned = false;
    loop {
        while let Some(line) = lines.next() {
            match Message::read(&line) {
                // No receiver is no fault.
                Ok(Message::Event(event)) => drop(events.send(event)),
                Ok(Message::Answer { id, answer: value }) => answer(waiting, id, value),
                Err(Unfit::TooMuch(what)) => return End::Flooded(what),
                Err(Unfit::Unknown(e)) if !warned => {
                    warned = true;
                    log::warn!("a line from QEMU's monitor is not understood and ignored: {e}");
                }
                Err(Unfit::Unknown(_)) => {}
            }
        }
        if lines.overflows() {
            return End::Flooded(TOO_LONG);
        }
        match lines.fill(stream).await {
            Ok(true) => {}
            Ok(false) => return End::Gone,
            Err(e) => {
                log::debug!("QEMU's monitor: {e}");
                return End::Gone;
            }
        }
    }
}

fn answer(waiting: &Waiting, id: Option<u64>, answer: Result<Value, String>) {
    match id.and_then(|id| waiting.leave(id)) {
        Some(sender) => drop(sender.send(answer)),
        None => log::debug!("QEMU answered a command whose caller has given up"),
    }
}

fn version(version: &Value) -> String {
    let part = |name: &str| version["qemu"][name].as_u64().unwrap_or_default();
    format!("{}.{}.{}", part("major"), part("minor"), part("micro"))
}

/// The number in the name of a set of descriptors.
fn number_of(set: &str) -> Option<i64> {
    set.rsplit('/').next().and_then(|number| number.parse().ok())
}
