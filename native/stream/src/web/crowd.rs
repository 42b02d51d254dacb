//! The connections that a server has at a time, and which of them goes when there is one too many.
//!
//! Whoever may connect may hold connections open and say nothing. They must not keep the owner out: of those that wait
//! for nothing of ours the oldest makes room, and whoever has shown the token stays longer than whoever has not.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Connections at a time: a browser opens six.
pub(super) const CONNECTIONS: usize = 128;

/// All connections of a server.
#[derive(Clone, Default)]
pub(super) struct Crowd(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Somebody left, or is idle now.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Counts arrivals and answers: it tells which of two was earlier.
    clock: u64,
    members: BTreeMap<u64, Member>,
}

struct Member {
    /// It has shown the token.
    known: bool,
    /// Since when it has been idle; `None` while it is being answered.
    idle: Option<u64>,
    leave: watch::Sender<bool>,
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Who makes room: strangers first, then who has been idle for longest.
    fn least(&self) -> Option<u64> {
        let idle = self.members.iter().filter_map(|(id, m)| m.idle.map(|since| (m.known, since, *id)));
        idle.min().map(|(_, _, id)| id)
    }
}

impl Crowd {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    /// A place for one more connection. Where there is none, an idle one has to go; as long as all are being answered, this
    /// waits.
    pub(super) async fn enter(&self) -> Place {
        loop {
            let changed = self.0.changed.notified();
            if let Some(place) = self.try_enter() {
                return place;
            }
            changed.await;
        }
    }

    fn try_enter(&self) -> Option<Place> {
        let mut state = self.state();
        if state.members.len() >= CONNECTIONS {
            let least = state.least()?;
            if let Some(member) = state.members.remove(&least) {
                log::debug!("an idle HTTP connection makes room");
                member.leave.send_replace(true);
            }
        }
        let id = state.tick();
        let leave = watch::Sender::new(false);
        let left = leave.subscribe();
        state.members.insert(id, Member { known: false, idle: Some(id), leave });
        Some(Place(Arc::new(Occupied { id, crowd: self.clone(), left })))
    }
}

/// One connection's place, given back when the last copy is dropped.
#[derive(Clone)]
pub(super) struct Place(Arc<Occupied>);

struct Occupied {
    id: u64,
    crowd: Crowd,
    left: watch::Receiver<bool>,
}

impl Place {
    /// Ends when this connection has to go.
    pub(super) async fn lost(&self) {
        let mut left = self.0.left.clone();
        let _ = left.wait_for(|left| *left).await;
    }

    /// It has shown the token.
    pub(super) fn is_known(&self) {
        if let Some(member) = self.0.crowd.state().members.get_mut(&self.0.id) {
            member.known = true;
        }
    }

    /// It is being answered, until what this gives is dropped.
    pub(super) fn answering(&self) -> Answering {
        if let Some(member) = self.0.crowd.state().members.get_mut(&self.0.id) {
            member.idle = None;
        }
        Answering(self.clone())
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.crowd.state().members.remove(&self.id);
        self.crowd.0.changed.notify_one();
    }
}

/// A request that is being answered.
pub(super) struct Answering(Place);

impl Drop for Answering {
    fn drop(&mut self) {
        let Occupied { id, crowd, .. } = &*self.0.0;
        let mut state = crowd.state();
        let now = state.tick();
        if let Some(member) = state.members.get_mut(id) {
            member.idle = Some(now);
        }
        drop(state);
        crowd.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lost(place: &Place) -> bool {
        *place.0.left.borrow()
    }

    #[tokio::test]
    async fn strangers_go_first_and_the_oldest_of_them() {
        let crowd = Crowd::default();
        let mut places = Vec::new();
        for _ in 0..CONNECTIONS {
            places.push(crowd.enter().await);
        }
        places[0].is_known();
        // It was the second oldest, and is the youngest now.
        drop(places[1].answering());
        let busy = places[2].answering();
        for _ in 0..2 {
            places.push(crowd.enter().await);
        }
        let lost: Vec<usize> = (0..places.len()).filter(|n| is_lost(&places[*n])).collect();
        assert_eq!(lost, [3, 4]);
        drop(busy);
        for place in places.drain(5..10) {
            drop(place);
        }
        for _ in 0..5 {
            places.push(crowd.enter().await);
        }
        assert_eq!(places.iter().filter(|place| is_lost(place)).count(), 2, "those that left made room");
    }

    #[tokio::test]
    async fn whoever_is_being_answered_stays_and_the_next_waits() {
        let crowd = Crowd::default();
        let mut busy = Vec::new();
        for _ in 0..CONNECTIONS {
            let place = crowd.enter().await;
            busy.push((place.answering(), place));
        }
        assert!(crowd.try_enter().is_none());
        let waiting = tokio::spawn({
            let crowd = crowd.clone();
            async move { drop(crowd.enter().await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let (answering, place) = busy.pop().expect("one");
        drop(answering);
        waiting.await.expect("no panic");
        assert!(is_lost(&place));
        assert!(!busy.iter().any(|(_, place)| is_lost(place)));
    }
}
