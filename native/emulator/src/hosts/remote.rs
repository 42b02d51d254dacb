//! The parent's side of a host process: what it passes, what it hears, and how long it waits.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::inside::{LOG, Lock, Run, Text, Word};
use crate::fault::HostFault;
use crate::log_tee::LogTee;
use crate::{LaunchError, LaunchSpec, LibqemuDir};

/// How long a host may take until it has called QEMU: it reads a library from disk. One that had inherited a lock would take for ever.
pub(super) const LOADING: Duration = Duration::from_secs(20);

/// The longest line that a host says.
const LONGEST_WORD: usize = 64 << 10;

/// The sockets of a VM: ours, and the host's by name.
pub(super) struct Sockets {
    pub(super) qmp: UnixStream,
    pub(super) serial: UnixStream,
    pub(super) log: UnixStream,
    pub(super) tee: LogTee,
    pub(super) theirs: Vec<(String, OwnedFd)>,
}

impl Sockets {
    pub(super) fn new(extra: Vec<(String, OwnedFd)>) -> Result<Self, LaunchError> {
        let socket = || UnixStream::pair().map_err(LaunchError::system("making a socket"));
        let (qmp, qemu_qmp) = socket()?;
        let (serial, qemu_serial) = socket()?;
        let (tee, qemu_log, log) = LogTee::new().map_err(LaunchError::system("making a socket"))?;
        let mut theirs: Vec<(String, OwnedFd)> =
            vec![("qmp".into(), qemu_qmp.into()), ("serial".into(), qemu_serial.into())];
        theirs.extend(extra);
        theirs.push((LOG.into(), qemu_log));
        Ok(Self { qmp, serial, log, tee, theirs })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.theirs.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// The order for a VM whose spec has been checked.
pub(super) fn order(
    dir: &LibqemuDir,
    spec: &LaunchSpec,
    fds: Vec<String>,
    lock: Option<Lock>,
) -> Result<Run, LaunchError> {
    let library = dir.library(spec.arch, spec.engine)?;
    let firmware = dir.firmware()?;
    let args = spec.args.iter().map(Text::from).collect();
    Ok(Run { library: library.into(), firmware: firmware.into(), args, fds, lock })
}

/// Hears a host's words.
pub(super) struct Words {
    control: UnixStream,
    said: Vec<u8>,
}

/// What is heard.
pub(super) enum Heard {
    Word(Word),
    /// The host has hung up: it has ended.
    End,
    /// It says nothing, or what is no word.
    Fault(HostFault),
}

impl Words {
    pub(super) fn of(control: &UnixStream) -> io::Result<Self> {
        Ok(Self { control: control.try_clone()?, said: Vec::new() })
    }

    /// Readable when there may be a word.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// The next word, for which is waited so long.
    pub(super) fn next(&mut self, patience: Duration) -> Heard {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(end) = self.said.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.said.drain(..=end).collect();
                return match serde_json::from_slice(&line) {
                    Ok(word) => Heard::Word(word),
                    Err(_) => Heard::Fault(HostFault::Misunderstood),
                };
            }
            if self.said.len() > LONGEST_WORD {
                return Heard::Fault(HostFault::Misunderstood);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Fault(HostFault::Silent { seconds: patience.as_secs() });
            }
            let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.control.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(0) | Err(Errno::EINTR) => continue,
                _ => {}
            }
            let mut buffer = [0; 4096];
            match self.control.read(&mut buffer) {
                Ok(0) => return Heard::End,
                Ok(read) => self.said.extend_from_slice(&buffer[..read]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Heard::End,
            }
        }
    }
}

/// Waits until a descriptor has something to say, so long at most.
pub(super) fn wait(fd: impl AsFd, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(_) if left.is_zero() => return false,
            Err(_) => {}
        }
    }
}
