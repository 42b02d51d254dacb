//! Snapshots: a tree of states that were kept.
//!
//! A snapshot takes the current images and leaves empty overlays in their place, so taking one costs next to nothing
//! and its images are never written again. Deleting one leaves images that others are built on where they are, unseen,
//! until [`Locked::reclaim`] merges them.

use crate::block::BlockLayer;
use crate::bundle::{MAX_THUMBNAIL, THUMBS};
use crate::chain::{Overlays, Unfinished};
use crate::error::{Error, Result};
use crate::id::{DriveId, FileName, SnapshotId, check_name};
use crate::locked::Locked;
use crate::manifest::{Base, MAX_CHAIN, MAX_NOTE, MAX_SNAPSHOTS, Snapshot, Suspended};
use crate::space;
use std::collections::BTreeMap;

/// What a person says of a snapshot, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Its name; two may have the same.
    pub name: String,
    /// A remark of at most [`MAX_NOTE`] characters.
    pub note: String,
    /// Seconds since 1970.
    pub time: u64,
    /// A picture of the screen, PNG.
    pub thumbnail: Option<Vec<u8>>,
}

/// What becomes of the current state when another one takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsaved {
    /// It is lost, by the user's word.
    Discard,
    /// It becomes a snapshot first.
    Keep(NewSnapshot),
}

impl Locked {
    /// Keeps the machine's state. The machine is stopped; if it is suspended, its memory is kept, too.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`], [`Error::Limit`] when the tree or a chain is too long, [`Error::NoSpace`].
    pub fn take_snapshot(&mut self, layer: &dyn BlockLayer, new: &NewSnapshot) -> Result<SnapshotId> {
        if self.manifest().pending.is_some() {
            return Err(Error::SnapshotUnderWay);
        }
        let mut node = self.new_node(new)?;
        let Overlays { drives, images, unfinished } =
            self.overlays(layer, &node.drives, &self.sizes(&node.drives)?)?;
        let thumbnail = self.write_thumbnail(new.thumbnail.as_deref())?;
        let suspended = self.manifest().suspended.as_ref();
        // Of a machine that stands still, what it showed when it was suspended is what it shows.
        let shown = suspended.and_then(|s| s.thumbnail.clone());
        node.thumbnail = thumbnail.as_ref().map(|(file, _)| file.clone()).or(shown);
        node.memory = suspended.map(|s| s.memory.clone());
        let id = SnapshotId::random();
        let at = id.clone();
        self.commit(|m| {
            m.snapshots.insert(at.clone(), node);
            m.images.extend(images);
            if let Some(suspended) = &mut m.suspended {
                // What the overlays read is what the memory belongs to.
                suspended.drives.clone_from(&drives);
            }
            m.drives = drives;
            m.parent = Some(at);
            Ok(())
        })?;
        unfinished.into_iter().chain(thumbnail.map(|(_, u)| u)).for_each(Unfinished::keep);
        Ok(id)
    }

    /// Checks what is said of a snapshot, and makes its node of the current state.
    pub(crate) fn new_node(&self, new: &NewSnapshot) -> Result<Snapshot> {
        check_name(&new.name)?;
        if new.note.chars().count() > MAX_NOTE {
            return Err(Error::Limit { what: "characters in a note", limit: MAX_NOTE });
        }
        let m = self.manifest();
        if m.snapshots.len() >= MAX_SNAPSHOTS {
            return Err(Error::Limit { what: "snapshots", limit: MAX_SNAPSHOTS });
        }
        Ok(Snapshot {
            name: new.name.clone(),
            time: new.time,
            note: new.note.clone(),
            parent: m.parent.clone(),
            document: m.document,
            drives: m.drives.clone(),
            memory: None,
            thumbnail: None,
        })
    }

    /// The virtual sizes by the headers, as a crash may have lost what the manifest was to say of them; all that the drives
    /// read from is checked, so that nothing is built on an image that was tampered with.
    fn sizes(&self, drives: &BTreeMap<DriveId, FileName>) -> Result<BTreeMap<DriveId, u64>> {
        let size = |(drive, image): (&DriveId, &FileName)| -> Result<(DriveId, u64)> {
            Ok((drive.clone(), self.open_chain(image)?.virtual_size()))
        };
        drives.iter().map(size).collect()
    }

    /// Empty overlays on the images of `drives`, which are not opened.
    pub(crate) fn overlays(
        &self,
        layer: &dyn BlockLayer,
        drives: &BTreeMap<DriveId, FileName>,
        sizes: &BTreeMap<DriveId, u64>,
    ) -> Result<Overlays> {
        space::check(self.path(), 0)?;
        let mut wanted = Vec::new();
        for (drive, image) in drives {
            if self.chain_of(image)?.len() >= MAX_CHAIN {
                return Err(Error::Limit { what: "snapshots in a row", limit: MAX_CHAIN });
            }
            let recorded = self.manifest().images.get(image).map_or(0, |i| i.size);
            let size = sizes.get(drive).copied().unwrap_or(recorded);
            wanted.push((drive.clone(), Base { vm: None, image: image.clone() }, size));
        }
        self.make_overlays(layer, wanted)
    }

    pub(crate) fn write_thumbnail(&self, png: Option<&[u8]>) -> Result<Option<(FileName, Unfinished)>> {
        let Some(png) = png else { return Ok(None) };
        if png.len() as u64 > MAX_THUMBNAIL || !png.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Err(Error::BadPicture { limit: MAX_THUMBNAIL });
        }
        let (folder, name) = (self.path().join(THUMBS), FileName::fresh("thumb", "png"));
        let unfinished = Unfinished::new(self.fs(), &folder.join(name.as_str()));
        self.fs().write_new(&folder.join(name.as_str()), png)?;
        self.fs().sync_dir(&folder)?;
        Ok(Some((name, unfinished)))
    }

    /// Makes a snapshot's state the current one: its images get new overlays, its document becomes current, its memory
    /// is resumed from at the next start. Going on from an older snapshot is how the tree branches. The machine is
    /// stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NoSnapshot`], [`Error::NoSpace`]; the current state stays.
    pub fn restore(&mut self, layer: &dyn BlockLayer, id: &SnapshotId, unsaved: Unsaved) -> Result<()> {
        if self.manifest().pending.is_some() {
            return Err(Error::SnapshotUnderWay);
        }
        let node = self.snapshot(id)?.clone();
        if let Unsaved::Keep(new) = &unsaved {
            self.take_snapshot(layer, new)?;
        }
        let Overlays { drives, images, unfinished } =
            self.overlays(layer, &node.drives, &self.sizes(&node.drives)?)?;
        let suspended = node.memory.map(|memory| Suspended {
            memory,
            time: node.time,
            document: node.document,
            drives: drives.clone(),
            thumbnail: node.thumbnail,
        });
        self.commit(|m| {
            m.images.extend(images);
            m.drives = drives;
            m.document = node.document;
            m.parent = Some(id.clone());
            m.suspended = suspended;
            Ok(())
        })?;
        unfinished.into_iter().for_each(Unfinished::keep);
        self.collect();
        Ok(())
    }

    /// Gives a snapshot another name and note. Works while the machine runs.
    ///
    /// # Errors
    ///
    /// [`Error::NoSnapshot`], [`Error::BadName`].
    pub fn describe_snapshot(&mut self, id: &SnapshotId, name: &str, note: &str) -> Result<()> {
        check_name(name)?;
        self.snapshot(id)?;
        self.commit(|m| {
            if let Some(node) = m.snapshots.get_mut(id) {
                (node.name, node.note) = (name.to_owned(), note.to_owned());
            }
            Ok(())
        })
    }

    /// Forgets a snapshot; those that grew from it now grow from its parent. Files that nothing needs any more are
    /// removed; an image that others are built on stays until [`Locked::reclaim`]. Works while the machine runs: no image
    /// is opened, and none that it uses is removed.
    ///
    /// # Errors
    ///
    /// [`Error::NoSnapshot`], [`Error::HasDependents`] while linked clones are built on it.
    pub fn delete_snapshot(&mut self, id: &SnapshotId) -> Result<()> {
        let node = self.snapshot(id)?.clone();
        let users = self.library.users(self.id())?;
        let mut dependents: Vec<String> = users
            .into_iter()
            .filter(|(_, i)| node.drives.values().any(|own| own == i))
            .map(|(name, _)| name)
            .collect();
        dependents.dedup();
        if !dependents.is_empty() {
            return Err(Error::HasDependents { what: node.name, dependents });
        }
        self.commit(|m| {
            m.snapshots.remove(id);
            let pending = m.pending.iter_mut().map(|p| &mut p.snapshot.parent);
            let nodes = m.snapshots.values_mut().map(|s| &mut s.parent);
            let parents = nodes.chain(pending).chain([&mut m.parent]);
            parents.filter(|p| p.as_ref() == Some(id)).for_each(|p| p.clone_from(&node.parent));
            Ok(())
        })?;
        self.collect();
        Ok(())
    }

    pub(crate) fn snapshot(&self, id: &SnapshotId) -> Result<&Snapshot> {
        self.manifest().snapshots.get(id).ok_or_else(|| Error::no_snapshot(id))
    }
}
