//! Virtual machines on disk: a folder with bundles, their images, snapshots and copies.
//!
//! **Invariant:** after a kill or a power loss at any moment every machine opens again with its last complete state. A
//! bundle's state is one small manifest that is replaced atomically; all else is written once and named by it. And:
//! nothing here opens an image of a running machine.
//!
//! Every call blocks and some take minutes: they belong on a thread that may wait. Image data are QEMU's matter, see
//! [`BlockLayer`].
//!
//! ```
//! use sampan_library::{Library, Sections};
//!
//! let home = tempfile::tempdir()?;
//! let library = Library::open(home.path())?;
//! let document = Sections::from([("system.json".into(), r#"{"arch": "x86_64"}"#.into())]);
//! let machine = library.create("Debian", &document, 1_700_000_000)?;
//! assert_eq!(library.find("debian")?, machine.id());
//! assert!(library.lock(machine.id()).is_err(), "one holder at a time");
//! drop(machine);
//! library.delete(library.find("debian")?, 1_700_000_100)?;
//! let machine = library.undelete(library.find_in_trash("Debian")?, None)?;
//! assert_eq!(machine.document()?, document);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod archive;
mod aside;
mod block;
mod block_error;
mod bundle;
mod chain;
mod checked;
mod clone;
mod codes;
mod collect;
mod disks;
mod draft;
mod error;
mod fault;
mod file_kind;
mod foreign;
mod format;
pub mod fs;
mod host;
mod id;
pub mod image;
mod library;
mod lock;
mod locked;
mod manifest;
mod media;
mod name_rule;
mod owner;
mod reclaim;
mod recover;
mod running;
mod snapshots;
mod space;
mod trash;
mod tree;
mod words;

pub use archive::{
    ARCHIVE_VERSION, Adopt, Contents, Disk, Exported, Member, TarError, TarReader, TarWriter, check_member,
};
pub use block::{Backing, BlockLayer, NewImage, OnProgress, Preallocation, Progress, blockdev};
pub use block_error::BlockError;
pub use bundle::{Bundle, MAX_SECTION, MAX_SECTIONS, MAX_THUMBNAIL, Sections, SnapshotUsage};
pub use checked::{CheckedChain, OpenImage, Pin, new_image_file};
pub use clone::NewClone;
#[doc(hidden)]
pub use codes::samples;
pub use disks::{DriveInfo, MIN_DRIVE, Space, Target, probe_import, why_no_cd};
pub use draft::Draft;
pub use error::{ArchiveError, Error, Result};
pub use fault::{ArchiveFault, DescriptionFault, ImageChange, ManifestFault};
pub use foreign::{
    Bus, DiskPlan, DriveFault, ImportNote, ImportPlan, MAX_DESCRIPTION, MachineFile, NicPlan, Origin,
    machine_file, name_from, parse_ovf, parse_utm, plan_import,
};
pub use format::{ImageFormat, Layer, SourceFormat};
pub use fs::open_named;
pub use host::HostSettings;
pub use id::{DriveId, FileName, SnapshotId, VmId, are_alike, check_name};
pub use library::{Entry, Library, MAX_MACHINES};
pub use locked::Locked;
pub use manifest::{
    Base, Flattening, Image, MAX_CHAIN, MAX_DRIVES, MAX_IMAGES, MAX_MANIFEST, MAX_NOTE, MAX_SNAPSHOTS,
    Manifest, Pending, Removed, Snapshot, Suspended, VERSION,
};
pub use media::{IfNoReflink, MAX_MEDIA, Medium};
pub use name_rule::{NameError, NameRule};
pub use owner::private_folder;
pub use running::Planned;
pub use snapshots::{NewSnapshot, Unsaved};
pub use space::{RESERVE, free};
pub use words::{date, shell_word};
