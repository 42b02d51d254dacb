//! A flood: memory stays bounded, each kind of fault is logged once, the newest picture wins.
//!
//! Alone in its process, since it looks at the process's memory and its log.

use crate::common::double::{BGRX, LISTENER, MAP, Manners, Pixels, connected, memfd, pixel};
use sampan_display::{Budget, Display, FaultKind, Faults, GuestSize, Picture};
use sampan_frame::{Damage, Screen, Staging};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use zbus::Fd;

struct Lines(Mutex<Vec<String>>);

impl log::Log for Lines {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("sampan_display") && self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }
    fn flush(&self) {}
}

static LINES: Lines = Lines(Mutex::new(Vec::new()));

/// Bytes of this process in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// The highest `resident` while something runs, above what it was before.
struct Peak {
    before: usize,
    peak: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Peak {
    fn start() -> Self {
        let (peak, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let before = resident();
        let thread = std::thread::spawn({
            let (peak, stop) = (peak.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    peak.fetch_max(resident(), Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        });
        Self { before, peak, stop, thread }
    }

    fn growth(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.peak.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}

fn count(display: &Display, kind: FaultKind) -> u64 {
    display.faults().iter().find(|(k, _)| *k == kind).map_or(0, |(_, n)| *n)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_neither_grows_nor_blocks() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let (double, display) = connected(Manners { width: 1280, height: 720, ..Manners::default() }).await;
    let console = display.consoles()[0].clone();
    let mut consumer = console.screen().attach(Box::new(|| ()));
    let mut staging = Staging::new();

    // Whole pictures of 3.7 MB, far more than would fit, and nobody takes them.
    const PICTURE: usize = 1280 * 720 * 4;
    const ROUNDS: u32 = 200;
    let mut pixels = vec![0u8; PICTURE];
    let peak = Peak::start();
    for round in 0..ROUNDS {
        pixels[..4].copy_from_slice(&(round | 0x5500_0000).to_le_bytes());
        double.cast(LISTENER, "Update", &(0i32, 0i32, 1280i32, 720i32, 5120u32, BGRX, Pixels(&pixels))).await;
    }
    // An answer means that all before it were handled.
    double.call(LISTENER, "MouseSet", &(1i32, 1i32, 1i32)).await.unwrap();
    let growth = peak.growth();
    // The sender's message, two queued, one read, one handled, and the picture itself: not two hundred.
    assert!(growth < 8 * PICTURE, "grew by {} MB", growth >> 20);
    consumer.take(&mut staging).unwrap().expect("a picture");
    let newest = (ROUNDS - 1).to_le_bytes();
    assert_eq!(pixel(&staging, 0, 0), [newest[0], newest[1], newest[2], 0xff]);

    // Small ones without end, of every kind, good and bad.
    let file = memfd(&[1; 64 * 64 * 4]);
    let peak = Peak::start();
    for i in 0..20_000i32 {
        match i % 8 {
            0 => {
                let body = (Fd::from(&file), 0u32, 64u32, 64u32, 256u32, BGRX);
                double.cast(MAP, "ScanoutMap", &body).await;
            }
            1 => double.cast(MAP, "UpdateMap", &(i % 61, i % 59, 1 + i % 3, 1)).await,
            2 => double.cast(MAP, "UpdateMap", &(-9, i, -9, i)).await,
            3 => double.cast(LISTENER, "CursorDefine", &(4, 4, 0, i, &[i as u8; 64][..])).await,
            4 => double.cast(LISTENER, "CursorDefine", &(-4, i, 0, 0, &[0u8; 4][..])).await,
            5 => double.cast(LISTENER, "MouseSet", &(i, -i, i % 2)).await,
            6 => double.cast(LISTENER, "NoSuchCall", &(i, "words")).await,
            _ => double.cast(LISTENER, "Scanout", &(i as u32, 9u32, 3u32, BGRX, &[0u8; 8][..])).await,
        }
    }
    double.call(LISTENER, "MouseSet", &(1i32, 1i32, 1i32)).await.unwrap();
    let growth = peak.growth();
    assert!(growth < 16 << 20, "grew by {} MB", growth >> 20);
    if let Some(taken) = consumer.take(&mut staging).unwrap() {
        assert!(taken.damage.len() <= Damage::MAX_RECTS);
    }
    assert_eq!(count(&display, FaultKind::Rectangle), 2500);
    assert_eq!(count(&display, FaultKind::UnknownMember), 2500);
    assert_eq!(count(&display, FaultKind::Cursor), 2500);
    assert_eq!(
        std::fs::read_dir("/proc/self/fd").unwrap().count().min(64),
        std::fs::read_dir("/proc/self/fd").unwrap().count(),
        "files are closed"
    );

    // One line for each kind.
    let lines = LINES.0.lock().unwrap().clone();
    assert_eq!(lines.len(), display.faults().len(), "{lines:#?}");
    memory_of_all_consoles_is_limited();
}

/// Each console may be as large as a screen may be, but not all of them at once.
fn memory_of_all_consoles_is_limited() {
    let (budget, faults) = (Arc::<Budget>::default(), Faults::default());
    let mut pictures: Vec<_> =
        (0..6).map(|_| Picture::new(Screen::new(), Arc::<GuestSize>::default(), budget.clone())).collect();
    let far = || sampan_display::Call::Update {
        x: 8191,
        y: 4095,
        width: 1,
        height: 1,
        stride: 4,
        format: BGRX,
        data: &[1, 2, 3, 4],
    };
    let grow = |pictures: &mut [Picture]| {
        let refused = pictures.iter_mut().filter_map(|p| p.apply(far()).err());
        refused.inspect(|fault| assert!(faults.note(fault) || fault.kind() == FaultKind::Memory)).count()
    };
    assert_eq!(grow(&mut pictures), 2, "four of 128 MiB fit");
    pictures.remove(0);
    assert_eq!(grow(&mut pictures), 1, "what is dropped makes room");
    pictures[0].apply(sampan_display::Call::Disable).unwrap();
    assert_eq!(grow(&mut pictures[1..]), 0, "and what is disabled");
}
