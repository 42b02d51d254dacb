//! QEMU's own words: its log on the way to whoever reads it, with the last lines kept for the [`Exit`](crate::Exit).

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Lines kept: an error of QEMU's is one to three, hints included.
const LINES: usize = 12;
/// Bytes kept of one line; guests can make some of QEMU's messages as long as they like.
const LINE_BYTES: usize = 500;

/// The end of a text that arrives in pieces. Bounded.
#[derive(Debug, Default)]
pub(crate) struct LastLines {
    lines: VecDeque<String>,
    partial: Vec<u8>,
}

impl LastLines {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.end_line();
            } else if self.partial.len() < LINE_BYTES {
                self.partial.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).trim_end().to_owned();
        if !line.is_empty() {
            if self.lines.len() == LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line);
        }
    }

    pub(crate) fn text(&mut self) -> String {
        self.end_line();
        self.lines.make_contiguous().join("\n")
    }
}

/// Reads QEMU's log so that QEMU never waits for its reader, and passes it on as far as it is wanted.
#[derive(Debug)]
pub(crate) struct LogTee {
    from: Option<UnixStream>,
    to: Option<UnixStream>,
    last: LastLines,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The other fd has something to say.
    Event,
    /// The time is over.
    Deadline,
}

impl LogTee {
    /// The tee, the end that QEMU writes to, and the end that the user reads.
    pub(crate) fn new() -> io::Result<(Self, OwnedFd, UnixStream)> {
        let (from, qemu) = UnixStream::pair()?;
        let (to, user) = UnixStream::pair()?;
        from.set_nonblocking(true)?;
        to.set_nonblocking(true)?;
        let tee = Self { from: Some(from), to: Some(to), last: LastLines::default() };
        Ok((tee, qemu.into(), user))
    }

    /// Takes all that has been said so far.
    pub(crate) fn pump(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(from) = &mut self.from {
            match from.read(&mut buffer) {
                Ok(0) => self.from = None,
                Ok(n) => {
                    self.last.push(&buffer[..n]);
                    self.pass_on(&buffer[..n]);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.from = None,
            }
        }
    }

    /// A reader that is slow loses what it is late for; one that is gone is forgotten.
    fn pass_on(&mut self, bytes: &[u8]) {
        let Some(to) = &mut self.to else { return };
        match to.write(bytes) {
            Ok(_) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.to = None,
        }
    }

    /// Pumps until `event` is readable.
    pub(crate) fn wait(&mut self, event: BorrowedFd<'_>, deadline: Option<Instant>) -> Woken {
        loop {
            let timeout = match deadline {
                None => PollTimeout::NONE,
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Woken::Deadline;
                    }
                    // Rounded up, so that the loop does not spin in the last millisecond.
                    PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX)
                }
            };
            let mut fds = vec![PollFd::new(event, PollFlags::POLLIN)];
            if let Some(from) = &self.from {
                fds.push(PollFd::new(from.as_fd(), PollFlags::POLLIN));
            }
            if poll(&mut fds, timeout).is_err() {
                continue; // EINTR
            }
            let event_came = fds[0].any().unwrap_or(true);
            self.pump();
            if event_came {
                return Woken::Event;
            }
        }
    }

    /// The last lines of all that QEMU has said by now.
    pub(crate) fn words(&mut self) -> String {
        self.pump();
        self.last.text()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_bounded() {
        let mut last = LastLines::default();
        for i in 0..100 {
            last.push(format!("line {i}\n").as_bytes());
        }
        last.push(&vec![b'x'; 1 << 20]);
        let text = last.text();
        assert_eq!(text.lines().count(), LINES);
        assert!(text.starts_with("line 89\n"), "{text}");
        assert_eq!(text.lines().last().unwrap().len(), LINE_BYTES);
    }

    #[test]
    fn a_reader_that_never_reads_does_not_stop_the_writer() {
        let (mut tee, qemu, user) = LogTee::new().unwrap();
        let (mut done, event) = UnixStream::pair().unwrap();
        let writer = std::thread::spawn(move || {
            let mut qemu = UnixStream::from(qemu);
            for i in 0..20_000 {
                writeln!(qemu, "message number {i} of a chatty guest").unwrap();
            }
            done.write_all(b"x").unwrap();
        });
        let deadline = Some(Instant::now() + Duration::from_secs(60));
        assert_eq!(tee.wait(event.as_fd(), deadline), Woken::Event);
        writer.join().unwrap();
        assert!(tee.words().ends_with("message number 19999 of a chatty guest"));
        drop(user);
    }

    #[test]
    fn the_reader_gets_what_was_said() {
        let (mut tee, qemu, mut user) = LogTee::new().unwrap();
        UnixStream::from(qemu).write_all(b"qemu: warning: something\n").unwrap();
        assert_eq!(tee.words(), "qemu: warning: something");
        drop(tee);
        let mut read = String::new();
        user.read_to_string(&mut read).unwrap();
        assert_eq!(read, "qemu: warning: something\n");
    }
}
