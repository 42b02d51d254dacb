//! Serves one guest to its viewers.

use crate::error::ServeError;
use crate::http;
use crate::peer::Peer;
use crate::pipeline::{Limits, Pipeline, Seat};
use crate::screen::{self, ScreenState};
use crate::stats::{Stats, ViewerStats};
use crate::transport::{Connection, MediaTransport, Rates, TransportError, WebRtc};
use crate::web::{self, Guard};
use parking_lot::{Mutex, MutexGuard};
use sampan_guest::{Guest, GuestStatus};
use serde::Serialize;
use std::collections::HashMap;
use std::net::SocketAddr;
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
            rates: Rates { initial: 12_000_000, least: 2_000_000, most: 20_000_000 },
        }
    }
}

/// How long viewers may take to be told that the server ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running server. Dropping it ends it too, without waiting for the viewers' farewell.
pub struct Server {
    inner: Arc<Inner>,
    address: SocketAddr,
    follower: tokio::task::JoinHandle<()>,
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
        let (screen, follower) = screen::follow(guest.screen());
        let inner = Arc::new(Inner {
            pipeline: Pipeline::new(guest.screen(), limits),
            transport: Arc::new(WebRtc::new(local.ip(), config.rates)),
            guest,
            guard,
            screen,
            max_viewers: config.max_viewers,
            viewers: Mutex::default(),
            stop: watch::Sender::new(false),
            seen: Mutex::new(0),
        });
        tokio::spawn(web::serve(listener, http::router(inner.clone()), inner.stop.subscribe()));
        Ok(Self { inner, address: local, follower })
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

    /// Ends it: viewers are told, their keys released, the port is free.
    pub async fn stop(self) {
        self.inner.stop.send_replace(true);
        let begun = Instant::now();
        while !self.inner.viewers().is_empty() && begun.elapsed() < FAREWELL {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.inner.stop.send_replace(true);
        self.follower.abort();
    }
}

/// What requests and viewers share.
pub struct Inner {
    pipeline: Arc<Pipeline>,
    transport: Arc<dyn MediaTransport>,
    guest: Arc<dyn Guest>,
    guard: Arc<Guard>,
    screen: watch::Receiver<ScreenState>,
    max_viewers: usize,
    viewers: Mutex<HashMap<String, Viewer>>,
    stop: watch::Sender<bool>,
    /// Viewers so far, for their labels.
    seen: Mutex<u64>,
}

struct Viewer {
    label: String,
    connection: Arc<dyn Connection>,
    seat: Arc<Seat>,
    since: Instant,
    stop: watch::Sender<bool>,
}

/// Why a viewer could not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// There are too many.
    #[error("there are {0} viewers already: close one of them")]
    Full(usize),
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

    fn viewers(&self) -> MutexGuard<'_, HashMap<String, Viewer>> {
        self.viewers.lock()
    }

    /// Answers an offer: the new viewer's name and our SDP.
    ///
    /// # Errors
    /// [`JoinError`].
    pub async fn join(self: &Arc<Self>, offer: &str) -> Result<(String, String), JoinError> {
        self.room()?;
        // The path's first wake can come before the seat is there.
        let seat: Arc<std::sync::OnceLock<std::sync::Weak<Seat>>> = Arc::default();
        let late = seat.clone();
        let wake = Arc::new(move || {
            if let Some(seat) = late.get().and_then(std::sync::Weak::upgrade) {
                seat.wake();
            }
        });
        let accepted = self.transport.accept(offer, wake).await?;
        let joined = self.seat(&accepted.connection, || {
            self.pipeline.join(accepted.codec, accepted.flow.clone()).map(Arc::new)
        });
        let (id, viewer, stop) = match joined {
            Ok(joined) => joined,
            Err(error) => {
                accepted.connection.close().await;
                return Err(error);
            }
        };
        let _ = seat.set(Arc::downgrade(&viewer.seat));
        log::info!("viewer {} joined, with {}", viewer.label, accepted.codec);
        let peer = Peer {
            label: viewer.label.clone(),
            guest: self.guest.clone(),
            connection: accepted.connection,
            events: accepted.events,
            seat: viewer.seat.clone(),
            screen: self.screen.clone(),
            stop,
        };
        self.viewers().insert(id.clone(), viewer);
        let (inner, name) = (self.clone(), id.clone());
        let mut ends = self.stop.subscribe();
        tokio::spawn(async move {
            let dismissed = async {
                let _ = ends.wait_for(|stop| *stop).await;
                inner.dismiss(&name);
                std::future::pending::<()>().await
            };
            tokio::select! {
                () = peer.run() => {}
                () = dismissed => {}
            }
            inner.viewers().remove(&name);
        });
        Ok((id, accepted.answer))
    }

    fn room(&self) -> Result<(), JoinError> {
        let here = self.viewers().len();
        if here >= self.max_viewers { Err(JoinError::Full(here)) } else { Ok(()) }
    }

    fn seat(
        &self,
        connection: &Arc<dyn Connection>,
        join: impl FnOnce() -> std::io::Result<Arc<Seat>>,
    ) -> Result<(String, Viewer, watch::Receiver<bool>), JoinError> {
        self.room()?;
        let id = web::random_text(16)?;
        let stop = watch::Sender::new(false);
        let receiver = stop.subscribe();
        let mut seen = self.seen.lock();
        *seen += 1;
        let label = seen.to_string();
        drop(seen);
        let seat = join()?;
        let viewer = Viewer { label, connection: connection.clone(), seat, since: Instant::now(), stop };
        Ok((id, viewer, receiver))
    }

    /// The connection of a viewer.
    pub fn connection(&self, id: &str) -> Option<Arc<dyn Connection>> {
        self.viewers().get(id).map(|viewer| viewer.connection.clone())
    }

    /// Sends a viewer away; answers whether it was there.
    pub fn dismiss(&self, id: &str) -> bool {
        self.viewers().get(id).map(|viewer| viewer.stop.send_replace(true)).is_some()
    }

    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        let mut viewers: Vec<ViewerStats> = self
            .viewers()
            .values()
            .map(|viewer| ViewerStats::of(&viewer.label, &viewer.seat, viewer.since.elapsed()))
            .collect();
        viewers.sort_by_key(|viewer| std::cmp::Reverse(viewer.seconds));
        Stats::of(self.pipeline.counters(), viewers)
    }

    /// The same with the guest.
    pub fn report(&self) -> Report {
        let size = self.screen.borrow().size;
        let (width, height) = size.map_or((0, 0), |size| (size.width, size.height));
        let guest = self.guest.status().borrow().clone();
        Report { name: self.guest.name(), guest, width, height, stats: self.stats() }
    }
}
