//! What a guest that is shown to other devices has: its address, who may come, what connects them.

use crate::transport::MediaTransport;
use crate::viewers::{DeviceTag, unix};
use parking_lot::{Mutex, MutexGuard};
use sampan_trust::{Device, Gate, Now, Store, TrustError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::watch;

/// How to show it to other devices.
#[derive(Clone, Debug)]
pub struct ShareConfig {
    /// One of this host's addresses; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// What is known of devices.
    pub store: Store,
    /// The machine, as devices are paired with it.
    pub machine: String,
    /// Whether later starts show it, too: to be told, and nothing else.
    pub lasting: bool,
}

/// A guest that is shown.
pub(crate) struct Share {
    pub(super) base: String,
    pub(super) config: ShareConfig,
    pub(super) lasting: AtomicBool,
    pub(super) gate: Mutex<Gate>,
    pub(super) transport: Arc<dyn MediaTransport>,
    /// The server's end.
    pub(super) stop: watch::Sender<bool>,
}

/// Now.
pub(super) fn now() -> Now {
    // Tokio's clock, which tests stop and move on.
    Now { at: tokio::time::Instant::now().into_std(), unix: unix() }
}

impl Share {
    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock()
    }

    /// What the store does, on a thread that may wait.
    pub(super) async fn stored<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store, &str) -> Result<T, TrustError> + Send + 'static,
    ) -> Result<T, TrustError> {
        let (store, machine) = (self.config.store.clone(), self.config.machine.clone());
        let done = tokio::task::spawn_blocking(move || work(&store, &machine)).await;
        done.unwrap_or(Err(TrustError::Form("store")))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

pub(super) fn tag(device: &Device) -> DeviceTag {
    DeviceTag { id: device.id().to_owned(), name: device.name.clone() }
}
