//! The disks of a running machine. Nobody but its QEMU opens them: see `docs/library.md`.
//!
//! QEMU may make and open no file in the machine's folder. A new overlay is given to it as descriptors (`add-fd`): one for
//! writing, which it opens at once, and one for reading, which it keeps for when the next overlay is built on this one.

use crate::CommandError;
use crate::vm::UEFI_VARIABLES;
use sampan_library::OpenImage;
use sampan_qmp::Qmp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A new overlay for a drive: an empty qcow2 image that names the drive's present image as its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The drive's id.
    pub drive: String,
    /// The image, which is there already.
    pub file: PathBuf,
    /// The name of its node; new in this run.
    pub node: String,
}

/// What is known of a drive of a running machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveInfo {
    /// The node that the guest reads and writes.
    pub node: String,
    /// Bytes that the guest sees.
    pub size: u64,
}

/// Makes every drive of the list go on in its overlay, all of them or none, at one moment.
pub(crate) async fn switch_to_overlays(qmp: &Qmp, overlays: &[Overlay]) -> Result<(), CommandError> {
    let (mut added, mut sets) = (Vec::new(), Vec::new());
    let done = async {
        let mut actions = Vec::new();
        for overlay in overlays {
            let below = drive(qmp, &overlay.drive).await?;
            let (file, writing) = give(qmp, &overlay.file).await?;
            sets.push(file.clone());
            let options = json!({
                "driver": "qcow2", "node-name": overlay.node, "discard": "unmap",
                "file": { "driver": "file", "filename": file, "discard": "unmap" },
                // Its base is there already, under the guest; it becomes this node's in the transaction.
                "backing": null,
            });
            // Also where no answer comes: it may be there.
            added.push(&overlay.node);
            qmp.execute_json("blockdev-add", options).await?;
            // QEMU's locks belong to the open file (`F_OFD_SETLK`), and end when its last descriptor is closed. One that stayed in
            // the set would hold the lock for writing when the image is long open for reading alone, and QEMU would meet its own
            // lock as another's.
            qmp.remove_fd(&file, writing).await?;
            actions.push(json!({
                "type": "blockdev-snapshot", "data": { "node": below.node, "overlay": overlay.node },
            }));
        }
        qmp.execute_json("transaction", json!({ "actions": actions })).await?;
        Ok(())
    }
    .await;
    if done.is_err() {
        for node in added {
            // The transaction has not taken it into use.
            let _ = qmp.execute_json("blockdev-del", json!({ "node-name": node })).await;
        }
        for set in sets {
            let _ = qmp.remove_fds(&set).await;
        }
    }
    done
}

/// Gives QEMU an image that was just made: what it is to call it, and its number of the descriptor for writing.
async fn give(qmp: &Qmp, image: &Path) -> Result<(String, i64), CommandError> {
    let path = image.to_owned();
    let OpenImage { read, write } = tokio::task::spawn_blocking(move || OpenImage::open(&path))
        .await
        .map_err(|_| CommandError::Thread)??;
    let set = qmp.add_fd(&read).await?;
    match qmp.add_fd_to(&set, &write).await {
        Ok(writing) => Ok((set, writing)),
        Err(error) => {
            let _ = qmp.remove_fds(&set).await;
            Err(error.into())
        }
    }
}

/// Sets the size of a drive, in bytes; the guest is told.
pub(crate) async fn grow(qmp: &Qmp, id: &str, size: u64) -> Result<(), CommandError> {
    let now = drive(qmp, id).await?;
    if size < now.size {
        return Err(CommandError::Shrink { drive: id.to_owned(), now: now.size, wanted: size });
    }
    qmp.execute_json("block_resize", json!({ "node-name": now.node, "size": size })).await?;
    Ok(())
}

/// What a drive is now.
pub(crate) async fn drive(qmp: &Qmp, id: &str) -> Result<DriveInfo, CommandError> {
    let block = block(qmp, id).await?;
    let inserted = Some(&block["inserted"]).filter(|inserted| inserted.is_object());
    let inserted = inserted.ok_or_else(|| CommandError::NoDrive(id.to_owned()))?;
    Ok(DriveInfo {
        node: inserted["node-name"].as_str().unwrap_or_default().to_owned(),
        size: inserted["image"]["virtual-size"].as_u64().unwrap_or_default(),
    })
}

/// What QEMU says of a drive, which may be empty.
pub(crate) async fn block(qmp: &Qmp, id: &str) -> Result<Value, CommandError> {
    let blocks = qmp.execute_json("query-block", json!({})).await?;
    let found = blocks.as_array().into_iter().flatten().find(|block| belongs_to(block, id));
    found.cloned().ok_or_else(|| CommandError::NoDrive(id.to_owned()))
}

/// Devices have the id of their drive with `-dev`; virtio-blk tells a part of the device.
fn belongs_to(block: &Value, id: &str) -> bool {
    let path = block["qdev"].as_str().unwrap_or_default();
    // Flash memory has no id of ours: the second one holds UEFI's variables (`pflash1` in hw/i386/pc_sysfw.c, hw/arm/virt.c).
    if id == UEFI_VARIABLES {
        return path.ends_with(".flash1");
    }
    let device = path.strip_prefix("/machine/peripheral/").unwrap_or(path);
    device.split('/').next() == Some(&format!("{id}-dev"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_is_found_by_its_device() {
        for (qdev, id, found) in [
            ("/machine/peripheral/disk0-dev/virtio-backend", "disk0", true),
            ("disk0-dev", "disk0", true),
            ("/machine/peripheral/disk0-dev", "disk", false),
            ("/machine/peripheral/disk01-dev", "disk0", false),
        ] {
            assert_eq!(belongs_to(&json!({ "qdev": qdev }), id), found, "{qdev}");
        }
    }
}
