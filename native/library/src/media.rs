//! Removable media: installation images and the like, kept once for all machines.

use crate::block::{OnProgress, Progress};
use crate::error::{Error, Result, io};
use crate::fs;
use crate::id::{check_medium, looks, short};
use crate::library::{Library, MEDIA, entries};
use crate::space;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The most media that are listed.
pub const MAX_MEDIA: usize = 10_000;
const UNFINISHED: &str = ".new-";
const CHUNK: usize = 1 << 20;

/// One medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Medium {
    /// Its name in the library.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}

/// How a medium comes into the library where the file system cannot share its blocks (reflink).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfNoReflink {
    /// Its bytes are copied.
    Copy,
    /// It gets a second name (hard link) and takes no room; whoever changes the original changes it, too. Copied if the two
    /// are not in one file system.
    Link,
}

impl Library {
    /// The media, by name.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn media(&self) -> Result<Vec<Medium>> {
        let folder = self.home().join(MEDIA);
        let names = fs::names(&folder, MAX_MEDIA)?;
        let medium = |name: String| {
            let path = folder.join(&name);
            let meta = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some(Medium { name, path, size: meta.len() })
        };
        Ok(names.into_iter().filter(|n| !n.starts_with('.')).filter_map(medium).collect())
    }

    /// The medium with a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoMedium`] if there is none.
    pub fn medium(&self, name: &str) -> Result<Medium> {
        let media = self.media()?;
        let exact = media.iter().position(|m| m.name == name);
        let alike = || media.iter().position(|m| looks(&m.name) == looks(name));
        let found = exact.or_else(alike).and_then(|at| media.into_iter().nth(at));
        found.ok_or_else(|| Error::NoMedium(name.to_owned()))
    }

    /// Takes a file into the library under a name. Cancelled, failed or killed, it leaves nothing.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`], [`Error::NameTaken`], [`Error::NoSpace`], [`Error::Cancelled`].
    pub fn add_medium(
        &self,
        source: &Path,
        name: &str,
        otherwise: IfNoReflink,
        progress: OnProgress<'_>,
    ) -> Result<Medium> {
        check_medium(name)?;
        let real = self.outside(source)?;
        let from = fs::open_regular(&real)?;
        let size = from.metadata().map_err(io("look at", source))?.len();
        let folder = self.home().join(MEDIA);
        let (temporary, path) = (folder.join(format!("{UNFINISHED}{}", short())), folder.join(name));
        let free = || {
            let alike = |taken: &String| !taken.starts_with('.') && looks(taken) == looks(name);
            match path.symlink_metadata().is_ok() || fs::names(&folder, MAX_MEDIA)?.iter().any(alike) {
                true => Err(Error::NameTaken(name.to_owned())),
                false => Ok(()),
            }
        };
        free()?;
        let unfinished = crate::chain::Unfinished::new(&self.fs, &temporary);
        let made = {
            // Made and locked while nobody looks for what killed processes left.
            let _names = self.lock_names()?;
            self.clean_media()?;
            match otherwise == IfNoReflink::Link && std::fs::hard_link(&real, &temporary).is_ok() {
                true => None,
                false => Some(create_locked(&temporary)?),
            }
        };
        if let Some(to) = &made
            && rustix::fs::ioctl_ficlone(to, &from).is_err()
        {
            space::check(&folder, size)?;
            copy(from, to, size, &temporary, progress)?;
        }
        self.fs.sync_file(&temporary)?;
        let _names = self.lock_names()?;
        free()?;
        self.fs.rename(&temporary, &path)?;
        unfinished.keep();
        self.fs.sync_dir(&folder)?;
        Ok(Medium { name: name.to_owned(), path, size })
    }

    /// Removes a medium.
    ///
    /// # Errors
    ///
    /// [`Error::MediumInUse`] while a machine's document names it, in the trash or not.
    pub fn remove_medium(&self, name: &str) -> Result<()> {
        let medium = self.medium(name)?;
        let dependents = self.medium_users(&medium.name)?;
        if !dependents.is_empty() {
            return Err(Error::MediumInUse { name: name.to_owned(), users: dependents });
        }
        self.fs.unlink(&medium.path)?;
        self.fs.sync_dir(&self.home().join(MEDIA))
    }

    /// The machines whose documents contain the medium's name in quotes, also those in the trash, which say so: they may
    /// come back.
    ///
    /// # Errors
    ///
    /// When a folder of machines cannot be read.
    pub fn medium_users(&self, name: &str) -> Result<Vec<String>> {
        let names =
            |text: &String| text.contains(&format!("\"{name}\"")) || text.contains(&format!("/{name}\""));
        let mut users = Vec::new();
        for (folder, suffix) in [(self.vms(), ""), (self.trash_folder(), " (in the trash)")] {
            let bundles = entries(&folder)?.into_iter().filter_map(|e| e.bundle.ok());
            let naming = bundles.filter(|b| b.document().is_ok_and(|d| d.values().any(names)));
            users.extend(naming.map(|b| format!("{}{suffix}", b.name())));
        }
        Ok(users)
    }

    /// Removes what killed processes left. The names are locked.
    fn clean_media(&self) -> Result<()> {
        let folder = self.home().join(MEDIA);
        for name in fs::names(&folder, MAX_MEDIA)?.iter().filter(|n| n.starts_with(UNFINISHED)) {
            let path = folder.join(name);
            if File::open(&path).is_ok_and(|f| f.try_lock().is_ok()) {
                self.fs.unlink(&path)?;
            }
        }
        Ok(())
    }
}

fn create_locked(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path).map_err(io("make", path))?;
    file.try_lock().map_err(|e| io("lock", path)(e.into()))?;
    Ok(file)
}

fn copy(mut from: File, mut to: &File, total: u64, path: &Path, progress: OnProgress<'_>) -> Result<()> {
    let (mut buffer, mut done) = (vec![0; CHUNK], 0);
    loop {
        if progress(Progress { done, total }).is_break() {
            return Err(Error::Cancelled);
        }
        let n = from.read(&mut buffer).map_err(io("read for", path))?;
        let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else { return Ok(()) };
        to.write_all(bytes).map_err(io("write", path))?;
        done += n as u64;
    }
}
