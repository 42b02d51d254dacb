//! Ending the process of a machine that does not answer.

use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use sampan_library::{Bundle, Error as LibraryError, Library};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a process that was killed may take to go: it may wait for a disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kills the process that runs a machine, and with it its QEMU. `hint` is that process as far as it is known. Only a process
/// that is certain to be it is killed. Blocks.
///
/// # Errors
/// [`Error::ProcessUnknown`], [`Error::ProcessStays`].
pub(crate) fn kill(library: &Library, bundle: &Bundle, hint: Option<u32>) -> Result<()> {
    let name = || bundle.name().to_owned();
    let likely = hint.into_iter().chain(bundle.last_holder());
    let found = likely.chain(all()).find_map(|pid| Some((pid, supervisor(bundle, pid)?)));
    let Some((pid, process)) = found else {
        // It may have gone by itself meanwhile.
        return match library.try_lock(bundle.id()) {
            Err(LibraryError::InUse { .. }) => Err(Error::ProcessUnknown { name: name() }),
            _ => Ok(()),
        };
    };
    log::info!("process {pid} is killed: it runs {} and does not answer", bundle.name());
    match pidfd_send_signal(&process, Signal::KILL) {
        // It has gone by itself.
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(Error::io(format!("process {pid} cannot be ended"))(error.into())),
    }
    if has_ended(&process)? { Ok(()) } else { Err(Error::ProcessStays { name: name(), pid }) }
}

/// The process `pid`, if it is this user's supervisor of that machine and holds it. Everything is asked after the process is
/// held by a descriptor: if it went meanwhile, and another one got its number, the descriptor reaches neither.
fn supervisor(bundle: &Bundle, pid: u32) -> Option<OwnedFd> {
    let number = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let process = pidfd_open(number, PidfdFlags::empty()).ok()?;
    let place = PathBuf::from(format!("/proc/{pid}"));
    let ours = place.metadata().ok()?.uid() == nix::unistd::geteuid().as_raw();
    let id = bundle.id().to_string();
    (ours && pid != std::process::id() && supervises(&place, &id) && bundle.lock_is_open_in(pid))
        .then_some(process)
}

/// Whether a process was started as `… supervise … --id ID …`.
fn supervises(place: &Path, id: &str) -> bool {
    let Ok(line) = std::fs::read(place.join("cmdline")) else { return false };
    let mut arguments = line.split(|byte| *byte == 0).skip(1);
    arguments.next() == Some(b"supervise")
        && arguments.skip_while(|argument| *argument != b"--id").nth(1) == Some(id.as_bytes())
}

/// Every process there is.
fn all() -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn has_ended(process: &OwnedFd) -> Result<bool> {
    let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    let mut asked = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut asked, timeout) {
            Err(Errno::EINTR) => {}
            told => return Ok(told.map_err(|e| Error::io("waiting for a process")(e.into()))? > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_a_supervisor_by_how_it_was_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = "0b1c2d3e-0000-4000-8000-000000000001";
        for (line, is) in [
            (&["sampan", "supervise", "--home", "/h", "--id", id, "--listen", "127.0.0.1:0"][..], true),
            (&["sampan", "supervise", "--again", "--id", id], true),
            (&["sampan", "supervise", "--id", "0b1c2d3e-0000-4000-8000-000000000002"], false),
            (&["sampan", "stop", "--id", id], false),
            (&["less", "supervise --id", id], false),
            (&["sampan", "supervise", "--id"], false),
            (&[], false),
        ] {
            std::fs::write(folder.path().join("cmdline"), line.join("\0")).expect("is written");
            assert_eq!(supervises(folder.path(), id), is, "{line:?}");
        }
        assert!(!supervises(&folder.path().join("gone"), id));
    }
}
