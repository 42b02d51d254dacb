//! The one file that says what a bundle is: replaced whole, everything else is written once and named by it.

use crate::error::{Error, Result};
use crate::fault::ManifestFault;
use crate::format::ImageFormat;
use crate::id::{DriveId, FileName, SnapshotId, VmId, check_name};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The version of [`Manifest`] that is written, and the highest that is read.
pub const VERSION: u32 = 1;
/// The most bytes of a manifest.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// The most images of a machine.
pub const MAX_IMAGES: usize = 4096;
/// The most drives of a machine.
pub const MAX_DRIVES: usize = 64;
/// The most snapshots of a machine.
pub const MAX_SNAPSHOTS: usize = 512;
/// The most images that one drive's state is spread over: each costs QEMU a file, memory and a lookup per read.
pub const MAX_CHAIN: usize = 100;
/// The most characters of a snapshot's note.
pub const MAX_NOTE: usize = 4096;

/// What an overlay is built on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The machine that has the image; `None` for the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
    /// Its file in that bundle's `disks`.
    pub image: FileName,
}

/// One image in `disks/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Recorded when the image was made; never guessed afterwards.
    pub format: ImageFormat,
    /// Virtual size in bytes.
    pub size: u64,
    /// What it is built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
}

/// A state of the machine that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// What a person called it.
    pub name: String,
    /// Seconds since 1970, given by the caller.
    pub time: u64,
    /// A remark.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The snapshot this state grew from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// The document's generation.
    pub document: u64,
    /// Every drive's image, read-only from then on.
    pub drives: BTreeMap<DriveId, FileName>,
    /// The machine's memory, in `state/`, when it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<FileName>,
    /// A picture of the screen (PNG), in `thumbs/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<FileName>,
}

/// A machine suspended to disk: its memory, which fits these images and this document alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspended {
    /// The file in `state/`.
    pub memory: FileName,
    /// Seconds since 1970.
    pub time: u64,
    /// The document's generation that the memory belongs to.
    pub document: u64,
    /// The images that the memory belongs to.
    pub drives: BTreeMap<DriveId, FileName>,
    /// What the screen showed (PNG), in `thumbs/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<FileName>,
}

/// A snapshot of a running machine between `begin` and `commit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// The id the snapshot will have.
    pub id: SnapshotId,
    /// The snapshot as it will be; its images are the current ones.
    pub snapshot: Snapshot,
    /// The overlay that QEMU will write to, for each drive.
    pub overlays: BTreeMap<DriveId, FileName>,
}

/// An image whose base is being copied into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flattening {
    /// The image that takes over what it reads from its base.
    pub image: FileName,
    /// The base it will have when done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onto: Option<Base>,
}

/// A drive that was taken off the machine and may come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    /// What it was called.
    pub drive: DriveId,
    /// Its image, which is kept.
    pub image: FileName,
    /// Seconds since 1970, given by the caller.
    pub time: u64,
    /// What the machine's document said of it, whatever that is.
    pub description: String,
}

/// All that a bundle is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// The machine.
    pub id: VmId,
    /// What a person calls it.
    pub name: String,
    /// Seconds since 1970 when it was made, given by the caller.
    pub created: u64,
    /// Counts the changes of this file.
    pub serial: u64,
    /// The current generation of the document: the folder `document/<generation>`.
    pub document: u64,
    /// Every drive's current image.
    #[serde(default)]
    pub drives: BTreeMap<DriveId, FileName>,
    /// Every image in `disks/`.
    #[serde(default)]
    pub images: BTreeMap<FileName, Image>,
    /// Every snapshot.
    #[serde(default)]
    pub snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// The snapshot that the current state grew from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// Present while the machine is suspended to disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspended>,
    /// Present while a snapshot of the running machine is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Present while a base is copied into an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flattening: Option<Flattening>,
    /// Drives that were taken off it, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
    /// When it went to the trash; means nothing outside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trashed: Option<u64>,
}

impl Manifest {
    pub(crate) fn new(id: VmId, name: &str, created: u64) -> Self {
        Self {
            version: VERSION,
            id,
            name: name.to_owned(),
            created,
            serial: 0,
            document: 1,
            drives: BTreeMap::new(),
            images: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            parent: None,
            suspended: None,
            pending: None,
            flattening: None,
            removed: Vec::new(),
            trashed: None,
        }
    }

    /// Reads a manifest's text and checks it whole: what it names exists in it, nothing goes in circles, all within
    /// bounds. It does not look at any file.
    ///
    /// # Errors
    ///
    /// [`Error::TooNew`] and [`Error::Damaged`], about `path`.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let damaged = |why| Error::Damaged { path: path.to_path_buf(), why };
        let unreadable = |e: serde_json::Error| damaged(ManifestFault::Unreadable { why: e.to_string() });
        let Versioned { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if version > VERSION {
            return Err(Error::TooNew { path: path.to_path_buf(), found: version, known: VERSION });
        }
        if version == 0 {
            return Err(damaged(ManifestFault::VersionZero));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        manifest.check().map_err(damaged)?;
        Ok(manifest)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("maps with text keys and numbers always serialise");
        bytes.push(b'\n');
        bytes
    }

    /// What is wrong with it, if anything.
    pub(crate) fn check(&self) -> std::result::Result<(), ManifestFault> {
        let named =
            |name: &str| check_name(name).map_err(|e| ManifestFault::BadName { name: e.name, rule: e.why });
        named(&self.name)?;
        let bound = |count: usize, most: usize, fault: fn(usize, usize) -> ManifestFault| match count > most {
            true => Err(fault(count, most)),
            false => Ok(()),
        };
        let drives = |count, most| ManifestFault::Drives { count, most };
        bound(self.images.len(), MAX_IMAGES, |count, most| ManifestFault::Images { count, most })?;
        bound(self.drives.len(), MAX_DRIVES, drives)?;
        bound(self.snapshots.len(), MAX_SNAPSHOTS, |count, most| ManifestFault::Snapshots { count, most })?;
        bound(self.removed.len(), MAX_DRIVES, |count, most| ManifestFault::Removed { count, most })?;
        let has = |image: &FileName| match self.images.contains_key(image) {
            true => Ok(()),
            false => Err(ManifestFault::ImageNotListed { image: image.to_string() }),
        };
        for (name, image) in &self.images {
            if let Some(base) = &image.base {
                if image.format == ImageFormat::Raw {
                    return Err(ManifestFault::RawWithBase { image: name.to_string() });
                }
                match base.vm {
                    None => has(&base.image)?,
                    Some(vm) if vm == self.id => {
                        return Err(ManifestFault::OwnMachine { image: name.to_string() });
                    }
                    Some(_) => {}
                }
            }
        }
        self.drives.values().try_for_each(has)?;
        for removed in &self.removed {
            has(&removed.image)?;
            bound(removed.description.len(), MAX_NOTE, |count, most| ManifestFault::RemovedLength {
                count,
                most,
            })?;
        }
        for (id, snapshot) in &self.snapshots {
            snapshot.drives.values().try_for_each(has)?;
            bound(snapshot.drives.len(), MAX_DRIVES, drives)?;
            bound(snapshot.note.chars().count(), MAX_NOTE, |count, most| ManifestFault::NoteLength {
                count,
                most,
            })?;
            named(&snapshot.name)?;
            if let Some(parent) = &snapshot.parent
                && !self.snapshots.contains_key(parent)
            {
                let (snapshot, parent) = (id.to_string(), parent.to_string());
                return Err(ManifestFault::SnapshotParent { snapshot, parent });
            }
        }
        if let Some(parent) = &self.parent
            && !self.snapshots.contains_key(parent)
        {
            return Err(ManifestFault::StateParent { parent: parent.to_string() });
        }
        if let Some(suspended) = &self.suspended {
            suspended.drives.values().try_for_each(has)?;
        }
        if let Some(pending) = &self.pending {
            pending.snapshot.drives.values().try_for_each(has)?;
            pending.overlays.values().try_for_each(has)?;
        }
        if let Some(flattening) = &self.flattening {
            has(&flattening.image)?;
            if let Some(Base { vm: None, image }) = &flattening.onto {
                has(image)?;
            }
        }
        circle(self.images.keys(), |i| self.base_in(i).cloned())
            .map_err(|i| ManifestFault::OwnBase { image: i.to_string() })?;
        let parent_of = |s: &SnapshotId| self.snapshots.get(s).and_then(|s| s.parent.clone());
        circle(self.snapshots.keys(), parent_of)
            .map_err(|s| ManifestFault::OwnAncestor { snapshot: s.to_string() })
    }

    /// The base of an image if it is in this bundle.
    pub(crate) fn base_in(&self, image: &FileName) -> Option<&FileName> {
        match &self.images.get(image)?.base {
            Some(Base { vm: None, image }) => Some(image),
            _ => None,
        }
    }

    /// An image and those below it that are in this bundle, the top first.
    pub(crate) fn chain_in(&self, image: &FileName) -> Vec<FileName> {
        // Ends: `check` has refused circles.
        std::iter::successors(Some(image.clone()), |i| self.base_in(i).cloned()).collect()
    }

    /// Images that the current state, a snapshot, a snapshot under way or a removed drive names itself, not as somebody's base.
    pub(crate) fn named_images(&self) -> BTreeSet<&FileName> {
        let snapshots = self.snapshots.values().flat_map(|s| s.drives.values());
        let pending = self.pending.iter().flat_map(|p| p.overlays.values().chain(p.snapshot.drives.values()));
        let suspended = self.suspended.iter().flat_map(|s| s.drives.values());
        let removed = self.removed.iter().map(|r| &r.image);
        self.drives.values().chain(snapshots).chain(pending).chain(suspended).chain(removed).collect()
    }

    /// Images that anything needs: the named ones and all below them.
    pub(crate) fn needed_images(&self) -> BTreeSet<FileName> {
        let mut needed: BTreeSet<FileName> =
            self.named_images().into_iter().flat_map(|i| self.chain_in(i)).collect();
        if let Some(Flattening { image, onto }) = &self.flattening {
            needed.extend(self.chain_in(image));
            if let Some(Base { vm: None, image }) = onto {
                needed.extend(self.chain_in(image));
            }
        }
        needed
    }

    /// The images of this bundle whose base is `image`.
    pub(crate) fn children(&self, image: &FileName) -> Vec<FileName> {
        self.images.keys().filter(|i| self.base_in(i) == Some(image)).cloned().collect()
    }

    pub(crate) fn generations(&self) -> BTreeSet<u64> {
        let snapshots = self.snapshots.values().map(|s| s.document);
        let pending = self.pending.iter().map(|p| p.snapshot.document);
        let suspended = self.suspended.iter().map(|s| s.document);
        [self.document].into_iter().chain(snapshots).chain(pending).chain(suspended).collect()
    }

    pub(crate) fn memories(&self) -> BTreeSet<&FileName> {
        let snapshots = self.snapshots.values().filter_map(|s| s.memory.as_ref());
        let pending = self.pending.iter().filter_map(|p| p.snapshot.memory.as_ref());
        snapshots.chain(pending).chain(self.suspended.iter().map(|s| &s.memory)).collect()
    }

    pub(crate) fn thumbnails(&self) -> BTreeSet<&FileName> {
        let pending = self.pending.iter().filter_map(|p| p.snapshot.thumbnail.as_ref());
        let suspended = self.suspended.iter().filter_map(|s| s.thumbnail.as_ref());
        self.snapshots.values().filter_map(|s| s.thumbnail.as_ref()).chain(pending).chain(suspended).collect()
    }
}

/// Whether following `next` from any of `all` comes back; the culprit if it does. Linear: what was seen to end is not
/// walked again.
fn circle<'a, T: Ord + Clone + 'a>(
    all: impl Iterator<Item = &'a T>,
    next: impl Fn(&T) -> Option<T>,
) -> std::result::Result<(), T> {
    let mut ends = BTreeSet::new();
    for start in all {
        let mut walked = BTreeSet::new();
        let mut at = Some(start.clone());
        while let Some(here) = at {
            if ends.contains(&here) {
                break;
            }
            if !walked.insert(here.clone()) {
                return Err(here);
            }
            at = next(&here);
        }
        ends.extend(walked);
    }
    Ok(())
}
