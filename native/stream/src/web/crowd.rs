//! The connections that a server has at a time, and which of them goes when there is one too many.
//!
//! Whoever may connect may hold connections open and say nothing. They must not keep the owner out: of those that wait
//! for nothing of ours the oldest makes room, and whoever has shown the token stays longer than whoever has not. And one
//! address has no more than a share of them, so that it takes its own connections' places and not those of others.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Connections at a time: a browser opens six.
pub(super) const CONNECTIONS: usize = 128;

/// Connections of one address: five browsers behind it. On loopback every program has the same one, and there is no limit.
pub(super) const OF_ONE: usize = 32;

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
    /// Where it is from.
    from: Origin,
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

    /// Who makes room, of those from one place or of all: strangers first, then who has been idle for longest.
    fn least(&self, from: Option<Origin>) -> Option<u64> {
        let members = self.members.iter().filter(|(_, m)| from.is_none_or(|from| m.from == from));
        let idle = members.filter_map(|(id, m)| m.idle.map(|since| (m.known, since, *id)));
        idle.min().map(|(_, _, id)| id)
    }
}

impl Crowd {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    /// A place for one more connection. Where there is none, an idle one has to go; as long as all are being answered, this
    /// waits. `None` where its address has its share, and all of them are being answered.
    pub(super) async fn enter(&self, from: IpAddr) -> Option<Place> {
        let from = Origin::of(from);
        loop {
            let changed = self.0.changed.notified();
            match self.try_enter(from) {
                Entry::Place(place) => return Some(place),
                Entry::TooMany => return None,
                Entry::Full => changed.await,
            }
        }
    }

    fn try_enter(&self, from: Origin) -> Entry {
        let mut state = self.state();
        let of_it = state.members.values().filter(|member| member.from == from).count();
        let least = if from != Origin::Loopback && of_it >= OF_ONE {
            match state.least(Some(from)) {
                None => return Entry::TooMany,
                least => least,
            }
        } else if state.members.len() >= CONNECTIONS {
            match state.least(None) {
                None => return Entry::Full,
                least => least,
            }
        } else {
            None
        };
        if let Some(member) = least.and_then(|least| state.members.remove(&least)) {
            log::debug!("an idle HTTP connection makes room");
            member.leave.send_replace(true);
        }
        let id = state.tick();
        let leave = watch::Sender::new(false);
        let left = leave.subscribe();
        state.members.insert(id, Member { from, known: false, idle: Some(id), leave });
        Entry::Place(Place(Arc::new(Occupied { id, crowd: self.clone(), left })))
    }
}

/// What came of entering.
enum Entry {
    Place(Place),
    /// All are being answered: soon there is one.
    Full,
    /// Its address has its share.
    TooMany,
}

/// Whom a connection counts for. A host with IPv6 has a whole /64 to itself (RFC 4291, 2.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Loopback,
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Origin {
    fn of(address: IpAddr) -> Self {
        match address {
            address if address.is_loopback() => Self::Loopback,
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
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

    use std::net::{Ipv4Addr, Ipv6Addr};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    async fn enter(crowd: &Crowd, from: IpAddr) -> Place {
        crowd.enter(from).await.expect("has room for it")
    }

    fn is_lost(place: &Place) -> bool {
        *place.0.left.borrow()
    }

    #[tokio::test]
    async fn strangers_go_first_and_the_oldest_of_them() {
        let crowd = Crowd::default();
        let mut places = Vec::new();
        for _ in 0..CONNECTIONS {
            places.push(enter(&crowd, HERE).await);
        }
        places[0].is_known();
        // It was the second oldest, and is the youngest now.
        drop(places[1].answering());
        let busy = places[2].answering();
        for _ in 0..2 {
            places.push(enter(&crowd, HERE).await);
        }
        let lost: Vec<usize> = (0..places.len()).filter(|n| is_lost(&places[*n])).collect();
        assert_eq!(lost, [3, 4]);
        drop(busy);
        for place in places.drain(5..10) {
            drop(place);
        }
        for _ in 0..5 {
            places.push(enter(&crowd, HERE).await);
        }
        assert_eq!(places.iter().filter(|place| is_lost(place)).count(), 2, "those that left made room");
    }

    #[tokio::test]
    async fn whoever_is_being_answered_stays_and_the_next_waits() {
        let crowd = Crowd::default();
        let mut busy = Vec::new();
        for _ in 0..CONNECTIONS {
            let place = enter(&crowd, HERE).await;
            busy.push((place.answering(), place));
        }
        assert!(matches!(crowd.try_enter(Origin::of(HERE)), Entry::Full));
        let waiting = tokio::spawn({
            let crowd = crowd.clone();
            async move { drop(enter(&crowd, HERE).await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let (answering, place) = busy.pop().expect("one");
        drop(answering);
        waiting.await.expect("no panic");
        assert!(is_lost(&place));
        assert!(!busy.iter().any(|(_, place)| is_lost(place)));
    }

    #[tokio::test]
    async fn one_address_takes_its_own_places_and_not_those_of_others() {
        let crowd = Crowd::default();
        let flood = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let quiet = enter(&crowd, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))).await;
        let mut places = Vec::new();
        for _ in 0..10_000 {
            places.push(enter(&crowd, flood).await);
        }
        assert!(!is_lost(&quiet), "an older one from elsewhere stays");
        assert_eq!(places.iter().filter(|place| !is_lost(place)).count(), OF_ONE);
        let busy: Vec<Answering> = places.iter().rev().take(OF_ONE).map(Place::answering).collect();
        assert!(crowd.enter(flood).await.is_none(), "all of its own are being answered");
        drop(busy);
        assert!(crowd.enter(flood).await.is_some());
        let of = |last| Origin::of(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, last, 2, 3, 4)));
        assert_eq!(of(1), of(2), "a host has all of a /64");
    }
}
