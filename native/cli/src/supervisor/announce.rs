//! What a supervisor tells the `start` that waits for it: lines of JSON on its stdout, until it is ready or has failed.

use crate::words::say_json;
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Announcement {
    /// What it is doing.
    Progress(String),
    /// The machine runs.
    Ready {
        /// The viewer's address.
        viewer: String,
        /// The supervisor.
        pid: u32,
    },
    /// It does not.
    Error(String),
}

impl Announcement {
    /// Writes it; the last one closes stdout. Whoever does not wait any more does no harm.
    pub fn tell(&self) {
        say_json(&serde_json::json!(self));
        if !matches!(self, Self::Progress(_))
            && let Ok(null) = std::fs::File::options().write(true).open("/dev/null")
        {
            let _ = nix::unistd::dup2_stdout(null);
        }
    }
}
