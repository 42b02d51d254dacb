//! What no machine can be. Whoever builds a [`Machine`] by hand is held to the same rules as a document.

use crate::names::{is_cpu_feature, is_cpu_model, is_id, is_uuid};
use crate::{
    Arch, Bus, Channel, Chipset, ConfigError, DisplayKind, DriveKind, Firmware, Keyboard, MAX_CPUS,
    MAX_HEADS, MAX_MEMORY_MIB, MIN_MEMORY_MIB, Machine, Pointer, UsbController,
};

/// Ports of the SATA controller, and places of a PC's two IDE channels and one floppy controller.
pub(crate) const SATA_PORTS: usize = 6;
pub(crate) const IDE_PLACES: usize = 4;
pub(crate) const FLOPPIES: usize = 2;

impl Machine {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(MIN_MEMORY_MIB..=MAX_MEMORY_MIB).contains(&self.memory_mib) {
            return Err(ConfigError::Memory(self.memory_mib));
        }
        if !(1..=MAX_CPUS).contains(&self.cpus) {
            return Err(ConfigError::Cpus(self.cpus));
        }
        if self.arch == Arch::Aarch64 && self.firmware == Some(Firmware::Bios) {
            return Err(ConfigError::NoBios);
        }
        if let Some(words) = chipset_fault(self.arch, self.chipset) {
            return Err(ConfigError::Unfit(words));
        }
        if self.name.contains('\0') {
            return Err(ConfigError::Text("name"));
        }
        let append = self.kernel.iter().filter_map(|kernel| kernel.append.as_ref());
        if append.chain(&self.extra).any(|text| text.contains('\0')) {
            return Err(ConfigError::Text("kernel's command line or extra argument"));
        }
        if self.uuid.as_ref().is_some_and(|uuid| !is_uuid(uuid)) {
            return Err(ConfigError::Unfit(BAD_UUID.to_owned()));
        }
        self.check_cpu()?;
        self.check_names()?;
        self.check_drives()?;
        self.check_devices()
    }

    fn check_cpu(&self) -> Result<(), ConfigError> {
        if let Some(model) = self.cpu.iter().find(|model| !is_cpu_model(model)) {
            return Err(ConfigError::CpuModel(model.clone()));
        }
        if let Some(feature) = self.cpu_features.iter().find(|feature| !is_cpu_feature(feature)) {
            return Err(ConfigError::CpuModel(feature.clone()));
        }
        if let Some(words) = self.topology.and_then(|t| topology_fault(t, self.cpus)) {
            return Err(ConfigError::Unfit(words));
        }
        if self.hyperv && self.arch != Arch::X86_64 {
            return Err(ConfigError::Unfit(NO_HYPERV.to_owned()));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        let groups: [Vec<&str>; 4] = [
            self.drives.iter().map(|drive| drive.id.as_str()).collect(),
            self.nics.iter().map(|nic| nic.id.as_str()).collect(),
            self.shares.iter().map(|share| share.tag.as_str()).collect(),
            // Chardevs: these are the host's and the agent's.
            HOST_SOCKETS.into_iter().chain(self.serials.iter().map(|port| port.id.as_str())).collect(),
        ];
        for names in groups {
            for (i, name) in names.iter().enumerate() {
                if !is_id(name) {
                    return Err(ConfigError::Id((*name).to_owned()));
                }
                if names.iter().take(i).any(|earlier| earlier == name) {
                    return Err(ConfigError::Twice((*name).to_owned()));
                }
            }
        }
        let quick = |id: &str| {
            (self.cdrom.is_some() && id == "cd0") || (0..self.disks.len()).any(|n| id == format!("disk{n}"))
        };
        match self.drives.iter().find(|drive| quick(&drive.id)) {
            Some(drive) => Err(ConfigError::Twice(drive.id.clone())),
            None => Ok(()),
        }
    }

    fn check_drives(&self) -> Result<(), ConfigError> {
        for drive in &self.drives {
            if let Some(words) = drive_fault(self.chipset, drive.kind, drive.bus, drive.read_only) {
                return Err(ConfigError::Drive { id: drive.id.clone(), words });
            }
            if drive.kind == DriveKind::Disk && drive.image.is_none() {
                return Err(ConfigError::NoImage(drive.id.clone()));
            }
        }
        match full_bus(self.drives.iter().map(|drive| drive.bus)) {
            Some(words) => Err(ConfigError::Unfit(words)),
            None => Ok(()),
        }
    }

    fn check_devices(&self) -> Result<(), ConfigError> {
        let unfit = |words: &str| Err(ConfigError::Unfit(words.to_owned()));
        if self.heads == 0 || self.heads > MAX_HEADS || (self.heads > 1 && self.display == DisplayKind::Std) {
            return unfit(BAD_HEADS);
        }
        if self.usb == UsbController::None
            && (self.drives.iter().any(|drive| drive.bus == Bus::Usb)
                || usb_needed(self.pointer, self.keyboard))
        {
            return unfit(NO_USB);
        }
        if let Some(words) = too_many_ports(self.console, self.agent, &self.serials) {
            return Err(ConfigError::Unfit(words));
        }
        if self.arch == Arch::Aarch64 {
            if self.pointer == Pointer::Ps2 || self.keyboard == Keyboard::Ps2 {
                return unfit(NO_PS2);
            }
            if self.usb == UsbController::Uhci {
                return unfit(NO_UHCI);
            }
            if self.agent == Channel::Uart || self.serials.iter().any(|port| port.device == Channel::Uart) {
                return unfit(ONE_UART);
            }
        }
        for nic in &self.nics {
            nic.forwards.iter().try_for_each(crate::Forward::check)?;
        }
        Ok(())
    }
}

/// Chardevs that are the host's, and the agent's.
pub(crate) const HOST_SOCKETS: [&str; 4] = ["qmp", "serial", "log", crate::machine::AGENT_SOCKET];
/// A PC's serial ports (`MAX_ISA_SERIAL_PORTS` in QEMU).
const MAX_UARTS: usize = 4;
/// Ports of virtio-serial, of which the first is for consoles alone (`hw/char/virtio-serial-bus.c` has 31).
const MAX_VIRTIO_PORTS: usize = 16;

/// Why so many serial ports cannot be.
pub(crate) fn too_many_ports(
    console: Channel,
    agent: Channel,
    ports: &[crate::SerialPort],
) -> Option<String> {
    let count = |wanted| {
        let all = [console, agent].into_iter().chain(ports.iter().map(|port| port.device));
        all.filter(|&device| device == wanted).count()
    };
    [(Channel::Uart, MAX_UARTS), (Channel::Virtio, MAX_VIRTIO_PORTS)].into_iter().find_map(|(device, most)| {
        let count = count(device);
        (count > most).then(|| format!("{count} ports of one kind are too many: use at most {MAX_UARTS} uart and {MAX_VIRTIO_PORTS} virtio"))
    })
}

pub(crate) const BAD_UUID: &str =
    "a machine's number has the form 6ba7b810-9dad-11d1-80b4-00c04fd430c8: correct it, or leave it out";
pub(crate) const NO_HYPERV: &str = "Hyper-V's interfaces exist on PCs alone: switch hyperv off";
pub(crate) const NO_USB: &str =
    "a USB drive, pointer or keyboard needs a USB controller: choose xhci, or other devices";
pub(crate) const NO_PS2: &str = "Arm machines have no PS/2: use usb or virtio for pointer and keyboard";
pub(crate) const NO_UHCI: &str = "Arm machines have no UHCI: use xhci";
pub(crate) const ONE_UART: &str =
    "an Arm machine has one serial port, the console's: use virtio for the others";
pub(crate) const BAD_HEADS: &str = "1 to 16 screens are possible with virtio, and 1 with std";

pub(crate) fn usb_needed(pointer: Pointer, keyboard: Keyboard) -> bool {
    matches!(pointer, Pointer::UsbTablet | Pointer::UsbMouse) || keyboard == Keyboard::Usb
}

pub(crate) fn chipset_fault(arch: Arch, chipset: Chipset) -> Option<String> {
    match (arch, chipset) {
        (Arch::X86_64, Chipset::Q35 | Chipset::Pc) | (Arch::Aarch64, Chipset::Virt) => None,
        (Arch::X86_64, Chipset::Virt) => {
            Some("x86_64 guests have no machine type virt: use q35 or pc".to_owned())
        }
        (Arch::Aarch64, _) => Some("aarch64 guests have the machine type virt alone: use virt".to_owned()),
    }
}

pub(crate) fn topology_fault(topology: crate::Topology, cpus: u32) -> Option<String> {
    let product = topology.cpus();
    (product != u64::from(cpus)).then(|| {
        let crate::Topology { sockets, cores, threads } = topology;
        format!(
            "{sockets} sockets of {cores} cores of {threads} threads make {product} CPUs, not {cpus}: change one of them"
        )
    })
}

/// Why such a drive cannot be on such a machine.
pub(crate) fn drive_fault(
    chipset: Chipset,
    kind: DriveKind,
    bus: Bus,
    read_only: bool,
) -> Option<&'static str> {
    match (kind, bus) {
        (DriveKind::Floppy, Bus::Floppy) if chipset == Chipset::Virt => {
            Some("Arm machines have no floppy drive: use a disk or a CD")
        }
        (DriveKind::Floppy, Bus::Floppy) => None,
        (DriveKind::Floppy, _) | (_, Bus::Floppy) => {
            Some("floppies, and nothing else, are on the bus floppy: change kind or bus")
        }
        (DriveKind::Cdrom, Bus::VirtioBlk | Bus::Nvme) => {
            Some("a CD drive cannot be on this bus: use virtio-scsi, sata, ide or usb")
        }
        (_, Bus::Ide) if chipset != Chipset::Pc => {
            Some("only the machine type pc has an IDE controller: use sata")
        }
        // `ide_init_drive` in hw/ide/core.c.
        (DriveKind::Disk, Bus::Sata | Bus::Ide) if read_only => {
            Some("IDE and SATA know no read-only disks: use virtio-blk, virtio-scsi or usb")
        }
        _ => None,
    }
}

/// Why so many drives cannot be.
pub(crate) fn full_bus(buses: impl Iterator<Item = Bus> + Clone) -> Option<String> {
    [(Bus::Sata, SATA_PORTS, "SATA"), (Bus::Ide, IDE_PLACES, "IDE"), (Bus::Floppy, FLOPPIES, "floppy")]
        .into_iter()
        .find_map(|(bus, most, name)| {
            let count = buses.clone().filter(|&b| b == bus).count();
            (count > most)
                .then(|| format!("{count} {name} drives are too many: use at most {most}, and virtio-scsi or usb for others"))
        })
}
