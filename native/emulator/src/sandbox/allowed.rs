//! What a VM may open, as descriptors: what was looked at is what is allowed, whatever its name leads to later.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::stat::{Mode, SFlag, fstat};
use sampan_config::ShareSecurity;

/// What a VM may do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read a file or device, or all below a folder.
    Read,
    /// Read, write and truncate a file or device, or all below a folder, where files and folders may also be made, renamed and deleted.
    /// For a file this is all that QEMU needs to work on an image or to make one in it (`blockdev-create` opens it with `O_CREAT`).
    Write,
    /// The same for a folder that is shared with the guest for writing, and what QEMU's 9p server needs for the share's model besides
    /// (`hw/9pfs/9p-local.c`): to set times, and small extended attributes (`mapped-xattr`) or modes (`none`) by name. **These calls are not limited to
    /// that folder**, as Landlock does not know them: they then work on every file that the user owns, and are refused altogether
    /// where no list names such a folder.
    Share(ShareSecurity),
}

impl Access {
    const ALL: [Self; 4] =
        [Self::Read, Self::Write, Self::Share(ShareSecurity::None), Self::Share(ShareSecurity::MappedXattr)];

    /// How the helper is told.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Read => "--read",
            Self::Write => "--write",
            Self::Share(ShareSecurity::None) => "--share-none",
            Self::Share(ShareSecurity::MappedXattr) => "--share-mapped-xattr",
        }
    }

    pub(crate) fn of_option(option: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.option() == option)
    }
}

/// Kinds of files that can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Device,
}

/// A file, folder or device that a VM may open by any path that leads to it; with a folder, what is below it too.
///
/// It holds a descriptor, and the rule is made of that: a name that leads elsewhere by the time the VM starts allows nothing else.
/// Clones share the descriptor. QEMU does not get it, as it is closed before QEMU begins.
#[derive(Clone, Debug)]
pub struct Allowed {
    fd: Arc<OwnedFd>,
    path: PathBuf,
    access: Access,
    #[cfg_attr(target_env = "ohos", allow(dead_code, reason = "there the system confines the app"))]
    kind: Kind,
}

impl Allowed {
    /// Opens what is there now, without reading it. The last component of the path is not followed if it is a link; those before it are.
    ///
    /// # Errors
    /// What the system said; `InvalidInput` for a link, a FIFO or a socket.
    pub fn open(path: impl Into<PathBuf>, access: Access) -> io::Result<Self> {
        let path = path.into();
        let fd = open_path(&path, OFlag::O_NOFOLLOW)?;
        Self::of(fd, path, access)
    }

    /// The same for an open descriptor, which may be one of `O_PATH`. The path is for messages alone.
    ///
    /// # Errors
    /// `InvalidInput` for what is no file, folder or device; what the system said of the descriptor.
    pub fn of(fd: impl Into<OwnedFd>, path: impl Into<PathBuf>, access: Access) -> io::Result<Self> {
        let fd = fd.into();
        // No other program that is started meanwhile has it.
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        let kind = kind(fd.as_fd())?;
        Ok(Self { fd: Arc::new(fd), path: path.into(), access, kind })
    }

    /// What is there now behind all links: for what the system itself or its owner has put there.
    #[cfg_attr(target_env = "ohos", allow(dead_code, reason = "there the system confines the app"))]
    pub(super) fn followed(path: &Path, access: Access) -> io::Result<Self> {
        Self::of(open_path(path, OFlag::empty())?, path, access)
    }

    /// As messages name it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What may be done with it.
    pub fn access(&self) -> Access {
        self.access
    }

    #[cfg_attr(target_env = "ohos", allow(dead_code, reason = "there the system confines the app"))]
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// How the helper is told.
    pub(crate) fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Allowed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Not by the standard library: musl counts `O_PATH` among the bits of the access mode (`O_ACCMODE`), which
/// `OpenOptions::custom_flags` leaves out.
fn open_path(path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    Ok(nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC | flags, Mode::empty())?)
}

fn kind(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    match SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Ok(Kind::File),
        SFlag::S_IFDIR => Ok(Kind::Folder),
        SFlag::S_IFCHR | SFlag::S_IFBLK => Ok(Kind::Device),
        SFlag::S_IFLNK => Err(invalid("it is a symbolic link: name what it leads to")),
        _ => Err(invalid("it is neither a file nor a folder nor a device")),
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn files_folders_and_devices_are_allowed_and_nothing_else() {
        let tmp = tempfile::tempdir().unwrap();
        let at = |name: &str| tmp.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink(at("file"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRUSR).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        let kind = |path: PathBuf| Allowed::open(path, Access::Read).map(|allowed| allowed.kind());
        assert_eq!(kind(at("file")).unwrap(), Kind::File);
        assert_eq!(kind(tmp.path().to_owned()).unwrap(), Kind::Folder);
        assert_eq!(kind("/dev/null".into()).unwrap(), Kind::Device);
        for (name, words) in [("link", "symbolic link"), ("fifo", "neither"), ("socket", "neither")] {
            let error = kind(at(name)).unwrap_err();
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
        assert_eq!(kind(at("nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
        // Whoever owns the link may be followed when asked for.
        assert_eq!(Allowed::followed(&at("link"), Access::Read).unwrap().kind(), Kind::File);
    }

    #[test]
    fn an_ordinary_descriptor_serves_and_is_not_inherited() {
        let file = tempfile::tempfile().unwrap();
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let allowed = Allowed::of(file, "a file", Access::Write).unwrap();
        assert_eq!(fcntl(&allowed, FcntlArg::F_GETFD).unwrap(), FdFlag::FD_CLOEXEC.bits());
        let pipe = nix::unistd::pipe().unwrap();
        assert!(Allowed::of(pipe.0, "a pipe", Access::Read).is_err());
    }
}
