//! From a description to a machine, once it is known where everything is.

use super::{FirmwareKind, VmConfig};
use crate::{ConfigError, Disk, Drive, DriveKind, Firmware, Kernel, Machine, Nic, SharedFolder};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a machine's files are, and how it is started this time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPaths {
    /// The image of each disk, and of each CD or floppy drive that has one, by the drive's `id`.
    pub drives: BTreeMap<String, Disk>,
    /// UEFI's code, read only, raw.
    pub uefi_code: Option<PathBuf>,
    /// UEFI's variables, a file of this machine's own.
    pub uefi_vars: Option<Disk>,
    /// The kernel, for a description that has one.
    pub kernel: Option<PathBuf>,
    /// Its initial RAM disk, for a description that has one.
    pub initrd: Option<PathBuf>,
    /// The folders, by their `tag`.
    pub shares: BTreeMap<String, PathBuf>,
    /// Whether all that is written to the drives is forgotten at the end.
    pub throw_away: bool,
    /// Whether the machine waits for a saved state instead of booting.
    pub incoming: bool,
}

impl VmConfig {
    /// The machine that is started.
    ///
    /// # Errors
    /// The description's faults, or a file or folder of it that `place` does not tell. CD and floppy drives may be
    /// empty.
    pub fn machine(&self, place: &HostPaths) -> Result<Machine, ConfigError> {
        let faults = self.check();
        if !faults.is_empty() {
            return Err(ConfigError::VmConfig(faults));
        }
        let mut machine = Machine::new(self.system.name.clone(), self.system.arch);
        machine.uuid.clone_from(&self.system.uuid);
        machine.memory_mib = self.memory.mib;
        machine.shared_memory = self.memory.shared;
        machine.cpus = self.cpu.count;
        machine.chipset = self.system.machine;
        machine.cpu.clone_from(&self.cpu.model);
        machine.tuning = self.cpu.tuning;
        machine.cpu_features.clone_from(&self.cpu.features);
        machine.hyperv = self.cpu.hyperv;
        machine.topology = self.cpu.topology;
        machine.clock = self.system.clock;
        machine.firmware = self.placed_firmware(place)?;
        machine.kernel = self.placed_kernel(place)?;
        machine.drives = self.placed_drives(place)?;
        machine.display = self.displays.device;
        machine.heads = self.displays.heads;
        machine.vnc = self.displays.vnc;
        machine.nics = self.nics();
        machine.shares = self.placed_shares(place)?;
        machine.sound = self.sound.device;
        machine.microphone = self.sound.has_input();
        machine.pointer = self.input.pointer;
        machine.keyboard = self.input.keyboard;
        machine.touch = self.input.touch;
        machine.usb = self.usb.controller;
        machine.console = self.serial.console;
        machine.agent = self.serial.agent;
        machine.vdagent = self.serial.vdagent;
        machine.serials.clone_from(&self.serial.ports);
        machine.throw_away = place.throw_away;
        machine.incoming = place.incoming;
        machine.extra.clone_from(&self.extra.arguments);
        Ok(machine)
    }

    fn placed_firmware(&self, place: &HostPaths) -> Result<Option<Firmware>, ConfigError> {
        match self.firmware.kind {
            FirmwareKind::Bios => Ok(Some(Firmware::Bios)),
            FirmwareKind::None => Ok(None),
            FirmwareKind::Uefi => {
                let code = place.uefi_code.clone().ok_or(ConfigError::NoUefi)?;
                let vars = place.uefi_vars.clone().ok_or(ConfigError::NoUefi)?;
                Ok(Some(Firmware::Flash { code, vars }))
            }
        }
    }

    fn placed_kernel(&self, place: &HostPaths) -> Result<Option<Kernel>, ConfigError> {
        let Some(wanted) = &self.firmware.kernel else { return Ok(None) };
        let kernel = place.kernel.clone().ok_or_else(|| ConfigError::NotPlaced(wanted.kernel.clone()))?;
        let initrd = match &wanted.initrd {
            None => None,
            Some(name) => Some(place.initrd.clone().ok_or_else(|| ConfigError::NotPlaced(name.clone()))?),
        };
        Ok(Some(Kernel { kernel, initrd, append: wanted.append.clone() }))
    }

    fn placed_drives(&self, place: &HostPaths) -> Result<Vec<Drive>, ConfigError> {
        let placed = self.drives.drives.iter().map(|drive| {
            let image = match (&drive.media, drive.kind) {
                (None, DriveKind::Cdrom | DriveKind::Floppy) => None,
                (media, _) => {
                    let missing = || match media {
                        Some(media) => ConfigError::NotPlaced(media.clone()),
                        None => ConfigError::NoImage(drive.id.clone()),
                    };
                    Some(place.drives.get(&drive.id).cloned().ok_or_else(missing)?)
                }
            };
            Ok(Drive {
                id: drive.id.clone(),
                kind: drive.kind,
                bus: drive.bus,
                image,
                boot: drive.boot,
                read_only: drive.read_only,
                discard: drive.discard,
            })
        });
        placed.collect()
    }

    fn placed_shares(&self, place: &HostPaths) -> Result<Vec<SharedFolder>, ConfigError> {
        let placed = self.shares.shares.iter().map(|share| {
            let path = place.shares.get(&share.tag).cloned();
            Ok(SharedFolder {
                tag: share.tag.clone(),
                path: path.ok_or_else(|| ConfigError::NoFolder(share.tag.clone()))?,
                read_only: share.read_only,
                security: share.security,
            })
        });
        placed.collect()
    }

    fn nics(&self) -> Vec<Nic> {
        let nic = |card: &super::Card| Nic {
            id: card.id.clone(),
            device: card.device,
            mac: card.mac,
            ipv6: card.ipv6,
            isolated: card.isolated,
            forwards: card.forwards.clone(),
        };
        self.network.cards.iter().map(nic).collect()
    }
}
