//! How many clients are served at a time. Short requests have places of their own, which long ones cannot use up, so a
//! machine answers however many consoles it has. When all places for short requests are taken, the client that has asked
//! nothing for longest gives way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Clients whose requests are short, or that have not asked anything yet.
pub const SHORT: usize = 32;

/// Clients whose requests take long: consoles, programs in the guest, files, memory that is saved.
pub const LONG: usize = 16;

/// How long a client may take to ask before it must give way to others: one that has just connected is about to.
const GRACE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq)]
enum Doing {
    /// Nothing, since then.
    Nothing(Instant),
    Short,
    Long,
}

struct Client {
    doing: Doing,
    given_away: Arc<Notify>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    clients: BTreeMap<u64, Client>,
}

/// The places of one machine.
#[derive(Default)]
pub struct Places {
    taken: Mutex<Taken>,
    freed: Notify,
}

/// Why a client has no place for its request.
#[derive(Debug, PartialEq)]
pub enum NoPlace {
    /// It went to another one.
    GivenAway,
    /// As many requests that take long are under way as there may be.
    TooMany,
}

impl Places {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Every change is whole after one step.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a client that has just connected; waits while all are busy.
    pub async fn enter(self: &Arc<Self>) -> Place {
        loop {
            let freed = self.freed.notified();
            let again = match self.try_enter(Instant::now()) {
                Ok(place) => return place,
                Err(again) => again,
            };
            match again {
                Some(at) => drop(tokio::time::timeout_at(at, freed).await),
                None => freed.await,
            }
        }
    }

    /// The same; or when the next client may be told to give way, if any.
    fn try_enter(self: &Arc<Self>, now: Instant) -> Result<Place, Option<Instant>> {
        let mut taken = self.taken();
        let short = taken.clients.values().filter(|client| client.doing != Doing::Long).count();
        if short >= SHORT {
            let idle = |(number, client): (&u64, &Client)| match client.doing {
                Doing::Nothing(since) => Some((since, *number)),
                Doing::Short | Doing::Long => None,
            };
            let (since, number) = taken.clients.iter().filter_map(idle).min().ok_or(None)?;
            if now < since + GRACE {
                return Err(Some(since + GRACE));
            }
            if let Some(client) = taken.clients.remove(&number) {
                client.given_away.notify_one();
            }
        }
        let number = taken.next;
        taken.next += 1;
        let given_away = Arc::new(Notify::new());
        let client = Client { doing: Doing::Nothing(now), given_away: Arc::clone(&given_away) };
        taken.clients.insert(number, client);
        Ok(Place { places: Arc::clone(self), number, given_away })
    }
}

/// A client's place, until this is dropped.
pub struct Place {
    places: Arc<Places>,
    number: u64,
    given_away: Arc<Notify>,
}

impl Place {
    /// Returns when another client has got the place.
    pub async fn given_away(&self) {
        self.given_away.notified().await;
    }

    /// A request came: from now on the place is this client's until the answer.
    pub fn begin(&self, long: bool) -> Result<(), NoPlace> {
        let mut taken = self.places.taken();
        let under_way = taken.clients.values().filter(|client| client.doing == Doing::Long).count();
        let client = taken.clients.get_mut(&self.number).ok_or(NoPlace::GivenAway)?;
        if long && under_way >= LONG {
            return Err(NoPlace::TooMany);
        }
        client.doing = if long { Doing::Long } else { Doing::Short };
        drop(taken);
        // Of those for short requests.
        self.places.freed.notify_one();
        Ok(())
    }

    /// It was answered.
    pub fn rest(&self) {
        if let Some(client) = self.places.taken().clients.get_mut(&self.number) {
            client.doing = Doing::Nothing(Instant::now());
        }
        // Whoever waits may take the place of this one.
        self.places.freed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().clients.remove(&self.number);
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many clients, each of which came a moment after the one before.
    fn clients(places: &Arc<Places>, count: usize, mut now: Instant) -> Vec<Place> {
        let mut enter = || {
            now += Duration::from_millis(1);
            places.try_enter(now).unwrap_or_else(|_| panic!("there are places"))
        };
        (0..count).map(|_| enter()).collect()
    }

    #[test]
    fn who_asks_nothing_gives_way_and_who_is_being_served_does_not() {
        let (places, now) = (Arc::new(Places::default()), Instant::now());
        let waiting = clients(&places, SHORT, now);
        // The first two are busy, so the third has asked nothing for longest; but it may be about to.
        waiting[0].begin(false).expect("has its place");
        waiting[1].begin(true).expect("has its place");
        let one_more = clients(&places, 1, now + Duration::from_millis(100));
        let due = places.try_enter(now + Duration::from_millis(200)).err().flatten().expect("when it is due");
        let late = places.try_enter(due).expect("has the place of the third");
        assert_eq!(waiting[2].begin(false), Err(NoPlace::GivenAway));
        for client in [&waiting[0], &waiting[3], &late, &one_more[0]] {
            assert_eq!(client.begin(false), Ok(()));
        }
    }

    #[test]
    fn what_takes_long_has_places_of_its_own() {
        let (places, now) = (Arc::new(Places::default()), Instant::now());
        let mut consoles = Vec::new();
        for _ in 0..LONG {
            let console = clients(&places, 1, now).remove(0);
            console.begin(true).expect("has a place");
            consoles.push(console);
        }
        let one_more = clients(&places, SHORT, now).remove(0);
        assert_eq!(one_more.begin(true), Err(NoPlace::TooMany));
        assert_eq!(one_more.begin(false), Ok(()));
        one_more.rest();
        consoles.pop();
        assert_eq!(one_more.begin(true), Ok(()));
    }

    #[tokio::test]
    async fn when_all_are_busy_the_next_one_waits_for_an_answer() {
        let places = Arc::new(Places::default());
        let mut busy = clients(&places, SHORT, Instant::now());
        busy.iter().for_each(|client| client.begin(false).expect("has a place"));
        assert!(matches!(places.try_enter(Instant::now() + 2 * GRACE), Err(None)));
        let entering = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.enter().await }
        });
        tokio::task::yield_now().await;
        busy.pop();
        entering.await.expect("has the place that was freed");
    }
}
