//! Machines in one file: Sampan's own, and tar, which it and OVA are made of.

mod export;
mod field;
mod import;
mod sparse;
mod tar;

pub use export::Exported;
pub use field::TarError;
pub use import::Adopt;
pub use tar::{Member, TarReader, TarWriter, check_member};

use crate::error::{Error, damaged, io};
use crate::format::ImageFormat;
use crate::id::DriveId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The version of a `.sampanvm` file that is written, and the highest that is read.
pub const ARCHIVE_VERSION: u32 = 1;
/// The first member.
pub(crate) const HEADER: &str = "sampanvm.json";
/// The last member, as `sha256sum` writes it.
pub(crate) const SUMS: &str = "SHA256SUMS";
pub(crate) const MAX_HEADER: u64 = 1 << 20;

/// What went wrong while an archive was read or written.
pub(crate) fn tar_failed(doing: &'static str, e: TarError, path: &Path) -> Error {
    match e.fault() {
        Ok(fault) => damaged(path, fault),
        Err(source) => io(doing, path)(source),
    }
}

/// What a `.sampanvm` file holds, told in its first member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// [`ARCHIVE_VERSION`].
    pub sampanvm: u32,
    /// The machine's name.
    pub name: String,
    /// The sections of its document, each in `document/`, with their bytes.
    pub document: BTreeMap<String, u64>,
    /// Its drives, each in `disks/<id>.qcow2`.
    pub drives: BTreeMap<DriveId, Disk>,
}

/// A drive in a `.sampanvm` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// qcow2 always.
    pub format: ImageFormat,
    /// Virtual size in bytes.
    pub size: u64,
    /// Bytes of the file.
    pub bytes: u64,
}
