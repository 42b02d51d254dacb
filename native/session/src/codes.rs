//! A message of every kind that this crate makes, for `docs/errors.md`.

use crate::vm::{PortUser, VmError};
use crate::{CommandError, Remedy, StartError, State};
use sampan_config::{Arch, Bus, DriveSection, Forward, Preset, Rule, ValidationError, VmConfig};
use sampan_emulator::Exit;
use sampan_frame::ReadError;
use sampan_message::{Coded, Message, samples as samples_of};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

fn of_command(last: &CommandError) -> Option<CommandError> {
    let wrong = |state, remedy| CommandError::State { state, remedy };
    let off = State::PoweredOff;
    let drive = || "disk0".to_owned();
    Some(match last {
        CommandError::State { remedy, .. } => match remedy {
            Remedy::Start => wrong(off, Remedy::Reset),
            Remedy::Reset => wrong(off, Remedy::NothingToPause),
            Remedy::NothingToPause => wrong(off, Remedy::NothingToSave),
            Remedy::NothingToSave => wrong(State::Paused, Remedy::NobodyHears),
            Remedy::NobodyHears => wrong(State::Paused, Remedy::WaitForSaving),
            Remedy::WaitForSaving => CommandError::NoPicture,
        },
        CommandError::NoPicture => CommandError::NoDisplay { display: 1, count: 1 },
        CommandError::NoDisplay { .. } => CommandError::Read(ReadError::Shrank),
        CommandError::Read(ReadError::Shrank) => CommandError::Read(ReadError::OutOfBounds),
        CommandError::Read(ReadError::OutOfBounds) => {
            CommandError::Read(ReadError::Io(Error::from(ErrorKind::UnexpectedEof)))
        }
        CommandError::Read(ReadError::Io(_)) => CommandError::Untypable('é'),
        CommandError::Untypable(_) => CommandError::NotPasted(Duration::from_secs(4)),
        CommandError::NotPasted(_) => CommandError::NoSound,
        CommandError::NoSound => CommandError::NoReset(10),
        CommandError::NoReset(_) => CommandError::NotSavable {
            reason: "State blocked by non-migratable device '0000:00:03.0/nvme'".into(),
        },
        CommandError::NotSavable { .. } => CommandError::NotTransferred { words: "Broken pipe".into() },
        CommandError::NotTransferred { .. } => CommandError::Cancelled,
        CommandError::Cancelled => CommandError::NoDrive("disk7".into()),
        CommandError::NoDrive(_) => CommandError::Shrink { drive: drive(), now: 2 << 30, wanted: 1 << 30 },
        CommandError::Shrink { .. } => CommandError::MediumHeld("cd0".into()),
        CommandError::MediumHeld(_) => {
            CommandError::Io { path: "/vms/debian/state".into(), source: ErrorKind::PermissionDenied.into() }
        }
        CommandError::Io { .. } => CommandError::Thread,
        // These have samples in their crates.
        CommandError::Thread
        | CommandError::Clipboard(_)
        | CommandError::Image(_)
        | CommandError::Qmp(_)
        | CommandError::Display(_) => return None,
    })
}

fn of_start(last: &StartError) -> Option<StartError> {
    Some(match last {
        StartError::Qemu(_) => StartError::State(Box::new(CommandError::Cancelled)),
        StartError::State(_) => StartError::Thread,
        StartError::Thread => StartError::Io(Error::from(ErrorKind::OutOfMemory)),
        StartError::Io(_) | StartError::Launch(_) | StartError::Qmp(_) | StartError::Display(_) => {
            return None;
        }
    })
}

/// Everything that a machine with all of it says is in the way of saving its state.
fn not_savable() -> VmError {
    let mut document = VmConfig::new("debian", Preset::Linux, Arch::X86_64);
    document.drives.drives.push(DriveSection::disk("disk1", Bus::Nvme, None));
    VmError::StateNotSavable { known: document.state_blockers(), qemu: Vec::new() }
}

fn of_vm(last: &VmError) -> Option<VmError> {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (tag, path) = (|| "files".to_owned(), || PathBuf::from("/home/ada/files"));
    let denied = || Error::from(ErrorKind::PermissionDenied);
    let forward = Forward::tcp(80, 80);
    let what = PortUser::Forward(forward);
    Some(match last {
        VmError::Io { .. } => VmError::Thread,
        VmError::Thread => {
            VmError::Fault(ValidationError { field: "cpu.count".into(), message: Rule::Cpus(0).message() })
        }
        VmError::Fault(_) => VmError::ThrowAwayRun,
        VmError::ThrowAwayRun => VmError::Suspended,
        VmError::Suspended => VmError::NoImage("disk0".into()),
        VmError::NoImage(_) => VmError::PortInUse { port: 5900, address, what: PortUser::Vnc },
        VmError::PortInUse { what: PortUser::Vnc, .. } => VmError::PortInUse { port: 80, address, what },
        VmError::PortInUse { .. } => VmError::PortPrivileged { port: 80, address, what },
        VmError::PortPrivileged { .. } => VmError::NoSuchAddress { port: 80, address, what },
        VmError::NoSuchAddress { .. } => {
            VmError::PortUnusable { port: 80, address, what, source: ErrorKind::OutOfMemory.into() }
        }
        VmError::PortUnusable { .. } => VmError::ShareMissing { tag: tag(), path: path() },
        VmError::ShareMissing { .. } => VmError::ShareNotAFolder { tag: tag(), path: path() },
        VmError::ShareNotAFolder { .. } => {
            VmError::ShareUnreadable { tag: tag(), path: path(), source: denied() }
        }
        VmError::ShareUnreadable { .. } => VmError::NoAgentChannel,
        VmError::NoAgentChannel => VmError::NoClipboardPort,
        VmError::NoClipboardPort => VmError::NoNetworkCard,
        VmError::NoNetworkCard => VmError::NoSuchForward(forward),
        VmError::NoSuchForward(_) => VmError::VncOff,
        VmError::VncOff => VmError::NoMediaDrive("cd7".into()),
        VmError::NoMediaDrive(_) => not_savable(),
        VmError::StateNotSavable { known, .. } if !known.is_empty() => VmError::StateNotSavable {
            known: Vec::new(),
            qemu: vec!["State blocked by non-migratable device '0000:00:03.0/nvme'".into()],
        },
        VmError::StateNotSavable { .. } => VmError::NoRoomForMemory { needed: 2 << 30, free: 1 << 30 },
        VmError::NoRoomForMemory { .. } => VmError::StandsStill {
            error: Box::new(CommandError::Cancelled.into()),
            undo: Box::new(VmError::Io { path: "/vms/debian/manifest.json".into(), source: denied() }),
        },
        VmError::StandsStill { .. } => VmError::NoCpuThreads,
        VmError::NoCpuThreads => VmError::MediumNameTaken("debian.iso".into()),
        VmError::MediumNameTaken(_) => VmError::UnknownProcessor("ppc64".into()),
        VmError::UnknownProcessor(_) => VmError::Qemu { words: "Device 'net0' not found".into() },
        // These have samples of their own.
        VmError::Qemu { .. }
        | VmError::Library(_)
        | VmError::VmConfig(_)
        | VmError::Config(_)
        | VmError::Start(_)
        | VmError::Launch(_)
        | VmError::Agent(_)
        | VmError::Command(_)
        | VmError::Seed(_) => return None,
    })
}

/// A message of every kind that this crate makes.
#[doc(hidden)]
pub fn samples() -> Vec<Message> {
    let ended = CommandError::State { state: State::Ended, remedy: Remedy::Start };
    let mut all = samples_of(ended, of_command);
    for exit in [
        Exit::Clean,
        Exit::Failed { status: 1, message: "-m 3q: invalid size".into() },
        Exit::Killed { signal: 11, message: String::new() },
        Exit::Vanished { message: String::new() },
    ] {
        all.push(StartError::Qemu(exit).message());
    }
    all.extend(samples_of(StartError::State(Box::new(CommandError::Cancelled)), of_start));
    let file = VmError::Io { path: "/vms/debian/seed.iso".into(), source: ErrorKind::NotFound.into() };
    all.extend(samples_of(file, of_vm));
    all.extend(crate::vm::samples());
    all
}
