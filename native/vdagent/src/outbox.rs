//! Messages on their way to the guest.

use crate::wire::{CHUNK_HEADER, MAX_CHUNK, chunk_header, message_header};
use std::collections::VecDeque;
use std::sync::Arc;

/// The most messages that wait. A guest that asks for more than it reads does not get more.
const MAX_WAITING: usize = 64;

struct Message {
    /// Its header, and what of its body is not content.
    head: Vec<u8>,
    content: Arc<[u8]>,
    /// Bytes of both that were put into chunks.
    sent: usize,
}

impl Message {
    fn size(&self) -> usize {
        self.head.len() + self.content.len()
    }

    /// Appends bytes from a place in it.
    fn copy(&self, from: usize, to: usize, chunk: &mut Vec<u8>) {
        let head = self.head.len();
        chunk.extend(self.head.get(from.min(head)..to.min(head)).unwrap_or_default());
        let content = self.content.get(from.saturating_sub(head)..to.saturating_sub(head));
        chunk.extend(content.unwrap_or_default());
    }
}

/// The queue. Contents are shared and not copied.
#[derive(Default)]
pub struct Outbox(VecDeque<Message>);

impl Outbox {
    /// Adds a message, unless too many wait.
    pub fn push(&mut self, kind: u32, fixed: &[u8], content: Arc<[u8]>) -> bool {
        if self.0.len() >= MAX_WAITING {
            return false;
        }
        let mut head = message_header(kind, fixed.len() + content.len());
        head.extend(fixed);
        self.0.push_back(Message { head, content, sent: 0 });
        true
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The next chunk, appended to `bytes`; false if there is none.
    pub fn chunk(&mut self, bytes: &mut Vec<u8>) -> bool {
        let Some(message) = self.0.front_mut() else { return false };
        let size = (message.size() - message.sent).min(MAX_CHUNK);
        bytes.reserve(CHUNK_HEADER + size);
        bytes.extend(chunk_header(size));
        message.copy(message.sent, message.sent + size, bytes);
        message.sent += size;
        if message.sent == message.size() {
            self.0.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Decoder, Frame};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sent_arrives(
            messages in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..9), proptest::collection::vec(any::<u8>(), 0..6000)), 0..5)
        ) {
            let mut outbox = Outbox::default();
            for (fixed, content) in &messages {
                assert!(outbox.push(4, fixed, content.as_slice().into()));
            }
            let mut bytes = Vec::new();
            while outbox.chunk(&mut bytes) {}
            let (mut decoder, mut input) = (Decoder::default(), &bytes[..]);
            for (fixed, content) in messages {
                let body = [fixed, content].concat();
                let frame = decoder.next(&mut input, |_| usize::MAX).expect("is in step");
                prop_assert_eq!(frame, Some(Frame::Message { kind: 4, body }));
            }
            prop_assert!(input.is_empty());
        }
    }

    #[test]
    fn a_guest_that_only_asks_gets_a_bounded_answer() {
        let mut outbox = Outbox::default();
        let content: Arc<[u8]> = vec![0; 1 << 20].into();
        let taken = (0..1000).filter(|_| outbox.push(4, &[], Arc::clone(&content))).count();
        assert_eq!(taken, MAX_WAITING);
        assert_eq!(Arc::strong_count(&content), MAX_WAITING + 1);
    }
}
