//! Work on disk images that no machine uses: creating, converting, growing, merging.
//!
//! It is done by QEMU's own block layer, in a libqemu with `-machine none`, driven over QMP as
//! `qemu-storage-daemon` is: a device runs no other programs, nobody else reads as many formats, and one run serves
//! for as long as the program lives. Foreign images are best looked at by a [`Launcher`] of children.
//!
//! Names of files are given to QEMU as members of JSON objects, so no character in them can mean anything else.

mod blocking;
mod job;

pub use blocking::Blocking;

use crate::StartError;
use crate::drain::drain;
use crate::start::{connect_monitor, gave_up};
use sampan_emulator::{Arch, Control, Exit, LaunchSpec, Launcher};
use sampan_library::{
    Backing, BlockError, ImageFormat, Layer, NewImage, OnProgress, Preallocation, blockdev,
};
use sampan_qmp::{Qmp, QmpError, types};
use serde_json::{Value, json};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};

/// qcow2's default size of a cluster, in bytes.
const CLUSTER: u32 = 64 << 10;

/// How long QEMU may take to end: it has nothing open.
const END: Duration = Duration::from_secs(10);

/// A libqemu that works on images. [`Blocking`] is the same as the library wants it.
pub struct ImageService {
    qmp: Qmp,
    control: Control,
    exit: Mutex<Option<oneshot::Receiver<Exit>>>,
    next: AtomicU64,
    /// One piece of work at a time: they share the disk anyway, and names of nodes stay few.
    busy: Mutex<()>,
}

/// Nodes of a chain that is open: the top one and what it stands on.
struct Opened {
    nodes: Vec<String>,
    file: PathBuf,
}

impl Opened {
    fn top(&self) -> &str {
        self.nodes.first().map_or("", String::as_str)
    }
}

impl ImageService {
    /// Starts one. Which architecture's libqemu it is makes no difference; what is written of it in logs is `name`.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(launcher: Arc<dyn Launcher>, name: &str, arch: Arch) -> Result<Self, StartError> {
        let mut spec = LaunchSpec::new(name, arch);
        spec.args(["-nodefaults", "-no-user-config", "-machine", "none", "-display", "none"]);
        let (ended, mut exit) = oneshot::channel();
        let launched = tokio::task::spawn_blocking(move || {
            launcher.launch(spec, Box::new(move |exit| drop(ended.send(exit))))
        })
        .await
        .map_err(|e| io::Error::other(format!("the launching thread failed: {e}")))??;
        let control = launched.control;
        let name = name.to_owned();
        drain(launched.log, move |line| log::info!(target: "qemu", "{name}: {line}"))?;
        let qmp = tokio::select! {
            qmp = connect_monitor(launched.qmp) => qmp,
            exit = &mut exit => return Err(gave_up(exit)),
        };
        match qmp {
            Ok(qmp) => Ok(ImageService {
                qmp,
                control,
                exit: Mutex::new(Some(exit)),
                next: AtomicU64::new(1),
                busy: Mutex::new(()),
            }),
            Err(error) => {
                control.terminate();
                Err(error)
            }
        }
    }

    /// Makes a new image. The file must not exist yet; after an error it does not exist.
    ///
    /// # Errors
    /// [`BlockError`].
    pub async fn create(&self, image: &NewImage) -> Result<(), BlockError> {
        let _busy = self.busy.lock().await;
        self.make(image).await
    }

    /// Copies what a chain holds into a new image: all that is read from it, or, where the new image has a backing
    /// file, only what the topmost holds. Clusters of zeros take no space in it. With `compress` it is smaller, to be
    /// read rather than written.
    ///
    /// # Errors
    /// [`BlockError`]; the target is removed then.
    pub async fn convert(
        &self,
        source: &[Layer],
        target: &NewImage,
        compress: bool,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        let _busy = self.busy.lock().await;
        let from = self.open(source, Access::Read).await?;
        let copied = self.copy(&from, target, compress, progress).await;
        self.close(from).await.and(copied)
    }

    async fn copy(
        &self,
        from: &Opened,
        target: &NewImage,
        compress: bool,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        let size = self.virtual_size(from).await?;
        self.make(&NewImage { size, ..target.clone() }).await?;
        let copied = async {
            // Not through its backing file, which may be in use.
            let layer = Layer { path: target.path.clone(), format: target.format.into() };
            let to = self.open(&[layer], Access::WriteSparse).await?;
            let id = self.name("copy");
            let mut arguments = json!({
                "job-id": id, "device": from.top(), "target": to.top(), "auto-dismiss": false,
                "sync": if target.backing.is_some() { "top" } else { "full" },
                // Zeros are looked for in one request at a time, so it must not be longer than a cluster.
                "x-perf": { "max-chunk": CLUSTER, "use-copy-range": false },
            });
            if compress {
                arguments["compress"] = true.into();
            }
            let mut copied = self.job(&id, "blockdev-backup", arguments, &from.file, None, progress).await;
            if copied.is_ok() && target.size > size {
                copied = self.resize(&to, target.size).await;
            }
            self.close(to).await.and(copied)
        }
        .await;
        if copied.is_err() {
            let _ = std::fs::remove_file(&target.path);
        }
        copied
    }

    /// Sets the size that the guest sees. It only grows: what lies beyond a smaller size would be lost.
    ///
    /// # Errors
    /// [`BlockError`]; the image is as it was.
    pub async fn grow(&self, chain: &[Layer], size: u64) -> Result<(), BlockError> {
        let _busy = self.busy.lock().await;
        let opened = self.open(chain, Access::Write).await?;
        let grown = async {
            let now = self.virtual_size(&opened).await?;
            if size < now {
                let message = format!("it has {now} bytes, which is more than {size}: a disk can only grow");
                return Err(BlockError::Refused { path: opened.file.clone(), message });
            }
            self.resize(&opened, size).await
        }
        .await;
        self.close(opened).await.and(grown)
    }

    async fn resize(&self, opened: &Opened, size: u64) -> Result<(), BlockError> {
        let arguments = json!({ "node-name": opened.top(), "size": size });
        self.execute("block_resize", arguments, &opened.file).await.map(drop)
    }

    /// Writes what the first image of the chain holds into the second one, which the rest of the world must not use.
    /// Both can be read as before, also when this is broken off.
    ///
    /// # Errors
    /// [`BlockError`].
    pub async fn commit(&self, chain: &[Layer], progress: OnProgress<'_>) -> Result<(), BlockError> {
        let _busy = self.busy.lock().await;
        let opened = self.open(chain, Access::WriteBase).await?;
        let Some(base) = opened.nodes.get(1) else {
            let path = opened.file.clone();
            self.close(opened).await?;
            return Err(BlockError::Refused { path, message: "it stands on nothing".into() });
        };
        let id = self.name("commit");
        let arguments =
            json!({ "job-id": id, "device": opened.top(), "base-node": base, "auto-dismiss": false });
        let merged = self.job(&id, "block-commit", arguments, &opened.file, None, progress).await;
        self.close(opened).await.and(merged)
    }

    /// Copies into the first image what it reads from those after it and before number `keep`, which it stands on
    /// afterwards: `backing` is what is written for that in its header. Its data are durable before the header changes.
    ///
    /// # Errors
    /// [`BlockError`]; the chain reads as before.
    pub async fn flatten(
        &self,
        chain: &[Layer],
        keep: usize,
        backing: Option<&Backing>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        let _busy = self.busy.lock().await;
        let opened = self.open(chain, Access::Write).await?;
        let id = self.name("flatten");
        let mut arguments = json!({
            "job-id": id, "device": opened.top(), "auto-finalize": false, "auto-dismiss": false,
        });
        if let (Some(base), Some(backing)) = (opened.nodes.get(keep), backing) {
            arguments["base-node"] = base.as_str().into();
            arguments["backing-file"] = backing.file.as_str().into();
        }
        let done = self.job(&id, "block-stream", arguments, &opened.file, Some(opened.top()), progress).await;
        self.close(opened).await.and(done)
    }

    /// The size in bytes that a guest sees.
    ///
    /// # Errors
    /// [`BlockError`].
    pub async fn size(&self, chain: &[Layer]) -> Result<u64, BlockError> {
        let _busy = self.busy.lock().await;
        let opened = self.open(chain, Access::Read).await?;
        let size = self.virtual_size(&opened).await;
        self.close(opened).await?;
        size
    }

    /// Ends it.
    pub async fn stop(&self) {
        if self.qmp.execute(types::quit {}).await.is_err() {
            self.control.terminate();
        }
        if let Some(exit) = self.exit.lock().await.take()
            && tokio::time::timeout(END, exit).await.is_err()
        {
            log::warn!("the disk service did not end within {} s", END.as_secs());
            // In this process nothing can be killed.
            let _ = self.control.kill();
        }
    }

    /// Ends it in the midst of its work. In this process it cannot be, and is told to end when it can.
    pub(super) async fn kill(&self) {
        if self.control.kill().is_err() {
            return self.control.terminate();
        }
        if let Some(exit) = self.exit.lock().await.take() {
            let _ = tokio::time::timeout(END, exit).await;
        }
    }

    async fn make(&self, image: &NewImage) -> Result<(), BlockError> {
        // QEMU would overwrite one that is there.
        let new = File::options().write(true).create_new(true).open(&image.path);
        new.map(drop).map_err(|e| refused(&image.path, format!("it cannot be made: {e}")))?;
        let made = self.fill(image).await;
        if made.is_err() {
            let _ = std::fs::remove_file(&image.path);
        }
        made
    }

    async fn fill(&self, image: &NewImage) -> Result<(), BlockError> {
        let NewImage { path, format, size, preallocation, backing } = image;
        // A preallocated image has no use for a base.
        let preallocation = match preallocation {
            Preallocation::Fixed if backing.is_none() => "falloc",
            _ => "off",
        };
        let mut file = json!({ "driver": "file", "filename": name(path)?, "size": 0 });
        if *format == ImageFormat::Raw {
            file["size"] = (*size).into();
            file["preallocation"] = preallocation.into();
            return self.create_job(file, path).await;
        }
        self.create_job(file, path).await?;
        let node = self.name("new");
        let plain = json!({ "driver": "file", "node-name": node, "filename": name(path)? });
        self.execute("blockdev-add", plain, path).await?;
        let mut options =
            json!({ "driver": "qcow2", "file": node, "size": size, "preallocation": preallocation });
        if let Some(backing) = backing {
            options["backing-file"] = backing.file.as_str().into();
            options["backing-fmt"] = backing.format.driver().into();
        }
        let made = self.create_job(options, path).await;
        let deleted = self.execute("blockdev-del", json!({ "node-name": node }), path).await;
        made.and(deleted.map(drop))
    }

    async fn create_job(&self, options: Value, file: &Path) -> Result<(), BlockError> {
        let id = self.name("create");
        let arguments = json!({ "job-id": id, "options": options });
        self.job(&id, "blockdev-create", arguments, file, None, &mut |_| ControlFlow::Continue(())).await
    }

    async fn open(&self, chain: &[Layer], access: Access) -> Result<Opened, BlockError> {
        let file = chain.first().map(|layer| layer.path.clone()).unwrap_or_default();
        for layer in chain {
            name(&layer.path)?;
        }
        let mut options = blockdev(chain, access == Access::Read)
            .ok_or_else(|| refused(&file, "no image was named".into()))?;
        if access == Access::WriteSparse {
            options["discard"] = "unmap".into();
            options["detect-zeroes"] = "unmap".into();
        }
        let nodes: Vec<String> = chain.iter().map(|_| self.name("image")).collect();
        let mut at = Some(&mut options);
        for (depth, node) in nodes.iter().enumerate() {
            let Some(layer) = at else { break };
            layer["node-name"] = node.as_str().into();
            if depth == 1 && access == Access::WriteBase {
                layer["read-only"] = false.into();
                layer["file"]["read-only"] = false.into();
            }
            at = layer.get_mut("backing").filter(|below| below.is_object());
        }
        self.execute("blockdev-add", options, &file).await?;
        Ok(Opened { nodes, file })
    }

    /// Closing writes everything out, so its error counts.
    async fn close(&self, opened: Opened) -> Result<(), BlockError> {
        self.execute("blockdev-del", json!({ "node-name": opened.top() }), &opened.file).await.map(drop)
    }

    async fn virtual_size(&self, opened: &Opened) -> Result<u64, BlockError> {
        let nodes = self.execute("query-named-block-nodes", json!({ "flat": true }), &opened.file).await?;
        let node = nodes.as_array().into_iter().flatten().find(|n| n["node-name"] == opened.top());
        node.and_then(|n| n["image"]["virtual-size"].as_u64())
            .ok_or_else(|| refused(&opened.file, "QEMU does not tell its size".into()))
    }

    async fn execute(
        &self,
        command: &'static str,
        arguments: Value,
        file: &Path,
    ) -> Result<Value, BlockError> {
        self.qmp.execute_json(command, arguments).await.map_err(|error| match error {
            QmpError::Refused { message, .. } => refused(file, message),
            other => BlockError::Unavailable(other.to_string()),
        })
    }

    fn name(&self, kind: &str) -> String {
        format!("{kind}-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for ImageService {
    fn drop(&mut self) {
        self.control.terminate();
    }
}

/// How an image is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    /// The first two of a chain.
    WriteBase,
    /// Zeros that are written take no space.
    WriteSparse,
}

fn name(file: &Path) -> Result<&str, BlockError> {
    file.to_str().ok_or_else(|| refused(file, "its name is no Unicode text: rename it".into()))
}

fn refused(path: &Path, message: String) -> BlockError {
    // `ENOSPC` has no other way through QEMU's errors than its words.
    if message.contains("No space left on device") {
        return BlockError::NoSpace(path.to_owned());
    }
    BlockError::Refused { path: path.to_owned(), message }
}
