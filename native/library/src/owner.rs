//! Whose a folder or a file is. What another user made, or may change, is not taken for ours.
//!
//! Everything is asked of an open descriptor, so that the answer is about what is used next and not about what a name
//! stood for a moment ago. A library that passes is safe from then on: nobody else can put anything in or rename what
//! is there, as long as its folders are its owner's alone to write.

use crate::error::{Error, Result, io};
use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Write permission of the group and of all others.
const OTHERS_WRITE: u32 = 0o022;
/// Write permission of all others.
const ALL_WRITE: u32 = 0o002;
/// In a folder with this bit nobody renames or removes what belongs to somebody else (sticky bit, as on `/tmp`).
const STICKY: u32 = 0o1000;

/// Refuses what belongs to another user, or what others may write.
///
/// # Errors
///
/// [`Error::NotOurs`], [`Error::OthersWrite`].
pub(crate) fn check(file: impl AsFd, path: &Path) -> Result<()> {
    let stat = fstat(file).map_err(|e| io("look at", path)(e.into()))?;
    check_stat(&stat, rustix::process::geteuid().as_raw(), path)
}

/// Refuses what belongs to another user, whatever its mode.
///
/// # Errors
///
/// [`Error::NotOurs`].
pub(crate) fn check_owner(stat: &Stat, path: &Path) -> Result<()> {
    owned_by(stat, rustix::process::geteuid().as_raw(), path)
}

fn owned_by(stat: &Stat, us: u32, path: &Path) -> Result<()> {
    match stat.st_uid == us {
        true => Ok(()),
        false => Err(Error::NotOurs { path: path.to_path_buf(), owner: stat.st_uid }),
    }
}

fn check_stat(stat: &Stat, us: u32, path: &Path) -> Result<()> {
    owned_by(stat, us, path)?;
    let mode = stat.st_mode & 0o7777;
    // A link has no mode of its own: all of it is set.
    if mode & OTHERS_WRITE != 0 {
        return Err(Error::OthersWrite { path: path.to_path_buf(), mode });
    }
    Ok(())
}

/// Opens a folder of the library itself. A person may have put a link in its place, to keep it on another disk.
///
/// # Errors
///
/// [`Error::NotOurs`], [`Error::OthersWrite`], or what the system says.
pub(crate) fn library_folder(path: &Path) -> Result<OwnedFd> {
    own(CWD, path, path, OFlags::empty())
}

/// Opens a folder of a bundle: no link.
///
/// # Errors
///
/// As [`library_folder`]; [`Error::NotAFile`] for anything but a folder.
pub(crate) fn folder(path: &Path) -> Result<OwnedFd> {
    own(CWD, path, path, OFlags::NOFOLLOW)
}

/// Opens the folder `name` in one that is open and is called `parent`; `None` where there is none.
///
/// # Errors
///
/// As [`folder`].
pub(crate) fn folder_in(open: impl AsFd, parent: &Path, name: &str) -> Result<Option<OwnedFd>> {
    match own(open, Path::new(name), &parent.join(name), OFlags::NOFOLLOW) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn own(at: impl AsFd, name: &Path, path: &Path, links: OFlags) -> Result<OwnedFd> {
    // Without reading it (`O_PATH`): another user's folder is told as such and not as one that cannot be opened.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | links;
    let folder = openat(at, name, flags, Mode::empty()).map_err(|e| match e {
        Errno::NOTDIR | Errno::LOOP => Error::NotAFile(path.to_path_buf()),
        other => io("open the folder", path)(other.into()),
    })?;
    check(&folder, path)?;
    Ok(folder)
}

/// Refuses a place where anybody may rename the folders on the way to it: another one could stand there at any moment.
/// `/tmp` is none such, because of its sticky bit. To whom the folders belong is the system's matter.
///
/// # Errors
///
/// [`Error::OthersWrite`] with the folder.
pub(crate) fn check_way(path: &Path) -> Result<()> {
    let given = std::path::absolute(path).map_err(io("find", path))?;
    let real = path.canonicalize().map_err(io("find", path))?;
    // Both: the folders that links on the way are in, and those that they lead to.
    for folder in given.ancestors().skip(1).chain(real.ancestors().skip(1)) {
        let stat = rustix::fs::stat(folder).map_err(|e| io("look at", folder)(e.into()))?;
        let mode = stat.st_mode & 0o7777;
        if mode & ALL_WRITE != 0 && mode & STICKY == 0 {
            return Err(Error::OthersWrite { path: folder.to_path_buf(), mode });
        }
    }
    Ok(())
}

/// Makes a folder in a bundle, for its owner alone, where there is none, and refuses one that others made or may write: for
/// what the rest of the program keeps there.
///
/// # Errors
///
/// [`Error::NotOurs`], [`Error::OthersWrite`], [`Error::NotAFile`], or what the system says.
pub fn private_folder(path: &Path) -> Result<()> {
    make(path)?;
    folder(path).map(drop)
}

/// Makes a folder for its owner alone, where there is nothing.
pub(crate) fn make(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(io("make the folder", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_what_is_ours_alone_to_write() {
        let home = tempfile::tempdir().expect("a folder");
        let stat = rustix::fs::stat(home.path()).expect("is there");
        check_stat(&stat, stat.st_uid, home.path()).expect("is ours");
        let another = check_stat(&stat, stat.st_uid + 1, home.path());
        assert!(matches!(another, Err(Error::NotOurs { owner, .. }) if owner == stat.st_uid));
        for (mode, well) in [(0o755, true), (0o770, false), (0o702, false), (0o1777, false), (0o2750, true)] {
            std::fs::set_permissions(home.path(), Permissions::from_mode(mode)).expect("is set");
            assert_eq!(folder(home.path()).is_ok(), well, "{mode:o}");
        }
    }

    #[test]
    fn a_way_that_anybody_may_bend_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let (above, place) = (home.path().join("above"), home.path().join("above/place"));
        std::fs::create_dir_all(&place).expect("are made");
        for (mode, well) in [(0o777, false), (0o1777, true), (0o775, true), (0o700, true)] {
            std::fs::set_permissions(&above, Permissions::from_mode(mode)).expect("is set");
            assert_eq!(check_way(&place).is_ok(), well, "{mode:o}");
        }
    }
}
