//! What a viewer that joins is sent without anything being encoded: the last keyframe and the differences since.

use crate::transport::Frame;
use std::sync::Arc;

/// The most pictures: a decoder works through so many in a twentieth of a second.
const MOST_FRAMES: usize = 24;

/// The most bytes besides the keyframe. More would cost a joiner more than a keyframe of its own.
const MOST_BYTES: usize = 512 * 1024;

/// Pictures that make the last one, each building on the one before.
#[derive(Debug, Default)]
pub struct Kept {
    frames: Vec<Arc<Frame>>,
    bytes: usize,
}

impl Kept {
    /// Adds the picture that was just encoded. What has grown too long is given up, until the next keyframe.
    pub fn add(&mut self, frame: &Arc<Frame>) {
        if frame.key {
            self.clear();
        } else if self.frames.is_empty() {
            return;
        } else {
            self.bytes += frame.payloads.iter().map(bytes::Bytes::len).sum::<usize>();
        }
        if self.frames.len() >= MOST_FRAMES || self.bytes > MOST_BYTES {
            self.clear();
        } else {
            self.frames.push(frame.clone());
        }
    }

    /// Gives up what is kept.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// Bytes of all of them; 0 where nothing is kept.
    pub fn bytes(&self) -> usize {
        let of = |frame: &Arc<Frame>| frame.payloads.iter().map(bytes::Bytes::len).sum::<usize>();
        self.bytes + self.frames.first().map_or(0, of)
    }

    /// Whether anything is kept.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The pictures at the time `timestamp`, each a tick of RTP's clock before the next: a viewer shows the last alone, if it can.
    pub fn at(&self, timestamp: u32) -> Vec<Arc<Frame>> {
        let last = self.frames.len().saturating_sub(1) as u32;
        let stamped = |(n, frame): (usize, &Arc<Frame>)| {
            // Both wrap by design (RFC 3550 section 5.1).
            let timestamp = timestamp.wrapping_sub(last.wrapping_sub(n as u32));
            Arc::new(Frame { timestamp, refined: frame.refined && n as u32 == last, ..(**frame).clone() })
        };
        self.frames.iter().enumerate().map(stamped).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(key: bool, bytes: usize) -> Arc<Frame> {
        let payloads = vec![bytes::Bytes::from(vec![0; bytes])].into();
        Arc::new(Frame { key, payloads, refined: true, ..Frame::default() })
    }

    #[test]
    fn a_keyframe_and_what_follows_are_kept_in_order_of_time() {
        let mut kept = Kept::default();
        kept.add(&frame(false, 1));
        assert!(kept.is_empty(), "a difference to nothing");
        kept.add(&frame(true, 1 << 20));
        kept.add(&frame(false, 10));
        kept.add(&frame(false, 10));
        let times: Vec<_> = kept.at(1).iter().map(|frame| (frame.timestamp, frame.refined)).collect();
        assert_eq!(times, [(u32::MAX, false), (0, false), (1, true)]);
        assert_eq!(kept.bytes(), (1 << 20) + 20);
        kept.add(&frame(true, 5));
        assert_eq!((kept.at(9).len(), kept.bytes()), (1, 5));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        kept.add(&frame(true, 1));
        for _ in 0..MOST_FRAMES {
            kept.add(&frame(false, 1));
        }
        assert!(kept.is_empty(), "too many");
        kept.add(&frame(true, 1));
        kept.add(&frame(false, MOST_BYTES + 1));
        assert!(kept.is_empty(), "too large");
    }
}
