//! The codes of this crate's errors, and the values that their texts are made of.

use crate::QmpError;
use crate::agent::AgentError;
use sampan_message::{Message, Params, io_code, samples as samples_of};
use std::io::{Error, ErrorKind};
use std::time::Duration;

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl QmpError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Refused { command, message } => {
                ("qmp_refused", Params::of("command", *command).with("message", &**message))
            }
            Self::Timeout { command, timeout } => {
                ("qmp_silent", Params::of("command", *command).with("timeout_ms", ms(*timeout)))
            }
            Self::Closed => ("qmp_closed", Params::new()),
            Self::Flooded { what } => ("qmp_flooded", Params::of("what", *what)),
            Self::Malformed { command, message } => {
                ("qmp_malformed", Params::of("command", *command).with("message", &**message))
            }
            Self::Socket(error) => (io_code(error), Params::of("why", error.to_string())),
        }
    }

    fn after(&self) -> Option<Self> {
        let command = "query-status";
        Some(match self {
            Self::Refused { .. } => Self::Timeout { command, timeout: Duration::from_secs(20) },
            Self::Timeout { .. } => Self::Closed,
            Self::Closed => Self::Flooded { what: "a line of more than 16 MiB" },
            Self::Flooded { .. } => Self::Malformed { command, message: "missing field `status`".into() },
            Self::Malformed { .. } => Self::Socket(Error::from(ErrorKind::BrokenPipe)),
            Self::Socket(_) => return None,
        })
    }
}

impl AgentError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::Absent { timeout } => ("agent_silent", Params::of("timeout_ms", ms(*timeout))),
            Self::Timeout { command, timeout } => {
                ("agent_busy", Params::of("command", *command).with("timeout_ms", ms(*timeout)))
            }
            Self::Refused { command, message } => {
                ("agent_refused", Params::of("command", *command).with("message", &**message))
            }
            Self::TooLong { command, limit } => {
                ("agent_answer_too_long", Params::of("command", *command).with("limit", *limit))
            }
            Self::Malformed { command, message } => {
                ("agent_malformed", Params::of("command", *command).with("message", &**message))
            }
            Self::TooBig { path, limit } => {
                ("guest_file_too_large", Params::of("path", &**path).with("limit", *limit))
            }
            Self::StillRunning { path, pid, timeout } => (
                "still_running",
                Params::of("path", &**path).with("pid", pid.unsigned_abs()).with("timeout_ms", ms(*timeout)),
            ),
            Self::TooMuchInput { given, limit } => {
                ("too_much_input", Params::of("given", *given).with("limit", *limit))
            }
            Self::BadTime { .. } => ("bad_time", Params::new()),
            Self::FrozenTooLong { limit } => ("frozen_too_long", Params::of("limit_ms", ms(*limit))),
            Self::Closed => ("agent_closed", Params::new()),
            Self::Io { what, source } => {
                (io_code(source), Params::of("doing", *what).with("why", source.to_string()))
            }
        }
    }

    fn after(&self) -> Option<Self> {
        let (command, timeout) = ("guest-info", Duration::from_secs(20));
        let path = || "/bin/true".to_owned();
        Some(match self {
            Self::Absent { .. } => Self::Timeout { command, timeout },
            Self::Timeout { .. } => Self::Refused { command, message: "it is disabled".into() },
            Self::Refused { .. } => Self::TooLong { command, limit: 1 << 20 },
            Self::TooLong { .. } => Self::Malformed { command, message: "missing field `version`".into() },
            Self::Malformed { .. } => Self::TooBig { path: "/etc/passwd".into(), limit: 4096 },
            Self::TooBig { .. } => Self::StillRunning { path: path(), pid: 7, timeout },
            Self::StillRunning { .. } => Self::TooMuchInput { given: 5 << 20, limit: 4 << 20 },
            Self::TooMuchInput { .. } => Self::BadTime { time: std::time::UNIX_EPOCH },
            Self::BadTime { .. } => Self::FrozenTooLong { limit: Duration::from_secs(10) },
            Self::FrozenTooLong { .. } => Self::Closed,
            Self::Closed => {
                Self::Io { what: "using the guest agent's port", source: Error::from(ErrorKind::BrokenPipe) }
            }
            Self::Io { .. } => return None,
        })
    }
}

sampan_message::coded!(QmpError, AgentError);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let refused = QmpError::Refused { command: "migrate", message: "the guest is not running".into() };
    let mut all = samples_of(refused, QmpError::after);
    all.extend(samples_of(AgentError::Absent { timeout: Duration::from_secs(5) }, AgentError::after));
    all
}
