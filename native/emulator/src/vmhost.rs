//! The inside of the `sampan-vmhost` program: one VM in a process of its own.
//!
//! `sampan-vmhost --probe kvm|gpu|WAY-OF-JIT` answers to a [`probe`](crate::probe) on standard output;
//! `sampan-vmhost --parent PID --library FILE --firmware DIR --fd NAME=N…
//! [--lock network|offline [--read|--write|--share-none|--share-mapped-xattr N]…] -- QEMU ARGUMENTS`, where each N is an inherited descriptor: a
//! socket for QEMU, or a file that it may open.

use std::collections::HashSet;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;

use crate::copies::LibraryCopy;
use crate::ffi::{Exited, Phase, Qemu};
use crate::probe::Question;
use crate::sandbox::{Access, Allowed, Confinement, lock_in};
use crate::spec::{c_args, host_args};

/// What the program was told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Orders {
    parent: u32,
    library: PathBuf,
    firmware: PathBuf,
    fds: Vec<(String, RawFd)>,
    lock: Option<Lock>,
    args: Vec<OsString>,
}

/// Locked in to these, by number.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lock {
    network: bool,
    files: Vec<(Access, RawFd)>,
}

const USAGE: &str = "sampan-vmhost runs one virtual machine for sampan, which starts it: \
    there is nothing to use it for by hand";

/// Runs the program; QEMU's exit status is its own.
pub fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    if args.next().is_some_and(|first| first == "--probe") {
        let question = args.next().and_then(|name| Question::named(name.to_str()?));
        let Some(question) = question else { return ExitCode::FAILURE };
        let written = std::io::stdout().write_all(&question.answer());
        return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match Orders::parse(env::args_os().skip(1)).and_then(Orders::obey) {
        // SAFETY: no pointers. Nothing is left to be flushed, and the exit handlers of libraries that QEMU's
        // remaining threads still use must not run.
        Ok(status) => unsafe { libc::_exit(status) },
        Err(reason) => {
            eprintln!("sampan-vmhost: {reason}");
            ExitCode::FAILURE
        }
    }
}

impl Orders {
    fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut orders = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                orders.args = args.collect();
                let mut seen = HashSet::new();
                return if orders.numbers().all(|number| seen.insert(number)) {
                    Ok(orders)
                } else {
                    Err(USAGE.to_owned())
                };
            }
            let value = args.next().ok_or(USAGE)?;
            let text = value.to_str();
            match (arg.to_str(), text) {
                (Some("--library"), _) => orders.library = value.into(),
                (Some("--firmware"), _) => orders.firmware = value.into(),
                (Some("--lock"), Some(how @ ("network" | "offline"))) if orders.lock.is_none() => {
                    orders.lock = Some(Lock { network: how == "network", ..Lock::default() });
                }
                (Some(option), Some(text)) if Access::of_option(option).is_some() => {
                    let access = Access::of_option(option).ok_or(USAGE)?;
                    let number = descriptor("a file", text)?;
                    // Without the lock it would be an order that is not obeyed.
                    orders.lock.as_mut().ok_or(USAGE)?.files.push((access, number));
                }
                (Some("--parent"), Some(text)) => orders.parent = text.parse().map_err(|_| USAGE)?,
                (Some("--fd"), Some(text)) => {
                    let (name, number) = text.split_once('=').ok_or(USAGE)?;
                    orders.fds.push((name.to_owned(), descriptor(name, number)?));
                }
                _ => return Err(USAGE.to_owned()),
            }
        }
        Err(USAGE.to_owned())
    }

    /// All that was passed, each of which has one owner.
    fn numbers(&self) -> impl Iterator<Item = RawFd> {
        let files = self.lock.iter().flat_map(|lock| lock.files.iter().map(|(_, number)| *number));
        self.fds.iter().map(|(_, number)| *number).chain(files)
    }

    fn obey(self) -> Result<i32, String> {
        die_with(self.parent)?;
        // What QEMU makes is its user's alone.
        nix::sys::stat::umask(Mode::S_IRWXG | Mode::S_IRWXO);
        close_all_but(&self.numbers().collect());
        let confinement = self.lock.map(Lock::take).transpose()?;
        let mut log = None;
        let mut chardevs = Vec::new();
        for (name, number) in &self.fds {
            // SAFETY: the parent passed it for this use, by number, and nothing here opened it.
            let fd = unsafe { OwnedFd::from_raw_fd(*number) };
            fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
                .map_err(|e| format!("the fd named {name} was not passed: {e}"))?;
            match name.as_str() {
                "log" => log = Some(fd),
                _ => chardevs.push((name.as_str(), fd.into_raw_fd())),
            }
        }
        let log = log.ok_or("no fd named log was passed")?;
        let args = c_args(host_args(&self.args, &self.firmware, chardevs)).map_err(|e| e.to_string())?;
        let loaded = LibraryCopy::the_file_itself(self.library).load().map_err(|e| e.to_string())?;
        let qemu = Qemu::of(loaded).map_err(|e| e.to_string())?;
        // Loaded before, as the library's own file is not QEMU's business; every thread of QEMU's comes after.
        if let Some(confinement) = confinement {
            let locked = lock_in(&self.firmware, &confinement).map_err(|e| e.to_string())?;
            for missing in locked.missing {
                eprintln!("sampan-vmhost: {missing}");
            }
        }
        run(qemu, args, &log)
    }
}

impl Lock {
    /// The files are the caller's from then on; QEMU begins when they are closed.
    fn take(self) -> Result<Confinement, String> {
        let files = self.files.into_iter().map(|(access, number)| {
            // SAFETY: the parent passed it for this use, each number once, and nothing here opened it.
            let fd = unsafe { OwnedFd::from_raw_fd(number) };
            let path = fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
            Allowed::of(fd, &path, access).map_err(|e| format!("{}: {e}", path.display()))
        });
        Ok(Confinement { files: files.collect::<Result<_, _>>()?, network: self.network })
    }
}

fn descriptor(name: &str, number: &str) -> Result<RawFd, String> {
    let number: RawFd = number.parse().map_err(|_| USAGE)?;
    if number <= libc::STDERR_FILENO {
        return Err(format!("{name} is fd {number}, which is stdin, stdout or stderr"));
    }
    Ok(number)
}

/// The thread that is left does what QEMU's own program does by signal handlers.
fn run(qemu: Qemu, args: Vec<CString>, log: &OwnedFd) -> Result<i32, String> {
    let words = |e: Errno| e.to_string();
    let mut ending = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        ending.add(signal);
    }
    ending.thread_block().map_err(words)?;
    let signals = SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC).map_err(words)?;
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(words)?;
    let vm = qemu.start(args, "qemu", event.into(), log.as_fd()).map_err(|e| e.to_string())?;
    loop {
        let mut fds = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(vm.event().as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(words(e)),
        }
        if fds[0].any() == Some(true) && signals.read_signal().map_err(words)?.is_some() {
            vm.terminate();
        }
        if fds[1].any() == Some(true) {
            let _ = nix::unistd::read(vm.event(), &mut [0; 8]);
            let state = vm.state();
            if state.exited != Exited::No || state.phase == Phase::Ended {
                return Ok(state.status);
            }
        }
    }
}

/// However the parent dies, this process does too: a VM that nobody holds would keep its disks locked.
fn die_with(parent: u32) -> Result<(), String> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| format!("PR_SET_PDEATHSIG failed: {e}"))?;
    // It may have died before the call.
    if std::os::unix::process::parent_id() == parent { Ok(()) } else { Err("its parent is gone".into()) }
}

/// What a C library in the parent left open without close-on-exec is not this VM's.
fn close_all_but(named: &HashSet<RawFd>) {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    let number = |name: &OsStr| name.to_str()?.parse::<RawFd>().ok();
    let stray: Vec<RawFd> = open.flatten().filter_map(|entry| number(&entry.file_name())).collect();
    for fd in stray {
        if fd > libc::STDERR_FILENO && !named.contains(&fd) {
            // SAFETY: the program has just begun and owns no fd but the named ones; the directory's own is closed
            // already, and closing it again is an error without consequence.
            unsafe { libc::close(fd) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Orders, String> {
        Orders::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn orders_are_read() {
        let orders =
            parse("--parent 7 --library /l.so --firmware /fw --fd qmp=3 --fd log=5 -- -m 64").unwrap();
        assert_eq!(
            orders,
            Orders {
                parent: 7,
                library: "/l.so".into(),
                firmware: "/fw".into(),
                fds: vec![("qmp".into(), 3), ("log".into(), 5)],
                lock: None,
                args: vec!["-m".into(), "64".into()],
            }
        );
        let lock = parse("--lock offline --read 5 --write 6 --").unwrap().lock;
        let files = vec![(Access::Read, 5), (Access::Write, 6)];
        assert_eq!(lock, Some(Lock { network: false, files }));
    }

    #[test]
    fn wrong_orders_are_refused() {
        for line in
            ["", "--help", "--fd qmp --", "--fd qmp=x --", "--parent me --", "--fd log=2 --", "--what 1 --"]
                .into_iter()
                .chain([
                    "--lock in --",
                    "--read 5 --",
                    "--lock offline --read /etc --",
                    "--lock offline --read 1 --",
                ])
                .chain(["--lock offline --read 5 --share-none 5 --", "--fd log=5 --lock offline --read 5 --"])
                .chain(["--lock offline --lock network --"])
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
