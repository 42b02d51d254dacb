//! What is told of one machine while it runs: QEMU's own lines, those of its serial ports, and what happens to it.
//!
//! Several machines run in one process, which has one `log` and one stderr. Each machine has a [`LogSink`] of its own,
//! so that whoever shows a machine's log shows that machine's alone.

use std::fmt::Display;
use std::sync::Arc;
use std::time::SystemTime;

pub use log::Level;

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSource<'a> {
    /// QEMU printed it.
    Qemu,
    /// The guest wrote it to the serial port of this name; the console's is [`Serial`](crate::Serial)'s.
    Port(&'a str),
    /// It is told of the machine by this program.
    Event,
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// When it came.
    pub time: SystemTime,
    /// How much it matters.
    pub level: Level,
    /// Where it comes from.
    pub source: LogSource<'a>,
    /// The text, without its end. QEMU's and the guest's are untrusted, and have 4 KiB at most.
    pub text: &'a str,
}

/// Takes one machine's lines. It is called on the runtime's workers, so it must not block.
pub trait LogSink: Send + Sync {
    /// Takes a line.
    fn line(&self, line: LogLine<'_>);
}

/// The `log` crate, with what the program makes of that.
#[derive(Clone, Debug)]
pub struct LogCrate {
    name: String,
}

impl LogCrate {
    /// QEMU's lines say the machine's name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl LogSink for LogCrate {
    fn line(&self, line: LogLine<'_>) {
        let text = line.text;
        match line.source {
            LogSource::Qemu => log::log!(target: "qemu", line.level, "{}: {text}", self.name),
            LogSource::Port(port) => log::log!(line.level, "{port}: {text}"),
            LogSource::Event => log::log!(line.level, "{text}"),
        }
    }
}

/// One machine's sink, as the parts of a session use it.
#[derive(Clone)]
pub(crate) struct MachineLog(Arc<dyn LogSink>);

impl MachineLog {
    pub(crate) fn new(sink: Arc<dyn LogSink>) -> Self {
        Self(sink)
    }

    pub(crate) fn qemu(&self, text: &str) {
        self.line(Level::Warn, LogSource::Qemu, text);
    }

    pub(crate) fn port(&self, port: &str, text: &str) {
        self.line(Level::Info, LogSource::Port(port), text);
    }

    pub(crate) fn error(&self, text: impl Display) {
        self.line(Level::Error, LogSource::Event, &text.to_string());
    }

    pub(crate) fn warn(&self, text: impl Display) {
        self.line(Level::Warn, LogSource::Event, &text.to_string());
    }

    pub(crate) fn info(&self, text: impl Display) {
        self.line(Level::Info, LogSource::Event, &text.to_string());
    }

    pub(crate) fn debug(&self, text: impl Display) {
        self.line(Level::Debug, LogSource::Event, &text.to_string());
    }

    fn line(&self, level: Level, source: LogSource<'_>, text: &str) {
        self.0.line(LogLine { time: SystemTime::now(), level, source, text });
    }
}
