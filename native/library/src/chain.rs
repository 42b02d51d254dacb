//! Which files a drive's state is spread over, and whether they are what the manifest says.

use crate::block::{Backing, NewImage, Preallocation};
use crate::bundle::DISKS;
use crate::checked::CheckedChain;
use crate::error::{Error, Result};
use crate::fault::ImageChange;
use crate::format::{ImageFormat, Layer};
use crate::fs::{Fs, open_regular};
use crate::id::{DriveId, FileName};
use crate::image::{self, Header};
use crate::locked::Locked;
use crate::manifest::{Base, Image, MAX_CHAIN};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Overlays that were made and that nothing refers to yet.
#[derive(Default)]
pub(crate) struct Overlays {
    /// The drives, and their images from now on.
    pub(crate) drives: BTreeMap<DriveId, FileName>,
    /// What the manifest is to say of them.
    pub(crate) images: BTreeMap<FileName, Image>,
    pub(crate) unfinished: Vec<Unfinished>,
}

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
                return Err(Error::ImageChanged { path, why: ImageChange::Forgotten });
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

    /// Opens the images that make up a state's image, each checked: the only way to the block layer.
    pub(crate) fn open_chain(&self, image: &FileName) -> Result<CheckedChain> {
        CheckedChain::open(self.chain_of(image)?)
    }

    /// Opens and checks every image of every drive before the machine starts, those of other machines that a linked clone
    /// is built on included; the memory to resume from is an ordinary file, too. What comes back is what the machine may
    /// reach.
    ///
    /// # Errors
    ///
    /// [`Error::ImageChanged`], [`Error::NotAFile`], [`Error::Probe`].
    pub fn open_drives(&self) -> Result<BTreeMap<DriveId, CheckedChain>> {
        let m = self.manifest();
        if let Some(suspended) = &m.suspended {
            open_regular(&self.state_path(&suspended.memory))?;
        }
        m.drives.iter().map(|(drive, top)| Ok((drive.clone(), self.open_chain(top)?))).collect()
    }

    pub(crate) fn base_format(&self, base: &Base) -> Result<ImageFormat> {
        let record = match base.vm {
            None => self.manifest().images.get(&base.image).map(|i| i.format),
            Some(vm) => self.library.read(vm)?.manifest.images.get(&base.image).map(|i| i.format),
        };
        record.ok_or_else(|| Error::ImageChanged {
            path: PathBuf::from(backing_name(base)),
            why: ImageChange::Unknown,
        })
    }

    pub(crate) fn backing(&self, base: &Base) -> Result<Backing> {
        Ok(Backing { file: backing_name(base), format: self.base_format(base)? })
    }

    /// Makes empty overlays in `disks/`, durable, each of so many bytes on a base that is not opened; nothing refers to them
    /// yet.
    pub(crate) fn make_overlays(
        &self,
        layer: &dyn crate::BlockLayer,
        wanted: Vec<(DriveId, Base, u64)>,
    ) -> Result<Overlays> {
        let (mut made, mut images) = (Overlays::default(), Vec::new());
        for (drive, base, size) in wanted {
            let name = FileName::fresh(drive.as_str(), "qcow2");
            let path = self.image_path(&name);
            made.unfinished.push(Unfinished::new(self.fs(), &path));
            images.push(NewImage {
                path,
                format: ImageFormat::Qcow2,
                size,
                preallocation: Preallocation::Dynamic,
                backing: Some(self.backing(&base)?),
            });
            made.drives.insert(drive, name.clone());
            made.images.insert(name, Image { format: ImageFormat::Qcow2, size, base: Some(base) });
        }
        layer.create(&images)?;
        for image in &images {
            self.fs().sync_file(&image.path)?;
        }
        self.sync_disks()?;
        Ok(made)
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
