//! A machine's memory in a file: suspending, resuming, and the memory half of a snapshot.
//!
//! QEMU migrates to a file and from one (`migrate` with `file:/dev/fdset/N`, `docs/devel/migration/main.rst`). The file
//! is opened by the caller and passed as a descriptor, so QEMU needs no right to open it. It holds guest memory and the
//! devices' state, not the disks: it fits only the disks as they were at that moment, and the same machine.

use crate::CommandError;
use sampan_library::Progress;
use sampan_qmp::{Qmp, QmpError};
use serde_json::{Value, json};
use std::fs::File;
use std::time::{Duration, Instant};

/// How often QEMU is asked how far it is.
const PACE: Duration = Duration::from_millis(50);

/// How long QEMU may take to break off saving: beyond any disk that answers.
const CANCELLING: Duration = Duration::from_secs(60);

/// Bytes a second: as fast as the disk takes it. QEMU's own default is a network's 128 MiB.
const UNLIMITED: u64 = 64 << 30;

/// Saves the state of a paused machine into `file` from its beginning. It stays paused, its disks usable.
pub(crate) async fn save(
    qmp: &Qmp,
    file: &File,
    progress: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<(), CommandError> {
    let set = qmp.add_fd(file).await?;
    let saved = async {
        qmp.execute_json("migrate-set-parameters", json!({ "max-bandwidth": UNLIMITED })).await?;
        qmp.execute_json("migrate", json!({ "uri": format!("file:{set}") })).await?;
        follow(qmp, progress).await?;
        Ok(())
    }
    .await;
    if saved.is_err() {
        stop(qmp).await;
    }
    // Whatever came of it, the disks are handed back to this machine, and no descriptor stays.
    let active = qmp.execute_json("blockdev-set-active", json!({ "active": true })).await;
    forget(qmp, &set).await;
    saved.and(active.map(drop).map_err(CommandError::from))?;
    // It is worth something only once it is on the disk.
    let file = file.try_clone().map_err(CommandError::Io)?;
    tokio::task::spawn_blocking(move || file.sync_all())
        .await
        .map_err(|e| CommandError::Io(std::io::Error::other(e)))?
        .map_err(CommandError::Io)
}

/// Loads a state into a machine that waits for one (`-incoming defer`), which stays paused.
pub(crate) async fn load(
    qmp: &Qmp,
    file: &File,
    progress: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<(), CommandError> {
    let set = qmp.add_fd(file).await?;
    let loaded = async {
        qmp.execute_json("migrate-incoming", json!({ "uri": format!("file:{set}") })).await?;
        follow(qmp, progress).await
    }
    .await;
    forget(qmp, &set).await;
    loaded
}

/// Why this machine's state could not be saved now, in QEMU's words; empty where nothing stands against it.
pub(crate) async fn blockers(qmp: &Qmp) -> Result<Vec<String>, QmpError> {
    let info = qmp.execute_json("query-migrate", json!({})).await?;
    let reasons = info["blocked-reasons"].as_array().cloned().unwrap_or_default();
    Ok(reasons.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

async fn follow(qmp: &Qmp, progress: &mut (dyn FnMut(Progress) -> bool + Send)) -> Result<(), CommandError> {
    let mut cancelled = false;
    loop {
        let info = qmp.execute_json("query-migrate", json!({})).await?;
        let bytes = |name: &str| info["ram"][name].as_u64().unwrap_or_default();
        match info["status"].as_str() {
            Some("completed") => {
                // Nothing is left to be cancelled.
                let _ = progress(Progress { done: bytes("total"), total: bytes("total") });
                return Ok(());
            }
            Some("cancelled") => return Err(CommandError::Cancelled),
            Some("failed") => {
                let words = info["error-desc"].as_str().unwrap_or("QEMU does not say why; see its log");
                return Err(CommandError::NotSaved(words.to_owned()));
            }
            _ => {}
        }
        let total = bytes("total");
        let now = Progress { done: total.saturating_sub(bytes("remaining")), total };
        if !cancelled && !progress(now) {
            cancelled = true;
            // It may have completed meanwhile, which the next question tells.
            let _ = qmp.execute_json("migrate_cancel", json!({})).await;
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Waits until QEMU is not saving any more. An answer that never came does not tell, and a migration that ends later halts
/// a machine that has gone on, and takes its disks from it. One that is being cancelled does so no more, and waits for a
/// disk that may never answer: it is given up after a while.
async fn stop(qmp: &Qmp) {
    let _ = qmp.execute_json("migrate_cancel", json!({})).await;
    let begun = Instant::now();
    while let Ok(info) = qmp.execute_json("query-migrate", json!({})).await {
        match info["status"].as_str() {
            None | Some("none" | "completed" | "cancelled" | "failed") => return,
            Some("cancelling") if begun.elapsed() > CANCELLING => {
                return log::warn!("QEMU is still breaking off the saving of the machine's memory");
            }
            Some(_) => tokio::time::sleep(PACE).await,
        }
    }
}

async fn forget(qmp: &Qmp, set: &str) {
    // QEMU forgets a set by itself once its last user has closed it.
    if let Err(e) = qmp.remove_fds(set).await {
        log::debug!("the state's descriptor: {e}");
    }
}
