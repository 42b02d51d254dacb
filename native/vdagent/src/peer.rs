//! The protocol on a socket: a task that never waits for the guest.

use crate::content::{Content, Kind};
use crate::core::{Core, Event, Offer, Selection, State};
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
            }
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
