//! Answers on stdout, progress on stderr. Whoever stops reading them (`| head -1`) does no harm.

use std::io::Write;
use std::time::Instant;

/// One answer, on stdout.
pub fn say(answer: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
}

/// Says what is being done and how long it has taken so far.
pub struct Progress(Instant);

impl Progress {
    /// The clock starts now.
    pub fn start() -> Self {
        Progress(Instant::now())
    }

    /// One line.
    pub fn say(&self, what: impl std::fmt::Display) {
        let _ = writeln!(std::io::stderr(), "[{:5.1} s] {what}", self.0.elapsed().as_secs_f32());
    }
}
