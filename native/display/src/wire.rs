//! The socket under a D-Bus connection, with bounds on what a peer may send.
//!
//! zbus alone takes messages of 128 MiB with any number of file descriptors. This hands it the bytes while it follows
//! the messages' bounds, and ends the connection where one is longer than it may be or carries too many files.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, recvmsg, sendmsg, shutdown,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UnixStream;
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};

/// Files that one message may carry; a picture has one, with several planes up to four.
const MAX_FILES: usize = 4;

/// A connected socket, and the longest message it takes.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: UnixStream,
    largest: u64,
}

impl Wire {
    pub(crate) fn new(socket: UnixStream, largest: u64) -> Self {
        Self { socket, largest }
    }
}

impl Socket for Wire {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let socket = Arc::new(self.socket);
        let bounds = Bounds::new(self.largest);
        Split::new(Reader { socket: socket.clone(), bounds }, Writer { socket })
    }
}

/// The half that receives.
#[derive(Debug)]
pub(crate) struct Reader {
    socket: Arc<UnixStream>,
    bounds: Bounds,
}

#[async_trait::async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let socket = &self.socket;
        let (read, files) = socket.async_io(Interest::READABLE, || receive(socket, buffer)).await?;
        self.bounds.pass(&buffer[..read], files.len())?;
        Ok((read, files))
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

fn receive(socket: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(too_much("more files than a message may carry"));
    }
    Ok((received.bytes, files))
}

fn too_much(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The half that sends.
#[derive(Debug)]
pub(crate) struct Writer {
    socket: Arc<UnixStream>,
}

#[async_trait::async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, buffer: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let socket = &self.socket;
        socket.async_io(Interest::WRITABLE, || send(socket, buffer, files)).await
    }

    async fn close(&mut self) -> io::Result<()> {
        match shutdown(&*self.socket, Shutdown::Both) {
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

fn send(socket: &UnixStream, buffer: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(too_much("more files than we ever send"));
    }
    // Without NOSIGNAL a peer that hung up would end the whole process.
    Ok(sendmsg(socket, &[IoSlice::new(buffer)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Where messages begin and end in the stream of bytes, by their fixed headers (D-Bus specification, "Message
/// Format").
#[derive(Debug)]
struct Bounds {
    largest: u64,
    header: [u8; Self::HEADER],
    /// Bytes of the header that are known.
    known: usize,
    /// Bytes of the message that are still to come after its header.
    left: u64,
    /// Files that came with the message so far.
    files: usize,
}

impl Bounds {
    /// Up to the length of the header's fields.
    const HEADER: usize = 16;

    fn new(largest: u64) -> Self {
        Self { largest, header: [0; Self::HEADER], known: 0, left: 0, files: 0 }
    }

    /// Follows received bytes, and refuses what is out of bounds.
    fn pass(&mut self, mut bytes: &[u8], files: usize) -> io::Result<()> {
        self.files += files;
        if self.files > MAX_FILES {
            return Err(too_much("more files than a message may carry"));
        }
        while !bytes.is_empty() {
            if self.known < Self::HEADER {
                let (taken, rest) = bytes.split_at(bytes.len().min(Self::HEADER - self.known));
                self.header[self.known..self.known + taken.len()].copy_from_slice(taken);
                self.known += taken.len();
                bytes = rest;
                if self.known < Self::HEADER {
                    continue;
                }
                let length = self.length();
                if length > self.largest {
                    return Err(too_much("a message longer than it may be"));
                }
                self.left = length - Self::HEADER as u64;
            }
            let taken = self.left.min(bytes.len() as u64);
            self.left -= taken;
            // Not more than there are bytes, so it fits.
            bytes = &bytes[taken as usize..];
            if self.left == 0 {
                (self.known, self.files) = (0, 0);
            }
        }
        Ok(())
    }

    /// The whole message's length by its header: fields padded to eight, then the body.
    fn length(&self) -> u64 {
        let number = |at: usize| {
            let bytes = [self.header[at], self.header[at + 1], self.header[at + 2], self.header[at + 3]];
            u64::from(if self.header[0] == b'B' {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            })
        };
        (Self::HEADER as u64 + number(12)).next_multiple_of(8) + number(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::Message;

    fn message(words: &str) -> Vec<u8> {
        let message = Message::method_call("/a", "B").build(&words).expect("a message");
        message.data().to_vec()
    }

    #[test]
    fn messages_are_followed_whatever_the_pieces() {
        let all: Vec<u8> = ["", "x", "longer words", "more"].into_iter().flat_map(message).collect();
        for piece in 1..40 {
            let mut bounds = Bounds::new(200);
            for bytes in all.chunks(piece) {
                bounds.pass(bytes, 0).expect("in bounds");
            }
            assert_eq!((bounds.known, bounds.left), (0, 0), "pieces of {piece}");
        }
    }

    #[test]
    fn a_long_message_is_refused_by_its_header() {
        let long = message(&"x".repeat(1000));
        let mut bounds = Bounds::new(long.len() as u64);
        assert!(bounds.pass(&long, 0).is_ok());
        let mut bounds = Bounds::new(long.len() as u64 - 1);
        assert!(bounds.pass(&long[..15], 0).is_ok());
        assert!(bounds.pass(&long[15..16], 0).is_err());
        let mut bounds = Bounds::new(u64::from(u32::MAX));
        assert!(bounds.pass(&[0xff; 16], 0).is_err());
    }

    #[test]
    fn files_are_counted_by_the_message() {
        let mut bounds = Bounds::new(1000);
        let words = message("x");
        for _ in 0..10 {
            bounds.pass(&words[..1], MAX_FILES).expect("as many as may be");
            bounds.pass(&words[1..], 0).expect("the rest");
        }
        bounds.pass(&words[..1], MAX_FILES).expect("as many as may be");
        assert!(bounds.pass(&words[1..2], 1).is_err());
    }
}
