//! The asking side of the control socket.

use super::protocol::{self, Request, Response};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take: a long text is typed at the guest's pace, and `quit` flushes disks.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The longest answer: a picture of the largest screen.
const MAX_ANSWER: u64 = 256 << 20;

/// A connection to a machine.
pub struct Client(BufReader<UnixStream>);

impl Client {
    /// Connects to the machine behind `socket`.
    ///
    /// # Errors
    /// No machine is there.
    pub fn connect(socket: &Path) -> Result<Client> {
        let name = socket.display();
        Self::connect_if_there(socket)?.ok_or_else(|| {
            anyhow!("no machine is controlled at {name}: `sampan run` tells its socket on stderr")
        })
    }

    /// The same; `None` where nobody listens.
    pub fn connect_if_there(socket: &Path) -> Result<Option<Client>> {
        let stream = match UnixStream::connect(socket) {
            Ok(stream) => stream,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(e) => return Err(anyhow!("{}: {e}", socket.display())),
        };
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Some(Client(BufReader::new(stream))))
    }

    /// For what takes its time.
    pub fn wait_at_most(&mut self, time: Duration) -> Result<()> {
        Ok(self.0.get_ref().set_read_timeout(Some(time))?)
    }

    /// The bare connection, after a request that turns it into a stream, with what was read of it already.
    pub fn into_stream(self) -> (UnixStream, Vec<u8>) {
        let read = self.0.buffer().to_vec();
        (self.0.into_inner(), read)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The machine refused, in its words, or is gone.
    pub fn ask(&mut self, request: &Request) -> Result<Value> {
        match self.0.get_mut().write_all(&protocol::line(request)) {
            // It has ended by itself meanwhile: that is what was asked for.
            Err(e) if e.kind() == ErrorKind::BrokenPipe && *request == Request::Quit => {
                return Ok(Value::Object(serde_json::Map::new()));
            }
            written => written.context("the machine is gone")?,
        }
        let mut line = Vec::new();
        let read = (&mut self.0).take(MAX_ANSWER).read_until(b'\n', &mut line);
        match read {
            Ok(_) if line.ends_with(b"\n") => {}
            // The machine's program may be gone before its answer: that is what was asked for.
            Ok(_) if *request == Request::Quit => return Ok(Value::Object(serde_json::Map::new())),
            Ok(_) => bail!("the machine ended before it answered"),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                bail!("the machine did not answer within {} s", TIMEOUT.as_secs())
            }
            Err(e) => return Err(e).context("the machine is gone"),
        }
        match serde_json::from_slice(&line).context("the machine's answer is not understood")? {
            Response::Ok(value) => Ok(value),
            Response::Error(words) => bail!(words),
        }
    }
}
