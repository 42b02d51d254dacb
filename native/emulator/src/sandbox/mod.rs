//! A VM's process locks itself in: what QEMU was not given, it cannot reach, whoever has taken it over.
//!
//! Two of Linux's means are used, neither of which needs privileges. Landlock (`Documentation/userspace-api/landlock.rst`)
//! limits files to a list; a seccomp filter refuses system calls that a VM has no use for, with an error instead of
//! death, so that QEMU can go on and say what failed. Both hold for the calling thread and all it starts, and cannot be taken
//! back. `docs/guests.md` tells what stays possible.

#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
mod calls;
#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
mod files;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// What a VM may do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read a file, or all below a folder.
    Read,
    /// Read and write a file or device, or all below a folder, where files and folders may also be made, renamed and deleted.
    Write,
    /// The same for a folder that is shared with the guest: also owners, permissions, times and extended attributes may be
    /// changed. **No list that names one limits these calls to that folder**, as Landlock does not know them: they then work on every file
    /// that the user owns, which a list without one refuses altogether.
    Share,
}

impl Access {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Share];

    /// How the helper is told.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Read => "--read",
            Self::Write => "--write",
            Self::Share => "--share",
        }
    }

    pub(crate) fn of_option(option: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.option() == option)
    }
}

/// A path that a VM may use, with what is below it if it is a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// An absolute path that exists. A link is followed now, not later.
    pub path: PathBuf,
    /// What may be done with it.
    pub access: Access,
}

impl Allowed {
    /// For reading.
    pub fn read(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), access: Access::Read }
    }

    /// For reading and writing.
    pub fn write(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), access: Access::Write }
    }

    /// A folder that is shared with the guest for writing.
    pub fn share(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), access: Access::Share }
    }

    /// A list is refused as a whole for one path that is not there, before a VM is started.
    pub(crate) fn check(&self) -> io::Result<()> {
        if !self.path.is_absolute() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not absolute"));
        }
        self.path.metadata().map(drop)
    }
}

/// What locking in came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedIn {
    /// What this system does not have, a sentence each; empty when all is in force.
    pub missing: Vec<String>,
}

/// Why a VM was not locked in, and was not started.
#[derive(Debug, thiserror::Error)]
pub enum LockInError {
    /// A path of the list.
    #[error("{} cannot be allowed to the virtual machine: {reason}", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The system has the means and refuses it.
    #[error("the virtual machine's process could not be locked in: {0}; start it without, or report this")]
    Refused(String),
}

/// Locks the calling thread in, and all threads and processes it will start, for good: to the files of `allowed`, `firmware`
/// for reading, and what every VM needs of the system; without programs, other processes' memory, mounts, and sockets other than the
/// internet's. Open file descriptors stay usable.
///
/// # Errors
/// [`LockInError`]. What the kernel does not have is no error: [`LockedIn::missing`] tells.
pub fn lock_in(firmware: &Path, allowed: &[Allowed]) -> Result<LockedIn, LockInError> {
    let mut missing = Vec::new();
    platform::lock_in(firmware, allowed, &mut missing)?;
    Ok(LockedIn { missing })
}

/// What this system offers to lock VMs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SandboxReport {
    /// The version of Landlock's interface, 1 (Linux 5.13) or more; 0 without Landlock. From
    /// 5 on (6.10) orders to devices are limited too.
    pub landlock: u32,
    /// Whether seccomp filters are there.
    pub seccomp: bool,
    /// Both in words.
    pub summary: String,
}

/// Finds out what [`lock_in`] can use here, without using it.
pub fn report() -> SandboxReport {
    let (landlock, seccomp) = platform::available();
    let files = match landlock {
        0 => "files are not limited, as the kernel has no Landlock (Linux 5.13 or newer, with landlock in its lsm= list)".to_owned(),
        version => format!("files are limited by Landlock {version}"),
    };
    let calls = match seccomp {
        true => "system calls by seccomp",
        false => "system calls are not, as the kernel has no seccomp filters",
    };
    SandboxReport { landlock, seccomp, summary: format!("{files}, {calls}") }
}

#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
mod platform {
    use super::{Access, Allowed, LockInError, Path, calls, files};

    pub fn lock_in(
        firmware: &Path,
        allowed: &[Allowed],
        missing: &mut Vec<String>,
    ) -> Result<(), LockInError> {
        missing.extend(files::limit(firmware, allowed)?);
        let shares = allowed.iter().any(|allowed| allowed.access == Access::Share);
        missing.extend(calls::refuse(shares)?);
        Ok(())
    }

    pub fn available() -> (u32, bool) {
        (files::version(), calls::available())
    }
}

#[cfg(not(all(target_os = "linux", not(target_env = "ohos"))))]
mod platform {
    use super::{Allowed, LockInError, Path};

    pub fn lock_in(_: &Path, _: &[Allowed], missing: &mut Vec<String>) -> Result<(), LockInError> {
        missing.push("this system confines its applications by itself".to_owned());
        Ok(())
    }

    pub fn available() -> (u32, bool) {
        (0, false)
    }
}
