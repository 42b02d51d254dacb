//! Snapshots of a running machine, and suspending it: QEMU does the work, this module makes each step durable.
//!
//! # The protocol of a snapshot
//!
//! 1. [`Locked::begin_snapshot`] makes empty overlays *B* on the current images *A* (without opening *A*, which QEMU
//!    has), makes them durable, and writes the snapshot into the manifest as *pending*: both *A* and *B* are known.
//! 2. The session saves the memory to the planned file if it is wanted, and tells QEMU in one transaction to write to
//!    *B* from now on (`blockdev-add`, then `transaction` of `blockdev-snapshot`).
//! 3. [`Locked::commit_snapshot`] makes the memory durable, makes *B* current and the snapshot one of the tree.
//!
//! Killed between 1 and 3, nobody can tell whether QEMU has begun to write to *B*. It does not matter: an overlay that was
//! never written reads as *A* does. So the next holder takes each *B* whose file is a whole qcow2 with *A* as its base for
//! the current image: no write of the guest is lost, in either case. The snapshot itself never came to be: *A* may have
//! been written after the moment it was to keep. *A* stays, unseen, until `reclaim`.

use crate::block::BlockLayer;
use crate::bundle::STATE;
use crate::chain::{Overlays, Unfinished, backing_name, header};
use crate::error::{Error, Result};
use crate::format::ImageFormat;
use crate::fs::open_regular;
use crate::id::{DriveId, FileName, SnapshotId};
use crate::locked::Locked;
use crate::manifest::{Base, Pending, Suspended};
use crate::snapshots::NewSnapshot;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where QEMU is to write from the snapshot on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The snapshot as it will be called.
    pub id: SnapshotId,
    /// For each drive the overlay, a qcow2 whose base is the image in use.
    pub overlays: BTreeMap<DriveId, PathBuf>,
    /// Where the memory is to be saved, if that was asked for.
    pub memory: Option<PathBuf>,
}

impl Locked {
    /// First step of a snapshot of a running machine. `sizes` are the drives' virtual sizes as QEMU says (a drive that was
    /// grown online may be larger than is noted here).
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotUnderWay`], [`Error::NoSpace`], [`Error::Limit`]; nothing was changed.
    pub fn begin_snapshot(
        &mut self,
        layer: &dyn BlockLayer,
        new: &NewSnapshot,
        sizes: &BTreeMap<DriveId, u64>,
        with_memory: bool,
    ) -> Result<Planned> {
        self.check_idle()?;
        let mut node = self.new_node(new)?;
        let Overlays { drives: overlays, images, unfinished } = self.overlays(layer, &node.drives, sizes)?;
        let thumbnail = self.write_thumbnail(new.thumbnail.as_deref())?;
        node.thumbnail = thumbnail.as_ref().map(|(file, _)| file.clone());
        if with_memory {
            node.memory = Some(FileName::fresh("memory", "mem"));
            node.document = self.generation_of_run()?;
        }
        let planned = Planned {
            id: SnapshotId::random(),
            overlays: overlays.iter().map(|(drive, file)| (drive.clone(), self.image_path(file))).collect(),
            memory: node.memory.as_ref().map(|file| self.state_path(file)),
        };
        let pending = Pending { id: planned.id.clone(), snapshot: node, overlays };
        self.commit(|m| {
            m.images.extend(images);
            m.pending = Some(pending);
            Ok(())
        })?;
        unfinished.into_iter().chain(thumbnail.map(|(_, u)| u)).for_each(Unfinished::keep);
        Ok(planned)
    }

    /// Last step: QEMU writes to the overlays, and has saved the memory if that was planned.
    ///
    /// # Errors
    ///
    /// [`Error::NoSnapshotUnderWay`]; or what the system says about the memory's file, then it may be tried again or
    /// abandoned.
    pub fn commit_snapshot(&mut self) -> Result<SnapshotId> {
        let pending = self.manifest().pending.clone().ok_or(Error::NoSnapshotUnderWay)?;
        if let Some(memory) = &pending.snapshot.memory {
            self.sync_state(memory)?;
        }
        let id = pending.id.clone();
        self.commit(|m| {
            m.pending = None;
            m.snapshots.insert(pending.id.clone(), pending.snapshot);
            m.drives = pending.overlays;
            m.parent = Some(pending.id);
            Ok(())
        })?;
        Ok(id)
    }

    /// Gives a snapshot up. `switched` says whether QEMU writes to the overlays already; where that is unknown, the answer
    /// is yes, and QEMU must be gone.
    ///
    /// # Errors
    ///
    /// [`Error::NoSnapshotUnderWay`].
    pub fn abandon_snapshot(&mut self, switched: bool) -> Result<()> {
        let pending = self.manifest().pending.clone().ok_or(Error::NoSnapshotUnderWay)?;
        self.commit(|m| {
            m.pending = None;
            if switched {
                m.drives = pending.overlays;
            }
            Ok(())
        })?;
        self.collect();
        Ok(())
    }

    /// What the next holder makes of a snapshot that was under way: see the protocol.
    pub(crate) fn settle_pending(&mut self) -> Result<()> {
        let Some(pending) = self.manifest().pending.clone() else { return Ok(()) };
        let whole = |(drive, overlay): &(&DriveId, &FileName)| {
            let base = pending.snapshot.drives.get(drive).map(|i| Base { vm: None, image: i.clone() });
            let header = header(&self.image_path(overlay), ImageFormat::Qcow2);
            header
                .is_ok_and(|h| h.backing_file.is_some() && h.backing_file == base.as_ref().map(backing_name))
        };
        let overlays: BTreeMap<DriveId, FileName> =
            pending.overlays.iter().filter(whole).map(|(d, o)| (d.clone(), o.clone())).collect();
        log::info!("{}: a snapshot was interrupted; its {} overlays go on", self.name(), overlays.len());
        self.commit(|m| {
            m.pending = None;
            m.drives.extend(overlays);
            Ok(())
        })
    }

    fn sync_state(&self, memory: &FileName) -> Result<()> {
        let path = self.state_path(memory);
        let length = open_regular(&path)?.metadata().map_err(crate::error::io("look at", &path))?.len();
        if length == 0 {
            return Err(Error::NothingSaved(path));
        }
        self.fs().sync_file(&path)?;
        self.fs().sync_dir(&self.path().join(STATE))
    }

    /// Where the memory is to be saved when the machine is suspended. Until [`Locked::commit_suspend`] it is garbage.
    ///
    /// # Errors
    ///
    /// [`Error::Suspended`], [`Error::SnapshotUnderWay`].
    pub fn plan_suspend(&mut self) -> Result<PathBuf> {
        self.check_idle()?;
        let memory = FileName::fresh("memory", "mem");
        let path = self.state_path(&memory);
        self.scratch.insert(memory);
        Ok(path)
    }

    /// The machine was not suspended: what was saved of its memory is garbage.
    pub fn abandon_suspend(&mut self) {
        self.scratch.clear();
        self.collect();
    }

    /// The memory was saved to the planned file and the guest does not run any more, nor will it before QEMU is gone: from
    /// now on the machine is suspended. `time` is in seconds since 1970, `picture` what the screen shows (PNG): one that cannot be
    /// kept is left out.
    ///
    /// # Errors
    ///
    /// When the file is not the planned one, is empty or cannot be made durable; the machine is not suspended then.
    pub fn commit_suspend(
        &mut self,
        memory: &std::path::Path,
        time: u64,
        picture: Option<&[u8]>,
    ) -> Result<()> {
        self.check_idle()?;
        let name: FileName = memory.file_name().and_then(|n| n.to_str()).unwrap_or_default().parse()?;
        if self.state_path(&name) != memory {
            return Err(Error::OtherState(memory.to_path_buf()));
        }
        self.sync_state(&name)?;
        let document = self.generation_of_run()?;
        let picture = self.write_thumbnail(picture).unwrap_or_else(|error| {
            log::warn!("{}: what the screen showed is not kept: {error}", self.name());
            None
        });
        let thumbnail = picture.as_ref().map(|(file, _)| file.clone());
        self.commit(|m| {
            let drives = m.drives.clone();
            m.suspended = Some(Suspended { memory: name, time, document, drives, thumbnail });
            Ok(())
        })?;
        picture.into_iter().for_each(|(_, file)| file.keep());
        self.scratch.clear();
        Ok(())
    }

    /// The memory to start from, if the machine is suspended, with the generation of the document it belongs to: start with
    /// that document ([`crate::Bundle::document_at`]), QEMU refuses any other machine's memory.
    #[must_use]
    pub fn suspended(&self) -> Option<(PathBuf, u64)> {
        self.manifest().suspended.as_ref().map(|s| (self.state_path(&s.memory), s.document))
    }

    /// The memory is loaded, or is not wanted any more: it is never started from again. On resume this comes *before* the
    /// guest runs: old memory over disks that have moved on would destroy their file systems.
    ///
    /// # Errors
    ///
    /// What the system says; then the guest must not run.
    pub fn consume_suspended(&mut self) -> Result<()> {
        // A note that could not be made durable may come back after a power loss, although it is not to be seen now.
        if self.manifest().suspended.is_none() && !self.unsure {
            return Ok(());
        }
        self.commit(|m| {
            m.suspended = None;
            Ok(())
        })?;
        self.collect();
        Ok(())
    }

    /// Overlays for a run that leaves no trace, one for each drive: they are garbage from the start, removed with
    /// [`Locked::end_throw_away`] or by the next holder. The overlays in this machine's folder are named by nothing: QEMU is given them with
    /// [`Locked::chain`] as what they are built on.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Suspended`].
    pub fn begin_throw_away(&mut self, layer: &dyn BlockLayer) -> Result<BTreeMap<DriveId, PathBuf>> {
        self.check_idle()?;
        let Overlays { drives, unfinished, .. } =
            self.overlays(layer, &self.manifest().drives, &BTreeMap::new())?;
        unfinished.into_iter().for_each(Unfinished::keep);
        self.scratch.extend(drives.values().cloned());
        Ok(drives.into_iter().map(|(drive, file)| (drive, self.image_path(&file))).collect())
    }

    /// Removes the overlays of a run that leaves no trace. QEMU is gone.
    pub fn end_throw_away(&mut self) {
        self.scratch.clear();
        self.collect();
    }
}
