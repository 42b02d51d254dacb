//! The few calls that change the file system, in one place: so that a test can stop the world before each of them.
//!
//! Every change goes through [`Fs`], which tells a [`Hook`] before it acts. The crash tests kill the process there,
//! replay what a power loss would have left of it, or have the step fail.

use crate::error::{Error, Result, io};
use crate::{owner, tree};
use rustix::fs::AtFlags;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Bytes that a reserve has at least, and of which it has a multiple.
const RESERVED: usize = 16 << 10;

/// What the room is called that is kept for a file.
pub(crate) fn reserve(name: &str) -> String {
    format!(".{name}.reserve")
}

/// One change to the file system, told before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A directory comes to be.
    CreateDir(&'a Path),
    /// A file comes to be, empty (or is emptied).
    Create(&'a Path),
    /// Bytes are appended to a file.
    Write(&'a Path, &'a [u8]),
    /// A file's bytes are made durable.
    SyncFile(&'a Path),
    /// A directory's entries are made durable.
    SyncDir(&'a Path),
    /// The first takes the place of the second.
    Rename(&'a Path, &'a Path),
    /// A file goes.
    Unlink(&'a Path),
    /// An empty directory goes.
    RemoveDir(&'a Path),
}

/// Hears of every [`Step`] before it happens.
pub trait Hook: Send + Sync {
    /// The step will be made when this returns.
    ///
    /// # Errors
    /// The step is not made, and fails with this: as on a disk that is full or broken.
    fn before(&self, step: Step<'_>) -> std::io::Result<()>;
}

/// The file system, as this crate changes it.
#[derive(Clone, Default)]
pub struct Fs {
    hook: Option<Arc<dyn Hook>>,
}

impl std::fmt::Debug for Fs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fs").field("hooked", &self.hook.is_some()).finish()
    }
}

impl Fs {
    /// One that tells `hook` of every step: for tests.
    #[must_use]
    pub fn with_hook(hook: Arc<dyn Hook>) -> Self {
        Self { hook: Some(hook) }
    }

    fn tell(&self, step: Step<'_>) -> std::io::Result<()> {
        self.hook.as_ref().map_or(Ok(()), |hook| hook.before(step))
    }

    /// Makes one directory, readable by its owner alone; there is no harm if it exists.
    pub(crate) fn create_dir(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.tell(Step::CreateDir(path)).map_err(io("make the folder", path))?;
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other.map_err(io("make the folder", path)),
        }
    }

    /// Makes a directory and those above it that are missing, each one durable.
    pub(crate) fn create_dir_all(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            self.create_dir_all(parent)?;
            self.create_dir(path)?;
            return self.sync_dir(parent);
        }
        self.create_dir(path)
    }

    /// Writes a new file and makes its bytes durable. Its name is durable after [`Fs::sync_dir`] on its folder.
    pub(crate) fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        self.write(path, bytes, &mut options)
    }

    fn write(&self, path: &Path, bytes: &[u8], options: &mut OpenOptions) -> Result<()> {
        self.tell(Step::Create(path)).map_err(io("make the file", path))?;
        let mut file =
            options.mode(0o600).custom_flags(NOFOLLOW).open(path).map_err(io("make the file", path))?;
        // In two halves: a test that stops between them sees a torn file.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        for half in [first, second] {
            let told = self.tell(Step::Write(path, half));
            told.and_then(|()| file.write_all(half)).map_err(io("write", path))?;
        }
        self.tell(Step::SyncFile(path)).and_then(|()| file.sync_all()).map_err(io("make durable", path))
    }

    /// Puts `bytes` into the place of the file `name` in `folder`: afterwards, and after a crash at any moment, the
    /// file holds what it held or `bytes`, whole. Where the disk is full, the room for them is that of [`Fs::keep_reserve`].
    pub(crate) fn replace(&self, folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
        let (temporary, target) = (folder.join(format!(".{name}.new")), folder.join(name));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        match self.write(&temporary, bytes, &mut options) {
            Err(error) if error.is_full() => {
                // What it took is given back.
                self.unlink(&temporary)?;
                let reserve = folder.join(reserve(name));
                if !self.write_over(&reserve, bytes)? {
                    return Err(error);
                }
                self.rename(&reserve, &target)?;
            }
            written => written.and_then(|()| self.rename(&temporary, &target))?,
        }
        self.sync_dir(folder)
    }

    /// Keeps room for the next [`Fs::replace`] of the file `name` in `folder`: another file with as many bytes and some more.
    /// That there is no room is no failure.
    pub(crate) fn keep_reserve(&self, folder: &Path, name: &str, length: usize) {
        let path = folder.join(reserve(name));
        let wanted = (length + RESERVED / 2).next_multiple_of(RESERVED);
        if path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() >= wanted as u64) {
            return;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        if let Err(error) = self.write(&path, &vec![0; wanted], &mut options) {
            log::debug!("no room is kept for {name}: {error}");
            let _ = self.unlink(&path);
        }
    }

    /// Writes `bytes` over those of a file, so that no new room is needed, and makes them durable. Whether there is such a
    /// file of ours that is large enough.
    fn write_over(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        let mut options = OpenOptions::new();
        let Ok(mut file) = options.write(true).custom_flags(NOFOLLOW_NONBLOCK).open(path) else {
            return Ok(false);
        };
        let meta = file.metadata().map_err(io("look at", path))?;
        // Another name of it may be some other file's.
        let alone = meta.is_file() && meta.nlink() == 1 && owner::check(&file, path).is_ok();
        let room = meta.len().min(meta.blocks().saturating_mul(512));
        if !alone || room < bytes.len() as u64 {
            return Ok(false);
        }
        self.tell(Step::Create(path)).map_err(io("write", path))?;
        let told = self.tell(Step::Write(path, bytes));
        let written =
            told.and_then(|()| file.write_all(bytes)).and_then(|()| file.set_len(bytes.len() as u64));
        written.map_err(io("write", path))?;
        self.tell(Step::SyncFile(path)).and_then(|()| file.sync_all()).map_err(io("make durable", path))?;
        Ok(true)
    }

    /// Makes the bytes of a file durable that something else has written.
    pub(crate) fn sync_file(&self, path: &Path) -> Result<()> {
        let told = self.tell(Step::SyncFile(path));
        let file = told.and_then(|()| OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(path));
        file.and_then(|f| f.sync_all()).map_err(io("make durable", path))
    }

    /// Makes a directory's entries durable.
    pub(crate) fn sync_dir(&self, path: &Path) -> Result<()> {
        let folder = self.tell(Step::SyncDir(path)).and_then(|()| File::open(path));
        folder.and_then(|f| f.sync_all()).map_err(io("make durable", path))
    }

    /// Renames; what stood at `to` is replaced.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let told = self.tell(Step::Rename(from, to));
        told.and_then(|()| std::fs::rename(from, to)).map_err(io("rename", from))
    }

    /// Removes a file; there is no harm if it is gone.
    pub(crate) fn unlink(&self, path: &Path) -> Result<()> {
        match self.tell(Step::Unlink(path)).and_then(|()| std::fs::remove_file(path)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(io("remove", path)),
        }
    }

    /// Removes a folder with all that is in it, however deep, following no link; there is no harm if it is gone.
    pub(crate) fn remove_tree(&self, path: &Path) -> Result<()> {
        tree::walk(path, "remove", &mut |found| {
            let (step, flags) = match found.folder {
                true => (Step::RemoveDir(found.path), AtFlags::REMOVEDIR),
                false => (Step::Unlink(found.path), AtFlags::empty()),
            };
            self.tell(step)?;
            Ok(rustix::fs::unlinkat(found.at, found.name, flags)?)
        })
    }
}

/// `O_NOFOLLOW`: a link that was put in the place of a file of ours is refused.
pub(crate) const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
/// `O_NOFOLLOW | O_NONBLOCK`: opening a FIFO or a device does not wait for its other end.
pub(crate) const NOFOLLOW_NONBLOCK: i32 = NOFOLLOW | rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// Opens a regular file for reading: links, FIFOs and devices are refused.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    let file =
        OpenOptions::new().read(true).custom_flags(NOFOLLOW_NONBLOCK).open(path).map_err(|e| {
            if is_loop(&e) { Error::NotAFile(path.to_path_buf()) } else { io("open", path)(e) }
        })?;
    let meta = file.metadata().map_err(io("look at", path))?;
    if !meta.is_file() {
        return Err(Error::NotAFile(path.to_path_buf()));
    }
    Ok(file)
}

/// Opens a file that a person named for reading. Unlike a file of ours it may be reached by links; folders, devices and FIFOs are
/// refused, without waiting for another end of them: what they hold has no end, or none that is known.
///
/// # Errors
/// [`Error::NotAFile`], [`Error::Io`].
pub fn open_named(path: &Path) -> Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| {
        // What a socket says.
        match e.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
            true => Error::NotAFile(path.to_path_buf()),
            false => io("open", path)(e),
        }
    })?;
    match file.metadata().map_err(io("look at", path))?.is_file() {
        true => Ok(file),
        false => Err(Error::NotAFile(path.to_path_buf())),
    }
}

pub(crate) fn is_loop(e: &std::io::Error) -> bool {
    e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Reads a file of ours, of at most `limit` bytes: another user's is refused, and one that others may write.
pub(crate) fn read_own(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_regular(path)?;
    owner::check(&file, path)?;
    read(file, path, limit)
}

/// Reads a regular file from elsewhere, whoever's it is, of at most `limit` bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    read(open_regular(path)?, path, limit)
}

fn read(file: File, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLong { path: path.to_path_buf(), limit });
    }
    Ok(bytes)
}

/// The names in a folder, sorted; none if it does not exist. At most `limit`.
pub(crate) fn names(folder: &Path, limit: usize) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(io("read the folder", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(io("read the folder", folder))?.file_name();
        if names.len() >= limit {
            return Err(Error::TooMany { path: folder.to_path_buf(), limit });
        }
        // A name that is no text is none of ours, and stays.
        names.extend(name.into_string().ok());
    }
    names.sort();
    Ok(names)
}
