//! The asking side. Nothing here waits for ever: a machine that works on an answer says so every two seconds, so one that
//! is silent for longer hangs.

use crate::Address;
use crate::wire::{self, MAX_ANSWER, ServerLine};
use crate::{Progress, Reply, Request, Status};
use nix::sys::socket::{getsockopt, sockopt};
use sampan_message::{Coded, Message, Params};
use std::io::{Error, ErrorKind, Result as IoResult};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

/// How long nothing may be heard, for those who have no reason to choose another limit. It does not limit how long the work
/// takes.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A pause before a machine with too many waiting clients is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing was heard for so long: it hangs, or was stopped.
    #[error("the machine's process{} does not answer: end it by force if it stays so", pid_words(*.pid))]
    Silent {
        /// The process, where it is known.
        pid: Option<u32>,
    },
    /// The machine said no.
    #[error(transparent)]
    Refused(Message),
    /// The machine ended before it answered.
    #[error("the machine ended before it answered")]
    Gone,
    /// What came is no answer.
    #[error("the machine's process cannot be understood ({0}): is it of another version of Sampan?")]
    Unintelligible(String),
    /// A file's name in the request is not Unicode text.
    #[error("a file's name is not Unicode text: rename the file")]
    Name,
    /// The system refused.
    #[error("the machine's process cannot be reached: {0}")]
    Io(#[from] Error),
}

fn pid_words(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" {pid}"))
}

impl Coded for ClientError {
    fn code(&self) -> &'static str {
        match self {
            Self::Silent { .. } => "machine_silent",
            // A code that came over the wire lives as long as the message; `message` below has it.
            Self::Refused(_) => "refused",
            Self::Gone => "machine_ended",
            Self::Unintelligible(_) => "machine_unintelligible",
            Self::Name => "name_not_unicode",
            Self::Io(_) => "io",
        }
    }

    fn params(&self) -> Params {
        match self {
            Self::Silent { pid: Some(pid) } => Params::new().with("pid", *pid),
            Self::Refused(message) => message.params.clone(),
            Self::Unintelligible(why) => Params::new().with("why", why.as_str()),
            _ => Params::new(),
        }
    }

    fn message(&self) -> Message {
        match self {
            Self::Refused(message) => message.clone(),
            other => {
                Message { code: other.code().into(), params: other.params(), message: other.to_string() }
            }
        }
    }
}

/// A connection to a machine.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    patience: Option<Duration>,
    pid: Option<u32>,
    /// What was read of the next line: it stays where a caller gives up waiting, and may wait again.
    partial: Vec<u8>,
}

impl Client {
    /// Connects; `None` where nobody listens. `patience` is how long nothing may be heard; without it there is no limit, for
    /// callers that drop the future.
    ///
    /// # Errors
    /// [`ClientError::Silent`] or [`ClientError::Io`].
    pub async fn connect(address: &Address, patience: Option<Duration>) -> Result<Option<Self>, ClientError> {
        let Some(stream) = within(patience, None, connect(address)).await? else { return Ok(None) };
        // The process that listens, by the kernel's word.
        let peer = getsockopt(&stream, sockopt::PeerCredentials).ok();
        let pid = peer.and_then(|peer| u32::try_from(peer.pid()).ok()).filter(|pid| *pid != 0);
        Ok(Some(Self { stream: BufReader::new(stream), patience, pid, partial: Vec::new() }))
    }

    /// The same, with another limit to how long nothing may be heard.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The machine's process.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Asks, and waits as long as the machine works on the answer.
    ///
    /// # Errors
    /// [`ClientError`]. The end of the machine is the answer to [`Request::Quit`].
    pub async fn call(&mut self, request: &Request) -> Result<Reply, ClientError> {
        self.call_with(request, |_| ControlFlow::Continue(())).await
    }

    /// The same with progress. `report` is called at least every two seconds while the machine works, and has the work
    /// cancelled by [`ControlFlow::Break`]; the answer, or the error `cancelled`, still comes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn call_with(
        &mut self,
        request: &Request,
        mut report: impl FnMut(Option<Progress>) -> ControlFlow<()>,
    ) -> Result<Reply, ClientError> {
        let called = self.exchange(request, &mut report).await;
        match called {
            // It may have ended before its answer left: that is what was asked for.
            Err(ClientError::Gone) if *request == Request::Quit => Ok(Reply::Done),
            called => called,
        }
    }

    async fn exchange(
        &mut self,
        request: &Request,
        report: &mut impl FnMut(Option<Progress>) -> ControlFlow<()>,
    ) -> Result<Reply, ClientError> {
        self.send(&wire::request_line(request).map_err(|_| ClientError::Name)?).await?;
        let mut cancelled = false;
        loop {
            let mut cancel = false;
            let line = self.line(|| cancel |= report(None).is_break()).await?;
            match parsed(&line)? {
                ServerLine::Ok(reply) => return Ok(reply),
                ServerLine::Error(message) => return Err(ClientError::Refused(message)),
                ServerLine::Progress(progress) => cancel |= report(Some(progress)).is_break(),
                ServerLine::Status(_) => {
                    return Err(ClientError::Unintelligible("it tells what was not asked".into()));
                }
            }
            if cancel && !cancelled {
                cancelled = true;
                self.send(&wire::cancel_line()).await?;
            }
        }
    }

    /// Turns the connection into the machine's serial port: the stream, and what was read of it already.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn console(mut self) -> Result<(UnixStream, Vec<u8>), ClientError> {
        self.call(&Request::Console).await?;
        let read = self.stream.buffer().to_vec();
        Ok((self.stream.into_inner(), read))
    }

    /// Turns the connection into the machine's sound, as [`SoundStream`](crate::SoundStream) says: the stream, and what was read of
    /// it already.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sound(mut self, play: bool, record: bool) -> Result<(UnixStream, Vec<u8>), ClientError> {
        self.call(&Request::SoundStream { play, record }).await?;
        let read = self.stream.buffer().to_vec();
        Ok((self.stream.into_inner(), read))
    }

    /// Asks to be told of every change of the machine's condition; [`Watcher::next`] waits for it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn watch(mut self) -> Result<Watcher, ClientError> {
        self.send(&wire::request_line(&Request::Watch).map_err(|_| ClientError::Name)?).await?;
        Ok(Watcher { client: self, last: None, silent: false })
    }

    async fn send(&mut self, line: &[u8]) -> Result<(), ClientError> {
        let (patience, pid) = (self.patience, self.pid);
        gone(within(patience, pid, self.stream.write_all(line)).await)
    }

    /// The next line. `beat` is called for every sign of life before its end.
    async fn line(&mut self, mut beat: impl FnMut()) -> Result<Vec<u8>, ClientError> {
        loop {
            match self.piece().await? {
                Some(line) => return Ok(line),
                None => beat(),
            }
        }
    }

    /// What comes next: the end of a line, and with it the whole line, or `None` for any other sign of life.
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let (patience, pid) = (self.patience, self.pid);
        let piece = gone(within(patience, pid, self.stream.fill_buf()).await)?;
        let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(piece.len());
        // Spaces between lines are signs of life alone: a watcher may hear them for months.
        let kept = piece.get(..taken).unwrap_or_default();
        self.partial.extend_from_slice(if self.partial.is_empty() { kept.trim_ascii_start() } else { kept });
        self.stream.consume(taken);
        match end {
            _ if self.partial.len() > MAX_ANSWER => {
                Err(ClientError::Unintelligible("its answer is too long".into()))
            }
            Some(_) => Ok(Some(std::mem::take(&mut self.partial))),
            None if taken == 0 => Err(ClientError::Gone),
            None => Ok(None),
        }
    }
}

/// A machine that tells every change of its condition.
#[derive(Debug)]
pub struct Watcher {
    client: Client,
    /// What it told last.
    last: Option<Status>,
    /// Nothing was heard of it for too long, and the caller knows.
    silent: bool,
}

impl Watcher {
    /// The machine's process.
    pub fn pid(&self) -> Option<u32> {
        self.client.pid
    }

    /// The next condition; `None` once the machine has ended. After [`ClientError::Silent`] it may be called again: of a
    /// machine that was stopped for a while and goes on, the last condition is told once more.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<Status>, ClientError> {
        loop {
            let line = match self.client.piece().await {
                Ok(Some(line)) => line,
                // It lives. Whatever changed meanwhile comes as a line of its own.
                Ok(None) => match &self.last {
                    Some(last) if std::mem::take(&mut self.silent) => return Ok(Some(last.clone())),
                    _ => continue,
                },
                Err(ClientError::Gone) => return Ok(None),
                Err(error) => {
                    self.silent = matches!(error, ClientError::Silent { .. });
                    return Err(error);
                }
            };
            self.silent = false;
            return match parsed(&line)? {
                ServerLine::Status(status) => {
                    self.last = Some((*status).clone());
                    Ok(Some(*status))
                }
                ServerLine::Error(message) => Err(ClientError::Refused(message)),
                _ => Err(ClientError::Unintelligible("it tells what was not asked".into())),
            };
        }
    }
}

/// Whether anybody listens at an address, as far as a connection tells within a moment.
pub async fn listens(address: &Address) -> bool {
    timeout(RETRY, connect(address)).await.is_ok_and(|connected| matches!(connected, Ok(Some(_))))
}

fn parsed(line: &[u8]) -> Result<ServerLine, ClientError> {
    ServerLine::parse(line).map_err(|error| ClientError::Unintelligible(error.to_string()))
}

async fn within<T>(
    patience: Option<Duration>,
    pid: Option<u32>,
    step: impl Future<Output = IoResult<T>>,
) -> Result<T, ClientError> {
    match patience {
        Some(patience) => Ok(timeout(patience, step).await.map_err(|_| ClientError::Silent { pid })??),
        None => Ok(step.await?),
    }
}

/// A connection that was cut is a machine that has ended.
fn gone<T>(result: Result<T, ClientError>) -> Result<T, ClientError> {
    match result {
        Err(ClientError::Io(error))
            if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
        {
            Err(ClientError::Gone)
        }
        result => result,
    }
}

/// A connection, if anybody listens.
async fn connect(address: &Address) -> IoResult<Option<UnixStream>> {
    loop {
        let connected = match address.open() {
            Ok(opened) => UnixStream::connect(&opened.path).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => return Ok(Some(stream)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            // As many wait to be accepted as may: it hangs, or has a lot to do.
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(RETRY).await,
            Err(error) => return Err(error),
        }
    }
}
