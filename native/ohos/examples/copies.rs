//! What drawing on a surface copies and costs: `copies FRAMES` prints one line of JSON for each workload; `tests/bench/surface` makes a
//! table of them.
//!
//! A workload names rectangles that change. The drawing thread's processor time for them stands beside that of `memcpy` of the same
//! rows, by turns in the same run, and the bytes copied beside those that changed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement fails by panicking")]

use nix::sys::memfd::{MFdFlags, memfd_create};
use sampan_frame::{Geometry, PixelFormat, Rect, Scanout, Screen, Size};
use sampan_ohos::{Ndk, Surface};
use sampan_ohos_stand_in as stand_in;
use serde_json::json;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SIZE: Size = Size { width: 1920, height: 1080 };
const STRIDE: usize = SIZE.width as usize * 4;

/// What changes in the frame of this number.
type Workload = (&'static str, fn(u32) -> Rect);

const WORKLOADS: [Workload; 5] = [
    ("full", |_| SIZE.rect()),
    ("scroll", |_| Rect { x: 320, y: 100, width: 1280, height: 800 }),
    ("line", |i| Rect { x: 0, y: i % 60 * 18, width: 1920, height: 18 }),
    ("window", |i| Rect { x: 10 + i % 9 * 50, y: 40 + i % 7 * 60, width: 640, height: 400 }),
    ("glyph", |i| Rect { x: i % 200 * 8, y: 500, width: 8, height: 16 }),
];

/// Nanoseconds that a thread of this process has run.
fn ran(thread: &Path) -> u64 {
    let text = std::fs::read_to_string(thread.join("schedstat")).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// The drawing thread first, then the stand-in's vsync, which has inherited its name.
fn drawing_threads() -> Vec<std::path::PathBuf> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == "sampan-surface")
    };
    let mut threads: Vec<_> = threads.filter(named).collect();
    threads.sort_by_key(|path| path.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap());
    threads
}

struct Peer {
    source: Vec<u8>,
    target: Vec<u8>,
}

impl Peer {
    fn copy(&mut self, rect: Rect) {
        let (left, length) = (rect.x as usize * 4, rect.width as usize * 4);
        for y in rect.y as usize..rect.bottom() as usize {
            let row = y * STRIDE + left;
            self.target[row..row + length].copy_from_slice(&self.source[row..row + length]);
        }
        black_box(&self.target);
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    panic!("{what} did not come");
}

fn measure((name, rect): Workload, opaque: bool, frames: u32) {
    let picture: Vec<u8> = (0..STRIDE * SIZE.height as usize).map(|i| (i * 31 / 7) as u8).collect();
    let file = File::from(memfd_create("scanout", MFdFlags::empty()).unwrap());
    file.write_all_at(&picture, 0).unwrap();
    let format = PixelFormat::Bgrx8888;
    let geometry = Geometry { size: SIZE, offset: 0, stride: STRIDE as u32, format, bottom_up: false };
    let screen = Screen::new();
    screen.set_scanout(Scanout::map(file.into(), geometry).unwrap());
    until("the end of the threads before", || drawing_threads().is_empty());
    let library = Path::new(stand_in::LIBRARY);
    let ndk = Ndk::load_from(library, library).unwrap();
    let surface = Surface::start(ndk, Arc::clone(&screen), |_| {}).unwrap();
    let on = stand_in::Surface::new();
    surface.attach(on.id(), None, opaque);
    let drawn = |frames: u64| until("a frame", || surface.drawn().frames >= frames);
    drawn(1);
    // Until every buffer is known.
    for i in 0..10 {
        screen.damage(rect(i));
        drawn(u64::from(i) + 2);
    }
    let thread = drawing_threads().first().expect("it runs").clone();
    let mut peer = Peer { source: picture.clone(), target: picture };
    (0..3).for_each(|i| peer.copy(rect(i)));
    let (mut ours, mut theirs, mut changed) = (0, 0, 0);
    let before = surface.drawn();
    for i in 0..frames {
        let begin = ran(&thread);
        screen.damage(rect(i));
        drawn(before.frames + u64::from(i) + 1);
        // Until it sleeps again, and what it has run is counted.
        std::thread::sleep(Duration::from_micros(300));
        ours += ran(&thread) - begin;
        let begin = cpu();
        peer.copy(rect(i));
        theirs += cpu() - begin;
        changed += rect(i).area() * 4;
    }
    let after = surface.drawn();
    let per_frame = |ns: u64| ns as f64 / f64::from(frames) / 1000.0;
    println!(
        "{}",
        json!({
            "workload": name,
            "alpha": if opaque { "ignored" } else { "forced" },
            "changed_bytes": changed / u64::from(frames),
            "copied_bytes": (after.bytes - before.bytes) / u64::from(frames),
            "drawing_us": per_frame(ours),
            "memcpy_us": per_frame(theirs),
        })
    );
    drop(surface);
    on.destroy();
}

/// Nanoseconds that this thread has run.
fn cpu() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    time.tv_sec().unsigned_abs() * 1_000_000_000 + time.tv_nsec().unsigned_abs()
}

fn main() {
    let frames = std::env::args().nth(1).map_or(300, |frames| frames.parse().expect("a number"));
    stand_in::set_vsync(500, stand_in::Vsync::Ticks);
    for workload in WORKLOADS {
        for opaque in [true, false] {
            measure(workload, opaque, frames);
        }
    }
    assert_eq!(stand_in::faults(), 0);
}
