//! Lines on their way: commands put together from what was read, messages that wait to be written.
//!
//! No descriptors here: whoever has one hands over bytes and the time.

use crate::protocol::{self, MAX_LINE, Message, Request};

/// Lines about paints wait this long for others, so that writing them does not disturb the painting (nanoseconds).
pub const BATCH_NS: u64 = 100_000_000;
/// Bytes that may wait for a host that does not read; some 10,000 paints.
pub const MAX_QUEUE: usize = 1 << 20;

/// Puts commands together.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    /// The line being read is longer than allowed.
    skipping: bool,
}

impl Reader {
    /// Takes bytes as they come and gives the commands that are complete, or why one is none.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Result<Request, String>> {
        let mut commands = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let whole = part.ends_with(b"\n");
            if self.skipping || self.line.len() + part.len() > MAX_LINE {
                if !self.skipping {
                    commands.push(Err(format!("a command may have {MAX_LINE} bytes")));
                }
                self.line.clear();
                self.skipping = !whole;
                continue;
            }
            self.line.extend_from_slice(part);
            if whole {
                let line = std::mem::take(&mut self.line);
                if !line.trim_ascii().is_empty() {
                    commands.push(protocol::parse(line.trim_ascii()));
                }
            }
        }
        commands
    }
}

/// Messages that wait to be written.
#[derive(Debug, Default)]
pub struct Queue {
    bytes: Vec<u8>,
    written: usize,
    dropped: u64,
    due: Option<u64>,
}

impl Queue {
    /// Adds a message that can wait for others.
    pub fn log(&mut self, message: &Message, now: u64) {
        if self.bytes.len() > MAX_QUEUE {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            protocol::line(&Message::Dropped { dropped }, &mut self.bytes);
        }
        protocol::line(message, &mut self.bytes);
        self.due = Some(self.due.unwrap_or(now.saturating_add(BATCH_NS)));
    }

    /// Adds a message that is to be written at once, after what waits.
    pub fn send(&mut self, message: &Message, now: u64) {
        self.log(message, now);
        self.hurry();
    }

    /// Adds an answer whose time of arrival matters: it goes ahead of what waits, but never into the middle of a line
    /// of which a part is written.
    pub fn answer(&mut self, message: &Message) {
        let mut line = Vec::new();
        protocol::line(message, &mut line);
        let begun = self.written > 0 && self.bytes[self.written - 1] != b'\n';
        let rest = &self.bytes[self.written..];
        let skip = match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) if begun => end + 1,
            _ => 0,
        };
        let at = self.written + skip;
        self.bytes.splice(at..at, line);
        self.due = Some(0);
    }

    /// What waits is to be written now.
    pub fn hurry(&mut self) {
        self.due = self.due.map(|_| 0);
    }

    /// When to write, `None` while nothing waits.
    #[must_use]
    pub const fn due(&self) -> Option<u64> {
        self.due
    }

    /// What is to be written; empty before its time.
    #[must_use]
    pub fn ready(&self, now: u64) -> &[u8] {
        if self.due.is_some_and(|due| due <= now) { &self.bytes[self.written..] } else { &[] }
    }

    /// So many bytes of [`Self::ready`] were written.
    pub fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= self.bytes.len() {
            self.bytes.clear();
            (self.written, self.due) = (0, None);
        }
    }

    /// The host does not read: try again later.
    pub fn wait(&mut self, now: u64) {
        // Of a line that is partly written one byte stays, so that `answer` knows.
        let keep = usize::from(self.written > 0 && self.bytes[self.written - 1] != b'\n');
        self.bytes.drain(..self.written - keep);
        self.written = keep;
        self.due = Some(now.saturating_add(BATCH_NS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Command;

    const TIME: Message = Message::Time { time_ns: 1, id: None };

    fn paint(paint: u32) -> Message {
        Message::Paint { paint, t: 2, d: 3, rect: [0, 0, 320, 32], cause: None }
    }

    fn written(queue: &mut Queue, now: u64) -> Vec<Message> {
        let bytes = queue.ready(now).to_vec();
        queue.advance(bytes.len());
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        lines.map(|line| serde_json::from_slice(line).expect("a whole line")).collect()
    }

    #[test]
    fn commands_come_whole_however_they_are_cut() {
        let text = b"{\"cmd\":\"time\"}\n\n{\"cmd\":\"state\",\"id\":3}\n{\"cmd\"";
        for size in 1..text.len() {
            let mut reader = Reader::default();
            let commands: Vec<_> = text.chunks(size).flat_map(|part| reader.take(part)).collect();
            let expected = [
                Ok(Request { command: Command::Time, id: None }),
                Ok(Request { command: Command::State, id: Some(3) }),
            ];
            assert_eq!(commands, expected, "in parts of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused_once_and_the_next_is_read() {
        let mut reader = Reader::default();
        let mut commands = Vec::new();
        for _ in 0..1000 {
            commands.extend(reader.take(&[b'x'; 100]));
            assert!(reader.line.len() <= MAX_LINE);
        }
        commands.extend(reader.take(b"x\n{\"cmd\":\"time\"}\n"));
        assert_eq!(commands.len(), 2);
        assert!(commands[0].is_err() && commands[1].is_ok());
    }

    #[test]
    fn paints_wait_for_each_other_and_go_before_what_is_urgent() {
        let mut queue = Queue::default();
        queue.log(&paint(1), 1000);
        queue.log(&paint(2), 2000);
        assert_eq!((queue.due(), queue.ready(1000 + BATCH_NS - 1)), (Some(1000 + BATCH_NS), &[][..]));
        queue.send(&TIME, 3000);
        assert_eq!(written(&mut queue, 3000), [paint(1), paint(2), TIME]);
        assert_eq!(queue.due(), None);
    }

    #[test]
    fn an_answer_passes_what_waits_but_never_splits_a_line() {
        for sent in 0..200 {
            let mut queue = Queue::default();
            queue.log(&paint(1), 0);
            queue.log(&paint(2), 0);
            queue.hurry();
            let mut out = queue.ready(0)[..sent.min(queue.ready(0).len())].to_vec();
            let whole = out.len() == queue.ready(0).len();
            queue.advance(out.len());
            if !whole && sent % 2 == 0 {
                queue.wait(0);
            }
            queue.answer(&TIME);
            out.extend_from_slice(queue.ready(0));
            let lines: Vec<Message> = out
                .split_inclusive(|&b| b == b'\n')
                .map(|l| serde_json::from_slice(l).expect("whole"))
                .collect();
            assert_eq!(lines.len(), 3, "after {sent} bytes");
            let place = lines.iter().position(|line| *line == TIME);
            let length = out.iter().position(|&b| b == b'\n').map_or(0, |end| end + 1);
            if sent == 0 {
                assert_eq!(place, Some(0));
            } else if sent < length {
                assert!(place <= Some(1), "after {sent} bytes");
            }
        }
    }

    #[test]
    fn a_host_that_does_not_read_costs_no_more_than_the_limit_and_is_told() {
        let mut queue = Queue::default();
        for number in 0..100_000 {
            queue.log(&paint(number), 0);
        }
        assert!(queue.bytes.len() < MAX_QUEUE + 1000);
        let kept = written(&mut queue, u64::MAX).len() as u64;
        queue.log(&TIME, 0);
        assert_eq!(written(&mut queue, u64::MAX), [Message::Dropped { dropped: 100_000 - kept }, TIME]);
    }
}
