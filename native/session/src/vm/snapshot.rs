//! Snapshots of a running machine.

use super::{AGENT, UEFI_VARIABLES, Vm, VmError};
use crate::machine_log::MachineLog;
use crate::{Command, Overlay, ProgressFn, Reply};
use sampan_config::FirmwareKind;
use sampan_library::{DriveId, Locked, NewSnapshot, Planned, SnapshotId};
use sampan_qmp::agent::Frozen;
use std::collections::BTreeMap;

/// Width of a snapshot's picture, in pixels.
const PICTURE: u32 = 480;

impl Vm {
    /// Keeps the machine as it is now: its disks, and its memory unless `disks_only`. The guest stands still only while its
    /// memory is saved and QEMU switches. The order is the library's protocol (`docs/library.md`): overlays are made and
    /// noted, memory is saved, QEMU goes on in the overlays, the snapshot is noted.
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
        if new.thumbnail.is_none() {
            new.thumbnail = self.picture().await;
        }
        let taken = async {
            let planned = self.begin(new, disks_only).await?;
            self.take(planned, disks_only, progress).await
        }
        .await;
        if taken.is_err()
            && let Err(error) = self.reconcile_pending().await
        {
            self.log.warn(format_args!("the snapshot stays as one that was interrupted, for now: {error}"));
        }
        taken
    }

    /// Makes the overlays and notes them. The guest runs: what it writes until the switch belongs to the snapshot.
    async fn begin(&self, new: NewSnapshot, disks_only: bool) -> Result<Planned, VmError> {
        let drives: Vec<DriveId> =
            self.with_locked(|locked| Ok(locked.manifest().drives.keys().cloned().collect())).await?;
        let mut sizes = BTreeMap::new();
        for drive in drives.into_iter().filter(|drive| self.runs_with(drive)) {
            let size = self.session.drive(drive.as_str()).await?.size;
            sizes.insert(drive, size);
        }
        let images = self.images.clone();
        let begin = move |locked: &mut Locked| locked.begin_snapshot(&images, &new, &sizes, !disks_only);
        self.with_locked(begin).await
    }

    /// Saves and switches while the guest stands still, and notes it when it goes on: by then it writes to the overlays.
    async fn take(
        &self,
        planned: Planned,
        disks_only: bool,
        progress: &ProgressFn,
    ) -> Result<SnapshotId, VmError> {
        self.suspend_duty_cycle().await?;
        // Without memory the disks had better be in order, which only the guest can see to; before it stands still.
        let frozen = if disks_only && self.running() { self.freeze().await } else { None };
        // Asked after that: a person may have paused it while the agent was waited for.
        let ran = self.running();
        let switched = async {
            if ran {
                self.session.execute(Command::Pause).await?;
            }
            self.session.inhibit_resume(true);
            self.save_and_switch(&planned, progress).await
        }
        .await;
        // Whatever came of it, the guest goes on.
        let resumed = self.go_on(ran).await;
        let thawed = match frozen {
            Some(frozen) => frozen.thaw().await,
            None => Ok(()),
        };
        let noted = match switched {
            Ok(()) => {
                let log = self.log.clone();
                self.with_locked(move |locked| note(locked, &planned.id, &log)).await
            }
            Err(error) => Err(error),
        };
        self.resume_duty_cycle().await?;
        thawed?;
        let id = noted?;
        resumed?;
        Ok(id)
    }

    /// Forgets a snapshot, as [`Locked::delete_snapshot`] does.
    ///
    /// # Errors
    /// [`VmError`]; it stays.
    pub async fn delete_snapshot(&self, id: SnapshotId) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        self.with_locked(move |locked| locked.delete_snapshot(&id)).await
    }

    /// Gives a snapshot another name.
    ///
    /// # Errors
    /// [`VmError`]; it keeps the old one.
    pub async fn rename_snapshot(&self, id: SnapshotId, name: String) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        let rename = move |locked: &mut Locked| {
            let snapshot = locked.manifest().snapshots.get(&id);
            let note = snapshot.map(|snapshot| snapshot.note.clone());
            let note = note.ok_or_else(|| sampan_library::Error::NoSnapshot(id.to_string()))?;
            locked.describe_snapshot(&id, &name, &note)
        };
        self.with_locked(rename).await
    }

    /// Gives a snapshot another note.
    ///
    /// # Errors
    /// [`VmError`]; it keeps the old one.
    pub async fn note_snapshot(&self, id: SnapshotId, note: String) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        let describe = move |locked: &mut Locked| {
            let snapshot = locked.manifest().snapshots.get(&id);
            let name = snapshot.map(|snapshot| snapshot.name.clone());
            let name = name.ok_or_else(|| sampan_library::Error::NoSnapshot(id.to_string()))?;
            locked.describe_snapshot(&id, &name, &note)
        };
        self.with_locked(describe).await
    }

    /// The guest's file systems, written out and held still; nothing where no agent answers, or it cannot.
    async fn freeze(&self) -> Option<Frozen> {
        let agent = self.agent().ok()?.with_patience(AGENT);
        match agent.freeze().await {
            Ok(frozen) => Some(frozen),
            Err(error) => {
                self.log.info(format_args!("the snapshot is as after a power failure: {error}"));
                None
            }
        }
    }

    /// Whether QEMU has a drive of the bundle: UEFI's variables are kept, and snapshotted, while a machine starts without UEFI.
    fn runs_with(&self, drive: &DriveId) -> bool {
        drive.as_str() != UEFI_VARIABLES || self.document().firmware.kind == FirmwareKind::Uefi
    }

    /// What the screen shows, small; nothing where it shows nothing.
    pub async fn picture(&self) -> Option<Vec<u8>> {
        let Ok(Reply::Screenshot(shot)) = self.session.execute(Command::Screenshot(0)).await else {
            return None;
        };
        super::on_thread(move || shot.smaller(PICTURE).to_png()).await.ok()
    }

    /// Gives up a snapshot that did not come to be. An answer that never came does not tell what QEMU did, and an overlay
    /// that it writes to must never be taken for garbage: QEMU is asked. Where it does not answer, the snapshot stays
    /// pending until the next snapshot or suspension asks again; or whoever holds the lock next goes on with the
    /// overlays, which is right in both cases.
    pub(super) async fn reconcile_pending(&self) -> Result<(), VmError> {
        let pending = self.with_locked(|locked| Ok(locked.manifest().pending.clone())).await?;
        let Some(pending) = pending else { return Ok(()) };
        let mut switched = false;
        for drive in pending.overlays.keys().filter(|drive| self.runs_with(drive)) {
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
            .filter(|(drive, _)| self.runs_with(drive))
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
fn note(locked: &mut Locked, id: &SnapshotId, log: &MachineLog) -> sampan_library::Result<SnapshotId> {
    locked.commit_snapshot().or_else(|error| {
        if !locked.manifest().snapshots.contains_key(id) {
            return Err(error);
        }
        log.warn(format_args!("a power failure may undo the snapshot: {error}"));
        Ok(id.clone())
    })
}

fn node_name(drive: &str, snapshot: &str) -> String {
    let drive: String = drive.chars().take(16).collect();
    let snapshot: String = snapshot.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    format!("{drive}-{snapshot}")
}
