//! A machine with everything in its place: what QEMU's arguments are made of.

use crate::{
    Arch, Bus, CURRENT_TUNING, Channel, Chipset, Clock, DriveKind, Forward, Keyboard, MacAddress, NicDevice,
    Pointer, ShareSecurity, SoundDevice, Topology, UsbController, Vnc,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The guest agent's chardev.
pub const AGENT_SOCKET: &str = "agent";

/// The chardev of the clipboard's agent, and its port's id, by which QEMU tells that the guest has opened it. No port of a
/// description can have this name: they have no `-`.
pub const VDAGENT_SOCKET: &str = "vd-agent";

/// How a disk image is to be read. Never guessed from what a guest may have written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFormat {
    /// Sectors, one after the other.
    Raw,
    /// QEMU's own format.
    Qcow2,
}

impl DiskFormat {
    /// QEMU's name of the format.
    pub fn qemu_name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// A disk the guest may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The image.
    pub file: PathBuf,
    /// How it is read.
    pub format: DiskFormat,
    /// What it is built on, by the caller's word and not by that of its header, which a guest's QEMU could have written. A
    /// drive of a described machine ([`Drive`]) without one has none. Disks of a machine in one line
    /// ([`Machine::disks`]) follow their headers.
    pub base: Option<Box<Disk>>,
}

/// What starts the guest when it has no kernel of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, on PCs.
    Bios,
    /// UEFI from flash memory.
    Uefi {
        /// The firmware, read only.
        code: PathBuf,
        /// Its variables: a file of this machine's own, written by the guest.
        vars: PathBuf,
    },
    /// UEFI whose parts have names (`fw-code`, `fw-vars`), so that its variables can be snapshotted with the disks.
    Flash {
        /// The firmware, read only, raw.
        code: PathBuf,
        /// Its variables. As qcow2 they do not keep the machine's state from being saved.
        vars: Disk,
    },
}

/// A kernel that QEMU starts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The kernel.
    pub kernel: PathBuf,
    /// Its initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Its command line.
    pub append: Option<String>,
}

/// The graphics device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DisplayKind {
    /// virtio-gpu: shares memory with the viewer and follows its size, for guests with a driver (all Linux of today).
    #[default]
    Virtio,
    /// Standard VGA on PCs, ramfb on Arm: works without drivers, costs a copy of each change.
    Std,
}

/// A drive whose parts have names in QEMU: for the id `D` the image is the node `D`, its file `D-file` and the
/// device `D-dev`, so that it can be grown, snapshotted and changed while the machine runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// Its name: a small letter, then small letters, digits and `_`, at most 20.
    pub id: String,
    /// What it is.
    pub kind: DriveKind,
    /// What it is connected to.
    pub bus: Bus,
    /// The image; `None` is an empty CD or floppy drive.
    pub image: Option<Disk>,
    /// Its place in the order of boot, 0 first; `None` is never booted from.
    pub boot: Option<u32>,
    /// Whether the guest may not write it. CDs never can be.
    pub read_only: bool,
    /// Whether space that the guest frees is given back to the host.
    pub discard: bool,
}

/// A network card on a network of its own, with address translation by QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// The network's name, as a drive's.
    pub id: String,
    /// The card.
    pub device: NicDevice,
    /// Its address; `None` is QEMU's own, which is the same in every machine.
    pub mac: Option<MacAddress>,
    /// Whether the guest gets IPv6 too.
    pub ipv6: bool,
    /// Whether the guest reaches nothing but through the forwards.
    pub isolated: bool,
    /// Ports of the host that lead to the guest.
    pub forwards: Vec<Forward>,
}

impl Nic {
    /// A virtio card without forwards.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            device: NicDevice::Virtio,
            mac: None,
            ipv6: false,
            isolated: false,
            forwards: Vec::new(),
        }
    }
}

/// A folder of the host's, shared by 9p.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFolder {
    /// The name that the guest mounts: as a drive's.
    pub tag: String,
    /// The folder.
    pub path: PathBuf,
    /// Whether the guest may not write it.
    pub read_only: bool,
    /// How owners and modes are kept.
    pub security: ShareSecurity,
}

/// One more serial port, on the chardev of its own name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SerialPort {
    /// Its name, which is its chardev's and a virtio port's: as a drive's.
    pub id: String,
    /// What it is to the guest.
    pub device: Channel,
}

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name, for people.
    pub name: String,
    /// Its own number, as `-uuid` takes it; `None` is all zeros.
    pub uuid: Option<String>,
    /// Its architecture.
    pub arch: Arch,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Number of CPUs.
    pub cpus: u32,
    /// The machine's type.
    pub chipset: Chipset,
    /// QEMU's name of the CPU's model; `None` is all that the accelerator can do, but for what `tuning` leaves out.
    pub cpu: Option<String>,
    /// What is left out of the default model where the guest is translated ([`Cpu::tuning`](crate::Cpu::tuning)).
    pub tuning: u32,
    /// Properties of the CPU, each `name=value`.
    pub cpu_features: Vec<String>,
    /// Whether the guest is told of Hyper-V's interfaces, which Windows on a PC uses (KVM only; else they are ignored).
    pub hyperv: bool,
    /// How the CPUs show themselves; `None` is one socket.
    pub topology: Option<Topology>,
    /// Whether other processes can map the guest's memory, as vhost-user devices must.
    pub shared_memory: bool,
    /// What time its clock starts with.
    pub clock: Clock,
    /// What starts it; `None` is a PC's BIOS, and on Arm nothing but a kernel.
    pub firmware: Option<Firmware>,
    /// A kernel that QEMU starts itself.
    pub kernel: Option<Kernel>,
    /// Its disks, the first to boot from first.
    pub disks: Vec<Disk>,
    /// A CD image, which it boots from before any disk.
    pub cdrom: Option<PathBuf>,
    /// Its drives with names, in the order they are connected.
    pub drives: Vec<Drive>,
    /// Its graphics device.
    pub display: DisplayKind,
    /// How many screens virtio-gpu offers.
    pub heads: u32,
    /// A VNC server besides the D-Bus display.
    pub vnc: Option<Vnc>,
    /// Its network cards.
    pub nics: Vec<Nic>,
    /// Its shared folders.
    pub shares: Vec<SharedFolder>,
    /// Its sound card.
    pub sound: SoundDevice,
    /// Whether the sound card has an input.
    pub microphone: bool,
    /// Its pointer.
    pub pointer: Pointer,
    /// Its keyboard.
    pub keyboard: Keyboard,
    /// Whether it has a touch screen (virtio).
    pub touch: bool,
    /// Its USB controller.
    pub usb: UsbController,
    /// What the chardev `serial` is to the guest.
    pub console: Channel,
    /// More serial ports.
    pub serials: Vec<SerialPort>,
    /// The guest agent's channel, on the chardev `agent`.
    pub agent: Channel,
    /// Whether it has the port of the clipboard's agent, on the chardev [`VDAGENT_SOCKET`].
    pub vdagent: bool,
    /// Whether all that is written to its drives is forgotten at the end.
    pub throw_away: bool,
    /// Whether it waits for a saved state (`migrate-incoming`) instead of booting.
    pub incoming: bool,
    /// More arguments, as they are. Theirs is the last word.
    pub extra: Vec<String>,
}

impl Machine {
    /// A machine with 1024 MiB, 2 CPUs and nothing to boot from.
    pub fn new(name: impl Into<String>, arch: Arch) -> Self {
        Self {
            name: name.into(),
            uuid: None,
            arch,
            memory_mib: 1024,
            cpus: 2,
            chipset: match arch {
                Arch::X86_64 => Chipset::Q35,
                Arch::Aarch64 => Chipset::Virt,
            },
            cpu: None,
            tuning: CURRENT_TUNING,
            cpu_features: Vec::new(),
            hyperv: false,
            topology: None,
            shared_memory: false,
            clock: Clock::Utc,
            firmware: None,
            kernel: None,
            disks: Vec::new(),
            cdrom: None,
            drives: Vec::new(),
            display: DisplayKind::default(),
            heads: 1,
            vnc: None,
            nics: vec![Nic::new("net0")],
            shares: Vec::new(),
            sound: SoundDevice::None,
            microphone: false,
            pointer: Pointer::UsbTablet,
            keyboard: match arch {
                Arch::X86_64 => Keyboard::Ps2,
                Arch::Aarch64 => Keyboard::Usb,
            },
            touch: false,
            usb: UsbController::Xhci,
            console: Channel::Uart,
            serials: Vec::new(),
            agent: Channel::None,
            vdagent: false,
            throw_away: false,
            incoming: false,
            extra: Vec::new(),
        }
    }

    /// The names of the sockets that its host must give to QEMU besides its own (`qmp`, `serial`, `log`).
    pub fn sockets(&self) -> Vec<String> {
        let agent = (self.agent != Channel::None).then(|| AGENT_SOCKET.to_owned());
        let vdagent = self.vdagent.then(|| VDAGENT_SOCKET.to_owned());
        let ports = self.serials.iter().filter(|port| port.device != Channel::None);
        agent.into_iter().chain(vdagent).chain(ports.map(|port| port.id.clone())).collect()
    }
}
