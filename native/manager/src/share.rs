//! Showing a machine's screen to other devices: the owner's side. What is known of devices is kept in the library, in `stream`.

use crate::error::{Error, Result};
use crate::machine::unexpected;
use crate::{Manager, blocking};
use sampan_control::{Publishing, Reply, Reporter, Request};
use sampan_library::{Library, VmId};
use sampan_trust::sharing::{PairCode, Sharing, Viewer};
use sampan_trust::{Device, IceServer, Rights, Store};
use std::net::IpAddr;
use std::path::PathBuf;

pub use sampan_stream::addresses;
pub(crate) use sampan_stream::way_to;

/// The folder in the library.
const FOLDER: &str = "stream";

/// What is known of devices. It blocks.
pub(crate) fn store(library: &Library) -> Result<Store> {
    Ok(Store::new(library.private_folder(FOLDER)?))
}

/// Where files wait on their way between viewers and guests; they have no names there. It blocks.
pub(crate) fn spool_folder(library: &Library) -> Result<PathBuf> {
    Ok(library.private_folder(FOLDER)?)
}

/// A media server that a stream is published to.
#[derive(Clone, Default)]
pub struct PublishTarget {
    /// Its WHIP address.
    pub url: String,
    /// The token that it wants.
    pub token: Option<String>,
    /// Whether plain http is taken for a server that is not this host.
    pub plain_http: bool,
    /// A PEM file with certificates that are trusted besides Mozilla's.
    pub ca_file: Option<PathBuf>,
}

impl Manager {
    /// Shows a running machine's screen to other devices, until it ends, or with `lasting` at later starts, too. Without an
    /// address it is the one from before, or the one that leads out.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; the address is not this host's, or the port is taken.
    pub async fn share(
        &self,
        id: VmId,
        address: Option<IpAddr>,
        port: Option<u16>,
        lasting: bool,
    ) -> Result<Sharing> {
        match self.ask(id, Request::StreamOn { address, port, lasting }).await? {
            Reply::Sharing(sharing) => Ok(sharing),
            _ => Err(Error::Client(unexpected())),
        }
    }

    /// Shows it no more, now and at later starts; who sees it is sent away.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub async fn unshare(&self, id: VmId) -> Result<()> {
        self.ask(id, Request::StreamOff).await.map(drop)
    }

    /// How it is shown; `None` where it is not, or does not run.
    ///
    /// # Errors
    /// Its process does not answer.
    pub async fn sharing(&self, id: VmId) -> Result<Option<Sharing>> {
        let status = self.machine(id).await?.status().await?;
        Ok(status.and_then(|status| status.facts).and_then(|facts| facts.sharing))
    }

    /// A code that pairs one device with a machine that is shown; one from before counts no more.
    ///
    /// # Errors
    /// The machine is not shown.
    pub async fn pair_code(&self, id: VmId) -> Result<PairCode> {
        match self.ask(id, Request::StreamPair).await? {
            Reply::PairCode(code) => Ok(code),
            _ => Err(Error::Client(unexpected())),
        }
    }

    /// The owner's answer to a device that has used a code; no rights are a no.
    ///
    /// # Errors
    /// The device does not wait any more.
    pub async fn answer_device(&self, id: VmId, request: &str, rights: Rights) -> Result<()> {
        self.ask(id, Request::StreamAnswer { request: request.to_owned(), rights }).await.map(drop)
    }

    /// The devices that are paired, of all machines.
    ///
    /// # Errors
    /// The list cannot be read.
    pub async fn devices(&self) -> Result<Vec<Device>> {
        let library = self.library().clone();
        blocking(move || Ok(store(&library)?.devices()?)).await
    }

    /// The servers by which devices may find a way to this host, of all machines; none unless the owner has named some.
    ///
    /// # Errors
    /// The list cannot be read.
    pub async fn ice_servers(&self) -> Result<Vec<IceServer>> {
        let library = self.library().clone();
        blocking(move || Ok(store(&library)?.ice_servers()?)).await
    }

    /// Names a server; one with the same address is replaced. Devices that connect from now on are told of it.
    ///
    /// # Errors
    /// There are too many, or the list cannot be written.
    pub async fn add_ice_server(&self, server: IceServer) -> Result<()> {
        let library = self.library().clone();
        blocking(move || Ok(store(&library)?.add_ice_server(server)?)).await
    }

    /// Takes a server off the list, by its address.
    ///
    /// # Errors
    /// There is no such server.
    pub async fn remove_ice_server(&self, url: &str) -> Result<()> {
        let (library, url) = (self.library().clone(), url.to_owned());
        blocking(move || Ok(store(&library)?.remove_ice_server(&url)?)).await
    }

    /// The fingerprint of the host's certificate, as browsers show it.
    ///
    /// # Errors
    /// It cannot be read or made.
    pub async fn fingerprint(&self) -> Result<String> {
        let library = self.library().clone();
        blocking(move || Ok(store(&library)?.identity()?.fingerprint())).await
    }

    /// Takes a device off the list, by its id or its name, and sends its viewers away.
    ///
    /// # Errors
    /// There is no such device, or several have the name.
    pub async fn revoke_device(&self, what: &str) -> Result<Device> {
        let (library, what) = (self.library().clone(), what.to_owned());
        let device = blocking(move || Ok(store(&library)?.revoke(&what)?)).await?;
        // A machine that does not answer looks at the list by itself, within moments.
        if let Some(id) = VmId::from_folder(&format!("{}.sampan", device.machine)) {
            let told = self.ask(id, Request::StreamRevoked { device: device.id().to_owned() }).await;
            if let Err(error) = told {
                log::debug!("the machine was not told of the device: {error}");
            }
        }
        Ok(device)
    }

    /// Sends a viewer away, by its number; its device may come again.
    ///
    /// # Errors
    /// There is no such viewer.
    pub async fn kick_viewer(&self, id: VmId, viewer: &str) -> Result<()> {
        self.ask(id, Request::StreamKick { viewer: viewer.to_owned() }).await.map(drop)
    }

    /// Hands control of the guest to a viewer, by its number: from then on nobody else's input is taken.
    ///
    /// # Errors
    /// There is no such viewer, or it may only watch.
    pub async fn give_control(&self, id: VmId, viewer: &str) -> Result<()> {
        self.ask(id, Request::StreamGive { viewer: viewer.to_owned() }).await.map(drop)
    }

    /// Those who see a machine by a browser, on this host and elsewhere, the longest-standing first.
    ///
    /// # Errors
    /// Its process does not answer.
    pub async fn viewers(&self, id: VmId) -> Result<Vec<Viewer>> {
        let status = self.machine(id).await?.status().await?;
        Ok(status.and_then(|status| status.facts).map(|facts| facts.viewers).unwrap_or_default())
    }

    /// Publishes a running machine's stream to a media server by WHIP, until it ends, in the place of one from before. The server has taken it
    /// then; what is lost later is tried again.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; why the server has not taken it.
    pub async fn publish(&self, id: VmId, to: PublishTarget) -> Result<Publishing> {
        let PublishTarget { url, token, plain_http, ca_file } = to;
        // The machine's process has another working directory.
        let ca_file =
            ca_file.map(std::path::absolute).transpose().map_err(Error::io("the certificates' file"))?;
        match self.ask(id, Request::StreamPublish { url, token, plain_http, ca_file }).await? {
            Reply::Publishing(publishing) => Ok(publishing),
            _ => Err(Error::Client(unexpected())),
        }
    }

    /// Publishes it no more; the media server is told.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; it is not published.
    pub async fn unpublish(&self, id: VmId) -> Result<()> {
        self.ask(id, Request::StreamUnpublish).await.map(drop)
    }

    /// How it is published; `None` where it is not, or does not run.
    ///
    /// # Errors
    /// Its process does not answer.
    pub async fn publishing(&self, id: VmId) -> Result<Option<Publishing>> {
        let status = self.machine(id).await?.status().await?;
        Ok(status.and_then(|status| status.facts).and_then(|facts| facts.publishing))
    }

    async fn ask(&self, id: VmId, request: Request) -> Result<Reply> {
        self.running(id).await?.call(request, &Reporter::new()).await
    }
}

/// That a machine is not shown.
pub fn not_shared() -> Error {
    Error::saying(&crate::Sentence::NotShared)
}
