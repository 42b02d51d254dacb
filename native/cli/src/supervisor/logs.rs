//! Logs: one for each run, the last few kept.

use crate::words::LogFile;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Runs whose logs are kept.
const KEPT: usize = 5;

/// Bytes of one run's log: a guest that makes QEMU complain without end fills no disk.
const MAX: u64 = 8 << 20;

/// Bytes of a report that are read: more than any has.
const MAX_REPORT: u64 = 1 << 20;

/// What the logger writes to stderr, up to a limit.
#[derive(Default)]
pub struct BoundedLog(u64);

impl Write for BoundedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.0;
        self.0 = before.saturating_add(bytes.len() as u64);
        if self.0 <= MAX {
            LogFile.write_all(bytes)?;
        } else if before <= MAX {
            LogFile.write_all(b"[the log is full; what follows is not kept]\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        LogFile.flush()
    }
}

/// Where they are.
pub fn logs_folder(bundle: &Path) -> PathBuf {
    bundle.join("logs")
}

/// Files of the folder with this beginning, the oldest first: their names hold the time in seconds since 1970, with as
/// many digits for centuries to come.
pub fn named(bundle: &Path, beginning: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(logs_folder(bundle)).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(beginning))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The log of the last run.
pub fn newest(bundle: &Path) -> Option<PathBuf> {
    named(bundle, "run-").pop()
}

/// Crash reports, the oldest first.
pub fn reports(bundle: &Path) -> Vec<PathBuf> {
    named(bundle, "crash-")
}

/// The text of the last crash's report, its beginning where somebody made it longer than ours are.
pub fn newest_report(bundle: &Path) -> io::Result<Option<String>> {
    use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
    let Some(path) = reports(bundle).pop() else { return Ok(None) };
    // Bundles come from other people: neither a link nor a device is read in its place.
    let file = File::options().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_REPORT).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Begins a run's log, and removes the oldest ones.
pub fn begin(bundle: &Path, time: u64) -> Result<File> {
    let folder = logs_folder(bundle);
    sampan_library::private_folder(&folder)?;
    trim(bundle, "run-", KEPT - 1);
    let mut options = File::options();
    let path = (0..100).map(|n| folder.join(format!("run-{time:011}-{n:02}.log")));
    for path in path {
        match options.append(true).create_new(true).mode(0o600).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.with_context(|| format!("the log {} cannot be made", path.display())),
        }
    }
    anyhow::bail!("{} has too many logs of this second", folder.display())
}

/// Keeps the newest.
pub fn trim(bundle: &Path, beginning: &str, kept: usize) {
    let found = named(bundle, beginning);
    for old in found.iter().take(found.len().saturating_sub(kept)) {
        let _ = std::fs::remove_file(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_not_kept() {
        let mut log = BoundedLog(MAX - 1);
        assert_eq!(log.write(b"ab").expect("writes"), 2);
        assert_eq!(log.write(&[b'x'; 100]).expect("writes"), 100);
        assert_eq!(log.0, MAX + 101);
    }

    #[test]
    fn the_newest_report_is_read_and_nothing_in_its_place() {
        let tmp = tempfile::tempdir().expect("a folder");
        assert_eq!(newest_report(tmp.path()).expect("is looked for"), None);
        let folder = logs_folder(tmp.path());
        std::fs::create_dir(&folder).expect("is made");
        for (name, text) in [("crash-00000000001.txt", "old"), ("crash-00000000002.txt", "new")] {
            std::fs::write(folder.join(name), text).expect("is written");
        }
        assert_eq!(newest_report(tmp.path()).expect("is read").as_deref(), Some("new"));
        std::os::unix::fs::symlink("/etc/passwd", folder.join("crash-00000000003.txt")).expect("a link");
        assert!(newest_report(tmp.path()).is_err());
        std::fs::remove_file(folder.join("crash-00000000003.txt")).expect("is removed");
        std::fs::create_dir(folder.join("crash-00000000003.txt")).expect("a folder");
        assert_eq!(newest_report(tmp.path()).expect("is looked for"), None);
    }

    #[test]
    fn the_last_runs_are_kept() {
        let tmp = tempfile::tempdir().expect("a folder");
        for time in [9, 10, 10, 11, 12, 13, 14] {
            writeln!(begin(tmp.path(), time).expect("begins"), "{time}").expect("writes");
        }
        let kept = named(tmp.path(), "run-");
        assert_eq!(kept.len(), KEPT);
        let newest = std::fs::read_to_string(newest(tmp.path()).expect("one")).expect("reads");
        assert_eq!(newest, "14\n");
    }
}
