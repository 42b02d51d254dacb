//! The socket in the file system: for its owner alone, and never in the way of another.

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_to, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Clients that may wait to be taken.
const BACKLOG: i32 = 128;

/// Listens at `path`, mode 0600 from its first moment. A socket that nobody listens at any more is replaced.
///
/// # Errors
/// The path is too long, taken, or in a folder that cannot be written.
pub fn bind(path: &Path) -> Result<UnixListener> {
    let name = path.display();
    let address = UnixAddr::new(path).with_context(|| {
        format!("--control {name}: a socket's name has at most 107 bytes, choose a shorter one")
    })?;
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            bail!("--control {name}: there is a file of that name, choose another");
        }
        if UnixStream::connect(path).is_ok() {
            bail!("--control {name}: another machine is controlled there, choose another name");
        }
        std::fs::remove_file(path)
            .with_context(|| format!("--control {name}: the old socket cannot be removed"))?;
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None).context("no socket could be made")?;
    // Linux gives the file the socket's own mode (less the umask), so there is no moment in which others could connect.
    fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR).context("the socket's mode cannot be set")?;
    bind_to(fd.as_raw_fd(), &address).map_err(|e| match e {
        Errno::ENOENT => anyhow::anyhow!("--control {name}: its folder is not there"),
        other => anyhow::Error::from(other).context(format!("--control {name}")),
    })?;
    listen(&fd, Backlog::new(BACKLOG)?).context("the control socket cannot listen")?;
    Ok(UnixListener::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_socket_is_the_owners_alone_and_never_taken_from_another() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("control");
        let first = bind(&path).expect("binds");
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = format!("{:#}", bind(&path).expect_err("is taken"));
        assert!(error.contains("another machine"), "{error}");
        drop(first);
        drop(bind(&path).expect("a stale socket is replaced"));
        std::fs::remove_file(&path).expect("removes");
        std::fs::write(&path, "precious").expect("writes");
        assert!(bind(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).expect("is untouched"), "precious");
        let error = format!("{:#}", bind(&dir.path().join("no/control")).expect_err("no folder"));
        assert!(error.contains("folder is not there"), "{error}");
        assert!(bind(&dir.path().join("x".repeat(200))).is_err());
    }
}
