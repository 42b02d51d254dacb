//! Deleting, and thinking better of it.

use crate::bundle::{Bundle, DISKS, MANIFEST};
use crate::error::{Error, Result, io};
use crate::fs::{names, open_regular};
use crate::id::{FileName, VmId};
use crate::image::ReadAt;
use crate::library::{Entry, GONE, Library, entries, pick};
use crate::lock::PASSING;
use crate::locked::Locked;
use std::collections::BTreeSet;
use std::path::Path;

impl Library {
    /// Moves a machine to the trash. `now` is in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while it runs, [`Error::HasDependents`] while linked clones are built on it.
    pub fn delete(&self, id: VmId, now: u64) -> Result<()> {
        let path = self.vm_path(id);
        let _lock = self.lock_bundle(&path, id, PASSING)?;
        let _names = self.lock_names()?;
        match Bundle::read(&path) {
            Ok(mut bundle) => {
                self.check_no_dependents(id, bundle.name())?;
                bundle.manifest.trashed = Some(now);
                match self.fs.replace(&path, MANIFEST, &bundle.manifest.to_bytes()) {
                    // Deleting is what helps then.
                    Err(error) if error.is_full() => log::info!("when it was deleted is not noted: {error}"),
                    noted => noted?,
                }
            }
            // A broken one can be got rid of, too.
            Err(_) => self.check_no_dependents(id, &id.to_string())?,
        }
        self.move_bundle(&path, &self.trash_folder().join(id.folder()))
    }

    fn move_bundle(&self, from: &Path, to: &Path) -> Result<()> {
        if to.symlink_metadata().is_ok() {
            return Err(Error::Exists(to.to_path_buf()));
        }
        self.fs.rename(from, to)?;
        self.fs.sync_dir(&self.trash_folder())?;
        self.fs.sync_dir(&self.vms())
    }

    /// The machines in the trash, the latest first; broken ones last.
    ///
    /// # Errors
    ///
    /// When the folder itself cannot be read.
    pub fn trash(&self) -> Result<Vec<Entry>> {
        let mut entries = entries(&self.trash_folder())?;
        let when = |e: &Entry| e.bundle.as_ref().ok().and_then(|b| b.manifest.trashed);
        entries.sort_by_key(|e| (e.bundle.is_err(), std::cmp::Reverse(when(e)), e.id));
        Ok(entries)
    }

    /// The machine in the trash with this name, id or beginning of an id.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Ambiguous`].
    pub fn find_in_trash(&self, what: &str) -> Result<VmId> {
        pick(&self.trash()?, what)
    }

    /// Takes a machine back out of the trash, under `name` if its own is taken.
    ///
    /// # Errors
    ///
    /// [`Error::NameTaken`]; [`Error::HasDependents`] never: what a machine is built on cannot be deleted before it.
    pub fn undelete(&self, id: VmId, name: Option<&str>) -> Result<Locked> {
        let from = self.trash_folder().join(id.folder());
        let lock = self.lock_bundle(&from, id, PASSING)?;
        {
            let _names = self.lock_names()?;
            let mut bundle = Bundle::read(&from)?;
            if let Some(name) = name {
                crate::id::check_name(name)?;
                name.clone_into(&mut bundle.manifest.name);
            }
            self.check_free(bundle.name(), None)?;
            if name.is_some() {
                self.fs.replace(&from, MANIFEST, &bundle.manifest.to_bytes())?;
            }
            self.move_bundle(&from, &self.vm_path(id))?;
        }
        let mut locked = Locked::open(self.clone(), Bundle::read(&self.vm_path(id))?, lock)?;
        match locked.commit(|_| Ok(())) {
            // It is back; that it was deleted once does no harm in its manifest.
            Err(error) if error.is_full() => log::warn!("{error}"),
            noted => noted?,
        }
        Ok(locked)
    }

    /// Removes one machine from the trash for ever.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::HasDependents`].
    pub fn purge(&self, id: VmId) -> Result<()> {
        let path = self.trash_folder().join(id.folder());
        let _lock = self.lock_bundle(&path, id, PASSING)?;
        let name = Bundle::read(&path).map_or_else(|_| id.to_string(), |b| b.name().to_owned());
        let gone = {
            let _names = self.lock_names()?;
            self.check_no_dependents(id, &name)?;
            // Under this name nobody takes half a bundle for one.
            let gone = self.trash_folder().join(format!("{GONE}{}", id.folder()));
            self.fs.rename(&path, &gone)?;
            self.fs.sync_dir(&self.trash_folder())?;
            gone
        };
        self.fs.remove_tree(&gone)
    }

    /// Removes all machines in the trash for ever; how many, and what could not be removed.
    ///
    /// # Errors
    ///
    /// When the folder itself cannot be read.
    pub fn empty_trash(&self) -> Result<(usize, Vec<(VmId, Error)>)> {
        let (mut removed, mut torn) = (0, Vec::new());
        // Clones before what they are built on: as long as a round removes something, another may remove more.
        loop {
            let (mut failed, before) = (Vec::new(), removed);
            for entry in entries(&self.trash_folder())? {
                match self.purge(entry.id) {
                    Ok(()) => removed += 1,
                    // Not listed any more, and not gone: the rest is tried again when the library is opened.
                    Err(e) if !self.trash_folder().join(entry.id.folder()).exists() => {
                        torn.push((entry.id, e))
                    }
                    Err(e) => failed.push((entry.id, e)),
                }
            }
            if failed.is_empty() || removed == before {
                failed.extend(torn);
                return Ok((removed, failed));
            }
        }
    }

    /// The names of the machines with images built on those of `id`, in the trash or not.
    ///
    /// # Errors
    ///
    /// [`Error::DependentsUnknown`] when a broken machine seems to be one.
    pub fn dependents(&self, id: VmId) -> Result<Vec<String>> {
        Ok(self.users(id)?.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>().into_iter().collect())
    }

    pub(crate) fn check_no_dependents(&self, id: VmId, name: &str) -> Result<()> {
        let dependents = self.dependents(id)?;
        if dependents.is_empty() {
            return Ok(());
        }
        Err(Error::HasDependents { what: name.to_owned(), dependents })
    }

    pub(crate) fn images_used_by_others(&self, id: VmId) -> Result<BTreeSet<FileName>> {
        Ok(self.users(id)?.into_iter().map(|(_, image)| image).collect())
    }

    /// Who is built on which image of `id`, by reading every manifest: a counter would be wrong after the first crash.
    pub(crate) fn users(&self, id: VmId) -> Result<Vec<(String, FileName)>> {
        let mut users = Vec::new();
        for (folder, suffix) in [(self.vms(), ""), (self.trash_folder(), " (in the trash)")] {
            for entry in entries(&folder)? {
                if entry.id == id {
                    continue;
                }
                let Ok(bundle) = entry.bundle else {
                    let unreadable = folder.join(entry.id.folder());
                    if mentions(&unreadable, id) {
                        return Err(Error::DependentsUnknown { what: id.to_string(), unreadable });
                    }
                    continue;
                };
                let m = &bundle.manifest;
                let bases = m.images.values().filter_map(|i| i.base.as_ref());
                let onto = m.flattening.iter().filter_map(|f| f.onto.as_ref());
                let ours = bases.chain(onto).filter(|b| b.vm == Some(id));
                users.extend(ours.map(|b| (format!("{}{suffix}", m.name), b.image.clone())));
            }
        }
        Ok(users)
    }
}

/// Whether a broken bundle speaks of the machine `id`, in its manifest or in the headers of its images: they name what
/// they are built on by its folder, which is called by the id.
fn mentions(bundle: &Path, id: VmId) -> bool {
    let id = id.to_string();
    let speaks = |path: &Path| {
        // A header and the name of its base are in the first cluster, of 64 KiB in images of ours.
        let head = open_regular(path).and_then(|f| f.up_to(0, 1 << 16).map_err(io("read", path)));
        head.is_ok_and(|head| head.windows(id.len()).any(|w| w == id.as_bytes()))
    };
    let disks = bundle.join(DISKS);
    let images = names(&disks, 1 << 16).unwrap_or_default();
    speaks(&bundle.join(MANIFEST)) || images.iter().any(|name| speaks(&disks.join(name)))
}
