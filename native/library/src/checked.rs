//! Images that may be given to the block layer: each was opened once and is what it should be.
//!
//! QEMU writes the images of the machine that it runs, headers included, so a header is hostile: it may name any file of the
//! host as its base or for its data. [`CheckedChain`] is the one way from a list of files to the block layer
//! ([`BlockLayer`](crate::BlockLayer) takes nothing else), and it cannot be made without the check. Three things hold beside it:
//! QEMU is told every base by us and told of none where there is none ([`blockdev`](crate::blockdev)), our libqemu opens no file
//! that only an image names, and a process that works on images reaches the inodes that are pinned here and nothing else.

use crate::error::{Error, Result, io};
use crate::fault::ImageChange;
use crate::format::{Layer, SourceFormat};
use crate::fs::{is_loop, open_regular};
use crate::image::{self, Header};
use crate::owner;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// One file, whatever becomes of its name: a descriptor that reads nothing (`O_PATH`), which a sandbox makes its rule of.
///
/// Closing it drops no locks on the file (`locks_remove_posix` in Linux's `fs/file_table.c` leaves `O_PATH` out), so it may be
/// closed while a QEMU in this process has the image open.
#[derive(Clone, Debug)]
pub struct Pin(Arc<OwnedFd>);

impl Pin {
    /// Pins a regular file. With `ours` it must also belong to the user this process runs as.
    pub(crate) fn new(path: &Path, ours: bool) -> Result<Self> {
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| io("open", path)(e.into()))?;
        let stat = fstat(&fd).map_err(|e| io("look at", path)(e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::NotAFile(path.to_path_buf()));
        }
        if ours {
            owner::check_owner(&stat, path)?;
        }
        Ok(Self(Arc::new(fd)))
    }

    fn stat(&self, path: &Path) -> Result<Stat> {
        fstat(&self.0).map_err(|e| io("look at", path)(e.into()))
    }

    /// Opens the pinned file for reading, by its name: that this is the same file is checked.
    fn read(&self, path: &Path) -> Result<std::fs::File> {
        let file = open_regular(path)?;
        self.same(&file, path)?;
        Ok(file)
    }

    /// Whether an open file is the pinned one.
    fn same(&self, file: &std::fs::File, path: &Path) -> Result<()> {
        let (now, pinned) = (file.metadata().map_err(io("look at", path))?, self.stat(path)?);
        match (now.dev(), now.ino()) == (pinned.st_dev, pinned.st_ino) {
            true => Ok(()),
            false => Err(changed(path, ImageChange::Replaced)),
        }
    }
}

impl AsFd for Pin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The images that a drive reads from, the top first, each opened and checked. It derefs to their paths and formats.
///
/// What is checked of each layer: it is a regular file and, unless it comes from elsewhere, ours; its header is sound; the base
/// that its header names is the next layer's file, and the last one names none; it names no other file for its data; it is not
/// encrypted.
#[derive(Debug)]
pub struct CheckedChain {
    layers: Vec<Layer>,
    pins: Vec<Pin>,
    virtual_size: u64,
}

impl CheckedChain {
    /// Opens and checks images of ours. No running machine of this or another process may write to the first one; those below
    /// it may be in use, since nothing is written to them and QEMU's locks are those of its own descriptors (`F_OFD_SETLK`).
    ///
    /// # Errors
    ///
    /// [`Error::ImageChanged`], [`Error::NotAFile`], [`Error::NotOurs`], [`Error::Probe`]; [`Error::Limit`] for no images at all.
    pub fn open(layers: Vec<Layer>) -> Result<Self> {
        let mut pins = Vec::with_capacity(layers.len());
        let mut virtual_size = None;
        for (at, layer) in layers.iter().enumerate() {
            let pin = Pin::new(&layer.path, true)?;
            let header = image::read_header(&pin.read(&layer.path)?, layer.format)
                .map_err(|source| Error::Probe { path: layer.path.clone(), source })?;
            check(layer, &header, layers.get(at + 1))?;
            virtual_size = virtual_size.or(Some(header.virtual_size));
            pins.push(pin);
        }
        match virtual_size {
            Some(virtual_size) => Ok(Self { layers, pins, virtual_size }),
            None => Err(Error::Limit { what: "images in a chain without any", limit: 0 }),
        }
    }

    /// Opens and checks an image from elsewhere, which must need no file but its own; see
    /// [`probe_import`](crate::probe_import).
    ///
    /// # Errors
    ///
    /// [`Error::Probe`], [`Error::NotAFile`].
    pub fn foreign(path: &Path, said: Option<SourceFormat>) -> Result<(Self, Header)> {
        let pin = Pin::new(path, false)?;
        let header = image::probe_import(&pin.read(path)?, said)
            .map_err(|source| Error::Probe { path: path.to_path_buf(), source })?;
        let layers = vec![Layer { path: path.to_path_buf(), format: header.format }];
        let virtual_size = header.virtual_size;
        Ok((Self { layers, pins: vec![pin], virtual_size }, header))
    }

    /// Bytes that a guest sees, by the top's header.
    #[must_use]
    pub fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    /// The layers with their files, the top first.
    pub fn layers(&self) -> impl Iterator<Item = (&Layer, &Pin)> {
        self.layers.iter().zip(&self.pins)
    }
}

impl Deref for CheckedChain {
    type Target = [Layer];
    fn deref(&self) -> &[Layer] {
        &self.layers
    }
}

fn changed(path: &Path, why: ImageChange) -> Error {
    Error::ImageChanged { path: path.to_path_buf(), why }
}

/// Whether a header is that of a layer with `below` under it.
fn check(layer: &Layer, header: &Header, below: Option<&Layer>) -> Result<()> {
    let folder = layer.path.parent().unwrap_or(Path::new("/"));
    match (&header.backing_file, below) {
        (None, None) => {}
        (Some(named), Some(below)) if lexical(&folder.join(named)) == lexical(&below.path) => {}
        (Some(named), _) => {
            return Err(changed(&layer.path, ImageChange::OtherBase { base: named.clone() }));
        }
        (None, Some(_)) => return Err(changed(&layer.path, ImageChange::LostBase)),
    }
    if !header.external_data.is_empty() {
        return Err(changed(&layer.path, ImageChange::ExternalData));
    }
    if let Some(how) = &header.encryption {
        return Err(changed(&layer.path, ImageChange::Encrypted { how: how.clone() }));
    }
    Ok(())
}

/// A path without `.` and `..`, by its letters alone: bundles are plain folders beside each other.
fn lexical(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(whole.pop()),
            other => whole.push(other),
        }
        whole
    })
}

/// An image that was just made, open for reading and for writing: to be given to a QEMU as descriptors, so that no name of it
/// counts any more.
#[derive(Debug)]
pub struct OpenImage {
    /// For reading alone: what QEMU uses once another image is built on this one.
    pub read: std::fs::File,
    /// For reading and writing.
    pub write: std::fs::File,
}

impl OpenImage {
    /// Opens a regular file of ours, by a name that is not followed if it is a link.
    ///
    /// # Errors
    ///
    /// [`Error::NotAFile`], [`Error::NotOurs`], [`Error::ImageChanged`], [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let pin = Pin::new(path, true)?;
        let read = pin.read(path)?;
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).custom_flags(crate::fs::NOFOLLOW_NONBLOCK);
        let write = options.open(path).map_err(io("open", path))?;
        pin.same(&write, path)?;
        Ok(Self { read, write })
    }
}

/// A new file for an image, empty: made here, so that no link is followed and nothing that is there is overwritten.
/// `O_EXCL` with mode 0600.
///
/// # Errors
///
/// [`Error::Io`], also when something is there already.
pub fn new_image_file(path: &Path) -> Result<Pin> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let made =
        made.map_err(|e| if is_loop(&e) { Error::NotAFile(path.into()) } else { io("make", path)(e) })?;
    let pin = Pin::new(path, true)?;
    pin.same(&made, path)?;
    Ok(pin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ImageFormat;

    fn layer(path: &Path) -> Layer {
        Layer::new(path, ImageFormat::Raw)
    }

    #[test]
    fn names_are_compared_without_following_them() {
        for (name, is) in [
            ("/vms/a/disks/x", "/vms/a/disks/x"),
            ("/vms/a/disks/../../b/disks/./x", "/vms/b/disks/x"),
            ("/../x", "/x"),
        ] {
            assert_eq!(lexical(Path::new(name)), Path::new(is), "{name}");
        }
    }

    #[test]
    fn what_is_no_regular_file_of_ours_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("disk"), [0; 512]).expect("written");
        assert!(CheckedChain::open(vec![layer(&at("disk"))]).is_ok());
        assert!(CheckedChain::open(Vec::new()).is_err());
        std::os::unix::fs::symlink(at("disk"), at("link")).expect("a link");
        std::fs::create_dir(at("folder")).expect("a folder");
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
        for name in ["link", "folder", "fifo"] {
            let error = CheckedChain::open(vec![layer(&at(name))]).expect_err(name);
            assert!(matches!(error, Error::NotAFile(_)), "{name}: {error}");
        }
        if rustix::process::geteuid().is_root() {
            let other = rustix::process::Uid::from_raw(65534);
            rustix::fs::chown(at("disk"), Some(other), None).expect("root may");
            let error = CheckedChain::open(vec![layer(&at("disk"))]).expect_err("another's");
            assert!(error.to_string().contains("another user"), "{error}");
        }
    }

    #[test]
    fn a_file_that_takes_the_place_of_a_pinned_one_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("disk");
        std::fs::write(&path, [0; 512]).expect("written");
        let pin = Pin::new(&path, true).expect("pinned");
        assert!(pin.read(&path).is_ok());
        std::fs::write(folder.path().join("other"), [1; 512]).expect("written");
        std::fs::rename(folder.path().join("other"), &path).expect("replaced");
        let error = pin.read(&path).expect_err("another file");
        assert!(error.to_string().contains("replaced"), "{error}");
    }

    #[test]
    fn a_new_image_takes_the_place_of_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("disk");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).expect("a link");
        assert!(new_image_file(&path).is_err());
        assert!(!folder.path().join("elsewhere").exists());
        std::fs::remove_file(&path).expect("removed");
        new_image_file(&path).expect("made");
        let mode = path.metadata().expect("there").mode();
        assert_eq!(mode & 0o7777, 0o600);
    }
}
