//! Drives of a stopped machine.

use crate::block::{BlockLayer, NewImage, OnProgress, Preallocation};
use crate::bundle::DISKS;
use crate::chain::{Unfinished, header};
use crate::checked::CheckedChain;
use crate::error::{Error, Result};
use crate::format::{ImageFormat, Layer, SourceFormat};
use crate::fs::open_regular;
use crate::id::{DriveId, FileName};
use crate::image::{self, Header, MAX_VIRTUAL_SIZE, NotACd};
use crate::locked::Locked;
use crate::manifest::{Image, MAX_DRIVES};
use crate::space;
use std::path::Path;

/// The smallest drive, in bytes.
pub const MIN_DRIVE: u64 = 1 << 20;

/// What a drive takes and is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveInfo {
    /// The format of the image that is written to.
    pub format: ImageFormat,
    /// Bytes that the guest sees.
    pub size: u64,
    /// Bytes that the image which is written to takes of the disk.
    pub used: u64,
    /// The images it is spread over, the top first.
    pub chain: Vec<Layer>,
    /// It was not closed properly; QEMU repairs it at the next start.
    pub dirty: bool,
    /// QEMU found its metadata corrupt.
    pub corrupt: bool,
}

/// How a new drive's image is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The format.
    pub format: ImageFormat,
    /// When its bytes are taken.
    pub preallocation: Preallocation,
}

impl Default for Target {
    /// A qcow2 image that grows as it is filled.
    fn default() -> Self {
        Self { format: ImageFormat::Qcow2, preallocation: Preallocation::Dynamic }
    }
}

/// Room for a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes it may need at most while it runs.
    pub needed: u64,
    /// Bytes free now.
    pub free: u64,
}

/// Whether an image that is there already may be a drive: firmware's variables are smaller than any disk.
pub(crate) fn check_existing_size(size: u64) -> Result<()> {
    match (512..=MAX_VIRTUAL_SIZE).contains(&size) && size.is_multiple_of(512) {
        true => Ok(()),
        false => Err(Error::BadSize(size)),
    }
}

pub(crate) fn check_size(size: u64) -> Result<()> {
    match (MIN_DRIVE..=MAX_VIRTUAL_SIZE).contains(&size) && size.is_multiple_of(512) {
        true => Ok(()),
        false => Err(Error::BadSize(size)),
    }
}

/// Reads the header of an image from elsewhere, as [`Locked::import_drive`] does first.
///
/// # Errors
///
/// [`Error::Probe`] with the reason why it would be refused.
pub fn probe_import(path: &Path, said: Option<SourceFormat>) -> Result<Header> {
    // A link to an image is the user's own choice here, unlike one inside a bundle.
    let real = path.canonicalize().map_err(crate::error::io("find", path))?;
    let file = open_regular(&real)?;
    image::probe_import(&file, said).map_err(|source| Error::Probe { path: path.to_path_buf(), source })
}

/// Why no guest could read a file in its CD drive; `None` for a CD.
///
/// # Errors
///
/// [`Error::Io`], [`Error::NotAFile`], when it cannot be read.
pub fn why_no_cd(path: &Path) -> Result<Option<NotACd>> {
    let real = path.canonicalize().map_err(crate::error::io("find", path))?;
    let content = image::identify(&open_regular(&real)?)
        .map_err(|source| Error::Probe { path: path.to_path_buf(), source })?;
    Ok(content.why_no_cd())
}

impl Locked {
    /// What a drive is. The machine is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NoDrive`], or why its image cannot be read.
    pub fn drive_info(&self, drive: &DriveId) -> Result<DriveInfo> {
        let (name, record) = self.current(drive)?;
        let path = self.image_path(&name);
        let header = header(&path, record.format)?;
        Ok(DriveInfo {
            format: record.format,
            size: header.virtual_size,
            used: space::used(&path)?,
            chain: self.chain_of(&name)?,
            dirty: header.dirty,
            corrupt: header.corrupt,
        })
    }

    /// Makes an empty drive of `size` bytes. The machine is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::DriveExists`], [`Error::BadSize`], [`Error::NoSpace`], [`Error::Suspended`].
    pub fn create_drive(
        &mut self,
        layer: &dyn BlockLayer,
        drive: &DriveId,
        size: u64,
        target: Target,
    ) -> Result<()> {
        check_size(size)?;
        self.check_new_drive(drive)?;
        let fixed = target.preallocation == Preallocation::Fixed;
        space::check(self.path(), if fixed { size } else { 0 })?;
        let new = self.new_image(drive, size, target);
        let unfinished = Unfinished::new(self.fs(), &new.path);
        layer.create(std::slice::from_ref(&new))?;
        self.adopt(drive, &new, unfinished)
    }

    /// Converts an image from elsewhere into a new drive. Its format is the one said, or recognised this once; raw must
    /// be said. Cancelled, failed or killed, it leaves nothing. The machine is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Probe`] when its header needs other files or a key, [`Error::NoSpace`], [`Error::Cancelled`];
    /// [`Error::PartOfAMachine`] for an image of a machine of this library.
    pub fn import_drive(
        &mut self,
        layer: &dyn BlockLayer,
        drive: &DriveId,
        source: &Path,
        said: Option<SourceFormat>,
        target: Target,
        progress: OnProgress<'_>,
    ) -> Result<Header> {
        self.check_new_drive(drive)?;
        let source = self.library.outside(source)?;
        let (chain, header) = CheckedChain::foreign(&source, said)?;
        let fixed = target.preallocation == Preallocation::Fixed;
        space::check(self.path(), if fixed { header.virtual_size } else { space::used(&source)? })?;
        self.convert_into(layer, drive, &chain, header.virtual_size, target, progress)?;
        Ok(header)
    }

    /// Converts a chain that is known into a new drive.
    pub(crate) fn convert_into(
        &mut self,
        layer: &dyn BlockLayer,
        drive: &DriveId,
        source: &CheckedChain,
        size: u64,
        target: Target,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        let new = self.new_image(drive, size, target);
        let unfinished = Unfinished::new(self.fs(), &new.path);
        layer.convert(source, &new, progress)?;
        self.adopt(drive, &new, unfinished)
    }

    fn new_image(&self, drive: &DriveId, size: u64, target: Target) -> NewImage {
        let name = FileName::fresh(drive.as_str(), target.format.driver());
        let Target { format, preallocation } = target;
        NewImage { path: self.image_path(&name), format, size, preallocation, backing: None }
    }

    /// Makes a finished image durable, and it a drive's.
    fn adopt(&mut self, drive: &DriveId, new: &NewImage, unfinished: Unfinished) -> Result<()> {
        // The converter decides the size: of a VHD it may be that of its geometry.
        let size = header(&new.path, new.format)?.virtual_size;
        self.fs().sync_file(&new.path)?;
        self.sync_disks()?;
        let name: FileName = file_name(&new.path)?;
        let record = Image { format: new.format, size, base: None };
        self.commit(|m| {
            m.images.insert(name.clone(), record);
            m.drives.insert(drive.clone(), name);
            Ok(())
        })?;
        unfinished.keep();
        Ok(())
    }

    pub(crate) fn check_new_drive(&self, drive: &DriveId) -> Result<()> {
        self.check_idle()?;
        if self.manifest().drives.contains_key(drive) {
            return Err(Error::DriveExists(drive.to_string()));
        }
        if self.manifest().drives.len() >= MAX_DRIVES {
            return Err(Error::Limit { what: "drives", limit: MAX_DRIVES });
        }
        Ok(())
    }

    /// Takes a drive off the machine for good. Its image goes too, unless a snapshot has it. The machine is stopped.
    /// [`Locked::set_aside`] keeps it.
    ///
    /// # Errors
    ///
    /// [`Error::NoDrive`], [`Error::Suspended`].
    pub fn remove_drive(&mut self, drive: &DriveId) -> Result<()> {
        self.check_idle()?;
        self.current(drive)?;
        self.commit(|m| {
            m.drives.remove(drive);
            Ok(())
        })?;
        self.collect();
        Ok(())
    }

    /// Makes a drive larger; the guest's partitions are its own matter. The machine is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Shrink`], [`Error::HasDependents`] when something is built on the image, [`Error::NoSpace`].
    pub fn grow_drive(&mut self, layer: &dyn BlockLayer, drive: &DriveId, size: u64) -> Result<()> {
        self.check_idle()?;
        let (name, _) = self.current(drive)?;
        let chain = self.open_chain(&name)?;
        let now = chain.virtual_size();
        if size < now {
            return Err(Error::Shrink { now, asked: size });
        }
        check_size(size)?;
        self.check_only_current(&name)?;
        // Tables for the new part; a raw file grows by a hole.
        space::check(self.path(), (size - now) >> 13)?;
        layer.grow(&chain, size)?;
        self.fs().sync_file(&self.image_path(&name))?;
        self.record_size(drive, size)
    }

    /// Notes that a running machine's drive was grown by QEMU (`block_resize`). Works while the machine runs.
    ///
    /// # Errors
    ///
    /// [`Error::Shrink`], [`Error::NoDrive`].
    pub fn record_size(&mut self, drive: &DriveId, size: u64) -> Result<()> {
        let (name, record) = self.current(drive)?;
        if size < record.size {
            return Err(Error::Shrink { now: record.size, asked: size });
        }
        self.commit(|m| {
            if let Some(image) = m.images.get_mut(&name) {
                image.size = size;
            }
            Ok(())
        })
    }

    /// An image may change only if nobody but the current state has it.
    pub(crate) fn check_only_current(&self, image: &FileName) -> Result<()> {
        let m = self.manifest();
        let mut dependents: Vec<String> =
            m.children(image).iter().map(|i| format!("the image {i}")).collect();
        let snapshots = m.snapshots.values().filter(|s| s.drives.values().any(|i| i == image));
        dependents.extend(snapshots.map(|s| format!("the snapshot “{}”", s.name)));
        let users = self.library.users(self.id())?;
        dependents.extend(users.into_iter().filter(|(_, i)| i == image).map(|(name, _)| name));
        match dependents.is_empty() {
            true => Ok(()),
            false => Err(Error::HasDependents { what: image.to_string(), dependents }),
        }
    }

    /// The room that [`Locked::compact_drive`] may need, to be told before it is asked for.
    ///
    /// # Errors
    ///
    /// [`Error::NoDrive`], or what the system says.
    pub fn compact_space(&self, drive: &DriveId) -> Result<Space> {
        let (name, _) = self.current(drive)?;
        Ok(Space { needed: space::used(&self.image_path(&name))?, free: space::free(self.path())? })
    }

    /// Writes the drive's image anew without what its guest has discarded or zeroed, and switches to it at once when it
    /// is whole. Returns the bytes it took before and takes now. The machine is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Cancelled`]; the drive is as before.
    pub fn compact_drive(
        &mut self,
        layer: &dyn BlockLayer,
        drive: &DriveId,
        progress: OnProgress<'_>,
    ) -> Result<(u64, u64)> {
        self.check_idle()?;
        let (name, record) = self.current(drive)?;
        self.check_only_current(&name)?;
        let path = self.image_path(&name);
        let before = space::used(&path)?;
        space::check(self.path(), before)?;
        let chain = self.open_chain(&name)?;
        let target = Target { format: record.format, preallocation: Preallocation::Dynamic };
        let mut new = self.new_image(drive, chain.virtual_size(), target);
        new.backing = record.base.as_ref().map(|base| self.backing(base)).transpose()?;
        let unfinished = Unfinished::new(self.fs(), &new.path);
        layer.convert(&chain, &new, progress)?;
        self.fs().sync_file(&new.path)?;
        self.sync_disks()?;
        let fresh = file_name(&new.path)?;
        self.commit(|m| {
            m.images.insert(fresh.clone(), Image { size: new.size, ..record });
            m.drives.insert(drive.clone(), fresh);
            Ok(())
        })?;
        unfinished.keep();
        let after = space::used(&new.path)?;
        self.collect();
        Ok((before, after))
    }

    /// The folder of the images, for whoever confines QEMU to it.
    #[must_use]
    pub fn disks_folder(&self) -> std::path::PathBuf {
        self.path().join(DISKS)
    }
}

fn file_name(path: &Path) -> Result<FileName> {
    Ok(path.file_name().and_then(|n| n.to_str()).unwrap_or_default().parse()?)
}
