//! Machines that are thrown away, and taken back.

use crate::error::{Error, Result};
use crate::{Manager, blocking};
use sampan_library::VmId;
use sampan_session::vm::{remove_seeds, seeds_of};
use serde::{Deserialize, Serialize};

/// A machine in the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trashed {
    /// Its id.
    pub id: String,
    /// Its name; of a bundle that cannot be read, why not.
    pub name: String,
    /// When it was thrown away, in seconds since 1970.
    pub deleted: Option<u64>,
    /// What it takes of the disk, in bytes.
    #[serde(default)]
    pub usage: Option<u64>,
}

/// What became of emptying the trash.
#[derive(Debug)]
pub struct Emptied {
    /// Machines that are gone for ever.
    pub removed: usize,
    /// Those that are not, and why.
    pub failed: Vec<(VmId, Error)>,
}

impl Manager {
    /// Puts a machine into the trash.
    ///
    /// # Errors
    /// [`Error::Runs`]; others are built on it.
    pub async fn delete(&self, id: VmId) -> Result<()> {
        // A bundle that cannot be read runs nowhere.
        if let Ok(bundle) = self.bundle(id).await
            && self.machine(id).await?.runs()
        {
            return Err(Error::Runs { name: bundle.name().to_owned() });
        }
        let library = self.library().clone();
        blocking(move || Ok(library.delete(id, crate::time::now())?)).await?;
        self.changed();
        Ok(())
    }

    /// Removes a machine of the trash for ever, with the seeds that hold its secrets.
    ///
    /// # Errors
    /// It is not in the trash.
    pub async fn purge(&self, id: VmId) -> Result<()> {
        let library = self.library().clone();
        blocking(move || {
            let trash = library.trash()?;
            let bundle =
                trash.iter().find(|entry| entry.id == id).and_then(|entry| entry.bundle.as_ref().ok());
            let seeds = bundle.map(seeds_of).unwrap_or_default();
            library.purge(id)?;
            remove_seeds(&library, &seeds);
            Ok(())
        })
        .await
    }

    /// What is in the trash.
    ///
    /// # Errors
    /// The library cannot be read.
    pub async fn trash(&self) -> Result<Vec<Trashed>> {
        let library = self.library().clone();
        blocking(move || {
            let trashed = library.trash()?.into_iter().map(|entry| {
                let (name, deleted) = match &entry.bundle {
                    Ok(bundle) => (bundle.name().to_owned(), bundle.manifest().trashed),
                    Err(error) => (error.to_string(), None),
                };
                let usage = entry.bundle.as_ref().ok().and_then(|bundle| bundle.usage().ok());
                Trashed { id: entry.id.to_string(), name, deleted, usage }
            });
            Ok(trashed.collect())
        })
        .await
    }

    /// Takes a machine out of the trash, by its name, its id or the id's first characters; under another name where one is
    /// given. Its id and its name.
    ///
    /// # Errors
    /// There is none, or several fit; its name is taken.
    pub async fn restore(&self, what: &str, name: Option<&str>) -> Result<(VmId, String)> {
        let (library, what, name) = (self.library().clone(), what.to_owned(), name.map(str::to_owned));
        let restored = blocking(move || {
            let id = library.find_in_trash(&what)?;
            let machine = library.undelete(id, name.as_deref())?;
            Ok((id, machine.name().to_owned()))
        })
        .await?;
        self.changed();
        Ok(restored)
    }

    /// Removes all that is in the trash for ever, as far as it can be.
    ///
    /// # Errors
    /// The library cannot be read.
    pub async fn empty_trash(&self) -> Result<Emptied> {
        let library = self.library().clone();
        blocking(move || {
            let trash = library.trash()?;
            let seeds: Vec<String> =
                trash.iter().filter_map(|entry| entry.bundle.as_ref().ok()).flat_map(seeds_of).collect();
            let (removed, failed) = library.empty_trash()?;
            remove_seeds(&library, &seeds);
            let failed = failed.into_iter().map(|(id, error)| (id, Error::from(error))).collect();
            Ok(Emptied { removed, failed })
        })
        .await
    }
}
