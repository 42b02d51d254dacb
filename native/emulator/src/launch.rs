//! The contract between a VM's host and whoever runs VMs: argv plus named fds in, sockets and one
//! [`Exit`] out. The same in this process and in a child.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use sampan_config::HostKind;
use sampan_loader::LoadError;
use sampan_message::Message;

use crate::fault::{BadArgument, BadFd};
use crate::{Arch, Engine, LaunchSpec, LibqemuDir, Probe};

/// Called once, when the VM has ended, on a thread of the emulator's own. It may block, but the VM's
/// last resources are given back only when it returns.
pub type OnExit = Box<dyn FnOnce(Exit) + Send>;

/// Something that can run a VM. `session` knows no more of where a VM runs than this.
pub trait Launcher: Send + Sync {
    /// Checks all that can be checked, then starts QEMU. It returns before QEMU has read its arguments:
    /// an error of QEMU's own arrives as [`Exit::Failed`]. Takes some 20 ms of disk and linking work, so a
    /// caller on an event loop moves it to a blocking thread.
    ///
    /// # Errors
    /// Whatever is wrong before QEMU is called; no copy of libqemu is used up then.
    fn launch(&self, spec: LaunchSpec, on_exit: OnExit) -> Result<Running, LaunchError>;

    /// What guests can be run with in the kind of process in which this one runs them: a system may grant to one kind what it refuses to another. `dir` is
    /// looked at for the interpreter. See [`probe`](crate::probe()).
    fn probe(&self, dir: Option<&LibqemuDir>) -> Probe {
        crate::probe(dir)
    }
}

/// A VM that was started. Dropping it does not stop the VM: say `quit` over QMP, or use [`Control`].
#[derive(Debug)]
pub struct Running {
    /// QEMU's machine protocol: its greeting is the first thing to be read.
    pub qmp: UnixStream,
    /// The chardev `serial`, for `-serial chardev:serial`.
    pub serial: UnixStream,
    /// What QEMU prints as errors and warnings. Lines are lost, QEMU never waits, when nobody reads.
    pub log: UnixStream,
    /// To stop the VM without its help.
    pub control: Control,
}

/// Stops a VM from outside. Cheap to clone; does nothing once the VM has ended.
#[derive(Clone)]
pub struct Control(pub(crate) Arc<dyn Stop>);

/// What a launcher implements behind [`Control`].
pub(crate) trait Stop: Send + Sync {
    fn pid(&self) -> Option<u32>;
    fn terminate(&self);
    fn kill(&self) -> Result<(), KillError>;
}

impl Control {
    /// The process of its own in which the VM runs; `None` when that is this process.
    pub fn pid(&self) -> Option<u32> {
        self.0.pid()
    }

    /// What SIGTERM does to QEMU: disks are flushed and closed, the guest is not asked. Needs QEMU's main
    /// loop to be alive.
    pub fn terminate(&self) {
        self.0.terminate();
    }

    /// Ends the VM at once, as if its power failed.
    ///
    /// # Errors
    /// [`KillError`] for a VM in this process: a thread cannot be killed alone.
    pub fn kill(&self) -> Result<(), KillError> {
        self.0.kill()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("pid", &self.pid()).finish()
    }
}

/// A VM in this process cannot be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this virtual machine runs inside this program and cannot be killed alone: ask it to quit, or run it as a child"
)]
pub struct KillError;

/// How a VM ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// QEMU's main loop returned 0: `quit`, [`Control::terminate`], or the guest powered off.
    Clean,
    /// QEMU called `exit()`, or its main loop returned another status.
    Failed {
        /// The status QEMU gave.
        status: i32,
        /// The last lines of what QEMU said, without a final newline; empty when it said nothing.
        message: String,
    },
    /// The child process died of a signal: killed, crashed (11), or aborted (6).
    Killed {
        /// The signal's number.
        signal: i32,
        /// The last lines of what QEMU said, such as a failed assertion; empty when it said nothing.
        message: String,
    },
    /// The process is gone, and the system does not tell how it ended: a native child process.
    Vanished {
        /// The last lines of what QEMU said; empty when it said nothing.
        message: String,
    },
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match self {
            Self::Clean => return f.write_str("QEMU ended"),
            Self::Failed { status, message } => {
                write!(f, "QEMU gave up with status {status}")?;
                message
            }
            Self::Killed { signal, message } => {
                match nix::sys::signal::Signal::try_from(*signal) {
                    Ok(known) => write!(f, "QEMU's process was ended by {known}")?,
                    Err(_) => write!(f, "QEMU's process was ended by signal {signal}")?,
                }
                message
            }
            Self::Vanished { message } => {
                f.write_str("QEMU's process has vanished")?;
                message
            }
        };
        if message.is_empty() { f.write_str(" and said nothing") } else { write!(f, ": {message}") }
    }
}

/// For whoever tells how a VM ended as they tell errors.
impl std::error::Error for Exit {}

/// Why a VM was not started. QEMU has not been called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// No directory holds a libqemu.
    #[error("no libqemu found in {}: build it with scripts/qemu/build, or set SAMPAN_QEMU_DIR to its directory", list(.searched))]
    NoLibqemu {
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// The directory has no library for this architecture.
    #[error("no libqemu for {arch} guests{}: {} is missing; build it with scripts/qemu/build", engine_words(*.engine), .path.display())]
    NoLibrary {
        /// The guest's architecture.
        arch: Arch,
        /// The build that was asked for.
        engine: Engine,
        /// The file that is missing.
        path: PathBuf,
    },
    /// The library is of another kind.
    #[error("{} {reason}", .path.display())]
    BadLibrary {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: Message,
    },
    /// The firmware directory is missing.
    #[error("no firmware: {} is no directory; build libqemu again with scripts/qemu/build", .path.display())]
    NoFirmware {
        /// The directory that is missing.
        path: PathBuf,
    },
    /// `qemu-img` is missing.
    #[error("{} is missing: build libqemu again with scripts/qemu/build", .path.display())]
    NoTool {
        /// The file that is missing.
        path: PathBuf,
    },
    /// The licences cannot be read.
    #[error("{} cannot be read ({source}): build libqemu again with scripts/qemu/build", .path.display())]
    NoLicenses {
        /// The file with them.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An argument that QEMU could not be given.
    #[error("QEMU argument {argument:?} {reason}")]
    BadArgument {
        /// The argument.
        argument: String,
        /// What is wrong with it and what to do.
        reason: BadArgument,
    },
    /// A file named by an argument.
    #[error("{option}: {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The option.
        option: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that the VM was to be locked in to: what [`Allowed::open`](crate::Allowed::open) says of it, for whoever made the list.
    #[error("{} cannot be allowed to the virtual machine: {source}", .path.display())]
    NotAllowed {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A named fd that QEMU could not use.
    #[error("the fd named {name:?} {reason}")]
    BadFd {
        /// Its name.
        name: String,
        /// What is wrong with it and what to do.
        reason: BadFd,
    },
    /// Every copy of libqemu that came with the program has run.
    #[error(
        "all {limit} copies of libqemu for {arch} guests have run: restart the program, or reset a virtual machine instead of starting another"
    )]
    NoCopyLeft {
        /// The guest's architecture.
        arch: Arch,
        /// How many copies there are.
        limit: usize,
    },
    /// Of its keys of thread-specific data a process has few, and each virtual machine in it keeps some.
    #[error(
        "this program has run as many virtual machines as one process can: restart it, or reset a virtual machine instead of starting another"
    )]
    NoKeyLeft,
    /// No fresh copy of the library could be made.
    #[error("libqemu could not be copied from {}: {source}; free some space there or in memory", .path.display())]
    Copy {
        /// The library.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The dynamic linker refused the library.
    #[error("{} could not be loaded: {reason}", .path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// What is wrong with it, or what the linker said.
        reason: Message,
    },
    /// The helper program for VMs in processes of their own is missing.
    #[error("sampan-vmhost is not at {}: build it with cargo build -p sampan-emulator, or set SAMPAN_VMHOST to it", list(.searched))]
    NoVmhost {
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// A process was made for the VM and could not run it, or none was made.
    #[error("the virtual machine was not started in a process of its own ({host}): {reason}")]
    Host {
        /// What kind of process.
        host: HostKind,
        /// Why, with a code of its own.
        reason: Message,
    },
    /// The system refused a socket, a thread or a process.
    #[error("{what} failed: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What [`check_shared_library`](sampan_loader::check_shared_library) finds.
impl From<LoadError> for LaunchError {
    fn from(LoadError { path, kind }: LoadError) -> Self {
        Self::BadLibrary { path, reason: kind.reason() }
    }
}

impl LaunchError {
    /// For `map_err` on a call to the system.
    pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}

fn engine_words(engine: Engine) -> &'static str {
    match engine {
        Engine::Native => "",
        Engine::Interpreter => " with the interpreter",
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_speaks_for_itself() {
        let said = Exit::Failed { status: 1, message: "-m 3q: invalid size".into() };
        assert_eq!(said.to_string(), "QEMU gave up with status 1: -m 3q: invalid size");
        let silent = Exit::Killed { signal: 9, message: String::new() };
        assert_eq!(silent.to_string(), "QEMU's process was ended by SIGKILL and said nothing");
        assert_eq!(Exit::Clean.to_string(), "QEMU ended");
    }
}
