//! The virtio-serial port to the host.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use tiny_guest::protocol::{self, Message, Request};
use tiny_guest::wire::{Queue, Reader};

const CLASS: &str = "/sys/class/virtio-ports";

/// The open port.
pub struct Port {
    file: File,
    link: Link,
    reader: Reader,
    queue: Queue,
}

/// Whether the host has the port open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Closed,
    /// It sent something, but the kernel does not say yet that it opened the port: data and that news travel by
    /// different queues, and data can be first.
    Heard,
    Open,
}

/// What came from the host.
pub enum Incoming {
    /// The host opened the port.
    Opened,
    /// A command, or why it is none.
    Command(Result<Request, String>),
}

impl Port {
    /// Opens the port, if the machine has it.
    pub fn find() -> Option<Self> {
        for entry in fs::read_dir(CLASS).ok()?.flatten() {
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            if name.trim() == protocol::PORT {
                let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).ok()?;
                let path = std::path::Path::new("/dev").join(entry.file_name());
                let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).ok()?;
                let (reader, queue) = (Reader::default(), Queue::default());
                return Some(Self { file, link: Link::Closed, reader, queue });
            }
        }
        None
    }

    /// Notes whether the kernel calls the port open, and reads what the host sent.
    pub fn receive(&mut self, open: bool) -> Vec<Incoming> {
        let mut incoming = Vec::new();
        match (self.link, open) {
            (Link::Closed, true) => incoming.push(Incoming::Opened),
            (Link::Open, false) => {
                // What this host did not read is no news for the next one.
                (self.reader, self.queue) = (Reader::default(), Queue::default());
                self.link = Link::Closed;
            }
            (Link::Heard, true) => self.queue.hurry(),
            _ => {}
        }
        if open {
            self.link = Link::Open;
        }
        let mut buffer = [0; 4096];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return incoming,
                Ok(length) => {
                    if self.link == Link::Closed {
                        self.link = Link::Heard;
                        incoming.push(Incoming::Opened);
                    }
                    incoming.extend(self.reader.take(&buffer[..length]).into_iter().map(Incoming::Command));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return incoming,
            }
        }
    }

    /// Sends a message with the next batch.
    pub fn log(&mut self, message: &Message, now: u64) {
        if self.link != Link::Closed {
            self.queue.log(message, now);
        }
    }

    /// Sends a message, and what waited before it, as soon as the port takes it.
    pub fn send(&mut self, message: &Message, now: u64) {
        if self.link != Link::Closed {
            self.queue.send(message, now);
        }
    }

    /// Sends an answer whose arrival time matters, ahead of what waits.
    pub fn answer_now(&mut self, message: &Message, now: u64) {
        if self.link != Link::Closed {
            self.queue.answer(message);
            self.flush(now);
        }
    }

    /// When to call [`Self::flush`] next.
    pub const fn due(&self) -> Option<u64> {
        self.queue.due()
    }

    /// Writes what waits, if it is time.
    pub fn flush(&mut self, now: u64) {
        loop {
            let ready = self.queue.ready(now);
            if ready.is_empty() {
                return;
            }
            match self.file.write(ready) {
                Ok(length) => self.queue.advance(length),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.queue.wait(now),
                Err(_) => self.queue = Queue::default(),
            }
        }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
