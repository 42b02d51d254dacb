//! A VM's process locks itself in: what QEMU was not given, it cannot reach, whoever has taken it over.
//!
//! Two of Linux's means are used, neither of which needs privileges. Landlock (`Documentation/userspace-api/landlock.rst`)
//! limits files to a list; a seccomp filter refuses system calls that a VM has no use for, with an error instead of
//! death, so that QEMU can go on and say what failed. Both hold for the calling thread and all it starts, and cannot be taken
//! back. `docs/guests.md` tells what stays possible.

mod allowed;
#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
mod arguments;
#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
mod calls;
#[cfg(all(target_os = "linux", not(target_env = "ohos")))]
mod files;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use allowed::{Access, Allowed};

/// What a VM's process is left with once it has locked itself in, besides the descriptors that it was started with.
#[derive(Clone, Debug)]
pub struct Confinement {
    /// The files, folders and devices that it may open.
    pub files: Vec<Allowed>,
    /// Whether it may make internet sockets, and read what names are looked up by. Without, no socket of any family can be made: for a
    /// process that works on images alone.
    pub network: bool,
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
    /// A file of the list.
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

/// Locks the calling thread in, and all threads and processes it will start, for good: to the files of the confinement, `firmware`
/// for reading, and what every VM needs of the system; without programs, other processes' memory, mounts, and sockets other than the
/// internet's, or any. Open file descriptors stay usable.
///
/// # Errors
/// [`LockInError`]. What the kernel does not have is no error: [`LockedIn::missing`] tells.
pub fn lock_in(firmware: &Path, confinement: &Confinement) -> Result<LockedIn, LockInError> {
    let mut missing = Vec::new();
    platform::lock_in(firmware, confinement, &mut missing)?;
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
    use super::{Confinement, LockInError, Path, calls, files};

    pub fn lock_in(
        firmware: &Path,
        confinement: &Confinement,
        missing: &mut Vec<String>,
    ) -> Result<(), LockInError> {
        missing.extend(files::limit(firmware, confinement)?);
        missing.extend(calls::refuse(confinement)?);
        Ok(())
    }

    pub fn available() -> (u32, bool) {
        (files::version(), calls::available())
    }
}

#[cfg(not(all(target_os = "linux", not(target_env = "ohos"))))]
mod platform {
    use super::{Confinement, LockInError, Path};

    pub fn lock_in(_: &Path, _: &Confinement, missing: &mut Vec<String>) -> Result<(), LockInError> {
        missing.push("this system confines its applications by itself".to_owned());
        Ok(())
    }

    pub fn available() -> (u32, bool) {
        (0, false)
    }
}
