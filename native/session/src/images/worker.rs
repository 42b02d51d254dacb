//! One run of libqemu's block layer: nodes, and what is done with them. The files are there and may be reached.

use crate::StartError;
use crate::log_ring::drain;
use crate::start::{connect_monitor, gave_up};
use sampan_emulator::{Arch, Confinement, Control, Exit, LaunchSpec, Launcher};
use sampan_library::{BlockError, ImageFormat, Layer, NewImage, OnProgress, Preallocation, blockdev};
use sampan_qmp::{Qmp, QmpError, types};
use serde_json::{Value, json};
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

/// The QEMU that works, to be ended. It is told to end when this is dropped.
pub(super) struct Process {
    control: Control,
    exit: Mutex<Option<oneshot::Receiver<Exit>>>,
}

impl Process {
    /// Ends it in the midst of its work. In this process it cannot be, and is told to end when it can.
    pub(super) async fn kill(&self) {
        if self.control.kill().is_err() {
            return self.control.terminate();
        }
        if let Some(exit) = self.exit.lock().await.take() {
            let _ = tokio::time::timeout(END, exit).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.control.terminate();
    }
}

/// A QEMU without a machine, driven over QMP.
pub(super) struct Worker {
    qmp: Qmp,
    process: Arc<Process>,
    next: AtomicU64,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.process.control.terminate();
    }
}

/// Nodes of a chain that is open: the top one and what it stands on.
pub(super) struct Opened {
    nodes: Vec<String>,
    file: PathBuf,
}

impl Opened {
    pub(super) fn top(&self) -> &str {
        self.nodes.first().map_or("", String::as_str)
    }

    /// The node of a layer, counted from the top.
    pub(super) fn node(&self, depth: usize) -> Option<&str> {
        self.nodes.get(depth).map(String::as_str)
    }

    /// The file of the top.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

impl Worker {
    /// Starts one that reaches what `confinement` names and nothing else, where it has a process of its own.
    pub(super) async fn start(
        launcher: Arc<dyn Launcher>,
        name: &str,
        arch: Arch,
        confinement: Confinement,
    ) -> Result<Self, StartError> {
        let mut spec = LaunchSpec::new(name, arch);
        spec.args(["-nodefaults", "-no-user-config", "-machine", "none", "-display", "none"]);
        spec.confinement = Some(confinement);
        let (ended, exit) = oneshot::channel();
        // Whatever becomes of this future, a QEMU that was started is told to end.
        let (process, qmp, log) = tokio::task::spawn_blocking(move || {
            let launched = launcher.launch(spec, Box::new(move |exit| drop(ended.send(exit))))?;
            let process = Process { control: launched.control, exit: Mutex::new(Some(exit)) };
            Ok::<_, StartError>((Arc::new(process), launched.qmp, launched.log))
        })
        .await
        .map_err(|_| StartError::Thread)??;
        let name = name.to_owned();
        drain(log, move |line| log::info!(target: "qemu", "{name}: {line}"))?;
        let mut exit = process.exit.lock().await;
        let ended = async {
            match exit.as_mut() {
                Some(exit) => exit.await,
                None => std::future::pending().await,
            }
        };
        let qmp = tokio::select! {
            qmp = connect_monitor(qmp) => qmp?,
            exit = ended => return Err(gave_up(exit)),
        };
        drop(exit);
        Ok(Self { qmp, process, next: AtomicU64::new(1) })
    }

    pub(super) fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process)
    }

    /// Whether it shares this process: then it cannot be confined, and may as well serve again.
    pub(super) fn is_in_this_process(&self) -> bool {
        self.process.control.pid().is_none()
    }

    /// Whether its monitor is still there: in this process QEMU may have given up meanwhile.
    pub(super) async fn lives(&self) -> bool {
        tokio::select! {
            biased;
            () = self.qmp.closed() => false,
            () = std::future::ready(()) => true,
        }
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        if self.qmp.execute(types::quit {}).await.is_err() {
            self.process.control.terminate();
        }
        if let Some(exit) = self.process.exit.lock().await.take()
            && tokio::time::timeout(END, exit).await.is_err()
        {
            log::warn!("the disk service did not end within {} s", END.as_secs());
            // In this process nothing can be killed.
            let _ = self.process.control.kill();
        }
    }

    pub(super) async fn copy(
        &self,
        from: &Opened,
        target: &NewImage,
        compress: bool,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        let size = self.virtual_size(from).await?;
        self.fill(&NewImage { size, ..target.clone() }).await?;
        {
            // Not through its backing file, which may be in use.
            let layer = Layer { path: target.path.clone(), format: target.format.into() };
            let to = self.open(&[layer], Opening::WriteSparse).await?;
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
            let mut copied = self.job(&id, "blockdev-backup", arguments, from.file(), None, progress).await;
            if copied.is_ok() && target.size > size {
                copied = self.resize(&to, target.size).await;
            }
            self.close(to).await.and(copied)
        }
    }

    pub(super) async fn resize(&self, opened: &Opened, size: u64) -> Result<(), BlockError> {
        let arguments = json!({ "node-name": opened.top(), "size": size });
        self.execute("block_resize", arguments, opened.file()).await.map(drop)
    }

    pub(super) async fn fill(&self, image: &NewImage) -> Result<(), BlockError> {
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

    pub(super) async fn create_job(&self, options: Value, file: &Path) -> Result<(), BlockError> {
        let id = self.name("create");
        let arguments = json!({ "job-id": id, "options": options });
        self.job(&id, "blockdev-create", arguments, file, None, &mut |_| ControlFlow::Continue(())).await
    }

    pub(super) async fn open(&self, chain: &[Layer], opening: Opening) -> Result<Opened, BlockError> {
        let file = chain.first().map(|layer| layer.path.clone()).unwrap_or_default();
        for layer in chain {
            name(&layer.path)?;
        }
        let mut options = blockdev(chain, opening == Opening::Read)
            .ok_or_else(|| refused(&file, "no image was named".into()))?;
        if opening == Opening::WriteSparse {
            options["discard"] = "unmap".into();
            options["detect-zeroes"] = "unmap".into();
        }
        let nodes: Vec<String> = chain.iter().map(|_| self.name("image")).collect();
        let mut at = Some(&mut options);
        for (depth, node) in nodes.iter().enumerate() {
            let Some(layer) = at else { break };
            layer["node-name"] = node.as_str().into();
            if depth == 1 && opening == Opening::WriteBase {
                layer["read-only"] = false.into();
                layer["file"]["read-only"] = false.into();
            }
            at = layer.get_mut("backing").filter(|below| below.is_object());
        }
        self.execute("blockdev-add", options, &file).await?;
        Ok(Opened { nodes, file })
    }

    /// Closing writes everything out, so its error counts.
    pub(super) async fn close(&self, opened: Opened) -> Result<(), BlockError> {
        self.execute("blockdev-del", json!({ "node-name": opened.top() }), opened.file()).await.map(drop)
    }

    pub(super) async fn virtual_size(&self, opened: &Opened) -> Result<u64, BlockError> {
        let nodes = self.execute("query-named-block-nodes", json!({ "flat": true }), opened.file()).await?;
        let node = nodes.as_array().into_iter().flatten().find(|n| n["node-name"] == opened.top());
        node.and_then(|n| n["image"]["virtual-size"].as_u64())
            .ok_or_else(|| refused(opened.file(), "QEMU does not tell its size".into()))
    }

    pub(super) async fn execute(
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

    pub(super) fn name(&self, kind: &str) -> String {
        format!("{kind}-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// How an image is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
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

pub(super) fn refused(path: &Path, message: String) -> BlockError {
    // `ENOSPC` has no other way through QEMU's errors than its words.
    if message.contains("No space left on device") {
        return BlockError::NoSpace(path.to_owned());
    }
    BlockError::Refused { path: path.to_owned(), message }
}
