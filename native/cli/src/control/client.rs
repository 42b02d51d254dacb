//! The asking side of the control socket.

use super::protocol::{self, Request, Response};
use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long nothing may be heard. A machine that works on an answer says so every two seconds, so this is no limit to how
/// long the work takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer: a picture of the largest screen.
const MAX_ANSWER: u64 = 256 << 20;

/// Who is asked, in words for the person who waits.
#[derive(Clone, Debug)]
pub struct Whose {
    /// As “vm's supervisor”.
    pub who: String,
    /// What to do when it does not answer; `None` where its process is all that can be named.
    pub remedy: Option<String>,
    /// Its process as far as it is known without a connection.
    pub pid: Option<u32>,
}

impl Whose {
    fn silent(&self, pid: Option<u32>) -> Silent {
        let pid = pid.or(self.pid);
        let remedy = match (&self.remedy, pid) {
            (Some(remedy), _) => remedy.clone(),
            (None, Some(pid)) => format!("`kill -KILL {pid}` ends it"),
            (None, None) => "end its process".into(),
        };
        let process = pid.map_or(String::new(), |pid| format!(" (process {pid})"));
        Silent { pid, words: format!("{}{process} does not answer: {remedy}", self.who) }
    }
}

/// Nothing was heard of a machine that is there: it hangs, or was stopped.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct Silent {
    /// Its process, as far as that is known.
    pub pid: Option<u32>,
    words: String,
}

/// A connection to a machine.
pub struct Client {
    stream: BufReader<UnixStream>,
    whose: Whose,
    pid: Option<u32>,
}

impl Client {
    /// Connects to the machine behind `socket`, which is not one of the library's.
    ///
    /// # Errors
    /// No machine is there, or [`Silent`].
    pub fn connect(socket: &Path) -> Result<Client> {
        let name = socket.display();
        let whose = Whose { who: format!("the machine at {name}"), remedy: None, pid: None };
        Self::connect_if_there(socket, whose)?.ok_or_else(|| {
            anyhow!("no machine is controlled at {name}: `sampan run` tells its socket on stderr")
        })
    }

    /// The same; `None` where nobody listens.
    pub fn connect_if_there(path: &Path, whose: Whose) -> Result<Option<Client>> {
        let at = || path.display().to_string();
        let address = UnixAddr::new(path).with_context(at)?;
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .context("no socket could be made")?;
        // For connecting, too: that waits while as many others do as the machine lets wait.
        let patience = TimeVal::milliseconds(PATIENCE.as_millis().try_into().unwrap_or(i64::MAX));
        setsockopt(&fd, sockopt::SendTimeout, &patience).with_context(at)?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &patience).with_context(at)?;
        match connect(fd.as_raw_fd(), &address) {
            Ok(()) => {}
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => return Ok(None),
            Err(Errno::EAGAIN) => return Err(whose.silent(None).into()),
            Err(e) => return Err(e).with_context(at),
        }
        // Of the process that listens; the kernel's word.
        let peer = getsockopt(&fd, sockopt::PeerCredentials).ok();
        let pid = peer.and_then(|peer| u32::try_from(peer.pid()).ok()).filter(|pid| *pid != 0);
        Ok(Some(Client { stream: BufReader::new(UnixStream::from(fd)), whose, pid }))
    }

    /// The bare connection, after a request that turns it into a stream, with what was read of it already.
    pub fn into_stream(self) -> Result<(UnixStream, Vec<u8>)> {
        let read = self.stream.buffer().to_vec();
        let stream = self.stream.into_inner();
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok((stream, read))
    }

    /// Asks, and waits for the answer as long as it is being worked on.
    ///
    /// # Errors
    /// The machine refused, in its words, is gone, or [`Silent`].
    pub fn ask(&mut self, request: &Request) -> Result<Value> {
        match self.stream.get_mut().write_all(&protocol::line(request)) {
            // It has ended by itself meanwhile: that is what was asked for.
            Err(e) if e.kind() == ErrorKind::BrokenPipe && *request == Request::Quit => {
                return Ok(Value::Object(serde_json::Map::new()));
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(self.whose.silent(self.pid).into()),
            written => written.context("the machine is gone")?,
        }
        let mut line = Vec::new();
        let read = (&mut self.stream).take(MAX_ANSWER).read_until(b'\n', &mut line);
        match read {
            Ok(_) if line.ends_with(b"\n") => {}
            // The machine's program may be gone before its answer: that is what was asked for.
            Ok(_) if *request == Request::Quit => return Ok(Value::Object(serde_json::Map::new())),
            Err(e) if e.kind() == ErrorKind::ConnectionReset && *request == Request::Quit => {
                return Ok(Value::Object(serde_json::Map::new()));
            }
            Ok(_) => bail!("the machine ended before it answered"),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(self.whose.silent(self.pid).into()),
            Err(e) => return Err(e).context("the machine is gone"),
        }
        match serde_json::from_slice(&line).context("the machine's answer is not understood")? {
            Response::Ok(value) => Ok(value),
            Response::Error(words) => bail!(words),
        }
    }
}
