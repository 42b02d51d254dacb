//! How a run ended: noted for `status`, and told in a report when QEMU died.

use super::logs::{logs_folder, newest, trim};
use crate::vm::{answer::date, now};
use sampan_session::Ended;
use sampan_session::vm::Vm;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reports that are kept.
const KEPT: usize = 5;

/// Lines of each log in a report.
const LINES: usize = 60;

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It was told to, or the guest powered off.
    Ended,
    /// QEMU died.
    Died,
    /// It never ran.
    NotStarted,
    /// It runs, or nobody was left to note how it ended.
    Unknown,
}

/// What is noted.
#[derive(Clone, Debug, Serialize)]
pub struct End {
    how: How,
    words: String,
    time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<PathBuf>,
    /// It is started again by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    again: bool,
    /// How the run before this one ended, if it was started again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
}

impl End {
    pub fn new(how: How, words: String, report: Option<PathBuf>) -> Self {
        Self { how, words, time: now(), report, again: false, before: None }
    }

    /// What is noted while it runs: without it a killed supervisor would leave the word of the run before to stand for its own.
    pub fn unknown(before: Option<Value>) -> Self {
        let words = "how its last run ended is not known: its supervisor was killed, or this host stopped";
        Self { before, ..Self::new(How::Unknown, words.into(), None) }
    }

    /// The same, with whether the machine is started again by itself.
    pub fn followed_by_a_start(self, again: bool) -> Self {
        Self { again, ..self }
    }
}

/// What became of a run, with a report where there is something to report.
pub fn of(vm: &Vm, ended: &Ended, accelerator: &str, lasted: Duration) -> End {
    match ended {
        Ended::Quit => End::new(How::Ended, "ended as it was told to".into(), None),
        Ended::Died(words) => {
            log::error!("the machine died: {words}");
            let text = report(vm, words, accelerator, lasted);
            let folder = vm.folder();
            let path = logs_folder(folder).join(format!("crash-{:011}.txt", now()));
            trim(folder, "crash-", KEPT - 1);
            let mut options = std::fs::File::options();
            let written = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
            let report = written.map_err(|e| log::error!("{}: {e}", path.display())).ok().map(|()| path);
            End::new(How::Died, words.clone(), report)
        }
    }
}

/// Notes it. A note that cannot be written is no reason to fail: the disk may be what is full.
pub fn write(bundle: &Path, end: &End) {
    let folder = logs_folder(bundle);
    let written = tempfile::NamedTempFile::new_in(&folder).and_then(|mut file| {
        serde_json::to_writer(&mut file, end)?;
        file.persist(folder.join("last.json")).map_err(|e| e.error)
    });
    if let Err(e) = written {
        log::warn!("how the run ended is not noted: {e}");
    }
}

/// How the last run of a bundle ended, if that is known.
pub fn last_end(bundle: &Path) -> Option<Value> {
    let text = std::fs::read(logs_folder(bundle).join("last.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The last run's end, if QEMU died then.
pub fn last_death(bundle: &Path) -> Option<Value> {
    last_end(bundle).filter(|last| last["how"] == "died")
}

/// The end of the run before the one that goes on, if QEMU died then and it was started again by itself.
pub fn death_before(bundle: &Path) -> Option<Value> {
    last_end(bundle)?.get("before").filter(|before| before["how"] == "died").cloned()
}

fn report(vm: &Vm, words: &str, accelerator: &str, lasted: Duration) -> String {
    let document = vm.document();
    let session = vm.session();
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "{name:14}{value}");
    };
    line("machine", &document.system.name);
    line("when", &date(now()));
    line("what", &words.lines().next().unwrap_or_default());
    line("ran for", &format_args!("{} s", lasted.as_secs()));
    line("guest", &document.system.arch);
    line("accelerator", &accelerator);
    line("memory", &format_args!("{} MiB", document.memory.mib));
    line("CPUs", &document.cpu.count);
    line("QEMU", &session.qemu_version());
    line("Sampan", &env!("CARGO_PKG_VERSION"));
    let _ = writeln!(
        out,
        "\nThe machine's disks are as after a power failure: start it again with `sampan start {}`; most guests repair\n\
         themselves. If it dies again, the arguments and logs below tell more.",
        crate::vm::shell_word(&document.system.name)
    );
    let _ = writeln!(out, "\nWhat QEMU said last\n-------------------\n{}", last_lines(&session.log_tail()));
    let _ = writeln!(
        out,
        "\nThe guest's serial port\n-----------------------\n{}",
        last_lines(&session.serial().tail())
    );
    let _ = writeln!(out, "\nArguments\n---------\n{}", vm.arguments().join("\n"));
    if let Some(log) = newest(vm.folder()) {
        let _ = writeln!(out, "\nThe run's log is {}", log.display());
    }
    out
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
