//! The choices that a machine's parts offer. Each has one that every guest knows without drivers.

use serde::{Deserialize, Serialize};

/// What QEMU calls the machine's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chipset {
    /// A PC with PCI Express, of 2009.
    Q35,
    /// A PC with PCI, IDE and ISA, of 1996 (i440fx): for 32-bit and old guests.
    Pc,
    /// The Arm machine made for virtual machines.
    Virt,
}

/// How a drive looks to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriveKind {
    /// A disk.
    Disk,
    /// A CD or DVD drive; may be empty.
    Cdrom,
    /// A floppy drive; may be empty.
    Floppy,
}

/// What a drive is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bus {
    /// The fastest, for disks; Windows needs drivers.
    VirtioBlk,
    /// Many disks and CDs on one controller; Windows needs drivers.
    VirtioScsi,
    /// Known to every system since about 2013; keeps a machine's state from being saved (`hw/nvme/ctrl.c`).
    Nvme,
    /// Known to every system since about 2007.
    Sata,
    /// Known to every PC system; the machine type `pc` alone has it.
    Ide,
    /// Known to everything that knows USB.
    Usb,
    /// The floppy controller, for floppies.
    Floppy,
}

/// A network card's model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NicDevice {
    /// The fastest; Windows needs drivers.
    #[default]
    Virtio,
    /// Intel 82574L: known to Windows since 8, and to every Linux.
    E1000e,
    /// Intel 82540EM: known to Windows XP to 7.
    E1000,
    /// Realtek 8139: known to systems since about 1999.
    Rtl8139,
    /// AMD PCnet: known to systems since about 1994.
    Pcnet,
}

impl NicDevice {
    /// QEMU's name of the device.
    pub fn qemu_name(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-net-pci",
            Self::E1000e => "e1000e",
            Self::E1000 => "e1000",
            Self::Rtl8139 => "rtl8139",
            Self::Pcnet => "pcnet",
        }
    }
}

/// A sound card's model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundDevice {
    /// No sound.
    #[default]
    None,
    /// Intel HD Audio: known to every system since about 2006.
    Hda,
    /// AC'97: for systems before that.
    Ac97,
    /// virtio-sound, for Linux since 5.13; keeps a machine's state from being saved (`hw/audio/virtio-snd.c`).
    Virtio,
}

/// The pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pointer {
    /// Absolute positions over USB: no pointer lock needed.
    #[default]
    UsbTablet,
    /// Relative movements over USB, for games.
    UsbMouse,
    /// Absolute positions over virtio, for guests without USB.
    VirtioTablet,
    /// The mouse that a PC has anyway.
    Ps2,
}

/// The keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keyboard {
    /// Over USB.
    #[default]
    Usb,
    /// Over virtio, for guests without USB.
    Virtio,
    /// The keyboard that a PC has anyway.
    Ps2,
}

/// The USB controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsbController {
    /// No USB.
    None,
    /// USB 3: known to Linux since 2.6.31 and Windows since 8.
    #[default]
    Xhci,
    /// USB 2: known to systems since about 2002.
    Ehci,
    /// USB 1, on PCs: known to systems since Windows 98.
    Uhci,
}

/// What the serial console, or the guest agent's channel, is to the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Not there.
    None,
    /// A serial port (16550 on PCs, PL011 on Arm): known to everything.
    #[default]
    Uart,
    /// A port of virtio-serial: faster; Windows needs drivers.
    Virtio,
}

/// What time the machine's clock shows at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// UTC, as every system but Windows expects.
    #[default]
    Utc,
    /// The host's local time, as Windows expects.
    Localtime,
}

/// What becomes of the owners and modes that a guest sets in a shared folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareSecurity {
    /// The host's files show as they are, links too. Of what the guest makes, the host has the modes, and the owner is whoever runs QEMU. It
    /// needs nothing of the host's file system.
    None,
    /// Owners, modes, links and devices are kept in extended attributes (`user.virtfs.*`) of ordinary files of mode 0600, which the host's file
    /// system must have: nothing that a guest makes is a program, a link or open to others on the host.
    MappedXattr,
}

impl ShareSecurity {
    /// Unless somebody chooses: mapped for a folder that the guest writes; the host's files as they are for one that it reads.
    pub fn of(read_only: bool) -> Self {
        if read_only { Self::None } else { Self::MappedXattr }
    }

    /// QEMU's name of the model (`-fsdev local,security_model=`).
    pub fn qemu_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::MappedXattr => "mapped-xattr",
        }
    }
}

impl std::str::FromStr for ShareSecurity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::None, Self::MappedXattr]
            .into_iter()
            .find(|model| model.qemu_name() == text)
            .ok_or_else(|| format!("{text:?} is no model: say none or mapped-xattr"))
    }
}

/// How the CPUs show themselves. The product is the number of CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Sockets; Windows desktop editions use two at most.
    pub sockets: u32,
    /// Cores of a socket.
    pub cores: u32,
    /// Threads of a core.
    pub threads: u32,
}

impl Topology {
    /// How many CPUs that makes.
    pub fn cpus(self) -> u64 {
        // Each is below 2^32: three saturate rather than wrap.
        u64::from(self.sockets).saturating_mul(self.cores.into()).saturating_mul(self.threads.into())
    }
}
