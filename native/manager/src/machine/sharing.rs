//! How a running machine's screen is shown to other devices, as requests ask for it.

use super::LocalMachine;
use super::publish::{Publisher, Target};
use crate::share::addresses;
use crate::{Sentence, blocking};
use parking_lot::Mutex;
use sampan_control::{Publishing, Reply, Request};
use sampan_library::{Library, VmId};
use sampan_message::{Coded, Message};
use sampan_stream::{Server, ServerConfig, ShareConfig};
use sampan_trust::sharing::Sharing;
use sampan_trust::{Place, Store, TrustError};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};

/// What shows a machine's screen.
#[derive(Clone)]
enum Streamer {
    /// Whoever runs the machine has it.
    Lent(Weak<Server>),
    /// It was made for other devices alone, and ends with the run.
    Own(Arc<Server>),
}

/// The server of a machine, and where the library keeps what is known of devices.
#[derive(Default)]
pub(super) struct Shares {
    streamer: Mutex<Option<Streamer>>,
    of_library: OnceLock<(Library, VmId)>,
    publisher: Mutex<Option<Publisher>>,
    /// One request at a time.
    turn: tokio::sync::Mutex<()>,
    /// The same of those about publishing.
    publish_turn: tokio::sync::Mutex<()>,
}

impl Shares {
    fn server(&self) -> Option<Arc<Server>> {
        match self.streamer.lock().clone()? {
            Streamer::Lent(server) => server.upgrade(),
            Streamer::Own(server) => Some(server),
        }
    }

    /// What is told of it.
    pub(super) fn info(&self) -> Option<Sharing> {
        self.server()?.sharing()
    }

    /// Those who see it, on this host and elsewhere.
    pub(super) fn viewers(&self) -> Vec<sampan_trust::sharing::Viewer> {
        self.server().map(|server| server.viewers()).unwrap_or_default()
    }

    /// How the stream is published.
    pub(super) fn publishing(&self) -> Option<Publishing> {
        self.publisher.lock().as_ref().map(Publisher::now)
    }

    /// Publishes it no more, and waits until the server was told, or cannot be.
    async fn unpublish(&self) -> bool {
        let publisher = self.publisher.lock().take();
        match publisher {
            Some(publisher) => {
                publisher.end().await;
                true
            }
            None => false,
        }
    }

    /// The run has ended.
    pub(super) fn end(&self) {
        drop(self.publisher.lock().take());
        let streamer = self.streamer.lock().take();
        drop(streamer);
    }

    fn of_library(&self) -> Result<&(Library, VmId), Message> {
        self.of_library.get().ok_or_else(|| Message::saying(&Sentence::NotInLibrary))
    }

    async fn store(&self) -> Result<Store, Message> {
        let (library, _) = self.of_library()?.clone();
        blocking(move || crate::share::store(&library)).await.map_err(|e| e.message())
    }
}

/// What a store does, on a thread that may wait.
async fn stored<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&Store) -> Result<T, TrustError> + Send + 'static,
) -> Result<T, Message> {
    let store = store.clone();
    blocking(move || Ok(work(&store)?)).await.map_err(|e| e.message())
}

impl LocalMachine {
    /// It is this machine of the library. Has an effect once.
    pub(crate) fn belongs_to(&self, library: Library, id: VmId) {
        let _ = self.shares.of_library.set((library, id));
    }

    /// The library that the machine is in.
    pub(super) fn library(&self) -> Option<Library> {
        self.shares.of_library.get().map(|(library, _)| library.clone())
    }

    /// Whoever runs the machine shows it by this server, which it keeps.
    pub fn shown_by(&self, server: &Arc<Server>) {
        *self.shares.streamer.lock() = Some(Streamer::Lent(Arc::downgrade(server)));
        self.follow(server);
        let figures = Arc::downgrade(server);
        let stats = move || serde_json::to_value(figures.upgrade()?.stats()).ok();
        self.set_viewer(super::Viewer { url: server.url(), stats: Box::new(stats) });
    }

    /// Who watches the machine's condition hears of viewers and of devices that ask.
    fn follow(&self, server: &Server) {
        let (mut told, changes) = (server.changes(), self.changes.clone());
        tokio::spawn(async move {
            while told.changed().await.is_ok() {
                changes.send_replace(());
            }
        });
    }

    /// Shows the screen to other devices where the owner has said that it is to be shown at each start. What keeps it from being
    /// shown is logged: the machine runs all the same.
    pub async fn share_again(&self) {
        let Ok((_, id)) = self.shares.of_library() else { return };
        let id = id.to_string();
        let place = async {
            let store = self.shares.store().await?;
            stored(&store, move |store| store.place(&id)).await
        };
        let shared = match place.await {
            Ok(Some(place)) if place.lasting => self.share(Some(place.address), Some(place.port), true).await,
            Ok(_) => return,
            Err(error) => Err(error),
        };
        if let Err(error) = shared {
            log::warn!("the screen is not shown to other devices: {error}");
        }
    }

    /// The server, made where there is none.
    async fn streamer(&self) -> Result<Arc<Server>, Message> {
        if let Some(server) = self.shares.server() {
            return Ok(server);
        }
        // The run is not over: nobody would end the server.
        self.vm()?;
        let made = Server::start(ServerConfig::default(), self.guest()).await;
        let made = Arc::new(made.map_err(|e| e.message())?);
        self.follow(&made);
        *self.shares.streamer.lock() = Some(Streamer::Own(Arc::clone(&made)));
        Ok(made)
    }

    async fn share(
        &self,
        address: Option<IpAddr>,
        port: Option<u16>,
        lasting: bool,
    ) -> Result<Sharing, Message> {
        let machine = self.shares.of_library()?.1.to_string();
        let store = self.shares.store().await?;
        let id = machine.clone();
        let before = stored(&store, move |store| store.place(&id)).await?;
        let here = addresses();
        let usable = |place: &Place| here.contains(&place.address) || place.address.is_loopback();
        let kept = before.filter(usable);
        let address = address.or(kept.as_ref().map(|place| place.address)).or(here.first().copied());
        let address = address.ok_or_else(|| Message::saying(&Sentence::NoAddress))?;
        // A browser knows a device's key by address and port: the same ones let it come again.
        let known = kept.filter(|place| place.address == address).map(|place| place.port);
        let server = self.streamer().await?;
        let config = |port| ShareConfig {
            listen: SocketAddr::new(address, port),
            store: store.clone(),
            machine: machine.clone(),
            lasting,
        };
        let mut shared = server.share(config(port.or(known).unwrap_or(0))).await;
        if port.is_none()
            && let (Err(sampan_stream::ServeError::Listen { .. }), Some(taken)) = (&shared, known)
        {
            log::warn!("port {taken} is taken: devices that were paired at it must be paired again");
            shared = server.share(config(0)).await;
        }
        let at = shared.map_err(|e| e.message())?;
        let place = Place { address: at.ip(), port: at.port(), lasting };
        stored(&store, move |store| store.set_place(&machine, place)).await?;
        server.sharing().ok_or_else(|| not_shared().message())
    }

    /// Shows it no more, now and at later starts.
    async fn unshare(&self) -> Result<(), Message> {
        let machine = self.shares.of_library()?.1.to_string();
        if let Some(server) = self.shares.server() {
            server.unshare();
        }
        let store = self.shares.store().await?;
        stored(&store, move |store| match store.place(&machine)? {
            Some(place) if place.lasting => store.set_place(&machine, Place { lasting: false, ..place }),
            _ => Ok(()),
        })
        .await
    }

    /// Carries out one of the requests about publishing. They may take as long as a server takes to answer, and hold up no other.
    pub(super) async fn of_publishing(&self, request: Request) -> Result<Reply, Message> {
        let _turn = self.shares.publish_turn.lock().await;
        if let Request::StreamPublish { url, token, plain_http, ca_file } = request {
            let target = Target { url, token, plain_http, ca_file };
            return self.publish(target).await.map(Reply::Publishing);
        }
        if !self.shares.unpublish().await {
            return Err(Message::saying(&Sentence::NotPublished));
        }
        self.changes.send_replace(());
        Ok(Reply::Done)
    }

    /// Publishes the stream to a media server, in the place of one from before.
    async fn publish(&self, target: Target) -> Result<Publishing, Message> {
        let server = self.streamer().await?;
        self.shares.unpublish().await;
        let changes = self.changes.clone();
        let begun = Publisher::begin(
            target,
            &server,
            Box::new(move || {
                changes.send_replace(());
            }),
        );
        let publisher = begun.await.inspect_err(|_| {
            self.changes.send_replace(());
        })?;
        let now = publisher.now();
        let before = self.shares.publisher.lock().replace(publisher);
        drop(before);
        self.changes.send_replace(());
        Ok(now)
    }

    /// The machine ends: a media server that has its stream is told.
    pub async fn unpublish(&self) {
        self.shares.unpublish().await;
    }

    /// Carries out one of the requests about it.
    pub(super) async fn of_sharing(&self, request: Request) -> Result<Reply, Message> {
        let _turn = self.shares.turn.lock().await;
        let server = || self.shares.server().ok_or_else(|| not_shared().message());
        let viewed = |viewer: &str| {
            let none = || sampan_stream::ServeError::NoViewer(viewer.to_owned()).message();
            self.shares.server().ok_or_else(none)
        };
        let done = match request {
            Request::StreamOn { address, port, lasting } => {
                return self.share(address, port, lasting).await.map(Reply::Sharing);
            }
            Request::StreamPair => {
                return server()?.pair().map(Reply::PairCode).map_err(|e| e.message());
            }
            Request::StreamOff => return self.unshare().await.map(|()| Reply::Done),
            Request::StreamAnswer { request, rights } => server()?.answer(&request, rights).await,
            Request::StreamKick { viewer } => viewed(&viewer)?.kick(&viewer),
            Request::StreamGive { viewer } => viewed(&viewer)?.give_control(&viewer),
            Request::StreamRevoked { device } => {
                if let Some(server) = self.shares.server() {
                    server.revoked(&device);
                }
                Ok(())
            }
            _ => Err(not_shared()),
        };
        done.map(|()| Reply::Done).map_err(|e| e.message())
    }
}

fn not_shared() -> sampan_stream::ServeError {
    sampan_stream::ServeError::NotShared
}
