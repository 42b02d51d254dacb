//! The codes of this crate's errors, and the values that their texts are made of.

use crate::archive::TarError;
use crate::block_error::BlockError;
use crate::error::{ArchiveError, Error};
use crate::fault::{ArchiveFault, DescriptionFault, ImageChange, ManifestFault};
use crate::format::SourceFormat;
use crate::image::{FileKind, ImageFault, ImageFeature, NotACd, ProbeError};
use crate::name_rule::{NameError, NameRule};
use sampan_message::{Coded, Message, Params, Reason, io_code, samples as samples_of};
use std::io::{Error as IoError, ErrorKind};
use std::path::{Path, PathBuf};

fn path_of(path: &Path) -> Params {
    Params::of("path", path)
}

impl Error {
    fn parts(&self) -> (&'static str, Params) {
        let name_of = |name: &str| Params::of("name", name);
        match self {
            Self::Io { doing, path, source } => {
                (io_code(source), path_of(path).with("doing", *doing).with("why", source.to_string()))
            }
            Self::InUse { name, pid, since, .. } => {
                let params = name_of(name).with("since", *since);
                ("in_use", pid.map_or(params.clone(), |pid| params.with("pid", pid)))
            }
            Self::LibraryBusy(path) => ("library_busy", path_of(path)),
            Self::NoLibrary(path) => ("no_library", path_of(path)),
            Self::NotFound(name) => ("not_found", name_of(name)),
            Self::Ambiguous { what, candidates } => {
                ("ambiguous", name_of(what).with("candidates", candidates.join(", ")))
            }
            Self::NameTaken(name) => ("name_taken", name_of(name)),
            Self::BadName { name, why } => NameError { name: name.clone(), why: *why }.parts(),
            Self::Damaged { path, why } => ("damaged_machine", path_of(path).and(why.params())),
            Self::TooNew { path, found, known } => {
                ("too_new", path_of(path).with("found", *found).with("known", *known))
            }
            Self::NotAFile(path) => ("not_a_file", path_of(path)),
            Self::TooLong { path, limit } => ("file_too_long", path_of(path).with("limit", *limit)),
            Self::TooMany { path, limit } => ("folder_too_full", path_of(path).with("limit", *limit)),
            Self::NotOurs { path, owner } => ("not_ours", path_of(path).with("owner", *owner)),
            Self::OthersWrite { path, mode } => {
                ("others_write", path_of(path).with("mode", format!("{mode:04o}")))
            }
            Self::NoDrive { drive, has } => {
                ("no_drive", Params::of("drive", &**drive).with("has", has.join(", ")))
            }
            Self::DriveExists(drive) => ("drive_exists", Params::of("drive", &**drive)),
            Self::NoRemoved(drive) => ("no_removed_drive", Params::of("drive", &**drive)),
            Self::NoSnapshot(name) => ("no_snapshot", name_of(name)),
            Self::HasDependents { what, dependents } => {
                ("has_dependents", name_of(what).with("dependents", dependents.join(", ")))
            }
            Self::MediumInUse { name, users } => {
                ("medium_in_use", name_of(name).with("users", users.join(", ")))
            }
            Self::DependentsUnknown { what, unreadable } => {
                ("dependents_unknown", name_of(what).with("path", unreadable.as_path()))
            }
            Self::Shrink { now, asked } => ("cannot_shrink", Params::of("now", *now).with("asked", *asked)),
            Self::BadSize(bytes) => ("bad_size", Params::of("bytes", *bytes)),
            Self::NoSpace { path, needed, free } => {
                ("no_space", path_of(path).with("needed", *needed).with("free", *free))
            }
            Self::UnsavedState => ("unsaved_state", Params::new()),
            Self::Suspended => ("suspended", Params::new()),
            Self::SnapshotUnderWay => ("snapshot_under_way", Params::new()),
            Self::NoSnapshotUnderWay => ("no_snapshot_under_way", Params::new()),
            Self::Limit { what, limit } => ("too_many", Params::of("what", *what).with("most", *limit)),
            Self::NoMedium(name) => ("no_medium", name_of(name)),
            Self::Exists(path) => ("exists", path_of(path)),
            Self::PartOfAMachine(path) => ("part_of_a_machine", path_of(path)),
            Self::BadPicture { limit } => ("bad_picture", Params::of("limit", *limit)),
            Self::SectionTooLong { section, bytes, limit } => (
                "section_too_long",
                Params::of("section", &**section).with("bytes", *bytes).with("limit", *limit),
            ),
            Self::HostSettings(path) => ("damaged_host_settings", path_of(path)),
            Self::NothingSaved(path) | Self::OtherState(path) => ("state_not_saved", path_of(path)),
            Self::BadChange { why } => ("bad_change", why.params()),
            Self::ImageChanged { path, why } => ("image_changed", path_of(path).and(why.params())),
            Self::Probe { path, source } => {
                let (code, params) = source.parts();
                (code, params.with("path", path.as_path()))
            }
            Self::Archive { path, source } => {
                let (code, params) = source.parts();
                (code, params.with("path", path.as_path()))
            }
            Self::Block(error) => error.parts(),
            Self::Cancelled => ("cancelled", Params::new()),
        }
    }

    fn after(&self) -> Option<Self> {
        let path = || PathBuf::from("/vms/debian");
        let (name, drive) = (|| "debian".to_owned(), || "disk0".to_owned());
        let io = |kind| Self::Io { doing: "write", path: path(), source: IoError::from(kind) };
        Some(match self {
            Self::Io { source, .. } => match source.kind() {
                ErrorKind::StorageFull => io(ErrorKind::NotFound),
                ErrorKind::NotFound => io(ErrorKind::PermissionDenied),
                ErrorKind::PermissionDenied => io(ErrorKind::BrokenPipe),
                _ => Self::InUse { name: name(), pid: Some(7), since: 0, runs: true },
            },
            Self::InUse { .. } => Self::LibraryBusy("/vms".into()),
            Self::LibraryBusy(_) => Self::NoLibrary("/vms".into()),
            Self::NoLibrary(_) => Self::NotFound(name()),
            Self::NotFound(_) => {
                Self::Ambiguous { what: "1a".into(), candidates: vec![name(), "arch".into()] }
            }
            Self::Ambiguous { .. } => Self::NameTaken(name()),
            Self::NameTaken(_) => Self::BadName { name: "..".into(), why: NameRule::NoFolder },
            Self::BadName { .. } => Self::Damaged { path: path(), why: ManifestFault::NotUtf8 },
            Self::Damaged { .. } => Self::TooNew { path: path(), found: 9, known: 3 },
            Self::TooNew { .. } => Self::NotAFile(path()),
            Self::NotAFile(_) => Self::TooLong { path: path(), limit: 1 << 20 },
            Self::TooLong { .. } => Self::TooMany { path: path(), limit: 10_000 },
            Self::TooMany { .. } => Self::NotOurs { path: path(), owner: 1001 },
            Self::NotOurs { .. } => Self::OthersWrite { path: path(), mode: 0o777 },
            Self::OthersWrite { .. } => Self::NoDrive { drive: "disk7".into(), has: vec![drive()] },
            Self::NoDrive { .. } => Self::DriveExists(drive()),
            Self::DriveExists(_) => Self::NoRemoved(drive()),
            Self::NoRemoved(_) => Self::NoSnapshot("before".into()),
            Self::NoSnapshot(_) => Self::HasDependents { what: name(), dependents: vec!["web".into()] },
            Self::HasDependents { .. } => {
                Self::MediumInUse { name: "debian.iso".into(), users: vec![name()] }
            }
            Self::MediumInUse { .. } => Self::DependentsUnknown { what: name(), unreadable: path() },
            Self::DependentsUnknown { .. } => Self::Shrink { now: 2 << 30, asked: 1 << 30 },
            Self::Shrink { .. } => Self::BadSize(7),
            Self::BadSize(_) => Self::NoSpace { path: "/vms".into(), needed: 2 << 30, free: 1 << 30 },
            Self::NoSpace { .. } => Self::UnsavedState,
            Self::UnsavedState => Self::Suspended,
            Self::Suspended => Self::SnapshotUnderWay,
            Self::SnapshotUnderWay => Self::NoSnapshotUnderWay,
            Self::NoSnapshotUnderWay => Self::Limit { what: "snapshots", limit: 1000 },
            Self::Limit { .. } => Self::NoMedium("debian.iso".into()),
            Self::NoMedium(_) => Self::Exists("/home/ada/debian.sampanvm".into()),
            Self::Exists(_) => Self::PartOfAMachine(path()),
            Self::PartOfAMachine(_) => Self::BadPicture { limit: 1 << 20 },
            Self::BadPicture { .. } => {
                Self::SectionTooLong { section: "extra.json".into(), bytes: 300_000, limit: 262_144 }
            }
            Self::SectionTooLong { .. } => Self::HostSettings("/vms/debian/host.json".into()),
            Self::HostSettings(_) => Self::NothingSaved("/vms/debian/state/memory".into()),
            Self::NothingSaved(_) => Self::OtherState("/vms/debian/state/memory".into()),
            Self::OtherState(_) => {
                Self::BadChange { why: ManifestFault::RawWithBase { image: "disk0.raw".into() } }
            }
            Self::BadChange { .. } => Self::ImageChanged { path: path(), why: ImageChange::LostBase },
            Self::ImageChanged { .. } => Self::Cancelled,
            // These have samples of their own.
            Self::Cancelled | Self::Probe { .. } | Self::Archive { .. } | Self::Block(_) => return None,
        })
    }
}

impl ArchiveError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::DiskImage(format) => ("disk_image", Params::of("format", *format)),
            Self::Cd => ("cd_image", Params::of("wanted", "machine")),
            Self::NotAMachine(kind) => ("not_a_machine", Params::of("what", kind.name())),
            Self::Unknown => ("unknown_format", Params::of("wanted", "machine")),
            Self::Several => ("several_descriptions", Params::new()),
            Self::NoDescription => ("no_description", Params::new()),
            Self::Damaged(why) => ("damaged_archive", why.params()),
            Self::Image { member, source } => {
                ("damaged_archive", source.as_reason().with("member", &**member))
            }
            Self::Unsupported(why) => ("unsupported_machine", why.params()),
            Self::Description(why) => ("unsupported_machine", why.as_reason()),
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::DiskImage(_) => Self::Cd,
            Self::Cd => Self::NotAMachine(FileKind::Pdf),
            Self::NotAMachine(_) => Self::Unknown,
            Self::Unknown => Self::Several,
            Self::Several => Self::NoDescription,
            Self::NoDescription => Self::Damaged(ArchiveFault::Incomplete),
            Self::Damaged(_) => {
                let source =
                    ProbeError::Damaged { format: SourceFormat::Qcow2, why: ImageFault::EndsInHeader };
                Self::Image { member: "disks/disk0.qcow2".into(), source: Box::new(source.message()) }
            }
            Self::Image { .. } => Self::Unsupported(DescriptionFault::NoVersion),
            Self::Unsupported(_) => Self::Description(
                Message::new("section_missing", "cpu.json is missing: copy it back from a backup")
                    .with("file", "cpu.json"),
            ),
            Self::Description(_) => return None,
        })
    }
}

impl ProbeError {
    fn parts(&self) -> (&'static str, Params) {
        let of = |format: &SourceFormat| Params::of("format", format.driver());
        match self {
            Self::Io(error) => (io_code(error), Params::of("why", error.to_string())),
            Self::Damaged { format, why } => ("damaged_image", of(format).and(why.params())),
            Self::Unsupported { format, what } => ("unsupported_image", of(format).and(what.params())),
            Self::Unknown => ("unknown_format", Params::of("wanted", "disk")),
            Self::Incomplete { format, needed, size } => (
                "damaged_image",
                of(format).with("reason", "incomplete").with("needed", *needed).with("size", *size),
            ),
            Self::NotADisk(kind) => ("not_a_disk", Params::of("what", kind.name())),
            Self::Cd => ("cd_image", Params::of("wanted", "disk")),
            Self::OtherFormat { said, found } => {
                ("other_format", Params::of("said", *said).with("found", *found))
            }
            Self::BackingFile(name) => ("backing_file", Params::of("name", &**name)),
            Self::ExternalData(names) => ("external_data", Params::of("names", names.join(", "))),
            Self::Encrypted(how) => ("encrypted_image", Params::of("how", &**how)),
            Self::Corrupt => ("corrupt_image", Params::new()),
            Self::NeedsReplay => ("needs_replay", Params::new()),
            Self::Size(bytes) => ("bad_size", Params::of("bytes", *bytes)),
        }
    }

    fn after(&self) -> Option<Self> {
        let format = SourceFormat::Qcow2;
        Some(match self {
            Self::Io(_) => Self::Damaged { format, why: ImageFault::EndsInHeader },
            Self::Damaged { .. } => Self::Unsupported { format, what: ImageFeature::UnknownCompression },
            Self::Unsupported { .. } => Self::Unknown,
            Self::Unknown => Self::Incomplete { format, needed: 2 << 30, size: 1 << 30 },
            Self::Incomplete { .. } => Self::NotADisk(FileKind::Zip),
            Self::NotADisk(_) => Self::Cd,
            Self::Cd => Self::OtherFormat { said: "vdi", found: "qcow2" },
            Self::OtherFormat { .. } => Self::BackingFile("/base.qcow2".into()),
            Self::BackingFile(_) => Self::ExternalData(vec!["a-flat.vmdk".into()]),
            Self::ExternalData(_) => Self::Encrypted("LUKS".into()),
            Self::Encrypted(_) => Self::Corrupt,
            Self::Corrupt => Self::NeedsReplay,
            Self::NeedsReplay => Self::Size(7),
            Self::Size(_) => return None,
        })
    }
}

impl NotACd {
    fn parts(&self) -> (&'static str, Params) {
        let what = |name: &'static str| Params::of("what", name);
        let params = match self {
            Self::Other(kind) => what(kind.name()),
            Self::Image(format) => what("disk").with("format", format.driver()),
            Self::Disk => what("disk").with("format", SourceFormat::Raw.driver()),
            Self::Unknown => what("unknown"),
        };
        ("not_a_cd", params)
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Other(_) => Self::Image(SourceFormat::Qcow2),
            Self::Image(_) => Self::Disk,
            Self::Disk => Self::Unknown,
            Self::Unknown => return None,
        })
    }
}

impl BlockError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Cancelled => ("cancelled", Params::new()),
            Self::NoSpace(path) => ("no_space", path_of(path)),
            Self::Refused { path, message } => ("block_refused", path_of(path).with("message", &**message)),
            Self::Unavailable(why) => ("block_layer_unavailable", Params::of("why", &**why)),
        }
    }

    fn after(&self) -> Option<Self> {
        let path = || PathBuf::from("/vms/debian/disks/disk0.qcow2");
        Some(match self {
            Self::Cancelled => Self::NoSpace(path()),
            Self::NoSpace(_) => Self::Refused { path: path(), message: "Could not read image".into() },
            Self::Refused { .. } => Self::Unavailable("sampan-vmhost is missing".into()),
            Self::Unavailable(_) => return None,
        })
    }
}

impl TarError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Io(error) => (io_code(error), Params::of("why", error.to_string())),
            Self::Damaged(why) => ("damaged_archive", why.params()),
            Self::NotAFile(name) => {
                ("damaged_archive", Params::of("name", &**name).with("reason", "not_a_file"))
            }
            Self::BadName(name) => {
                ("damaged_archive", Params::of("name", &**name).with("reason", "leads_out"))
            }
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::Io(_) => Self::Damaged(ArchiveFault::EndsInHeader),
            Self::Damaged(_) => Self::NotAFile("disk0".into()),
            Self::NotAFile(_) => Self::BadName("../disk0".into()),
            Self::BadName(_) => return None,
        })
    }
}

impl NameError {
    fn parts(&self) -> (&'static str, Params) {
        ("bad_name", Params::of("name", &*self.name).with("rule", self.why.name()))
    }
}

sampan_message::coded!(Error, ArchiveError, ProbeError, NotACd, BlockError, TarError, NameError);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let io = |kind| IoError::from(kind);
    let full = Error::Io { doing: "write", path: "/vms".into(), source: io(ErrorKind::StorageFull) };
    let mut all = samples_of(full, Error::after);
    all.extend(samples_of(ArchiveError::DiskImage("qcow2"), ArchiveError::after));
    all.extend(samples_of(ProbeError::Io(io(ErrorKind::UnexpectedEof)), ProbeError::after));
    all.extend(samples_of(NotACd::Other(FileKind::WebPage), NotACd::after));
    all.extend(crate::foreign::ImportNote::samples());
    all.extend(samples_of(BlockError::Cancelled, BlockError::after));
    all.extend(samples_of(TarError::Io(io(ErrorKind::UnexpectedEof)), TarError::after));
    all.extend(reasons());
    all
}

/// One of each reason, in an error that has it.
fn reasons() -> Vec<Message> {
    let (format, path) = (SourceFormat::Qcow2, || PathBuf::from("/vms/debian"));
    let name = |why| Error::BadName { name: "..".into(), why };
    let mut all: Vec<Message> = NameRule::ALL.into_iter().map(|why| name(why).message()).collect();
    let manifest = |why: ManifestFault| {
        [Error::Damaged { path: path(), why: why.clone() }.message(), Error::BadChange { why }.message()]
    };
    all.extend(ManifestFault::all().into_iter().flat_map(manifest));
    let changed = |why| Error::ImageChanged { path: path(), why }.message();
    all.extend(ImageChange::all().into_iter().map(changed));
    all.extend(ArchiveFault::all().into_iter().map(|why| ArchiveError::Damaged(why).message()));
    all.extend(DescriptionFault::all().into_iter().map(|why| ArchiveError::Unsupported(why).message()));
    all.extend(ImageFault::all().into_iter().map(|why| ProbeError::Damaged { format, why }.message()));
    all.extend(
        ImageFeature::all().into_iter().map(|what| ProbeError::Unsupported { format, what }.message()),
    );
    all
}
