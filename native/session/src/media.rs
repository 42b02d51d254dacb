//! What is in a running machine's CD and floppy drives.
//!
//! QEMU may open no file that it was not given at its start, so a medium reaches it as a descriptor (`add-fd`).

use crate::machine_log::MachineLog;
use crate::{CommandError, disks};
use sampan_library::VmId;
use sampan_qmp::Qmp;
use serde_json::json;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long the guest may take to let go of a medium that it was asked for.
const LETTING_GO: Duration = Duration::from_secs(5);

const PACE: Duration = Duration::from_millis(50);

/// How often a change is tried while the guest closes the tray in the midst of it.
const TRIES: u32 = 20;

/// Puts a medium into a drive in the place of what is there, or takes that out. A guest that holds what is there is asked
/// for it first, unless it is taken by `force`.
pub(crate) async fn change(
    qmp: &Qmp,
    drive: &str,
    medium: Option<&Path>,
    force: bool,
    log: &MachineLog,
) -> Result<(), CommandError> {
    let block = disks::block(qmp, drive).await?;
    let old = block["inserted"]["node-name"].as_str().map(str::to_owned);
    let new = match medium {
        Some(path) => Some(add(qmp, drive, path).await?),
        None => None,
    };
    let changed = swap(qmp, drive, old.as_deref(), new.as_deref(), force).await;
    let unused = if changed.is_ok() { old } else { new };
    if let Some(node) = unused {
        remove(qmp, &node, log).await;
    }
    changed
}

/// Makes a node of a file; what it is called.
async fn add(qmp: &Qmp, drive: &str, path: &Path) -> Result<String, CommandError> {
    let opened = path.to_owned();
    let file = tokio::task::spawn_blocking(move || open(&opened)).await.map_err(|_| CommandError::Thread)?;
    let file = file.map_err(|source| CommandError::Io { path: path.to_owned(), source })?;
    let set = qmp.add_fd(&file).await?;
    // QEMU's names of nodes have at most 31 characters, a drive's id 20.
    let random: String = VmId::random().to_string().chars().take(8).collect();
    let node = format!("{drive}-{random}");
    let options = json!({
        "driver": "raw", "node-name": node, "read-only": true,
        "file": { "driver": "file", "filename": set, "read-only": true },
    });
    let added = qmp.execute_json("blockdev-add", options).await;
    // The node has a descriptor of its own by now, or never will.
    let _ = qmp.remove_fds(&set).await;
    added?;
    Ok(node)
}

/// A regular file and no link: nothing else is a medium.
fn open(path: &Path) -> std::io::Result<File> {
    use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
    let file = File::options().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is no ordinary file")),
    }
}

async fn swap(
    qmp: &Qmp,
    drive: &str,
    old: Option<&str>,
    new: Option<&str>,
    force: bool,
) -> Result<(), CommandError> {
    let device = format!("{drive}-dev");
    let insert = async |node: &str| {
        let arguments = json!({ "id": device, "node-name": node });
        qmp.execute_json("blockdev-insert-medium", arguments).await
    };
    let swap_once = async || {
        open_tray(qmp, drive, &device, force).await?;
        qmp.execute_json("blockdev-remove-medium", json!({ "id": device })).await?;
        if let Some(node) = new
            && let Err(error) = insert(node).await
        {
            if let Some(old) = old {
                let _ = insert(old).await;
            }
            return Err(CommandError::from(error));
        }
        Ok(())
    };
    let mut tries = TRIES;
    let swapped = loop {
        tries -= 1;
        match swap_once().await {
            // The guest may close the tray between any two steps, as firmware does that looks at its drives.
            Err(error) if tries > 0 && !matches!(error, CommandError::MediumHeld(_)) => {
                match disks::block(qmp, drive).await.map(|block| block["tray_open"].as_bool()) {
                    Ok(Some(false)) => tokio::time::sleep(PACE).await,
                    _ => break Err(error),
                }
            }
            swapped => break swapped,
        }
    };
    // A drive whose guest has kept the medium is closed already, and a floppy's has no tray.
    let _ = qmp.execute_json("blockdev-close-tray", json!({ "id": device })).await;
    swapped
}

/// A guest that has locked the tray (it has mounted the CD) is asked to eject, which QEMU does not wait for
/// (`do_open_tray` in block/qapi-sysemu.c). One that closes a tray which it has not locked, as firmware does that looks at its
/// drives, finds it opened anew.
async fn open_tray(qmp: &Qmp, drive: &str, device: &str, force: bool) -> Result<(), CommandError> {
    let open = async || {
        qmp.execute_json("blockdev-open-tray", json!({ "id": device, "force": force })).await.map(drop)
    };
    open().await?;
    let begun = Instant::now();
    loop {
        let block = disks::block(qmp, drive).await?;
        // A drive without a tray tells none.
        if block["tray_open"].as_bool() != Some(false) {
            return Ok(());
        }
        if begun.elapsed() > LETTING_GO {
            return Err(CommandError::MediumHeld(drive.to_owned()));
        }
        tokio::time::sleep(PACE).await;
        // Whoever has locked it was asked once.
        if block["locked"].as_bool() == Some(false) {
            open().await?;
        }
    }
}

/// Lets QEMU close a medium that no drive has any more.
async fn remove(qmp: &Qmp, node: &str, log: &MachineLog) {
    // One that was there at the start has a node of its own for its file (`nodes` in `sampan_config`).
    for name in [node.to_owned(), format!("{node}-file")] {
        if let Err(error) = qmp.execute_json("blockdev-del", json!({ "node-name": name })).await {
            log.debug(format_args!("the medium {name} stays open: {error}"));
        }
    }
}
