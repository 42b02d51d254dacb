//! The folder with all machines.

use crate::bundle::{Bundle, MANIFEST};
use crate::error::{Error, Result, io};
use crate::fault::ManifestFault;
use crate::fs::{self, Fs};
use crate::id::{VmId, folded};
use crate::lock::{LOCK, Lock, Refused};
use crate::owner;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most machines that are listed.
pub const MAX_MACHINES: usize = 10_000;

pub(crate) const VMS: &str = "vms";
pub(crate) const TRASH: &str = "trash";
pub(crate) const MEDIA: &str = "media";
pub(crate) const DRAFT: &str = ".new-";
/// In a draft: the name of the medium that was made for it alone.
pub(crate) const CLAIM: &str = "medium";
/// The most bytes of a medium's name.
const MAX_CLAIM: u64 = 1024;
pub(crate) const GONE: &str = ".gone-";

/// A folder with machines, its trash and its store of removable media.
#[derive(Clone, Debug)]
pub struct Library {
    pub(crate) home: PathBuf,
    pub(crate) fs: Fs,
}

/// One machine as it is listed: a broken one hides no other.
#[derive(Debug)]
pub struct Entry {
    /// The machine, by its folder's name.
    pub id: VmId,
    /// What it is, or why that cannot be read.
    pub bundle: Result<Bundle>,
}

impl Library {
    /// Opens the library in a folder, and makes it if it is not there. What a killed process left half made is removed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made; [`Error::NotOurs`] and [`Error::OthersWrite`] when somebody else could change what is
    /// in it.
    pub fn open(home: impl Into<PathBuf>) -> Result<Self> {
        Self::with_fs(home, Fs::default())
    }

    /// Opens the library in a folder where one is, and makes nothing: for whoever only reads, since a folder that is not there may
    /// have been named by mistake.
    ///
    /// # Errors
    ///
    /// [`Error::NoLibrary`]; else as [`Library::open`].
    pub fn open_existing(home: impl Into<PathBuf>) -> Result<Self> {
        let home = home.into();
        match home.join(VMS).metadata() {
            Err(e)
                if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
            {
                Err(Error::NoLibrary(home))
            }
            // What else is wrong with it is told by opening it.
            _ => Self::open(home),
        }
    }

    /// [`Library::open`] on a file system that tells its steps: for tests.
    ///
    /// # Errors
    ///
    /// As [`Library::open`].
    pub fn with_fs(home: impl Into<PathBuf>, fs: Fs) -> Result<Self> {
        let library = Self { home: home.into(), fs };
        library.fs.create_dir_all(&library.home)?;
        owner::check_way(&library.home)?;
        owner::library_folder(&library.home)?;
        for name in [VMS, TRASH, MEDIA] {
            let folder = library.home.join(name);
            library.fs.create_dir_all(&folder)?;
            owner::library_folder(&folder)?;
        }
        if let Err(e) = library.clean() {
            log::warn!("cannot clean the library up: {e}");
        }
        Ok(library)
    }

    /// The library's folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A folder in it for what the rest of the program keeps there, for its owner alone; it is made.
    ///
    /// # Errors
    ///
    /// As [`Library::open`].
    pub fn private_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.home.join(name);
        owner::make(&folder)?;
        owner::library_folder(&folder)?;
        Ok(folder)
    }

    pub(crate) fn vms(&self) -> PathBuf {
        self.home.join(VMS)
    }

    pub(crate) fn trash_folder(&self) -> PathBuf {
        self.home.join(TRASH)
    }

    pub(crate) fn vm_path(&self, id: VmId) -> PathBuf {
        self.vms().join(id.folder())
    }

    /// A file from elsewhere, without links. An image of a machine is none: opening it could drop the locks that QEMU has
    /// on it.
    pub(crate) fn outside(&self, path: &Path) -> Result<PathBuf> {
        let real = path.canonicalize().map_err(io("find", path))?;
        let home = self.vms().canonicalize().map_err(io("find", &self.vms()))?;
        if VmId::inside(&home, &real).is_some() {
            return Err(Error::PartOfAMachine(path.to_path_buf()));
        }
        Ok(real)
    }

    /// Held for a few file operations whenever names of machines change.
    pub(crate) fn lock_names(&self) -> Result<Lock> {
        Lock::wait(&self.home.join(".lock"), &self.home)
    }

    /// Every machine, by name; broken ones last.
    ///
    /// # Errors
    ///
    /// When the folder itself cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let mut entries = entries(&self.vms())?;
        let key = |e: &Entry| match &e.bundle {
            Ok(bundle) => (false, folded(bundle.name()), e.id),
            Err(_) => (true, String::new(), e.id),
        };
        entries.sort_by_key(key);
        Ok(entries)
    }

    /// The machine with this name (its case does not matter), this id, or an id that begins so (four characters or more).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub fn find(&self, what: &str) -> Result<VmId> {
        pick(&self.list()?, what)
    }

    /// Reads a machine without its lock.
    ///
    /// # Errors
    ///
    /// When there is none, or it is broken.
    pub fn read(&self, id: VmId) -> Result<Bundle> {
        owner::library_folder(&self.vms())?;
        let path = self.vm_path(id);
        if !path.exists() {
            return Err(Error::not_found(id));
        }
        let bundle = Bundle::read(&path)?;
        same_id(&bundle, id)?;
        Ok(bundle)
    }

    /// Takes the lock of the bundle in a folder, be it readable or not. A holder that does not run the machine is waited for so long.
    pub(crate) fn lock_bundle(&self, path: &Path, id: VmId, patience: Duration) -> Result<Lock> {
        if !path.is_dir() {
            return Err(Error::not_found(id));
        }
        // Before a file is made in it.
        owner::folder(path)?;
        Lock::take_within(&path.join(LOCK), patience).map_err(|refused| match refused {
            Refused::Held { pid, since, runs } => {
                let name = Bundle::read(path).map_or_else(|_| id.to_string(), |b| b.name().to_owned());
                Error::InUse { name, pid, since, runs }
            }
            Refused::Gone => Error::not_found(id),
            Refused::Failed(e) => e,
        })
    }

    /// Refuses a name that another machine has.
    pub(crate) fn check_free(&self, name: &str, except: Option<VmId>) -> Result<()> {
        let taken = entries(&self.vms())?
            .iter()
            .filter(|e| Some(e.id) != except)
            .any(|e| e.bundle.as_ref().is_ok_and(|b| folded(b.name()) == folded(name)));
        if taken { Err(Error::NameTaken(name.to_owned())) } else { Ok(()) }
    }

    /// Removes the medium that was made for a draft, unless a machine names it. The names are locked.
    pub(crate) fn remove_claimed(&self, draft: &Path) -> Result<()> {
        let name = match fs::read_own(&draft.join(CLAIM), MAX_CLAIM) {
            Ok(name) => String::from_utf8(name).unwrap_or_default(),
            // There is none, or it is not whole: then there is no medium yet.
            Err(_) => return Ok(()),
        };
        // The claim may be torn: what it says must be a medium's name.
        let Ok(medium) = self.medium(&name) else { return Ok(()) };
        if !self.medium_users(&name)?.is_empty() {
            return Ok(());
        }
        self.fs.unlink(&medium.path)?;
        self.fs.sync_dir(&self.home.join(MEDIA))
    }

    /// Removes what killed processes left of machines that never were, or are no more.
    fn clean(&self) -> Result<()> {
        let dead = |folder: &Path, prefix: &str| -> Result<Vec<PathBuf>> {
            let names = fs::names(folder, MAX_MACHINES)?;
            Ok(names.iter().filter(|n| n.starts_with(prefix)).map(|n| folder.join(n)).collect())
        };
        let drafts = dead(&self.vms(), DRAFT)?;
        let mut found = drafts.clone();
        found.extend(dead(&self.trash_folder(), GONE)?);
        if found.is_empty() {
            return Ok(());
        }
        let _names = self.lock_names()?;
        // What cannot be removed is in the way of no other.
        for path in found {
            if let Err(e) = self.remove_dead(&path, drafts.contains(&path)) {
                log::warn!("cannot remove all of {}: {e}", path.display());
            }
        }
        Ok(())
    }

    /// Removes one of them, unless it is in use. The names are locked.
    fn remove_dead(&self, path: &Path, draft: bool) -> Result<()> {
        owner::folder(path)?;
        let _lock = match Lock::take(&path.join(LOCK)) {
            Ok(lock) => lock,
            Err(Refused::Failed(e)) => return Err(e),
            Err(Refused::Held { .. } | Refused::Gone) => {
                log::debug!("{} is still in use", path.display());
                return Ok(());
            }
        };
        if draft {
            self.remove_claimed(path)?;
        }
        self.fs.remove_tree(path)
    }
}

/// Whether a bundle's folder is that of a machine in the making.
pub(crate) fn is_draft(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DRAFT))
}

/// The bundles of a folder, broken ones too.
pub(crate) fn entries(folder: &Path) -> Result<Vec<Entry>> {
    owner::library_folder(folder)?;
    let ids = fs::names(folder, MAX_MACHINES)?;
    let read = |id: VmId| -> Result<Bundle> {
        let bundle = Bundle::read(&folder.join(id.folder()))?;
        same_id(&bundle, id)?;
        Ok(bundle)
    };
    let entries =
        ids.iter().filter_map(|name| VmId::from_folder(name)).map(|id| Entry { id, bundle: read(id) });
    // A machine that went away between the two reads is not broken.
    Ok(entries
        .filter(|e| e.bundle.is_ok() || folder.join(e.id.folder()).symlink_metadata().is_ok())
        .collect())
}

/// A folder that was copied by hand holds another machine's identity: two would fight over one.
pub(crate) fn same_id(bundle: &Bundle, id: VmId) -> Result<()> {
    if bundle.manifest.id == id {
        return Ok(());
    }
    let why = ManifestFault::OtherMachine { id: bundle.manifest.id.to_string() };
    Err(Error::Damaged { path: bundle.path.join(MANIFEST), why })
}

pub(crate) fn pick(entries: &[Entry], what: &str) -> Result<VmId> {
    let name = |e: &Entry| e.bundle.as_ref().map_or_else(|_| "broken".to_owned(), |b| b.name().to_owned());
    let by_name = |e: &&Entry| e.bundle.as_ref().is_ok_and(|b| folded(b.name()) == folded(what));
    let by_id = |e: &&Entry| e.id.to_string() == what.to_ascii_lowercase();
    let by_prefix = |e: &&Entry| what.len() >= 4 && e.id.to_string().starts_with(&what.to_ascii_lowercase());
    let rules: [&dyn Fn(&&Entry) -> bool; 3] = [&by_id, &by_name, &by_prefix];
    for rule in rules {
        let found: Vec<&Entry> = entries.iter().filter(rule).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one.id),
            several => {
                let candidates = several.iter().map(|e| format!("“{}” ({})", name(e), e.id)).collect();
                return Err(Error::Ambiguous { what: what.to_owned(), candidates });
            }
        }
    }
    Err(Error::NotFound(what.to_owned()))
}
