//! What kinds of guest need.

use crate::document::{
    Card, Cpu, Displays, DriveSection, Drives, Extra, FirmwareKind, FirmwareSection, Input, Memory, Network,
    Performance, Serial, Shares, Sound, System, Usb, VmConfig,
};
use crate::{
    Arch, Bus, CURRENT_TUNING, CURRENT_VERSION, Channel, Chipset, Clock, DisplayKind, Keyboard, NicDevice,
    Pointer, SoundDevice, UsbController,
};
use sampan_message::{Message, Reason, reasons};
use serde::{Deserialize, Serialize};

/// A kind of guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Linux, and other systems with virtio drivers.
    Linux,
    /// Windows 11.
    Windows11,
    /// Windows 10.
    Windows10,
    /// Android, as Cuttlefish or AOSP images.
    Android,
    /// Another 64-bit system, without virtio drivers.
    Other,
    /// A 32-bit or old system, on a PC of its time.
    Old,
}

/// Where the first disk is called this.
const DISK: &str = "disk0";
const CD: &str = "cd0";
const NET: &str = "net0";

impl Preset {
    /// Every preset, in the order they are listed to a user.
    pub const ALL: [Self; 6] =
        [Self::Linux, Self::Windows11, Self::Windows10, Self::Android, Self::Other, Self::Old];

    /// Whether it makes sense for an architecture.
    pub fn fits(self, arch: Arch) -> bool {
        self != Self::Old || arch == Arch::X86_64
    }

    /// Whether it was tried with systems here and on no device: what it proposes may have to be changed.
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Windows11 | Self::Windows10 | Self::Android)
    }

    /// What is not there yet, or must be known before an installation; each with a code of its own.
    pub fn notes(self, arch: Arch) -> Vec<Message> {
        use PresetNote as Note;
        let pc = arch == Arch::X86_64;
        let windows = || match pc {
            true => [Note::WindowsPc, Note::WindowsWithoutKvm],
            false => [Note::WindowsArm, Note::WindowsNvme],
        };
        let notes = match self {
            Self::Linux => Vec::new(),
            Self::Windows11 => [Note::WindowsChecks].into_iter().chain(windows()).collect(),
            Self::Windows10 => windows().into(),
            Self::Android => vec![Note::AndroidGpu, Note::AndroidImage, Note::AndroidAdb],
            Self::Other => vec![Note::OtherDevices],
            Self::Old if pc => vec![Note::OldPc],
            Self::Old => vec![Note::OldArm],
        };
        notes.iter().map(PresetNote::message).collect()
    }
}

reasons! {
    /// What is to be known of a preset.
    #[non_exhaustive]
    pub enum PresetNote {
        WindowsChecks => "windows_needs_tpm_bypass", "there is no TPM and no secure boot yet, and setup refuses a PC without: at its first screen press Shift-F10 and set BypassTPMCheck and BypassSecureBootCheck to 1 under HKLM\\SYSTEM\\Setup\\LabConfig";
        WindowsPc => "windows_pc_drivers", "disk and network are ones that Windows knows; with the virtio-win drivers installed, virtio is faster";
        WindowsArm => "windows_arm_network_driver", "Windows for Arm has no driver for the network card: install virtio-win's from its CD after setup";
        WindowsNvme => "windows_arm_nvme", "the disk is NVMe, which keeps the machine's state from being saved: with virtio-win's drivers move it to virtio-blk";
        WindowsWithoutKvm => "windows_slow_without_kvm", "without KVM, Windows takes many minutes to start";
        AndroidGpu => "android_without_gpu", "there is no GPU for the guest yet: Android draws by software, slowly";
        AndroidImage => "android_image", "the image must boot by UEFI from one disk; Cuttlefish's separate partition images have to be put together first";
        AndroidAdb => "android_adb", "adb: forward a port of the host to the guest's 5555, as in tcp:6520:5555";
        OtherDevices => "other_devices", "devices are ones that every system knows; where it has virtio drivers, virtio is several times faster";
        OldPc => "old_pc", "a PC of about 1999 with one CPU; a 32-bit system of today runs faster with the preset for Linux and BIOS";
        OldArm => "no_32_bit_arm", "there is no 32-bit Arm machine: this is the one for other systems";
    }
}

impl PresetNote {
    /// It as a message: the note's code is the message's.
    pub fn message(&self) -> Message {
        Message::new(self.code(), self.to_string())
    }
}

impl VmConfig {
    /// A new machine's description: an empty CD drive and the disk `disk0`, devices as the preset has them.
    ///
    /// A preset that does not [fit](Preset::fits) the architecture gives the machine for other systems.
    pub fn new(name: impl Into<String>, preset: Preset, arch: Arch) -> Self {
        let preset = if preset.fits(arch) { preset } else { Preset::Other };
        let pc = arch == Arch::X86_64;
        let windows = matches!(preset, Preset::Windows10 | Preset::Windows11);
        let old = preset == Preset::Old;
        let virtio = matches!(preset, Preset::Linux | Preset::Android);
        let (disk, cd) = match (preset, pc) {
            (Preset::Linux | Preset::Android, _) => (Bus::VirtioBlk, Bus::VirtioScsi),
            (Preset::Old, _) => (Bus::Ide, Bus::Ide),
            (_, true) => (Bus::Sata, Bus::Sata),
            // What Windows for Arm has drivers for.
            (_, false) => (Bus::Nvme, Bus::Usb),
        };
        let nic = match (preset, pc) {
            (Preset::Linux | Preset::Android, _) | (Preset::Windows10 | Preset::Windows11, false) => {
                NicDevice::Virtio
            }
            (Preset::Old, _) => NicDevice::Rtl8139,
            _ => NicDevice::E1000e,
        };
        let machine = match (pc, old) {
            (true, true) => Chipset::Pc,
            (true, false) => Chipset::Q35,
            (false, _) => Chipset::Virt,
        };
        // Linux for PCs boots by BIOS as well, and by that several seconds sooner; but installers' images are made
        // for UEFI first.
        let firmware = if old { FirmwareKind::Bios } else { FirmwareKind::Uefi };
        Self {
            system: System {
                version: CURRENT_VERSION,
                name: name.into(),
                arch,
                machine,
                preset,
                clock: if windows || old { Clock::Localtime } else { Clock::Utc },
                restart_after_crash: false,
                uuid: None,
                notes: String::new(),
            },
            cpu: Cpu {
                count: match preset {
                    Preset::Old => 1,
                    Preset::Windows10 | Preset::Windows11 | Preset::Android => 4,
                    Preset::Linux | Preset::Other => 2,
                },
                model: old.then(|| "pentium3".to_owned()),
                tuning: CURRENT_TUNING,
                hyperv: windows && pc,
                ..Cpu::default()
            },
            memory: Memory {
                mib: match preset {
                    Preset::Old => 512,
                    Preset::Linux | Preset::Other => 2048,
                    // What its setup asks for.
                    Preset::Windows11 | Preset::Windows10 | Preset::Android => 4096,
                },
                shared: false,
            },
            firmware: FirmwareSection { kind: firmware, kernel: None },
            drives: Drives {
                drives: vec![
                    DriveSection::cdrom(CD, cd, Some(0), None),
                    DriveSection { discard: !old, ..DriveSection::disk(DISK, disk, Some(1)) },
                ],
            },
            displays: Displays {
                device: if virtio { DisplayKind::Virtio } else { DisplayKind::Std },
                ..Displays::default()
            },
            network: Network {
                cards: vec![Card {
                    id: NET.to_owned(),
                    device: nic,
                    mac: None,
                    ipv6: false,
                    isolated: false,
                    forwards: Vec::new(),
                }],
            },
            shares: Shares::default(),
            sound: Sound {
                device: if old { SoundDevice::Ac97 } else { SoundDevice::Hda },
                // So that the owner can allow the microphone, or give the guest something else to hear, while it runs.
                input: true,
                ..Sound::default()
            },
            input: Input {
                pointer: Pointer::UsbTablet,
                keyboard: if pc { Keyboard::Ps2 } else { Keyboard::Usb },
                touch: preset == Preset::Android,
                ..Input::default()
            },
            serial: Serial {
                console: Channel::Uart,
                agent: match preset {
                    Preset::Other | Preset::Old => Channel::None,
                    _ => Channel::Virtio,
                },
                // Other systems have no agent for it.
                vdagent: preset == Preset::Linux || windows,
                ports: Vec::new(),
            },
            usb: Usb { controller: if old { UsbController::Uhci } else { UsbController::Xhci } },
            performance: Performance::default(),
            extra: Extra::default(),
        }
    }
}
