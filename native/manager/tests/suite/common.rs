//! A library of real machines, with libqemu.

use sampan_config::{Arch, Preset};
use sampan_control::Reporter;
use sampan_emulator::LibqemuDir;
use sampan_library::{Library, SourceFormat, VmId};
use sampan_manager::create::{NewDisk, Source};
use sampan_manager::edit::Change;
use sampan_manager::{Confirmed, Manager, NewMachine, Placement};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long anything may take before a test is given up: far more than it takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// A manager whose machines run here.
pub fn manager(home: &Path) -> Manager {
    let libqemu = LibqemuDir::find().expect("libqemu is built: scripts/qemu/build");
    let library = Library::open(home).expect("a library");
    Manager::new(library, Placement::Here { libqemu, children: true })
}

/// A disk whose boot sector paints the screen and halts.
pub fn painting_disk(folder: &Path) -> PathBuf {
    let mut sector = vec![
        0xb8, 0x13, 0x00, // mov ax, 13h: 320 × 200, 256 colours
        0xcd, 0x10, // int 10h
        0xb8, 0x00, 0xa0, // mov ax, a000h
        0x8e, 0xc0, // mov es, ax
        0x31, 0xff, // xor di, di
        0xb0, 0x02, // mov al, 2: green
        0xb9, 0x00, 0xfa, // mov cx, 64000
        0xf3, 0xaa, // rep stosb
        0xf4, // hlt
        0xeb, 0xfd, // jmp to the hlt
    ];
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector.resize(1 << 20, 0);
    let path = folder.join("painting.img");
    std::fs::write(&path, sector).expect("a disk");
    path
}

/// What a person chooses for the smallest machine with this disk.
pub fn smallest(name: &str, disk: NewDisk) -> NewMachine {
    NewMachine {
        name: name.to_owned(),
        preset: Some(Preset::Old),
        arch: Some(Arch::X86_64),
        memory_mib: Some(64),
        cpus: Some(1),
        disk,
        ..NewMachine::default()
    }
}

/// Makes a machine that may be all that was chosen.
pub async fn made(manager: &Manager, new: NewMachine) -> VmId {
    let plan = manager.plan(new, None).await.expect("can be made");
    manager.create(plan, &Confirmed::Everything, &Reporter::new()).await.expect("is made").id
}

/// A machine that paints its screen green and then does nothing; it hears no power button.
pub async fn painting_machine(manager: &Manager, name: &str, restart: bool) -> VmId {
    let scratch = tempfile::tempdir().expect("a folder");
    let image = Source::File(painting_disk(scratch.path()));
    let disk = NewDisk::Image { image, format: Some(SourceFormat::Raw), size: None };
    let id = made(manager, smallest(name, disk)).await;
    if restart {
        let change = Change { field: "system.restart_after_crash".into(), value: "true".into() };
        manager.change(id, vec![change]).await.expect("is changed");
    }
    id
}
