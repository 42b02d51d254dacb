//! Where a machine's control socket is.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Where a machine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// At this socket.
    Socket(PathBuf),
    /// At `control` in this folder. A socket's name has at most 107 bytes (`sun_path` in `unix(7)`) and a library's folder
    /// any number, so the way there is through the open folder.
    Folder(PathBuf),
}

/// A name of a socket that is short enough, as long as this lives.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    _folder: Option<File>,
}

impl Address {
    /// The socket of the machine in a bundle's folder.
    pub fn of_bundle(bundle: &Path) -> Self {
        Self::Folder(run_folder(bundle))
    }

    /// The socket, or the folder it is in.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Socket(path) | Self::Folder(path) => path,
        }
    }

    pub(crate) fn open(&self) -> std::io::Result<Opened> {
        match self {
            Self::Socket(path) => Ok(Opened { path: path.clone(), _folder: None }),
            Self::Folder(folder) => {
                let folder = File::open(folder)?;
                let path = PathBuf::from(format!("/proc/self/fd/{}/control", folder.as_raw_fd()));
                Ok(Opened { path, _folder: Some(folder) })
            }
        }
    }
}

/// Where a bundle keeps what lasts as long as a run.
pub fn run_folder(bundle: &Path) -> PathBuf {
    bundle.join("run")
}
