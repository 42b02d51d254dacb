//! How a run ended, kept in the bundle. That it goes on is noted before it begins and made durable, so that a run that took
//! its process along, or the host, is known as one.

use super::logs::{self, logs_folder, open_plain};
use crate::time::now;
use sampan_library::VmId;
use sampan_message::Message;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes of a record that are read.
const MAX_RECORD: u64 = 64 << 10;

/// Lines of each log in a report.
pub(super) const LINES: usize = 60;

/// How a run ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It was told to, or the guest powered off.
    Ended,
    /// QEMU died.
    Died,
    /// It never ran.
    NotStarted,
    /// It runs, or whoever ran it was killed before the end could be noted.
    Unknown,
}

/// Who runs a machine, noted while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMark {
    /// The process.
    pub pid: u32,
    /// The boot of the host it belongs to (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// Tells this run from every other one.
    #[serde(default)]
    pub run: String,
}

impl RunMark {
    fn of_this_process() -> Self {
        Self { pid: std::process::id(), boot: boot_id(), run: VmId::random().to_string() }
    }
}

fn boot_id() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// What is kept of a run's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// In a word.
    pub how: How,
    /// In words for a person.
    pub words: String,
    /// When, in seconds since 1970.
    pub time: u64,
    /// The crash's report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<PathBuf>,
    /// Whether a person has seen it, and wants to hear of it no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dismissed: bool,
    /// Whether the machine is started again by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// How the run before this one ended, if this one was started by itself after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<EndRecord>>,
    /// Who runs it, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunMark>,
}

impl EndRecord {
    /// An end, now.
    pub fn new(how: How, words: impl Into<String>, report: Option<PathBuf>) -> Self {
        let words = words.into();
        Self { how, words, time: now(), report, dismissed: false, again: false, before: None, run: None }
    }

    /// What is noted while a machine runs.
    fn running(before: Option<Self>, run: RunMark) -> Self {
        let words = "how its last run ended is not known: its process was killed, or this host stopped";
        let (before, run) = (before.map(Box::new), Some(run));
        Self { before, run, ..Self::new(How::Unknown, words, None) }
    }

    /// The end of a bundle's last run, if it is known.
    pub fn last(bundle: &Path) -> Option<Self> {
        let file = open_plain(&path(bundle)).ok().flatten()?;
        let mut bytes = Vec::new();
        file.take(MAX_RECORD).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The same, if QEMU died then.
    pub fn last_death(bundle: &Path) -> Option<Self> {
        Self::last(bundle).filter(|last| last.how == How::Died)
    }

    /// The end of the run before the one that goes on, if QEMU died then and the machine was started again by itself.
    pub fn death_before(bundle: &Path) -> Option<Self> {
        Self::last(bundle)?.before.map(|before| *before).filter(|before| before.how == How::Died)
    }

    /// Whether QEMU died.
    pub fn died(&self) -> bool {
        self.how == How::Died
    }

    /// That the run was cut off, for a person who starts the machine again.
    pub fn cut_off_message(&self) -> Message {
        Message::new("last_run_cut_off", format!("its last run was cut off: {}", self.words))
            .with("time", self.time)
    }

    /// Keeps it, durably. One that cannot be written is no reason to fail: a full disk may be what ended the run.
    pub(super) fn write(&self, bundle: &Path) {
        let folder = logs_folder(bundle);
        let written = tempfile::NamedTempFile::new_in(&folder).and_then(|mut file| {
            serde_json::to_writer(&mut file, self)?;
            file.as_file().sync_all()?;
            file.persist(path(bundle)).map_err(|e| e.error)?;
            std::fs::File::open(&folder)?.sync_all()
        });
        if let Err(error) = written {
            log::warn!("how the run ended is not noted: {error}");
        }
    }
}

fn path(bundle: &Path) -> PathBuf {
    logs_folder(bundle).join("last.json")
}

/// The mark that a run begins. Unless the machine runs in the end it becomes the record of why it does not, also where a start
/// is given up by dropping its future: else it would stand for a crash.
pub(super) struct StartMark {
    bundle: PathBuf,
    mark: RunMark,
    /// Why it does not run; `None` where it does.
    why: Option<String>,
}

impl StartMark {
    /// Notes that a run begins.
    pub(super) fn new(bundle: &Path, before: Option<EndRecord>) -> Self {
        let mark = RunMark::of_this_process();
        EndRecord::running(before, mark.clone()).write(bundle);
        Self { bundle: bundle.to_owned(), mark, why: Some("it was told to end before it ran".into()) }
    }

    /// Notes why the machine does not run.
    pub(super) fn failed(mut self, why: &str) {
        self.why = Some(why.to_owned());
    }

    /// The machine runs: the mark stays as it is.
    pub(super) fn started(mut self) {
        self.why = None;
    }
}

impl Drop for StartMark {
    fn drop(&mut self) {
        let Some(why) = self.why.take() else { return };
        // Another process may have got the bundle's lock meanwhile, and with it the record.
        if EndRecord::last(&self.bundle).is_some_and(|last| last.run.as_ref() == Some(&self.mark)) {
            EndRecord::new(How::NotStarted, why, None).write(&self.bundle);
        }
    }
}

/// Notes that a person has seen how the last run ended. The bundle's lock must be held.
pub(crate) fn dismiss(bundle: &Path) {
    if let Some(last) = EndRecord::last(bundle).filter(|last| last.how != How::Unknown && !last.dismissed) {
        EndRecord { dismissed: true, ..last }.write(bundle);
    }
}

/// Notes that a run was ended from outside, since its process did not answer.
pub(crate) fn note_end_by_force(bundle: &Path) {
    EndRecord::new(How::Ended, "ended by force, as its process did not answer", None).write(bundle);
}

/// What became of a run that nobody noted the end of. The bundle's lock must be held, so nobody runs it: then the mark was
/// left by a process that was killed, or by a host that stopped. It becomes a crash with a report of what the run's log said
/// last.
pub(crate) fn settle(bundle: &Path, name: &str) -> Option<EndRecord> {
    let last = EndRecord::last(bundle).filter(|last| last.how == How::Unknown)?;
    let words = match &last.run {
        Some(run) if run.boot == boot_id() && !run.boot.is_empty() => {
            format!("the process that ran it ({}) ended without a word: it crashed or was killed", run.pid)
        }
        Some(_) => "this host stopped or was restarted while it ran".to_owned(),
        None => last.words.clone(),
    };
    let log = logs::runs(bundle).pop();
    let said = log.as_ref().and_then(|log| logs::last_lines(log, LINES).ok()).unwrap_or_default();
    let mut report = format!("machine       {name}\nwhat          {words}\n");
    report += "\nThe machine's disks are as after a power failure; most guests repair themselves at the next start.\n";
    report += &format!("\nWhat the run's log said last\n----------------------------\n{said}\n");
    if let Some(log) = log {
        report += &format!("\nThe run's log is {}\n", log.display());
    }
    let record =
        EndRecord { time: last.time, ..EndRecord::new(How::Died, words, write_report(bundle, &report)) };
    record.write(bundle);
    Some(record)
}

/// Writes a report; where.
pub(super) fn write_report(bundle: &Path, text: &str) -> Option<PathBuf> {
    let path = logs_folder(bundle).join(format!("crash-{:011}.txt", now()));
    logs::trim(&logs::reports(bundle), logs::KEPT - 1);
    let mut options = std::fs::File::options();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| log::error!("{}: {error}", path.display())).ok().map(|()| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> tempfile::TempDir {
        let bundle = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(logs_folder(bundle.path())).expect("is made");
        bundle
    }

    #[test]
    fn a_run_that_nobody_ended_becomes_a_crash_with_a_report_once() {
        let bundle = bundle();
        assert_eq!(settle(bundle.path(), "one"), None, "it never ran");
        EndRecord::running(None, RunMark::of_this_process()).write(bundle.path());
        std::fs::write(
            logs_folder(bundle.path()).join("run-00000000001-00.log"),
            "first\nqemu: last words\n",
        )
        .expect("a log");
        let found = settle(bundle.path(), "one").expect("its end was not noted");
        assert!(found.died() && found.words.contains(&std::process::id().to_string()), "{found:?}");
        let report = std::fs::read_to_string(found.report.as_ref().expect("a report")).expect("reads");
        assert!(report.contains("qemu: last words") && report.contains("one"), "{report}");
        assert_eq!(EndRecord::last_death(bundle.path()), Some(found));
        assert_eq!(settle(bundle.path(), "one"), None, "it is told once");
        let before_the_boot = RunMark { pid: 1, boot: "another".into(), run: String::new() };
        EndRecord::running(None, before_the_boot).write(bundle.path());
        let found = settle(bundle.path(), "one").expect("its end was not noted");
        assert!(found.words.contains("this host"), "{found:?}");
        EndRecord::new(How::Ended, "as it was told to", None).write(bundle.path());
        assert_eq!(settle(bundle.path(), "one"), None);
    }

    #[test]
    fn a_record_of_another_program_or_a_link_is_none() {
        let bundle = bundle();
        for text in ["", "{", "[]", r#"{"how":"flew","words":"","time":1}"#] {
            std::fs::write(path(bundle.path()), text).expect("writes");
            assert_eq!(EndRecord::last(bundle.path()), None, "{text}");
        }
        // As the version before wrote it.
        std::fs::write(path(bundle.path()), r#"{"how":"died","words":"x","time":5,"report":"/r"}"#)
            .expect("writes");
        assert!(EndRecord::last(bundle.path()).is_some_and(|last| last.died() && last.time == 5));
        std::fs::remove_file(path(bundle.path())).expect("removes");
        std::os::unix::fs::symlink("/etc/passwd", path(bundle.path())).expect("a link");
        assert_eq!(EndRecord::last(bundle.path()), None);
    }
}
