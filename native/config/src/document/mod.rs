//! The description of a machine that lasts: what a person chose, and nothing of where it runs.

mod check;
mod files;
mod foreign;
mod host_paths;
mod migrate;
mod sections;

pub use check::{Section, ValidationError};
pub use files::{MAX_SECTION_BYTES, VmConfigError};
pub use foreign::LeftOut;
pub(crate) use foreign::shortened;
pub use host_paths::HostPaths;
pub use migrate::CURRENT_VERSION;
pub use sections::{
    Card, Cpu, DirectKernel, Displays, DriveSection, Drives, Extra, FirmwareKind, FirmwareSection, Input,
    MAX_VOLUME, Memory, Network, Performance, Serial, ShareSection, Shares, Sound, System, Usb,
};

/// A machine's description: a section for each of its parts, one file each.
///
/// There is no path of the host in it and nothing of a run: disks and shared folders have names, and whoever starts the
/// machine says by a [`HostPaths`] where they are.
///
/// ```
/// use sampan_config::{Arch, VmConfig, Preset};
///
/// let document = VmConfig::new("work", Preset::Linux, Arch::X86_64);
/// let files = document.to_files();
/// assert!(files["drives.json"].contains("disk0"));
/// assert_eq!(VmConfig::from_files(&files)?, document);
/// # Ok::<(), sampan_config::VmConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct VmConfig {
    /// `system.json`, which also holds the version.
    pub system: System,
    /// `cpu.json`.
    pub cpu: Cpu,
    /// `memory.json`.
    pub memory: Memory,
    /// `firmware.json`.
    pub firmware: FirmwareSection,
    /// `drives.json`.
    pub drives: Drives,
    /// `displays.json`.
    pub displays: Displays,
    /// `network.json`.
    pub network: Network,
    /// `shares.json`.
    pub shares: Shares,
    /// `sound.json`.
    pub sound: Sound,
    /// `input.json`.
    pub input: Input,
    /// `serial.json`.
    pub serial: Serial,
    /// `usb.json`.
    pub usb: Usb,
    /// `performance.json`.
    pub performance: Performance,
    /// `extra.json`.
    pub extra: Extra,
}
