//! The codes of this crate's errors, and the values that their texts are made of.

use crate::fault::{BadArgument, BadFd, HostFault, NotLoaded};
use crate::sandbox::LockInError;
use crate::{Arch, Engine, Exit, HostKind, KillError, LaunchError};
use sampan_message::{Coded, Message, Params, Reason as _, io_code, samples as samples_of};
use std::io::{Error, ErrorKind};
use std::path::PathBuf;

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl LaunchError {
    fn parts(&self) -> (&'static str, Params) {
        const MISSING: &str = "incomplete_installation";
        match self {
            Self::NoLibqemu { searched } | Self::NoVmhost { searched } => {
                (MISSING, Params::of("path", paths(searched)))
            }
            Self::NoLibrary { path, arch, .. } => {
                (MISSING, Params::of("path", path.as_path()).with("arch", arch.to_string()))
            }
            Self::NoFirmware { path } | Self::NoTool { path } | Self::NoLicenses { path, .. } => {
                (MISSING, Params::of("path", path.as_path()))
            }
            Self::BadLibrary { path, reason } | Self::Load { path, reason } => {
                ("bad_libqemu", reason.as_reason().with("path", path.as_path()))
            }
            Self::BadArgument { argument, reason } => {
                ("bad_argument", reason.params().with("argument", &**argument))
            }
            Self::Unreadable { option, path, source } => (
                io_code(source),
                Params::of("path", path.as_path()).with("option", &**option).with("why", source.to_string()),
            ),
            Self::NotAllowed { path, source } => {
                ("not_allowed", Params::of("path", path.as_path()).with("why", source.to_string()))
            }
            Self::BadFd { name, reason } => ("bad_fd", reason.params().with("name", &**name)),
            Self::NoCopyLeft { arch, limit } => {
                ("restart_needed", Params::of("arch", arch.to_string()).with("limit", *limit))
            }
            Self::NoKeyLeft => ("restart_needed", Params::new()),
            Self::Copy { path, source } => {
                ("no_space", Params::of("path", path.as_path()).with("why", source.to_string()))
            }
            Self::Host { host, reason } => ("host_failed", reason.as_reason().with("host", host.name())),
            Self::System { what, source } => {
                (io_code(source), Params::of("doing", *what).with("why", source.to_string()))
            }
        }
    }

    fn after(&self) -> Option<Self> {
        let path = || PathBuf::from("/usr/lib/sampan/libqemu-x86_64.so");
        let (arch, why) = (Arch::X86_64, || Message::saying(&NotLoaded::Twice));
        let source = |kind| Error::from(kind);
        Some(match self {
            Self::NoLibqemu { .. } => Self::NoLibrary { arch, engine: Engine::Native, path: path() },
            Self::NoLibrary { .. } => Self::BadLibrary { path: path(), reason: why() },
            Self::BadLibrary { .. } => Self::NoFirmware { path: "/usr/lib/sampan/share".into() },
            Self::NoFirmware { .. } => Self::NoTool { path: "/usr/lib/sampan/qemu-img".into() },
            Self::NoTool { .. } => Self::NoLicenses {
                path: "/usr/lib/sampan/licenses".into(),
                source: source(ErrorKind::NotFound),
            },
            Self::NoLicenses { .. } => {
                Self::BadArgument { argument: "-daemonize".into(), reason: BadArgument::Daemonize }
            }
            Self::BadArgument { .. } => Self::Unreadable {
                option: "-kernel".into(),
                path: "/vm/kernel".into(),
                source: source(ErrorKind::NotFound),
            },
            Self::Unreadable { .. } => {
                Self::NotAllowed { path: "/vm/a".into(), source: source(ErrorKind::PermissionDenied) }
            }
            Self::NotAllowed { .. } => Self::BadFd { name: "qmp".into(), reason: BadFd::Taken },
            Self::BadFd { .. } => Self::NoCopyLeft { arch, limit: 4 },
            Self::NoCopyLeft { .. } => Self::NoKeyLeft,
            Self::NoKeyLeft => Self::Copy { path: path(), source: source(ErrorKind::StorageFull) },
            Self::Copy { .. } => Self::Load { path: path(), reason: why() },
            Self::Load { .. } => Self::NoVmhost { searched: vec!["/usr/bin/sampan-vmhost".into()] },
            Self::NoVmhost { .. } => Self::Host {
                host: HostKind::Fork,
                reason: Message::saying(&HostFault::Silent { seconds: 20 }),
            },
            Self::Host { .. } => {
                Self::System { what: "starting a thread", source: source(ErrorKind::WouldBlock) }
            }
            Self::System { .. } => return None,
        })
    }
}

impl Exit {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Clean => ("qemu_ended", Params::new()),
            Self::Failed { status, message } => {
                ("qemu_failed", Params::of("status", status.unsigned_abs()).with("message", &**message))
            }
            Self::Killed { signal, message } => {
                ("qemu_killed", Params::of("signal", signal.unsigned_abs()).with("message", &**message))
            }
            Self::Vanished { message } => ("qemu_vanished", Params::of("message", &**message)),
        }
    }

    fn after(&self) -> Option<Self> {
        match self {
            Self::Clean => Some(Self::Failed { status: 1, message: "-m 3q: invalid size".into() }),
            Self::Failed { .. } => Some(Self::Killed { signal: 11, message: String::new() }),
            Self::Killed { .. } => Some(Self::Vanished { message: String::new() }),
            Self::Vanished { .. } => None,
        }
    }
}

impl LockInError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Path { path, reason } => {
                ("not_allowed", Params::of("path", path.as_path()).with("why", &**reason))
            }
            Self::Refused(why) => ("sandbox_refused", Params::of("why", &**why)),
        }
    }

    fn after(&self) -> Option<Self> {
        match self {
            Self::Path { .. } => Some(Self::Refused("Landlock: invalid argument".into())),
            Self::Refused(_) => None,
        }
    }
}

impl KillError {
    fn parts(self) -> (&'static str, Params) {
        ("cannot_kill", Params::new())
    }
}

sampan_message::coded!(LaunchError, Exit, LockInError, KillError);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let nowhere = LaunchError::NoLibqemu { searched: vec!["/usr/lib/sampan".into()] };
    let mut all = samples_of(nowhere, LaunchError::after);
    let argument = |reason: BadArgument| LaunchError::BadArgument { argument: "-sandbox".into(), reason };
    all.extend(BadArgument::all().into_iter().map(|reason| argument(reason).message()));
    let fd = |reason| LaunchError::BadFd { name: "qmp".into(), reason }.message();
    all.extend(BadFd::all().into_iter().map(fd));
    let library = |why: &NotLoaded| LaunchError::Load {
        path: "/usr/lib/sampan/libqemu-x86_64.so".into(),
        reason: Message::saying(why),
    };
    all.extend(NotLoaded::all().iter().map(|why| library(why).message()));
    let host =
        |why: &HostFault| LaunchError::Host { host: HostKind::NativeChild, reason: Message::saying(why) };
    all.extend(HostFault::all().iter().map(|why| host(why).message()));
    all.extend(samples_of(Exit::Clean, Exit::after));
    let path = LockInError::Path { path: "/vm/a".into(), reason: "no such file".into() };
    all.extend(samples_of(path, LockInError::after));
    all.extend(samples_of(KillError, |_| None));
    all.extend(crate::probe::Reason::samples());
    all
}
