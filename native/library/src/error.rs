//! Why something in the library did not work, and what to do.

use crate::block_error::BlockError;
use crate::fault::{ArchiveFault, DescriptionFault, ImageChange, ManifestFault};
use crate::file_kind::FileKind;
use crate::id::{SnapshotId, VmId};
use crate::name_rule::{NameError, NameRule};
use crate::words::holder;
use sampan_message::Message;
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
    #[error("“{name}” is in use by {}: if it runs, stop it, else wait until that process is done", holder(*.pid, *.since))]
    InUse {
        /// The machine's name, or its id when the name cannot be read.
        name: String,
        /// Who holds it, as far as it has been written down.
        pid: Option<u32>,
        /// Seconds since 1970; 0 if unknown.
        since: u64,
        /// Whoever holds it runs the machine.
        runs: bool,
    },
    /// Somebody else changes the library's list of machines.
    #[error("the library {} is being changed by another process: try again in a moment", .0.display())]
    LibraryBusy(PathBuf),
    /// No library is there.
    #[error("there is no library of machines in {}: check SAMPAN_HOME if you have set it; the first machine makes one there", .0.display())]
    NoLibrary(PathBuf),
    /// No such machine.
    #[error("no machine is called “{0}”: choose one of those there are")]
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
        why: NameRule,
    },
    /// The manifest is not one of ours, or was damaged.
    #[error("the machine's manifest {} is damaged ({why}): restore the folder from a copy, or delete the machine", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: ManifestFault,
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
    /// A folder, a device, a FIFO, or a link where none is followed, in the place of a file.
    #[error("{} is no ordinary file (a folder, a device, a FIFO or a link): name a file, or replace it by a copy of the file it stands for", .0.display())]
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
    #[error("no drive “{0}” was removed from the machine: choose one of those that were")]
    NoRemoved(String),
    /// No such snapshot.
    #[error("the machine has no snapshot “{0}”: choose one of those there are")]
    NoSnapshot(String),
    /// Deleting what others are built on.
    #[error("“{what}” is the base of {}: delete these first, or make a linked clone independent", list(.dependents))]
    HasDependents {
        /// The machine, drive or snapshot.
        what: String,
        /// The machines built on it, by name.
        dependents: Vec<String>,
    },
    /// Deleting a medium that machines have.
    #[error("“{name}” is a medium of {}: take it out of their drives, or delete them for ever", list(.users))]
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
    /// No such medium.
    #[error("the library has no medium “{0}”: choose one of those there are")]
    NoMedium(String),
    /// Something of this name is there.
    #[error("{} exists already: choose another name, or remove it", .0.display())]
    Exists(PathBuf),
    /// A file of a machine, where one from elsewhere was wanted.
    #[error("{} is a part of a machine of this library: clone that machine, or export it", .0.display())]
    PartOfAMachine(PathBuf),
    /// A snapshot's picture that is none.
    #[error("the snapshot's picture cannot be used: it must be a PNG of at most {limit} bytes")]
    BadPicture {
        /// The most bytes it may have.
        limit: u64,
    },
    /// A section of a description beyond its limit.
    #[error("the section {section} has {bytes} bytes, and at most {limit} are possible: make it shorter")]
    SectionTooLong {
        /// The section's file.
        section: String,
        /// Its bytes.
        bytes: usize,
        /// The most it may have.
        limit: u64,
    },
    /// What belongs to this host alone cannot be read.
    #[error("{} is damaged: remove it, then share the folders and set the VNC password again", .0.display())]
    HostSettings(PathBuf),
    /// QEMU wrote nothing to the file of a state.
    #[error("nothing was saved to {}: try again", .0.display())]
    NothingSaved(PathBuf),
    /// A state in another file than was planned.
    #[error("{} is not the file that was planned for the machine's state: try again", .0.display())]
    OtherState(PathBuf),
    /// A change after which the manifest would not be sound.
    #[error("this change cannot be made: {why}")]
    BadChange {
        /// The rule that would be broken.
        why: ManifestFault,
    },
    /// An image differs from what the manifest says of it.
    #[error("the image {} {why}: it was changed by another program; restore it from a copy", .path.display())]
    ImageChanged {
        /// The image.
        path: PathBuf,
        /// What differs.
        why: ImageChange,
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
    #[error("{} cannot be imported: {source}", .path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why not, and what would do.
        source: ArchiveError,
    },
    /// The block layer could not.
    #[error("{0}")]
    Block(BlockError),
    /// Stopped by the caller; nothing was left behind.
    #[error("cancelled; nothing was changed")]
    Cancelled,
}

/// Why a file with a machine is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A disk without a machine.
    #[error("this is a disk image ({0}), not a machine: make a machine of it")]
    DiskImage(&'static str),
    /// A CD.
    #[error("this is a CD image, not a machine: make a machine that starts from it")]
    Cd,
    /// Something else.
    #[error("this is {}, not a machine: {}", .0.words(), remedy(*.0))]
    NotAMachine(FileKind),
    /// Nothing that is known.
    #[error(
        "this is no machine of a known kind: .sampanvm, OVA and OVF files and UTM's folders are; get it anew if it is damaged"
    )]
    Unknown,
    /// A folder with more than one machine.
    #[error("it holds several descriptions (.ovf): name one of them")]
    Several,
    /// A folder or an archive without a machine.
    #[error("it holds neither a config.plist, as UTM's machines do, nor a description (.ovf)")]
    NoDescription,
    /// It does not hold what it says of itself.
    #[error("{0}")]
    Damaged(ArchiveFault),
    /// One of its images is refused.
    #[error("“{member}”: {source}")]
    Image {
        /// The member.
        member: String,
        /// Why.
        source: Box<Message>,
    },
    /// It is sound, and no such machine can be here.
    #[error("{0}")]
    Unsupported(DescriptionFault),
    /// Its description is not one that this program has.
    #[error("{0}")]
    Description(Message),
}

/// What to do with a file in which a machine was looked for.
fn remedy(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Zip => "unpack it, and import the folder (UTM's ends with .utm) or the file that is in it",
        FileKind::PropertyList => "import the folder that it lies in",
        other => other.remedy(),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// For `map_err`: what was tried, on what.
pub(crate) fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Error + 'a {
    move |source| Error::Io { doing, path: path.to_path_buf(), source }
}

impl Error {
    /// Whether the disk is full, or as much is in use as this user may have.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

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

/// A file with a machine is refused.
pub(crate) fn refused(path: &Path, source: ArchiveError) -> Error {
    Error::Archive { path: path.to_path_buf(), source }
}

/// For `map_err`: the machine's file, and what is wrong with it.
pub(crate) fn damaged(path: &Path, why: ArchiveFault) -> Error {
    refused(path, ArchiveError::Damaged(why))
}

/// For `map_err`: the machine's file, and why it cannot be here.
pub(crate) fn unsupported(path: &Path, why: DescriptionFault) -> Error {
    refused(path, ArchiveError::Unsupported(why))
}

impl From<BlockError> for Error {
    fn from(e: BlockError) -> Self {
        match e {
            BlockError::Cancelled => Self::Cancelled,
            other => Self::Block(other),
        }
    }
}

impl From<NameError> for Error {
    fn from(e: NameError) -> Self {
        Self::BadName { name: e.name, why: e.why }
    }
}
