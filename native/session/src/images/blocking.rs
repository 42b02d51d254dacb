//! The image service as the library wants it: calls that wait.

use super::ImageService;
use sampan_emulator::{Arch, Launcher};
use sampan_library::{Backing, BlockError, BlockLayer, Layer, NewImage, OnProgress};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

/// [`BlockLayer`] over an [`ImageService`] that is started when it is first needed. Its calls belong on threads that may
/// wait, and panic on those that drive tasks of the runtime. Clones share the service; it ends with the last of them.
#[derive(Clone)]
pub struct Blocking {
    launcher: Arc<dyn Launcher>,
    arch: Arch,
    runtime: Handle,
    service: Arc<OnceCell<ImageService>>,
}

impl Blocking {
    /// Waits by this runtime for a service that `launcher` starts, with the libqemu of `arch`.
    pub fn new(launcher: Arc<dyn Launcher>, arch: Arch, runtime: Handle) -> Self {
        Self { launcher, arch, runtime, service: Arc::default() }
    }

    async fn service(&self) -> Result<&ImageService, BlockError> {
        let start = || ImageService::start(Arc::clone(&self.launcher), "disks", self.arch);
        self.service.get_or_try_init(start).await.map_err(|e| BlockError::Unavailable(e.to_string()))
    }
}

impl BlockLayer for Blocking {
    fn create(&self, image: &NewImage) -> Result<(), BlockError> {
        self.runtime.block_on(async { self.service().await?.create(image).await })
    }

    fn convert(
        &self,
        source: &[Layer],
        target: &NewImage,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.runtime.block_on(async { self.service().await?.convert(source, target, false, progress).await })
    }

    fn grow(&self, chain: &[Layer], size: u64) -> Result<(), BlockError> {
        self.runtime.block_on(async { self.service().await?.grow(chain, size).await })
    }

    fn commit(&self, chain: &[Layer], progress: OnProgress<'_>) -> Result<(), BlockError> {
        self.runtime.block_on(async { self.service().await?.commit(chain, progress).await })
    }

    fn flatten(
        &self,
        chain: &[Layer],
        keep: usize,
        backing: Option<&Backing>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.runtime.block_on(async { self.service().await?.flatten(chain, keep, backing, progress).await })
    }
}
