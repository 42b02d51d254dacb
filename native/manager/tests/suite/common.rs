//! A library of real machines, with libqemu.

use sampan_config::{Arch, FirmwareKind, Preset};
use sampan_control::Reporter;
use sampan_emulator::LibqemuDir;
use sampan_library::{Library, SourceFormat, VmId};
use sampan_manager::create::{NewDisk, Source};
use sampan_manager::edit::Change;
use sampan_manager::{Confirmed, Manager, NewMachine, Placement};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

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

/// The tiny guest's port: commands out, answers in. QEMU connects to it anew at each start.
pub struct Port {
    listener: tokio::net::TcpListener,
    stream: Option<tokio::io::BufReader<tokio::net::TcpStream>>,
}

impl Port {
    /// A port that `argument` leads to.
    pub async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        Self { listener, stream: None }
    }

    fn arguments(&self) -> Vec<String> {
        let port = self.listener.local_addr().expect("an address").port();
        vec![
            "-chardev".into(),
            format!("socket,id=guest,host=127.0.0.1,port={port}"),
            "-device".into(),
            "virtserialport,chardev=guest,name=sampan.guest".into(),
        ]
    }

    /// Waits for the guest of the machine that has just been started.
    pub async fn connected(&mut self) {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.expect("connects in time").expect("is accepted");
        self.stream = Some(tokio::io::BufReader::new(stream));
    }

    /// Waits until the guest of a machine that boots is there.
    pub async fn booted(&mut self) {
        self.connected().await;
        self.wait_for("\"hello\"").await;
    }

    pub async fn say(&mut self, command: &str) {
        let stream = self.stream.as_mut().expect("is connected");
        stream.write_all(format!("{command}\n").as_bytes()).await.expect("the guest's port is open");
    }

    /// Waits for a line that contains `text`.
    pub async fn wait_for(&mut self, text: &str) -> String {
        let stream = self.stream.as_mut().expect("is connected");
        let found = async {
            loop {
                let mut line = String::new();
                let read = stream.read_line(&mut line).await.expect("the guest's port is open");
                assert!(read > 0, "QEMU has closed the guest's port");
                // Shown when the test fails.
                print!("guest: {line}");
                if line.contains(text) {
                    return line;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("the guest never said {text}"))
    }
}

/// A machine that boots the tiny guest, which has this port.
pub async fn tiny_machine(manager: &Manager, name: &str, port: &Port, more: &[(&str, &str)]) -> VmId {
    let guest = std::env::var_os("SAMPAN_GUEST_DIR")
        .map(PathBuf::from)
        .or_else(|| Some(sampan_emulator::cache_dir()?.join("guest/current")))
        .expect("the tiny guest is built: scripts/guest/build")
        .join("x86_64");
    for medium in ["kernel", "initrd"] {
        let name = Some(medium.to_owned());
        manager
            .add_medium(guest.join(medium), name, &Confirmed::Everything, &Reporter::new())
            .await
            .expect("is brought in");
    }
    let new = NewMachine {
        preset: Some(Preset::Linux),
        firmware: Some(FirmwareKind::Bios),
        memory_mib: Some(192),
        ..smallest(name, NewDisk::None)
    };
    let id = made(manager, new).await;
    let kernel = serde_json::json!({ "kernel": "kernel", "initrd": "initrd", "append": "console=ttyS0 quiet no_timer_check" });
    let own = [
        ("firmware.kernel", kernel.to_string()),
        ("extra.arguments", serde_json::json!(port.arguments()).to_string()),
    ];
    let more = more.iter().map(|(field, value)| (*field, (*value).to_owned()));
    let changes = own.into_iter().chain(more).map(|(field, value)| Change { field: field.into(), value });
    manager.change(id, changes.collect()).await.expect("is changed");
    id
}
