//! The image service as the library wants it: calls that wait.

use super::ImageService;
use sampan_emulator::{Arch, Launcher};
use sampan_library::{Backing, BlockError, BlockLayer, Layer, NewImage, OnProgress};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

/// How often it is looked at whether the work is to stop.
const PACE: Duration = Duration::from_millis(50);

/// How long QEMU may take to break off its work before it is killed: a request that hangs in the kernel, or the taking
/// of all of a disk's space, hears nothing.
const GRACE: Duration = Duration::from_secs(2);

/// [`BlockLayer`] over an [`ImageService`] that is started when it is first needed. Its calls belong on threads that may
/// wait, and panic on those that drive tasks of the runtime. Clones share the service; it ends with the last of them.
#[derive(Clone)]
pub struct Blocking {
    launcher: Arc<dyn Launcher>,
    arch: Arch,
    runtime: Handle,
    service: Arc<OnceCell<ImageService>>,
    stop: Arc<AtomicBool>,
}

impl Blocking {
    /// Waits by this runtime for a service that `launcher` starts, with the libqemu of `arch`.
    pub fn new(launcher: Arc<dyn Launcher>, arch: Arch, runtime: Handle) -> Self {
        Self { launcher, arch, runtime, service: Arc::default(), stop: Arc::default() }
    }

    /// Once `stop` is true all work is broken off: by QEMU itself, or without it where that takes too long. Its calls answer
    /// [`BlockError::Cancelled`] then.
    #[must_use]
    pub fn stopped_by(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    fn wait(&self, work: impl Future<Output = Result<(), BlockError>>) -> Result<(), BlockError> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => done,
                () = self.overdue() => {
                    // Nothing writes any more when the caller removes what was begun.
                    if let Some(service) = self.service.get() {
                        service.kill().await;
                    }
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

    async fn service(&self) -> Result<&ImageService, BlockError> {
        let start = || ImageService::start(Arc::clone(&self.launcher), "disks", self.arch);
        self.service.get_or_try_init(start).await.map_err(|e| BlockError::Unavailable(e.to_string()))
    }
}

impl BlockLayer for Blocking {
    fn create(&self, image: &NewImage) -> Result<(), BlockError> {
        self.wait(async {
            self.service().await?.create(image).await?;
            // The caller removes it.
            if self.is_stopped() { Err(BlockError::Cancelled) } else { Ok(()) }
        })
    }

    fn convert(
        &self,
        source: &[Layer],
        target: &NewImage,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.wait(async { self.service().await?.convert(source, target, false, progress).await })
    }

    fn grow(&self, chain: &[Layer], size: u64) -> Result<(), BlockError> {
        self.wait(async { self.service().await?.grow(chain, size).await })
    }

    fn commit(&self, chain: &[Layer], progress: OnProgress<'_>) -> Result<(), BlockError> {
        self.wait(async { self.service().await?.commit(chain, progress).await })
    }

    fn flatten(
        &self,
        chain: &[Layer],
        keep: usize,
        backing: Option<&Backing>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.wait(async { self.service().await?.flatten(chain, keep, backing, progress).await })
    }
}
