//! What takes the space of this host's disk, and what can be given back of it.

use crate::error::Result;
use crate::run::logs::logs_folder;
use crate::{Manager, blocking};
use sampan_library::{Bundle, Library};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What can be thrown away without a machine losing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waste {
    /// Machines in the trash, for ever.
    Trash,
    /// Downloads that were begun and are not finished.
    Unfinished,
    /// Media that no machine names.
    Media,
}

/// What space is taken by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// A machine's disks, in bytes, with what its snapshots hold of them.
    Disks,
    /// A machine's saved memory: of its snapshots, and of a suspended machine.
    Memory,
    /// A machine's logs and reports.
    Logs,
    /// What can be thrown away.
    Waste(Waste),
    /// Media that machines name.
    Media,
    /// What is free.
    Free,
}

/// How much something takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The machine, by its id.
    pub machine: Option<String>,
    /// What it is.
    pub part: Part,
    /// Bytes of this host's disk.
    pub bytes: u64,
}

/// Bytes that the files of a folder take of the disk, those of its folders too.
fn taken(folder: &Path) -> u64 {
    let mut bytes = 0_u64;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            // Of a link the link itself counts.
            let Ok(meta) = entry.path().symlink_metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                // `st_blocks` counts 512 bytes each (stat(2)).
                bytes = bytes.saturating_add(meta.blocks().saturating_mul(512));
            }
        }
    }
    bytes
}

fn of_machine(bundle: &Bundle) -> [Usage; 3] {
    let usage = |part, bytes| Usage { machine: Some(bundle.id().to_string()), part, bytes };
    [
        usage(Part::Disks, taken(&bundle.disks())),
        usage(Part::Memory, taken(&bundle.path().join("state"))),
        usage(Part::Logs, taken(&logs_folder(bundle.path()))),
    ]
}

fn whole(library: &Library) -> Result<Vec<Usage>> {
    let mut all: Vec<Usage> = Vec::new();
    for bundle in library.list()?.into_iter().filter_map(|entry| entry.bundle.ok()) {
        all.extend(of_machine(&bundle));
    }
    let usage = |part, bytes| Usage { machine: None, part, bytes };
    let trash = library.trash()?.into_iter().filter_map(|entry| entry.bundle.ok());
    all.push(usage(Part::Waste(Waste::Trash), trash.map(|bundle| taken(bundle.path())).sum()));
    let (mut used, mut unused) = (0_u64, 0_u64);
    for medium in library.media()? {
        let sum = if library.medium_users(&medium.name)?.is_empty() { &mut unused } else { &mut used };
        let bytes = std::fs::metadata(&medium.path).map_or(medium.size, |meta| meta.blocks() * 512);
        *sum = sum.saturating_add(bytes);
    }
    all.push(usage(Part::Media, used));
    all.push(usage(Part::Waste(Waste::Media), unused));
    all.push(usage(Part::Waste(Waste::Unfinished), crate::downloads::unfinished_bytes(library)?));
    all.push(usage(Part::Free, sampan_library::free(library.home())?));
    all.retain(|usage| usage.bytes > 0);
    Ok(all)
}

impl Manager {
    /// What takes space where the machines are, and how much is free. What takes none is left out.
    ///
    /// # Errors
    /// The library cannot be read.
    pub async fn storage(&self) -> Result<Vec<Usage>> {
        let library = self.library().clone();
        blocking(move || whole(&library)).await
    }

    /// Throws away what was named, as far as nobody uses it; how many bytes are free by it.
    ///
    /// # Errors
    /// The library cannot be read. What cannot be removed stays, and is logged.
    pub async fn clean(&self, what: &[Waste]) -> Result<u64> {
        let (library, home) = (self.library().clone(), self.library().home().to_owned());
        let before = blocking(move || Ok(sampan_library::free(&home)?)).await?;
        for waste in what {
            match waste {
                Waste::Trash => {
                    for (id, error) in self.empty_trash().await?.failed {
                        log::warn!("{id} stays in the trash: {error}");
                    }
                }
                Waste::Unfinished => {
                    for unfinished in self.unfinished_downloads().await? {
                        if let Err(error) = self.discard_download(&unfinished.name).await {
                            log::warn!("the download of {} stays: {error}", unfinished.name);
                        }
                    }
                }
                Waste::Media => {
                    for info in self.media().await?.into_iter().filter(|info| info.used_by.is_empty()) {
                        if let Err(error) = self.remove_medium(&info.medium.name).await {
                            log::warn!("{} stays: {error}", info.medium.name);
                        }
                    }
                }
            }
        }
        self.changed();
        let home = library.home().to_owned();
        let after = blocking(move || Ok(sampan_library::free(&home)?)).await?;
        Ok(after.saturating_sub(before))
    }
}
