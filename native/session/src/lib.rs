//! One running virtual machine: the state machine that owns its emulator, monitor and display.
//!
//! [`Session::start`] brings a machine up; [`Session::execute`] is the one inlet for commands, and
//! [`Session::status`] the one outlet of what became of it. [`Session::guest`] is the machine as viewers need it.
//!
//! **Invariant:** nothing is faked and nothing differs by platform here: where a VM runs is the
//! [`Launcher`](sampan_emulator::Launcher)'s. Every command ends: with its effect, an error that says what to do, or
//! the machine's end.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sampan_emulator::{Arch, InProcess, LaunchSpec, LibqemuDir};
//! use sampan_session::{Command, Ended, Session};
//! use std::sync::Arc;
//!
//! let mut spec = LaunchSpec::new("demo", Arch::X86_64);
//! spec.args(["-S", "-no-shutdown", "-nodefaults", "-accel", "tcg", "-display", "dbus,p2p=on", "-device", "VGA"]);
//! let session = Session::start(Arc::new(InProcess::new(LibqemuDir::find()?)), spec).await?;
//! session.execute(Command::Quit).await?;
//! assert_eq!(session.ended().await, Ended::Quit);
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod background;
mod block_ops;
mod clipboard;
mod codes;
mod command;
mod desktop;
mod disks;
mod displays;
mod guest;
pub mod images;
mod input;
mod log_ring;
mod machine_log;
mod media;
mod migration;
mod monitor;
mod screenshot;
mod serial;
mod session;
mod sound;
mod start;
mod state;
mod tasks;
mod typist;
pub mod vm;

pub use background::SLOWED;
pub use clipboard::Clipboard;
#[doc(hidden)]
pub use codes::samples;
pub use command::{Command, CommandError, ProgressFn, Remedy, Reply};
pub use disks::{DriveInfo, Overlay};
pub use machine_log::{Level, LogCrate, LogLine, LogSink, LogSource};
pub use sampan_audio as audio;
pub use sampan_guest as viewers;
pub use sampan_qmp::agent;
pub use sampan_vdagent as vdagent;
pub use screenshot::Screenshot;
pub use serial::Serial;
pub use session::Session;
pub use sound::{Sound, SoundSettings};
pub use start::StartError;
pub use state::{ClipboardStatus, Ended, PausedBy, SoundStatus, State, Status};
