//! Which files a drive's state is spread over, and whether they are what the manifest says.

use crate::block::{Backing, Layer, NewImage, Preallocation};
use crate::bundle::DISKS;
use crate::error::{Error, Result, io};
use crate::fs::{Fs, open_regular};
use crate::id::{DriveId, FileName};
use crate::image::{self, Header};
use crate::locked::Locked;
use crate::manifest::{Base, Image, ImageFormat, MAX_CHAIN};
use std::path::{Path, PathBuf};

/// A file in the making: removed unless it is kept.
pub(crate) struct Unfinished {
    fs: Fs,
    path: PathBuf,
    kept: bool,
}

impl Unfinished {
    pub(crate) fn new(fs: &Fs, path: &Path) -> Self {
        Self { fs: fs.clone(), path: path.to_path_buf(), kept: false }
    }

    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.kept
            && self.path.symlink_metadata().is_ok()
            && let Err(e) = self.fs.unlink(&self.path)
        {
            log::warn!("cannot remove the unfinished file: {e}");
        }
    }
}

/// Reads the header of an image of a stopped machine.
pub(crate) fn header(path: &Path, format: ImageFormat) -> Result<Header> {
    let file = open_regular(path)?;
    image::read_header(&file, format.into())
        .map_err(|source| Error::Probe { path: path.to_path_buf(), source })
}

impl Locked {
    /// The images that make up a drive's current state, the top first. Bases are always read-only. Works while the
    /// machine runs: no image is opened.
    ///
    /// # Errors
    ///
    /// [`Error::NoDrive`], or why the machine that has a base cannot be read.
    pub fn chain(&self, drive: &DriveId) -> Result<Vec<Layer>> {
        let (image, _) = self.current(drive)?;
        self.chain_of(&image)
    }

    pub(crate) fn chain_of(&self, image: &FileName) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        let (mut bundle, mut at) = (self.bundle.clone(), image.clone());
        // Each linked clone of a linked clone adds a chain; circles between machines end here, too.
        while layers.len() <= 4 * MAX_CHAIN {
            let record = bundle.manifest.images.get(&at);
            let path = bundle.image_path(&at);
            let Some(record) = record else {
                return Err(Error::ImageChanged { path, why: "is no longer known to its machine".into() });
            };
            layers.push(Layer::new(path, record.format));
            let Some(base) = record.base.clone() else { return Ok(layers) };
            if let Some(vm) = base.vm {
                bundle = self.library.read(vm)?;
            }
            at = base.image;
        }
        Err(Error::Limit { what: "images in one drive's chain", limit: 4 * MAX_CHAIN })
    }

    /// Checks every image of every drive against the manifest before the machine starts: each is an ordinary file and
    /// names the base it should and no other file; so is the memory to resume from. The bases of other machines are not
    /// opened, they may be running.
    ///
    /// # Errors
    ///
    /// [`Error::ImageChanged`], [`Error::NotAFile`], [`Error::Probe`].
    pub fn check_drives(&self) -> Result<()> {
        let m = self.manifest();
        for image in m.drives.values().flat_map(|top| m.chain_in(top)) {
            if let Some(record) = m.images.get(&image) {
                self.check_image(&image, record)?;
            }
        }
        if let Some(suspended) = &m.suspended {
            open_regular(&self.state_path(&suspended.memory))?;
        }
        for top in m.drives.values() {
            let chain = self.chain_of(top)?;
            for layer in chain.iter().skip(m.chain_in(top).len()) {
                let meta = layer.path.symlink_metadata().map_err(io("find", &layer.path))?;
                if !meta.is_file() {
                    return Err(Error::NotAFile(layer.path.clone()));
                }
            }
        }
        Ok(())
    }

    fn check_image(&self, name: &FileName, record: &Image) -> Result<()> {
        let path = self.image_path(name);
        let header = header(&path, record.format)?;
        let changed = |why: String| Err(Error::ImageChanged { path: path.clone(), why });
        let expected = record.base.as_ref().map(backing_name);
        if header.backing_file != expected {
            return changed(match header.backing_file {
                Some(found) => format!("names “{found}” as its base"),
                None => "has lost its base".into(),
            });
        }
        if !header.external_data.is_empty() {
            return changed("names another file for its data".into());
        }
        if let Some(how) = header.encryption {
            return changed(format!("is encrypted ({how})"));
        }
        Ok(())
    }

    pub(crate) fn base_format(&self, base: &Base) -> Result<ImageFormat> {
        let record = match base.vm {
            None => self.manifest().images.get(&base.image).map(|i| i.format),
            Some(vm) => self.library.read(vm)?.manifest.images.get(&base.image).map(|i| i.format),
        };
        record.ok_or_else(|| Error::ImageChanged {
            path: PathBuf::from(backing_name(base)),
            why: "is not known to its machine".into(),
        })
    }

    pub(crate) fn backing(&self, base: &Base) -> Result<Backing> {
        Ok(Backing { file: backing_name(base), format: self.base_format(base)? })
    }

    /// Makes an empty overlay in `disks/`, durable; nothing refers to it yet.
    pub(crate) fn overlay(
        &self,
        layer: &dyn crate::BlockLayer,
        drive: &DriveId,
        base: Base,
        size: u64,
    ) -> Result<(FileName, Image, Unfinished)> {
        let name = FileName::fresh(drive.as_str(), "qcow2");
        let path = self.image_path(&name);
        let unfinished = Unfinished::new(self.fs(), &path);
        layer.create(&NewImage {
            path: path.clone(),
            format: ImageFormat::Qcow2,
            size,
            preallocation: Preallocation::Dynamic,
            backing: Some(self.backing(&base)?),
        })?;
        self.fs().sync_file(&path)?;
        self.sync_disks()?;
        Ok((name, Image { format: ImageFormat::Qcow2, size, base: Some(base) }, unfinished))
    }

    pub(crate) fn sync_disks(&self) -> Result<()> {
        self.fs().sync_dir(&self.path().join(DISKS))
    }
}

/// How an overlay's header names its base: relative to `disks/`, so that the library may be moved.
pub(crate) fn backing_name(base: &Base) -> String {
    match base.vm {
        None => base.image.to_string(),
        Some(vm) => format!("../../{}/{DISKS}/{}", vm.folder(), base.image),
    }
}
