//! One process at a time may run or change a machine.
//!
//! The lock is `flock` on a file of the bundle, so it ends with its process however that ends: there are no stale
//! locks. What is written in the file is for people, and says whether a run holds it: for any other holder it is worth waiting
//! a moment, as most look or change something and are gone.

use crate::bundle::Bundle;
use crate::error::{Error, Result, io};
use crate::fs;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The file of a bundle's lock.
pub(crate) const LOCK: &str = "lock";

/// How long to wait for a holder that does not run the machine.
pub(crate) const PASSING: Duration = Duration::from_secs(3);

const PACE: Duration = Duration::from_millis(20);

/// Who holds a lock.
#[derive(Serialize, Deserialize)]
struct Holder {
    pid: u32,
    since: u64,
    /// It runs the machine, so it keeps the lock as long as that runs.
    #[serde(default)]
    runs: bool,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    pub(crate) file: File,
}

impl Drop for Lock {
    /// Unlocks by name: closing would not do while a child that another thread is just starting has a copy of every
    /// descriptor, until its `exec` closes them.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Why a lock was not had.
pub(crate) enum Refused {
    Held { pid: Option<u32>, since: u64, runs: bool },
    Gone,
    Failed(Error),
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(path: &Path) -> std::result::Result<Self, Refused> {
        let file = open(path).map_err(|e| match &e {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Refused::Gone,
            _ => Refused::Failed(e),
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(holder(path).map_or(
                    Refused::Held { pid: None, since: 0, runs: false },
                    |holder| Refused::Held { pid: Some(holder.pid), since: holder.since, runs: holder.runs },
                ));
            }
            Err(TryLockError::Error(e)) => return Err(Refused::Failed(io("lock", path)(e))),
        }
        // Between opening and locking the bundle may have been moved to the trash or removed.
        let same = path.metadata().and_then(|there| {
            file.metadata().map(|ours| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
        });
        if !matches!(same, Ok(true)) {
            return Err(Refused::Gone);
        }
        sign(&file, path, false);
        Ok(Self { file })
    }

    /// The same, but waits so long for a holder that does not run the machine: one that lists its disks, say, is no reason for a
    /// person's change to fail.
    pub(crate) fn take_within(path: &Path, patience: Duration) -> std::result::Result<Self, Refused> {
        let begun = Instant::now();
        let mut again = false;
        loop {
            match Self::take(path) {
                // Who has just taken it may not have signed yet, so that the last holder's name is read: that is looked at twice.
                Err(Refused::Held { runs, .. }) if !(runs && again) && begun.elapsed() < patience => {
                    again = runs;
                    std::thread::sleep(PACE);
                }
                taken => return taken,
            }
        }
    }

    /// Notes that the machine runs from now on: whoever wants the lock is refused without waiting.
    pub(crate) fn runs(&self, path: &Path) {
        sign(&self.file, path, true);
    }

    /// Takes the library's own lock, which nobody holds for longer than a few file operations.
    pub(crate) fn wait(path: &Path, home: &Path) -> Result<Self> {
        for _ in 0..500 {
            match Self::take(path) {
                Ok(lock) => return Ok(lock),
                Err(Refused::Held { .. } | Refused::Gone) => std::thread::sleep(PACE),
                Err(Refused::Failed(e)) => return Err(e),
            }
        }
        Err(Error::LibraryBusy(PathBuf::from(home)))
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(fs::NOFOLLOW_NONBLOCK);
    let file = options.open(path).map_err(io("open the lock", path))?;
    match file.metadata().map_err(io("look at", path))?.is_file() {
        // Of another user's file that user could hold the lock for ever.
        true => crate::owner::check(&file, path).map(|()| file),
        false => Err(Error::NotAFile(path.to_path_buf())),
    }
}

/// Writes down who has it. That may fail (the disk is full): the lock holds all the same.
fn sign(file: &File, path: &Path, runs: bool) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let text = serde_json::to_vec(&Holder { pid: std::process::id(), since, runs }).unwrap_or_default();
    // Over what is there, which needs no room of a full disk.
    if let Err(e) = file.write_all_at(&text, 0).and_then(|()| file.set_len(text.len() as u64)) {
        log::warn!("cannot write to the lock {}: {e}", path.display());
    }
}

impl Bundle {
    /// The process that took the machine's lock last, by what it wrote down: it may have let go of it, or be gone.
    #[must_use]
    pub fn last_holder(&self) -> Option<u32> {
        holder(&self.path.join(LOCK)).map(|holder| holder.pid)
    }

    /// Whether the process `pid` has the file of the machine's lock open, as whoever holds the lock has, and a QEMU that it
    /// runs. Nobody else's processes are looked into.
    #[must_use]
    pub fn lock_is_open_in(&self, pid: u32) -> bool {
        let place = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let Ok(lock) = self.path.join(LOCK).symlink_metadata().map(place) else { return false };
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| entry.path().metadata().ok()).any(|meta| place(meta) == lock)
    }
}

fn holder(path: &Path) -> Option<Holder> {
    fs::read_own(path, 4096).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
}
