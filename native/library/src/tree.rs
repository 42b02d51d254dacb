//! Walks a folder with all below it, however deep it is.
//!
//! By descriptors: a name is always one component below an open folder, so that no path grows too long for the system
//! and no link is followed. One folder is open at a time, and the way back up is `..`, which must lead where the walk
//! came from; so neither the stack nor the limit of open files bounds the depth.

use crate::error::{Error, Result, io};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The most bytes of a path that an error tells: beyond it, the folder that is walked.
const TOLD: usize = 1024;

/// One thing that a walk came by.
pub(crate) struct Found<'a> {
    /// The open folder it is in.
    pub at: BorrowedFd<'a>,
    /// Its name there.
    pub name: &'a OsStr,
    /// Where that is, for people.
    pub path: &'a Path,
    /// Whether it is a folder: all in it was told before.
    pub folder: bool,
}

struct Level {
    name: OsString,
    /// Folders in it that the walk has not been to.
    left: Vec<OsString>,
    /// Device and inode of the folder it is in.
    parent: (u64, u64),
}

/// Tells `tell` of everything below `top` and last of `top` itself, which is no folder's link. What goes away meanwhile
/// is passed over.
///
/// # Errors
///
/// What the system or `tell` says first, about the path; `doing` says what was tried.
pub(crate) fn walk(
    top: &Path,
    doing: &'static str,
    tell: &mut dyn FnMut(Found<'_>) -> std::io::Result<()>,
) -> Result<()> {
    let (Some(above), Some(name)) = (top.parent(), top.file_name()) else {
        return Err(Error::NotAFile(top.to_path_buf()));
    };
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    // This one may be a link: a person's choice of where the folder is.
    let above = match openat(rustix::fs::CWD, above, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.map_err(|e| io("read the folder", above)(e.into()))?,
    };
    let mut walk = Walk { top, doing, path: top.to_path_buf(), tell };
    // The folder that is open: that of the last level.
    let Some((mut here, first)) = walk.enter(above.as_fd(), name)? else { return Ok(()) };
    let mut levels = vec![first];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.left.pop() {
            walk.path.push(&name);
            match walk.enter(here.as_fd(), &name)? {
                Some((folder, level)) => {
                    here = folder;
                    levels.push(level);
                }
                None => drop(walk.path.pop()),
            }
            continue;
        }
        let Some(done) = levels.pop() else { break };
        if levels.is_empty() {
            walk.tell(above.as_fd(), &done.name, true)?;
            break;
        }
        let up = openat(&here, "..", FOLDER, Mode::empty()).map_err(|e| walk.failed(e.into()))?;
        if id(&up).map_err(|e| walk.failed(e))? != done.parent {
            return Err(walk.failed(std::io::Error::other("somebody moved it meanwhile: try again")));
        }
        walk.tell(up.as_fd(), &done.name, true)?;
        walk.path.pop();
        here = up;
    }
    Ok(())
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn id(folder: impl AsFd) -> std::io::Result<(u64, u64)> {
    let Stat { st_dev, st_ino, .. } = fstat(folder)?;
    Ok((st_dev, st_ino))
}

struct Walk<'a> {
    top: &'a Path,
    doing: &'static str,
    path: PathBuf,
    tell: &'a mut dyn FnMut(Found<'_>) -> std::io::Result<()>,
}

impl Walk<'_> {
    fn failed(&self, e: std::io::Error) -> Error {
        let path = if self.path.as_os_str().len() > TOLD { self.top } else { &self.path };
        io(self.doing, path)(e)
    }

    fn tell(&mut self, at: BorrowedFd<'_>, name: &OsStr, folder: bool) -> Result<()> {
        match (self.tell)(Found { at, name, path: &self.path, folder }) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|e| self.failed(e)),
        }
    }

    /// Opens a folder and tells of the files in it; `None` where there is no folder (any more), and what is there in its
    /// place was told.
    fn enter(&mut self, at: BorrowedFd<'_>, name: &OsStr) -> Result<Option<(OwnedFd, Level)>> {
        let folder = match openat(at, name, FOLDER, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => return self.tell(at, name, false).map(|()| None),
            other => other.map_err(|e| self.failed(e.into()))?,
        };
        let mut left = Vec::new();
        for entry in Dir::read_from(&folder).map_err(|e| self.failed(e.into()))? {
            let entry = entry.map_err(|e| self.failed(e.into()))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Not every file system tells it in the list.
                FileType::Unknown => match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => continue,
                    stat => FileType::from_raw_mode(stat.map_err(|e| self.failed(e.into()))?.st_mode),
                },
                kind => kind,
            };
            if kind == FileType::Directory {
                left.push(name.to_owned());
            } else {
                self.path.push(name);
                self.tell(folder.as_fd(), name, false)?;
                self.path.pop();
            }
        }
        let parent = id(at).map_err(|e| self.failed(e))?;
        Ok(Some((folder, Level { name: name.to_owned(), left, parent })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_told_and_a_folder_after_what_is_in_it() {
        let home = tempfile::tempdir().expect("a folder");
        let top = home.path().join("top");
        std::fs::create_dir_all(top.join("a/b")).expect("are made");
        for file in ["a/b/file", "a/file", "file"] {
            std::fs::write(top.join(file), "").expect("is written");
        }
        std::os::unix::fs::symlink(home.path(), top.join("a/link")).expect("a link");
        let mut told = Vec::new();
        let mut tell = |found: Found<'_>| {
            assert_eq!(found.path.file_name(), Some(found.name));
            told.push((found.path.strip_prefix(&top).expect("below").to_path_buf(), found.folder));
            Ok(())
        };
        walk(&top, "look at", &mut tell).expect("is walked");
        let place = |path: &str| told.iter().position(|(p, _)| p == Path::new(path)).expect("was told");
        assert_eq!(told.len(), 7, "{told:?}");
        assert!(place("a/b/file") < place("a/b") && place("a/b") < place("a") && place("a") < place(""));
        assert!(told.iter().all(|(p, folder)| *folder == ["", "a", "a/b"].map(Path::new).contains(&&**p)));
        walk(&home.path().join("none"), "look at", &mut |_| panic!("there is nothing")).expect("no harm");
    }
}
