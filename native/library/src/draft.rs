//! Machines in the making, and the lock of those that are made: how a [`Locked`] comes out of a library.

use crate::bundle::{Bundle, FOLDERS, MANIFEST, Sections, TMP, write_generation};
use crate::error::{Error, Result};
use crate::id::{VmId, check_medium, check_name};
use crate::library::{CLAIM, DRAFT, Library, MEDIA, same_id};
use crate::lock::PASSING;
use crate::locked::Locked;
use crate::manifest::Manifest;
use std::path::PathBuf;
use std::time::Duration;

/// In a draft's folder for unfinished work.
const NEW_MEDIUM: &str = "medium.part";

impl Library {
    /// Takes the machine's lock: whoever runs or changes it holds the result. It is recovered from whatever interrupted
    /// its last holder, and what nothing refers to is removed. Blocks for some seconds where somebody has it who does not run
    /// the machine: most such holders are gone by then.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] with the holder, or why the bundle cannot be read.
    pub fn lock(&self, id: VmId) -> Result<Locked> {
        self.lock_within(id, PASSING)
    }

    /// The same at once: for what can do without the lock.
    ///
    /// # Errors
    ///
    /// As [`Library::lock`].
    pub fn try_lock(&self, id: VmId) -> Result<Locked> {
        self.lock_within(id, Duration::ZERO)
    }

    fn lock_within(&self, id: VmId, patience: Duration) -> Result<Locked> {
        let path = self.vm_path(id);
        let lock = self.lock_bundle(&path, id, patience)?;
        let bundle = Bundle::read(&path)?;
        same_id(&bundle, id)?;
        Locked::open(self.clone(), bundle, lock)
    }

    /// Makes a machine without drives and takes its lock. `created` is in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`], [`Error::NameTaken`], or what the system says.
    pub fn create(&self, name: &str, document: &Sections, created: u64) -> Result<Locked> {
        self.draft(name, document, created)?.publish()
    }

    /// Begins a machine that nobody sees before [`Draft::publish`]: dropped before, or killed, it leaves nothing.
    ///
    /// # Errors
    ///
    /// As [`Library::create`].
    pub fn draft(&self, name: &str, document: &Sections, created: u64) -> Result<Draft> {
        check_name(name)?;
        let id = VmId::random();
        let path = self.vms().join(format!("{DRAFT}{}", id.folder()));
        let lock = {
            // So that nobody takes the new folder for a dead one before it is locked.
            let _names = self.lock_names()?;
            self.check_free(name, None)?;
            self.fs.create_dir(&path)?;
            self.lock_bundle(&path, id, PASSING)?
        };
        let mut draft = Draft { locked: None, library: self.clone(), path };
        for folder in FOLDERS {
            self.fs.create_dir(&draft.path.join(folder))?;
        }
        let manifest = Manifest::new(id, name, created);
        write_generation(&self.fs, &draft.path, manifest.document, document)?;
        self.fs.replace(&draft.path, MANIFEST, &manifest.to_bytes())?;
        let bundle = Bundle { path: draft.path.clone(), manifest };
        draft.locked = Some(Locked::open(self.clone(), bundle, lock)?);
        Ok(draft)
    }
}

/// A machine in the making.
#[derive(Debug)]
pub struct Draft {
    locked: Option<Locked>,
    library: Library,
    path: PathBuf,
}

impl Draft {
    /// The machine, to give it drives.
    pub fn machine(&mut self) -> &mut Locked {
        self.locked.as_mut().expect("taken only by `publish`, which consumes the draft")
    }

    /// Makes a small medium for this machine, which its owner alone may read: the last thing before [`Draft::publish`].
    /// Without the machine it goes, also if this process is killed. There is one at most.
    ///
    /// # Errors
    ///
    /// [`Error::BadName`], [`Error::NameTaken`], [`Error::NoSpace`].
    pub fn write_medium(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        check_medium(name)?;
        let (library, folder) = (&self.library, self.library.home.join(MEDIA));
        let (unfinished, path) = (self.path.join(TMP).join(NEW_MEDIUM), folder.join(name));
        crate::space::check(&folder, bytes.len() as u64)?;
        library.fs.write_new(&unfinished, bytes)?;
        let _names = library.lock_names()?;
        if path.symlink_metadata().is_ok() {
            return Err(Error::NameTaken(name.to_owned()));
        }
        library.fs.write_new(&self.path.join(CLAIM), name.as_bytes())?;
        // With the draft's own name: after a power loss it must be there to tell of the medium.
        library.fs.sync_dir(&self.path)?;
        library.fs.sync_dir(&library.vms())?;
        library.fs.rename(&unfinished, &path)?;
        library.fs.sync_dir(&folder)
    }

    /// Makes the machine one of the library's.
    ///
    /// # Errors
    ///
    /// [`Error::NameTaken`] when another one got the name meanwhile.
    pub fn publish(mut self) -> Result<Locked> {
        let library = self.library.clone();
        let _names = library.lock_names()?;
        library.check_free(&self.machine().bundle.manifest.name, None)?;
        let mut locked = self.locked.take().expect("taken only here, and the draft is consumed");
        let path = library.vm_path(locked.bundle.manifest.id);
        let renamed = library.fs.sync_dir(&self.path).and_then(|()| library.fs.rename(&self.path, &path));
        if let Err(e) = renamed {
            // Dropping the draft removes it, lock and all.
            self.locked = Some(locked);
            return Err(e);
        }
        locked.bundle.path = path;
        library.fs.sync_dir(&library.vms())?;
        locked.collect();
        Ok(locked)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.path.exists() {
            return;
        }
        let library = &self.library;
        let claimed = match self.path.join(CLAIM).exists() {
            true => library.lock_names().and_then(|_names| library.remove_claimed(&self.path)),
            false => Ok(()),
        };
        if let Err(e) = claimed.and_then(|()| library.fs.remove_tree(&self.path)) {
            log::warn!("cannot remove the unfinished {}: {e}", self.path.display());
        }
    }
}
