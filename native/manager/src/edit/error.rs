//! Why a machine's parts cannot be changed as it was asked.

use crate::fault::FieldFault;
use sampan_library::DriveId;
use sampan_message::{Message, Params, samples as samples_of};
use std::path::PathBuf;

/// What became of one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The disk.
    pub drive: DriveId,
    /// Bytes it took before.
    pub before: u64,
    /// Bytes it takes now.
    pub after: u64,
}

/// Why a machine's parts cannot be changed as it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// What is in a CD drive is changed otherwise.
    #[error("{drive} is a CD drive: take out what is in it instead")]
    CdDrive {
        /// The drive.
        drive: String,
    },
    /// A machine has a hundred disks at most.
    #[error("the machine has too many disks: remove one first")]
    TooManyDisks,
    /// No disk can be so large.
    #[error("that is more than any disk can have")]
    DiskOverflow,
    /// The note of a removed disk.
    #[error("what is noted of the removed disk is damaged: {why}")]
    BadRemoved {
        /// What the reader says.
        why: String,
    },
    /// Some disks were compacted before it was cancelled.
    #[error("cancelled; {drive} is as it was, and {} before it are done", .done.len())]
    CompactCancelled {
        /// The disk that was worked on.
        drive: DriveId,
        /// What was done before.
        done: Vec<Compacted>,
    },
    /// No CD drive.
    #[error("the machine has no CD drive")]
    NoCdDrive,
    /// A file in place of a folder, or nothing.
    #[error("{} is no folder", .path.display())]
    NotAFolder {
        /// What was named.
        path: PathBuf,
    },
    /// Another share has the tag.
    #[error("the machine has a share called {tag:?} already: choose another tag")]
    TagTaken {
        /// The tag.
        tag: String,
    },
    /// No share has the tag.
    #[error("the machine has no share {tag:?}")]
    NoShare {
        /// The tag.
        tag: String,
    },
    /// The guest's owners and modes have no place.
    #[error(
        "the file system of {} has no extended attributes, in which owners and modes of the guest's files would be kept: share it for reading, or without keeping them", .path.display()
    )]
    NoAttributes {
        /// The folder.
        path: PathBuf,
    },
    /// No such field.
    #[error("{field}: {why}")]
    BadField {
        /// The field, as it was written.
        field: String,
        /// What is wrong with it.
        why: Message,
    },
}

impl EditError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::CdDrive { drive } => ("cd_drive", Params::of("drive", &**drive)),
            Self::TooManyDisks => ("too_many_disks", Params::new()),
            Self::DiskOverflow => ("disk_overflow", Params::new()),
            Self::BadRemoved { why } => ("bad_removed_disk", Params::of("why", &**why)),
            Self::CompactCancelled { drive, done } => {
                ("cancelled", Params::of("drive", drive.as_str()).with("done", done.len()))
            }
            Self::NoCdDrive => ("no_cd_drive", Params::new()),
            Self::NotAFolder { path } => ("share_not_a_folder", Params::of("path", path.as_path())),
            Self::TagTaken { tag } => ("share_tag_taken", Params::of("tag", &**tag)),
            Self::NoShare { tag } => ("no_share", Params::of("tag", &**tag)),
            Self::NoAttributes { path } => ("no_attributes", Params::of("path", path.as_path())),
            Self::BadField { field, why } => ("bad_field", why.as_reason().with("field", &**field)),
        }
    }

    fn after(&self) -> Option<Self> {
        let path = || PathBuf::from("/home/ada/files");
        Some(match self {
            Self::CdDrive { .. } => Self::TooManyDisks,
            Self::TooManyDisks => Self::DiskOverflow,
            Self::DiskOverflow => Self::BadRemoved { why: "EOF while parsing a value".into() },
            Self::BadRemoved { .. } => {
                Self::CompactCancelled { drive: "disk1".parse().ok()?, done: Vec::new() }
            }
            Self::CompactCancelled { .. } => Self::NoCdDrive,
            Self::NoCdDrive => Self::NotAFolder { path: path() },
            Self::NotAFolder { .. } => Self::TagTaken { tag: "files".into() },
            Self::TagTaken { .. } => Self::NoShare { tag: "files".into() },
            Self::NoShare { .. } => Self::NoAttributes { path: path() },
            Self::NoAttributes { .. } => {
                let why = FieldFault::DoesNotFit { why: "unknown field `devise`".into() };
                Self::BadField { field: "displays.devise".into(), why: Message::of(&why) }
            }
            Self::BadField { .. } => return None,
        })
    }

    pub(crate) fn samples() -> Vec<Message> {
        samples_of(Self::CdDrive { drive: "cd0".into() }, Self::after)
    }
}

sampan_message::coded!(EditError);
