//! What requests and viewers of one server share.

use crate::displays::{Displays, Shown};
use crate::drive::Drive;
use crate::error::ServeError;
use crate::peer::{Peer, Wants};
use crate::pipeline::Seat;
use crate::share::Share;
use crate::sound::Sound;
use crate::stats::{Stats, ViewerStats};
use crate::transport::{Accepted, Connection, MediaTransport, Rates, TransportError, Wake};
use crate::viewers::{Client, NoRoom, Reserved, Viewer, Viewers};
use crate::web::{self, Guard};
use parking_lot::Mutex;
use sampan_guest::{Guest, GuestStatus};
use sampan_trust::Rights;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What requests and viewers share.
pub struct ServerState {
    pub(crate) displays: Arc<Displays>,
    /// The guest's sound; `None` for one without a sound card.
    pub(crate) sound: Option<Arc<Sound>>,
    /// What connects viewers on this host.
    pub(crate) transport: Arc<dyn MediaTransport>,
    /// What connects those of them whose browser does not connect to loopback addresses.
    pub(crate) same_host: Arc<dyn MediaTransport>,
    pub(crate) rates: Rates,
    pub(crate) guest: Arc<dyn Guest>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) viewers: Arc<Viewers>,
    /// Who of them drives.
    pub(crate) drive: Arc<Drive>,
    pub(crate) stop: watch::Sender<bool>,
    /// How it is shown to other devices.
    pub(crate) share: Mutex<Option<Arc<Share>>>,
    /// Contents of the clipboard that are on their way: each may have 16 MiB.
    pub(crate) exchanges: tokio::sync::Semaphore,
    /// Counts what changes in that.
    pub(crate) changes: watch::Sender<u64>,
}

/// A viewer that has its place.
pub(crate) struct Seated {
    /// Its secret name.
    pub id: String,
    /// Whether media has flowed.
    pub connected: watch::Receiver<bool>,
    /// Its task, which ends with the reason.
    pub over: JoinHandle<&'static str>,
}

/// A seat that is there later than its path, whose first wake can come before.
#[derive(Clone, Default)]
pub(crate) struct LateSeat(Arc<OnceLock<Weak<Seat>>>);

impl LateSeat {
    /// One without a seat, and what wakes the seat once it is there.
    pub fn new() -> (Self, Wake) {
        let late = Self::default();
        let seat = late.clone();
        (late, Arc::new(move || seat.wake()))
    }

    fn set(&self, seat: &Arc<Seat>) {
        let _ = self.0.set(Arc::downgrade(seat));
    }

    fn wake(&self) {
        if let Some(seat) = self.0.get().and_then(Weak::upgrade) {
            seat.wake();
        }
    }
}

/// Why a viewer could not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// There is no place for it.
    #[error(transparent)]
    Room(#[from] NoRoom),
    /// Its offer or connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The system refused.
    #[error("cannot start the encoder: {0}")]
    Encoder(#[from] std::io::Error),
    /// There is no secret name for it.
    #[error(transparent)]
    Random(#[from] ServeError),
}

/// The guest and its viewers, as `/status` tells.
#[derive(Serialize)]
pub struct Report {
    name: String,
    guest: GuestStatus,
    width: u32,
    height: u32,
    #[serde(flatten)]
    stats: Stats,
}

impl ServerState {
    /// Who may ask.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// Something in how it is shown to other devices has changed.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Answers the offer of a viewer on this host, which is to see a display: the new viewer's name and our SDP. Where its browser does
    /// not connect to loopback addresses, it says so by `no_loopback`.
    ///
    /// # Errors
    /// [`JoinError`].
    pub async fn join_here(
        self: &Arc<Self>,
        offer: &str,
        display: usize,
        from: IpAddr,
        no_loopback: bool,
    ) -> Result<(String, String), JoinError> {
        let client = Client { from, rights: Rights::ALL, device: None, is_server: false };
        let transport = if no_loopback { &self.same_host } else { &self.transport };
        self.join(offer, display, client, transport).await
    }

    /// The same of any viewer, over a transport. Where there is no such display, it sees the first.
    ///
    /// # Errors
    /// [`JoinError`].
    pub async fn join(
        self: &Arc<Self>,
        offer: &str,
        display: usize,
        client: Client,
        transport: &Arc<dyn MediaTransport>,
    ) -> Result<(String, String), JoinError> {
        // Held from here on: of many offers at a time no more are worked on than there is room for.
        let place = self.viewers.reserve(client.device.as_ref())?;
        let (late, wake) = LateSeat::new();
        let (accepted, answer) = transport.accept(offer, client.from, self.sound.is_some(), wake).await?;
        let shown = self.displays.show(display).unwrap_or_else(|| self.displays.first().clone());
        let seated = self.seat(place, accepted, shown, client, &late).await?;
        Ok((seated.id, answer))
    }

    /// Gives a viewer, with which the connection is agreed on, its place and its task.
    ///
    /// # Errors
    /// [`JoinError`]; the connection is closed then.
    pub(crate) async fn seat(
        self: &Arc<Self>,
        place: Reserved,
        accepted: Accepted,
        shown: Arc<Shown>,
        client: Client,
        late: &LateSeat,
    ) -> Result<Seated, JoinError> {
        let (codec, flow) = (accepted.codec, accepted.flow.clone());
        let joined =
            shown.pipeline().join(codec, flow, client.is_server).map(Arc::new).map_err(JoinError::from);
        let joined = joined.and_then(|seat| Ok((seat, web::random_text(16)?)));
        let (taken, id) = match joined {
            Ok(joined) => joined,
            Err(error) => {
                accepted.connection.close().await;
                return Err(error);
            }
        };
        late.set(&taken);
        let stop = watch::Sender::new(false);
        let stopped = stop.subscribe();
        // A media server has no way to say what it wants: it hears all there is.
        let wants = watch::Sender::new(Wants { hear: client.is_server, speak: false });
        let heard = wants.subscribe();
        let label = place.fill(&id, client.clone(), accepted.connection.clone(), taken.clone(), heard, stop);
        log::info!("viewer {label} joined, with {codec}");
        let (state, name) = (Arc::downgrade(self), id.clone());
        let connection = watch::Sender::new(false);
        let connected = connection.subscribe();
        let is_connected = Box::new(move || {
            connection.send_replace(true);
            if let Some(state) = state.upgrade() {
                state.viewers.connected(&name);
                state.changed();
            }
        });
        let peer = Peer {
            label,
            guest: self.guest.clone(),
            connection: accepted.connection,
            events: accepted.events,
            seat: taken,
            shown,
            displays: self.displays.clone(),
            stop: stopped,
            client,
            drive: self.drive.clone(),
            files: self.viewers.with(&id, |viewer| viewer.transfer.news()),
            sound: self.sound.clone().filter(|_| accepted.sound),
            voice: accepted.voice,
            wants,
            connected: is_connected,
        };
        let (state, name) = (self.clone(), id.clone());
        let mut ends = self.stop.subscribe();
        let over = tokio::spawn(async move {
            let dismissed = async {
                let _ = ends.wait_for(|stop| *stop).await;
                state.viewers.dismiss(&name);
                std::future::pending::<()>().await
            };
            let reason = tokio::select! {
                reason = peer.run() => reason,
                () = dismissed => "the server ended",
            };
            state.viewers.remove(&name);
            state.changed();
            reason
        });
        Ok(Seated { id, connected, over })
    }

    /// The guest.
    pub(crate) fn guest(&self) -> &Arc<dyn Guest> {
        &self.guest
    }

    /// The connection of a viewer.
    pub fn connection(&self, id: &str) -> Option<Arc<dyn Connection>> {
        self.viewers.with(id, |viewer| viewer.connection.clone())
    }

    /// A viewer has begun ICE anew, from here.
    pub(crate) fn moved(&self, id: &str, from: IpAddr) {
        let label = self.viewers.with(id, |viewer| {
            viewer.client.from = from;
            viewer.label.clone()
        });
        if let Some(label) = label {
            log::info!("viewer {label} looks for another path");
            self.changed();
        }
    }

    /// Sends a viewer away; answers whether it was there.
    pub fn dismiss(&self, id: &str) -> bool {
        self.viewers.dismiss(id)
    }

    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        let people = self.drive.people().borrow().clone();
        let stats = |viewer: &Viewer| {
            let person = people.all.iter().find(|person| person.id == viewer.label);
            let mut stats = ViewerStats::of(&viewer.label, &viewer.seat, viewer.since.elapsed());
            stats.published = viewer.client.is_server;
            stats.driving = people.is_driver(&viewer.label);
            stats.asking = person.is_some_and(|person| person.asks);
            stats.display = person.map_or(1, |person| person.display);
            let wants = *viewer.wants.borrow();
            (stats.hears, stats.speaks) = (wants.hear, wants.speak && stats.driving);
            (viewer.since, stats)
        };
        let mut viewers = self.viewers.map(stats);
        viewers.sort_by_key(|(since, _)| *since);
        let viewers = viewers.into_iter().map(|(_, stats)| stats).collect();
        Stats::of(self.displays.counters(), self.sound.as_deref(), viewers)
    }

    /// The same with the guest.
    pub fn report(&self) -> Report {
        let size = self.displays.first().screen().borrow().size;
        let (width, height) = size.map_or((0, 0), |size| (size.width, size.height));
        let guest = self.guest.status().borrow().clone();
        Report { name: self.guest.name(), guest, width, height, stats: self.stats() }
    }
}
