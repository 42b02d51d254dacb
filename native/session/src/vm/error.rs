//! Why something could not be done with a machine of the library.

use crate::{CommandError, StartError};
use sampan_config::{Blocker, ConfigError, Forward, ValidationError, VmConfigError};
use sampan_emulator::LaunchError;
use sampan_library::Error as LibraryError;
use sampan_message::{Coded, Params, Reason};
use sampan_qmp::agent::AgentError;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why something could not be done with a machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// The bundle.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// Its document cannot be read.
    #[error(transparent)]
    VmConfig(#[from] VmConfigError),
    /// Its document cannot be started.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// QEMU did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The firmware is missing.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The guest agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The running machine refused.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// What its system is to be told.
    #[error(transparent)]
    Seed(#[from] sampan_seed::SeedError),
    /// A file of the machine's.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The thread that did it is gone.
    #[error("a thread that works for the machine has failed; see the log")]
    Thread,
    /// Something of a document cannot be.
    #[error("{0}")]
    Fault(ValidationError),
    /// What was asked for is to last, and nothing of this run does.
    #[error(
        "this run leaves no trace, so nothing of it can be kept: end it, and start the machine the ordinary way first"
    )]
    ThrowAwayRun,
    /// A run that leaves no trace would go on from a saved state.
    #[error(
        "the machine is suspended: resume it, or give its saved state up, before a run that leaves no trace"
    )]
    Suspended,
    /// A drive of the document that the bundle has no image for.
    #[error("the drive {0} has no image: create or import one, or remove the drive")]
    NoImage(String),
    /// Another program listens there.
    #[error(
        "port {port} of this host, which {what} wants, is taken by another program: end that, or choose another port"
    )]
    PortInUse {
        /// The port.
        port: u16,
        /// The host's address.
        address: IpAddr,
        /// What wants it.
        what: PortUser,
    },
    /// A port that the system keeps for administrators.
    #[error(
        "port {port} of this host, which {what} wants, is for administrators alone: choose one from 1024 on"
    )]
    PortPrivileged {
        /// The port.
        port: u16,
        /// The host's address.
        address: IpAddr,
        /// What wants it.
        what: PortUser,
    },
    /// An address that is none of this host's.
    #[error("this host has no address {address}, at which {what} wants port {port}: choose another one")]
    NoSuchAddress {
        /// The port.
        port: u16,
        /// The address.
        address: IpAddr,
        /// What wants it.
        what: PortUser,
    },
    /// The system refuses the port for another reason.
    #[error("port {port} of this host, which {what} wants, cannot be used: {source}")]
    PortUnusable {
        /// The port.
        port: u16,
        /// The host's address.
        address: IpAddr,
        /// What wants it.
        what: PortUser,
        /// The system's error.
        source: std::io::Error,
    },
    /// A shared folder is gone.
    #[error(
        "the folder {}, which the machine shares as {tag:?}, is not there any more: bring it back, or share it no more", .path.display()
    )]
    ShareMissing {
        /// The share's name.
        tag: String,
        /// The folder.
        path: PathBuf,
    },
    /// Something else is in the place of a shared folder.
    #[error(
        "the folder {}, which the machine shares as {tag:?}, is no folder any more: bring it back, or share it no more", .path.display()
    )]
    ShareNotAFolder {
        /// The share's name.
        tag: String,
        /// Where the folder was.
        path: PathBuf,
    },
    /// A shared folder cannot be looked at.
    #[error(
        "the folder {}, which the machine shares as {tag:?}, cannot be looked at ({source}): give yourself the right to, or share it no more", .path.display()
    )]
    ShareUnreadable {
        /// The share's name.
        tag: String,
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The machine has no virtio-serial port for an agent.
    #[error(
        "the machine has no channel for a guest agent: stop it, and give it one (serial.agent=virtio) first"
    )]
    NoAgentChannel,
    /// The machine has no virtio-serial port for its clipboard.
    #[error(
        "the machine has no port for its clipboard: stop it, and give it one (serial.vdagent=true) first"
    )]
    NoClipboardPort,
    /// Forwards belong to a card.
    #[error("the machine has no network card, which a forward needs: stop it, and give it one first")]
    NoNetworkCard,
    /// Nothing to take away.
    #[error("the machine has no forward {0}: look at those it has")]
    NoSuchForward(Forward),
    /// It was started without a VNC server.
    #[error("the machine runs without VNC: stop it, and turn VNC on first")]
    VncOff,
    /// No drive of this name takes media.
    #[error("the machine has no CD or floppy drive {0:?}: stop it, and give it one first")]
    NoMediaDrive(String),
    /// Something in the machine cannot be saved with its memory.
    #[error("the machine's memory cannot be saved now: {}", reasons(.known, .qemu))]
    StateNotSavable {
        /// What is known of the document to be in the way, each with its way out.
        known: Vec<Blocker>,
        /// What else is in the way, in QEMU's words.
        qemu: Vec<String>,
    },
    /// The disk is too full for the memory.
    #[error(
        "the machine's memory may need {} MiB of the disk, where {} MiB are free: free some space", .needed >> 20, .free >> 20
    )]
    NoRoomForMemory {
        /// Bytes.
        needed: u64,
        /// Bytes.
        free: u64,
    },
    /// A suspension failed, and its note cannot be taken back: it might be resumed from by and by.
    #[error(
        "{error}; and that it was suspended cannot be taken back, so the machine stands still: {undo}; suspend it again, or end it"
    )]
    StandsStill {
        /// Why it was not suspended.
        error: Box<VmError>,
        /// Why the note stays.
        undo: Box<VmError>,
    },
    /// QEMU tells no thread of a CPU.
    #[error("QEMU does not tell the threads of the guest's CPUs: try it again once the machine runs")]
    NoCpuThreads,
    /// Another medium has the name.
    #[error("the library has another medium called {0}: rename the file, or remove that one")]
    MediumNameTaken(String),
    /// A machine from elsewhere with a processor that is not run here.
    #[error(
        "it is for {0} processors: x86_64, i386 and aarch64 ones can be run here; its disks can be imported one by one"
    )]
    UnknownProcessor(String),
    /// QEMU's human monitor did not do it.
    #[error("QEMU refused: {words}")]
    Qemu {
        /// QEMU's own words.
        words: String,
    },
}

/// What of a machine listens on a port of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortUser {
    /// A forward.
    Forward(Forward),
    /// Its VNC server.
    Vnc,
}

impl From<sampan_library::NameError> for VmError {
    fn from(e: sampan_library::NameError) -> Self {
        Self::Library(e.into())
    }
}

impl fmt::Display for PortUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(forward) => write!(f, "the forward {forward}"),
            Self::Vnc => f.write_str("VNC"),
        }
    }
}

fn reasons(known: &[Blocker], qemu: &[String]) -> String {
    let known = known.iter().map(|blocker| blocker.why.to_string());
    known.chain(qemu.iter().cloned()).collect::<Vec<_>>().join("; ")
}

fn port(port: u16, address: IpAddr, what: PortUser) -> Params {
    let params = Params::new().with("port", port).with("address", address.to_string());
    match what {
        PortUser::Forward(forward) => params.with("what", "forward").with("forward", forward.to_string()),
        PortUser::Vnc => params.with("what", "vnc"),
    }
}

fn share(tag: &str, path: &std::path::Path) -> Params {
    Params::new().with("tag", tag).with("path", path)
}

impl Coded for VmError {
    fn code(&self) -> &'static str {
        match self {
            Self::Library(error) => error.code(),
            Self::VmConfig(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Start(error) => error.code(),
            Self::Launch(error) => error.code(),
            Self::Agent(error) => error.code(),
            Self::Command(error) => error.code(),
            Self::Seed(error) => error.code(),
            Self::Io { .. } => "file_unusable",
            Self::Thread => "thread_failed",
            Self::Fault(_) => "document_fault",
            Self::ThrowAwayRun => "throw_away_run",
            Self::Suspended => "suspended",
            Self::NoImage(_) => "no_image",
            Self::PortInUse { .. } => "port_in_use",
            Self::PortPrivileged { .. } => "port_privileged",
            Self::NoSuchAddress { .. } => "no_such_address",
            Self::PortUnusable { .. } => "port_unusable",
            Self::ShareMissing { .. } => "share_missing",
            Self::ShareNotAFolder { .. } => "share_not_a_folder",
            Self::ShareUnreadable { .. } => "share_unreadable",
            Self::NoAgentChannel => "no_agent_channel",
            Self::NoClipboardPort => "no_clipboard_port",
            Self::NoNetworkCard => "no_network_card",
            Self::NoSuchForward(_) => "no_such_forward",
            Self::VncOff => "vnc_off",
            Self::NoMediaDrive(_) => "no_media_drive",
            Self::StateNotSavable { .. } => "state_not_savable",
            Self::NoRoomForMemory { .. } => "no_room_for_memory",
            Self::StandsStill { .. } => "stands_still",
            Self::NoCpuThreads => "no_cpu_threads",
            Self::MediumNameTaken(_) => "medium_name_taken",
            Self::UnknownProcessor(_) => "unknown_processor",
            Self::Qemu { .. } => "qemu_refused",
        }
    }

    fn params(&self) -> Params {
        let none = Params::new();
        match self {
            Self::Start(error) => error.params(),
            Self::Command(error) => error.params(),
            Self::Io { path, source } => none.with("path", path.as_path()).with("why", source.to_string()),
            // The rule's own code: what a person does about it depends on that.
            Self::Fault(fault) => {
                let params = fault.message.params.clone();
                params.with("field", fault.field.as_str()).with("rule", &*fault.message.code)
            }
            Self::Library(error) => error.params(),
            Self::VmConfig(error) => error.params(),
            Self::Config(error) => error.params(),
            Self::Launch(error) => error.params(),
            Self::Agent(error) => error.params(),
            Self::Seed(error) => error.params(),
            Self::NoImage(drive) | Self::NoMediaDrive(drive) => none.with("drive", drive.as_str()),
            Self::PortInUse { port: number, address, what }
            | Self::PortPrivileged { port: number, address, what }
            | Self::NoSuchAddress { port: number, address, what } => port(*number, *address, *what),
            Self::PortUnusable { port: number, address, what, source } => {
                port(*number, *address, *what).with("why", source.to_string())
            }
            Self::ShareMissing { tag, path } | Self::ShareNotAFolder { tag, path } => share(tag, path),
            Self::ShareUnreadable { tag, path, source } => share(tag, path).with("why", source.to_string()),
            Self::NoSuchForward(forward) => none.with("forward", forward.to_string()),
            // The first is what a person does something about first; the others are among the words of all.
            Self::StateNotSavable { known, qemu } => {
                let first = known.first().map(|blocker| blocker.why.params());
                first.unwrap_or(none).with("reasons", reasons(known, qemu))
            }
            Self::NoRoomForMemory { needed, free } => none.with("needed", *needed).with("free", *free),
            Self::StandsStill { error, undo } => error
                .params()
                .with("reason", error.code())
                .with("error", error.to_string())
                .with("undo", undo.to_string()),
            Self::MediumNameTaken(name) => none.with("name", name.as_str()),
            Self::UnknownProcessor(processor) => none.with("processor", processor.as_str()),
            Self::Qemu { words } => none.with("words", words.as_str()),
            _ => none,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_face_gets_what_its_own_text_is_made_of() {
        let what = PortUser::Forward(Forward::tcp(2222, 22));
        let error = VmError::PortInUse { port: 2222, address: Ipv4Addr::LOCALHOST.into(), what };
        let message = error.message();
        assert_eq!(message.code, "port_in_use");
        for (name, value) in [
            ("port", "2222"),
            ("address", "127.0.0.1"),
            ("what", "forward"),
            ("forward", "tcp:127.0.0.1:2222:22"),
        ] {
            assert_eq!(message.params.get(name).map(ToString::to_string).as_deref(), Some(value), "{name}");
        }
        assert!(message.message.contains("taken by another program"), "{message}");
    }

    #[test]
    fn an_error_of_the_session_keeps_its_code() {
        let error = VmError::from(CommandError::Untypable('€'));
        assert_eq!((error.code(), error.params()), ("untypable", Params::new().with("character", "€")));
    }
}
