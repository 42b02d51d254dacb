//! The viewers there are, and whether there is room for one more.

use crate::exchange::Transfer;
use crate::peer::Wants;
use crate::pipeline::Seat;
use crate::transport::Connection;
use parking_lot::{Mutex, MutexGuard};
use sampan_trust::{Right, Rights, Session};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::sync::watch;

/// Viewers whose offers are being answered, or were and who have not connected yet. The oldest makes room for one more.
pub const MAX_UNCONNECTED: usize = 8;

/// Viewers of one device: it may have the page open in a few places.
pub const MAX_OF_DEVICE: usize = 4;

/// A paired device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTag {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Who joins.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it is.
    pub from: IpAddr,
    /// What it may do.
    pub rights: Rights,
    /// The device; `None` for whoever has the token of this host, and for a media server.
    pub device: Option<DeviceTag>,
    /// Whether it is a media server that the stream is published to: it is none of the people, and has no part in driving.
    pub is_server: bool,
}

impl Client {
    /// A media server.
    pub fn server(at: IpAddr) -> Self {
        Self { from: at, rights: [Right::Watch].into_iter().collect(), device: None, is_server: true }
    }
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// There are too many.
    #[error("there are {0} viewers already: close one of them")]
    Full(usize),
    /// There are too many of one device.
    #[error("this device sees the machine {0} times already: close one of its pages")]
    OfDevice(usize),
    /// More offers are being answered than are at a time.
    #[error("{0} viewers are being connected already: try again in a moment")]
    Busy(usize),
}

/// One viewer.
pub struct Viewer {
    /// Its number, as log messages name it.
    pub label: String,
    /// How it is reached.
    pub connection: Arc<dyn Connection>,
    /// Its place at the encoder.
    pub seat: Arc<Seat>,
    /// Since when it is there.
    pub since: Instant,
    /// The same in milliseconds since 1970.
    pub unix: u64,
    /// Who it is.
    pub client: Client,
    /// What it wants of the guest's sound.
    pub wants: watch::Receiver<Wants>,
    /// What its requests are known by, of a paired device.
    pub session: Option<Session>,
    /// A file of its that is on its way.
    pub(crate) transfer: Transfer,
    /// Whether media has flowed.
    connected: bool,
    stop: watch::Sender<bool>,
}

impl Viewer {
    fn is_leaving(&self) -> bool {
        *self.stop.borrow()
    }

    fn leave(&self) {
        self.stop.send_replace(true);
    }
}

#[derive(Default)]
struct State {
    all: HashMap<String, Viewer>,
    /// Places that are held for offers that are being answered.
    reserved: usize,
    /// Viewers so far, for their labels.
    seen: u64,
}

/// All viewers.
pub struct Viewers {
    state: Mutex<State>,
    most: usize,
}

/// A place that is held until it is filled or dropped.
pub struct Reserved {
    viewers: Arc<Viewers>,
}

impl Viewers {
    /// At most so many.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), most })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.state().all.is_empty()
    }

    /// Holds a place, so that looking for room and taking it are one step.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn reserve(self: &Arc<Self>, device: Option<&DeviceTag>) -> Result<Reserved, NoRoom> {
        let mut state = self.state();
        let here = state.all.len() + state.reserved;
        if here >= self.most {
            return Err(NoRoom::Full(here));
        }
        let of_it = |viewer: &&Viewer| device.is_some() && viewer.client.device.as_ref() == device;
        let of_device = state.all.values().filter(|viewer| !viewer.is_leaving()).filter(of_it).count();
        if of_device >= MAX_OF_DEVICE {
            return Err(NoRoom::OfDevice(of_device));
        }
        if state.reserved >= MAX_UNCONNECTED {
            return Err(NoRoom::Busy(state.reserved));
        }
        let waiting = || state.all.values().filter(|viewer| !viewer.connected && !viewer.is_leaving());
        if waiting().count() + state.reserved >= MAX_UNCONNECTED {
            // Whoever has waited for longest is the least likely to come.
            if let Some(oldest) = waiting().min_by_key(|viewer| viewer.since) {
                oldest.leave();
            }
        }
        state.reserved += 1;
        Ok(Reserved { viewers: self.clone() })
    }

    /// It is connected.
    pub fn connected(&self, id: &str) {
        if let Some(viewer) = self.state().all.get_mut(id) {
            viewer.connected = true;
        }
    }

    /// It has left.
    pub fn remove(&self, id: &str) {
        let removed = self.state().all.remove(id);
        drop(removed);
    }

    /// Sends one away; answers whether it was there.
    pub fn dismiss(&self, id: &str) -> bool {
        self.state().all.get(id).map(Viewer::leave).is_some()
    }

    /// Sends those away to whom it applies; answers how many.
    pub fn dismiss_all(&self, applies: impl Fn(&Viewer) -> bool) -> usize {
        let state = self.state();
        state.all.values().filter(|viewer| applies(viewer)).map(Viewer::leave).count()
    }

    /// Something of one viewer.
    pub fn with<T>(&self, id: &str, of: impl FnOnce(&mut Viewer) -> T) -> Option<T> {
        self.state().all.get_mut(id).map(of)
    }

    /// Something of the first that has it.
    pub fn find<T>(&self, of: impl FnMut(&mut Viewer) -> Option<T>) -> Option<T> {
        self.state().all.values_mut().find_map(of)
    }

    /// Something of each.
    pub fn map<T>(&self, of: impl Fn(&Viewer) -> T) -> Vec<T> {
        self.state().all.values().map(of).collect()
    }
}

impl Reserved {
    /// Fills the place; gives the viewer's number.
    pub fn fill(
        self,
        id: &str,
        client: Client,
        connection: Arc<dyn Connection>,
        seat: Arc<Seat>,
        wants: watch::Receiver<Wants>,
        stop: watch::Sender<bool>,
    ) -> String {
        let mut state = self.viewers.state();
        state.seen += 1;
        let label = state.seen.to_string();
        let viewer = Viewer {
            label: label.clone(),
            connection,
            seat,
            since: Instant::now(),
            unix: unix(),
            client,
            wants,
            session: None,
            transfer: Transfer::default(),
            connected: false,
            stop,
        };
        state.all.insert(id.to_owned(), viewer);
        label
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.viewers.state().reserved -= 1;
    }
}

/// Now, in milliseconds since 1970.
pub fn unix() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
