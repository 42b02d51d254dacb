//! Real machines for the tests: libqemu with a boot sector or the tiny guest.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod counter;
pub mod logs;
pub mod meddler;

use sampan_config::{Arch, Disk, DiskFormat, DisplayKind, Firmware, Kernel, Machine};
use sampan_emulator::{Child, InProcess, LaunchSpec, Launcher, LibqemuDir, probe};
use sampan_frame::Size;
use sampan_session::{Command, Reply, Screenshot, Session, State, Status};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Each machine has a disk of its own: QEMU locks them.
static DISKS: AtomicUsize = AtomicUsize::new(0);

/// How long anything may take before a test is given up: far more than it takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(150);

pub fn libqemu() -> LibqemuDir {
    LibqemuDir::find().expect("libqemu is built: scripts/qemu/build")
}

pub fn in_process() -> Arc<dyn Launcher> {
    Arc::new(InProcess::new(libqemu()))
}

pub fn child() -> Arc<dyn Launcher> {
    Arc::new(Child::new(libqemu()).expect("sampan-vmhost is built: cargo build --bins"))
}

/// The arguments for a machine, with the accelerator that this host has.
pub fn spec(machine: &Machine) -> LaunchSpec {
    let choice = probe(Some(&libqemu())).choose(machine.arch).expect("guests can be run");
    let mut spec = LaunchSpec::new(machine.name.clone(), machine.arch);
    spec.engine = choice.engine;
    spec.args(machine.argv(&[choice.accelerator]).expect("a good machine"));
    spec
}

/// What QEMU shows of that mode: each pixel twice in both directions.
pub const COLOUR_SIZE: Size = Size { width: 640, height: 400 };

/// A disk whose boot sector fills a 320 × 200 picture with one colour of VGA's palette, and halts.
pub fn colour_disk(folder: &Path, colour: u8) -> PathBuf {
    let paints = [
        0xb8, 0x13, 0x00, // mov ax, 13h: 320 × 200, 256 colours
        0xcd, 0x10, // int 10h
        0xb8, 0x00, 0xa0, // mov ax, a000h
        0x8e, 0xc0, // mov es, ax
        0x31, 0xff, // xor di, di
        0xb0, colour, // mov al, colour
        0xb9, 0x00, 0xfa, // mov cx, 64000
        0xf3, 0xaa, // rep stosb
        0xf4, // hlt
        0xeb, 0xfd, // jmp to the hlt
    ];
    boot_disk(folder, &paints)
}

/// A disk whose boot sector is that program.
pub fn boot_disk(folder: &Path, program: &[u8]) -> PathBuf {
    let mut sector = program.to_vec();
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector.resize(1 << 20, 0);
    let path = folder.join(format!("{}.img", DISKS.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&path, sector).expect("a disk");
    path
}

/// The colour that a number of VGA's palette is on the screen.
pub fn palette(colour: u8) -> [u8; 3] {
    // VGA's 6 bits 101010 as QEMU widens them (`c6_to_8` in hw/display/vga_int.h).
    let part = |bit: u8| if colour & bit != 0 { 0xa8 } else { 0 };
    [part(4), part(2), part(1)]
}

/// A PC that boots such a disk.
pub fn colour_machine(folder: &Path, colour: u8) -> Machine {
    boots(&format!("colour {colour}"), colour_disk(folder, colour))
}

/// A PC that boots a disk.
pub fn boots(name: &str, disk: PathBuf) -> Machine {
    let mut machine = Machine::new(name, Arch::X86_64);
    machine.memory_mib = 64;
    machine.cpus = 1;
    machine.firmware = Some(Firmware::Bios);
    machine.display = DisplayKind::Std;
    machine.disks = vec![Disk { file: disk, format: DiskFormat::Raw, base: None }];
    machine
}

/// The tiny guest's machine and our end of its port.
pub fn tiny_guest(arch: Arch) -> (LaunchSpec, Port) {
    of_machine(&tiny_machine(arch))
}

/// The tiny guest as a machine.
pub fn tiny_machine(arch: Arch) -> Machine {
    let folder = guest_folder().join(arch.qemu_name());
    // A busy machine's emulated timer may fail the check of the kernel's.
    let words =
        if arch == Arch::X86_64 { "console=ttyS0 quiet no_timer_check" } else { "console=ttyAMA0 quiet" };
    let mut machine = Machine::new("tiny", arch);
    machine.memory_mib = 256;
    machine.kernel = Some(Kernel {
        kernel: folder.join("kernel"),
        initrd: Some(folder.join("initrd")),
        append: Some(words.into()),
    });
    machine.extra =
        ["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=guest,name=sampan.guest"]
            .map(String::from)
            .into();
    machine
}

/// A machine with the tiny guest's port, and our end of that.
pub fn of_machine(machine: &Machine) -> (LaunchSpec, Port) {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let mut spec = spec(machine);
    spec.extra_fds.push(("guest".into(), theirs.into()));
    (spec, Port::new(ours))
}

fn guest_folder() -> PathBuf {
    if let Some(named) = std::env::var_os("SAMPAN_GUEST_DIR") {
        return named.into();
    }
    sampan_emulator::cache_dir().expect("a cache folder").join("guest/current")
}

/// The guest's port: commands out, answers and news in.
pub struct Port {
    write: UnixStream,
    lines: tokio::sync::mpsc::UnboundedReceiver<String>,
}

impl Port {
    fn new(stream: UnixStream) -> Port {
        let (sender, lines) = tokio::sync::mpsc::unbounded_channel();
        let reader = BufReader::new(stream.try_clone().expect("clones"));
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                // Shown when the test fails.
                println!("guest: {line}");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Port { write: stream, lines }
    }

    pub fn say(&mut self, command: &str) {
        writeln!(self.write, "{command}").expect("the guest's port is open");
    }

    /// Waits for a line that contains `text`.
    pub async fn wait_for(&mut self, text: &str) -> String {
        self.within(PATIENCE, text).await.unwrap_or_else(|| panic!("the guest never said {text}"))
    }

    /// The same, for a time.
    pub async fn within(&mut self, time: Duration, text: &str) -> Option<String> {
        let found = async {
            loop {
                let line = self.lines.recv().await.expect("the guest's port is open");
                if line.contains(text) {
                    return line;
                }
            }
        };
        tokio::time::timeout(time, found).await.ok()
    }
}

pub async fn screenshot(session: &Session) -> Option<Screenshot> {
    screenshot_of(session, 0).await
}

pub async fn screenshot_of(session: &Session, display: usize) -> Option<Screenshot> {
    match session.execute(Command::Screenshot(display)).await {
        Ok(Reply::Screenshot(shot)) => Some(shot),
        _ => None,
    }
}

/// Waits for a picture that `good` likes.
pub async fn picture(session: &Session, what: &str, good: impl Fn(&Screenshot) -> bool) -> Screenshot {
    let begun = Instant::now();
    loop {
        let shot = screenshot(session).await;
        if let Some(shot) = shot.filter(&good) {
            return shot;
        }
        assert!(begun.elapsed() < PATIENCE, "{}: never showed {what}", session.name());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Waits for the colour of a colour machine, and looks at all its corners.
pub async fn colour_picture(session: &Session, colour: u8) {
    let wanted = palette(colour);
    let middle = |shot: &Screenshot| pixel(shot, shot.size.width / 2, shot.size.height / 2);
    let shot = picture(session, &format!("colour {colour}"), |shot| {
        shot.size == COLOUR_SIZE && middle(shot) == wanted && pixel(shot, 639, 399) == wanted
    })
    .await;
    for (x, y) in [(0, 0), (639, 0), (0, 399)] {
        assert_eq!(pixel(&shot, x, y), wanted, "colour {colour} at {x}, {y}");
    }
}

pub fn pixel(shot: &Screenshot, x: u32, y: u32) -> [u8; 3] {
    let at = (y as usize * shot.size.width as usize + x as usize) * 3;
    shot.rgb[at..at + 3].try_into().expect("three bytes")
}

pub async fn state(session: &Session, wanted: State) {
    until(session, &wanted.to_string(), |status| status.state == wanted).await;
}

/// Waits for a condition. What `wait_for` gives back holds a lock that the session's tasks need: it ends here.
pub async fn until(session: &Session, what: &str, good: impl FnMut(&Status) -> bool) {
    let mut status = session.status();
    let reached = tokio::time::timeout(PATIENCE, status.wait_for(good)).await.is_ok();
    let now = session.status().borrow().clone();
    assert!(reached, "{}: {what} never came, but {now:?}", session.name());
}
