//! Machines from elsewhere: those in a file of our own, and those of other programs (a UTM bundle, an OVF description or an
//! OVA appliance).
//!
//! Of all of them only what is inside the machine is taken over; what reaches out of it into this host is for its new
//! owner to say. Of a description of our own that is [`VmConfig::from_foreign`]'s work. Of other programs' the library says what it found and converts the disks; here it becomes a document: the preset for systems of which
//! nothing is known, changed by what was found. What cannot be as it was is said.

use super::adapted::{Adapted, VariablesFault};
use super::create::uefi_drive;
use super::{Identity, VmError, uefi_variables};
use sampan_config::{
    Arch, Bus, Card, Chipset, DriveKind, DriveSection, FirmwareKind, MAX_CPUS, MAX_MEMORY_MIB,
    MIN_MEMORY_MIB, NicDevice, Preset, VmConfig,
};
use sampan_library::{
    BlockLayer, Bus as ForeignBus, ImportPlan, Library, Locked, OnProgress, Origin, Sections, SourceFormat,
    VmId, name_from, plan_import, probe_import,
};
use sampan_message::{Coded, Message};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Ports of a SATA controller, places on an IDE one.
const SATA_PORTS: usize = 6;
const IDE_PLACES: usize = 4;

/// Another program's machine, read and not yet taken over.
pub struct Foreign {
    origin: Origin,
    plan: ImportPlan,
    name: String,
    /// What was left out already.
    notes: Vec<Message>,
}

/// A machine that was taken over.
pub struct Imported {
    /// The machine.
    pub machine: Locked,
    /// What did not map, or is not as it was.
    pub notes: Vec<Message>,
}

/// Takes over the machine in a `.sampanvm` file, under its own name or another. It is there whole or not at all. However it
/// was made, it gets a number and addresses of its own here, and nothing of its description that reaches out of it.
///
/// # Errors
/// [`VmError::Library`]: the file is damaged, or its description cannot be read; the name is taken; no space.
pub fn import_archive(
    library: &Library,
    file: &Path,
    name: Option<&str>,
    time: u64,
    progress: OnProgress<'_>,
) -> Result<Imported, VmError> {
    let (identity, mut notes) = (Identity::random(), Vec::new());
    let mut adopt = |name: &str, files: Sections| {
        let (document, left_out) = VmConfig::from_foreign(&files).map_err(|e| e.message())?;
        notes = left_out.iter().map(Coded::message).collect();
        let mut sections = document.to_files();
        identity.give(Some(name), &mut sections);
        Ok(sections)
    };
    let machine = library.import(file, name, time, &mut adopt, progress)?;
    Ok(Imported { machine, notes })
}

impl Foreign {
    /// Reads what is there: a UTM bundle, an OVF description or an OVA appliance.
    ///
    /// # Errors
    /// [`VmError::Library`] with the reason.
    pub fn read(path: &Path) -> Result<Self, VmError> {
        let (origin, mut plan) = plan_import(path)?;
        let name = plan.name.clone().unwrap_or_else(|| name_from(path));
        // The library would take it for a disk, with which no floppy drive can do anything.
        let mut notes: Vec<Message> = plan.notes.iter().map(Coded::message).collect();
        plan.disks.retain(|disk| {
            let floppy = disk.bus == ForeignBus::Floppy && !disk.cdrom;
            if floppy {
                notes.push(Adapted::Floppy(disk.file.clone()).message());
            }
            !floppy
        });
        Ok(Self { origin, plan, name, notes })
    }

    /// The name it had.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The document it becomes, and what did not map.
    ///
    /// # Errors
    /// [`VmError::UnknownProcessor`] for a processor that is not run here.
    pub fn document(&self, name: &str) -> Result<(VmConfig, Vec<Message>), VmError> {
        let plan = &self.plan;
        let mut notes = self.notes.clone();
        let arch = arch(plan)?;
        let old = plan
            .machine
            .as_deref()
            .is_some_and(|machine| machine == "pc" || machine.starts_with("pc-i440fx"));
        let virtio = plan.disks.iter().any(|disk| disk.bus == ForeignBus::Virtio && !disk.cdrom);
        // Who boots from virtio has the other drivers of virtio, too.
        let preset = if virtio { Preset::Linux } else { Preset::Other };
        let mut document = VmConfig::new(name, preset, arch);
        document.system.uuid = Some(VmId::random().to_string());
        if old && arch == Arch::X86_64 {
            document.system.machine = Chipset::Pc;
        }
        self.numbers(&mut document, &mut notes);
        document.firmware.kind = firmware(plan, arch, &mut notes);
        drives(plan, &mut document, &mut notes);
        cards(plan, &mut document, &mut notes);
        Ok((document, notes))
    }

    fn numbers(&self, document: &mut VmConfig, notes: &mut Vec<Message>) {
        if let Some(mib) = self.plan.memory_mib {
            match u32::try_from(mib).ok().filter(|mib| (MIN_MEMORY_MIB..=MAX_MEMORY_MIB).contains(mib)) {
                Some(mib) => document.memory.mib = mib,
                None => notes.push(Adapted::Memory { mib, now: document.memory.mib }.message()),
            }
        }
        if let Some(cpus) = self.plan.cpus {
            match (1..=MAX_CPUS).contains(&cpus) {
                true => document.cpu.count = cpus,
                false => notes.push(Adapted::Cpus { cpus, now: document.cpu.count }.message()),
            }
        }
    }

    /// Its own UEFI variables and their format; `None` where it has none. They fit our firmware if they are as large as the
    /// `new` ones: the same firmware (edk2) is built for the same flash then.
    fn variables(&self, new: &Path) -> Result<Option<(PathBuf, SourceFormat)>, VariablesFault> {
        let (Origin::Folder(folder), Some(file)) = (&self.origin, &self.plan.uefi_variables) else {
            return Ok(None);
        };
        let path = folder.join(file);
        let size = |path: &Path, format| {
            probe_import(path, format)
                .map(|header| (header.virtual_size, header.format))
                .map_err(|e| VariablesFault::Unreadable(e.to_string()))
        };
        let (wanted, _) = size(new, Some(SourceFormat::Raw))?;
        // What has no header of an image is raw, and then a volume by its own.
        let (found, format) = match size(&path, None) {
            Ok(found) => found,
            Err(_) if is_volume(&path) => size(&path, Some(SourceFormat::Raw))?,
            Err(_) => return Err(VariablesFault::Unknown(file.clone())),
        };
        if !matches!(format, SourceFormat::Raw | SourceFormat::Qcow2) {
            return Err(VariablesFault::Unknown(file.clone()));
        }
        if found != wanted {
            return Err(VariablesFault::Size { file: file.clone(), found, wanted });
        }
        Ok(Some((path, format)))
    }

    /// Takes it over: converts its disks and gives it UEFI variables of its own where it needs them. It is there whole or
    /// not at all. `firmware` is libqemu's folder of firmware.
    ///
    /// # Errors
    /// [`VmError`]: an image that is refused, a document with faults, no space.
    pub fn import(
        &self,
        library: &Library,
        layer: &dyn BlockLayer,
        firmware: &Path,
        name: Option<&str>,
        time: u64,
        progress: OnProgress<'_>,
    ) -> Result<Imported, VmError> {
        let name = name.unwrap_or(&self.name);
        let (document, mut notes) = self.document(name)?;
        if let Some(fault) = document.check().into_iter().next() {
            return Err(VmError::Fault(fault));
        }
        let new = firmware.join(uefi_variables(document.system.arch));
        let uefi = document.firmware.kind == FirmwareKind::Uefi;
        let (variables, format) = match self.variables(&new) {
            _ if !uefi => (new, SourceFormat::Raw),
            Ok(own) => own.unwrap_or((new, SourceFormat::Raw)),
            Err(why) => {
                notes.push(Adapted::Variables(why).message());
                (new, SourceFormat::Raw)
            }
        };
        let mut finish = |machine: &mut Locked| match uefi {
            true => uefi_drive(machine, layer, &variables, format),
            false => Ok(()),
        };
        let sections = document.to_files();
        let (machine, left_out) = library.import_plan(
            layer,
            &self.origin,
            &self.plan,
            name,
            time,
            &sections,
            &mut finish,
            progress,
        )?;
        notes.extend(left_out.iter().map(Coded::message));
        Ok(Imported { machine, notes })
    }
}

/// Whether a file begins as a firmware volume with variables does: `_FVH` after 40 bytes (UEFI PI, volume 3, 3.2.1).
fn is_volume(file: &Path) -> bool {
    let mut head = [0; 44];
    let Ok(mut file) = sampan_library::open_named(file) else { return false };
    file.read_exact(&mut head).is_ok() && head.ends_with(b"_FVH")
}

fn arch(plan: &ImportPlan) -> Result<Arch, VmError> {
    match plan.arch.as_deref() {
        // An appliance does not say: they are for PCs.
        None | Some("x86_64" | "i386") => Ok(Arch::X86_64),
        Some("aarch64") => Ok(Arch::Aarch64),
        Some(other) => Err(VmError::UnknownProcessor(other.to_owned())),
    }
}

fn firmware(plan: &ImportPlan, arch: Arch, notes: &mut Vec<Message>) -> FirmwareKind {
    match (plan.uefi, arch) {
        (Some(true), _) | (None, Arch::Aarch64) => FirmwareKind::Uefi,
        (Some(false), Arch::Aarch64) => {
            notes.push(Adapted::Uefi.message());
            FirmwareKind::Uefi
        }
        (Some(false) | None, Arch::X86_64) => FirmwareKind::Bios,
    }
}

fn drives(plan: &ImportPlan, document: &mut VmConfig, notes: &mut Vec<Message>) {
    let preset = document.drives.drives.iter().find(|drive| drive.kind == DriveKind::Disk);
    let usual = preset.map_or(Bus::Sata, |disk| disk.bus);
    document.drives.drives.retain(|drive| drive.kind == DriveKind::Cdrom);
    // An id of the plan's begins with `cd` or `disk`, and only its disks become drives: `cd0` stays the CD's.
    for disk in &plan.disks {
        if disk.cdrom {
            notes.push(Adapted::Cd(disk.file.clone()).message());
            continue;
        }
        let taken = |bus| document.drives.drives.iter().filter(|drive| drive.bus == bus).count();
        let was = bus(disk.bus, document.system.machine, usual);
        let now = match was {
            // They know no read-only disks.
            Bus::Sata | Bus::Ide if disk.read_only => Bus::VirtioBlk,
            Bus::Sata if taken(Bus::Sata) >= SATA_PORTS => Bus::VirtioBlk,
            Bus::Ide if taken(Bus::Ide) >= IDE_PLACES => Bus::VirtioBlk,
            bus => bus,
        };
        if !same(disk.bus, now) {
            notes.push(Adapted::Bus { file: disk.file.clone(), was: disk.bus, now }.message());
        }
        let boot = u32::try_from(document.drives.drives.len()).ok();
        document.drives.drives.push(DriveSection {
            read_only: disk.read_only,
            ..DriveSection::disk(disk.drive.as_str(), now, boot)
        });
    }
}

fn bus(was: ForeignBus, machine: Chipset, usual: Bus) -> Bus {
    match (was, machine) {
        (ForeignBus::Virtio, _) => Bus::VirtioBlk,
        (ForeignBus::Nvme, _) => Bus::Nvme,
        (ForeignBus::Usb, _) => Bus::Usb,
        (ForeignBus::Ide, Chipset::Pc) => Bus::Ide,
        // What other programs call IDE on a q35 is its AHCI controller; SCSI controllers of theirs are not here.
        (ForeignBus::Ide | ForeignBus::Sata | ForeignBus::Scsi, Chipset::Q35 | Chipset::Pc) => Bus::Sata,
        (ForeignBus::Ide | ForeignBus::Sata | ForeignBus::Scsi, Chipset::Virt) => Bus::VirtioScsi,
        (ForeignBus::Floppy | ForeignBus::Other, _) => usual,
    }
}

fn same(was: ForeignBus, now: Bus) -> bool {
    match was {
        ForeignBus::Virtio => now == Bus::VirtioBlk,
        ForeignBus::Nvme => now == Bus::Nvme,
        ForeignBus::Usb => now == Bus::Usb,
        ForeignBus::Ide => matches!(now, Bus::Ide | Bus::Sata),
        ForeignBus::Sata => now == Bus::Sata,
        ForeignBus::Scsi => now == Bus::VirtioScsi,
        // It was not said.
        ForeignBus::Floppy | ForeignBus::Other => true,
    }
}

fn cards(plan: &ImportPlan, document: &mut VmConfig, notes: &mut Vec<Message>) {
    let pc = document.system.machine == Chipset::Pc;
    // On a bus without PCI Express.
    let fitting = |device| if pc && device == NicDevice::E1000e { NicDevice::E1000 } else { device };
    let usual = fitting(document.network.cards.first().map_or(NicDevice::E1000e, |card| card.device));
    document.network.cards.clear();
    for (number, nic) in plan.nics.iter().enumerate() {
        let found = nic.model.as_deref().and_then(device).map(fitting);
        if let (None, Some(model)) = (found, &nic.model) {
            notes.push(Adapted::Card { model: model.clone(), now: usual }.message());
        }
        let mac = nic.mac.as_deref().and_then(|mac| mac.parse().ok());
        let twice = document.network.cards.iter().any(|card| mac.is_some() && card.mac == mac);
        if (nic.mac.is_some() && mac.is_none()) || twice {
            notes.push(Adapted::Mac(number).message());
        }
        document.network.cards.push(Card {
            id: format!("net{number}"),
            device: found.unwrap_or(usual),
            mac: mac.filter(|_| !twice),
            ipv6: false,
            isolated: false,
            forwards: Vec::new(),
        });
    }
}

/// By QEMU's names, and those that descriptions of appliances have.
fn device(model: &str) -> Option<NicDevice> {
    match model.to_ascii_lowercase().as_str() {
        name if name.starts_with("virtio") => Some(NicDevice::Virtio),
        "e1000e" => Some(NicDevice::E1000e),
        "e1000" | "82540em" | "82545em" | "82543gc" => Some(NicDevice::E1000),
        "rtl8139" => Some(NicDevice::Rtl8139),
        "pcnet" | "pcnet32" | "am79c970a" | "am79c973" => Some(NicDevice::Pcnet),
        _ => None,
    }
}
