//! The sections as they stand in their files. What a file leaves out has its default.

use crate::{
    Arch, Bus, Channel, Chipset, ClipboardPolicy, Clock, DisplayKind, DriveKind, Forward, Keyboard,
    KeyboardLayout, MacAddress, Mode, NicDevice, PasteKeys, Pointer, Preset, SerialPort, ShareSecurity,
    SoundDevice, Topology, UsbController, Vnc,
};
use serde::{Deserialize, Serialize};

/// What the machine is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// The version of the whole description: [`CURRENT_VERSION`](super::CURRENT_VERSION) once it is read.
    pub version: u32,
    /// Its name, for people.
    pub name: String,
    /// The guest's architecture. 32-bit PCs are `x86_64` with a 32-bit CPU.
    pub arch: Arch,
    /// The machine's type.
    pub machine: Chipset,
    /// What it was made for.
    pub preset: Preset,
    /// What time its clock starts with.
    #[serde(default)]
    pub clock: Clock,
    /// The machine's own number, such as `6ba7b810-9dad-11d1-80b4-00c04fd430c8`: Windows ties its licence to it. Without
    /// one every machine has zeros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Whether it is started again by itself when QEMU has died; a few times, so that one that dies at once is left alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart_after_crash: bool,
    /// A person's notes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

/// The CPUs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cpu {
    /// How many.
    pub count: u32,
    /// QEMU's name of the model; without one, all that the accelerator can do, but for what `tuning` leaves out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What is left out of the default model where the guest is translated: nothing (0), or up to
    /// [`CURRENT_TUNING`](crate::CURRENT_TUNING). A machine keeps the one it was made with.
    #[serde(skip_serializing_if = "is_zero")]
    pub tuning: u32,
    /// Properties of the model, each `name=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// How they show themselves; without it one socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// Hyper-V's interfaces, for Windows on a PC.
    pub hyperv: bool,
}

// The signature is serde's.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Default for Cpu {
    fn default() -> Self {
        Self { count: 2, model: None, tuning: 0, features: Vec::new(), topology: None, hyperv: false }
    }
}

/// The memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// How much, in MiB.
    pub mib: u32,
    /// Whether other processes can map it, as vhost-user devices must.
    pub shared: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self { mib: 2048, shared: false }
    }
}

/// What starts the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirmwareKind {
    /// SeaBIOS, on PCs.
    Bios,
    /// UEFI; its variables are a file of the machine's own.
    #[default]
    Uefi,
    /// None, on Arm: a kernel of the machine's own is needed.
    None,
}

/// The firmware.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FirmwareSection {
    /// Which.
    pub kind: FirmwareKind,
    /// A kernel that is started instead of a boot loader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<DirectKernel>,
}

/// A kernel among the machine's files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectKernel {
    /// Its file's name.
    pub kernel: String,
    /// The name of its initial RAM disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<String>,
    /// Its command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append: Option<String>,
}

/// The drives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drives {
    /// In the order they are connected.
    pub drives: Vec<DriveSection>,
}

/// A drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriveSection {
    /// Its name, which stays: a small letter, then small letters, digits and `_`, at most 20.
    pub id: String,
    /// What it is.
    pub kind: DriveKind,
    /// What it is connected to.
    pub bus: Bus,
    /// Its place in the order of boot, 0 first; without one it is never booted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<u32>,
    /// Whether the guest may not write it.
    #[serde(default)]
    pub read_only: bool,
    /// Whether space that the guest frees is given back to the host.
    #[serde(default)]
    pub discard: bool,
    /// The file in a CD or floppy drive; without one it is empty. Disks have none: whose they are is known by `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
}

impl DriveSection {
    /// A disk that gives freed space back.
    pub fn disk(id: impl Into<String>, bus: Bus, boot: Option<u32>) -> Self {
        Self { id: id.into(), kind: DriveKind::Disk, bus, boot, read_only: false, discard: true, media: None }
    }

    /// A CD drive.
    pub fn cdrom(id: impl Into<String>, bus: Bus, boot: Option<u32>, media: Option<String>) -> Self {
        Self { id: id.into(), kind: DriveKind::Cdrom, bus, boot, read_only: true, discard: false, media }
    }
}

/// The screens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Displays {
    /// The graphics device.
    pub device: DisplayKind,
    /// How many screens; more than one with virtio alone.
    pub heads: u32,
    /// Where VNC clients may connect; without it nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnc: Option<Vnc>,
}

impl Default for Displays {
    fn default() -> Self {
        Self { device: DisplayKind::Virtio, heads: 1, vnc: None }
    }
}

/// The network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The cards, each on a network of its own with address translation.
    pub cards: Vec<Card>,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Its name, as a drive's.
    pub id: String,
    /// Its model.
    #[serde(default)]
    pub device: NicDevice,
    /// Its address; without one QEMU's own, the same in every machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// Whether the guest gets IPv6 too.
    #[serde(default)]
    pub ipv6: bool,
    /// Whether the guest reaches nothing but through the forwards.
    #[serde(default)]
    pub isolated: bool,
    /// Ports of the host that lead to the guest.
    #[serde(default)]
    pub forwards: Vec<Forward>,
}

/// The shared folders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shares {
    /// Each of them.
    pub shares: Vec<ShareSection>,
}

/// A shared folder. Which of the host's it is, is not told here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "ReadShare")]
pub struct ShareSection {
    /// The name that the guest mounts, as a drive's.
    pub tag: String,
    /// Whether the guest may not write it.
    pub read_only: bool,
    /// How owners and modes are kept; [`ShareSecurity::of`] where a file does not tell.
    pub security: ShareSecurity,
}

/// The same as it is read: its default model depends on what the guest may do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadShare {
    tag: String,
    #[serde(default)]
    read_only: bool,
    security: Option<ShareSecurity>,
}

impl From<ReadShare> for ShareSection {
    fn from(ReadShare { tag, read_only, security }: ReadShare) -> Self {
        Self { tag, read_only, security: security.unwrap_or(ShareSecurity::of(read_only)) }
    }
}

/// The sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sound {
    /// The card.
    pub device: SoundDevice,
    /// Whether it has an input, in which the guest hears silence as long as `microphone` is off. Machines of before this field have
    /// one while `microphone` is on: a saved state needs the card that it was saved with.
    pub input: bool,
    /// Whether the guest may listen to the microphone.
    pub microphone: bool,
    /// How loud it is, in per cent, of which the cube is taken.
    pub volume: u8,
    /// Whether it is silent, whatever its volume.
    pub muted: bool,
}

impl Default for Sound {
    fn default() -> Self {
        Self { device: SoundDevice::None, input: false, microphone: false, volume: MAX_VOLUME, muted: false }
    }
}

impl Sound {
    /// Whether the card has an input.
    pub fn has_input(&self) -> bool {
        self.input || self.microphone
    }
}

/// Full volume, in per cent.
pub const MAX_VOLUME: u8 = 100;

/// Keyboard and pointer, and the clipboard, which belongs to typing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// The pointer.
    pub pointer: Pointer,
    /// The keyboard.
    pub keyboard: Keyboard,
    /// A touch screen besides (virtio, for Linux and Android).
    pub touch: bool,
    /// Which way the clipboard is shared; a machine without [`Serial::vdagent`] has none.
    pub clipboard: ClipboardPolicy,
    /// What pastes in the guest, for text that has no keys.
    pub paste: PasteKeys,
    /// The layout that the guest's keyboard is set to, by which text becomes keys.
    #[serde(skip_serializing_if = "KeyboardLayout::is_default")]
    pub layout: KeyboardLayout,
}

/// Serial ports and channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serial {
    /// The console.
    pub console: Channel,
    /// The guest agent's channel (qemu-ga).
    pub agent: Channel,
    /// The port of the clipboard's agent (spice-vdagent).
    pub vdagent: bool,
    /// More ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<SerialPort>,
}

impl Default for Serial {
    fn default() -> Self {
        Self { console: Channel::Uart, agent: Channel::Virtio, vdagent: false, ports: Vec::new() }
    }
}

/// USB.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usb {
    /// The controller.
    pub controller: UsbController,
}

/// How much of the host it may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Performance {
    /// The mode it starts with.
    pub mode: Mode,
}

/// What has no setting of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Extra {
    /// More arguments for QEMU, as they are, after all others. Those of an imported machine are not to be trusted.
    pub arguments: Vec<String>,
}
