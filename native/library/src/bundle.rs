//! A bundle as anybody may read it, without its lock.

use crate::error::{Error, Result};
use crate::fault::ManifestFault;
use crate::fs::{self, Fs};
use crate::id::{FileName, SnapshotId, VmId, are_alike};
use crate::manifest::{MAX_MANIFEST, Manifest, Snapshot};
use crate::{owner, tree};
use rustix::fs::{AtFlags, statat};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The machine's document: every section's file name and text.
pub type Sections = BTreeMap<String, String>;

/// The most section files of a document.
pub const MAX_SECTIONS: usize = 64;
/// The most bytes of one section.
pub const MAX_SECTION: u64 = 1 << 20;

/// The most bytes of a snapshot's picture.
pub const MAX_THUMBNAIL: u64 = 4 << 20;
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const DISKS: &str = "disks";
pub(crate) const DOCUMENT: &str = "document";
pub(crate) const STATE: &str = "state";
pub(crate) const THUMBS: &str = "thumbs";
pub(crate) const TMP: &str = "tmp";
/// The folders of a bundle that this crate keeps.
pub(crate) const FOLDERS: [&str; 5] = [DISKS, DOCUMENT, STATE, THUMBS, TMP];

/// What a snapshot takes of the disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotUsage {
    /// Its memory and picture, and what was written to the disks since the snapshot that it grew from.
    pub held: u64,
    /// What is free once it is removed. The rest of it others are built on.
    pub freed: u64,
}

/// What a bundle is at one moment. Somebody who holds its lock may change it at any time.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Bundle {
    /// Reads the bundle in a folder.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let folder = owner::folder(path)?;
        for name in FOLDERS {
            owner::folder_in(&folder, path, name)?;
        }
        let file = path.join(MANIFEST);
        let manifest = Manifest::parse(&fs::read_own(&file, MAX_MANIFEST)?, &file)?;
        Ok(Self { path: path.to_path_buf(), manifest })
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The machine.
    #[must_use]
    pub fn id(&self) -> VmId {
        self.manifest.id
    }

    /// What a person calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// All that is known of it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The current document.
    ///
    /// # Errors
    ///
    /// When a section cannot be read, or the bundle was changed time and again while it was read.
    pub fn document(&self) -> Result<Sections> {
        let mut bundle = self.clone();
        for _ in 0..5 {
            match sections(&bundle.generation(bundle.manifest.document)) {
                // Its holder has written a newer document and removed this one.
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    bundle = Self::read(&self.path)?;
                }
                other => return other,
            }
        }
        sections(&bundle.generation(bundle.manifest.document))
    }

    /// The document of a generation that a snapshot names.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn document_at(&self, generation: u64) -> Result<Sections> {
        sections(&self.generation(generation))
    }

    /// The snapshot with this name or id.
    ///
    /// # Errors
    ///
    /// [`Error::NoSnapshot`], [`Error::Ambiguous`] when several have the name.
    pub fn find_snapshot(&self, what: &str) -> Result<SnapshotId> {
        let all = &self.manifest().snapshots;
        if let Some((id, _)) = all.iter().find(|(id, _)| id.as_str() == what) {
            return Ok(id.clone());
        }
        let named = |is: &dyn Fn(&str) -> bool| -> Vec<&SnapshotId> {
            all.iter().filter(|(_, s)| is(&s.name)).map(|(id, _)| id).collect()
        };
        let exact = named(&|name| name == what);
        let named = if exact.is_empty() { named(&|name| are_alike(name, what)) } else { exact };
        match named.as_slice() {
            [] => Err(Error::NoSnapshot(what.to_owned())),
            [one] => Ok((*one).clone()),
            several => {
                let candidates = several.iter().map(ToString::to_string).collect();
                Err(Error::Ambiguous { what: what.to_owned(), candidates })
            }
        }
    }

    /// The picture of a snapshot, PNG.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn thumbnail(&self, snapshot: &SnapshotId) -> Result<Option<Vec<u8>>> {
        let node = self.manifest.snapshots.get(snapshot).ok_or_else(|| Error::no_snapshot(snapshot))?;
        let path = node.thumbnail.as_ref().map(|file| self.path.join(THUMBS).join(file.as_str()));
        path.map(|path| fs::read_own(&path, MAX_THUMBNAIL)).transpose()
    }

    /// What the screen of a suspended machine showed, PNG; `None` where it is not suspended, or showed nothing.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn suspended_thumbnail(&self) -> Result<Option<Vec<u8>>> {
        let file = self.manifest.suspended.as_ref().and_then(|suspended| suspended.thumbnail.as_ref());
        let path = file.map(|file| self.path.join(THUMBS).join(file.as_str()));
        path.map(|path| fs::read_own(&path, MAX_THUMBNAIL)).transpose()
    }

    /// Bytes that the bundle takes of the disk, by blocks in use (a hole takes none).
    ///
    /// # Errors
    ///
    /// When a folder cannot be read.
    pub fn usage(&self) -> Result<u64> {
        usage(&self.path)
    }

    /// Bytes that each image takes of the disk; one that cannot be found takes none. Works while the machine runs: no image
    /// is opened.
    #[must_use]
    pub fn image_usage(&self) -> BTreeMap<FileName, u64> {
        let used = |image: &FileName| crate::space::used(&self.image_path(image)).unwrap_or(0);
        self.manifest.images.keys().map(|image| (image.clone(), used(image))).collect()
    }

    /// What each snapshot takes of the disk. Works while the machine runs: no image is opened.
    #[must_use]
    pub fn snapshot_usage(&self) -> BTreeMap<SnapshotId, SnapshotUsage> {
        let images = self.image_usage();
        let of = |image: &FileName| images.get(image).copied().unwrap_or(0);
        let used = |path: &Path| crate::space::used(path).unwrap_or(0);
        let needed = self.manifest.needed_images();
        let usage = |(id, snapshot): (&SnapshotId, &Snapshot)| {
            let mut without = self.manifest.clone();
            without.snapshots.remove(id);
            let picture = snapshot
                .thumbnail
                .as_ref()
                .map_or(0, |file| used(&self.path.join(THUMBS).join(file.as_str())));
            let memory = snapshot.memory.as_ref();
            let memory_bytes = memory.map_or(0, |file| used(&self.state_path(file)));
            // A machine that was put back to it, and has not run since, resumes from the same memory.
            let shared = memory.is_some_and(|file| without.memories().contains(file));
            let is_shown =
                snapshot.thumbnail.as_ref().is_some_and(|file| without.thumbnails().contains(file));
            let grown = snapshot.parent.as_ref().and_then(|parent| self.manifest.snapshots.get(parent));
            let is_older = |image: &&FileName| {
                grown.is_some_and(|grown| grown.drives.values().any(|before| before == *image))
            };
            let held = snapshot.drives.values().filter(|image| !is_older(image)).map(of);
            let kept = without.needed_images();
            let freed = needed.difference(&kept).map(of);
            SnapshotUsage {
                held: held.sum::<u64>().saturating_add(memory_bytes).saturating_add(picture),
                freed: freed
                    .sum::<u64>()
                    .saturating_add(if shared { 0 } else { memory_bytes })
                    .saturating_add(if is_shown { 0 } else { picture }),
            }
        };
        self.manifest.snapshots.iter().map(|entry| (entry.0.clone(), usage(entry))).collect()
    }

    pub(crate) fn generation(&self, generation: u64) -> PathBuf {
        self.path.join(DOCUMENT).join(generation.to_string())
    }

    /// The folder of its images.
    #[must_use]
    pub fn disks(&self) -> PathBuf {
        self.path.join(DISKS)
    }

    /// Where an image is.
    #[must_use]
    pub fn image_path(&self, image: &FileName) -> PathBuf {
        self.path.join(DISKS).join(image.as_str())
    }

    pub(crate) fn state_path(&self, file: &FileName) -> PathBuf {
        self.path.join(STATE).join(file.as_str())
    }
}

pub(crate) fn check_sections(document: &Sections) -> Result<()> {
    if document.len() > MAX_SECTIONS {
        return Err(Error::Limit { what: "sections of a document", limit: MAX_SECTIONS });
    }
    for (name, text) in document {
        name.parse::<FileName>()?;
        if text.len() as u64 > MAX_SECTION {
            return Err(Error::SectionTooLong {
                section: name.clone(),
                bytes: text.len(),
                limit: MAX_SECTION,
            });
        }
    }
    Ok(())
}

fn sections(folder: &Path) -> Result<Sections> {
    // A missing folder is an error here: the manifest names it.
    owner::folder(folder)?;
    let mut document = Sections::new();
    for name in fs::names(folder, MAX_SECTIONS)? {
        let path = folder.join(&name);
        name.parse::<FileName>()?;
        let text = String::from_utf8(fs::read_own(&path, MAX_SECTION)?)
            .map_err(|_| Error::Damaged { path, why: ManifestFault::NotUtf8 })?;
        document.insert(name, text);
    }
    Ok(document)
}

/// Writes a generation of the document, durable with its name.
pub(crate) fn write_generation(fs: &Fs, bundle: &Path, generation: u64, document: &Sections) -> Result<()> {
    check_sections(document)?;
    let (parent, folder) = (bundle.join(DOCUMENT), bundle.join(DOCUMENT).join(generation.to_string()));
    fs.create_dir(&folder)?;
    for (name, text) in document {
        fs.write_new(&folder.join(name), text.as_bytes())?;
    }
    fs.sync_dir(&folder)?;
    fs.sync_dir(&parent)
}

/// The most files and folders of a bundle that are counted: some ten times what the largest one has.
const MAX_COUNTED: usize = 1 << 16;

fn usage(path: &Path) -> Result<u64> {
    let (mut blocks, mut counted) = (0_u64, 0);
    tree::walk(path, "look at", &mut |found| {
        counted += 1;
        if counted > MAX_COUNTED {
            return Err(std::io::Error::other(format!("it holds more than {MAX_COUNTED} files and folders")));
        }
        let stat = statat(found.at, found.name, AtFlags::SYMLINK_NOFOLLOW)?;
        blocks = blocks.saturating_add(u64::try_from(stat.st_blocks).unwrap_or(0));
        Ok(())
    })?;
    // `st_blocks` counts 512 bytes on every file system.
    Ok(blocks.saturating_mul(512))
}
