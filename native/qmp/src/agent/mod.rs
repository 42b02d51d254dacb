//! The guest agent's client: speaks to `qemu-ga` inside the guest over a virtio-serial port
//! (`docs/interop/qemu-ga.rst`; the types are those of the `qapi-qga` crate).
//!
//! The guest is not to be trusted, nor even to be there: until its agent runs, nobody reads what is written to the port,
//! and what was written is read when it starts. So each operation begins with a `guest-sync-delimited` of its own number, and
//! only when that is answered the command is sent: no command lies in wait for an agent that starts later, answers
//! to operations that were given up are passed over, and an absent agent is told within
//! [`AGENT_PATIENCE`].
//!
//! **Invariant:** every call ends, whatever the guest sends; no more than the answer's bound is kept of it; a guest that
//! was frozen is thawed, or the failure to do so is said.
//!
//! ```no_run
//! # async fn example(socket: std::os::unix::net::UnixStream) -> Result<(), sampan_qmp::agent::AgentError> {
//! use sampan_qmp::agent::{Agent, Exec};
//! let agent = Agent::connect(socket)?;
//! let done = agent.exec(Exec::new("/bin/df").arg("/")).await?;
//! println!("{}", String::from_utf8_lossy(&done.stdout));
//! # Ok(()) }
//! ```

mod exec;
mod file;
mod frame;
mod freeze;
mod link;
mod space;
mod system;

pub use exec::{Exec, Exited, Finished, MAX_STDIN};
pub use file::CHUNK;
pub use freeze::Frozen;
pub use qapi_qga as types;
pub use space::Mount;
pub use system::ShutdownMode;

use link::Link;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long an agent may take to answer that it is there. An emulated guest under load takes a second.
pub const AGENT_PATIENCE: Duration = Duration::from_secs(5);

/// How long a command may take unless said otherwise.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest answer to a command whose answers are not data, in bytes. `guest-info` of a new agent has 12 KiB, a guest
/// with hundreds of network interfaces some 200.
pub(crate) const MAX_ANSWER: usize = 1 << 20;

/// What can go wrong with a guest's agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody answers.
    #[error(
        "the guest agent does not answer within {timeout:?}: the guest may still be starting, or has no agent; \
         install qemu-guest-agent in the guest and start it"
    )]
    Absent {
        /// How long was waited.
        timeout: Duration,
    },
    /// The agent was there, but did not answer this command. It may still take effect.
    #[error(
        "the guest agent did not answer {command} within {timeout:?}; the guest is busy, try again later"
    )]
    Timeout {
        /// The command's name.
        command: &'static str,
        /// How long was waited.
        timeout: Duration,
    },
    /// The agent refused the command, with its own words (which come from the guest).
    #[error("the guest agent refused {command}: {message}")]
    Refused {
        /// The command's name.
        command: &'static str,
        /// The agent's description, at most 500 characters of it.
        message: String,
    },
    /// The answer is longer than any that was asked for.
    #[error(
        "the guest agent's answer to {command} is longer than {limit} bytes: ask for less, or fetch a file in parts"
    )]
    TooLong {
        /// The command's name.
        command: &'static str,
        /// How many bytes would have been taken.
        limit: usize,
    },
    /// The answer is not the command's.
    #[error(
        "the guest agent's answer to {command} is not understood: {message}; update qemu-guest-agent in the guest"
    )]
    Malformed {
        /// The command's name.
        command: &'static str,
        /// What did not fit.
        message: String,
    },
    /// A file is bigger than was allowed.
    #[error("the guest's file {path} has more than {limit} bytes: allow more, or fetch another one")]
    TooBig {
        /// The file, in the guest.
        path: String,
        /// How many bytes were allowed.
        limit: u64,
    },
    /// A program in the guest did not end in time, and goes on.
    #[error(
        "{path} (process {pid} in the guest) still runs after {timeout:?}: wait longer, or end it in the guest"
    )]
    StillRunning {
        /// The program.
        path: String,
        /// Its number in the guest.
        pid: i64,
        /// How long was waited.
        timeout: Duration,
    },
    /// More input than can be given to a program at once.
    #[error(
        "{given} bytes of input are too many, {limit} can be given: push a file and let the program read that"
    )]
    TooMuchInput {
        /// How many bytes there were.
        given: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A time that the agent cannot be told.
    #[error("a guest's clock cannot be set to {time:?}: choose a time between the years 1678 and 2261")]
    BadTime {
        /// The time.
        time: std::time::SystemTime,
    },
    /// Work on a frozen guest took longer than it may be frozen. The guest is thawed.
    #[error(
        "the guest was frozen for {limit:?} and the work was not done: the guest goes on, try again when the disk is less busy"
    )]
    FrozenTooLong {
        /// How long it may be frozen.
        limit: Duration,
    },
    /// The port is closed.
    #[error("the guest agent's port is closed: the VM has ended")]
    Closed,
    /// Our side's socket or file cannot be used.
    #[error("{what} failed: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl AgentError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// A connection to one guest's agent. Clones share it and take turns: the agent does one thing at a time.
#[derive(Clone)]
pub struct Agent {
    link: Arc<Mutex<Link>>,
    patience: Duration,
}

impl Agent {
    /// Takes the host's end of the port. Nothing is sent: whether an agent is there, [`Agent::ping`] tells.
    ///
    /// Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`AgentError::Io`] for a socket that cannot be used.
    pub fn connect(stream: UnixStream) -> Result<Self, AgentError> {
        let link = Link::new(stream).map_err(AgentError::io("using the guest agent's port"))?;
        Ok(Self { link: Arc::new(Mutex::new(link)), patience: AGENT_PATIENCE })
    }

    /// The same agent, given up as absent after another time than [`AGENT_PATIENCE`].
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { link: Arc::clone(&self.link), patience }
    }

    /// Whether somebody answers.
    ///
    /// # Errors
    /// [`AgentError::Absent`] where nobody does, [`AgentError::Closed`].
    pub async fn ping(&self) -> Result<(), AgentError> {
        self.link.lock().await.sync(self.patience).await
    }

    /// Executes any command of [`types`] within [`COMMAND_TIMEOUT`]. Its answer may have 1 MiB.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn execute<C: types::QgaCommand>(&self, command: C) -> Result<C::Ok, AgentError> {
        self.execute_within(command, COMMAND_TIMEOUT).await
    }

    /// The same, with a deadline of its own that begins when the agent has shown that it is there.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn execute_within<C: types::QgaCommand>(
        &self,
        command: C,
        timeout: Duration,
    ) -> Result<C::Ok, AgentError> {
        self.execute_limited(command, timeout, MAX_ANSWER).await
    }

    pub(crate) async fn execute_limited<C: types::QgaCommand>(
        &self,
        command: C,
        timeout: Duration,
        limit: usize,
    ) -> Result<C::Ok, AgentError> {
        let mut link = self.link.lock().await;
        link.sync(self.patience).await?;
        link.command(command, timeout, limit).await
    }
}
