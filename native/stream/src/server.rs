//! Serves one guest to its viewers.

use crate::displays::Displays;
use crate::drive::{Drive, NotGiven};
use crate::error::ServeError;
use crate::http;
use crate::peer::{Peer, Wants};
use crate::pipeline::{Limits, Seat};
use crate::share::Share;
use crate::sound::Sound;
use crate::stats::{Stats, ViewerStats};
use crate::transport::{Connection, MediaTransport, Rates, TransportError, WebRtc};
use crate::viewers::{Client, NoRoom, Viewer, Viewers};
use crate::web::{self, Guard};
use parking_lot::Mutex;
use sampan_guest::{Guest, GuestStatus};
use sampan_trust::{Rights, sharing};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// A loopback address; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// The secret that viewers need; `None` makes one.
    pub token: Option<String>,
    /// Viewers at a time.
    pub max_viewers: usize,
    /// Frames per second at most.
    pub max_fps: u32,
    /// Bit rates of one viewer.
    pub rates: Rates,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: None,
            max_viewers: 16,
            max_fps: 60,
            rates: Rates { initial: 1_000_000, least: 100_000, most: 40_000_000 },
        }
    }
}

/// How many contents of the clipboard are on their way at a time, at most.
const EXCHANGES: usize = 2;

/// How long viewers may take to be told that the server ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running server. Dropping it ends it too, without waiting for the viewers' farewell.
pub struct Server {
    pub(crate) inner: Arc<Inner>,
    address: SocketAddr,
}

impl Server {
    /// Starts to serve `guest`.
    ///
    /// # Errors
    /// [`ServeError`], for an address that is not ours to listen on or a token that is none.
    pub async fn start(config: ServerConfig, guest: Arc<dyn Guest>) -> Result<Self, ServeError> {
        let (listener, local) = web::listen(config.listen).await?;
        let guard = Arc::new(Guard::new(local, config.token)?);
        let limits = Limits { max_fps: config.max_fps, rates: config.rates };
        let changes = watch::Sender::new(0);
        let inner = Arc::new(Inner {
            displays: Displays::new(guest.clone(), limits),
            sound: guest.sound().map(|output| Sound::new(output, guest.microphone())),
            transport: Arc::new(WebRtc::new(local.ip(), config.rates)),
            rates: config.rates,
            guard,
            viewers: Viewers::new(config.max_viewers),
            stop: watch::Sender::new(false),
            share: Mutex::default(),
            exchanges: tokio::sync::Semaphore::new(EXCHANGES),
            drive: Drive::new(guest.clone(), changes.clone()),
            changes,
            guest,
        });
        tokio::spawn(web::serve(listener, http::router(inner.clone()), inner.stop.subscribe()));
        Ok(Self { inner, address: local })
    }

    /// Where the page is, with the token in its fragment, which browsers do not send.
    pub fn url(&self) -> String {
        self.inner.guard.url()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// Hands control to a viewer, by its number: from then on nobody else's input is taken.
    ///
    /// # Errors
    /// [`ServeError::NoViewer`], or [`ServeError::MayNotDrive`].
    pub fn give_control(&self, viewer: &str) -> Result<(), ServeError> {
        self.inner.drive.give(viewer).map_err(|why| match why {
            NotGiven::Gone => ServeError::NoViewer(viewer.to_owned()),
            NotGiven::MayNot => ServeError::MayNotDrive(viewer.to_owned()),
        })
    }

    /// Those who see the guest, on this host and elsewhere, the longest-standing first.
    pub fn viewers(&self) -> Vec<sharing::Viewer> {
        let people = self.inner.drive.people().borrow().clone();
        let viewer = |viewer: &Viewer| {
            let person = people.all.iter().find(|person| person.id == viewer.label)?;
            let device = viewer.client.device.as_ref();
            Some(sharing::Viewer {
                viewer: viewer.label.clone(),
                device: device.map(|device| device.id.clone()).unwrap_or_default(),
                name: person.name.clone(),
                address: viewer.client.from.to_string(),
                rights: viewer.client.rights,
                since: viewer.unix,
                driving: people.is_driver(&person.id),
                asking: person.asks,
            })
        };
        let mut viewers: Vec<_> = self.inner.viewers.map(viewer).into_iter().flatten().collect();
        viewers.sort_by_key(|viewer| (viewer.since, viewer.viewer.clone()));
        viewers
    }

    /// Sends a viewer away, by its number; its device may come again.
    ///
    /// # Errors
    /// [`ServeError::NoViewer`].
    pub fn kick(&self, viewer: &str) -> Result<(), ServeError> {
        match self.inner.viewers.dismiss_all(|other| other.label == viewer) {
            0 => Err(ServeError::NoViewer(viewer.to_owned())),
            _ => Ok(()),
        }
    }

    /// Ends it: viewers are told, their keys released, the port is free.
    pub async fn stop(self) {
        self.inner.stop.send_replace(true);
        let begun = Instant::now();
        while !self.inner.viewers.is_empty() && begun.elapsed() < FAREWELL {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.inner.stop.send_replace(true);
    }
}

/// What requests and viewers share.
pub struct Inner {
    displays: Arc<Displays>,
    /// The guest's sound; `None` for one without a sound card.
    sound: Option<Arc<Sound>>,
    transport: Arc<dyn MediaTransport>,
    pub(crate) rates: Rates,
    guest: Arc<dyn Guest>,
    guard: Arc<Guard>,
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

impl Inner {
    /// Who may ask.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// Something in how it is shown to other devices has changed.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Answers the offer of a viewer on this host, which is to see a display: the new viewer's name and our SDP.
    ///
    /// # Errors
    /// [`JoinError`].
    pub async fn join_here(
        self: &Arc<Self>,
        offer: &str,
        display: usize,
        from: IpAddr,
    ) -> Result<(String, String), JoinError> {
        let client = Client { from, rights: Rights::ALL, device: None };
        self.join(offer, display, client, &self.transport).await
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
        // The path's first wake can come before the seat is there.
        let seat: Arc<std::sync::OnceLock<std::sync::Weak<Seat>>> = Arc::default();
        let late = seat.clone();
        let wake = Arc::new(move || {
            if let Some(seat) = late.get().and_then(std::sync::Weak::upgrade) {
                seat.wake();
            }
        });
        let accepted = transport.accept(offer, client.from, self.sound.is_some(), wake).await?;
        let (codec, flow) = (accepted.codec, accepted.flow.clone());
        let shown = self.displays.show(display).unwrap_or_else(|| self.displays.first().clone());
        let joined = shown.pipeline().join(codec, flow).map(Arc::new).map_err(JoinError::from);
        let joined = joined.and_then(|seat| Ok((seat, web::random_text(16)?)));
        let (taken, id) = match joined {
            Ok(joined) => joined,
            Err(error) => {
                accepted.connection.close().await;
                return Err(error);
            }
        };
        let _ = seat.set(Arc::downgrade(&taken));
        let stop = watch::Sender::new(false);
        let stopped = stop.subscribe();
        let wants = watch::Sender::new(Wants::default());
        let heard = wants.subscribe();
        let label = place.fill(&id, client.clone(), accepted.connection.clone(), taken.clone(), heard, stop);
        log::info!("viewer {label} joined, with {codec}");
        let (inner, name) = (Arc::downgrade(self), id.clone());
        let connected = Box::new(move || {
            if let Some(inner) = inner.upgrade() {
                inner.viewers.connected(&name);
                inner.changed();
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
            sound: self.sound.clone().filter(|_| accepted.voice.is_some()),
            voice: accepted.voice,
            wants,
            connected,
        };
        let (inner, name) = (self.clone(), id.clone());
        let mut ends = self.stop.subscribe();
        tokio::spawn(async move {
            let dismissed = async {
                let _ = ends.wait_for(|stop| *stop).await;
                inner.viewers.dismiss(&name);
                std::future::pending::<()>().await
            };
            tokio::select! {
                () = peer.run() => {}
                () = dismissed => {}
            }
            inner.viewers.remove(&name);
            inner.changed();
        });
        Ok((id, accepted.answer))
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
            stats.driving = people.is_driver(&viewer.label);
            stats.asking = person.is_some_and(|person| person.asks);
            stats.display = person.map_or(1, |person| person.display);
            let wants = *viewer.wants.borrow();
            (stats.hears, stats.speaks) = (wants.hear, wants.speak && stats.driving);
            stats
        };
        let mut viewers: Vec<ViewerStats> = self.viewers.map(stats);
        viewers.sort_by_key(|viewer| std::cmp::Reverse(viewer.seconds));
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
