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
mod document;
mod escape;
mod forward;
mod limits;
mod mac;
mod machine;
mod names;
mod parts;
mod performance;
mod preset;
mod share;
mod tuning;
mod vnc;

pub use arch::{Arch, UnknownArch};
pub use blockers::{BlockedWhen, Blocker};
pub use document::{
    CURRENT_VERSION, Card, Cpu, DirectKernel, Displays, Document, DocumentError, DriveSection, Drives, Extra,
    Fault, FirmwareKind, FirmwareSection, Input, MAX_SECTION_BYTES, Memory, Network, Performance, Place,
    Section, Serial, ShareSection, Shares, Sound, System, Usb,
};
pub use escape::escaped;
pub use forward::{
    Forward, ForwardError, MAX_FORWARD_PORTS, Protocol, forward_conflicts, human_monitor_command,
};
pub use limits::{Finding, HostFigures, Limits, PAUSE_BELOW, Severity, Space, WARN_BELOW};
pub use mac::{MacAddress, NotAMac};
pub use machine::{
    AGENT_SOCKET, Disk, DiskFormat, DisplayKind, Drive, Firmware, Kernel, Machine, Nic, SerialPort,
    SharedFolder,
};
pub use parts::{
    Bus, Channel, Chipset, Clock, DriveKind, Keyboard, NicDevice, Pointer, ShareSecurity, SoundDevice,
    Topology, UsbController,
};
pub use performance::{Duty, Effort, Mode, NotAMode};
pub use preset::Preset;
pub use share::PLAIN_SHARE_WARNING;
pub use tuning::CURRENT_TUNING;
pub use vnc::{BadVncPassword, MAX_VNC_PASSWORD, VNC_WARNING, Vnc, VncPassword};

use std::path::PathBuf;

/// Why a machine cannot be built.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Arm machines have no BIOS.
    #[error("aarch64 machines have no BIOS: leave --firmware out, or use --firmware uefi")]
    NoBios,
    /// Memory out of range.
    #[error("{0} MiB of memory is out of range: use {MIN_MEMORY_MIB} to {MAX_MEMORY_MIB}")]
    Memory(u32),
    /// CPUs out of range.
    #[error("{0} CPUs are out of range: use 1 to {MAX_CPUS}")]
    Cpus(u32),
    /// Options of a kernel without a kernel.
    #[error("{0} needs --kernel: without a kernel of its own the guest's boot loader decides")]
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
    /// A part's name that QEMU could misread.
    #[error("{0:?} is no name for a part: begin with a-z, go on with a-z 0-9 _ to at most 20 characters")]
    Id(String),
    /// Two parts of one name.
    #[error("the name {0:?} is used twice: give each part its own")]
    Twice(String),
    /// A CPU's model or property that QEMU could misread.
    #[error("{0:?} is no CPU model or property: use a model's name, and name=value for each property")]
    CpuModel(String),
    /// A text that cannot be given to QEMU.
    #[error("the {0} contains a NUL character: take it out")]
    Text(&'static str),
    /// Parts that do not go together.
    #[error("{0}")]
    Unfit(String),
    /// A drive that cannot be so.
    #[error("drive {id}: {words}")]
    Drive {
        /// Which.
        id: String,
        /// Why, and what to do.
        words: &'static str,
    },
    /// A disk without an image.
    #[error("disk {0} has no image: create or import one, or remove the disk")]
    NoImage(String),
    /// A description with faults.
    #[error("{}", faults_text(.0))]
    Document(Vec<Fault>),
    /// A file that the description names and nobody placed.
    #[error(
        "the file {0} of this machine is not there: put it back, or take it out of the machine's settings"
    )]
    NotPlaced(String),
    /// A shared folder without a folder.
    #[error(
        "the shared folder {0} is no folder of this host yet: take it out with `sampan share remove`, and give it one again with `sampan share add … --tag {0}`"
    )]
    NoFolder(String),
    /// A forward that cannot be.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// A port that VNC does not have.
    #[error("VNC cannot listen on port {0}: use 5900 to 65535")]
    VncPort(u16),
}

fn faults_text(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The least memory, in MiB: below it no kernel of today starts.
pub const MIN_MEMORY_MIB: u32 = 16;
/// The most memory, in MiB (1 TiB): far above any host's; whether this host has it is another question.
pub const MAX_MEMORY_MIB: u32 = 1 << 20;
/// The most CPUs: what q35 and virt take without further options.
pub const MAX_CPUS: u32 = 255;
/// The most screens of virtio-gpu (`VIRTIO_GPU_MAX_SCANOUTS` in QEMU).
pub const MAX_HEADS: u32 = 16;
