//! A library of real machines, with libqemu.
#![allow(dead_code, reason = "each test program uses a part of it")]

use sampan_config::{Arch, Preset};
use sampan_control::Reporter;
use sampan_emulator::LibqemuDir;
use sampan_library::{Library, SourceFormat, VmId};
use sampan_manager::{Manager, Placement};
use sampan_session::vm::{Cd, FirstDisk, FirstStart, Recipe};
use std::ops::ControlFlow;
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
fn painting_disk(folder: &Path) -> PathBuf {
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

/// A machine that paints its screen green and then does nothing; it hears no power button.
pub async fn painting_machine(manager: &Manager, name: &str, restart: bool) -> VmId {
    let (manager, name) = (manager.clone(), name.to_owned());
    let layer = manager.block_layer(&Reporter::new()).expect("a block layer");
    let made = tokio::task::spawn_blocking(move || {
        let scratch = tempfile::tempdir().expect("a folder");
        let file = painting_disk(scratch.path());
        let recipe = Recipe {
            name,
            preset: Preset::Old,
            arch: Arch::X86_64,
            memory_mib: Some(64),
            cpus: Some(1),
            firmware: None,
            disk: FirstDisk::Image { file, format: Some(SourceFormat::Raw), size: None },
            cd: Cd::None,
            first_start: FirstStart::None,
        };
        let firmware = manager.libqemu().and_then(|dir| Ok(dir.firmware()?)).expect("firmware");
        let library = manager.library();
        let go_on = &mut |_| ControlFlow::Continue(());
        let mut made = recipe.create(library, &layer, &firmware, 1, go_on).expect("is made");
        sampan_manager::edit::edit(&mut made, |config| {
            config.system.restart_after_crash = restart;
            Ok(())
        })
        .expect("is changed");
        made.id()
    });
    made.await.expect("a thread")
}
