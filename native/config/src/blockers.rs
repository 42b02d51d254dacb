//! What keeps a machine's state (snapshot with memory, suspend) from being saved, known before it is tried.

use crate::{Bus, DiskFormat, Drive, DriveKind, Firmware, Machine, Section, SoundDevice, VmConfig};
use sampan_message::{Message, reasons};

/// When something stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockedWhen {
    /// As long as the machine has it.
    Always,
    /// While the guest has the folder mounted.
    Mounted,
    /// When the state is to be kept inside the images (QMP `snapshot-save`). A state in a file of its own, with the
    /// disks snapshotted beside it, is not affected.
    Inside,
}

/// Something that keeps a machine's state from being saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The section where it is changed.
    pub section: Section,
    /// The part's name.
    pub part: String,
    /// When it does.
    pub when: BlockedWhen,
    /// Why, and the way out.
    pub why: BlockedBy,
}

reasons! {
    /// Why a machine's state cannot be saved, and the way out.
    #[non_exhaustive]
    pub enum BlockedBy {
        ThrowAway => "throw_away", "a throw-away run keeps nothing: start the machine the ordinary way";
        RawVariables => "raw_variables", "the firmware's variables are a raw file, which cannot hold a state: convert them to qcow2";
        Nvme { drive: String = "disk0".into() } => "nvme", "{drive} is on NVMe, whose state QEMU cannot save: power the machine off and move it to virtio-blk or sata";
        VirtioSound => "virtio_sound", "QEMU cannot save virtio-sound's state: power the machine off and use hda";
        Share { tag: String = "files".into() } => "share_in_use", "the shared folder {tag} must not be in use: unmount it in the guest first, and mount it again later";
        Floppy { drive: String = "fd0".into() } => "floppy_not_kept", "the floppy in {drive} is not kept with the state: take it out, or make the drive read-only";
        RawImage { drive: String = "disk0".into() } => "raw_image", "{drive} is a raw image, which cannot hold a state: convert it to qcow2";
        CpuFeature { feature: String = "invtsc=on".into() } => "cpu_feature", "{feature} ties the machine to this host's CPU: take it out";
        Argument { what: String = "USB sound".into(), argument: String = "usb-audio,id=a".into() } => "argument", "{what} ({argument:?} among the extra arguments) has a state that QEMU cannot save: take it out";
    }
}

impl Blocker {
    /// It as a message: one of `state_blocker`, with the reason.
    pub fn message(&self) -> Message {
        Message::because("state_blocker", &self.why).with("part", &*self.part)
    }
}

/// Devices and backends that may come by extra arguments: unmigratable ones (`.unmigratable = 1` in `hw/`) and such
/// as add a migration blocker, in QEMU 10.0.
const IN_ARGUMENTS: [(&str, &str); 17] = [
    ("nvme", "NVMe"),
    ("virtio-sound", "virtio-sound"),
    ("usb-audio", "USB sound"),
    ("usb-uas", "a USB disk of the UAS kind"),
    ("usb-mtp", "a USB media folder"),
    ("usb-serial", "a USB serial port"),
    ("usb-braille", "a USB braille display"),
    ("usb-net", "a USB network card"),
    ("usb-wacom-tablet", "a Wacom tablet"),
    ("virtio-crypto", "virtio-crypto"),
    ("virtio-input-host", "a passed-through input device"),
    ("vfio-", "a passed-through device"),
    ("vhost-", "a vhost device"),
    ("ivshmem", "shared memory"),
    ("-gl", "3D by virgl"),
    ("amd-iommu", "AMD's IOMMU"),
    ("qemu-vdagent", "the clipboard agent of this QEMU version"),
];

/// Properties of a CPU that tie a state to the host, with KVM (`target/i386/kvm/kvm.c`).
const CPU_FEATURES: [&str; 4] =
    ["invtsc=on", "hv-passthrough=on", "hv-no-nonarch-coresharing=on", "migratable=off"];

impl VmConfig {
    /// What keeps this machine's state from being saved, as far as its description tells. The images' formats are the
    /// [machine's](Machine::state_blockers) to know.
    pub fn state_blockers(&self) -> Vec<Blocker> {
        let mut blockers = Vec::new();
        let drives = self.drives.drives.iter().map(|drive| (drive.id.as_str(), drive.bus));
        blockers.extend(drives.filter_map(|(id, bus)| of_bus(id, bus)));
        blockers.extend(of_sound(self.sound.device));
        blockers.extend(self.shares.shares.iter().map(|share| of_share(&share.tag)));
        blockers.extend(of_cpu(&self.cpu.features));
        blockers.extend(of_arguments(&self.extra.arguments));
        blockers
    }
}

impl Machine {
    /// What keeps this machine's state from being saved.
    pub fn state_blockers(&self) -> Vec<Blocker> {
        let mut blockers: Vec<_> =
            self.drives.iter().filter_map(|drive| of_bus(&drive.id, drive.bus)).collect();
        blockers.extend(of_sound(self.sound));
        blockers.extend(self.shares.iter().map(|share| of_share(&share.tag)));
        blockers.extend(of_cpu(&self.cpu_features));
        blockers.extend(of_arguments(&self.extra));
        if self.throw_away {
            blockers.push(Blocker {
                section: Section::System,
                part: self.name.clone(),
                when: BlockedWhen::Always,
                why: BlockedBy::ThrowAway,
            });
        }
        blockers.extend(self.drives.iter().filter_map(of_image));
        for (number, disk) in self.disks.iter().enumerate() {
            blockers.extend((disk.format == DiskFormat::Raw).then(|| raw_disk(&format!("disk{number}"))));
        }
        let raw_vars = match &self.firmware {
            Some(Firmware::Uefi { .. }) => true,
            Some(Firmware::Flash { vars, .. }) => vars.format == DiskFormat::Raw,
            Some(Firmware::Bios) | None => false,
        };
        blockers.extend(raw_vars.then(|| Blocker {
            section: Section::Firmware,
            part: "fw-vars".to_owned(),
            when: BlockedWhen::Inside,
            why: BlockedBy::RawVariables,
        }));
        blockers
    }
}

fn of_bus(id: &str, bus: Bus) -> Option<Blocker> {
    (bus == Bus::Nvme).then(|| Blocker {
        section: Section::Drives,
        part: id.to_owned(),
        when: BlockedWhen::Always,
        why: BlockedBy::Nvme { drive: id.to_owned() },
    })
}

fn of_sound(device: SoundDevice) -> Option<Blocker> {
    (device == SoundDevice::Virtio).then(|| Blocker {
        section: Section::Sound,
        part: "sound".to_owned(),
        when: BlockedWhen::Always,
        why: BlockedBy::VirtioSound,
    })
}

/// `v9fs_attach` in hw/9pfs/9p.c.
fn of_share(tag: &str) -> Blocker {
    Blocker {
        section: Section::Shares,
        part: tag.to_owned(),
        when: BlockedWhen::Mounted,
        why: BlockedBy::Share { tag: tag.to_owned() },
    }
}

fn of_image(drive: &Drive) -> Option<Blocker> {
    let written = !drive.read_only && drive.kind != DriveKind::Cdrom;
    let raw = drive.image.as_ref().is_some_and(|image| image.format == DiskFormat::Raw);
    let mut blocker = (written && raw).then(|| raw_disk(&drive.id))?;
    if drive.kind == DriveKind::Floppy {
        blocker.why = BlockedBy::Floppy { drive: drive.id.clone() };
    }
    Some(blocker)
}

/// `bdrv_all_can_snapshot` in block/snapshot.c.
fn raw_disk(id: &str) -> Blocker {
    Blocker {
        section: Section::Drives,
        part: id.to_owned(),
        when: BlockedWhen::Inside,
        why: BlockedBy::RawImage { drive: id.to_owned() },
    }
}

fn of_cpu(features: &[String]) -> impl Iterator<Item = Blocker> + '_ {
    features.iter().filter(|feature| CPU_FEATURES.contains(&feature.as_str())).map(|feature| Blocker {
        section: Section::Cpu,
        part: feature.clone(),
        when: BlockedWhen::Always,
        why: BlockedBy::CpuFeature { feature: feature.clone() },
    })
}

/// A guess from words, as arguments may be anything: QEMU's `query-migrate` knows for certain.
fn of_arguments(arguments: &[String]) -> impl Iterator<Item = Blocker> + '_ {
    let found = |argument: &String| {
        IN_ARGUMENTS.into_iter().find(|(name, _)| {
            let driver = argument.split(',').next().unwrap_or_default();
            let ends = |gl: &str| driver.ends_with(gl) || driver.contains(&format!("{gl}-"));
            if *name == "-gl" {
                ends(name) && driver.starts_with("virtio-")
            } else {
                driver.starts_with(name)
            }
        })
    };
    arguments.iter().filter_map(move |argument| {
        let (name, what) = found(argument)?;
        Some(Blocker {
            section: Section::Extra,
            part: name.to_owned(),
            when: BlockedWhen::Always,
            why: BlockedBy::Argument { what: what.to_owned(), argument: argument.clone() },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arch, Disk, DriveSection, Preset, ShareSection, ShareSecurity};

    #[test]
    fn each_blocker_names_its_part_and_the_way_out() {
        let mut document = VmConfig::new("x", Preset::Linux, Arch::X86_64);
        assert_eq!(document.state_blockers(), []);
        document.drives.drives.push(DriveSection::disk("fast", Bus::Nvme, None));
        document.sound.device = SoundDevice::Virtio;
        document.shares.shares.push(ShareSection {
            tag: "home".into(),
            read_only: false,
            security: ShareSecurity::None,
        });
        document.cpu.features = vec!["invtsc=on".into()];
        document.extra.arguments = [
            "-device",
            "virtio-vga-gl,xres=800",
            "-device",
            "virtio-gpu-gl-pci",
            "-device",
            "virtio-balloon-pci",
            "-chardev",
            "qemu-vdagent,id=v",
        ]
        .map(String::from)
        .into();
        let found = document.state_blockers();
        let parts: Vec<_> = found.iter().map(|b| (b.part.as_str(), b.when == BlockedWhen::Always)).collect();
        assert_eq!(
            parts,
            [
                ("fast", true),
                ("sound", true),
                ("home", false),
                ("invtsc=on", true),
                ("-gl", true),
                ("-gl", true),
                ("qemu-vdagent", true)
            ]
        );
        assert!(found.iter().all(|b| b.why.to_string().contains(": ")), "a remedy in each: {found:?}");
    }

    #[test]
    fn raw_images_block_a_state_inside_them() {
        let mut machine = Machine::new("x", Arch::X86_64);
        machine.disks = vec![Disk { file: "a".into(), format: DiskFormat::Raw, base: None }];
        machine.firmware = Some(Firmware::Flash {
            code: "c".into(),
            vars: Disk { file: "v".into(), format: DiskFormat::Qcow2, base: None },
        });
        let found = machine.state_blockers();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].part.as_str(), found[0].when), ("disk0", BlockedWhen::Inside));
    }
}
