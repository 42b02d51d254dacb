//! Cuts what a guest sends into lines, without growing beyond a bound.

/// Flushes the other side's parser (`docs/interop/qemu-ga.rst`, `guest-sync-delimited`): no UTF-8 text has this byte.
pub const FLUSH: u8 = 0xFF;

/// A whole line, or word that one was too long to be kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// Collects bytes into lines. The agent ends each answer with a newline and begins that to a sync with [`FLUSH`], which
/// makes whatever came before it on the line void.
#[derive(Default)]
pub struct Framer {
    buffer: Vec<u8>,
    searched: usize,
    /// In the middle of a line that is not kept.
    skipping: bool,
}

impl Framer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line without its end. A line of more than `limit` bytes is told once, as soon as it is known, and its
    /// bytes are dropped as they come; so at most `limit` and one read are ever held.
    pub fn next(&mut self, limit: usize) -> Option<Line> {
        loop {
            let fresh = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = fresh.iter().position(|byte| matches!(*byte, b'\n' | FLUSH)) else {
                if self.skipping {
                    self.buffer.clear();
                } else if self.buffer.len() > limit {
                    self.buffer = Vec::new();
                    self.searched = 0;
                    self.skipping = true;
                    return Some(Line::TooLong);
                }
                self.searched = self.buffer.len();
                return None;
            };
            let end = self.searched + at;
            let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
            let mark = line.pop();
            self.searched = 0;
            if std::mem::take(&mut self.skipping) || mark == Some(FLUSH) {
                continue;
            }
            return Some(if line.len() > limit { Line::TooLong } else { Line::Whole(line) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(framer: &mut Framer, limit: usize) -> Vec<Line> {
        std::iter::from_fn(|| framer.next(limit)).collect()
    }

    #[test]
    fn a_flush_voids_what_came_before_it_on_the_line() {
        let mut framer = Framer::default();
        framer.push(b"{\"return\": tr\xff{\"return\": 7}\nnext");
        assert_eq!(all(&mut framer, 100), [Line::Whole(b"{\"return\": 7}".to_vec())]);
        framer.push(b"\n");
        assert_eq!(all(&mut framer, 100), [Line::Whole(b"next".to_vec())]);
    }

    #[test]
    fn a_line_without_end_is_told_once_and_not_kept() {
        let mut framer = Framer::default();
        let mut told = 0;
        for _ in 0..1000 {
            framer.push(&[b'x'; 1000]);
            told += all(&mut framer, 4096).len();
            assert!(framer.buffer.capacity() < 16 << 10, "{}", framer.buffer.capacity());
        }
        assert_eq!(told, 1);
        framer.push(b"\nwhole\n");
        assert_eq!(all(&mut framer, 4096), [Line::Whole(b"whole".to_vec())]);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(FLUSH), Just(b'a'), any::<u8>()], 0..400),
            cuts in proptest::collection::vec(1_usize..40, 1..40),
        ) {
            let whole = {
                let mut framer = Framer::default();
                framer.push(&bytes);
                all(&mut framer, usize::MAX)
            };
            let mut framer = Framer::default();
            let (mut rest, mut lines) = (&bytes[..], Vec::new());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                framer.push(now);
                lines.extend(all(&mut framer, usize::MAX));
                rest = later;
            }
            prop_assert_eq!(lines, whole);
        }

        #[test]
        fn no_line_is_longer_than_the_limit(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()], 0..400),
            cut in 1_usize..40, limit in 0_usize..30,
        ) {
            let mut framer = Framer::default();
            for part in bytes.chunks(cut) {
                framer.push(part);
                for line in all(&mut framer, limit) {
                    prop_assert!(!matches!(&line, Line::Whole(line) if line.len() > limit), "{:?}", line);
                }
                prop_assert!(framer.buffer.len() <= limit + cut);
            }
        }
    }
}
