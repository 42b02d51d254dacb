//! Chunks and messages (`vd_agent.h`). All numbers are little-endian.
//!
//! A message is a header of [`MESSAGE_HEADER`] bytes (protocol 1, type, 8 bytes of no meaning here, size) and its body. It crosses
//! the port in chunks, each with a header of [`CHUNK_HEADER`] bytes: the port (1 is ours) and a size. The agent takes at most
//! [`MAX_CHUNK`] bytes in a chunk, and sends a message of any size in one.

/// Bytes of a chunk's header.
pub const CHUNK_HEADER: usize = 8;

/// Bytes of a message's header.
pub const MESSAGE_HEADER: usize = 20;

/// The most bytes in a chunk to the guest (`VD_AGENT_MAX_DATA_SIZE`).
pub const MAX_CHUNK: usize = 2048;

/// More than any message has: what says so is no header.
const MAX_SIZE: u32 = 1 << 30;

/// The port that is the client's, which we are (`VDP_CLIENT_PORT`).
pub const CLIENT_PORT: u32 = 1;

/// The port of SPICE's own server, whose messages mean nothing here (`VDP_SERVER_PORT`).
const SERVER_PORT: u32 = 2;

const PROTOCOL: u32 = 1;

/// Types of messages.
pub mod message {
    /// The sizes that the guest's screens should have.
    pub const MONITORS_CONFIG: u32 = 2;
    /// A clipboard's content.
    pub const CLIPBOARD: u32 = 4;
    /// What a side can do.
    pub const ANNOUNCE_CAPABILITIES: u32 = 6;
    /// A side has copied something.
    pub const CLIPBOARD_GRAB: u32 = 7;
    /// A side wants it.
    pub const CLIPBOARD_REQUEST: u32 = 8;
    /// A side has it no more.
    pub const CLIPBOARD_RELEASE: u32 = 9;
    /// A file comes.
    pub const FILE_XFER_START: u32 = 10;
    /// What became of a file.
    pub const FILE_XFER_STATUS: u32 = 11;
    /// A piece of a file.
    pub const FILE_XFER_DATA: u32 = 12;
    /// The most bytes of a content that are taken.
    pub const MAX_CLIPBOARD: u32 = 14;
}

/// What a side can do: bits of an announcement.
pub mod capability {
    /// It sets the sizes of the guest's screens.
    pub const MONITORS_CONFIG: u32 = 1;
    /// It shares a clipboard by grab and request.
    pub const CLIPBOARD_BY_DEMAND: u32 = 5;
    /// Its messages name the selection.
    pub const CLIPBOARD_SELECTION: u32 = 6;
    /// The guest's lines end with `\r\n`.
    pub const GUEST_LINEEND_CRLF: u32 = 9;
    /// It minds `MAX_CLIPBOARD`.
    pub const MAX_CLIPBOARD: u32 = 10;
    /// It takes no files.
    pub const FILE_XFER_DISABLED: u32 = 13;
    /// It understands why a file was not taken.
    pub const FILE_XFER_DETAILED_ERRORS: u32 = 14;
    /// A grab that follows a grab needs no release in between.
    pub const CLIPBOARD_NO_RELEASE_ON_REGRAB: u32 = 16;
    /// Grabs are numbered, so that of two that cross each other both sides know which counts.
    pub const CLIPBOARD_GRAB_SERIAL: u32 = 17;
}

/// The types of contents.
pub(crate) mod content {
    pub const NONE: u32 = 0;
    pub const UTF8_TEXT: u32 = 1;
    pub const IMAGE_PNG: u32 = 2;
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message {
        /// Its type.
        kind: u32,
        /// Its body.
        body: Vec<u8>,
    },
    /// A message whose body was larger than wanted, and is gone.
    Skipped {
        /// Its type.
        kind: u32,
        /// Bytes of its body.
        size: u32,
    },
}

/// What comes is no chunk or no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfStep;

/// Bytes that are being collected, up to a number that is known.
#[derive(Debug)]
struct Header<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Header<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], filled: 0 }
    }

    /// Takes what it can of `input`; the bytes once they are complete.
    fn take(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        let count = input.len().min(N - self.filled);
        let (taken, rest) = input.split_at(count);
        if let Some(space) = self.bytes.get_mut(self.filled..self.filled + count) {
            space.copy_from_slice(taken);
        }
        *input = rest;
        self.filled += count;
        if self.filled < N {
            return None;
        }
        self.filled = 0;
        Some(self.bytes)
    }
}

/// A body that is being collected or skipped.
#[derive(Debug)]
struct Body {
    kind: u32,
    size: u32,
    left: u32,
    /// `None` if it is skipped.
    kept: Option<Vec<u8>>,
}

/// Takes a stream apart.
#[derive(Debug)]
pub struct Decoder {
    chunk: Header<CHUNK_HEADER>,
    port: u32,
    /// Bytes of the present chunk that are still to come.
    left: u32,
    message: Header<MESSAGE_HEADER>,
    body: Option<Body>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { chunk: Header::new(), port: CLIENT_PORT, left: 0, message: Header::new(), body: None }
    }
}

impl Decoder {
    /// Takes `input` up to the end of a message, which it returns; `None` when all of it is taken. `limit` says how many bytes of a
    /// body of some type are wanted.
    ///
    /// # Errors
    /// [`OutOfStep`]. What follows cannot be understood until a new start.
    pub fn next(
        &mut self,
        input: &mut &[u8],
        limit: impl Fn(u32) -> usize,
    ) -> Result<Option<Frame>, OutOfStep> {
        loop {
            if self.left == 0 {
                // A body of no bytes is complete as soon as its header is.
                let Some(header) = self.chunk.take(input) else { return Ok(None) };
                let (port, size) = (number(&header, 0), number(&header, 4));
                if !matches!(port, CLIENT_PORT | SERVER_PORT) || size > MAX_SIZE {
                    return Err(OutOfStep);
                }
                (self.port, self.left) = (port, size);
                continue;
            }
            let count = input.len().min(self.left as usize);
            let Some((mut piece, _)) = input.split_at_checked(count).filter(|_| count > 0) else {
                return Ok(None);
            };
            let before = piece.len();
            let frame = if self.port == CLIENT_PORT {
                self.message_piece(&mut piece, &limit)
            } else {
                piece = &[];
                Ok(None)
            };
            let taken = before - piece.len();
            *input = input.get(taken..).unwrap_or_default();
            self.left -= taken as u32;
            if let Some(frame) = frame? {
                return Ok(Some(frame));
            }
        }
    }

    /// Whether it is in the middle of something.
    pub fn is_midway(&self) -> bool {
        self.left > 0 || self.chunk.filled > 0 || self.message.filled > 0 || self.body.is_some()
    }

    /// The type of the message in whose body it is.
    pub fn in_body(&self) -> Option<u32> {
        self.body.as_ref().map(|body| body.kind)
    }

    fn message_piece(
        &mut self,
        piece: &mut &[u8],
        limit: &impl Fn(u32) -> usize,
    ) -> Result<Option<Frame>, OutOfStep> {
        if self.body.is_none() {
            let Some(header) = self.message.take(piece) else { return Ok(None) };
            let (protocol, kind, size) = (number(&header, 0), number(&header, 4), number(&header, 16));
            if protocol != PROTOCOL || size > MAX_SIZE {
                return Err(OutOfStep);
            }
            // It grows as it comes: what a header says is no reason to make room.
            let kept = (size as usize <= limit(kind)).then(Vec::new);
            self.body = Some(Body { kind, size, left: size, kept });
        }
        let Some(body) = &mut self.body else { return Ok(None) };
        let count = piece.len().min(body.left as usize);
        let (taken, rest) = piece.split_at(count);
        if let Some(kept) = &mut body.kept {
            kept.extend_from_slice(taken);
        }
        *piece = rest;
        body.left -= count as u32;
        if body.left > 0 {
            return Ok(None);
        }
        Ok(self.body.take().map(|Body { kind, size, kept, .. }| match kept {
            Some(body) => Frame::Message { kind, body },
            None => Frame::Skipped { kind, size },
        }))
    }
}

/// The number at a place in a header.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Takes a number off the beginning of a body.
pub(crate) fn take_number(body: &mut &[u8]) -> Option<u32> {
    let (number, rest) = body.split_first_chunk::<4>()?;
    *body = rest;
    Some(u32::from_le_bytes(*number))
}

/// A message's header.
pub fn message_header(kind: u32, size: usize) -> Vec<u8> {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let mut header = Vec::with_capacity(MESSAGE_HEADER + 16);
    for part in [PROTOCOL, kind, 0, 0, size] {
        header.extend(part.to_le_bytes());
    }
    header
}

/// A chunk's header.
pub fn chunk_header(size: usize) -> [u8; CHUNK_HEADER] {
    let mut header = [0; CHUNK_HEADER];
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    header[..4].copy_from_slice(&CLIENT_PORT.to_le_bytes());
    header[4..].copy_from_slice(&size.to_le_bytes());
    header
}

/// A message in one chunk, as an agent sends it: for those who play one.
pub fn whole(kind: u32, body: &[u8]) -> Vec<u8> {
    let message = [message_header(kind, body.len()), body.to_vec()].concat();
    [&chunk_header(message.len())[..], &message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(decoder: &mut Decoder, mut input: &[u8], limit: usize) -> Result<Vec<Frame>, OutOfStep> {
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next(&mut input, |_| limit)? {
            frames.push(frame);
        }
        assert!(input.is_empty());
        Ok(frames)
    }

    fn chunked(kind: u32, body: &[u8], chunk: usize) -> Vec<u8> {
        let message = [message_header(kind, body.len()), body.to_vec()].concat();
        message.chunks(chunk).flat_map(|piece| [&chunk_header(piece.len())[..], piece].concat()).collect()
    }

    proptest! {
        #[test]
        fn messages_come_whole_however_they_are_cut(
            bodies in proptest::collection::vec((0_u32..20, proptest::collection::vec(any::<u8>(), 0..300)), 0..6),
            chunk in 1_usize..100,
            read in 1_usize..200,
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|(kind, body)| chunked(*kind, body, chunk)).collect();
            let mut decoder = Decoder::default();
            let mut frames = Vec::new();
            for piece in stream.chunks(read) {
                frames.extend(all(&mut decoder, piece, 200).expect("is in step"));
            }
            prop_assert!(!decoder.is_midway());
            let expected: Vec<Frame> = bodies.into_iter().map(|(kind, body)| {
                if body.len() <= 200 {
                    Frame::Message { kind, body }
                } else {
                    Frame::Skipped { kind, size: body.len() as u32 }
                }
            }).collect();
            prop_assert_eq!(frames, expected);
        }

        #[test]
        fn whatever_comes_it_ends(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::default();
            let _ = all(&mut decoder, &bytes, 100);
        }
    }

    #[test]
    fn what_is_the_servers_is_passed_over() {
        let mut server = chunk_header(3).to_vec();
        server[0] = 2;
        server.extend(b"abc");
        server.extend(whole(6, b"x"));
        let mut decoder = Decoder::default();
        let frames = all(&mut decoder, &server, 9).expect("is in step");
        assert_eq!(frames, [Frame::Message { kind: 6, body: b"x".to_vec() }]);
    }

    #[test]
    fn what_is_no_header_is_out_of_step() {
        for bad in [
            [0_u32.to_le_bytes(), 4_u32.to_le_bytes()].concat(),
            [1_u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat(),
            [chunk_header(20).to_vec(), vec![9; 20]].concat(),
        ] {
            assert_eq!(all(&mut Decoder::default(), &bad, 9), Err(OutOfStep));
        }
    }
}
