//! A note beside the parts of downloads: which address a medium came from, so that the same download is done when it is asked
//! for again.

use super::FOLDER;
use crate::error::{Error, Result};
use sampan_download::{Hasher, Request, Source};
use sampan_library::{Library, Medium};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The note's ending.
pub(super) const ENDING: &str = ".from";

/// Bytes of a note that are read.
const MAX: u64 = 1 << 16;

/// Which file of an address a medium is.
#[derive(PartialEq, Serialize, Deserialize)]
struct Origin {
    url: String,
    size: u64,
    /// When the medium was written, in nanoseconds since 1970: one of the same name that was put there since is another.
    modified: i128,
}

impl Origin {
    fn of(url: &str, medium: &Medium) -> Option<Self> {
        let meta = medium.path.metadata().ok()?;
        let modified = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        Some(Self { url: url.to_owned(), size: medium.size, modified })
    }
}

fn note_of(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}

/// Notes where a medium came from.
pub(super) fn note_origin(request: &Request, medium: &Medium) {
    let Source::Address { url, .. } = &request.source else { return };
    let Some(text) = Origin::of(url, medium).and_then(|origin| serde_json::to_vec(&origin).ok()) else {
        return;
    };
    if let Err(error) = std::fs::write(note_of(&request.to), text) {
        log::warn!("where {} came from is not noted: {error}", medium.name);
    }
}

/// Whether a medium is what `request` would bring: it has the checksum that is asked for, else it came from the same
/// address.
pub(super) fn is_that(request: &Request, medium: &Medium) -> Result<bool> {
    let Source::Address { url, digest } = &request.source else { return Ok(true) };
    if let Some(expected) = digest {
        let here = || medium.path.display().to_string();
        let mut hasher = Hasher::like(expected);
        let mut file = File::open(&medium.path).map_err(Error::io(here()))?;
        let mut bytes = vec![0; 1 << 20];
        loop {
            match file.read(&mut bytes).map_err(Error::io(here()))? {
                0 => return Ok(hasher.finish() == *expected),
                read => hasher.update(bytes.get(..read).unwrap_or_default()),
            }
        }
    }
    let noted = File::open(note_of(&request.to)).ok();
    let noted = noted.and_then(|file| serde_json::from_reader::<_, Origin>(file.take(MAX)).ok());
    Ok(noted.is_some() && noted == Origin::of(url, medium))
}

/// A medium is no more: neither is the note of where it came from.
pub(super) fn forget_origin(library: &Library, name: &str) {
    let _ = std::fs::remove_file(note_of(&library.home().join(FOLDER).join(name)));
}
