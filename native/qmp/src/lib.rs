//! QEMU's machine protocol (QMP, `docs/interop/qmp-spec.rst`), thin over the types of the `qapi-qmp` crate.
//!
//! The crate adds what that one lacks: a command may carry a file descriptor (`getfd` wants it in the same
//! `sendmsg`), every command has a deadline, an answer that comes after its deadline is dropped instead of ending the
//! connection, events of newer QEMUs pass through, and a QEMU that dies in mid-answer ends every waiting command with
//! [`QmpError::Closed`].
//!
//! **Invariant:** every call ends: with an answer, an error, at its deadline, or when the peer is gone.
//!
//! ```no_run
//! # async fn example(socket: std::os::unix::net::UnixStream) -> Result<(), sampan_qmp::QmpError> {
//! use sampan_qmp::{Qmp, types};
//! let qmp = Qmp::connect(socket).await?;
//! let status = qmp.execute(types::query_status {}).await?;
//! println!("running: {}", status.running);
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

pub mod agent;
mod client;
mod codes;
mod event;
mod shape;
mod wire;

pub use client::{DEFAULT_TIMEOUT, Qmp};
#[doc(hidden)]
pub use codes::samples;
pub use event::Event;
pub use qapi_qmp as types;

use std::io;
use std::time::Duration;

/// What can go wrong with a command.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// QEMU refused the command, with its own words.
    #[error("QEMU refused {command}: {message}")]
    Refused {
        /// The command's name.
        command: &'static str,
        /// QEMU's description.
        message: String,
    },
    /// QEMU did not answer in time. The command may still take effect.
    #[error(
        "QEMU did not answer {command} within {timeout:?}; it is busy or hangs, try again or kill the VM"
    )]
    Timeout {
        /// The command's name.
        command: &'static str,
        /// How long was waited.
        timeout: Duration,
    },
    /// QEMU is gone: it quit, died, or closed the monitor.
    #[error("QEMU's monitor is closed: the VM has ended")]
    Closed,
    /// QEMU sent more than it ever has to say, and the connection was ended: somebody may have taken it over.
    #[error(
        "QEMU sent {what}: the connection to its monitor was ended; stop this VM, its process may have been taken over by the guest"
    )]
    Flooded {
        /// What was too much.
        what: &'static str,
    },
    /// QEMU answered with something else than the command's answer.
    #[error("QEMU's answer to {command} is not understood: {message}")]
    Malformed {
        /// The command's name.
        command: &'static str,
        /// What did not fit.
        message: String,
    },
    /// The socket cannot be used.
    #[error("the monitor's socket cannot be used: {0}")]
    Socket(#[from] io::Error),
}
