//! What waits to be sent to one viewer: bounded, and dropped to the next keyframe when it does not drain.

use crate::transport::{Flow, Frame};
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// Frames that may wait for a viewer. More than one, because a viewer in step takes a frame as soon as the one before
/// is gone; few, because everything that waits here is late.
const CAPACITY: usize = 3;

/// The frames on their way to one viewer.
pub struct Outbox {
    flow: Arc<Flow>,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Arc<Frame>>,
    /// The viewer lacks the frames that the next difference builds on.
    needs_key: bool,
    sending: bool,
    dropped: u64,
    closed: bool,
}

impl Outbox {
    /// An empty one for a viewer that has seen nothing yet.
    pub fn new(flow: Arc<Flow>) -> Self {
        let state = State { needs_key: true, ..State::default() };
        Self { flow, state: Mutex::new(state), arrived: Notify::new() }
    }

    /// How fast this viewer's path takes bytes.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Whether a frame put in now would leave at once.
    pub fn can_take(&self) -> bool {
        let state = self.lock();
        state.frames.is_empty() && !state.sending && !state.closed && self.flow.can_take()
    }

    /// Whether only a keyframe helps this viewer.
    pub fn needs_key(&self) -> bool {
        self.lock().needs_key
    }

    /// Notes that the viewer asked for a keyframe.
    pub fn ask_key(&self) {
        self.lock().needs_key = true;
    }

    /// Puts a frame in. Without room everything that waits is dropped, and the viewer waits for a keyframe.
    pub fn push(&self, frame: &Arc<Frame>) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if self.flow.muted() {
            state.dropped += state.frames.len() as u64 + 1;
            state.frames.clear();
            state.needs_key = true;
            return;
        }
        if frame.key {
            state.dropped += state.frames.len() as u64;
            state.frames.clear();
            state.needs_key = false;
        } else if state.needs_key {
            state.dropped += 1;
            return;
        } else if state.frames.len() >= CAPACITY {
            state.dropped += state.frames.len() as u64 + 1;
            state.frames.clear();
            state.needs_key = true;
            return;
        }
        state.frames.push_back(frame.clone());
        drop(state);
        self.arrived.notify_one();
    }

    /// The next frame to send; `None` once the outbox is closed.
    ///
    /// From the answer until [`Outbox::sent`] the viewer counts as busy.
    pub async fn next(&self) -> Option<Arc<Frame>> {
        loop {
            {
                let mut state = self.lock();
                if state.closed {
                    return None;
                }
                if let Some(frame) = state.frames.pop_front() {
                    state.sending = true;
                    return Some(frame);
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Notes that the frame of [`Outbox::next`] has left.
    pub fn sent(&self) {
        self.lock().sending = false;
    }

    /// Takes no more frames.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.frames.clear();
        drop(state);
        self.arrived.notify_one();
    }

    /// Frames that were dropped because the viewer was too slow.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(key: bool) -> Arc<Frame> {
        Arc::new(Frame { key, ..Frame::default() })
    }

    #[tokio::test]
    async fn a_viewer_that_does_not_drain_falls_back_to_the_next_keyframe() {
        let outbox = Outbox::new(Arc::new(Flow::new(1_000_000)));
        assert!(outbox.needs_key());
        outbox.push(&frame(false));
        assert!(outbox.can_take(), "a difference is of no use before the first keyframe");
        outbox.push(&frame(true));
        for _ in 0..CAPACITY {
            outbox.push(&frame(false));
        }
        assert!(outbox.needs_key());
        assert!(outbox.can_take(), "nothing stale is kept");
        outbox.push(&frame(true));
        assert!(outbox.next().await.expect("open").key);
        assert!(!outbox.can_take(), "one frame in flight");
        outbox.sent();
        assert!(outbox.can_take());
        outbox.close();
        assert!(outbox.next().await.is_none());
    }
}
