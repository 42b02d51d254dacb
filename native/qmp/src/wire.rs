//! Lines on the socket: bounded when read, with a file descriptor when written.

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The longest line taken from QEMU, in bytes. Its longest answer (`query-qmp-schema`) has some 200 KiB; a peer that
/// never ends a line must not make us grow.
pub const MAX_LINE: usize = 1 << 20;

/// The longest event. Those of QEMU have some hundred bytes.
pub const MAX_EVENT: usize = 16 << 10;

/// Writes all of `line`; `fd` goes as `SCM_RIGHTS` with its first byte, as `getfd` wants it.
pub async fn write_line(stream: &UnixStream, line: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut rest = line;
    let mut fd = fd;
    while !rest.is_empty() {
        let sent = stream
            .async_io(Interest::WRITABLE, || {
                let raw = fd.map(|fd| [fd.as_raw_fd()]);
                let rights = raw.as_ref().map(|raw| [ControlMessage::ScmRights(raw)]);
                let control = rights.as_ref().map_or(&[][..], |rights| &rights[..]);
                // Without MSG_NOSIGNAL a dead peer would raise SIGPIPE.
                Ok(sendmsg::<()>(
                    stream.as_raw_fd(),
                    &[IoSlice::new(rest)],
                    control,
                    MsgFlags::MSG_NOSIGNAL,
                    None,
                )?)
            })
            .await?;
        fd = None;
        rest = rest.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Collects bytes into lines.
#[derive(Default)]
pub struct Lines {
    buffer: Vec<u8>,
    searched: usize,
}

impl Lines {
    /// The next whole line without its end, if there is one.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let at = self.buffer[self.searched..].iter().position(|b| *b == b'\n');
        let Some(at) = at else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = self.searched + at;
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        self.searched = 0;
        line.pop();
        Some(line)
    }

    /// Whether what has come of a line is more than a line has. To be asked when there is no whole one.
    pub fn overflows(&self) -> bool {
        self.buffer.len() > MAX_LINE
    }

    /// Reads what is there. `Ok(false)` at the end of the stream.
    pub async fn fill(&mut self, stream: &UnixStream) -> io::Result<bool> {
        loop {
            stream.readable().await?;
            match stream.try_read_buf(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_in_order() {
        let mut lines = Lines::default();
        assert_eq!(lines.next(), None);
        lines.buffer.extend(b"one\ntw");
        assert_eq!(lines.next().as_deref(), Some(&b"one"[..]));
        assert_eq!(lines.next(), None);
        lines.buffer.extend(b"o\n\n");
        assert_eq!(lines.next().as_deref(), Some(&b"two"[..]));
        assert_eq!(lines.next().as_deref(), Some(&b""[..]));
        assert_eq!(lines.next(), None);
    }
}
