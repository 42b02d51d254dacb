//! What a virtual machine is made of, and QEMU's arguments for it.
//!
//! **Invariant:** pure and deterministic. No clock, no I/O, no panic on any input; a value with commas or other
//! metacharacters in it can never become another option.
//!
//! ```
//! use sampan_config::{Arch, Machine};
//!
//! let machine = Machine::new("first", Arch::X86_64);
//! let argv = machine.argv(&["tcg,thread=multi".into()])?;
//! assert!(argv.windows(2).any(|pair| pair == ["-machine", "q35"]));
//! # Ok::<(), sampan_config::ConfigError>(())
//! ```
#![forbid(unsafe_code)]

mod arch;
mod argv;
mod blockers;
mod clipboard;
mod codes;
mod document;
mod escape;
mod finding;
mod forward;
mod host_kind;
mod keyboard_layout;
mod limits;
mod mac;
mod machine;
mod names;
mod parts;
mod performance;
mod preset;
mod rule;
mod share;
mod size;
mod tuning;
mod vnc;

pub use arch::{Arch, UnknownArch};
pub use blockers::{BlockedBy, BlockedWhen, Blocker};
pub use clipboard::{ClipboardPolicy, PasteKeys};
#[doc(hidden)]
pub use codes::samples;
pub use document::{
    CURRENT_VERSION, Card, Cpu, DirectKernel, Displays, DriveSection, Drives, Extra, FirmwareKind,
    FirmwareSection, HostPaths, Input, LeftOut, MAX_SECTION_BYTES, MAX_VOLUME, Memory, Network, Performance,
    Section, Serial, ShareSection, Shares, Sound, System, Usb, ValidationError, VmConfig, VmConfigError,
};
pub use escape::escaped;
pub use finding::{Finding, Severity};
pub use forward::{
    Forward, ForwardError, MAX_FORWARD_PORTS, Protocol, forward_conflicts, human_monitor_command,
};
pub use host_kind::{HostKind, UnknownHostKind};
pub use keyboard_layout::KeyboardLayout;
pub use limits::{HostFigures, Limits, MAX_DISK_BYTES, MIN_DISK_BYTES, Range, Space};
pub use mac::{MacAddress, NotAMac};
pub use machine::{
    AGENT_SOCKET, Disk, DiskFormat, DisplayKind, Drive, Firmware, Kernel, Machine, Nic, SerialPort,
    SharedFolder, VDAGENT_SOCKET,
};
pub use parts::{
    Bus, Channel, Chipset, Clock, DriveKind, Keyboard, NicDevice, Pointer, ShareSecurity, SoundDevice,
    Topology, UsbController,
};
pub use performance::{Duty, Effort, Mode, NotAMode};
pub use preset::{Preset, PresetNote};
pub use rule::Rule;
pub use share::PLAIN_SHARE_WARNING;
pub use size::{PAUSE_BELOW, WARN_BELOW};
pub use tuning::CURRENT_TUNING;
pub use vnc::{BadVncPassword, MAX_VNC_PASSWORD, VNC_WARNING, Vnc, VncPassword};

use std::path::PathBuf;

/// Why a machine cannot be built.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Something about it cannot be.
    #[error(transparent)]
    Rule(#[from] Rule),
    /// A drive that cannot be so.
    #[error("drive {id}: {rule}")]
    Drive {
        /// Which.
        id: String,
        /// Why, and what to do.
        rule: Rule,
    },
    /// Options of a kernel without a kernel.
    #[error("{0} needs a kernel: without one of its own the guest's boot loader decides")]
    NoKernel(&'static str),
    /// A path QEMU cannot be given.
    #[error("{} contains a character that QEMU cannot be given: rename the file", .0.display())]
    Path(PathBuf),
    /// Nothing was given to start the accelerator with.
    #[error("no accelerator was chosen")]
    NoAccelerator,
    /// UEFI was asked for without its files.
    #[error("the UEFI firmware's files were not given")]
    NoUefi,
    /// A disk without an image.
    #[error("disk {0} has no image: create or import one, or remove the disk")]
    NoImage(String),
    /// A description with faults.
    #[error("{}", lines(.0))]
    VmConfig(Vec<ValidationError>),
    /// A file that the description names and nobody placed.
    #[error(
        "the file {0} of this machine is not there: put it back, or take it out of the machine's settings"
    )]
    NotPlaced(String),
    /// A shared folder without a folder.
    #[error(
        "the shared folder {0} is no folder of this host yet: take it out of the machine, or share a folder under that name anew"
    )]
    NoFolder(String),
}

fn lines(errors: &[ValidationError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The least memory, in MiB: below it no kernel of today starts.
pub const MIN_MEMORY_MIB: u32 = 16;
/// The most memory, in MiB (1 TiB): far above any host's; whether this host has it is another question.
pub const MAX_MEMORY_MIB: u32 = 1 << 20;
/// The most CPUs: what q35 and virt take without further options.
pub const MAX_CPUS: u32 = 255;
/// The most screens of virtio-gpu (`VIRTIO_GPU_MAX_SCANOUTS` in QEMU).
pub const MAX_HEADS: u32 = 16;
