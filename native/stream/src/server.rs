//! Serves one guest to its viewers.

use crate::displays::Displays;
use crate::drive::{Drive, NotGiven};
use crate::error::ServeError;
use crate::http;
use crate::pipeline::Limits;
use crate::sound::Sound;
use crate::state::ServerState;
use crate::stats::Stats;
use crate::transport::{Rates, WebRtc};
use crate::viewers::{Viewer, Viewers};
use crate::web::{self, Guard};
use parking_lot::Mutex;
use sampan_guest::Guest;
use sampan_trust::sharing;
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
    pub(crate) state: Arc<ServerState>,
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
        let state = Arc::new(ServerState {
            displays: Displays::new(guest.clone(), limits),
            sound: guest.sound().map(|output| Sound::new(output, guest.microphone())),
            transport: Arc::new(WebRtc::new(local.ip(), config.rates)),
            same_host: Arc::new(WebRtc::for_same_host(local.ip(), config.rates)),
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
        tokio::spawn(web::serve(listener, http::router(state.clone()), state.stop.subscribe()));
        Ok(Self { state, address: local })
    }

    /// Where the page is, with the token in its fragment, which browsers do not send.
    pub fn url(&self) -> String {
        self.state.guard.url()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// Hands control to a viewer, by its number: from then on nobody else's input is taken.
    ///
    /// # Errors
    /// [`ServeError::NoViewer`], or [`ServeError::MayNotDrive`].
    pub fn give_control(&self, viewer: &str) -> Result<(), ServeError> {
        self.state.drive.give(viewer).map_err(|why| match why {
            NotGiven::Gone => ServeError::NoViewer(viewer.to_owned()),
            NotGiven::MayNot => ServeError::MayNotDrive(viewer.to_owned()),
        })
    }

    /// Those who see the guest, on this host and elsewhere, the longest-standing first.
    pub fn viewers(&self) -> Vec<sharing::Viewer> {
        let people = self.state.drive.people().borrow().clone();
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
        let mut viewers: Vec<_> = self.state.viewers.map(viewer).into_iter().flatten().collect();
        viewers.sort_by_key(|viewer| (viewer.since, viewer.viewer.clone()));
        viewers
    }

    /// Sends a viewer away, by its number; its device may come again.
    ///
    /// # Errors
    /// [`ServeError::NoViewer`].
    pub fn kick(&self, viewer: &str) -> Result<(), ServeError> {
        match self.state.viewers.dismiss_all(|other| other.label == viewer) {
            0 => Err(ServeError::NoViewer(viewer.to_owned())),
            _ => Ok(()),
        }
    }

    /// Ends it: viewers are told, their keys released, the port is free.
    pub async fn stop(self) {
        self.state.stop.send_replace(true);
        let begun = Instant::now();
        while !self.state.viewers.is_empty() && begun.elapsed() < FAREWELL {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stop.send_replace(true);
    }
}
