//! The exchange on the port: sync, one command, one answer.

use super::AgentError;
use super::frame::{FLUSH, Framer, Line};
use crate::shape::{self, Shape};
use qapi_qga::QgaCommand;
use qapi_spec::Execute;
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

/// Read at once, in bytes.
const READ: usize = 64 << 10;

/// The longest line looked at while waiting for a sync's answer; late answers may be longer and are dropped.
const MAX_SYNC_LINE: usize = 4 << 10;

/// Words of the guest's that an error repeats, in characters.
const MAX_WORDS: usize = 500;

pub struct Link {
    stream: UnixStream,
    framer: Framer,
    buffer: Vec<u8>,
    /// Numbers of syncs and commands; each is used once, so a late answer is known by its number.
    next: u32,
}

#[derive(Deserialize)]
struct Answer {
    // Agents before QEMU 4.0 do not repeat it.
    id: Option<Value>,
    #[serde(rename = "return")]
    value: Option<Value>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

impl Link {
    pub fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        Ok(Self { stream, framer: Framer::default(), buffer: vec![0; READ], next: 1 })
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        // The agent's numbers are signed 64-bit; so many operations never happen on one connection, and if they do the
        // oldest answers are long gone.
        self.next = self.next.wrapping_add(1);
        number
    }

    /// Sees that the agent is there and that all that follows is answer to what is sent from now on.
    pub async fn sync(&mut self, patience: Duration) -> Result<(), AgentError> {
        let deadline = Instant::now() + patience;
        let number = self.number();
        // Whatever half a line a caller who gave up has left in the agent's parser goes by the first byte.
        let mut line = vec![FLUSH];
        line.extend(
            format!("{{\"execute\":\"guest-sync-delimited\",\"arguments\":{{\"id\":{number}}}}}\n").bytes(),
        );
        let absent = |e| match e {
            AgentError::Timeout { .. } => AgentError::Absent { timeout: patience },
            other => other,
        };
        self.write("guest-sync-delimited", &line, deadline, patience).await.map_err(absent)?;
        loop {
            let read =
                self.line("guest-sync-delimited", MAX_SYNC_LINE, deadline, patience).await.map_err(absent)?;
            let Line::Whole(line) = read else { continue };
            let answer = serde_json::from_slice::<Answer>(&line);
            if answer.is_ok_and(|a| a.value.and_then(|v| v.as_u64()) == Some(number.into())) {
                return Ok(());
            }
        }
    }

    /// Sends a command right after a sync or another command's answer, and takes its answer of at most `limit` bytes.
    pub async fn command<C: QgaCommand>(
        &mut self,
        command: C,
        timeout: Duration,
        limit: usize,
    ) -> Result<C::Ok, AgentError> {
        let deadline = Instant::now() + timeout;
        let number = self.send(command, deadline, timeout).await?;
        let value = self.answer(C::NAME, number, deadline, timeout, limit).await?;
        serde_json::from_value(value)
            .map_err(|e| AgentError::Malformed { command: C::NAME, message: words(&e.to_string()) })
    }

    /// Sends a command that is answered only when it is refused, and gives it `timeout` to be.
    pub async fn command_without_answer<C: QgaCommand>(
        &mut self,
        command: C,
        timeout: Duration,
    ) -> Result<(), AgentError> {
        let deadline = Instant::now() + timeout;
        let number = self.send(command, deadline, timeout).await?;
        match self.answer(C::NAME, number, deadline, timeout, super::MAX_ANSWER).await {
            Ok(_) | Err(AgentError::Timeout { .. } | AgentError::Closed) => Ok(()),
            Err(e) => Err(e),
        }
    }

    async fn send<C: QgaCommand>(
        &mut self,
        command: C,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<u32, AgentError> {
        let number = self.number();
        let mut line = serde_json::to_vec(&Execute::new(command, Some(number)))
            .map_err(|e| AgentError::Malformed { command: C::NAME, message: e.to_string() })?;
        line.push(b'\n');
        self.write(C::NAME, &line, deadline, timeout).await?;
        Ok(number)
    }

    async fn answer(
        &mut self,
        command: &'static str,
        number: u32,
        deadline: Instant,
        timeout: Duration,
        limit: usize,
    ) -> Result<Value, AgentError> {
        loop {
            let line = match self.line(command, limit, deadline, timeout).await? {
                Line::Whole(line) => line,
                Line::TooLong => return Err(AgentError::TooLong { command, limit }),
            };
            // Long answers are long words; many values are none of any command's.
            if !Shape::of(&line).fits(shape::ANSWER) {
                let message = format!("it has more than {} values", shape::ANSWER.values);
                return Err(AgentError::Malformed { command, message });
            }
            let answer: Answer = serde_json::from_slice(&line)
                .map_err(|e| AgentError::Malformed { command, message: words(&e.to_string()) })?;
            if answer.id.is_some_and(|id| id.as_u64() != Some(number.into())) {
                continue;
            }
            return match (answer.value, answer.error) {
                (_, Some(refusal)) => Err(AgentError::Refused { command, message: words(&refusal.desc) }),
                (Some(value), None) => Ok(value),
                (None, None) => {
                    Err(AgentError::Malformed { command, message: "neither a value nor an error".to_owned() })
                }
            };
        }
    }

    async fn write(
        &mut self,
        command: &'static str,
        line: &[u8],
        deadline: Instant,
        timeout: Duration,
    ) -> Result<(), AgentError> {
        let mut rest = line;
        while !rest.is_empty() {
            self.in_time(command, deadline, timeout, self.stream.writable()).await?;
            match self.stream.try_write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(e) => self.allow_to_wait(e)?,
            }
        }
        Ok(())
    }

    async fn line(
        &mut self,
        command: &'static str,
        limit: usize,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Line, AgentError> {
        loop {
            if let Some(line) = self.framer.next(limit) {
                // Also while lines keep coming in: a guest that never stops talking shall not hold us.
                if Instant::now() >= deadline {
                    return Err(AgentError::Timeout { command, timeout });
                }
                return Ok(line);
            }
            self.in_time(command, deadline, timeout, self.stream.readable()).await?;
            match self.stream.try_read(&mut self.buffer) {
                Ok(0) => return Err(AgentError::Closed),
                Ok(read) => self.framer.push(self.buffer.get(..read).unwrap_or_default()),
                Err(e) => self.allow_to_wait(e)?,
            }
        }
    }

    async fn in_time(
        &self,
        command: &'static str,
        deadline: Instant,
        timeout: Duration,
        ready: impl Future<Output = io::Result<()>>,
    ) -> Result<(), AgentError> {
        let late = AgentError::Timeout { command, timeout };
        if Instant::now() >= deadline {
            return Err(late);
        }
        match timeout_at(deadline, ready).await {
            Ok(ready) => ready.map_err(AgentError::io("using the guest agent's port")),
            Err(_) => Err(late),
        }
    }

    fn allow_to_wait(&self, error: io::Error) -> Result<(), AgentError> {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Err(AgentError::Closed),
            _ => Err(AgentError::io("using the guest agent's port")(error)),
        }
    }
}

/// What the guest says, fit to be shown: bounded and without control characters.
fn words(text: &str) -> String {
    text.chars().take(MAX_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
