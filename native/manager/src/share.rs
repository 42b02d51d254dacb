//! Showing a machine's screen to other devices: the owner's side. What is known of devices is kept in the library, in `stream`.

use crate::error::{Error, Result};
use crate::machine::unexpected;
use crate::{Manager, blocking};
use sampan_control::{Reply, Reporter, Request};
use sampan_library::{Library, VmId};
use sampan_trust::sharing::{PairCode, Sharing, Viewer};
use sampan_trust::{Device, Rights, Store};
use std::net::IpAddr;
use std::path::PathBuf;

pub use sampan_stream::addresses;

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

    async fn ask(&self, id: VmId, request: Request) -> Result<Reply> {
        self.running(id).await?.call(request, &Reporter::new()).await
    }
}

/// That a machine is not shown.
pub fn not_shared() -> Error {
    Error::saying(&crate::Sentence::NotShared)
}
