//! What a VM is started with, checked before a copy of libqemu is used up, and the argv made of it.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::sys::socket::{SockType, getsockopt, sockopt};

use crate::fault::{BadArgument, BadFd};
use crate::sandbox::Confinement;
use crate::{Arch, Engine, LaunchError};

/// A VM to be started.
///
/// The arguments are QEMU's, without its program name and without fd numbers. The host itself adds
/// `-L FIRMWARE` (unless `-L` is given), for each fd but `log` `-chardev socket,id=NAME,fd=N`, and for
/// `qmp` a monitor in control mode; so the caller refers to fds by name, as in `-serial chardev:serial`.
///
/// ```
/// use sampan_emulator::{Arch, LaunchSpec};
///
/// let mut spec = LaunchSpec::new("first", Arch::X86_64);
/// spec.args(["-machine", "q35", "-nodefaults", "-display", "none", "-serial", "chardev:serial"]);
/// assert_eq!(spec.args.len(), 7);
/// ```
#[derive(Debug)]
pub struct LaunchSpec {
    /// For threads, logs and messages; QEMU's `-name` is the caller's to give.
    pub name: String,
    /// The guest's architecture.
    pub arch: Arch,
    /// Which build of libqemu.
    pub engine: Engine,
    /// QEMU's arguments.
    pub args: Vec<OsString>,
    /// More chardevs: a name of `a-z`, digits, `-`, `_` or `.`, at most 20 characters (what a native child
    /// process takes), and a connected stream socket.
    pub extra_fds: Vec<(String, OwnedFd)>,
    /// With it, a VM in a process of its own locks itself in to these files, and can run no programs and reach no
    /// local sockets: see [`sandbox`](crate::sandbox). Every file that QEMU opens by itself, now or when told to over QMP, must be in it or below
    /// a folder in it; what is passed as a file descriptor need not. `None` leaves it free. A VM in this process is never locked in, as that
    /// would lock this process in.
    pub confinement: Option<Confinement>,
}

/// The longest name of an fd.
const NAME_MAX: usize = 20;

/// Names that the host gives itself.
const RESERVED: [&str; 3] = ["qmp", "serial", "log"];

/// Options that would act on the whole process, or outlive the fds they were given.
const REFUSED: [(&str, BadArgument); 6] = [
    ("daemonize", BadArgument::Daemonize),
    ("runas", BadArgument::User),
    ("run-with", BadArgument::WholeProgram),
    ("chroot", BadArgument::Root),
    ("sandbox", BadArgument::Sandbox),
    ("pidfile", BadArgument::Pidfile),
];

/// Options whose value is a file to read, or a protocol, a colon and more. (`-bios` is looked for in the
/// firmware's directory too.)
const FILES: [&str; 11] =
    ["kernel", "initrd", "dtb", "shim", "cdrom", "hda", "hdb", "hdc", "hdd", "fda", "pflash"];

impl LaunchSpec {
    /// A VM without arguments.
    pub fn new(name: impl Into<String>, arch: Arch) -> Self {
        Self {
            name: name.into(),
            arch,
            engine: Engine::default(),
            args: Vec::new(),
            extra_fds: Vec::new(),
            confinement: None,
        }
    }

    /// Adds arguments.
    pub fn args<I, S>(&mut self, args: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// All that can be known to be wrong without QEMU.
    pub(crate) fn check(&self) -> Result<(), LaunchError> {
        for (i, arg) in self.args.iter().enumerate() {
            let bad =
                |reason| LaunchError::BadArgument { argument: arg.to_string_lossy().into_owned(), reason };
            if arg.as_bytes().contains(&0) {
                return Err(bad(BadArgument::Nul));
            }
            // QEMU takes one dash or two.
            let option = arg.as_bytes().strip_prefix(b"-").map(|o| o.strip_prefix(b"-").unwrap_or(o));
            if let Some((_, reason)) = REFUSED.iter().find(|(name, _)| option == Some(name.as_bytes())) {
                return Err(bad(reason.clone()));
            }
            let takes_file = FILES.iter().any(|name| option == Some(name.as_bytes()));
            if let (true, Some(file)) = (takes_file, self.args.get(i + 1))
                && !file.as_bytes().contains(&b':')
            {
                File::open(file).map_err(|source| LaunchError::Unreadable {
                    option: arg.to_string_lossy().into_owned(),
                    path: file.into(),
                    source,
                })?;
            }
        }
        for (i, (name, fd)) in self.extra_fds.iter().enumerate() {
            let bad = |reason| LaunchError::BadFd { name: name.clone(), reason };
            if RESERVED.contains(&name.as_str()) || self.extra_fds[..i].iter().any(|(n, _)| n == name) {
                return Err(bad(BadFd::Taken));
            }
            let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
            if !name.starts_with(|c: char| c.is_ascii_lowercase())
                || name.len() > NAME_MAX
                || !name.bytes().all(allowed)
            {
                return Err(bad(BadFd::Name { most: NAME_MAX }));
            }
            match getsockopt(fd, sockopt::SockType) {
                Ok(SockType::Stream) => {}
                Ok(other) => return Err(bad(BadFd::NoStream { kind: format!("{other:?}") })),
                Err(e) => return Err(bad(BadFd::NoSocket { why: e.to_string() })),
            }
        }
        Ok(())
    }
}

/// Adds to the caller's arguments what the contract says the host adds.
///
/// `fds` are the chardevs by name, with the numbers they have in the process where QEMU will run.
pub(crate) fn host_args<'a>(
    args: &[OsString],
    firmware: &Path,
    fds: impl IntoIterator<Item = (&'a str, RawFd)>,
) -> Vec<OsString> {
    let mut all = Vec::with_capacity(args.len() + 12);
    all.push("qemu".into());
    if !args.iter().any(|a| a == "-L") {
        all.push("-L".into());
        all.push(firmware.into());
    }
    for (name, fd) in fds {
        all.push("-chardev".into());
        all.push(format!("socket,id={name},fd={fd}").into());
        if name == "qmp" {
            all.push("-mon".into());
            all.push("chardev=qmp,mode=control".into());
        }
    }
    all.extend_from_slice(args);
    all
}

/// For C. [`LaunchSpec::check`] has seen the caller's arguments, so a NUL can only be in the firmware's path.
pub(crate) fn c_args(args: Vec<OsString>) -> Result<Vec<CString>, LaunchError> {
    args.into_iter()
        .map(|arg| {
            CString::new(arg.into_vec()).map_err(|e| LaunchError::BadArgument {
                argument: String::from_utf8_lossy(&e.into_vec()).into_owned(),
                reason: BadArgument::Nul,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    fn spec() -> LaunchSpec {
        LaunchSpec::new("test", Arch::X86_64)
    }

    #[test]
    fn options_that_act_on_the_process_are_refused() {
        for arg in ["-daemonize", "--daemonize", "-sandbox", "-runas"] {
            let error = spec().args([arg]).check().unwrap_err();
            assert!(error.to_string().contains("leave it out"), "{error}");
        }
        let nul = OsString::from_vec(b"-na\0me".to_vec());
        assert!(matches!(spec().args([nul]).check(), Err(LaunchError::BadArgument { .. })));
        assert!(spec().args(["-name", "daemonize"]).check().is_ok());
    }

    #[test]
    fn fds_are_checked() {
        let with = |name: &str, fd: OwnedFd| {
            let mut s = spec();
            s.extra_fds.push((name.into(), fd));
            s.check().map_err(|e| e.to_string())
        };
        let socket = || OwnedFd::from(UnixStream::pair().unwrap().0);
        assert_eq!(with("guest", socket()), Ok(()));
        for name in ["qmp", "log", "", "a,b", "Guest", "9p", "a-name-that-is-far-too-long"] {
            assert!(with(name, socket()).is_err_and(|e| e.contains("name")), "{name}");
        }
        assert!(
            with("guest", UnixDatagram::unbound().unwrap().into()).is_err_and(|e| e.contains("Datagram"))
        );
        assert!(
            with("guest", File::open("/dev/null").unwrap().into()).is_err_and(|e| e.contains("no socket"))
        );

        let mut twice = spec();
        twice.extra_fds = vec![("a".into(), socket()), ("a".into(), socket())];
        assert!(twice.check().is_err());
    }

    #[test]
    fn the_host_adds_what_the_contract_says() {
        let args = [OsString::from("-m"), "128".into()];
        let all = host_args(&args, Path::new("/fw"), [("qmp", 5), ("guest", 7)]);
        let all: Vec<_> = all.iter().map(|a| a.to_str().unwrap()).collect();
        assert_eq!(
            all.join(" "),
            "qemu -L /fw -chardev socket,id=qmp,fd=5 -mon chardev=qmp,mode=control \
             -chardev socket,id=guest,fd=7 -m 128"
        );
        let own = host_args(&["-L".into(), "/mine".into()], Path::new("/fw"), []);
        assert_eq!(own, ["qemu", "-L", "/mine"]);
    }
}
