//! A machine of the library whose program tells whether its memory and its disk belong together.

use super::{PATIENCE, libqemu};
use sampan_config::{Arch, FirmwareKind, Preset, VmConfig};
use sampan_emulator::{Launcher, probe};
use sampan_library::fs::Fs;
use sampan_library::{Library, Locked, NewSnapshot, SourceFormat};
use sampan_session::images::QemuBlockLayer;
use sampan_session::vm::{Cd, FirstDisk, FirstStart, Host, Recipe, RunOptions, Vm, VmError};
use sampan_session::{LogCrate, LogSink, Session};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Its name in the library.
pub const NAME: &str = "counter";

/// Counts in the second sector of its disk and in its memory. Eighteen times a second it reads the sector, compares, adds
/// one in both places, and says so on its serial port: `K` and eight digits from `A`, or `B` where they differ, for ever.
const PROGRAM: &[u8] = &[
    0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, // xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax
    0xbc, 0x00, 0x7c, // mov sp, 7c00h
    0x89, 0xd5, // mov bp, dx: the drive that it was booted from
    0xb8, 0x01, 0x02, // mov ax, 0201h: read one sector
    0xe8, 0x54, 0x00, // call disk
    0x66, 0x8b, 0x1e, 0x00, 0x80, // mov ebx, [8000h]
    0x66, 0x89, 0x1e, 0x00, 0x70, // mov [7000h], ebx
    0xfb, // sti
    // again:
    0xb8, 0x01, 0x02, // mov ax, 0201h
    0xe8, 0x43, 0x00, // call disk
    0x66, 0x8b, 0x1e, 0x00, 0x70, // mov ebx, [7000h]
    0xb1, b'B', // mov cl, 'B'
    0x66, 0x3b, 0x1e, 0x00, 0x80, // cmp ebx, [8000h]
    0x75, 0x14, // jne tell
    0x66, 0x43, // inc ebx
    0x66, 0x89, 0x1e, 0x00, 0x80, // mov [8000h], ebx
    0x66, 0x89, 0x1e, 0x00, 0x70, // mov [7000h], ebx
    0xb8, 0x01, 0x03, // mov ax, 0301h: write one sector
    0xe8, 0x23, 0x00, // call disk
    0xb1, b'K', // mov cl, 'K'
    // tell:
    0xba, 0xf8, 0x03, // mov dx, 3f8h
    0x88, 0xc8, 0xee, // mov al, cl; out dx, al
    0x66, 0x8b, 0x1e, 0x00, 0x70, // mov ebx, [7000h]
    0xb9, 0x08, 0x00, // mov cx, 8
    0x66, 0xc1, 0xc3, 0x04, // rol ebx, 4
    0x88, 0xd8, 0x24, 0x0f, 0x04, b'A', 0xee, // mov al, bl; and al, 15; add al, 'A'; out dx, al
    0xe2, 0xf3, // loop to the rol
    0xb0, b'\n', 0xee, // mov al, 10; out dx, al
    0xf4, // hlt: until the clock's next tick
    0xeb, 0xb7, // jmp again
    // disk:
    0xbb, 0x00, 0x80, // mov bx, 8000h
    0xb9, 0x02, 0x00, // mov cx, 2: the second sector
    0x89, 0xea, 0xb6, 0x00, // mov dx, bp; mov dh, 0
    0xcd, 0x13, // int 13h
    0x72, 0x01, 0xc3, // jc bad; ret
    // bad:
    0xba, 0xf8, 0x03, 0xb0, b'E', 0xee, // mov dx, 3f8h; mov al, 'E'; out dx, al
    0xb0, b'\n', 0xee, // mov al, 10; out dx, al
    0xf4, 0xeb, 0xf4, // hlt; jmp bad
];

/// Makes the machine, and gives its lock back at once.
pub async fn create(home: &Path, images: &QemuBlockLayer) {
    let mut disk = PROGRAM.to_vec();
    disk.resize(510, 0);
    disk.extend([0x55, 0xaa]);
    disk.resize(1 << 20, 0);
    let file = home.with_extension("img");
    std::fs::write(&file, disk).expect("a disk");
    let recipe = Recipe {
        name: NAME.into(),
        preset: Preset::Other,
        arch: Arch::X86_64,
        base: None,
        memory_mib: Some(32),
        cpus: Some(1),
        firmware: Some(FirmwareKind::Bios),
        disk: FirstDisk::Image { file: file.clone(), format: Some(SourceFormat::Raw), size: None },
        cd: Cd::None,
        first_start: FirstStart::None,
    };
    let (library, layer) = (Library::open(home).expect("a library"), images.clone());
    blocking(move || {
        let firmware = libqemu().firmware().expect("firmware");
        let locked = recipe.create(&library, &layer, &firmware, 1, &mut |_| ControlFlow::Continue(()));
        let mut locked = locked.expect("is made");
        let mut document = VmConfig::from_files(&locked.document().expect("a document")).expect("is one");
        // Every write is flushed: a killed QEMU takes with it what it has not written of an image's tables.
        document.extra.arguments = ["-global", "ide-hd.write-cache=off"].map(String::from).into();
        locked.set_document(&document.to_files()).expect("is set");
    })
    .await;
    std::fs::remove_file(file).expect("is there");
}

/// Where the library runs machines.
pub struct Place {
    pub library: Library,
    pub images: QemuBlockLayer,
    pub launcher: Arc<dyn Launcher>,
    pub log: Arc<dyn LogSink>,
}

impl Place {
    pub fn new(home: &Path, fs: Fs, images: &QemuBlockLayer, launcher: Arc<dyn Launcher>) -> Self {
        Place {
            library: Library::with_fs(home, fs).expect("a library"),
            images: images.clone(),
            launcher,
            log: Arc::new(LogCrate::new(NAME)),
        }
    }

    /// The machine's lock. Its last holder may have been killed a moment ago and its QEMU not know yet.
    pub async fn lock(&self) -> Locked {
        let begun = Instant::now();
        loop {
            let library = self.library.clone();
            let locked = blocking(move || library.lock(library.find(NAME).expect("is there"))).await;
            match locked {
                Ok(locked) => return locked,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn start(&self, options: RunOptions) -> Result<Vm, VmError> {
        let choice = probe(Some(&libqemu())).choose(Arch::X86_64).expect("guests can be run");
        let host = Host {
            library: self.library.clone(),
            libqemu: libqemu(),
            launcher: Arc::clone(&self.launcher),
            choice,
            images: self.images.clone(),
            log: Arc::clone(&self.log),
        };
        Vm::start(host, self.lock().await, options).await
    }
}

pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("a thread")
}

pub fn named(name: &str) -> NewSnapshot {
    NewSnapshot {
        name: name.into(),
        time: 1,
        thumbnail: Some(b"\x89PNG\r\n\x1a\n".to_vec()),
        ..NewSnapshot::default()
    }
}

/// All that the machine has said so far that is whole.
pub fn counts(session: &Session) -> Vec<u32> {
    let said = session.serial().tail();
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    // A machine that was saved in the midst of a line goes on with the rest of it; where memory and disk differ, every later
    // line says so, too.
    let is_rest = |line: &str| {
        line.trim_end().bytes().all(|digit| (b'A'..=b'P').contains(&digit)) && line.trim_end().len() <= 8
    };
    let mut lines = whole.lines().peekable();
    let _ = lines.next_if(|line| is_rest(line));
    lines.map(count).collect()
}

fn count(line: &str) -> u32 {
    // The firmware leaves the port alone, so nothing else is said there.
    let digits = line
        .trim_end()
        .strip_prefix('K')
        .unwrap_or_else(|| panic!("memory and disk differ, or the disk fails: {line:?}"));
    digits.bytes().fold(0, |sum, digit| sum << 4 | u32::from(digit.wrapping_sub(b'A') & 15))
}

/// Waits until it has counted so many more times, and says how far it is.
pub async fn counting(session: &Session, more: usize) -> u32 {
    let (begun, had) = (Instant::now(), counts(session).len());
    loop {
        let now = counts(session);
        if now.len() >= had + more {
            return *now.last().expect("there is one");
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "it does not count: {now:?}; {:?}",
            session.status().borrow().clone()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
