//! Whether all of a description fits together.

use super::{FirmwareKind, Serial, VmConfig};
use crate::argv::check as rules;
use crate::names::{is_32_bit_cpu, is_cpu_feature, is_cpu_model, is_file_name, is_id, is_uuid};
use crate::rule::{MAX_NAME, Rule};
use crate::{
    Arch, CURRENT_TUNING, Channel, DisplayKind, DriveKind, Keyboard, MAX_CPUS, MAX_HEADS, MAX_MEMORY_MIB,
    MAX_VOLUME, MIN_MEMORY_MIB, Pointer, SoundDevice, UsbController,
};
use sampan_message::{Coded, Message};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A section of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the file of its name")]
pub enum Section {
    System,
    Cpu,
    Memory,
    Firmware,
    Drives,
    Displays,
    Network,
    Shares,
    Sound,
    Input,
    Serial,
    Usb,
    Performance,
    Extra,
}

impl Section {
    /// Every section, in the order they are shown.
    pub const ALL: [Self; 14] = [
        Self::System,
        Self::Cpu,
        Self::Memory,
        Self::Firmware,
        Self::Drives,
        Self::Displays,
        Self::Network,
        Self::Shares,
        Self::Sound,
        Self::Input,
        Self::Serial,
        Self::Usb,
        Self::Performance,
        Self::Extra,
    ];

    /// The name of its file.
    pub fn file(self) -> &'static str {
        match self {
            Self::System => "system.json",
            Self::Cpu => "cpu.json",
            Self::Memory => "memory.json",
            Self::Firmware => "firmware.json",
            Self::Drives => "drives.json",
            Self::Displays => "displays.json",
            Self::Network => "network.json",
            Self::Shares => "shares.json",
            Self::Sound => "sound.json",
            Self::Input => "input.json",
            Self::Serial => "serial.json",
            Self::Usb => "usb.json",
            Self::Performance => "performance.json",
            Self::Extra => "extra.json",
        }
    }

    /// The section of a file.
    pub fn of_file(file: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.file() == file)
    }
}

/// Something in a description that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationError {
    /// The way to it through sections, fields and lists, such as `drives.drives.0.bus`.
    pub field: String,
    /// What is wrong, and what to do.
    pub message: Message,
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for ValidationError {}

/// What was found so far.
#[derive(Default)]
struct Faults(Vec<ValidationError>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, rule: Rule) {
        self.0.push(ValidationError { field: field.into(), message: rule.message() });
    }

    fn of(&mut self, field: impl Into<String>, checked: Result<(), Rule>) {
        if let Err(rule) = checked {
            self.add(field, rule);
        }
    }

    /// Names of parts: well formed, and each used once.
    fn names<'a>(&mut self, taken: &[&str], names: impl Iterator<Item = (String, &'a str)> + Clone) {
        for (i, (field, name)) in names.clone().enumerate() {
            if !is_id(name) {
                self.add(field, Rule::PartName(excerpt(name)));
            } else if taken.contains(&name) || names.clone().take(i).any(|(_, earlier)| earlier == name) {
                self.add(field, Rule::NameTaken(name.to_owned()));
            }
        }
    }

    /// Whether there are few enough; too many are not looked at one by one.
    fn few(&mut self, field: &str, what: &'static str, count: usize) -> bool {
        let most = MAX_PARTS as u64;
        if count > MAX_PARTS {
            self.add(field, Rule::TooMany { what, count: count as u64, most });
        }
        count <= MAX_PARTS
    }
}

/// The beginning of a text that somebody else wrote.
fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The most parts of one kind: far above what a person uses, far below what QEMU's PCI bus has room for.
const MAX_PARTS: usize = 16;
/// The most sockets that all forwards together open.
const MAX_FORWARDED: u64 = 1024;

impl VmConfig {
    /// All that cannot be, each with its remedy. A description without faults gives arguments that QEMU takes, as
    /// long as its files are what they should be.
    pub fn check(&self) -> Vec<ValidationError> {
        let mut faults = Faults::default();
        self.check_system(&mut faults);
        self.check_cpu(&mut faults);
        self.check_firmware(&mut faults);
        self.check_drives(&mut faults);
        self.check_displays(&mut faults);
        self.check_network(&mut faults);
        self.check_small(&mut faults);
        self.check_serial(&mut faults);
        self.check_extra(&mut faults);
        faults.0
    }

    fn check_system(&self, faults: &mut Faults) {
        let system = &self.system;
        let length = system.name.chars().count();
        if system.name.trim().is_empty() || length > MAX_NAME || system.name.contains(char::is_control) {
            faults.add("system.name", Rule::Name);
        }
        faults.of("system.machine", rules::chipset(system.arch, system.machine));
        if system.uuid.as_ref().is_some_and(|uuid| !is_uuid(uuid)) {
            faults.add("system.uuid", Rule::Uuid);
        }
        let mib = self.memory.mib;
        if !(MIN_MEMORY_MIB..=MAX_MEMORY_MIB).contains(&mib) {
            faults.add("memory.mib", Rule::Memory(mib));
        }
    }

    fn check_cpu(&self, faults: &mut Faults) {
        let cpu = &self.cpu;
        if !(1..=MAX_CPUS).contains(&cpu.count) {
            faults.add("cpu.count", Rule::Cpus(cpu.count));
        }
        if let Some(model) = cpu.model.as_ref().filter(|model| !is_cpu_model(model)) {
            faults.add("cpu.model", Rule::CpuModel(excerpt(model)));
        }
        if cpu.tuning > CURRENT_TUNING {
            faults.add("cpu.tuning", Rule::Tuning(cpu.tuning));
        }
        for (i, feature) in cpu.features.iter().enumerate() {
            if !is_cpu_feature(feature) {
                faults.add(format!("cpu.features.{i}"), Rule::CpuFeature(excerpt(feature)));
            }
        }
        if let Some(topology) = cpu.topology {
            faults.of("cpu.topology", rules::topology_of(topology, cpu.count));
        }
        if cpu.hyperv && self.system.arch != Arch::X86_64 {
            faults.add("cpu.hyperv", Rule::NoHyperv);
        }
    }

    fn check_firmware(&self, faults: &mut Faults) {
        let firmware = &self.firmware;
        let arm = self.system.arch == Arch::Aarch64;
        let small_cpu = || self.cpu.model.as_deref().is_some_and(is_32_bit_cpu);
        match firmware.kind {
            FirmwareKind::Bios if arm => faults.add("firmware.kind", Rule::NoBios),
            FirmwareKind::None if !arm => faults.add("firmware.kind", Rule::NoFirmware),
            FirmwareKind::None if firmware.kernel.is_none() => {
                faults.add("firmware.kind", Rule::NothingStarts);
            }
            FirmwareKind::Uefi if small_cpu() => faults.add("firmware.kind", Rule::Uefi64),
            _ => {}
        }
        let Some(kernel) = &firmware.kernel else { return };
        if !is_file_name(&kernel.kernel) {
            faults.add("firmware.kernel.kernel", Rule::FileName(excerpt(&kernel.kernel)));
        }
        if let Some(initrd) = &kernel.initrd {
            if !is_file_name(initrd) {
                faults.add("firmware.kernel.initrd", Rule::FileName(excerpt(initrd)));
            }
            if initrd.contains(',') {
                faults.add("firmware.kernel.initrd", Rule::Comma(excerpt(initrd)));
            }
        }
        if kernel.append.as_ref().is_some_and(|append| append.contains('\0')) {
            faults.add("firmware.kernel.append", Rule::Nul("kernel's command line"));
        }
    }

    fn check_drives(&self, faults: &mut Faults) {
        let drives = &self.drives.drives;
        let at = |i: usize, field: &str| format!("drives.drives.{i}.{field}");
        if !faults.few("drives.drives", "drives", drives.len()) {
            return;
        }
        faults.names(&[], drives.iter().enumerate().map(|(i, drive)| (at(i, "id"), drive.id.as_str())));
        faults.of("drives.drives", rules::places(drives.iter().map(|drive| drive.bus)));
        for (i, drive) in drives.iter().enumerate() {
            let fits = rules::drive_on(self.system.machine, drive.kind, drive.bus, drive.read_only);
            faults.of(at(i, "bus"), fits);
            let same =
                drives.iter().take(i).find(|earlier| drive.boot.is_some() && earlier.boot == drive.boot);
            if let Some(same) = same {
                faults.add(at(i, "boot"), Rule::BootOrder(same.id.clone()));
            }
            match &drive.media {
                Some(_) if drive.kind == DriveKind::Disk => faults.add(at(i, "media"), Rule::DiskMedia),
                Some(media) if !is_file_name(media) => {
                    faults.add(at(i, "media"), Rule::FileName(excerpt(media)));
                }
                _ => {}
            }
            if drive.bus == crate::Bus::Usb && self.usb.controller == UsbController::None {
                faults.add(at(i, "bus"), Rule::NoUsb);
            }
        }
    }

    fn check_displays(&self, faults: &mut Faults) {
        let displays = &self.displays;
        let heads = 1..=if displays.device == DisplayKind::Std { 1 } else { MAX_HEADS };
        if !heads.contains(&displays.heads) {
            faults.add("displays.heads", Rule::Heads(displays.device));
        }
        if let Some(vnc) = displays.vnc.filter(|vnc| vnc.argument().is_none()) {
            faults.add("displays.vnc.port", Rule::VncPort(vnc.port));
        }
    }

    fn check_network(&self, faults: &mut Faults) {
        let cards = &self.network.cards;
        if !faults.few("network.cards", "network cards", cards.len()) {
            return;
        }
        let names = cards.iter().enumerate();
        faults.names(&[], names.map(|(i, card)| (format!("network.cards.{i}.id"), card.id.as_str())));
        let mut all = Vec::new();
        for (i, card) in cards.iter().enumerate() {
            let same = cards.iter().take(i).find(|earlier| card.mac.is_some() && earlier.mac == card.mac);
            if let Some(same) = same {
                faults.add(format!("network.cards.{i}.mac"), Rule::MacTaken(same.id.clone()));
            }
            for (j, &forward) in card.forwards.iter().enumerate() {
                let field = format!("network.cards.{i}.forwards.{j}");
                match forward.check() {
                    Ok(()) => all.push((field, forward)),
                    Err(e) => faults.add(field, e.into()),
                }
            }
        }
        let count: u64 = all.iter().map(|(_, forward)| u64::from(forward.count)).sum();
        if count > MAX_FORWARDED {
            let rule = Rule::TooMany { what: "forwarded ports", count, most: MAX_FORWARDED };
            return faults.add("network.cards", rule);
        }
        let forwards: Vec<_> = all.iter().map(|&(_, forward)| forward).collect();
        for (a, b) in crate::forward_conflicts(&forwards) {
            if let (Some((by, _)), Some((field, forward))) = (all.get(a), all.get(b)) {
                faults.add(field, Rule::PortTaken { forward: *forward, by: by.clone() });
            }
        }
    }

    fn check_small(&self, faults: &mut Faults) {
        let arm = self.system.arch == Arch::Aarch64;
        let shares = &self.shares.shares;
        if faults.few("shares.shares", "shared folders", shares.len()) {
            let tags = shares.iter().enumerate();
            faults.names(&[], tags.map(|(i, share)| (format!("shares.shares.{i}.tag"), share.tag.as_str())));
        }
        if self.sound.microphone && self.sound.device == SoundDevice::None {
            faults.add("sound.microphone", Rule::NoSoundCard);
        }
        if self.sound.volume > MAX_VOLUME {
            faults.add("sound.volume", Rule::Volume(self.sound.volume));
        }
        let (input, no_usb) = (&self.input, self.usb.controller == UsbController::None);
        if no_usb && rules::usb_needed(input.pointer, Keyboard::Ps2) {
            faults.add("input.pointer", Rule::NoUsb);
        }
        if no_usb && rules::usb_needed(Pointer::Ps2, input.keyboard) {
            faults.add("input.keyboard", Rule::NoUsb);
        }
        if arm && input.pointer == Pointer::Ps2 {
            faults.add("input.pointer", Rule::NoPs2);
        }
        if arm && input.keyboard == Keyboard::Ps2 {
            faults.add("input.keyboard", Rule::NoPs2);
        }
        if arm && self.usb.controller == UsbController::Uhci {
            faults.add("usb.controller", Rule::NoUhci);
        }
    }

    fn check_serial(&self, faults: &mut Faults) {
        let arm = self.system.arch == Arch::Aarch64;
        if arm && self.serial.agent == Channel::Uart {
            faults.add("serial.agent", Rule::OneUart);
        }
        let ports = &self.serial.ports;
        if !faults.few("serial.ports", "serial ports", ports.len()) {
            return;
        }
        let names =
            ports.iter().enumerate().map(|(i, port)| (format!("serial.ports.{i}.id"), port.id.as_str()));
        faults.names(&rules::HOST_SOCKETS, names);
        let Serial { console, agent, vdagent, .. } = self.serial;
        faults.of("serial.ports", rules::serial_ports(console, agent, vdagent, ports));
        for (i, port) in ports.iter().enumerate() {
            if arm && port.device == Channel::Uart {
                faults.add(format!("serial.ports.{i}.device"), Rule::OneUart);
            }
        }
    }

    fn check_extra(&self, faults: &mut Faults) {
        for (i, argument) in self.extra.arguments.iter().enumerate() {
            let field = format!("extra.arguments.{i}");
            if argument.contains('\0') {
                faults.add(field, Rule::Nul("argument"));
            } else if ["cache=unsafe", "no-flush"].iter().any(|unsafe_cache| argument.contains(unsafe_cache))
            {
                faults.add(field, Rule::UnsafeCache(excerpt(argument)));
            }
        }
    }
}
