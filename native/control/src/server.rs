//! The answering side: who is served, what is answered while the machine is being started, and what goes on a line.

use crate::address::{Address, Opened};
use crate::console::{self, Console};
use crate::places::{LONG, NoPlace, Place, Places};
use crate::socket::{BindError, bind};
use crate::sound::{self, SoundStream};
use crate::wire::{self, ClientLine, MAX_REQUEST, ParseError, ServerLine};
use crate::{Reply, Reporter, Request, Status};
use async_trait::async_trait;
use sampan_message::{Coded, Message};
use std::io::{Error, ErrorKind, Result as IoResult};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval_at, sleep, timeout};

/// How long a client may take for its first request, and for each further one.
const FIRST: Duration = Duration::from_secs(30);
const NEXT: Duration = Duration::from_secs(300);

/// How long it may take to read an answer.
pub(crate) const READING: Duration = Duration::from_secs(30);

/// How often a client that waits for its answer hears that it is being worked on.
pub(crate) const BEAT: Duration = Duration::from_secs(2);

/// How often it hears at most how far the work is.
const PROGRESS: Duration = Duration::from_millis(100);

/// A running machine, as the server and a caller in the same process ask it.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Carries out a request other than [`Request::Console`], [`Request::SoundStream`] and [`Request::Watch`].
    async fn call(&self, request: Request, reporter: &Reporter) -> Result<Reply, Message>;

    /// The machine's condition now.
    fn status(&self) -> Status;

    /// Changes whenever the condition may have changed; closed once the machine has ended.
    fn changes(&self) -> watch::Receiver<()>;

    /// The machine's serial port.
    fn console(&self) -> Arc<dyn Console>;

    /// The machine's sound for one client, who hears it if `play` and is heard if `record`.
    ///
    /// # Errors
    /// It has none.
    fn sound(&self, _play: bool, _record: bool) -> Result<SoundStream, Message> {
        Err(no_sound())
    }
}

struct Shared {
    name: String,
    /// The machine, once it has been started.
    handler: OnceLock<Arc<dyn Handler>>,
    /// Tells of it those who wait for it.
    started: watch::Sender<()>,
    /// Somebody ended it before.
    quit: Notify,
}

impl Shared {
    /// The condition of a machine that is being started.
    fn starting(&self) -> Status {
        Status::starting(self.name.clone())
    }
}

/// A control socket that is being served.
pub struct Server {
    task: JoinHandle<()>,
    socket: Opened,
    shared: Arc<Shared>,
}

impl Server {
    /// Serves the machine called `name` at an address, whose socket is removed at the end. Until [`Server::ready`] the
    /// machine is one that is being started. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn start(address: &Address, name: String) -> Result<Self, BindError> {
        let socket =
            address.open().map_err(|source| BindError::Io { path: address.path().into(), source })?;
        let listener = bind(&socket.path)?;
        let shared = Arc::new(Shared {
            name,
            handler: OnceLock::new(),
            started: watch::Sender::new(()),
            quit: Notify::new(),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            match UnixListener::from_std(listener) {
                Ok(listener) => accept(listener, serving).await,
                Err(error) => log::error!("the control socket cannot be served: {error}"),
            }
        });
        Ok(Self { task, socket, shared })
    }

    /// The machine has been started. Has an effect once.
    pub fn ready(&self, handler: Arc<dyn Handler>) {
        let _ = self.shared.handler.set(handler);
        self.shared.started.send_replace(());
    }

    /// Returns when a client ends the machine before it has been started.
    pub async fn told_to_quit(&self) {
        self.shared.quit.notified().await;
    }

    /// Stops serving and removes the socket. Clients that wait get their answer within a moment or not at all.
    pub async fn stop(self) {
        // The answer to `quit` is due when the machine has ended, which is now.
        sleep(Duration::from_millis(50)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.socket.path);
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let places = Arc::new(Places::default());
    // They end with this task.
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let place = places.enter().await;
                let shared = Arc::clone(&shared);
                clients.spawn(async move {
                    if let Err(error) = Connection::new(stream, &shared, &place).serve().await {
                        log::debug!("a control client: {error}");
                    }
                });
            }
            Err(error) => {
                log::warn!("a control client could not be accepted: {error}");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// What became of reading a line.
enum Read {
    /// A line, or what there was of one when the client closed its side.
    Line { whole: bool },
    /// Nothing more comes.
    End,
}

struct Connection<'a> {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// The line that is being read.
    line: Vec<u8>,
    shared: &'a Shared,
    place: &'a Place,
}

impl<'a> Connection<'a> {
    fn new(stream: UnixStream, shared: &'a Shared, place: &'a Place) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer, line: Vec::new(), shared, place }
    }

    async fn serve(mut self) -> IoResult<()> {
        let mut patience = FIRST;
        loop {
            let read = tokio::select! {
                read = read_line(&mut self.reader, &mut self.line) => Ok(read?),
                () = sleep(patience) => Err(idle_too_long(patience)),
                () = self.place.given_away() => Err(place_given_away()),
            };
            match read {
                Ok(Read::End) => return Ok(()),
                Ok(Read::Line { whole }) => {
                    if !self.answer(whole).await? {
                        return Ok(());
                    }
                }
                Err(message) => {
                    // A client that does not read it need not.
                    let _ = self.writer.try_write(&ServerLine::Error(message).to_line());
                    return Ok(());
                }
            }
            patience = NEXT;
        }
    }

    /// Answers the line that was read. False if nothing may follow.
    async fn answer(&mut self, whole: bool) -> IoResult<bool> {
        let line = std::mem::take(&mut self.line);
        let parsed = match wire::parse_request(&line) {
            _ if line.len() > MAX_REQUEST => {
                Err(ParseError::Invalid(format!("it has more than {MAX_REQUEST} bytes")))
            }
            parsed => parsed,
        };
        let request = match parsed {
            Ok(request) => request,
            Err(ParseError::Version(1)) => {
                let text = ParseError::Version(1).to_string();
                self.write(&ServerLine::first_version_error(&text)).await?;
                return Ok(whole);
            }
            Err(error) => {
                self.write(&ServerLine::Error(error.message()).to_line()).await?;
                return Ok(whole);
            }
        };
        let begun = self.place.begin(request.takes_long());
        let answer = match (begun, self.shared.handler.get().cloned()) {
            (Err(NoPlace::TooMany), _) => ServerLine::Error(too_many()),
            (Err(NoPlace::GivenAway), _) => ServerLine::Error(place_given_away()),
            (Ok(()), _) if request == Request::Watch => return self.watch().await.map(|()| false),
            (Ok(()), None) => self.while_starting(&request).await,
            (Ok(()), Some(handler)) => match request {
                Request::Console if whole => {
                    self.write(&ServerLine::Ok(Reply::Done).to_line()).await?;
                    let console = handler.console();
                    // The connection is the serial port's from here on; what was read of it already is in the reader.
                    return self.become_console(&*console).await.map(|()| false);
                }
                Request::Console | Request::SoundStream { .. } if !whole => {
                    ServerLine::Error(half_a_console())
                }
                Request::SoundStream { play, record } => match handler.sound(play, record) {
                    Ok(stream) => {
                        self.write(&ServerLine::Ok(Reply::Done).to_line()).await?;
                        return sound::bridge(&mut self.reader, &mut self.writer, stream)
                            .await
                            .map(|()| false);
                    }
                    Err(message) => ServerLine::Error(message),
                },
                request => match self.work(&*handler, request).await? {
                    Some(answer) => answer,
                    None => return Ok(false),
                },
            },
        };
        self.write(&answer.to_line()).await?;
        self.place.rest();
        Ok(whole)
    }

    async fn write(&mut self, line: &[u8]) -> IoResult<()> {
        let written = timeout(READING, self.writer.write_all(line)).await;
        written.map_err(|_| Error::from(ErrorKind::TimedOut))?
    }

    /// Carries a request out. The client hears all the while that it is being worked on, and may cancel it. `None` where
    /// it has gone and the request ends with it.
    async fn work(&mut self, handler: &dyn Handler, request: Request) -> IoResult<Option<ServerLine>> {
        let ends = request.ends_with_its_client();
        let reporter = Reporter::new();
        let mut progress = reporter.watch();
        let mut answer = handler.call(request, &reporter);
        let mut beat = interval_at(Instant::now() + BEAT, BEAT);
        let mut told = Instant::now();
        let mut listens = true;
        loop {
            tokio::select! {
                answered = &mut answer => {
                    return Ok(Some(match answered {
                        Ok(reply) => ServerLine::Ok(reply),
                        Err(message) => ServerLine::Error(message),
                    }));
                }
                _ = beat.tick() => match self.writer.try_write(b" ") {
                    // A client that does not read is there nevertheless.
                    Err(error) if ends && error.kind() != ErrorKind::WouldBlock => return Ok(None),
                    _ => {}
                },
                _ = progress.changed(), if told.elapsed() >= PROGRESS => {
                    let news = progress.borrow_and_update().clone();
                    if let Some(news) = news {
                        self.tell(&ServerLine::Progress(news)).await?;
                    }
                    told = Instant::now();
                }
                () = sleep(PROGRESS), if told.elapsed() < PROGRESS => {}
                read = read_line(&mut self.reader, &mut self.line), if listens => {
                    let cancel = matches!(read, Ok(Read::Line { whole: true }))
                        && wire::parse(&self.line) == Ok(ClientLine::Cancel);
                    if cancel {
                        self.line.clear();
                        reporter.cancel();
                    } else {
                        // The end of its requests, or the next one, which has to wait.
                        listens = false;
                    }
                }
            }
        }
    }

    /// Writes a line that may be left out: one that a client does not take at once.
    async fn tell(&mut self, line: &ServerLine) -> IoResult<()> {
        let line = line.to_line();
        match self.writer.try_write(&line) {
            // The rest of a line must follow.
            Ok(written) if written < line.len() => self.write(line.get(written..).unwrap_or_default()).await,
            _ => Ok(()),
        }
    }

    /// Tells the machine's condition until the client goes or the machine ends, also while it is being started.
    async fn watch(&mut self) -> IoResult<()> {
        // Between changes it asks nothing: it gives way to others as any idle client does, and may connect again.
        self.place.rest();
        let mut started = self.shared.started.subscribe();
        if self.shared.handler.get().is_none() {
            self.write(&ServerLine::Status(Box::new(self.shared.starting())).to_line()).await?;
        }
        let handler = loop {
            started.borrow_and_update();
            match self.shared.handler.get().cloned() {
                Some(handler) => break handler,
                None if self.idle(&mut started).await? => {}
                None => return Ok(()),
            }
        };
        let mut changes = handler.changes();
        let mut last = None;
        loop {
            changes.borrow_and_update();
            let status = handler.status();
            if last.as_ref() != Some(&status) {
                self.write(&ServerLine::Status(Box::new(status.clone())).to_line()).await?;
                last = Some(status);
            }
            // A machine that changes all the time is told of no more often than progress is.
            sleep(PROGRESS).await;
            if !self.idle(&mut changes).await? {
                return Ok(());
            }
        }
    }

    /// Waits for a change, and lets the client hear meanwhile that it is served. False where there is none any more, or
    /// the client has gone.
    async fn idle(&mut self, changes: &mut watch::Receiver<()>) -> IoResult<bool> {
        let mut beat = interval_at(Instant::now() + BEAT, BEAT);
        let mut ignored = [0; 64];
        loop {
            tokio::select! {
                changed = changes.changed() => return Ok(changed.is_ok()),
                () = self.place.given_away() => {
                    self.write(&ServerLine::Error(place_given_away()).to_line()).await?;
                    return Ok(false);
                }
                _ = beat.tick() => self.write(b" ").await?,
                // It says nothing; this notices that it has gone.
                read = self.reader.read(&mut ignored) => if read? == 0 {
                    return Ok(false);
                },
            }
        }
    }

    async fn become_console(&mut self, console: &dyn Console) -> IoResult<()> {
        console::bridge(&mut self.reader, &mut self.writer, console).await
    }

    /// What is answered while the machine is being started.
    async fn while_starting(&self, request: &Request) -> ServerLine {
        let name = &self.shared.name;
        match request {
            Request::Status => ServerLine::Ok(Reply::Status(Box::new(self.shared.starting()))),
            Request::Quit => {
                self.shared.quit.notify_one();
                // The end of this process ends the connection.
                std::future::pending().await
            }
            _ => ServerLine::Error(starting(name)),
        }
    }
}

/// Reads a line, or goes on with one that was begun: what was read stays in `line` if this future is dropped.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>, line: &mut Vec<u8>) -> IoResult<Read> {
    let room = (MAX_REQUEST + 1).saturating_sub(line.len()) as u64;
    reader.take(room).read_until(b'\n', line).await?;
    Ok(match line.last() {
        None => Read::End,
        last => Read::Line { whole: last == Some(&b'\n') },
    })
}

fn idle_too_long(patience: Duration) -> Message {
    let seconds = patience.as_secs();
    let text = format!("nothing was asked for {seconds} s: connect again");
    Message::new("idle_too_long", text).with("seconds", seconds)
}

fn half_a_console() -> Message {
    Message::new("invalid_request", "a console takes both directions of its connection")
}

fn starting(name: &str) -> Message {
    let text = format!("{name} is being started: try again in a moment");
    Message::new("starting", text).with("name", name)
}

fn no_sound() -> Message {
    Message::new(
        "no_sound",
        "the machine has no sound card: stop it, and give it one (sound.device=hda) first",
    )
}

/// One of each of these.
pub(crate) fn samples() -> Vec<Message> {
    vec![
        idle_too_long(FIRST),
        half_a_console(),
        starting("debian"),
        no_sound(),
        place_given_away(),
        too_many(),
    ]
}

fn place_given_away() -> Message {
    Message::new("place_given_away", "too many others want to ask something: connect again")
}

fn too_many() -> Message {
    let text = format!(
        "{LONG} consoles and requests that take long are under way: end one of them, or try again later"
    );
    Message::new("too_many_requests", text).with("most", LONG)
}
