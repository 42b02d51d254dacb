//! What no machine can be. Whoever builds a [`Machine`] by hand is held to the same rules as a document.

use crate::names::{is_cpu_feature, is_cpu_model, is_id, is_uuid};
use crate::{
    Arch, Bus, Channel, Chipset, ConfigError, DisplayKind, DriveKind, Firmware, Keyboard, MAX_CPUS,
    MAX_HEADS, MAX_MEMORY_MIB, MIN_MEMORY_MIB, Machine, Pointer, Rule, UsbController,
};

/// Ports of the SATA controller, and places of a PC's two IDE channels and one floppy controller.
pub(crate) const SATA_PORTS: usize = 6;
pub(crate) const IDE_PLACES: usize = 4;
pub(crate) const FLOPPIES: usize = 2;

impl Machine {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(MIN_MEMORY_MIB..=MAX_MEMORY_MIB).contains(&self.memory_mib) {
            return Err(Rule::Memory(self.memory_mib).into());
        }
        if !(1..=MAX_CPUS).contains(&self.cpus) {
            return Err(Rule::Cpus(self.cpus).into());
        }
        if self.arch == Arch::Aarch64 && self.firmware == Some(Firmware::Bios) {
            return Err(Rule::NoBios.into());
        }
        chipset(self.arch, self.chipset)?;
        if self.name.contains('\0') {
            return Err(Rule::Nul("name").into());
        }
        let append = self.kernel.iter().filter_map(|kernel| kernel.append.as_ref());
        if append.chain(&self.extra).any(|text| text.contains('\0')) {
            return Err(Rule::Nul("kernel's command line or extra argument").into());
        }
        if self.uuid.as_ref().is_some_and(|uuid| !is_uuid(uuid)) {
            return Err(Rule::Uuid.into());
        }
        self.check_cpu()?;
        self.check_names()?;
        self.check_drives()?;
        self.check_devices()
    }

    fn check_cpu(&self) -> Result<(), ConfigError> {
        if let Some(model) = self.cpu.iter().find(|model| !is_cpu_model(model)) {
            return Err(Rule::CpuModel(model.clone()).into());
        }
        if let Some(feature) = self.cpu_features.iter().find(|feature| !is_cpu_feature(feature)) {
            return Err(Rule::CpuFeature(feature.clone()).into());
        }
        self.topology.map_or(Ok(()), |topology| topology_of(topology, self.cpus))?;
        if self.hyperv && self.arch != Arch::X86_64 {
            return Err(Rule::NoHyperv.into());
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
                    return Err(Rule::PartName((*name).to_owned()).into());
                }
                if names.iter().take(i).any(|earlier| earlier == name) {
                    return Err(Rule::NameTaken((*name).to_owned()).into());
                }
            }
        }
        let quick = |id: &str| {
            (self.cdrom.is_some() && id == "cd0") || (0..self.disks.len()).any(|n| id == format!("disk{n}"))
        };
        match self.drives.iter().find(|drive| quick(&drive.id)) {
            Some(drive) => Err(Rule::NameTaken(drive.id.clone()).into()),
            None => Ok(()),
        }
    }

    fn check_drives(&self) -> Result<(), ConfigError> {
        for drive in &self.drives {
            drive_on(self.chipset, drive.kind, drive.bus, drive.read_only)
                .map_err(|rule| ConfigError::Drive { id: drive.id.clone(), rule })?;
            if drive.kind == DriveKind::Disk && drive.image.is_none() {
                return Err(ConfigError::NoImage(drive.id.clone()));
            }
        }
        Ok(places(self.drives.iter().map(|drive| drive.bus))?)
    }

    fn check_devices(&self) -> Result<(), ConfigError> {
        if self.heads == 0 || self.heads > MAX_HEADS || (self.heads > 1 && self.display == DisplayKind::Std) {
            return Err(Rule::Heads(self.display).into());
        }
        if self.usb == UsbController::None
            && (self.drives.iter().any(|drive| drive.bus == Bus::Usb)
                || usb_needed(self.pointer, self.keyboard))
        {
            return Err(Rule::NoUsb.into());
        }
        serial_ports(self.console, self.agent, self.vdagent, &self.serials)?;
        if self.arch == Arch::Aarch64 {
            if self.pointer == Pointer::Ps2 || self.keyboard == Keyboard::Ps2 {
                return Err(Rule::NoPs2.into());
            }
            if self.usb == UsbController::Uhci {
                return Err(Rule::NoUhci.into());
            }
            if self.agent == Channel::Uart || self.serials.iter().any(|port| port.device == Channel::Uart) {
                return Err(Rule::OneUart.into());
            }
        }
        for nic in &self.nics {
            nic.forwards.iter().try_for_each(crate::Forward::check).map_err(Rule::from)?;
        }
        Ok(())
    }
}

/// Chardevs that are the host's, and the agent's.
pub(crate) const HOST_SOCKETS: [&str; 4] = ["qmp", "serial", "log", crate::machine::AGENT_SOCKET];
/// A PC's serial ports (`MAX_ISA_SERIAL_PORTS` in QEMU).
pub(crate) const MAX_UARTS: usize = 4;
/// Ports of virtio-serial, of which the first is for consoles alone (`hw/char/virtio-serial-bus.c` has 31).
pub(crate) const MAX_VIRTIO_PORTS: usize = 16;

/// Whether a machine has so many serial ports.
pub(crate) fn serial_ports(
    console: Channel,
    agent: Channel,
    vdagent: bool,
    ports: &[crate::SerialPort],
) -> Result<(), Rule> {
    for (wanted, most) in [(Channel::Uart, MAX_UARTS), (Channel::Virtio, MAX_VIRTIO_PORTS)] {
        let vdagent = if vdagent { Channel::Virtio } else { Channel::None };
        let all = [console, agent, vdagent].into_iter().chain(ports.iter().map(|port| port.device));
        let count = all.filter(|&device| device == wanted).count();
        if count > most {
            return Err(Rule::SerialPorts(count));
        }
    }
    Ok(())
}

pub(crate) fn usb_needed(pointer: Pointer, keyboard: Keyboard) -> bool {
    matches!(pointer, Pointer::UsbTablet | Pointer::UsbMouse) || keyboard == Keyboard::Usb
}

pub(crate) fn chipset(arch: Arch, chipset: Chipset) -> Result<(), Rule> {
    match (arch, chipset) {
        (Arch::X86_64, Chipset::Q35 | Chipset::Pc) | (Arch::Aarch64, Chipset::Virt) => Ok(()),
        _ => Err(Rule::MachineType(arch)),
    }
}

pub(crate) fn topology_of(topology: crate::Topology, cpus: u32) -> Result<(), Rule> {
    if topology.cpus() == u64::from(cpus) { Ok(()) } else { Err(Rule::Topology { topology, cpus }) }
}

/// Whether such a drive can be on such a machine.
pub(crate) fn drive_on(chipset: Chipset, kind: DriveKind, bus: Bus, read_only: bool) -> Result<(), Rule> {
    Err(match (kind, bus) {
        (DriveKind::Floppy, Bus::Floppy) if chipset == Chipset::Virt => Rule::NoFloppy,
        (DriveKind::Floppy, Bus::Floppy) => return Ok(()),
        (DriveKind::Floppy, _) | (_, Bus::Floppy) => Rule::FloppyBus,
        (DriveKind::Cdrom, Bus::VirtioBlk | Bus::Nvme) => Rule::CdBus,
        (_, Bus::Ide) if chipset != Chipset::Pc => Rule::NoIde,
        (DriveKind::Disk, Bus::Sata | Bus::Ide) if read_only => Rule::ReadOnlyBus,
        _ => return Ok(()),
    })
}

/// Whether the buses have room for all drives.
pub(crate) fn places(buses: impl Iterator<Item = Bus> + Clone) -> Result<(), Rule> {
    for (bus, most, name) in
        [(Bus::Sata, SATA_PORTS, "SATA"), (Bus::Ide, IDE_PLACES, "IDE"), (Bus::Floppy, FLOPPIES, "floppy")]
    {
        let count = buses.clone().filter(|&b| b == bus).count();
        if count > most {
            return Err(Rule::FullBus { bus: name, count, most });
        }
    }
    Ok(())
}
