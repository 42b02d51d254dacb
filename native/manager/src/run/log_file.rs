//! The log of a run in this process, which other machines run in, too: a file in the bundle, written by a thread of its own, so
//! that a slow disk holds up nobody.

use super::logs::{MAX_LOG, begin};
use crate::error::{Error, Result};
use crate::time::now;
use sampan_session::{LogCrate, LogLine, LogSink, LogSource};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

/// Lines that wait for the disk; more are left out, and their number is told.
const WAITING: usize = 1024;

/// One run's log.
pub(super) struct LogFile {
    lines: SyncSender<String>,
    begun: Instant,
    /// What reads the log of the whole process hears of it, too.
    also: LogCrate,
}

impl LogFile {
    /// Begins the log of a run. It blocks.
    ///
    /// # Errors
    /// The file cannot be made, or there are no threads left.
    pub(super) fn begin(bundle: &Path, name: &str) -> Result<Self> {
        let file = begin(bundle, now())?;
        let (lines, waiting) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("sampan-log".into());
        thread.spawn(move || write(file, &waiting)).map_err(Error::io("the thread of a log"))?;
        Ok(Self { lines, begun: Instant::now(), also: LogCrate::new(name) })
    }
}

/// Writes until the run is over. A line that cannot be written is left out: a full disk is no reason to end a machine.
fn write(mut file: File, lines: &Receiver<String>) {
    let mut length = 0;
    for line in lines {
        let before = length;
        length += line.len() as u64;
        if length <= MAX_LOG {
            let _ = file.write_all(line.as_bytes());
        } else if before <= MAX_LOG {
            let _ = file.write_all(b"the log is full: what follows is left out\n");
        }
    }
}

impl LogSink for LogFile {
    fn line(&self, line: LogLine<'_>) {
        self.also.line(line);
        let seconds = self.begun.elapsed().as_secs_f64();
        let text = line.text;
        let written = match line.source {
            LogSource::Qemu => format!("[{seconds:9.3}] qemu: {text}\n"),
            LogSource::Port(port) => format!("[{seconds:9.3}] {port}: {text}\n"),
            LogSource::Event => format!("[{seconds:9.3}] {text}\n"),
        };
        // The disk is slower than what there is to say: the newest lines are left out.
        let _ = self.lines.try_send(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_session::Level;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_runs_lines_are_in_its_file_and_do_not_fill_the_disk() {
        let bundle = tempfile::tempdir().expect("a folder");
        let log = LogFile::begin(bundle.path(), "one").expect("begins");
        let line =
            |source, text| log.line(LogLine { time: SystemTime::now(), level: Level::Debug, source, text });
        line(LogSource::Event, "it starts");
        line(LogSource::Qemu, "first words");
        let file = super::super::logs::runs(bundle.path()).pop().expect("a log");
        let read = || std::fs::read_to_string(&file).expect("is read");
        let wait = |what: &dyn Fn(&str) -> bool| {
            let begun = Instant::now();
            while !what(&read()) {
                assert!(begun.elapsed() < Duration::from_secs(60), "not written");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        wait(&|text| text.contains("] it starts\n") && text.contains("] qemu: first words\n"));
        let long = "x".repeat(4096);
        wait(&|text| {
            line(LogSource::Qemu, &long);
            text.ends_with("what follows is left out\n")
        });
        assert!(read().len() as u64 <= MAX_LOG + 4096);
    }
}
