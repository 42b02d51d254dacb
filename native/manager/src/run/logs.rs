//! Logs in a bundle: one for each run and one report for each crash, of which the last few are kept.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Runs whose logs are kept, and crashes whose reports are.
pub(super) const KEPT: usize = 5;

/// The longest log of a run in bytes: a guest that makes QEMU complain without end fills no disk.
pub const MAX_LOG: u64 = 8 << 20;

/// Bytes of a report that are read: more than any of ours has.
const MAX_REPORT: u64 = 1 << 20;

/// Where they are.
pub fn logs_folder(bundle: &Path) -> PathBuf {
    bundle.join("logs")
}

/// The logs of a bundle's runs, the oldest first.
pub fn runs(bundle: &Path) -> Vec<PathBuf> {
    named(bundle, "run-")
}

/// The reports of its crashes, the oldest first.
pub fn reports(bundle: &Path) -> Vec<PathBuf> {
    named(bundle, "crash-")
}

/// Files whose names begin so, the oldest first: a name holds the seconds since 1970, with as many digits for centuries to
/// come.
fn named(bundle: &Path, beginning: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(logs_folder(bundle)).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(beginning))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The text of the last crash's report; only its beginning where somebody made it longer than ours are.
///
/// # Errors
/// It cannot be read.
pub fn newest_report(bundle: &Path) -> io::Result<Option<String>> {
    let Some(path) = reports(bundle).pop() else { return Ok(None) };
    let Some(file) = open_plain(&path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_REPORT).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Opens a file that a bundle names: bundles come from other people, so neither a link nor a device is read in its place.
pub(crate) fn open_plain(path: &Path) -> io::Result<Option<File>> {
    use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
    let file = File::options().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// The last lines of a log.
pub(super) fn last_lines(path: &Path, lines: usize) -> io::Result<String> {
    /// Enough for as many lines as a report has.
    const TAIL: u64 = 64 << 10;
    let Some(mut file) = open_plain(path)? else { return Ok(String::new()) };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(tail(&String::from_utf8_lossy(&bytes), lines))
}

/// The last lines of a text.
pub(super) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// Begins the log of a run, and removes the oldest logs.
///
/// # Errors
/// It cannot be made.
pub fn begin(bundle: &Path, time: u64) -> Result<File> {
    let folder = logs_folder(bundle);
    sampan_library::private_folder(&folder)?;
    trim(&runs(bundle), KEPT - 1);
    let mut options = File::options();
    for number in 0..100 {
        let path = folder.join(format!("run-{time:011}-{number:02}.log"));
        match options.append(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map_err(Error::io(format!("the log {} cannot be made", path.display()))),
        }
    }
    let error = io::Error::new(io::ErrorKind::AlreadyExists, "it has too many logs of this second");
    Err(Error::io(folder.display().to_string())(error))
}

/// Removes all but the newest.
pub(super) fn trim(found: &[PathBuf], kept: usize) {
    for old in found.iter().take(found.len().saturating_sub(kept)) {
        let _ = std::fs::remove_file(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

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
        let kept = runs(tmp.path());
        assert_eq!(kept.len(), KEPT);
        let newest = std::fs::read_to_string(kept.last().expect("one")).expect("reads");
        assert_eq!(newest, "14\n");
    }
}
