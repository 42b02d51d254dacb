//! Disks, CDs and floppies.

use super::{Argv, file, path, plain};
use crate::{Bus, Chipset, ConfigError, Disk, DiskFormat, Drive, DriveKind, Machine};
use serde_json::{Value, json};

impl Machine {
    /// The drives of a machine that is described in one line: without names, in the order they are given.
    pub(super) fn quick_drives(&self, argv: &mut Argv) -> Result<(), ConfigError> {
        let first = self.places_before_drives();
        let first_disk = first as usize + usize::from(self.cdrom.is_some());
        if let Some(cdrom) = &self.cdrom {
            argv.option(
                "-drive",
                format!("if=none,id=cd0,media=cdrom,readonly=on,format=raw,file={}", file(path(cdrom)?)),
            );
            argv.device("virtio-scsi-pci,id=scsi0");
            argv.device(format!("scsi-cd,bus=scsi0.0,drive=cd0,bootindex={first}"));
        }
        for (number, disk) in self.disks.iter().enumerate() {
            argv.option(
                "-drive",
                format!(
                    "if=none,id=disk{number},format={},discard=unmap,file={}",
                    disk.format.qemu_name(),
                    file(path(&disk.file)?)
                ),
            );
            let bootindex = first_disk + number;
            argv.device(format!("virtio-blk-pci,drive=disk{number},bootindex={bootindex}"));
        }
        Ok(())
    }

    pub(super) fn named_drives(&self, argv: &mut Argv) -> Result<(), ConfigError> {
        for drive in &self.drives {
            if let Some(image) = &drive.image {
                let read_only = drive.read_only || drive.kind == DriveKind::Cdrom;
                if self.throw_away && !read_only {
                    // What is written goes to a file without a name in the folder for temporary files.
                    argv.option(
                        "-drive",
                        format!(
                            "if=none,id={},format={},snapshot=on,discard=unmap,file={}",
                            drive.id,
                            image.format.qemu_name(),
                            file(path(&image.file)?)
                        ),
                    );
                } else {
                    nodes(argv, &drive.id, image, read_only, drive.discard)?;
                }
            }
        }
        let on = |bus| self.drives.iter().any(|drive| drive.bus == bus);
        if on(Bus::VirtioScsi) {
            argv.device("virtio-scsi-pci,id=vscsi");
        }
        // A q35 has its own, of which the buses are called `ide.0` to `ide.5`.
        if on(Bus::Sata) && self.chipset != Chipset::Q35 {
            argv.device("ich9-ahci,id=sata");
        }
        if on(Bus::Floppy) && self.chipset == Chipset::Q35 {
            argv.device("isa-fdc,id=fdc");
        }
        if on(Bus::Usb) {
            // Before the drives, and hence here rather than with the other devices.
            self.usb_controller(argv);
        }
        let mut units = Units::default();
        for drive in &self.drives {
            let device = self.drive_device(drive, &mut units, argv);
            argv.device(device);
        }
        Ok(())
    }

    /// Places in the order of booting that no drive may have: a kernel that QEMU starts itself has the first one, on PCs in a ROM
    /// (`option_rom[nb_option_roms].bootindex` in `hw/i386/x86-common.c`), and QEMU refuses two of one place.
    fn places_before_drives(&self) -> u32 {
        u32::from(self.kernel.is_some())
    }

    fn drive_device(&self, drive: &Drive, units: &mut Units, argv: &mut Argv) -> String {
        let id = &drive.id;
        let cd = drive.kind == DriveKind::Cdrom;
        let scsi = if cd { "scsi-cd" } else { "scsi-hd" };
        let boot = drive.boot.map(|boot| boot.saturating_add(self.places_before_drives()));
        let ide = if cd { "ide-cd" } else { "ide-hd" };
        let mut device = match drive.bus {
            Bus::VirtioBlk => "virtio-blk-pci".to_owned(),
            Bus::VirtioScsi => format!("{scsi},bus=vscsi.0"),
            Bus::Nvme => "nvme".to_owned(),
            Bus::Sata => {
                let bus = if self.chipset == Chipset::Q35 { "ide" } else { "sata" };
                format!("{ide},bus={bus}.{}", next(&mut units.sata))
            }
            Bus::Ide => {
                let unit = next(&mut units.ide);
                format!("{ide},bus=ide.{},unit={}", unit / 2, unit % 2)
            }
            Bus::Usb => {
                // The plain `usb-storage` would not know a CD without `-drive`.
                argv.device(format!("usb-bot,id={id}-usb,bus=usb.0"));
                format!("{scsi},bus={id}-usb.0")
            }
            Bus::Floppy => {
                let unit = next(&mut units.floppy);
                if let Some(boot) = boot {
                    // The order is the controller's to know, which a `pc` has built in (`hw/block/fdc-isa.c`).
                    let letter = if unit == 0 { 'A' } else { 'B' };
                    argv.option("-global", format!("isa-fdc.bootindex{letter}={boot}"));
                }
                format!("floppy,unit={unit}")
            }
        };
        device.push_str(&format!(",id={id}-dev"));
        if drive.image.is_some() {
            device.push_str(&format!(",drive={id}"));
        }
        if drive.kind == DriveKind::Disk {
            // By which the guest finds it, whatever the order.
            device.push_str(&format!(",serial={id}"));
        }
        if let Some(boot) = boot
            && drive.bus != Bus::Floppy
        {
            device.push_str(&format!(",bootindex={boot}"));
        }
        device
    }
}

#[derive(Default)]
struct Units {
    sata: u32,
    ide: u32,
    floppy: u32,
}

fn next(unit: &mut u32) -> u32 {
    let now = *unit;
    *unit += 1;
    now
}

/// The node of an image and that of its file. Both as JSON: there a value is never anything else. The options of one
/// node are not those of the node below it, hence twice (`qapi/block-core.json`).
pub(super) fn nodes(
    argv: &mut Argv,
    name: &str,
    image: &Disk,
    read_only: bool,
    discard: bool,
) -> Result<(), ConfigError> {
    let discard = if discard { "unmap" } else { "ignore" };
    let below = format!("{name}-file");
    let mut file = json!({
        "driver": "file",
        "node-name": below,
        "filename": plain(path(&image.file)?),
        "cache": { "direct": false },
        "discard": discard,
    });
    if read_only {
        file["read-only"] = true.into();
    } else {
        // So that what lies below a snapshot can be opened for reading alone, and for writing when it is merged.
        file["auto-read-only"] = true.into();
    }
    let mut format = json!({
        "driver": image.format.qemu_name(),
        "node-name": name,
        "file": below,
        "read-only": read_only,
        "cache": { "direct": false },
        "discard": discard,
    });
    pin_base(&mut format, image)?;
    argv.option("-blockdev", file.to_string());
    argv.option("-blockdev", format.to_string());
    Ok(())
}

/// Names what an image is built on, or that it is built on nothing: else QEMU would open what its header names, in the format
/// that it finds there.
fn pin_base(node: &mut Value, image: &Disk) -> Result<(), ConfigError> {
    if image.format != DiskFormat::Qcow2 {
        return Ok(());
    }
    node["backing"] = match &image.base {
        None => Value::Null,
        Some(base) => {
            let mut below = json!({
                "driver": base.format.qemu_name(),
                "read-only": true,
                "file": { "driver": "file", "filename": plain(path(&base.file)?), "read-only": true },
            });
            pin_base(&mut below, base)?;
            below
        }
    };
    Ok(())
}
