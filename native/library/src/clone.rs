//! Copies of machines: full ones, and linked ones that share what was there when they were made.
//!
//! A linked clone's base stays in the other machine's bundle: it is an image of a snapshot, so it is never written again,
//! and nothing has to be moved while it is made. Who depends on a machine is found by reading all manifests.

use crate::block::{BlockLayer, OnProgress, Preallocation, Progress};
use crate::bundle::{DISKS, Sections};
use crate::chain::{Overlays, Unfinished};
use crate::checked::CheckedChain;
use crate::disks::Target;
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::fault::ImageChange;
use crate::format::ImageFormat;
use crate::id::{DriveId, FileName, SnapshotId};
use crate::library::Library;
use crate::locked::Locked;
use crate::manifest::{Base, Flattening};
use crate::snapshots::NewSnapshot;
use crate::space;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// How a copy is called, and what makes it differ.
pub struct NewClone<'a> {
    /// Its name.
    pub name: &'a str,
    /// Seconds since 1970.
    pub time: u64,
    /// Changes its document: what must not be twice in one network (MAC addresses, UUIDs) is the document's matter.
    pub change: &'a mut dyn FnMut(&mut Sections),
    /// A small medium of its own, by name, such as its seed.
    pub medium: Option<(String, Vec<u8>)>,
}

impl NewClone<'_> {
    /// The last step: the copy is one of the library's.
    fn publish(self, mut draft: Draft) -> Result<Locked> {
        if let Some((name, bytes)) = &self.medium {
            draft.write_medium(name, bytes)?;
        }
        draft.publish()
    }
}

impl std::fmt::Debug for NewClone<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewClone").field("name", &self.name).field("time", &self.time).finish_non_exhaustive()
    }
}

/// One piece of several: adds what was done before to what is told of it.
pub(crate) struct Share<'a> {
    pub(crate) progress: OnProgress<'a>,
    pub(crate) before: u64,
    pub(crate) total: u64,
}

impl Share<'_> {
    /// Tells of a piece of `length`, measured in its own unit.
    pub(crate) fn tell(&mut self, length: u64, p: Progress) -> ControlFlow<()> {
        // Of 128 bits, so that no size overflows; a total of nothing is done.
        let part = (u128::from(p.done.min(p.total)) * u128::from(length)).checked_div(p.total.into());
        let done = self.before.saturating_add(u64::try_from(part.unwrap_or(0)).unwrap_or(length));
        (self.progress)(Progress { done, total: self.total.max(done) })
    }
}

impl Locked {
    /// The images and the document of a snapshot, or of the current state.
    pub(crate) fn state_at(
        &self,
        at: Option<&SnapshotId>,
    ) -> Result<(BTreeMap<DriveId, FileName>, Sections)> {
        match at {
            None => Ok((self.manifest().drives.clone(), self.document()?)),
            Some(id) => {
                let node = self.snapshot(id)?;
                Ok((node.drives.clone(), self.document_at(node.document)?))
            }
        }
    }

    pub(crate) fn recorded(&self, image: &FileName) -> Result<crate::manifest::Image> {
        self.manifest()
            .images
            .get(image)
            .cloned()
            .ok_or_else(|| Error::ImageChanged { path: self.image_path(image), why: ImageChange::Unknown })
    }

    /// Copies the current state, or a snapshot's, into a machine of its own that shares nothing with this one. Snapshots
    /// and suspended memory are not copied. This machine is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NameTaken`], [`Error::NoSpace`], [`Error::Cancelled`], [`Error::Suspended`]; nothing is left of the copy.
    pub fn clone_full(
        &self,
        layer: &dyn BlockLayer,
        at: Option<&SnapshotId>,
        copy: NewClone<'_>,
        progress: OnProgress<'_>,
    ) -> Result<Locked> {
        self.check_idle()?;
        let (drives, mut document) = self.state_at(at)?;
        let mut sources: Vec<(DriveId, CheckedChain, ImageFormat, u64)> = Vec::new();
        let mut needed = 0u64;
        for (drive, image) in &drives {
            let (record, chain) = (self.recorded(image)?, self.open_chain(image)?);
            for layer in chain.iter() {
                needed = needed.saturating_add(space::used(&layer.path)?);
            }
            sources.push((drive.clone(), chain, record.format, record.size));
        }
        space::check(self.library.home(), needed)?;
        (copy.change)(&mut document);
        let mut draft = self.library.draft(copy.name, &document, copy.time)?;
        let total = sources.iter().map(|(.., size)| size).sum();
        let mut share = Share { progress, before: 0, total };
        for (drive, chain, format, size) in sources {
            let target = Target { format, preallocation: Preallocation::Dynamic };
            draft
                .machine()
                .convert_into(layer, &drive, &chain, size, target, &mut |p| share.tell(size, p))?;
            share.before += size;
        }
        copy.publish(draft)
    }

    /// Makes a machine whose drives begin as those of a snapshot and hold only what differs from it. Without one, a snapshot
    /// is taken first, for which this machine must be stopped. As long as the clone exists, that snapshot cannot be deleted,
    /// nor this machine.
    ///
    /// # Errors
    ///
    /// [`Error::NameTaken`], [`Error::NoSnapshot`]; nothing is left of the copy.
    pub fn clone_linked(
        &mut self,
        layer: &dyn BlockLayer,
        at: Option<&SnapshotId>,
        copy: NewClone<'_>,
    ) -> Result<Locked> {
        let at = match at {
            Some(at) => at.clone(),
            None => {
                self.check_idle()?;
                self.library.check_free(copy.name, None)?;
                let note = "Made for a linked clone, which is built on it.".to_owned();
                let new = NewSnapshot { name: copy.name.to_owned(), note, time: copy.time, thumbnail: None };
                self.take_snapshot(layer, &new)?
            }
        };
        let (drives, mut document) = self.state_at(Some(&at))?;
        (copy.change)(&mut document);
        let mut draft = self.library.draft(copy.name, &document, copy.time)?;
        let mut wanted = Vec::new();
        for (drive, image) in drives {
            let size = self.recorded(&image)?.size;
            if self.open_chain(&image)?.len() >= crate::MAX_CHAIN {
                return Err(Error::Limit { what: "images in a row", limit: crate::MAX_CHAIN });
            }
            wanted.push((drive, Base { vm: Some(self.id()), image }, size));
        }
        let machine = draft.machine();
        let Overlays { drives, images, unfinished } = machine.make_overlays(layer, wanted)?;
        machine.commit(|m| {
            m.images.extend(images);
            m.drives.extend(drives);
            Ok(())
        })?;
        unfinished.into_iter().for_each(Unfinished::keep);
        copy.publish(draft)
    }

    /// Makes a linked clone independent: copies what its images read from other machines into them. Returns how many images
    /// that were. This machine is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Cancelled`]; images that were finished stay.
    pub fn detach(&mut self, layer: &dyn BlockLayer, progress: OnProgress<'_>) -> Result<usize> {
        self.flatten(layer, None, progress)
    }

    /// The same of one drive's images alone, or of all.
    ///
    /// # Errors
    ///
    /// As [`Locked::detach`]; [`Error::NoDrive`].
    pub fn flatten(
        &mut self,
        layer: &dyn BlockLayer,
        only: Option<&DriveId>,
        progress: OnProgress<'_>,
    ) -> Result<usize> {
        if self.manifest().pending.is_some() {
            return Err(Error::SnapshotUnderWay);
        }
        let wanted = match only {
            Some(drive) => Some(self.manifest().chain_in(&self.current(drive)?.0)),
            None => None,
        };
        let foreign = |name: &FileName, i: &crate::manifest::Image| {
            i.base.as_ref().is_some_and(|b| b.vm.is_some())
                && wanted.as_ref().is_none_or(|wanted| wanted.contains(name))
        };
        let images = self.manifest().images.iter().filter(|(name, i)| foreign(name, i));
        let linked = images.map(|(name, i)| (name.clone(), i.size));
        let linked: Vec<(FileName, u64)> = linked.collect();
        let mut share = Share { progress, before: 0, total: linked.iter().map(|(_, size)| size).sum() };
        for (image, size) in &linked {
            let chain = self.open_chain(image)?;
            let below = chain.iter().skip(1).map(|l| space::used(&l.path));
            space::check(&self.path().join(DISKS), below.sum::<Result<u64>>()?)?;
            self.commit(|m| {
                m.flattening = Some(Flattening { image: image.clone(), onto: None });
                Ok(())
            })?;
            let flattened = layer.flatten(&chain, chain.len(), None, &mut |p| share.tell(*size, p));
            if flattened.is_ok() {
                self.fs().sync_file(&self.image_path(image))?;
            }
            self.settle_flattening()?;
            flattened?;
            share.before += size;
        }
        Ok(linked.len())
    }
}

impl Library {
    /// The folder with all bundles, for whoever confines QEMU to the bundles that a chain goes through.
    #[must_use]
    pub fn machines_folder(&self) -> std::path::PathBuf {
        self.vms()
    }
}

/// A temporary file in a bundle's `tmp`, removed when it is dropped or by the next holder.
pub(crate) fn temporary(locked: &Locked, stem: &str) -> (std::path::PathBuf, Unfinished) {
    let path = locked.path().join(crate::bundle::TMP).join(FileName::fresh(stem, "part").as_str());
    let unfinished = Unfinished::new(locked.fs(), &path);
    (path, unfinished)
}
