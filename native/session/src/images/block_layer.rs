//! The image service as the library wants it: calls that wait.

use super::ImageService;
use sampan_emulator::{Arch, Launcher};
use sampan_library::{Backing, BlockError, BlockLayer, CheckedChain, NewImage, OnProgress};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// How often it is looked at whether the work is to stop.
const PACE: Duration = Duration::from_millis(50);

/// How long QEMU may take to break off its work before it is killed: a request that hangs in the kernel, or the taking
/// of all of a disk's space, hears nothing.
const GRACE: Duration = Duration::from_secs(2);

/// [`BlockLayer`] over an [`ImageService`]. Its calls belong on threads that may wait, and panic on those that drive tasks of the
/// runtime. Clones share the service.
#[derive(Clone)]
pub struct QemuBlockLayer {
    runtime: Handle,
    service: Arc<ImageService>,
    stop: Arc<AtomicBool>,
}

impl QemuBlockLayer {
    /// Waits by this runtime for a service that `launcher` starts, with the libqemu of `arch`.
    pub fn new(launcher: Arc<dyn Launcher>, arch: Arch, runtime: Handle) -> Self {
        let service = Arc::new(ImageService::new(launcher, "disks", arch));
        Self { runtime, service, stop: Arc::default() }
    }

    /// Once `stop` is true all work is broken off: by QEMU itself, or without it where that takes too long. Its calls answer
    /// [`BlockError::Cancelled`] then.
    #[must_use]
    pub fn stopped_by(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    fn wait(
        &self,
        work: impl AsyncFnOnce(&ImageService) -> Result<(), BlockError>,
    ) -> Result<(), BlockError> {
        let service = self.service.for_one();
        self.runtime.block_on(async {
            tokio::select! {
                done = work(&service) => done,
                () = self.overdue() => {
                    // Nothing writes any more when the caller removes what was begun.
                    service.kill().await;
                    Err(BlockError::Cancelled)
                }
            }
        })
    }

    async fn overdue(&self) {
        while !self.is_stopped() {
            tokio::time::sleep(PACE).await;
        }
        tokio::time::sleep(GRACE).await;
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl BlockLayer for QemuBlockLayer {
    fn create(&self, images: &[NewImage]) -> Result<(), BlockError> {
        self.wait(async |service| {
            service.create(images).await?;
            // The caller removes it.
            if self.is_stopped() { Err(BlockError::Cancelled) } else { Ok(()) }
        })
    }

    fn convert(
        &self,
        source: &CheckedChain,
        target: &NewImage,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.wait(async |service| service.convert(source, target, false, progress).await)
    }

    fn grow(&self, chain: &CheckedChain, size: u64) -> Result<(), BlockError> {
        self.wait(async |service| service.grow(chain, size).await)
    }

    fn commit(&self, chain: &CheckedChain, progress: OnProgress<'_>) -> Result<(), BlockError> {
        self.wait(async |service| service.commit(chain, progress).await)
    }

    fn flatten(
        &self,
        chain: &CheckedChain,
        keep: usize,
        backing: Option<&Backing>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.wait(async |service| service.flatten(chain, keep, backing, progress).await)
    }
}
