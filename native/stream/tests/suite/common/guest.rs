//! A guest that paints what it is told to and remembers what was done to it.

use sampan_frame::{PixelFormat, Rect, Screen, Size};
use sampan_guest::{Guest, GuestState, GuestStatus};
use sampan_input::Event;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

pub struct TestGuest {
    pub screen: Arc<Screen>,
    pub status: watch::Sender<GuestStatus>,
    pub events: Mutex<Vec<Event>>,
    pub resized: Mutex<Vec<(Size, (u16, u16))>>,
}

impl TestGuest {
    pub fn new(width: u32, height: u32) -> Arc<Self> {
        let screen = Screen::new();
        screen.set_blank(Size { width, height });
        let running = GuestStatus { state: GuestState::Running, detail: String::new(), absolute: true };
        Arc::new(Self {
            screen,
            status: watch::Sender::new(running),
            events: Mutex::default(),
            resized: Mutex::default(),
        })
    }

    /// Draws `counter` as 32 black and white blocks, and nothing else.
    pub fn paint(&self, counter: u32) {
        let width = 32 * 16;
        let mut bytes = vec![0xff; width * 16 * 4];
        for (i, pixel) in bytes.chunks_exact_mut(4).enumerate() {
            let bit = counter >> (31 - i % width / 16) & 1;
            pixel[..3].fill(if bit == 1 { 0xff } else { 0 });
        }
        let rect = Rect { x: 0, y: 0, width: width as u32, height: 16 };
        self.screen.write(rect, width as u32 * 4, PixelFormat::Bgrx8888, &bytes).expect("paints");
    }

    /// Fills the screen below the counter with a pattern that is hard to compress.
    pub fn noise(&self, seed: u32) {
        let size = self.screen.size().expect("a screen");
        let rect = Rect { x: 0, y: 16, width: size.width, height: size.height - 16 };
        let bytes: Vec<u8> = (0..rect.area() as u32 * 4)
            .map(|i| (((i / 16) ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        self.screen.write(rect, rect.width * 4, PixelFormat::Bgrx8888, &bytes).expect("paints");
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().expect("not poisoned").clone()
    }
}

impl Guest for TestGuest {
    fn name(&self) -> String {
        "test".into()
    }

    fn screen(&self) -> Arc<Screen> {
        self.screen.clone()
    }

    fn input(&self, event: Event) {
        self.events.lock().expect("not poisoned").push(event);
    }

    fn resize(&self, size: Size, mm: (u16, u16)) {
        self.resized.lock().expect("not poisoned").push((size, mm));
    }

    fn status(&self) -> watch::Receiver<GuestStatus> {
        self.status.subscribe()
    }
}

/// Paints rising counters at a rate until dropped.
pub struct Painter {
    pub counter: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
}

impl Painter {
    pub fn start(guest: Arc<TestGuest>, fps: u32) -> Self {
        let (counter, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (counter.clone(), stop.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                guest.paint(count.fetch_add(1, Ordering::Relaxed) + 1);
                std::thread::sleep(Duration::from_secs(1) / fps);
            }
        });
        Self { counter, stop }
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
