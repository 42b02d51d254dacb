//! Snapshots of a running machine.

use super::{Vm, VmError};
use crate::{Command, Overlay, ProgressFn, Reply};
use sampan_library::{DriveId, Locked, NewSnapshot, Planned, SnapshotId};
use sampan_qmp::agent::Frozen;
use std::collections::BTreeMap;
use std::time::Duration;

/// Width of a snapshot's picture, in pixels.
const PICTURE: u32 = 480;

/// How long an agent may take to say that it is there.
const AGENT: Duration = Duration::from_secs(3);

impl Vm {
    /// Keeps the machine as it is now: its disks, and its memory unless `disks_only`. The guest stands still meanwhile.
    /// The order is the library's protocol (`docs/library.md`): overlays are noted, memory is saved, QEMU goes on in the
    /// overlays, the snapshot is noted.
    ///
    /// # Errors
    /// [`VmError`]; the machine goes on without the snapshot.
    pub async fn snapshot(
        &self,
        mut new: NewSnapshot,
        disks_only: bool,
        progress: &ProgressFn,
    ) -> Result<SnapshotId, VmError> {
        let _turn = self.turn.lock().await;
        if self.throw_away {
            return Err(VmError::ThrowAwayRun);
        }
        if !disks_only {
            self.room_for_memory()?;
            self.check_migratable().await?;
        }
        self.reconcile_pending().await?;
        self.suspend_duty_cycle().await?;
        let ran = self.running();
        // Without memory the disks had better be in order, which only the guest can see to; before it stands still.
        let frozen = if disks_only && ran { self.freeze().await } else { None };
        if ran {
            self.session.execute(Command::Pause).await?;
        }
        if new.thumbnail.is_none() {
            new.thumbnail = self.picture().await;
        }
        self.session.inhibit_resume(true);
        let taken = self.take(new, disks_only, progress).await;
        // Whatever came of it, the guest goes on.
        let resumed = self.go_on(ran).await;
        let thawed = match frozen {
            Some(frozen) => frozen.thaw().await,
            None => Ok(()),
        };
        self.resume_duty_cycle().await?;
        thawed?;
        let id = taken?;
        resumed?;
        Ok(id)
    }

    /// The guest's file systems, written out and held still; nothing where no agent answers, or it cannot.
    async fn freeze(&self) -> Option<Frozen> {
        let agent = self.agent().ok()?.with_patience(AGENT);
        match agent.freeze().await {
            Ok(frozen) => Some(frozen),
            Err(error) => {
                log::info!("the snapshot is as after a power failure: {error}");
                None
            }
        }
    }

    /// What the screen shows, small; nothing where it shows nothing.
    pub async fn picture(&self) -> Option<Vec<u8>> {
        let Ok(Reply::Screenshot(shot)) = self.session.execute(Command::Screenshot).await else {
            return None;
        };
        super::on_thread(move || shot.smaller(PICTURE).to_png()).await.ok()
    }

    async fn take(
        &self,
        new: NewSnapshot,
        disks_only: bool,
        progress: &ProgressFn,
    ) -> Result<SnapshotId, VmError> {
        let drives: Vec<DriveId> =
            self.with_locked(|locked| Ok(locked.manifest().drives.keys().cloned().collect())).await?;
        let mut sizes = BTreeMap::new();
        for drive in drives {
            let size = self.session.drive(drive.as_str()).await?.size;
            sizes.insert(drive, size);
        }
        let images = self.images.clone();
        let taken = async {
            let begin = move |locked: &mut Locked| locked.begin_snapshot(&images, &new, &sizes, !disks_only);
            let planned = self.with_locked(begin).await?;
            self.save_and_switch(&planned, progress).await?;
            self.with_locked(move |locked| note(locked, &planned.id)).await
        }
        .await;
        if taken.is_err()
            && let Err(error) = self.reconcile_pending().await
        {
            log::warn!("the snapshot stays as one that was interrupted, for now: {error}");
        }
        taken
    }

    /// Gives up a snapshot that did not come to be. An answer that never came does not tell what QEMU did, and an overlay
    /// that it writes to must never be taken for garbage: QEMU is asked. Where it does not answer, the snapshot stays
    /// pending until the next snapshot or suspension asks again; or whoever holds the lock next goes on with the
    /// overlays, which is right in both cases.
    pub(super) async fn reconcile_pending(&self) -> Result<(), VmError> {
        let pending = self.with_locked(|locked| Ok(locked.manifest().pending.clone())).await?;
        let Some(pending) = pending else { return Ok(()) };
        let mut switched = false;
        for drive in pending.overlays.keys() {
            let node = self.session.drive(drive.as_str()).await?.node;
            switched |= node == node_name(drive.as_str(), pending.id.as_str());
        }
        self.with_locked(move |locked| locked.abandon_snapshot(switched)).await
    }

    async fn save_and_switch(&self, planned: &Planned, progress: &ProgressFn) -> Result<(), VmError> {
        if let Some(memory) = &planned.memory {
            self.save_memory(memory, progress).await?;
        }
        let overlays: Vec<Overlay> = planned
            .overlays
            .iter()
            .map(|(drive, file)| Overlay {
                drive: drive.to_string(),
                file: file.clone(),
                // QEMU's names of nodes have at most 31 characters; nobody but QEMU reads this one.
                node: node_name(drive.as_str(), planned.id.as_str()),
            })
            .collect();
        Ok(self.session.switch_to_overlays(&overlays).await?)
    }
}

/// Where the note is in its place but could not be made durable, the snapshot is there: after a power loss it may be one
/// that was interrupted, with the same disks.
fn note(locked: &mut Locked, id: &SnapshotId) -> sampan_library::Result<SnapshotId> {
    locked.commit_snapshot().or_else(|error| {
        if !locked.manifest().snapshots.contains_key(id) {
            return Err(error);
        }
        log::warn!("a power failure may undo the snapshot: {error}");
        Ok(id.clone())
    })
}

fn node_name(drive: &str, snapshot: &str) -> String {
    let drive: String = drive.chars().take(16).collect();
    let snapshot: String = snapshot.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    format!("{drive}-{snapshot}")
}
