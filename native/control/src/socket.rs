//! The socket in the file system: its owner's alone, and never in the place of another machine's.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_to, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};
use sampan_message::{Coded, Params};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Why a machine cannot listen at a path.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It is too long (`sun_path` in `unix(7)`).
    #[error("{}: a socket's name has at most 107 bytes, choose a shorter one", .0.display())]
    TooLong(PathBuf),
    /// There is something else.
    #[error("{}: there is a file of that name, choose another", .0.display())]
    Taken(PathBuf),
    /// Another machine listens there.
    #[error("{}: another machine is controlled there, choose another name", .0.display())]
    InUse(PathBuf),
    /// Its folder is missing.
    #[error("{}: its folder is not there", .0.display())]
    NoFolder(PathBuf),
    /// The system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Coded for BindError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "socket_name_too_long",
            Self::Taken(_) => "file_exists",
            Self::InUse(_) => "socket_in_use",
            Self::NoFolder(_) => "folder_missing",
            Self::Io { .. } => "io",
        }
    }

    fn params(&self) -> Params {
        let (Self::TooLong(path) | Self::Taken(path) | Self::InUse(path) | Self::NoFolder(path)) = self
        else {
            let Self::Io { path, source } = self else { return Params::new() };
            return Params::new().with("path", path.as_path()).with("why", source.to_string());
        };
        Params::new().with("path", path.as_path())
    }
}

/// Listens at `path`, mode 0600 from its first moment. A socket that nobody listens at any more is replaced.
///
/// # Errors
/// [`BindError`].
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let named = || path.to_owned();
    let io = |source: std::io::Error| BindError::Io { path: named(), source };
    let address = UnixAddr::new(path).map_err(|_| BindError::TooLong(named()))?;
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(BindError::Taken(named()));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(BindError::InUse(named()));
        }
        std::fs::remove_file(path).map_err(io)?;
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(|e| io(e.into()))?;
    // Linux gives the file the socket's own mode (less the umask), so there is no moment in which others could connect.
    fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|e| io(e.into()))?;
    bind_to(fd.as_raw_fd(), &address).map_err(|e| match e {
        Errno::ENOENT => BindError::NoFolder(named()),
        other => io(other.into()),
    })?;
    listen(&fd, Backlog::new(BACKLOG).map_err(|e| io(e.into()))?).map_err(|e| io(e.into()))?;
    Ok(UnixListener::from(fd))
}
