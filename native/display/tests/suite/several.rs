//! Three guests at once in this process, each with a screen of its own, and three more when these have been stopped.
//!
//! Alone in its process, since it counts the process's threads and files.

use crate::common::{Qemu, Watcher, counter, eventually, start_qemu, tiny_guest};
use sampan_display::Display;
use sampan_emulator::Exit;
use sampan_frame::{Size, Staging};
use std::path::PathBuf;

/// Each guest's own, so that no picture can be another's.
const SIZES: [(u32, u32); 3] = [(640, 480), (800, 600), (1024, 768)];
const ROUNDS: usize = 2;

/// What a VM with a display leaves: see docs/emulator.md.
const THREADS_LEFT_BY_EACH: usize = 3;
const FDS_LEFT_BY_EACH: usize = 6;

/// Threads and files of this process.
fn usage() -> (usize, usize) {
    let count = |dir| std::fs::read_dir(dir).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// What they are, for whoever reads the output.
fn names() -> String {
    let list = |folder: &str, name: fn(PathBuf) -> Option<String>| {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().flatten().filter_map(|entry| name(entry.path())).collect();
        names.sort();
        names.join(" ")
    };
    let threads = list("/proc/self/task", |task| {
        std::fs::read_to_string(task.join("comm")).ok().map(|name| name.trim().to_owned())
    });
    let files =
        list("/proc/self/fd", |fd| std::fs::read_link(fd).ok().map(|link| link.display().to_string()));
    format!("threads {threads}; files {files}")
}

/// The desk below its texts is paper and nothing else.
fn is_desk(picture: &Staging) -> bool {
    (176..picture.size.height)
        .all(|y| picture.row(y).as_chunks::<4>().0.iter().all(|p| p[..3] == [0x30, 0x24, 0x18]))
}

struct Vm {
    qemu: Qemu,
    display: Display,
    watcher: Watcher,
    size: Size,
    last: u32,
}

impl Vm {
    async fn start((width, height): (u32, u32)) -> Self {
        let file = |name| tiny_guest("x86_64").join(name).display().to_string();
        let mut qemu = start_qemu(&[
            "-m",
            "256",
            "-device",
            &format!("virtio-vga,xres={width},yres={height}"),
            "-kernel",
            &file("kernel"),
            "-initrd",
            &file("initrd"),
            "-append",
            "console=ttyS0 quiet no_timer_check",
        ]);
        let display = qemu.display().await;
        let watcher = Watcher::new(&display.consoles()[0]);
        Self { qemu, display, watcher, size: Size::new(width, height).unwrap(), last: 0 }
    }

    /// Waits for a whole frame that is newer than the last one.
    async fn paints(&mut self) {
        let (size, last) = (self.size, &mut self.last);
        let newer = |s: &Staging| {
            let now = if s.size == size && is_desk(s) { counter(s) } else { None };
            now.filter(|now| now > last).inspect(|now| *last = *now).is_some()
        };
        self.watcher.until("the guest's next frame", newer).await;
        let scanout = self.display.consoles()[0].screen().scanout().unwrap();
        assert_eq!(scanout.owned_bytes(), 0, "the picture is shared memory");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_guests_paint_at_once_and_three_more_after_them() {
    let before = usage();
    for round in 1..=ROUNDS {
        let mut vms = Vec::new();
        for size in SIZES {
            vms.push(Vm::start(size).await);
        }
        for vm in &mut vms {
            vm.paints().await;
        }
        println!("round {round}: threads and files before {before:?}, with {} VMs {:?}", vms.len(), usage());
        // The clock of each ticks on while the others run.
        for vm in &mut vms {
            vm.paints().await;
            assert_eq!(vm.display.faults(), []);
        }
        for vm in &mut vms {
            vm.qemu.quit();
        }
        for vm in vms {
            assert_eq!(vm.qemu.wait(), Exit::Clean);
            tokio::time::timeout(crate::common::PATIENCE, vm.display.closed()).await.expect("told");
        }
    }
    // The last callback comes before its thread's end, and tasks of closed connections end by and by.
    let runs = ROUNDS * SIZES.len();
    let most = (before.0 + THREADS_LEFT_BY_EACH * runs, before.1 + FDS_LEFT_BY_EACH * runs);
    eventually("an end of threads and files", || usage().0 <= most.0 && usage().1 <= most.1).await;
    println!("after {runs} runs: {:?}, {}", usage(), names());
}
