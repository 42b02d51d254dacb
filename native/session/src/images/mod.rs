//! Work on disk images that no machine uses: creating, converting, growing, merging.
//!
//! It is done by QEMU's own block layer, in a libqemu with `-machine none`, driven over QMP as
//! `qemu-storage-daemon` is: a device runs no other programs, and nobody else reads as many formats.
//!
//! QEMU's parsers meet images here that come from anywhere, so each piece of work has a QEMU of its own, locked in to the files
//! that it reads and the one that it writes, by their inodes, without a network
//! ([`Confinement`](sampan_emulator::Confinement)). Where QEMU shares this process that cannot be, and it is kept for the
//! next piece of work once it has done its own.
//!
//! Pieces of work are independent: several run at once, breaking one off touches no other, and short work, for which a
//! guest may stand still, never waits for long work.
//!
//! Names of files are given to QEMU as members of JSON objects, so no character in them can mean anything else.

mod block_layer;
mod job;
mod pool;
mod worker;

pub use block_layer::QemuBlockLayer;

use pool::{Length, Pool, Working};
use sampan_emulator::{Access, Allowed, Arch, Launcher};
use sampan_library::{
    Backing, BlockError, CheckedChain, Layer, NewImage, OnProgress, Pin, Preallocation, new_image_file,
};
use serde_json::json;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use worker::{Opening, Worker, refused};

/// QEMU's block layer. [`QemuBlockLayer`] is the same as the library wants it.
pub struct ImageService {
    pool: Arc<Pool>,
    /// What [`Self::kill`] ends.
    working: Working,
}

impl ImageService {
    /// A service that starts QEMU when there is work. Which architecture's libqemu it is makes no difference; what is written of
    /// it in logs is `name`.
    pub fn new(launcher: Arc<dyn Launcher>, name: &str, arch: Arch) -> Self {
        Self { pool: Arc::new(Pool::new(launcher, name, arch)), working: Working::default() }
    }

    /// The same service for one piece of work, which can be killed alone.
    pub(super) fn for_one(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), working: Working::default() }
    }

    /// Makes new images. None of the files may exist yet; after an error none does.
    ///
    /// # Errors
    /// [`BlockError`].
    pub async fn create(&self, images: &[NewImage]) -> Result<(), BlockError> {
        let mut new = NewFiles::default();
        let files = images.iter().map(|image| new.make(&image.path)).collect::<Result<_, _>>()?;
        // A file system that cannot set space aside has zeros written.
        let fixed = images.iter().any(|image| image.preallocation == Preallocation::Fixed);
        let length = if fixed { Length::Long } else { Length::Short };
        self.with(length, files, async |worker| {
            for image in images {
                worker.fill(image).await?;
            }
            Ok(())
        })
        .await?;
        new.keep();
        Ok(())
    }

    /// Copies what a chain holds into a new image: all that is read from it, or, where the new image has a backing
    /// file, only what the topmost holds. Clusters of zeros take no space in it. With `compress` it is smaller, to be
    /// read rather than written.
    ///
    /// # Errors
    /// [`BlockError`]; the target is removed then.
    pub async fn convert(
        &self,
        source: &CheckedChain,
        target: &NewImage,
        compress: bool,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        let mut new = NewFiles::default();
        let mut files = allowed(source, 0)?;
        files.push(new.make(&target.path)?);
        self.with(Length::Long, files, async |worker| {
            let from = worker.open(source, Opening::Read).await?;
            let copied = worker.copy(&from, target, compress, progress).await;
            worker.close(from).await.and(copied)
        })
        .await?;
        new.keep();
        Ok(())
    }

    /// Sets the size that the guest sees. It only grows: what lies beyond a smaller size would be lost.
    ///
    /// # Errors
    /// [`BlockError`]; the image is as it was.
    pub async fn grow(&self, chain: &CheckedChain, size: u64) -> Result<(), BlockError> {
        self.with(Length::Short, allowed(chain, 1)?, async |worker| {
            let opened = worker.open(chain, Opening::Write).await?;
            let grown = async {
                let now = worker.virtual_size(&opened).await?;
                if size < now {
                    let message =
                        format!("it has {now} bytes, which is more than {size}: a disk can only grow");
                    return Err(BlockError::Refused { path: opened.file().to_owned(), message });
                }
                worker.resize(&opened, size).await
            }
            .await;
            worker.close(opened).await.and(grown)
        })
        .await
    }

    /// Writes what the first image of the chain holds into the second one, which the rest of the world must not use.
    /// Both can be read as before, also when this is broken off.
    ///
    /// # Errors
    /// [`BlockError`].
    pub async fn commit(&self, chain: &CheckedChain, progress: OnProgress<'_>) -> Result<(), BlockError> {
        self.with(Length::Long, allowed(chain, 2)?, async |worker| {
            let opened = worker.open(chain, Opening::WriteBase).await?;
            let Some(base) = opened.node(1) else {
                let path = opened.file().to_owned();
                worker.close(opened).await?;
                return Err(BlockError::Refused { path, message: "it stands on nothing".into() });
            };
            let id = worker.name("commit");
            let arguments =
                json!({ "job-id": id, "device": opened.top(), "base-node": base, "auto-dismiss": false });
            let merged = worker.job(&id, "block-commit", arguments, opened.file(), None, progress).await;
            worker.close(opened).await.and(merged)
        })
        .await
    }

    /// Copies into the first image what it reads from those after it and before number `keep`, which it stands on
    /// afterwards: `backing` is what is written for that in its header. Its data are durable before the header changes.
    ///
    /// # Errors
    /// [`BlockError`]; the chain reads as before.
    pub async fn flatten(
        &self,
        chain: &CheckedChain,
        keep: usize,
        backing: Option<&Backing>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.with(Length::Long, allowed(chain, 1)?, async |worker| {
            let opened = worker.open(chain, Opening::Write).await?;
            let id = worker.name("flatten");
            let mut arguments = json!({
                "job-id": id, "device": opened.top(), "auto-finalize": false, "auto-dismiss": false,
            });
            if let (Some(base), Some(backing)) = (opened.node(keep), backing) {
                arguments["base-node"] = base.into();
                arguments["backing-file"] = backing.file.as_str().into();
            }
            let top = Some(opened.top());
            let done = worker.job(&id, "block-stream", arguments, opened.file(), top, progress).await;
            worker.close(opened).await.and(done)
        })
        .await
    }

    /// The size in bytes that a guest sees.
    ///
    /// # Errors
    /// [`BlockError`].
    pub async fn size(&self, chain: &CheckedChain) -> Result<u64, BlockError> {
        self.with(Length::Short, allowed(chain, 0)?, async |worker| {
            let opened = worker.open(chain, Opening::Read).await?;
            let size = worker.virtual_size(&opened).await;
            worker.close(opened).await?;
            size
        })
        .await
    }

    /// Ends the QEMUs that are kept.
    pub async fn stop(&self) {
        self.pool.stop_idle().await;
    }

    /// Ends the QEMU at work for this value in the midst of it. Others go on, and the next piece of work gets a new one.
    pub(super) async fn kill(&self) {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(process) = working {
            process.kill().await;
        }
    }

    async fn with<T>(
        &self,
        length: Length,
        files: Vec<Allowed>,
        work: impl AsyncFnOnce(&Worker) -> Result<T, BlockError>,
    ) -> Result<T, BlockError> {
        self.pool.with(length, files, &self.working, work).await
    }
}

/// Files that were made, removed unless they are kept.
#[derive(Default)]
struct NewFiles(Vec<PathBuf>);

impl NewFiles {
    fn make(&mut self, path: &Path) -> Result<Allowed, BlockError> {
        let pin = new_image_file(path).map_err(|e| refused(path, e.to_string()))?;
        self.0.push(path.to_owned());
        allow(path, &pin, Access::Write)
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A chain's files: the first so many are written to.
fn allowed(chain: &CheckedChain, written: usize) -> Result<Vec<Allowed>, BlockError> {
    let access = |at: usize| if at < written { Access::Write } else { Access::Read };
    let layers = chain.layers().enumerate();
    layers.map(|(at, (Layer { path, .. }, pin))| allow(path, pin, access(at))).collect()
}

/// The inode that was looked at, whatever its name leads to by now.
pub(crate) fn allow(path: &Path, pin: &Pin, access: Access) -> Result<Allowed, BlockError> {
    let fd = pin.as_fd().try_clone_to_owned();
    fd.and_then(|fd| Allowed::of(fd, path, access)).map_err(|e| refused(path, e.to_string()))
}
