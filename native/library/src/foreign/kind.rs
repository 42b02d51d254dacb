//! What a file that is to be brought in is, by its content: people rename files, and browsers do.

use super::MAX_DESCRIPTION;
use crate::archive::{HEADER, TarReader};
use crate::error::{ArchiveError, Error, Result, io};
use crate::format::SourceFormat;
use crate::fs::open_regular;
use crate::image::{Content, FileKind, ProbeError, ReadAt, identify};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Who made a machine that is to be brought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineFile {
    /// Sampan: a `.sampanvm` file, for [`Library::import`](crate::Library::import).
    Own,
    /// Another program, for [`plan_import`](crate::plan_import).
    Foreign,
}

/// The kinds of machines of other programs.
pub(super) enum Foreign {
    /// A folder with a `config.plist`.
    Utm,
    /// A description.
    Ovf(PathBuf),
    /// A tar archive with a description.
    Ova,
}

/// Whose machine is in a file or a folder.
///
/// # Errors
///
/// [`Error::Archive`] for what is none, with what to do with it.
pub fn machine_file(path: &Path) -> Result<MachineFile> {
    let real = path.canonicalize().map_err(io("find", path))?;
    if real.is_dir() {
        return Ok(MachineFile::Foreign);
    }
    let file = open_regular(&real)?;
    match content(&file, path)? {
        Content::Tar => {
            let mut tar = TarReader::new(BufReader::new(file));
            let first = tar.next_member().ok().flatten();
            Ok(match first.is_some_and(|member| member.name == HEADER) {
                true => MachineFile::Own,
                false => MachineFile::Foreign,
            })
        }
        _ => foreign(&real).map(|_| MachineFile::Foreign),
    }
}

fn content(file: &impl ReadAt, path: &Path) -> Result<Content> {
    identify(file).map_err(|source| match source {
        ProbeError::Io(source) => io("read", path)(source),
        source => Error::Probe { path: path.to_path_buf(), source },
    })
}

pub(super) fn foreign(path: &Path) -> Result<Foreign> {
    let refuse = |source| Err(Error::Archive { path: path.to_path_buf(), source });
    if path.is_dir() {
        return folder(path);
    }
    let file = open_regular(path)?;
    match content(&file, path)? {
        Content::Tar => Ok(Foreign::Ova),
        Content::Image(SourceFormat::Vpc) => refuse(ArchiveError::DiskImage("vhd")),
        Content::Image(format) => refuse(ArchiveError::DiskImage(format.driver())),
        Content::Disk => refuse(ArchiveError::DiskImage("raw")),
        Content::Cd => refuse(ArchiveError::Cd),
        Content::Text(kind) => match text(&file, path)? {
            Some(Text::Ovf) => Ok(Foreign::Ovf(path.to_path_buf())),
            Some(Text::Plist) => refuse(ArchiveError::NotAMachine(FileKind::PropertyList)),
            None => refuse(ArchiveError::NotAMachine(kind)),
        },
        // Older archives have no mark of their own, and each header has a checksum.
        Content::Unknown if TarReader::new(BufReader::new(file)).next_member().is_ok_and(|m| m.is_some()) => {
            Ok(Foreign::Ova)
        }
        content => refuse(content.kind().map_or(ArchiveError::Unknown, ArchiveError::NotAMachine)),
    }
}

enum Text {
    Ovf,
    Plist,
}

/// Which of the descriptions that are known a text is, by its root element.
fn text(file: &impl ReadAt, path: &Path) -> Result<Option<Text>> {
    let most = usize::try_from(MAX_DESCRIPTION).unwrap_or(1 << 20);
    let head = file.up_to(0, most.min(16 << 10)).map_err(io("read", path))?;
    let head = String::from_utf8_lossy(&head);
    let mut elements = head.split('<').filter(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()));
    let root = elements.next().unwrap_or_default();
    let name = root.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or_default();
    Ok(match name.rsplit(':').next().unwrap_or_default() {
        "Envelope" => Some(Text::Ovf),
        "plist" => Some(Text::Plist),
        _ => None,
    })
}

/// A folder: UTM's, or one with a single description.
fn folder(path: &Path) -> Result<Foreign> {
    if path.join("config.plist").symlink_metadata().is_ok() {
        return Ok(Foreign::Utm);
    }
    let entries = std::fs::read_dir(path).map_err(io("read", path))?;
    let names = entries.flatten().map(|entry| entry.path());
    let is_ovf = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        !hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ovf"))
    };
    let mut found: Vec<PathBuf> = names.filter(is_ovf).take(2).collect();
    let refuse = |source| Err(Error::Archive { path: path.to_path_buf(), source });
    match (found.pop(), found.pop()) {
        (Some(only), None) => Ok(Foreign::Ovf(only)),
        (Some(_), Some(_)) => refuse(ArchiveError::Several),
        _ => refuse(ArchiveError::NoDescription),
    }
}
