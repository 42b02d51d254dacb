//! What waits to be sent to one viewer: bounded, and dropped to the next keyframe when it does not drain.

use crate::transport::{Flow, Frame};
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Frames that may wait for a viewer. More than one, because a viewer in step takes a frame as soon as the one before
/// is gone; few, because everything that waits here is late.
const CAPACITY: usize = 3;

/// The least time between two keyframes to one viewer: what it asks for in between is answered by the one on its way, so that
/// a viewer that asks without end gets no flood.
pub const KEY_GAP: Duration = Duration::from_millis(400);

/// The frames on their way to one viewer.
pub struct Outbox {
    flow: Arc<Flow>,
    relays: bool,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Arc<Frame>>,
    /// How many of them, the first, repeat what others have had.
    replayed: usize,
    /// The encoder whose frames are taken; what another one has on its way is another display's.
    source: u64,
    /// The viewer lacks the frames that the next difference builds on.
    needs_key: bool,
    /// When it was given the last keyframe.
    key_at: Option<Instant>,
    sending: bool,
    dropped: u64,
    closed: bool,
}

impl State {
    /// Makes room for a keyframe: nothing from before it is of use.
    fn begin(&mut self) {
        self.dropped += self.frames.len() as u64;
        self.frames.clear();
        self.replayed = 0;
        self.needs_key = false;
        self.key_at = Some(Instant::now());
    }
}

impl Outbox {
    /// An empty one for a viewer that has seen nothing yet.
    pub fn new(flow: Arc<Flow>, relays: bool) -> Self {
        let state = State { needs_key: true, ..State::default() };
        Self { flow, relays, state: Mutex::new(state), arrived: Notify::new() }
    }

    /// Whether it hands on what it gets, to viewers that cannot be heard.
    pub fn relays(&self) -> bool {
        self.relays
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

    /// From when on only a keyframe helps this viewer; nothing if it needs none.
    pub fn needs_key(&self, now: Instant) -> Option<Instant> {
        let state = self.lock();
        state.needs_key.then(|| state.key_at.map_or(now, |at| now.max(at + KEY_GAP)))
    }

    /// From now on frames come from another encoder, the first of them a keyframe. `source` is its number.
    pub fn follow(&self, source: u64) {
        let mut state = self.lock();
        state.frames.clear();
        (state.replayed, state.source) = (0, source);
        (state.needs_key, state.key_at) = (true, None);
    }

    /// Notes that the viewer asked for a keyframe.
    pub fn ask_key(&self) {
        self.lock().needs_key = true;
    }

    /// Puts a frame of the encoder `source` in. Without room everything that waits is dropped, and the viewer waits for a keyframe.
    pub fn push(&self, source: u64, frame: &Arc<Frame>) {
        let mut state = self.lock();
        if state.closed || state.source != source {
            return;
        }
        if self.flow.muted() {
            state.dropped += state.frames.len() as u64 + 1;
            state.frames.clear();
            state.replayed = 0;
            state.needs_key = true;
            return;
        }
        if frame.key {
            state.begin();
        } else if state.needs_key {
            state.dropped += 1;
            return;
        } else if state.frames.len() - state.replayed >= CAPACITY {
            state.dropped += state.frames.len() as u64 + 1;
            state.frames.clear();
            state.replayed = 0;
            state.needs_key = true;
            return;
        }
        state.frames.push_back(frame.clone());
        drop(state);
        self.arrived.notify_one();
    }

    /// Puts in a keyframe and what builds on it, up to the picture that others see.
    pub fn replay(&self, source: u64, frames: Vec<Arc<Frame>>) {
        let mut state = self.lock();
        if state.closed || state.source != source || self.flow.muted() || frames.is_empty() {
            return;
        }
        state.begin();
        state.replayed = frames.len();
        state.frames.extend(frames);
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
                    state.replayed = state.replayed.saturating_sub(1);
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
        state.replayed = 0;
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
        let outbox = Outbox::new(Arc::new(Flow::new(1_000_000)), false);
        let needs_key = || outbox.needs_key(Instant::now()).is_some();
        assert!(needs_key());
        outbox.push(0, &frame(false));
        assert!(outbox.can_take(), "a difference is of no use before the first keyframe");
        outbox.push(0, &frame(true));
        for _ in 0..CAPACITY {
            outbox.push(0, &frame(false));
        }
        assert!(needs_key());
        assert!(outbox.can_take(), "nothing stale is kept");
        outbox.push(0, &frame(true));
        assert!(outbox.next().await.expect("open").key);
        assert!(!outbox.can_take(), "one frame in flight");
        outbox.sent();
        assert!(outbox.can_take());
        outbox.close();
        assert!(outbox.next().await.is_none());
    }

    #[tokio::test]
    async fn what_is_replayed_takes_no_room_from_what_is_new() {
        let outbox = Outbox::new(Arc::new(Flow::new(1_000_000)), false);
        outbox.replay(0, (0..10).map(|n| frame(n == 0)).collect());
        for _ in 0..CAPACITY {
            outbox.push(0, &frame(false));
        }
        assert_eq!(outbox.needs_key(Instant::now()), None);
        for n in 0..10 + CAPACITY {
            assert_eq!(outbox.next().await.expect("open").key, n == 0);
            outbox.sent();
        }
        outbox.push(0, &frame(false));
        assert_eq!(outbox.dropped(), 0);
    }

    #[tokio::test]
    async fn a_viewer_that_sees_another_display_gets_nothing_of_the_one_before() {
        let outbox = Outbox::new(Arc::new(Flow::new(1_000_000)), false);
        outbox.push(0, &frame(true));
        outbox.push(0, &frame(false));
        outbox.follow(7);
        outbox.push(0, &frame(true));
        outbox.replay(0, vec![frame(true)]);
        assert!(outbox.can_take() && outbox.needs_key(Instant::now()).is_some());
        outbox.push(7, &frame(false));
        assert!(outbox.can_take(), "a difference is of no use before the first keyframe");
        outbox.push(7, &frame(true));
        assert!(outbox.next().await.expect("open").key);
    }

    #[test]
    fn a_viewer_that_asks_without_end_is_answered_now_and_then() {
        let outbox = Outbox::new(Arc::new(Flow::new(1_000_000)), false);
        let now = Instant::now();
        assert_eq!(outbox.needs_key(now), Some(now), "one that has nothing is served at once");
        outbox.replay(0, vec![frame(true)]);
        outbox.ask_key();
        let next = outbox.needs_key(now).expect("it needs one");
        assert!(next >= now + KEY_GAP);
        assert_eq!(outbox.needs_key(next), Some(next));
    }
}
