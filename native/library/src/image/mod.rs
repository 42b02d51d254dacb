//! Reading the headers of disk images: bounded, and only as far as it takes to say what an image is and what it needs.
//!
//! Nothing here follows a name that a header holds; that it holds one is told, and refused where images are imported.
//!
//! What is accepted here QEMU opens next, so both must read the same: each parser asks all that QEMU's block driver asks
//! when it opens an image, looks at the places that QEMU looks at, and refuses what the two could take differently.
//! `tests/suite/images_agree` compares them.

mod complete;
mod content;
mod fault;
mod qcow2;
mod read;
mod vdi;
mod vhdx;
mod vmdk;
mod vpc;

pub use crate::file_kind::FileKind;
pub use complete::check_complete;
pub use content::{Content, NotACd, identify};
pub use fault::{ImageFault, ImageFeature};
pub use qcow2::{CorruptionBits, Qcow2};
pub use read::{Bytes, ReadAt};

use crate::format::SourceFormat;

/// What a header says of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The format.
    pub format: SourceFormat,
    /// Bytes that a guest sees.
    pub virtual_size: u64,
    /// The file below it that it names, as written there.
    pub backing_file: Option<String>,
    /// The format written beside it.
    pub backing_format: Option<String>,
    /// Other files that hold its data, as written there.
    pub external_data: Vec<String>,
    /// How it is encrypted.
    pub encryption: Option<String>,
    /// It was not closed: QEMU repairs it when it opens it for writing.
    pub dirty: bool,
    /// It was found corrupt, and only reading is allowed.
    pub corrupt: bool,
    /// Snapshots inside the file.
    pub internal_snapshots: u32,
    /// Its data must be replayed from a journal before it can be read.
    pub needs_replay: bool,
}

impl Header {
    pub(crate) fn new(format: SourceFormat, virtual_size: u64) -> Self {
        Self {
            format,
            virtual_size,
            backing_file: None,
            backing_format: None,
            external_data: Vec::new(),
            encryption: None,
            dirty: false,
            corrupt: false,
            internal_snapshots: 0,
            needs_replay: false,
        }
    }
}

/// Why an image is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The file ends, or cannot be read.
    #[error("cannot read the image's header: {0}")]
    Io(#[from] std::io::Error),
    /// The header is not what the format says.
    #[error("the {} header is damaged: {why}; use an undamaged copy", .format.driver())]
    Damaged {
        /// The format it claims.
        format: SourceFormat,
        /// What is wrong.
        why: ImageFault,
    },
    /// The header asks for something unknown.
    #[error("the {} image uses {what}, which is not supported: convert it with the program that made it", .format.driver())]
    Unsupported {
        /// The format.
        format: SourceFormat,
        /// What it uses.
        what: ImageFeature,
    },
    /// No known header.
    #[error(
        "this is no image of a known format, and it has no boot sector, partition table or file system: get it anew if it is damaged, or say that it is raw if it is an empty disk"
    )]
    Unknown,
    /// Its tables name places beyond the file's end.
    #[error(
        "the {} image is not complete: its tables name {needed} bytes or more, the file has {size}; get it anew", .format.driver()
    )]
    Incomplete {
        /// The format.
        format: SourceFormat,
        /// Bytes that the file would have at least.
        needed: u64,
        /// Bytes that it has.
        size: u64,
    },
    /// Known, and not an image that could be imported.
    #[error("this is {}, not a disk image: {}", .0.words(), .0.remedy())]
    NotADisk(FileKind),
    /// A CD.
    #[error(
        "this is a CD image (ISO 9660 or UDF), not a disk image: put it into a CD drive, or say that it is a raw disk if it is made to start from a USB stick"
    )]
    Cd,
    /// It was said to be another format.
    #[error("the image was said to be {said}, its header says {found}: name the right format")]
    OtherFormat {
        /// As given.
        said: &'static str,
        /// As found.
        found: &'static str,
    },
    /// It names a file below it.
    #[error(
        "the image is an overlay of “{0}”, which it would read from this machine: flatten it where it was made (qemu-img convert), and import the result"
    )]
    BackingFile(String),
    /// Its data are elsewhere.
    #[error("the image's data are in other files ({}): convert it to one file where it was made (qemu-img convert), and import the result", .0.join(", "))]
    ExternalData(Vec<String>),
    /// It is encrypted.
    #[error("the image is encrypted ({0}): decrypt it where its key is known, and import the result")]
    Encrypted(String),
    /// It is corrupt by its own mark.
    #[error(
        "the image is marked corrupt: repair it (qemu-img check -r all) on a copy, and import the result"
    )]
    Corrupt,
    /// A journal is not replayed.
    #[error(
        "the image was not closed properly and has a journal to be replayed: attach it once to the program that made it, and detach it"
    )]
    NeedsReplay,
    /// No guest can use it.
    #[error(
        "the image's size of {0} bytes is beyond what can be used: whole sectors of 512 bytes, 64 TiB at most"
    )]
    Size(u64),
}

pub(crate) fn damaged(format: SourceFormat, why: ImageFault) -> ProbeError {
    ProbeError::Damaged { format, why }
}

/// The largest virtual size, 64 TiB: QEMU's qcow2 with its usual clusters and refcounts goes no further.
pub const MAX_VIRTUAL_SIZE: u64 = 64 << 40;

/// The format that the content shows: a header's, or raw for the bytes of a disk (see [`Content`]). `None` for a file that
/// shows nothing, which may be an empty disk or damaged.
///
/// # Errors
///
/// When the file cannot be read, or is something else that is known.
pub fn recognise(file: &impl ReadAt) -> Result<Option<SourceFormat>, ProbeError> {
    let content = identify(file)?;
    match content {
        Content::Image(format) => Ok(Some(format)),
        Content::Disk => Ok(Some(SourceFormat::Raw)),
        Content::Unsupported(FileKind::Luks) => Err(ProbeError::Encrypted("LUKS".into())),
        Content::Cd => Err(ProbeError::Cd),
        content => match content.kind() {
            Some(kind) => Err(ProbeError::NotADisk(kind)),
            None => Ok(None),
        },
    }
}

/// Reads the header of an image whose format is known. A raw image has none: its size is the file's.
///
/// # Errors
///
/// [`ProbeError::Damaged`], [`ProbeError::Unsupported`] or [`ProbeError::Io`].
pub fn read_header(file: &impl ReadAt, format: SourceFormat) -> Result<Header, ProbeError> {
    let header = match format {
        SourceFormat::Qcow2 => Qcow2::read(file)?.into_header(),
        SourceFormat::Raw => Header::new(format, file.size()?.next_multiple_of(512)),
        SourceFormat::Vmdk => vmdk::read(file)?,
        SourceFormat::Vdi => vdi::read(file)?,
        SourceFormat::Vhdx => vhdx::read(file)?,
        SourceFormat::Vpc => vpc::read(file)?,
    };
    if header.virtual_size > MAX_VIRTUAL_SIZE {
        return Err(ProbeError::Size(header.virtual_size));
    }
    Ok(header)
}

/// Reads the header of an image that comes from elsewhere, and refuses it if it needs anything but its own file, or if the
/// file is shorter than its own tables say.
///
/// Without `said`, the format is what the content shows, see [`recognise`]. A person may say that a file is raw whatever it
/// shows, since a raw disk's bytes are its guest's.
///
/// # Errors
///
/// [`ProbeError`] with the reason in words.
pub fn probe_import(file: &impl ReadAt, said: Option<SourceFormat>) -> Result<Header, ProbeError> {
    let format = match said {
        Some(SourceFormat::Raw) => SourceFormat::Raw,
        Some(said) => match recognise(file)? {
            Some(found) if found == said => said,
            found => {
                let found = found.map_or("nothing known", SourceFormat::driver);
                return Err(ProbeError::OtherFormat { said: said.driver(), found });
            }
        },
        None => recognise(file)?.ok_or(ProbeError::Unknown)?,
    };
    let header = read_header(file, format)?;
    if let Some(backing) = header.backing_file {
        return Err(ProbeError::BackingFile(backing));
    }
    if !header.external_data.is_empty() {
        return Err(ProbeError::ExternalData(header.external_data));
    }
    if let Some(how) = header.encryption {
        return Err(ProbeError::Encrypted(how));
    }
    if header.corrupt {
        return Err(ProbeError::Corrupt);
    }
    if header.needs_replay {
        return Err(ProbeError::NeedsReplay);
    }
    // QEMU has sectors, and drops or adds what is a part of one.
    if header.virtual_size == 0 || !header.virtual_size.is_multiple_of(512) {
        return Err(ProbeError::Size(header.virtual_size));
    }
    if said != Some(SourceFormat::Raw) {
        check_complete(file, format)?;
    }
    Ok(header)
}

/// A name from a header, for messages: without control characters, at most 200 characters.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(200).collect()
}
