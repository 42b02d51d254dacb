//! Whether all of a description fits together.

use super::{Document, FirmwareKind};
use crate::argv::check as rules;
use crate::names::{is_32_bit_cpu, is_cpu_feature, is_cpu_model, is_file_name, is_id, is_uuid};
use crate::{
    Arch, CURRENT_TUNING, Channel, DisplayKind, DriveKind, Keyboard, MAX_CPUS, MAX_HEADS, MAX_MEMORY_MIB,
    MIN_MEMORY_MIB, Pointer, SoundDevice, UsbController,
};
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

/// Something in a description that cannot be, or that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub section: Section,
    /// The way to the field, such as `drives[0].bus`.
    pub field: String,
    /// What is wrong, and what to do.
    pub words: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.section.file(), self.field, self.words)
    }
}

/// Faults in the making.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, section: Section, field: impl Into<String>, words: impl Into<String>) {
        self.0.push(Fault { section, field: field.into(), words: words.into() });
    }

    /// Names of parts: well formed, and each used once.
    fn names<'a>(
        &mut self,
        section: Section,
        taken: &[&str],
        names: impl Iterator<Item = (String, &'a str)> + Clone,
    ) {
        for (i, (field, name)) in names.clone().enumerate() {
            if !is_id(name) {
                self.add(
                    section,
                    field,
                    "is no name for a part: begin with a-z, go on with a-z 0-9 _ to at most 20 characters",
                );
            } else if taken.contains(&name) || names.clone().take(i).any(|(_, earlier)| earlier == name) {
                self.add(
                    section,
                    field,
                    format!("{name} is the name of another part: choose a different one"),
                );
            }
        }
    }
}

/// The most parts of one kind: far above what a person uses, far below what QEMU's PCI bus has room for.
const MAX_PARTS: usize = 16;
/// The longest name of a machine, in characters.
const MAX_NAME: usize = 100;
/// The most sockets that all forwards together open.
const MAX_FORWARDED: u32 = 1024;

impl Document {
    /// All that cannot be, each with its remedy. A description without faults gives arguments that QEMU takes, as
    /// long as its files are what they should be.
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = Faults::default();
        self.check_system(&mut faults);
        self.check_cpu(&mut faults);
        self.check_firmware(&mut faults);
        self.check_drives(&mut faults);
        self.check_displays(&mut faults);
        self.check_network(&mut faults);
        self.check_small(&mut faults);
        self.check_extra(&mut faults);
        faults.0
    }

    /// What a person should know, though it can be.
    pub fn warnings(&self) -> Vec<Fault> {
        let mut faults = Faults::default();
        for words in self.displays.vnc.iter().flat_map(|vnc| vnc.warnings()) {
            faults.add(Section::Displays, "vnc", words);
        }
        for (i, card) in self.network.cards.iter().enumerate() {
            for (j, forward) in card.forwards.iter().enumerate() {
                for words in forward.warnings() {
                    faults.add(Section::Network, format!("cards[{i}].forwards[{j}]"), words);
                }
            }
        }
        for (i, share) in self.shares.shares.iter().enumerate() {
            if let Some(words) = share.warning() {
                faults.add(Section::Shares, format!("shares[{i}].security"), words);
            }
        }
        faults.0
    }

    fn check_system(&self, faults: &mut Faults) {
        let system = &self.system;
        let length = system.name.chars().count();
        if system.name.trim().is_empty() || length > MAX_NAME || system.name.contains(char::is_control) {
            let words =
                format!("should have 1 to {MAX_NAME} characters, none of them a line break or other control");
            faults.add(Section::System, "name", words);
        }
        if let Some(words) = rules::chipset_fault(system.arch, system.machine) {
            faults.add(Section::System, "machine", words);
        }
        if system.uuid.as_ref().is_some_and(|uuid| !is_uuid(uuid)) {
            faults.add(Section::System, "uuid", rules::BAD_UUID);
        }
        let mib = self.memory.mib;
        if !(MIN_MEMORY_MIB..=MAX_MEMORY_MIB).contains(&mib) {
            let words =
                format!("{mib} MiB of memory is out of range: use {MIN_MEMORY_MIB} to {MAX_MEMORY_MIB}");
            faults.add(Section::Memory, "mib", words);
        }
    }

    fn check_cpu(&self, faults: &mut Faults) {
        let cpu = &self.cpu;
        if !(1..=MAX_CPUS).contains(&cpu.count) {
            let words = format!("{} CPUs are out of range: use 1 to {MAX_CPUS}", cpu.count);
            faults.add(Section::Cpu, "count", words);
        }
        if cpu.model.as_ref().is_some_and(|model| !is_cpu_model(model)) {
            faults.add(
                Section::Cpu,
                "model",
                "is no CPU model's name: use one of QEMU's, such as max, or leave it out",
            );
        }
        if cpu.tuning > CURRENT_TUNING {
            let words = format!("is of a later version of this program: use 0 to {CURRENT_TUNING}");
            faults.add(Section::Cpu, "tuning", words);
        }
        for (i, feature) in cpu.features.iter().enumerate() {
            if !is_cpu_feature(feature) {
                faults.add(
                    Section::Cpu,
                    format!("features[{i}]"),
                    "is no property: write name=value, as in la57=off",
                );
            }
        }
        if let Some(words) = cpu.topology.and_then(|topology| rules::topology_fault(topology, cpu.count)) {
            faults.add(Section::Cpu, "topology", words);
        }
        if cpu.hyperv && self.system.arch != Arch::X86_64 {
            faults.add(Section::Cpu, "hyperv", rules::NO_HYPERV);
        }
    }

    fn check_firmware(&self, faults: &mut Faults) {
        let firmware = &self.firmware;
        let arm = self.system.arch == Arch::Aarch64;
        match firmware.kind {
            FirmwareKind::Bios if arm => {
                faults.add(Section::Firmware, "kind", "Arm machines have no BIOS: use uefi");
            }
            FirmwareKind::None if !arm => {
                faults.add(Section::Firmware, "kind", "a PC starts by bios or uefi: use one of them");
            }
            FirmwareKind::None if firmware.kernel.is_none() => {
                faults.add(Section::Firmware, "kind", "nothing would start: use uefi, or add a kernel");
            }
            FirmwareKind::Uefi if self.cpu.model.as_deref().is_some_and(is_32_bit_cpu) => {
                faults.add(
                    Section::Firmware,
                    "kind",
                    "UEFI here is for 64-bit CPUs: use bios, or another CPU model",
                );
            }
            _ => {}
        }
        let Some(kernel) = &firmware.kernel else { return };
        let files = [("kernel.kernel", Some(&kernel.kernel)), ("kernel.initrd", kernel.initrd.as_ref())];
        for (field, file) in files {
            if file.is_some_and(|file| !is_file_name(file)) {
                faults.add(Section::Firmware, field, PLAIN_NAME);
            }
        }
        if kernel.initrd.as_ref().is_some_and(|initrd| initrd.contains(',')) {
            // A multiboot kernel's is a list of files (`load_multiboot` in hw/i386/multiboot.c).
            faults.add(Section::Firmware, "kernel.initrd", "a comma would end the name: rename the file");
        }
        if kernel.append.as_ref().is_some_and(|append| append.contains('\0')) {
            faults.add(Section::Firmware, "kernel.append", "contains a NUL character: take it out");
        }
    }

    fn check_drives(&self, faults: &mut Faults) {
        let drives = &self.drives.drives;
        let at = |i: usize, field: &str| format!("drives[{i}].{field}");
        if drives.len() > MAX_PARTS {
            let words = format!("{} drives are too many: use at most {MAX_PARTS}", drives.len());
            return faults.add(Section::Drives, "drives", words);
        }
        let names = drives.iter().enumerate().map(|(i, drive)| (at(i, "id"), drive.id.as_str()));
        faults.names(Section::Drives, &[], names);
        if let Some(words) = rules::full_bus(drives.iter().map(|drive| drive.bus)) {
            faults.add(Section::Drives, "drives", words);
        }
        for (i, drive) in drives.iter().enumerate() {
            if let Some(words) =
                rules::drive_fault(self.system.machine, drive.kind, drive.bus, drive.read_only)
            {
                faults.add(Section::Drives, at(i, "bus"), words);
            }
            let same =
                drives.iter().take(i).find(|earlier| drive.boot.is_some() && earlier.boot == drive.boot);
            if let Some(same) = same {
                let words = format!("{} has the same place in the order of boot: choose another", same.id);
                faults.add(Section::Drives, at(i, "boot"), words);
            }
            match &drive.media {
                Some(_) if drive.kind == DriveKind::Disk => {
                    let words = "a disk has no removable media: leave media out, or make it a cdrom";
                    faults.add(Section::Drives, at(i, "media"), words);
                }
                Some(media) if !is_file_name(media) => {
                    faults.add(Section::Drives, at(i, "media"), PLAIN_NAME)
                }
                _ => {}
            }
            if drive.bus == crate::Bus::Usb && self.usb.controller == UsbController::None {
                faults.add(Section::Drives, at(i, "bus"), rules::NO_USB);
            }
        }
    }

    fn check_displays(&self, faults: &mut Faults) {
        let displays = &self.displays;
        let heads = 1..=if displays.device == DisplayKind::Std { 1 } else { MAX_HEADS };
        if !heads.contains(&displays.heads) {
            faults.add(Section::Displays, "heads", rules::BAD_HEADS);
        }
        if let Some(vnc) = displays.vnc.filter(|vnc| vnc.argument().is_none()) {
            let words = format!("VNC cannot listen on port {}: use 5900 to 65535", vnc.port);
            faults.add(Section::Displays, "vnc.port", words);
        }
    }

    fn check_network(&self, faults: &mut Faults) {
        let cards = &self.network.cards;
        if cards.len() > MAX_PARTS {
            let words = format!("{} cards are too many: use at most {MAX_PARTS}", cards.len());
            return faults.add(Section::Network, "cards", words);
        }
        let names = cards.iter().enumerate().map(|(i, card)| (format!("cards[{i}].id"), card.id.as_str()));
        faults.names(Section::Network, &[], names);
        let mut all = Vec::new();
        for (i, card) in cards.iter().enumerate() {
            let same = cards.iter().take(i).find(|earlier| card.mac.is_some() && earlier.mac == card.mac);
            if let Some(same) = same {
                let words = format!("{} has the same address: choose another, or leave it out", same.id);
                faults.add(Section::Network, format!("cards[{i}].mac"), words);
            }
            for (j, &forward) in card.forwards.iter().enumerate() {
                let field = format!("cards[{i}].forwards[{j}]");
                if let Err(e) = forward.check() {
                    faults.add(Section::Network, field, e.to_string());
                } else {
                    all.push((field, forward));
                }
            }
        }
        let sockets: u32 = all.iter().map(|(_, forward)| u32::from(forward.count)).sum();
        if sockets > MAX_FORWARDED {
            let words = format!("{sockets} forwarded ports are too many: use at most {MAX_FORWARDED}");
            return faults.add(Section::Network, "cards", words);
        }
        let forwards: Vec<_> = all.iter().map(|&(_, forward)| forward).collect();
        for (a, b) in crate::forward_conflicts(&forwards) {
            if let (Some((first, _)), Some((field, forward))) = (all.get(a), all.get(b)) {
                let words = format!("{forward} wants a port of the host that {first} has: choose another");
                faults.add(Section::Network, field, words);
            }
        }
    }

    fn check_small(&self, faults: &mut Faults) {
        let arm = self.system.arch == Arch::Aarch64;
        let shares = &self.shares.shares;
        if shares.len() > MAX_PARTS {
            let words = format!("{} folders are too many: use at most {MAX_PARTS}", shares.len());
            return faults.add(Section::Shares, "shares", words);
        }
        let tags =
            shares.iter().enumerate().map(|(i, share)| (format!("shares[{i}].tag"), share.tag.as_str()));
        faults.names(Section::Shares, &[], tags);
        if self.sound.microphone && self.sound.device == SoundDevice::None {
            faults.add(Section::Sound, "microphone", "needs a sound card: choose hda, or switch it off");
        }
        let input = &self.input;
        if rules::usb_needed(input.pointer, Keyboard::Ps2) && self.usb.controller == UsbController::None {
            faults.add(Section::Input, "pointer", rules::NO_USB);
        }
        if rules::usb_needed(Pointer::Ps2, input.keyboard) && self.usb.controller == UsbController::None {
            faults.add(Section::Input, "keyboard", rules::NO_USB);
        }
        if arm && input.pointer == Pointer::Ps2 {
            faults.add(Section::Input, "pointer", rules::NO_PS2);
        }
        if arm && input.keyboard == Keyboard::Ps2 {
            faults.add(Section::Input, "keyboard", rules::NO_PS2);
        }
        if arm && self.usb.controller == UsbController::Uhci {
            faults.add(Section::Usb, "controller", rules::NO_UHCI);
        }
        if arm && self.serial.agent == Channel::Uart {
            faults.add(Section::Serial, "agent", rules::ONE_UART);
        }
        let ports = &self.serial.ports;
        if ports.len() > MAX_PARTS {
            let words = format!("{} ports are too many: use at most {MAX_PARTS}", ports.len());
            return faults.add(Section::Serial, "ports", words);
        }
        let names = ports.iter().enumerate().map(|(i, port)| (format!("ports[{i}].id"), port.id.as_str()));
        faults.names(Section::Serial, &rules::HOST_SOCKETS, names);
        if let Some(words) = rules::too_many_ports(self.serial.console, self.serial.agent, ports) {
            faults.add(Section::Serial, "ports", words);
        }
        for (i, port) in ports.iter().enumerate() {
            if arm && port.device == Channel::Uart {
                faults.add(Section::Serial, format!("ports[{i}].device"), rules::ONE_UART);
            }
        }
    }

    fn check_extra(&self, faults: &mut Faults) {
        for (i, argument) in self.extra.arguments.iter().enumerate() {
            let field = format!("arguments[{i}]");
            if argument.contains('\0') {
                faults.add(Section::Extra, field, "contains a NUL character: take it out");
            } else if ["cache=unsafe", "no-flush"].iter().any(|unsafe_cache| argument.contains(unsafe_cache))
            {
                faults.add(
                    Section::Extra,
                    field,
                    "would lose the disk when the host stops: leave the cache as it is",
                );
            }
        }
    }
}

const PLAIN_NAME: &str =
    "should be a file's plain name: without folders, not beginning with a dot or dash, at most 255 bytes";
