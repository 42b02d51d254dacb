//! A machine's log, kept.

use super::PATIENCE;
use sampan_session::{LogLine, LogSink, LogSource};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Keeps QEMU's lines and events, told apart by their beginning.
#[derive(Default)]
pub struct Kept(Mutex<Vec<String>>);

impl LogSink for Kept {
    fn line(&self, line: LogLine<'_>) {
        let whence = match line.source {
            LogSource::Qemu => "qemu".to_owned(),
            LogSource::Port(port) => format!("port {port}"),
            LogSource::Event => "event".to_owned(),
        };
        self.0.lock().expect("not poisoned").push(format!("{whence}: {}", line.text));
    }
}

impl Kept {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").clone()
    }

    /// Waits for a line with this text.
    pub async fn wait_for(&self, text: &str) {
        let begun = Instant::now();
        while !self.lines().iter().any(|line| line.contains(text)) {
            assert!(begun.elapsed() < PATIENCE, "{text} never came: {:#?}", self.lines());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
