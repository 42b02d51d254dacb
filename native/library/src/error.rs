//! Why something in the library did not work, and what to do.

use crate::id::{SnapshotId, VmId};
use crate::words::{holder, shell_word};
use std::path::{Path, PathBuf};

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the library could not do what was asked; what it held before, it still holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Somebody else holds the machine.
    #[error("“{name}” is in use by {}: if it runs, end it with `sampan stop {}`, else wait until that process is done", holder(*.pid, *.since), shell_word(.name))]
    InUse {
        /// The machine's name, or its id when the name cannot be read.
        name: String,
        /// Who holds it, as far as it has been written down.
        pid: Option<u32>,
        /// Seconds since 1970; 0 if unknown.
        since: u64,
    },
    /// Somebody else changes the library's list of machines.
    #[error("the library {} is being changed by another process: try again in a moment", .0.display())]
    LibraryBusy(PathBuf),
    /// No library is there.
    #[error("there is no library of machines in {}: check SAMPAN_HOME if you have set it; `sampan new` makes one there", .0.display())]
    NoLibrary(PathBuf),
    /// No such machine.
    #[error("no machine is called “{0}”: `list` shows those there are")]
    NotFound(String),
    /// Several machines fit.
    #[error("“{what}” may be any of {}: give more of the id", .candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        what: String,
        /// The names and ids that fit.
        candidates: Vec<String>,
    },
    /// The name is taken.
    #[error(
        "there is one called “{0}” already, or so much alike that nobody could tell the two apart: choose another name"
    )]
    NameTaken(String),
    /// A name that cannot be given.
    #[error("“{name}” cannot be a name: {why}")]
    BadName {
        /// What was asked for.
        name: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// The manifest is not one of ours, or was damaged.
    #[error("the machine's manifest {} is damaged ({why}): restore the folder from a copy, or delete the machine", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A manifest of a later version of this program.
    #[error("{} was written by a newer version ({found}; this one knows up to {known}): update the program", .path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The highest version known here.
        known: u32,
    },
    /// A link, a device, a FIFO or a folder in the place of a file.
    #[error("{} is no ordinary file (a link, a device or a folder): replace it by a copy of the file it stands for", .0.display())]
    NotAFile(PathBuf),
    /// A file beyond its limit.
    #[error("{} is longer than the {limit} bytes that such a file may have: it is damaged or no file of this program", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its limit in bytes.
        limit: u64,
    },
    /// More entries than a folder of ours has.
    #[error("{} holds more than {limit} entries: move what does not belong there elsewhere", .path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// The most it may hold.
        limit: usize,
    },
    /// Another user's.
    #[error("{} belongs to another user (uid {owner}), who could change your machines: move it elsewhere, or make it yours with `chown` if you trust what is in it", .path.display())]
    NotOurs {
        /// The folder or file.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
    /// A folder or file that more people may change than its owner.
    #[error("other users may write to {} (mode {mode:04o}): look whether all in it is yours, then keep them out with `chmod go-w`", .path.display())]
    OthersWrite {
        /// The folder or file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// No such drive.
    #[error("the machine has no drive “{drive}”: it has {}", list(.has))]
    NoDrive {
        /// What was asked for.
        drive: String,
        /// The drives there are.
        has: Vec<String>,
    },
    /// The drive exists.
    #[error("the machine has a drive “{0}” already: remove it first, or choose another id")]
    DriveExists(String),
    /// No removed drive of this name.
    #[error("no drive “{0}” was removed from the machine: `sampan disk info` shows those that were")]
    NoRemoved(String),
    /// No such snapshot.
    #[error("the machine has no snapshot “{0}”: `snapshot list` shows those there are")]
    NoSnapshot(String),
    /// Deleting what others are built on.
    #[error("“{what}” is the base of {}: delete these first; a linked clone is made independent by `sampan disk flatten`", list(.dependents))]
    HasDependents {
        /// The machine, drive or snapshot.
        what: String,
        /// The machines built on it, by name.
        dependents: Vec<String>,
    },
    /// Deleting a medium that machines have.
    #[error("“{name}” is a medium of {}: take it out of them with `set … cdrom=-`, or delete them for ever", list(.users))]
    MediumInUse {
        /// The medium.
        name: String,
        /// The machines, by name.
        users: Vec<String>,
    },
    /// A machine could not be read that might be built on what is to go.
    #[error("cannot tell who depends on “{what}”, because {} cannot be read: repair or delete that machine first", .unreadable.display())]
    DependentsUnknown {
        /// The machine to be deleted.
        what: String,
        /// The manifest that cannot be read.
        unreadable: PathBuf,
    },
    /// Images do not shrink.
    #[error(
        "the drive has {now} bytes and cannot shrink to {asked}: the file system in it would be cut off; make a smaller drive and copy inside the guest"
    )]
    Shrink {
        /// Virtual size in bytes.
        now: u64,
        /// Virtual size asked for.
        asked: u64,
    },
    /// A size no guest can use.
    #[error("{0} bytes is no usable size: use a multiple of 512 from 1 MiB to 64 TiB")]
    BadSize(u64),
    /// Not enough room.
    #[error("{needed} bytes are needed in {} and {free} are free: free some space, or choose another place", .path.display())]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// Bytes needed, with a reserve.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The current state would be lost.
    #[error(
        "what changed since the last snapshot would be lost: take a snapshot first, or say that it may be discarded"
    )]
    UnsavedState,
    /// There is a suspended state.
    #[error("the machine is suspended to disk: resume it, or discard its suspended state first")]
    Suspended,
    /// A snapshot of a running machine is under way.
    #[error("a snapshot of this machine is under way: finish or abandon it first")]
    SnapshotUnderWay,
    /// `commit_snapshot` without `begin_snapshot`.
    #[error("no snapshot of this machine is under way")]
    NoSnapshotUnderWay,
    /// A bound of the manifest.
    #[error("a machine may have at most {limit} {what}: delete some first")]
    Limit {
        /// What there are too many of.
        what: &'static str,
        /// The most.
        limit: usize,
    },
    /// Something given is out of bounds.
    #[error("{what} cannot be used: {why}")]
    Unusable {
        /// What was given.
        what: String,
        /// Why not, and what would do.
        why: String,
    },
    /// An image differs from what the manifest says of it.
    #[error("the image {} {why}: it was changed by another program; restore it from a copy", .path.display())]
    ImageChanged {
        /// The image.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// An image is refused by its header.
    #[error("{}: {source}", .path.display())]
    Probe {
        /// The image.
        path: PathBuf,
        /// Why.
        source: crate::image::ProbeError,
    },
    /// A file with a machine is refused.
    #[error("{} cannot be imported: {why}", .path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why not, and what would do.
        why: String,
    },
    /// The block layer could not.
    #[error("{0}")]
    Block(crate::block::BlockError),
    /// Stopped by the caller; nothing was left behind.
    #[error("cancelled; nothing was changed")]
    Cancelled,
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// For `map_err`: what was tried, on what.
pub(crate) fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Error + 'a {
    move |source| Error::Io { doing, path: path.to_path_buf(), source }
}

impl Error {
    pub(crate) fn no_snapshot(id: &SnapshotId) -> Self {
        Self::NoSnapshot(id.to_string())
    }

    pub(crate) fn no_drive(drive: &crate::id::DriveId) -> Self {
        Self::NoDrive { drive: drive.to_string(), has: Vec::new() }
    }

    pub(crate) fn not_found(id: VmId) -> Self {
        Self::NotFound(id.to_string())
    }
}

impl From<crate::block::BlockError> for Error {
    fn from(e: crate::block::BlockError) -> Self {
        match e {
            crate::block::BlockError::Cancelled => Self::Cancelled,
            other => Self::Block(other),
        }
    }
}
