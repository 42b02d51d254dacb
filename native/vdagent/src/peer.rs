//! The protocol on a socket: a task that never waits for the guest.

use crate::content::{Content, Kind};
use crate::core::{Core, Event, Offer, Selection, State};
use crate::files::{FileError, MAX_PIECE};
use crate::monitors::Monitor;
use crate::{ClipboardError, Policy};
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep_until, timeout};

/// Read at once, in bytes.
const READ: usize = 64 << 10;

/// The most that is thrown away when the port was closed: more than the socket holds.
const LEFT_OVER: usize = 4 << 20;

/// Bytes that the socket takes for a guest that does not read. Those that it has not read when it closes its port are what the
/// next agent begins with, and mistakes for a message: few, so that it notices soon and opens the port anew.
const SEND_BUFFER: usize = 8 << 10;

/// How many may wait for the guest's clipboard.
const MAX_GETS: usize = 16;

/// How many files may wait.
const MAX_FILES: usize = 256;

/// Whether the guest has opened its end of the port, as QEMU tells (`VSERPORT_CHANGE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Whether it is open.
    pub open: bool,
    /// How often that has changed: one that was closed and opened again at once has another agent.
    pub changes: u64,
}

enum Command {
    Offer(Selection, Offer, oneshot::Sender<Result<(), ClipboardError>>),
    Withdraw(Selection),
    Offered(Selection, oneshot::Sender<Option<Offer>>),
    Get(Get),
    Policy(Policy),
    Settle(oneshot::Sender<()>),
    Send(Sending),
    Monitors(Vec<Monitor>),
}

/// A file for the guest. Its bytes come from whoever reads it, so that a slow disk holds up nothing here.
pub struct FileSource {
    /// Its name, without folders.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its content in pieces of any size; the end of the channel is its end. A piece that cannot be read ends the transfer.
    pub pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
}

struct Sending {
    file: FileSource,
    /// Of the present piece, what was not sent.
    rest: Vec<u8>,
    /// Bytes that were sent.
    progress: watch::Sender<u64>,
    answer: oneshot::Sender<Result<(), FileError>>,
}

struct Get {
    selection: Selection,
    kind: Kind,
    answer: oneshot::Sender<Result<Content, ClipboardError>>,
}

/// A guest's clipboard. Clones are of the same one; it is let go of when the last of them is.
#[derive(Clone, Debug)]
pub struct Peer {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<State>,
}

impl Peer {
    /// Speaks on a connected socket, whose other end is the chardev of the guest's port. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub fn start(
        socket: std::os::unix::net::UnixStream,
        port: watch::Receiver<Port>,
        policy: Policy,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER)?;
        let stream = UnixStream::from_std(socket)?;
        let (commands, told) = mpsc::channel(MAX_GETS);
        let (state, seen) = watch::channel(State::default());
        let driver = Driver {
            stream,
            core: Core::new(policy),
            state,
            unsent: Vec::new(),
            sent: 0,
            gets: VecDeque::new(),
            asked: None,
            settling: Vec::new(),
            files: VecDeque::new(),
            sending: None,
        };
        tokio::spawn(driver.run(port, told));
        Ok(Self { commands, state: seen })
    }

    /// What is known of the guest's clipboard, and every change of it.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Lets the guest have something, until a program of its own copies something else.
    ///
    /// # Errors
    /// [`ClipboardError`]; what the guest had it still has.
    pub async fn set(&self, selection: Selection, offer: Offer) -> Result<(), ClipboardError> {
        self.ask(|answer| Command::Offer(selection, offer, answer)).await?
    }

    /// Takes back what the guest may have of us.
    pub async fn withdraw(&self, selection: Selection) {
        // One that has ended has nothing.
        let _ = self.commands.send(Command::Withdraw(selection)).await;
    }

    /// What the guest may have of us; `None` once a program of its own has filled the clipboard.
    ///
    /// # Errors
    /// [`ClipboardError::Ended`].
    pub async fn offered(&self, selection: Selection) -> Result<Option<Offer>, ClipboardError> {
        self.ask(|answer| Command::Offered(selection, answer)).await
    }

    /// What is in the guest's clipboard. It is asked for now; the guest may take some seconds.
    ///
    /// # Errors
    /// [`ClipboardError`].
    pub async fn get(&self, selection: Selection, kind: Kind) -> Result<Content, ClipboardError> {
        self.ask(|answer| Command::Get(Get { selection, kind, answer })).await?
    }

    /// Changes the directions.
    pub async fn set_policy(&self, policy: Policy) {
        let _ = self.commands.send(Command::Policy(policy)).await;
    }

    /// Waits until nothing is on its way to the guest, for at most `limit`: before its memory is saved, so that no message is cut.
    pub async fn settle(&self, limit: Duration) {
        let _ = timeout(limit, self.ask(Command::Settle)).await;
    }

    /// Gives the guest a file, which its agent puts where downloads are kept; `progress` is told the bytes that were sent. Files go one
    /// after the other. Dropped before it ends, it is given up, and the guest removes what it has.
    ///
    /// # Errors
    /// [`FileError`]; the guest has nothing of it then.
    pub async fn send_file(&self, file: FileSource, progress: watch::Sender<u64>) -> Result<(), FileError> {
        let (answer, answered) = oneshot::channel();
        let sending = Sending { file, rest: Vec::new(), progress, answer };
        self.commands.send(Command::Send(sending)).await.map_err(|_| FileError::Ended)?;
        answered.await.map_err(|_| FileError::Ended)?
    }

    /// Says how large the guest's screens should be, for guests whose driver does not follow the display by itself.
    pub async fn set_monitors(&self, monitors: Vec<Monitor>) {
        let _ = self.commands.send(Command::Monitors(monitors)).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, ClipboardError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| ClipboardError::Ended)?;
        answered.await.map_err(|_| ClipboardError::Ended)
    }
}

struct Driver {
    stream: UnixStream,
    core: Core,
    state: watch::Sender<State>,
    /// A chunk, of which so many bytes are sent.
    unsent: Vec<u8>,
    sent: usize,
    gets: VecDeque<Get>,
    /// Who waits for what was asked for.
    asked: Option<Get>,
    settling: Vec<oneshot::Sender<()>>,
    /// Files that wait, and the one that is sent.
    files: VecDeque<Sending>,
    sending: Option<Sending>,
}

/// What comes next of a file.
enum Piece {
    Bytes(Vec<u8>),
    End,
    Failed(io::Error),
    /// Whoever sends it has given up.
    Unwanted,
}

/// The next piece of the file that is sent; never, if there is none or none is wanted.
async fn next_piece(sending: Option<&mut Sending>, is_wanted: bool) -> Piece {
    let Some(sending) = sending else { return std::future::pending().await };
    tokio::select! {
        biased;
        () = sending.answer.closed() => Piece::Unwanted,
        piece = sending.file.pieces.recv(), if is_wanted => match piece {
            Some(Ok(bytes)) => Piece::Bytes(bytes),
            Some(Err(error)) => Piece::Failed(error),
            None => Piece::End,
        },
    }
}

impl Driver {
    async fn run(mut self, mut port: watch::Receiver<Port>, mut commands: mpsc::Receiver<Command>) {
        let mut buffer = vec![0; READ];
        let mut known = Port::default();
        let mut is_told = true;
        port.mark_changed();
        loop {
            self.follow_up();
            let interest =
                if self.has_unsent() { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            let timeout = self.core.timeout();
            let due = timeout.unwrap_or_else(Instant::now);
            // What is left of a piece goes first.
            let is_wanted = self.core.wants_piece()
                && !self.has_unsent()
                && self.sending.as_ref().is_some_and(|sending| sending.rest.is_empty());
            tokio::select! {
                changed = port.changed(), if is_told => {
                    is_told = changed.is_ok();
                    let now = *port.borrow_and_update();
                    if now.changes != known.changes || now.open != known.open {
                        self.port_changed(now, &mut buffer);
                        known = now;
                    }
                }
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                ready = self.stream.ready(interest) => {
                    let Ok(ready) = ready else { break };
                    let written = if ready.is_writable() { self.write() } else { Ok(()) };
                    let read = if ready.is_readable() { self.read(&mut buffer) } else { Ok(()) };
                    if let Err(error) = written.and(read) {
                        log::debug!("the clipboard's port ends: {error}");
                        break;
                    }
                }
                piece = next_piece(self.sending.as_mut(), is_wanted) => self.piece(piece),
                () = sleep_until(due.into()), if timeout.is_some() => self.core.handle_timeout(Instant::now()),
            }
        }
        // Those who wait learn of it by their channels' end.
        self.state.send_replace(State::default());
    }

    /// What follows from what has just happened.
    fn follow_up(&mut self) {
        while let Some(event) = self.core.next_event() {
            match event {
                Event::Changed => {
                    self.state.send_replace(self.core.state());
                }
                Event::Fetched(outcome) => {
                    if let Some(get) = self.asked.take() {
                        let _ = get.answer.send(outcome);
                    }
                }
                Event::File(outcome) => {
                    if let Some(sending) = self.sending.take() {
                        sending.progress.send_replace(if outcome.is_ok() { sending.file.size } else { 0 });
                        let _ = sending.answer.send(outcome);
                    }
                }
            }
        }
        while self.sending.is_none()
            && let Some(sending) = self.files.pop_front()
        {
            self.begin_file(sending);
        }
        if self.core.wants_piece() && !self.has_unsent() {
            self.send_rest();
        }
        while self.asked.is_none()
            && let Some(get) = self.gets.pop_front()
        {
            self.begin(get);
        }
        if !self.has_unsent() {
            self.unsent.clear();
            self.sent = 0;
            self.core.chunk(&mut self.unsent);
        }
        if !self.has_unsent() {
            for settled in self.settling.drain(..) {
                let _ = settled.send(());
            }
        }
    }

    /// Announces a file, or says why not.
    fn begin_file(&mut self, sending: Sending) {
        if sending.answer.is_closed() {
            return;
        }
        match self.core.send_file(&sending.file.name, sending.file.size, Instant::now()) {
            Ok(()) => self.sending = Some(sending),
            Err(error) => {
                let _ = sending.answer.send(Err(error));
            }
        }
    }

    fn piece(&mut self, piece: Piece) {
        let Some(sending) = &mut self.sending else { return };
        match piece {
            Piece::Bytes(bytes) => sending.rest = bytes,
            Piece::End if sending.file.size == 0 => self.core.send_piece(&[], Instant::now()),
            Piece::End => {
                let why = "it is shorter than it was when it was announced".into();
                self.core.give_up_file(FileError::Source { why });
            }
            Piece::Failed(error) => self.core.give_up_file(FileError::Source { why: error.to_string() }),
            Piece::Unwanted => self.core.give_up_file(FileError::Ended),
        }
    }

    /// Sends the beginning of what is left of a piece.
    fn send_rest(&mut self) {
        let Some(sending) = self.sending.as_mut().filter(|sending| !sending.rest.is_empty()) else { return };
        let later = sending.rest.split_off(sending.rest.len().min(MAX_PIECE));
        let piece = std::mem::replace(&mut sending.rest, later);
        self.core.send_piece(&piece, Instant::now());
        sending.progress.send_replace(self.core.file_sent());
    }

    /// Asks the guest, or answers at once.
    fn begin(&mut self, get: Get) {
        if get.answer.is_closed() {
            return;
        }
        // What is in its clipboard may be ours.
        let own = self.core.offered(get.selection).and_then(|offer| offer.get(get.kind)).cloned();
        let outcome = match own {
            Some(content) => Ok(content),
            None => match self.core.fetch(get.selection, get.kind, Instant::now()) {
                Ok(()) => {
                    self.asked = Some(get);
                    return;
                }
                Err(error) => Err(error),
            },
        };
        let _ = get.answer.send(outcome);
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Offer(selection, offer, answer) => {
                let _ = answer.send(self.core.offer(selection, offer));
            }
            Command::Withdraw(selection) => self.core.withdraw(selection),
            Command::Offered(selection, answer) => {
                let _ = answer.send(self.core.offered(selection).cloned());
            }
            Command::Get(get) if self.gets.len() >= MAX_GETS => {
                let _ = get.answer.send(Err(ClipboardError::Busy));
            }
            Command::Get(get) => self.gets.push_back(get),
            Command::Policy(policy) => self.core.set_policy(policy),
            Command::Settle(answer) => self.settling.push(answer),
            Command::Send(sending) if self.files.len() >= MAX_FILES => {
                let why = "too many files wait already".into();
                let _ = sending.answer.send(Err(FileError::Source { why }));
            }
            Command::Send(sending) => self.files.push_back(sending),
            Command::Monitors(monitors) => self.core.set_monitors(&monitors),
        }
    }

    fn port_changed(&mut self, port: Port, buffer: &mut [u8]) {
        // QEMU tells of the port after it has passed on all that was written before: what is there is the former agent's.
        let mut left = LEFT_OVER;
        // Not by tokio's own word of what can be read, which comes later.
        while let Ok(read @ 1..) = recv(self.stream.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
        self.unsent.clear();
        self.sent = 0;
        if port.open {
            self.core.port_opened(Instant::now());
        } else {
            self.core.port_closed();
        }
    }

    fn has_unsent(&self) -> bool {
        self.sent < self.unsent.len()
    }

    fn write(&mut self) -> io::Result<()> {
        let rest = self.unsent.get(self.sent..).unwrap_or_default();
        match self.stream.try_write(rest) {
            Ok(written) => self.sent += written,
            Err(error) => allow_to_wait(error)?,
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        match self.stream.try_read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => self.core.receive(buffer.get(..read).unwrap_or_default(), Instant::now()),
            Err(error) => allow_to_wait(error)?,
        }
        Ok(())
    }
}

fn allow_to_wait(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}
