//! Files that are given to the guest's agent, which puts them where its user keeps what is downloaded, or on the desktop
//! (`vd_agent.h`, `VD_AGENT_FILE_XFER_*`; how agents use it: spice-vdagent's `src/vdagent/file-xfers.c`).
//!
//! The name and the size go first. The agent says whether it takes the file; then come its bytes, and the agent says when it has
//! them all. There is no other flow control: what the agent has not read waits in the port, so a piece is sent when the one before it
//! has left.

use crate::wire::take_number;
use std::time::{Duration, Instant};

/// The most bytes of one piece, as SPICE's own clients send them.
pub const MAX_PIECE: usize = 64 << 10;

/// How long the agent may take to accept a file, to say that it has all of it, and to read a piece.
const ANSWERING: Duration = Duration::from_secs(30);

/// The longest name of a file, in bytes: what file systems take.
const MAX_NAME: usize = 255;

/// What the agent says of a file (`VD_AGENT_FILE_XFER_STATUS_*`).
mod status {
    pub const CAN_SEND_DATA: u32 = 0;
    pub const CANCELLED: u32 = 1;
    pub const SUCCESS: u32 = 3;
    pub const NOT_ENOUGH_SPACE: u32 = 4;
    pub const SESSION_LOCKED: u32 = 5;
    pub const NOT_CONNECTED: u32 = 6;
    pub const DISABLED: u32 = 7;
}

/// Why a file is not in the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Nobody answers in the guest.
    #[error(
        "no agent that takes files answers in the guest: install spice-vdagent in it (on Windows the SPICE guest tools), and log in to its desktop"
    )]
    NoAgent,
    /// The agent takes no files.
    #[error("the guest's agent takes no files: they are turned off in the guest")]
    Disabled,
    /// Nobody is logged in, or the screen is locked.
    #[error(
        "the guest takes no files while its desktop is locked or nobody is logged in: log in to it first"
    )]
    Locked,
    /// The guest's disk is full.
    #[error("the guest has too little free space for the file{}", .free.map_or(String::new(), |free| format!(": {} MiB are left", free >> 20)))]
    NoSpace {
        /// Bytes that are free, if the agent told.
        free: Option<u64>,
    },
    /// The person in the guest stopped it.
    #[error("the guest stopped taking the file")]
    StoppedByGuest,
    /// The agent could not write it.
    #[error(
        "the guest could not write the file: see whether its disk is full or its folder may not be written to"
    )]
    Failed,
    /// It does not answer.
    #[error("the guest did not answer within {} s: the agent there may hang", .0.as_secs())]
    Silent(Duration),
    /// The agent went away, or the machine was reset.
    #[error("the guest's agent ended meanwhile: try again")]
    Gone,
    /// The name cannot be a file's.
    #[error("{name:?} cannot be the name of a file in the guest")]
    BadName {
        /// The name.
        name: String,
    },
    /// The file on this side could not be read, or is not as long as it was.
    #[error("the file cannot be read: {why}")]
    Source {
        /// Why.
        why: String,
    },
    /// QEMU is gone.
    #[error("the machine has ended")]
    Ended,
}

/// What is to be done next with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The agent was told its name.
    Asked,
    /// So many bytes of it were sent.
    Sending(u64),
    /// All of it was.
    Sent,
}

/// One file on its way.
#[derive(Debug)]
pub struct Transfer {
    id: u32,
    size: u64,
    stage: Stage,
    due: Instant,
}

/// What became of a transfer by what the agent said.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// The agent wants its bytes.
    Wanted,
    /// It has all of it.
    Done,
    /// It failed.
    Failed(FileError),
}

/// What the agent is told of a file before it comes: a GLib key file with a zero byte at its end.
///
/// # Errors
/// [`FileError::BadName`]: what is no name, or would lead elsewhere.
pub fn announcement(id: u32, name: &str, size: u64) -> Result<Vec<u8>, FileError> {
    let is_name = !name.is_empty()
        && name.len() <= MAX_NAME
        && !matches!(name, "." | "..")
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'));
    if !is_name {
        return Err(FileError::BadName { name: name.chars().take(MAX_NAME).collect() });
    }
    // GLib's key files know no other escapes in a value's middle; at its start spaces would be cut off.
    let kept = name.trim_start_matches(' ');
    let spaces = "\\s".repeat(name.len() - kept.len());
    let text = format!("[vdagent-file-xfer]\nname={spaces}{kept}\nsize={size}\n\0");
    Ok([&id.to_le_bytes()[..], text.as_bytes()].concat())
}

/// What stands in front of a piece.
pub fn piece_header(id: u32, size: usize) -> Vec<u8> {
    [&id.to_le_bytes()[..], &(size as u64).to_le_bytes()].concat()
}

/// That a transfer is given up, as the body of a status.
pub fn cancellation(id: u32) -> Vec<u8> {
    [id.to_le_bytes(), status::CANCELLED.to_le_bytes()].concat()
}

impl Transfer {
    /// A file whose announcement was sent.
    pub fn new(id: u32, size: u64, now: Instant) -> Self {
        Self { id, size, stage: Stage::Asked, due: now + ANSWERING }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// When the agent must have said or read something.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// How long it had.
    pub fn patience() -> Duration {
        ANSWERING
    }

    /// Whether a piece may be sent.
    pub fn wants_piece(&self) -> bool {
        matches!(self.stage, Stage::Sending(_))
    }

    /// Bytes that were sent.
    pub fn sent(&self) -> u64 {
        match self.stage {
            Stage::Asked => 0,
            Stage::Sending(sent) => sent,
            Stage::Sent => self.size,
        }
    }

    /// A piece was sent.
    ///
    /// # Errors
    /// [`FileError::Source`] when it is more than was announced.
    pub fn piece(&mut self, bytes: usize, now: Instant) -> Result<(), FileError> {
        let Stage::Sending(sent) = self.stage else { return Ok(()) };
        let sent = sent.saturating_add(bytes as u64);
        if sent > self.size {
            return Err(FileError::Source { why: "it grows while it is read".into() });
        }
        self.stage = if sent == self.size { Stage::Sent } else { Stage::Sending(sent) };
        self.due = now + ANSWERING;
        Ok(())
    }

    /// Something of it has left: the agent reads.
    pub fn moves(&mut self, now: Instant) {
        self.due = now + ANSWERING;
    }

    /// The agent said something of it. `None` for what changes nothing.
    pub fn heard(&mut self, result: u32, details: &[u8], now: Instant) -> Option<Progress> {
        let error = match result {
            status::CAN_SEND_DATA if self.stage == Stage::Asked => {
                self.stage = Stage::Sending(0);
                self.due = now + ANSWERING;
                return Some(Progress::Wanted);
            }
            // Who says so again and again, and takes nothing, gets no more time by it.
            status::CAN_SEND_DATA => return None,
            // Before it has all, it has not got it.
            status::SUCCESS if self.stage == Stage::Sent => return Some(Progress::Done),
            status::CANCELLED => FileError::StoppedByGuest,
            status::NOT_ENOUGH_SPACE => {
                FileError::NoSpace { free: details.first_chunk().map(|free| u64::from_le_bytes(*free)) }
            }
            status::SESSION_LOCKED => FileError::Locked,
            status::NOT_CONNECTED => FileError::NoAgent,
            status::DISABLED => FileError::Disabled,
            _ => FileError::Failed,
        };
        Some(Progress::Failed(error))
    }
}

/// A status message: the transfer, the result and what else is told.
pub fn parse_status(mut body: &[u8]) -> Option<(u32, u32, &[u8])> {
    let id = take_number(&mut body)?;
    let result = take_number(&mut body)?;
    Some((id, result, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_and_says_itself() {
        for bad in ["", ".", "..", "a/b", "..\\a", "a\nsize=1", "\0", &"x".repeat(256)] {
            assert!(matches!(announcement(1, bad, 3), Err(FileError::BadName { .. })), "{bad:?}");
        }
        let body = announcement(7, "  报告 \\s [a].pdf", 3);
        assert!(body.is_err(), "a backslash is a folder on Windows");
        let body = announcement(7, "  报告 [a].pdf", 3).expect("is a name");
        assert_eq!(body.get(..4), Some(&7_u32.to_le_bytes()[..]));
        let text = std::str::from_utf8(&body[4..]).expect("is text");
        assert_eq!(text, "[vdagent-file-xfer]\nname=\\s\\s报告 [a].pdf\nsize=3\n\0");
    }

    #[test]
    fn a_file_is_there_when_the_agent_has_all_of_it() {
        let now = Instant::now();
        let mut transfer = Transfer::new(1, 5, now);
        assert_eq!(transfer.heard(status::SUCCESS, &[], now), Some(Progress::Failed(FileError::Failed)));
        let mut transfer = Transfer::new(1, 5, now);
        assert!(!transfer.wants_piece());
        assert_eq!(transfer.heard(status::CAN_SEND_DATA, &[], now), Some(Progress::Wanted));
        assert_eq!(transfer.heard(status::CAN_SEND_DATA, &[], now), None);
        transfer.piece(3, now).expect("fits");
        assert_eq!((transfer.sent(), transfer.wants_piece()), (3, true));
        transfer.piece(2, now).expect("fits");
        assert_eq!((transfer.sent(), transfer.wants_piece()), (5, false));
        assert_eq!(transfer.heard(status::SUCCESS, &[], now), Some(Progress::Done));
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_is_free() {
        let now = Instant::now();
        let heard = |details: &[u8]| Transfer::new(1, 5, now).heard(status::NOT_ENOUGH_SPACE, details, now);
        let failed = |free| Some(Progress::Failed(FileError::NoSpace { free }));
        assert_eq!(heard(&42_u64.to_le_bytes()), failed(Some(42)));
        assert_eq!(heard(b"short"), failed(None));
    }
}
