//! A machine whose lock is held: the one way to change it.

use crate::bundle::{Bundle, MANIFEST, Sections, write_generation};
use crate::error::{Error, Result};
use crate::fs::{self, Fs};
use crate::id::{DriveId, FileName, check_name};
use crate::library::Library;
use crate::lock::{LOCK, Lock};
use crate::manifest::{Image, Manifest};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};

/// A machine whose lock this process holds, until it is dropped.
///
/// Whoever runs the machine holds this as long as it runs. While it runs, only what says so in its documentation may be
/// called: everything that touches images is for a stopped machine, because closing any descriptor of an image drops
/// the locks that QEMU has on it when both are in one process (`fcntl`(2)).
#[derive(Debug)]
pub struct Locked {
    pub(crate) library: Library,
    pub(crate) bundle: Bundle,
    lock: Lock,
    /// Files that no manifest names and that are in use nevertheless, as long as this lasts.
    pub(crate) scratch: BTreeSet<FileName>,
    /// The document of the run, where it is not the one that the bundle keeps for the next.
    pub(crate) run_document: Option<Sections>,
    /// A manifest could not be made durable although it may be in its place: which one a power loss leaves is not known
    /// before the next one is durable.
    pub(crate) unsure: bool,
}

impl Deref for Locked {
    type Target = Bundle;
    fn deref(&self) -> &Bundle {
        &self.bundle
    }
}

impl Locked {
    pub(crate) fn open(library: Library, bundle: Bundle, lock: Lock) -> Result<Self> {
        let mut locked =
            Self { library, bundle, lock, scratch: BTreeSet::new(), run_document: None, unsure: false };
        locked.recover()?;
        locked.collect();
        locked.keep_reserve();
        Ok(locked)
    }

    /// Room for the next manifest: what frees space on a full disk must be able to say so.
    fn keep_reserve(&self) {
        self.fs().keep_reserve(&self.bundle.path, MANIFEST, self.bundle.manifest.to_bytes().len());
    }

    /// The lock's file. A child process that hosts QEMU inherits a copy, so that the machine stays locked as long as QEMU
    /// lives, even if this process is killed: `flock` ends when the last copy is closed. Dropping this value unlocks it for
    /// all copies, so it is dropped after QEMU has ended.
    #[must_use]
    pub fn lock_file(&self) -> BorrowedFd<'_> {
        self.lock.file.as_fd()
    }

    /// Notes that the machine runs from now on, until this is dropped: whoever wants its lock is refused at once, while they
    /// wait some seconds for a holder that only passes by.
    pub fn note_run(&self) {
        self.lock.runs(&self.bundle.path.join(LOCK));
    }

    pub(crate) fn fs(&self) -> &Fs {
        &self.library.fs
    }

    /// Changes the manifest: durable when this returns, and as before when it fails.
    pub(crate) fn commit(&mut self, change: impl FnOnce(&mut Manifest) -> Result<()>) -> Result<()> {
        if self.unsure {
            self.bundle = Bundle::read(&self.bundle.path)?;
        }
        let mut next = self.bundle.manifest.clone();
        change(&mut next)?;
        next.serial = next.serial.saturating_add(1);
        next.trashed = None;
        let needed = next.needed_images();
        next.images.retain(|name, _| needed.contains(name));
        next.check().map_err(|why| Error::BadChange { why })?;
        self.write_manifest(next)
    }

    pub(crate) fn write_manifest(&mut self, next: Manifest) -> Result<()> {
        let bytes = next.to_bytes();
        if bytes.len() as u64 > crate::manifest::MAX_MANIFEST {
            return Err(Error::Limit {
                what: "snapshots and images with such long notes",
                limit: bytes.len(),
            });
        }
        let replaced = self.fs().replace(&self.bundle.path, MANIFEST, &bytes);
        if replaced.is_ok() {
            self.bundle.manifest = next;
            self.unsure = false;
            self.keep_reserve();
            return Ok(());
        }
        // The rename may have been made: what the disk says holds, if it can be read.
        match Bundle::read(&self.bundle.path) {
            Ok(bundle) => {
                self.unsure |= bundle.manifest.serial != self.bundle.manifest.serial;
                self.bundle = bundle;
            }
            Err(error) => {
                log::error!("{}: {error}", self.bundle.path.display());
                self.unsure = true;
            }
        }
        replaced
    }

    /// Replaces the document. Works while the machine runs.
    ///
    /// # Errors
    ///
    /// When a section has an unusable name or is too long, or the disk is full; the old document stays.
    pub fn set_document(&mut self, document: &Sections) -> Result<()> {
        let next = self.next_generation(document)?;
        self.commit(|m| {
            m.document = next;
            Ok(())
        })?;
        self.collect();
        Ok(())
    }

    /// Says which document the running machine has, where [`Locked::set_document`] has set another one for its next start:
    /// from now on memory that is saved is noted to belong to this one.
    pub fn set_run_document(&mut self, document: Option<Sections>) {
        self.run_document = document;
    }

    /// The document that the memory of the run belongs to.
    pub(crate) fn generation_of_run(&self) -> Result<u64> {
        match &self.run_document {
            Some(document) => self.next_generation(document),
            None => Ok(self.bundle.manifest.document),
        }
    }

    /// Writes a document that counts once the manifest names it by this number.
    pub(crate) fn next_generation(&self, document: &Sections) -> Result<u64> {
        let folder = self.bundle.path.join(crate::bundle::DOCUMENT);
        let on_disk = fs::names(&folder, 1 << 16)?;
        let highest = on_disk.iter().filter_map(|n| n.parse::<u64>().ok()).max().unwrap_or(0);
        let next = highest.max(self.bundle.manifest.document).saturating_add(1);
        write_generation(self.fs(), &self.bundle.path, next, document)?;
        Ok(next)
    }

    /// Gives the machine another name. Works while it runs.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`], [`Error::NameTaken`].
    pub fn rename(&mut self, name: &str) -> Result<()> {
        check_name(name)?;
        let library = self.library.clone();
        let _names = library.lock_names()?;
        library.check_free(name, Some(self.id()))?;
        self.commit(|m| {
            name.clone_into(&mut m.name);
            Ok(())
        })
    }

    pub(crate) fn current(&self, drive: &DriveId) -> Result<(FileName, Image)> {
        let m = &self.bundle.manifest;
        let image = m.drives.get(drive).ok_or_else(|| Error::NoDrive {
            drive: drive.to_string(),
            has: m.drives.keys().map(ToString::to_string).collect(),
        })?;
        let record =
            m.images.get(image).expect("`check` has refused a manifest whose drives' images are not listed");
        Ok((image.clone(), record.clone()))
    }

    /// Refuses to touch images that a suspended or an unfinished state belongs to.
    pub(crate) fn check_idle(&self) -> Result<()> {
        match (&self.bundle.manifest.suspended, &self.bundle.manifest.pending) {
            (Some(_), _) => Err(Error::Suspended),
            (_, Some(_)) => Err(Error::SnapshotUnderWay),
            _ => Ok(()),
        }
    }
}
