//! Disks of a machine at rest: made, brought in, grown, compacted, taken off and put back.

use super::{Compacted, EditError, check};
use crate::create::{image_findings, snapshots_left_out};
use crate::error::{Error, Result};
use crate::findings::{Confirmed, confirm};
use crate::host::figures;
use crate::machine::document;
use crate::time::now;
use crate::transfer::copying;
use crate::{Manager, blocking};
use sampan_config::{Bus, DriveKind, DriveSection, Limits, VmConfig};
use sampan_control::{Reporter, Request};
use sampan_library::{
    DriveId, Error as LibraryError, ImageFormat, Locked, Preallocation, SourceFormat, Target, VmId,
};
use sampan_message::Message;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A disk, or what plays one, of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskInfo {
    /// Its name.
    pub drive: DriveId,
    /// Bytes the guest sees.
    pub size: Option<u64>,
    /// Bytes that its newest image takes of this host's disk.
    pub used: Option<u64>,
    /// The image's format.
    pub format: Option<&'static str>,
    /// The newest image.
    pub file: PathBuf,
    /// What was looked up in the images, which are not looked into while the machine runs.
    pub inside: Option<Inside>,
}

/// What a disk's images say of themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The images, the newest first.
    pub chain: Vec<PathBuf>,
    /// It was not closed properly; QEMU repairs it at the next start.
    pub dirty: bool,
    /// QEMU found its metadata corrupt.
    pub corrupt: bool,
}

/// A disk that was taken off and can be put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedDisk {
    /// Its name.
    pub drive: DriveId,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Bytes the guest saw.
    pub size: Option<u64>,
}

/// The disks of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disks {
    /// Those it has.
    pub drives: Vec<DiskInfo>,
    /// Those that were taken off.
    pub removed: Vec<RemovedDisk>,
    /// Bytes that compacting may give back; not known while the machine runs.
    pub reclaimable: Option<u64>,
}

/// How large a disk becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewSize {
    /// So many bytes.
    To(u64),
    /// So many bytes more.
    By(u64),
}

/// A name that no drive has.
fn free_id(drives: &[DriveSection]) -> Result<String> {
    let free = |id: &String| drives.iter().all(|drive| drive.id != *id);
    Ok((0..100).map(|n| format!("disk{n}")).find(free).ok_or(EditError::TooManyDisks)?)
}

/// A new disk in the description, on the bus that its other disks have.
fn add_drive(document: &mut VmConfig) -> Result<DriveId> {
    let drives = &mut document.drives.drives;
    let id = free_id(drives)?;
    let bus =
        drives.iter().find(|drive| drive.kind == DriveKind::Disk).map_or(Bus::VirtioBlk, |disk| disk.bus);
    let boot = drives.iter().filter_map(|drive| drive.boot).max().map_or(0, |last| last + 1);
    drives.push(DriveSection::disk(id.clone(), bus, Some(boot)));
    check(document)?;
    Ok(id.parse()?)
}

/// Makes a drive by `make` and a place for it in the description, or neither.
fn with_new_drive(
    locked: &mut Locked,
    make: impl FnOnce(&mut Locked, &DriveId) -> Result<()>,
) -> Result<DriveId> {
    let mut document = document(locked)?;
    let id = add_drive(&mut document)?;
    make(locked, &id)?;
    if let Err(error) = locked.set_document(&document.to_files()) {
        locked.remove_drive(&id)?;
        return Err(error.into());
    }
    Ok(id)
}

fn no_drive(locked: &Locked, drive: &DriveId) -> Error {
    Error::NoDrive { name: locked.name().to_owned(), drive: drive.clone() }
}

/// Takes a disk off the machine.
fn remove(locked: &mut Locked, drive: &DriveId, purge: bool) -> Result<()> {
    let mut document = document(locked)?;
    let drives = &mut document.drives.drives;
    let at = drives.iter().position(|section| section.id == drive.as_str());
    match at.and_then(|at| drives.get(at)) {
        Some(section) if section.kind != DriveKind::Disk => {
            return Err(EditError::CdDrive { drive: section.id.clone() }.into());
        }
        None if purge => {
            if locked.forget_removed(Some(drive))? == 0 {
                locked.removed(drive)?;
            }
            return Ok(());
        }
        _ => {}
    }
    let section = drives.remove(at.ok_or_else(|| no_drive(locked, drive))?);
    check(&document)?;
    if purge {
        // A drive without a place in the description does no harm.
        locked.set_document(&document.to_files())?;
        locked.remove_drive(drive)?;
        return Ok(());
    }
    let note = serde_json::to_string(&section).map_err(|e| EditError::BadRemoved { why: e.to_string() })?;
    locked.set_aside(drive, &note, &document.to_files(), now())?;
    Ok(())
}

/// Puts a disk back; the name it has now.
fn restore(locked: &mut Locked, drive: &DriveId) -> Result<DriveId> {
    let mut document = document(locked)?;
    let mut section: DriveSection = serde_json::from_str(&locked.removed(drive)?.description)
        .map_err(|e| EditError::BadRemoved { why: e.to_string() })?;
    let drives = &mut document.drives.drives;
    if drives.iter().any(|there| there.id == section.id) {
        section.id = free_id(drives)?;
    }
    if section.boot.is_some() && drives.iter().any(|there| there.boot == section.boot) {
        // Another one starts the machine now.
        section.boot = drives.iter().filter_map(|there| there.boot).max().map(|last| last + 1);
    }
    let new: DriveId = section.id.parse()?;
    // Guests count disks in this order.
    let behind = |there: &DriveSection| there.kind == DriveKind::Disk && there.id > section.id;
    let at = drives.iter().position(behind).unwrap_or(drives.len());
    drives.insert(at, section);
    check(&document)?;
    locked.put_back(drive, &new, &document.to_files())?;
    Ok(new)
}

impl Manager {
    /// Works on a machine that does not run, under its lock.
    pub(crate) async fn with_locked<T: Send + 'static>(
        &self,
        id: VmId,
        work: impl FnOnce(&mut Locked) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut locked = self.lock(id).await?;
        let done = blocking(move || work(&mut locked)).await?;
        self.changed();
        Ok(done)
    }

    async fn confirm_disk(&self, drive: &str, bytes: u64, fixed: bool, confirmed: &Confirmed) -> Result<()> {
        let library = self.library().clone();
        let host = blocking(move || figures(library.home())).await?;
        confirm(Limits::check_disk(drive, bytes, fixed, &host), confirmed).map(drop)
    }

    /// The disks of a machine.
    ///
    /// # Errors
    /// The bundle, or an image of it, cannot be read.
    pub async fn disks(&self, id: VmId) -> Result<Disks> {
        let library = self.library().clone();
        blocking(move || {
            let bundle = library.read(id)?;
            // A running machine's images are not looked into: what is noted of them must do.
            let locked = library.try_lock(id).ok();
            let size = |image| bundle.manifest().images.get(image).map(|record| record.size);
            let mut drives = Vec::new();
            for (drive, image) in &bundle.manifest().drives {
                let file = bundle.image_path(image);
                let info = locked.as_ref().map(|locked| locked.drive_info(drive)).transpose()?;
                drives.push(DiskInfo {
                    drive: drive.clone(),
                    size: info.as_ref().map(|info| info.size).or_else(|| size(image)),
                    used: std::fs::metadata(&file).map(|meta| meta.blocks() * 512).ok(),
                    format: bundle.manifest().images.get(image).map(|record| record.format.driver()),
                    file,
                    inside: info.map(|info| Inside {
                        chain: info.chain.into_iter().map(|layer| layer.path).collect(),
                        dirty: info.dirty,
                        corrupt: info.corrupt,
                    }),
                });
            }
            let removed = bundle.manifest().removed.iter().map(|removed| RemovedDisk {
                drive: removed.drive.clone(),
                time: removed.time,
                size: size(&removed.image),
            });
            let reclaimable = locked.as_ref().and_then(|locked| locked.reclaimable().ok());
            Ok(Disks {
                drives,
                removed: removed.collect(),
                reclaimable: reclaimable.filter(|bytes| *bytes > 0),
            })
        })
        .await
    }

    /// Gives a machine a new empty disk.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NeedsConfirm`]; the machine is in use or suspended, no space.
    pub async fn add_disk(
        &self,
        id: VmId,
        size: u64,
        fixed: bool,
        confirmed: &Confirmed,
        reporter: &Reporter,
    ) -> Result<DriveId> {
        self.confirm_disk("disk", size, fixed, confirmed).await?;
        let layer = self.block_layer(reporter)?;
        let preallocation = if fixed { Preallocation::Fixed } else { Preallocation::Dynamic };
        let target = Target { format: ImageFormat::Qcow2, preallocation };
        self.with_locked(id, move |locked| {
            with_new_drive(locked, |locked, drive| Ok(locked.create_drive(&layer, drive, size, target)?))
        })
        .await
    }

    /// Gives a machine a copy of an image as a new disk; with what was left out of it.
    ///
    /// # Errors
    /// See [`Manager::add_disk`]; the file is no disk image.
    pub async fn import_disk(
        &self,
        id: VmId,
        file: PathBuf,
        format: Option<SourceFormat>,
        confirmed: &Confirmed,
        reporter: &Reporter,
    ) -> Result<(DriveId, Vec<Message>)> {
        let (library, image) = (self.library().clone(), file.clone());
        let findings =
            blocking(move || image_findings(&image, format, None, &figures(library.home())?)).await?;
        confirm(findings, confirmed)?;
        let (layer, reporter) = (self.block_layer(reporter)?, reporter.clone());
        self.with_locked(id, move |locked| {
            let drive = with_new_drive(locked, |locked, drive| {
                let mut copying = copying(&reporter);
                locked.import_drive(&layer, drive, &file, format, Target::default(), &mut copying)?;
                Ok(())
            })?;
            Ok((drive, Vec::from_iter(snapshots_left_out(&file, format))))
        })
        .await
    }

    /// Makes a disk larger, of a running machine, too; its new size in bytes. The guest still has to grow its partition and
    /// its file system.
    ///
    /// # Errors
    /// [`Error::NoDrive`], [`Error::Refused`], [`Error::NeedsConfirm`]; it would shrink, no space.
    pub async fn grow_disk(
        &self,
        id: VmId,
        drive: &DriveId,
        size: NewSize,
        confirmed: &Confirmed,
        reporter: &Reporter,
    ) -> Result<u64> {
        let bundle = self.bundle(id).await?;
        let image = bundle.manifest().drives.get(drive);
        let record = image.and_then(|image| bundle.manifest().images.get(image));
        let no_drive = || Error::NoDrive { name: bundle.name().to_owned(), drive: drive.clone() };
        let now = record.ok_or_else(no_drive)?.size;
        let size = match size {
            NewSize::To(size) => Some(size),
            NewSize::By(more) => now.checked_add(more),
        };
        // Whole sectors.
        let size = size.and_then(|size| size.checked_next_multiple_of(512)).ok_or(EditError::DiskOverflow)?;
        // What it has now may have been written already: it is the growth that needs room.
        self.confirm_disk(drive.as_str(), size.saturating_sub(now), false, confirmed).await?;
        let machine = self.machine(id).await?;
        machine.call(Request::Grow { drive: drive.to_string(), size }, reporter).await?;
        self.changed();
        Ok(size)
    }

    /// Gives back what disks take of this host's disk and hold nothing; with how many images were merged first.
    ///
    /// # Errors
    /// [`EditError::CompactCancelled`]; the machine is in use, no space.
    pub async fn compact_disks(
        &self,
        id: VmId,
        drive: Option<DriveId>,
        reporter: &Reporter,
    ) -> Result<(usize, Vec<Compacted>)> {
        let (layer, reporter) = (self.block_layer(reporter)?, reporter.clone());
        self.with_locked(id, move |locked| {
            let drives: Vec<DriveId> = match drive {
                Some(drive) => vec![drive],
                None => locked.manifest().drives.keys().cloned().collect(),
            };
            let merged = locked.reclaim(&layer, &mut copying(&reporter))?;
            let mut done = Vec::new();
            for drive in drives {
                let (before, after) = match locked.compact_drive(&layer, &drive, &mut copying(&reporter)) {
                    // What was done before it stays done.
                    Err(LibraryError::Cancelled) if !done.is_empty() => {
                        return Err(EditError::CompactCancelled { drive, done }.into());
                    }
                    compacted => compacted?,
                };
                done.push(Compacted { drive, before, after });
            }
            Ok((merged, done))
        })
        .await
    }

    /// Takes a disk off a machine. It can be put back, unless with `purge`, which gives its space back.
    ///
    /// # Errors
    /// [`Error::NoDrive`], [`EditError::CdDrive`]; the machine is in use or suspended.
    pub async fn remove_disk(&self, id: VmId, drive: DriveId, purge: bool) -> Result<()> {
        self.with_locked(id, move |locked| remove(locked, &drive, purge)).await
    }

    /// Puts a disk that was taken off back; the name it has now.
    ///
    /// # Errors
    /// No such disk was taken off; the machine is in use or suspended.
    pub async fn restore_disk(&self, id: VmId, drive: DriveId) -> Result<DriveId> {
        self.with_locked(id, move |locked| restore(locked, &drive)).await
    }
}
