//! QEMU itself takes the arguments of every machine that a description can make.

use crate::common::{Vm, child, libqemu, tiny_guest_named, try_start};
use sampan_config::{
    Arch, BlockedWhen, Bus, Channel, DirectKernel, Disk, DiskFormat, DisplayKind, DriveKind, DriveSection,
    FirmwareKind, Forward, HostPaths, Keyboard, MacAddress, Machine, NicDevice, Pointer, Preset, SerialPort,
    ShareSection, ShareSecurity, SoundDevice, Topology, UsbController, VmConfig, Vnc,
};
use sampan_emulator::{Exit, LaunchSpec};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Images for a description, in a folder of their own.
fn place(folder: &Path, document: &VmConfig, format: DiskFormat) -> HostPaths {
    let mut place = HostPaths::default();
    for drive in &document.drives.drives {
        let name = folder.join(format!("{}, {}", drive.id, format.qemu_name()));
        match (drive.kind, &drive.media) {
            (DriveKind::Disk, _) => {
                image(&name, format, "64M");
                place.drives.insert(drive.id.clone(), Disk { file: name, format, base: None });
            }
            (kind, Some(_)) => {
                image(&name, DiskFormat::Raw, if kind == DriveKind::Floppy { "1440K" } else { "1M" });
                place
                    .drives
                    .insert(drive.id.clone(), Disk { file: name, format: DiskFormat::Raw, base: None });
            }
            (_, None) => {}
        }
    }
    let (code, vars) = match document.system.arch {
        Arch::X86_64 => ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
        Arch::Aarch64 => ("AAVMF_CODE.fd", "AAVMF_VARS.fd"),
    };
    let firmware = libqemu().firmware().unwrap();
    place.uefi_code = Some(firmware.join(code));
    let own = folder.join("vars");
    qemu_img(&["convert", "-f", "raw", "-O", format.qemu_name()], &[&firmware.join(vars), &own]);
    place.uefi_vars = Some(Disk { file: own, format, base: None });
    for share in &document.shares.shares {
        place.shares.insert(share.tag.clone(), folder.to_owned());
    }
    place
}

fn image(name: &Path, format: DiskFormat, size: &str) {
    qemu_img(&["create", "-q", "-f", format.qemu_name()], &[name, Path::new(size)]);
}

fn qemu_img(options: &[&str], files: &[&Path]) {
    let program: PathBuf = libqemu().path().join("qemu-img");
    assert!(
        Command::new(program).args(options).args(files).status().unwrap().success(),
        "{options:?} {files:?}"
    );
}

/// Starts it as far as the first instruction. Keep the sockets: they are what QEMU's chardevs are connected to.
fn run(machine: &Machine) -> (Vm, Vec<UnixStream>) {
    let mut spec = LaunchSpec::new("document", machine.arch);
    spec.args(machine.argv(&["tcg,thread=multi".into()]).unwrap());
    let mut ours = Vec::new();
    for name in machine.sockets() {
        let (here, there) = UnixStream::pair().unwrap();
        spec.extra_fds.push((name, there.into()));
        ours.push(here);
    }
    println!("{:?}", spec.args);
    let mut vm = try_start(&child(), spec).unwrap();
    // It greets before it has looked at its devices; nothing may be left to write to.
    let _ = vm.running.qmp.write_all(b"{\"execute\":\"qmp_capabilities\"}\n");
    if !(vm.read_qmp().contains("QMP") && vm.read_qmp().contains("return")) {
        panic!("{}", vm.wait());
    }
    (vm, ours)
}

fn value(vm: &mut Vm, command: &str) -> Value {
    let answer: Value = serde_json::from_str(&vm.execute(command)).unwrap();
    answer.get("return").unwrap_or_else(|| panic!("{command}: {answer}")).clone()
}

fn names<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().filter_map(|item| item[key].as_str()).collect()
}

/// Starts a document's machine, looks whether its drives are there by their names, and tries to save its state.
fn try_out(document: &VmConfig) {
    for format in [DiskFormat::Qcow2, DiskFormat::Raw] {
        let folder = TempDir::new().unwrap();
        let machine = document.machine(&place(folder.path(), document, format)).unwrap();
        let (mut vm, _sockets) = run(&machine);
        assert_eq!(value(&mut vm, r#"{"execute":"query-status"}"#)["status"], "prelaunch");
        let nodes = value(&mut vm, r#"{"execute":"query-named-block-nodes"}"#);
        let devices = value(&mut vm, r#"{"execute":"query-block"}"#);
        for drive in &machine.drives {
            let id = &drive.id;
            let device = devices.as_array().unwrap().iter().find(|d| {
                d["qdev"].as_str().is_some_and(|qdev| qdev.split('/').any(|part| part == format!("{id}-dev")))
            });
            let device = device.unwrap_or_else(|| panic!("{id}-dev: {devices}"));
            let inserted = device["inserted"]["node-name"].as_str();
            assert_eq!(inserted, drive.image.as_ref().map(|_| id.as_str()), "{device}");
            if drive.image.is_some() {
                assert!(names(&nodes, "node-name").contains(&format!("{id}-file").as_str()), "{nodes}");
                assert_eq!(device["inserted"]["cache"]["no-flush"], false, "{device}");
            }
        }
        saving_is_blocked_as_foretold(&mut vm, &machine);
        assert_eq!(vm.quit(), Exit::Clean);
    }
}

/// `snapshot-save` succeeds exactly when nothing was said to be in its way.
fn saving_is_blocked_as_foretold(vm: &mut Vm, machine: &Machine) {
    let written = |format| {
        let drives =
            machine.drives.iter().filter(move |drive| drive.kind == DriveKind::Disk && !drive.read_only);
        drives.filter(move |drive| drive.image.as_ref().is_some_and(|image| image.format == format))
    };
    let foretold = machine.state_blockers();
    let always = foretold.iter().any(|blocker| blocker.when == BlockedWhen::Always);
    let reasons = value(vm, r#"{"execute":"query-migrate"}"#)["blocked-reasons"].clone();
    assert_eq!(!reasons.is_null(), always, "{reasons} against {foretold:?}");
    // Where there is no qcow2 disk nothing could be written to; that raw ones are refused is what is looked at.
    let formats = [DiskFormat::Qcow2, DiskFormat::Raw];
    let Some(first) = formats.into_iter().find_map(|format| written(format).next()) else { return };
    let inside = foretold.iter().any(|blocker| blocker.when == BlockedWhen::Inside);
    let mut devices: Vec<String> =
        formats.into_iter().flat_map(written).map(|drive| format!("\"{}\"", drive.id)).collect();
    if matches!(machine.firmware, Some(sampan_config::Firmware::Flash { .. })) {
        devices.push("\"fw-vars\"".into());
    }
    value(
        vm,
        &format!(
            r#"{{"execute":"snapshot-save","arguments":{{"job-id":"save","tag":"one","vmstate":"{}","devices":[{}]}}}}"#,
            first.id,
            devices.join(",")
        ),
    );
    let error = loop {
        let jobs = value(vm, r#"{"execute":"query-jobs"}"#);
        let job = &jobs[0];
        if job["status"] == "concluded" {
            break job["error"].clone();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    assert_eq!(!error.is_null(), always || inside, "{error} against {foretold:?}");
}

/// Above 5900, as ports given by the system are.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn every_preset_starts() {
    for preset in Preset::ALL {
        for arch in Arch::ALL {
            let document = VmConfig::new(format!("{preset:?}, on=arm"), preset, arch);
            println!("{preset:?} {arch}");
            try_out(&document);
        }
    }
}

fn drive(id: &str, kind: DriveKind, bus: Bus, media: Option<&str>) -> DriveSection {
    DriveSection {
        id: id.into(),
        kind,
        bus,
        boot: None,
        read_only: false,
        discard: true,
        media: media.map(Into::into),
    }
}

#[test]
fn every_drive_on_every_bus() {
    use DriveKind::{Cdrom, Disk, Floppy};
    for (preset, arch) in
        [(Preset::Linux, Arch::X86_64), (Preset::Old, Arch::X86_64), (Preset::Linux, Arch::Aarch64)]
    {
        let mut document = VmConfig::new("drives", preset, arch);
        document.drives.drives = vec![
            drive("vb", Disk, Bus::VirtioBlk, None),
            drive("vs", Disk, Bus::VirtioScsi, None),
            drive("vsc", Cdrom, Bus::VirtioScsi, Some("a.iso")),
            drive("sa", Disk, Bus::Sata, None),
            drive("sb", Cdrom, Bus::Sata, Some("a.iso")),
            drive("sc", Cdrom, Bus::Sata, None),
            drive("us", Disk, Bus::Usb, None),
            drive("uc", Cdrom, Bus::Usb, None),
            DriveSection { read_only: true, discard: false, ..drive("ro", Disk, Bus::VirtioBlk, None) },
            DriveSection { read_only: true, ..drive("ros", Disk, Bus::Usb, None) },
        ];
        if arch == Arch::X86_64 {
            document.drives.drives.push(drive("fl", Floppy, Bus::Floppy, None));
            document
                .drives
                .drives
                .push(DriveSection { read_only: true, ..drive("flr", Floppy, Bus::Floppy, Some("a.img")) });
        }
        if preset == Preset::Old {
            for (id, kind) in [("ia", Disk), ("ib", Cdrom), ("ic", Disk), ("id", Disk)] {
                document.drives.drives.push(drive(id, kind, Bus::Ide, None));
            }
        }
        for (order, drive) in (0..).zip(&mut document.drives.drives) {
            drive.boot = Some(order);
        }
        try_out(&document);
        document.drives.drives = vec![
            drive("nv", Disk, Bus::Nvme, None),
            DriveSection { read_only: true, ..drive("nvr", Disk, Bus::Nvme, None) },
        ];
        try_out(&document);
    }
}

#[test]
fn every_other_device() {
    let port = free_port();
    for arch in Arch::ALL {
        let pc = arch == Arch::X86_64;
        let mut document = VmConfig::new("devices", Preset::Linux, arch);
        document.system.uuid = Some("6ba7b810-9dad-11d1-80b4-00c04fd430c8".into());
        document.cpu.topology = Some(Topology { sockets: 1, cores: 2, threads: 1 });
        document.memory.shared = true;
        // Every page of shared memory is read when its state is saved.
        document.memory.mib = 256;
        document.displays.heads = 3;
        document.displays.vnc = Some(Vnc { port: free_port(), ..Vnc::default() });
        let card = document.network.cards[0].clone();
        document.network.cards =
            [NicDevice::Virtio, NicDevice::E1000e, NicDevice::E1000, NicDevice::Rtl8139, NicDevice::Pcnet]
                .into_iter()
                .enumerate()
                .map(|(i, device)| sampan_config::Card {
                    id: format!("net{i}"),
                    device,
                    mac: Some(MacAddress::of([0, 0, i as u8])),
                    ipv6: i % 2 == 0,
                    isolated: i % 2 == 1,
                    ..card.clone()
                })
                .collect();
        document.network.cards[0].forwards = vec![Forward::tcp(port, 22)];
        document.input.touch = true;
        document.input.keyboard = Keyboard::Virtio;
        document.input.pointer = Pointer::VirtioTablet;
        document.serial.console = Channel::Virtio;
        document.serial.ports = vec![SerialPort { id: "more".into(), device: Channel::Virtio }];
        document.shares.shares = vec![
            ShareSection { tag: "one".into(), read_only: true, security: ShareSecurity::None },
            ShareSection { tag: "two".into(), read_only: false, security: ShareSecurity::MappedXattr },
        ];
        for (sound, microphone) in [
            (SoundDevice::Hda, true),
            (SoundDevice::Ac97, false),
            (SoundDevice::Virtio, true),
            (SoundDevice::Virtio, false),
        ] {
            document.sound = sampan_config::Sound { device: sound, microphone, ..Default::default() };
            try_out(&document);
        }
        document.sound = Default::default();
        document.input.keyboard = Keyboard::Usb;
        document.input.pointer = Pointer::UsbMouse;
        document.displays.device = DisplayKind::Std;
        document.displays.heads = 1;
        for controller in [UsbController::Ehci, UsbController::Uhci] {
            document.usb.controller = controller;
            if pc || controller != UsbController::Uhci {
                try_out(&document);
            }
        }
        document.usb.controller = UsbController::None;
        document.input.keyboard = if pc { Keyboard::Ps2 } else { Keyboard::Virtio };
        document.input.pointer = if pc { Pointer::Ps2 } else { Pointer::VirtioTablet };
        document.serial.console = Channel::None;
        if pc {
            document.serial.agent = Channel::Uart;
            document.serial.ports[0].device = Channel::Uart;
            document.firmware.kind = FirmwareKind::Bios;
            document.cpu.features = vec!["la57=off".into(), "vmx=off".into()];
        }
        try_out(&document);
    }
}

#[test]
fn a_forward_is_added_and_removed_while_it_runs() {
    let port = free_port();
    let folder = TempDir::new().unwrap();
    let document = VmConfig::new("forwards", Preset::Linux, Arch::X86_64);
    let machine = document.machine(&place(folder.path(), &document, DiskFormat::Qcow2)).unwrap();
    let (mut vm, _sockets) = run(&machine);
    let forward = Forward::tcp(port, 22);
    let mut say = |line: &str| {
        let command = sampan_config::human_monitor_command(line).to_string();
        value(&mut vm, &command).as_str().unwrap().trim().to_owned()
    };
    for line in forward.add_lines("net0") {
        assert_eq!(say(&line), "");
    }
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err(), "QEMU listens there");
    for line in forward.remove_lines("net0") {
        assert!(say(&line).ends_with("removed"));
    }
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    assert_eq!(vm.quit(), Exit::Clean);
}

#[test]
fn a_vnc_password_is_set_on_a_running_machine() {
    let folder = TempDir::new().unwrap();
    let mut document = VmConfig::new("vnc", Preset::Linux, Arch::X86_64);
    document.displays.vnc = Some(Vnc { port: free_port(), ..Vnc::default() });
    let machine = document.machine(&place(folder.path(), &document, DiskFormat::Qcow2)).unwrap();
    let (mut vm, _sockets) = run(&machine);
    value(&mut vm, &sampan_config::VncPassword::new("a\"b\\c,d").unwrap().command().to_string());
    let vnc = value(&mut vm, r#"{"execute":"query-vnc"}"#);
    assert_eq!((vnc["auth"].as_str(), vnc["host"].as_str()), (Some("vnc"), Some("127.0.0.1")), "{vnc}");
    assert_eq!(vm.quit(), Exit::Clean);
}

#[test]
fn a_throw_away_run_and_one_that_waits_for_its_state() {
    for arch in Arch::ALL {
        let folder = TempDir::new().unwrap();
        let document = VmConfig::new("once", Preset::Linux, arch);
        let mut place = place(folder.path(), &document, DiskFormat::Raw);
        place.throw_away = true;
        let before = std::fs::metadata(&place.drives["disk0"].file).unwrap().modified().unwrap();
        let machine = document.machine(&place).unwrap();
        let (mut vm, _sockets) = run(&machine);
        let write = sampan_config::human_monitor_command("qemu-io disk0 \"write -P 7 0 64k\"").to_string();
        value(&mut vm, &write);
        let mut log = vm.running.log.try_clone().unwrap();
        assert_eq!(vm.quit(), Exit::Clean);
        let mut words = String::new();
        log.read_to_string(&mut words).unwrap();
        assert!(words.contains("wrote 65536/65536"), "{words}");
        let after = std::fs::read(&place.drives["disk0"].file).unwrap();
        assert!(after.iter().all(|&byte| byte == 0), "nothing was kept");
        assert_eq!(std::fs::metadata(&place.drives["disk0"].file).unwrap().modified().unwrap(), before);

        place.throw_away = false;
        place.incoming = true;
        let (mut vm, _sockets) = run(&document.machine(&place).unwrap());
        assert_eq!(value(&mut vm, r#"{"execute":"query-status"}"#)["status"], "inmigrate");
        assert_eq!(vm.quit(), Exit::Clean);
    }
}

/// A disk that writes one letter to the serial port.
fn boot_disk(name: &Path, letter: u8, size: u64) {
    let mut sector = vec![
        0xba, 0xf8, 0x03, // mov dx, 3f8h
        0xb0, letter, // mov al, letter
        0xee,   // out dx, al
        0xf4,   // hlt
        0xeb, 0xfd, // jmp to the hlt
    ];
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    std::fs::write(name, sector).unwrap();
    std::fs::OpenOptions::new().write(true).open(name).unwrap().set_len(size).unwrap();
}

/// Lets it run until `wanted` appears on its serial port.
fn runs_until(machine: &Machine, wanted: &str) -> String {
    let (mut vm, _sockets) = run(machine);
    let mut serial = vm.running.serial.try_clone().unwrap();
    serial.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    value(&mut vm, r#"{"execute":"cont"}"#);
    let (mut text, mut bytes) = (String::new(), [0; 256]);
    while !text.contains(wanted) {
        let read = serial.read(&mut bytes).unwrap_or_else(|e| panic!("{e} after {text:?}"));
        assert_ne!(read, 0, "QEMU ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    assert_eq!(vm.quit(), Exit::Clean);
    text
}

#[test]
fn a_pc_boots_from_every_bus_in_the_order_it_is_told() {
    let q35 = [Bus::VirtioBlk, Bus::VirtioScsi, Bus::Nvme, Bus::Sata, Bus::Usb, Bus::Floppy];
    let pc = [Bus::Ide, Bus::Sata, Bus::Floppy, Bus::VirtioBlk];
    let machines = q35.map(|bus| (Preset::Linux, bus)).into_iter().chain(pc.map(|bus| (Preset::Old, bus)));
    for (preset, bus) in machines {
        println!("{preset:?} {bus:?}");
        let folder = TempDir::new().unwrap();
        let mut document = VmConfig::new("boot", preset, Arch::X86_64);
        document.firmware.kind = FirmwareKind::Bios;
        document.memory.mib = 128;
        document.usb.controller = UsbController::Xhci;
        let kind = if bus == Bus::Floppy { DriveKind::Floppy } else { DriveKind::Disk };
        let media = (kind == DriveKind::Floppy).then_some("a.img");
        document.drives.drives = vec![
            DriveSection { boot: Some(1), ..drive("other", DriveKind::Disk, Bus::VirtioScsi, None) },
            DriveSection { boot: Some(0), ..drive("first", kind, bus, media) },
        ];
        let mut place = HostPaths::default();
        for (id, letter, size) in
            [("other", b'X', 1 << 20), ("first", b'K', if media.is_some() { 1440 << 10 } else { 1 << 20 })]
        {
            let file = folder.path().join(id);
            boot_disk(&file, letter, size);
            place.drives.insert(id.into(), Disk { file, format: DiskFormat::Raw, base: None });
        }
        let said = runs_until(&document.machine(&place).unwrap(), "K");
        assert!(!said.contains('X'), "{said:?}");
    }
}

/// A kernel of 32 bits, with the processor and the devices that systems of its time get.
#[test]
fn an_old_system_of_32_bits_runs() {
    let guest = tiny_guest_named("i586");
    let mut document = VmConfig::new("old", Preset::Old, Arch::X86_64);
    document.drives.drives.clear();
    document.firmware.kernel = Some(DirectKernel {
        kernel: "kernel".into(),
        initrd: Some("initrd".into()),
        append: Some("console=ttyS0 quiet no_timer_check".into()),
    });
    let place = HostPaths {
        kernel: Some(guest.join("kernel")),
        initrd: Some(guest.join("initrd")),
        ..HostPaths::default()
    };
    let machine = document.machine(&place).unwrap();
    assert_eq!(machine.cpu.as_deref(), Some("pentium3"), "no 64 bits are there to be used");
    runs_until(&machine, "sampan-guest ready");
}

#[test]
fn uefi_runs_from_its_named_parts() {
    for (arch, format, throw_away) in [
        (Arch::X86_64, DiskFormat::Qcow2, false),
        (Arch::X86_64, DiskFormat::Raw, true),
        (Arch::Aarch64, DiskFormat::Qcow2, false),
    ] {
        let folder = TempDir::new().unwrap();
        let document = VmConfig::new("uefi", Preset::Linux, arch);
        let mut place = place(folder.path(), &document, format);
        place.throw_away = throw_away;
        let vars = place.uefi_vars.clone().unwrap().file;
        let before = std::fs::read(&vars).unwrap();
        runs_until(&document.machine(&place).unwrap(), "BdsDxe");
        // By then it has written its boot options.
        assert_eq!(std::fs::read(&vars).unwrap() == before, throw_away, "{arch} {format:?}");
    }
}

/// Waits for a migration to end well.
fn migrated(vm: &mut Vm) {
    loop {
        let now = value(vm, r#"{"execute":"query-migrate"}"#);
        match now["status"].as_str() {
            Some("completed") => return,
            Some("failed") => panic!("{now}"),
            _ => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    }
}

/// What [`BlockedWhen::Inside`] promises: raw images do not keep a state out of a file of its own.
#[test]
fn a_state_in_a_file_of_its_own_comes_back_also_with_raw_disks() {
    for (preset, arch) in [
        (Preset::Linux, Arch::X86_64),
        (Preset::Windows10, Arch::X86_64),
        (Preset::Old, Arch::X86_64),
        (Preset::Android, Arch::Aarch64),
    ] {
        println!("{preset:?} {arch}");
        let folder = TempDir::new().unwrap();
        let mut document = VmConfig::new("state", preset, arch);
        document.memory.mib = 256;
        let mut place = place(folder.path(), &document, DiskFormat::Raw);
        let (mut vm, _sockets) = run(&document.machine(&place).unwrap());
        let file = format!("file:{}", folder.path().join("state").display());
        value(&mut vm, &format!(r#"{{"execute":"migrate","arguments":{{"uri":"{file}"}}}}"#));
        migrated(&mut vm);
        assert_eq!(vm.quit(), Exit::Clean);
        place.incoming = true;
        let (mut vm, _sockets) = run(&document.machine(&place).unwrap());
        value(&mut vm, &format!(r#"{{"execute":"migrate-incoming","arguments":{{"uri":"{file}"}}}}"#));
        migrated(&mut vm);
        assert_eq!(vm.quit(), Exit::Clean);
    }
}
