//! The same guest, shown to devices that are paired: a second server, by TLS, on an address that others reach.

mod routes;
mod shown;
mod tls;

pub(crate) use shown::Share;
pub use shown::ShareConfig;
use shown::now;

use crate::Server;
use crate::error::ServeError;
use crate::state::ServerState;
use crate::transport::WebRtc;
use crate::viewers::{Viewer, unix};
use crate::web::{self, Guard};
use parking_lot::Mutex;
use sampan_trust::sharing::{PairCode, Sharing};
use sampan_trust::{Device, Gate, Rights, TrustError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How often the list of devices is looked at while any of them is here: whoever revokes one says so, but may not have been heard.
const PACE: Duration = Duration::from_secs(1);

fn is_remote(viewer: &Viewer) -> bool {
    viewer.client.device.is_some()
}

impl Server {
    /// Shows the guest to devices that are paired; where it is shown elsewhere already, it is no more. Where it listens now.
    ///
    /// # Errors
    /// [`ServeError`]: it is shown as before.
    pub async fn share(&self, config: ShareConfig) -> Result<SocketAddr, ServeError> {
        let before = self.state.share.lock().clone();
        let is_there = before.filter(|share| {
            share.config.machine == config.machine
                && share.base == format!("https://{}", config.listen)
                && !*share.stop.borrow()
        });
        if let Some(share) = is_there {
            // The same address again: nobody is sent away.
            share.lasting.store(config.lasting, Ordering::Relaxed);
            self.state.changed();
            return Ok(config.listen);
        }
        let store = config.store.clone();
        let identity = tokio::task::spawn_blocking(move || store.identity()).await;
        let identity = identity.unwrap_or(Err(TrustError::Form("store")))?;
        let tls = tls::acceptor(&identity)?;
        let (listener, local) = web::listen_beyond(config.listen).await?;
        let guard = Arc::new(Guard::beyond(local)?);
        let share = Arc::new(Share {
            base: guard.base(),
            lasting: AtomicBool::new(config.lasting),
            config,
            gate: Mutex::new(Gate::new(&identity)),
            transport: Arc::new(WebRtc::new(local.ip(), self.state.rates)),
            stop: watch::Sender::new(false),
        });
        let router = routes::router(&self.state, &share, guard);
        tokio::spawn(web::serve_with(listener, Some(tls), router, share.stop.subscribe()));
        tokio::spawn(end_with(Arc::downgrade(&share), share.stop.subscribe(), self.state.stop.subscribe()));
        tokio::spawn(look_after(Arc::downgrade(&self.state), Arc::downgrade(&share), share.stop.subscribe()));
        self.end_share();
        *self.state.share.lock() = Some(share);
        self.state.changed();
        Ok(local)
    }

    fn end_share(&self) {
        let share = self.state.share.lock().take();
        if let Some(share) = share {
            share.stop.send_replace(true);
            let gone = self.state.viewers.dismiss_all(is_remote);
            log::info!("the screen is not shown at {} any more; {gone} viewers were sent away", share.base);
        }
    }

    /// Shows it no more; who sees it is sent away.
    pub fn unshare(&self) {
        self.end_share();
        self.state.changed();
    }

    /// How it is shown; `None` where it is not.
    pub fn sharing(&self) -> Option<Sharing> {
        let share = self.state.share.lock().clone()?;
        let mut viewers = self.viewers();
        viewers.retain(|viewer| !viewer.device.is_empty());
        let (now, gate) = (now(), share.gate());
        Some(Sharing {
            url: share.base.clone(),
            lasting: share.lasting.load(Ordering::Relaxed),
            code_until: gate.code_until(now),
            request: gate.request(now),
            viewers,
        })
    }

    fn shared(&self) -> Result<Arc<Share>, ServeError> {
        self.state.share.lock().clone().ok_or(ServeError::NotShared)
    }

    /// A code that pairs one device; one from before counts no more.
    ///
    /// # Errors
    /// [`ServeError::NotShared`].
    pub fn pair(&self) -> Result<PairCode, ServeError> {
        let share = self.shared()?;
        let code = share.gate().pair(now())?;
        self.state.changed();
        Ok(PairCode { url: code.url(&share.base), words: code.words, until: code.until })
    }

    /// The owner's answer to a device that has used the code; no rights are a no.
    ///
    /// # Errors
    /// [`ServeError::NotShared`]; the device does not wait any more; it cannot be kept.
    pub async fn answer(&self, request: &str, rights: Rights) -> Result<(), ServeError> {
        let share = self.shared()?;
        let asked = share.gate().asked(request, now())?;
        if !rights.is_none() {
            let new = asked.clone();
            // Kept before it is told: a device that was let in is one.
            share
                .stored(move |store, machine| store.add(Device::new(&new, machine, rights, unix())?))
                .await?;
        }
        share.gate().answered(request, rights);
        let name = web::escaped(&asked.name);
        if rights.is_none() {
            log::info!("the device {name} was refused");
        } else {
            log::info!("the device {name} ({}) was paired", asked.id());
        }
        self.state.changed();
        Ok(())
    }

    /// A device was revoked: its viewers are sent away.
    pub fn revoked(&self, device: &str) {
        self.state.revoked(device);
    }

    /// Changes whenever how it is shown may have.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.state.changes.subscribe()
    }
}

impl ServerState {
    fn revoked(&self, device: &str) {
        let is_its = |viewer: &Viewer| viewer.client.device.as_ref().is_some_and(|of| of.id == device);
        let gone = self.viewers.dismiss_all(is_its);
        if gone > 0 {
            log::info!("the device {device} was revoked; {gone} viewers were sent away");
        }
    }
}

/// Ends with the server that it is a part of.
async fn end_with(
    share: std::sync::Weak<Share>,
    mut stop: watch::Receiver<bool>,
    mut server: watch::Receiver<bool>,
) {
    tokio::select! {
        _ = server.wait_for(|stop| *stop) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    if let Some(share) = share.upgrade() {
        share.stop.send_replace(true);
    }
}

/// Looks now and then whether those who are here are on the list still.
async fn look_after(
    state: std::sync::Weak<ServerState>,
    share: std::sync::Weak<Share>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let (Some(state), Some(share)) = (state.upgrade(), share.upgrade()) else { return };
        let here = state.viewers.map(|viewer| viewer.client.device.as_ref().map(|device| device.id.clone()));
        let mut here: Vec<String> = here.into_iter().flatten().collect();
        if here.is_empty() {
            continue;
        }
        let known = share.stored(|store, machine| {
            let mut devices = store.devices()?;
            devices.retain(|device| device.machine == machine);
            Ok(devices)
        });
        match known.await {
            Ok(known) => here.retain(|id| !known.iter().any(|device| device.id() == id)),
            // Whoever cannot be looked up is not let in either.
            Err(error) => log::warn!("{error}"),
        }
        here.sort_unstable();
        here.dedup();
        here.iter().for_each(|device| state.revoked(device));
    }
}
