//! A guest that paints what it is told to and remembers what was done to it.

use sampan_audio::{Described, Input, Output, RATE};
use sampan_frame::{PixelFormat, Rect, Screen, Size};
use sampan_guest::{
    Clipboard, ClipboardKind, ClipboardStatus, Files, Given, Guest, GuestError, GuestState, GuestStatus,
    Pending,
};
use sampan_input::Event;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::watch;

pub struct TestGuest {
    pub screen: Arc<Screen>,
    pub status: watch::Sender<GuestStatus>,
    pub events: Mutex<Vec<Event>>,
    pub resized: Mutex<Vec<(Size, (u16, u16))>>,
    pub clipboard: Arc<TestClipboard>,
    pub files: TestFiles,
    /// What it plays and records, if it has a sound card.
    pub sound: Option<(Arc<Output>, Arc<Input>)>,
    own: Weak<TestGuest>,
}

/// 16 bits, two channels, 48000 frames a second.
pub const PCM: Described = Described {
    bits: 16,
    is_signed: true,
    is_float: false,
    rate: RATE,
    channels: 2,
    bytes_per_frame: 4,
    bytes_per_second: 4 * RATE,
    is_big_endian: false,
};

/// What was put into the clipboard, and what is in it.
#[derive(Default)]
pub struct TestClipboard {
    pub status: watch::Sender<ClipboardStatus>,
    pub set: Mutex<Vec<(ClipboardKind, Vec<u8>)>>,
    pub has: Mutex<Option<Vec<u8>>>,
}

fn refused<T: Send + 'static>(code: &'static str) -> Pending<T> {
    let words = format!("{code}, in words");
    Box::pin(std::future::ready(Err(GuestError { code: code.into(), words })))
}

impl Clipboard for TestClipboard {
    fn status(&self) -> watch::Receiver<ClipboardStatus> {
        self.status.subscribe()
    }

    fn get(&self, _: ClipboardKind) -> Pending<Vec<u8>> {
        match self.has.lock().expect("not poisoned").clone() {
            Some(content) => Box::pin(std::future::ready(Ok(content))),
            None => refused("clipboard_empty"),
        }
    }

    fn set(&self, kind: ClipboardKind, content: Vec<u8>) -> Pending<()> {
        self.set.lock().expect("not poisoned").push((kind, content));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Files that it was given, and one that it has: `/etc/hostname`.
pub struct TestFiles {
    pub given: Mutex<Vec<(String, Vec<u8>)>>,
    /// Nothing goes on while this is closed.
    pub open: watch::Sender<bool>,
    /// How many were begun and not given up.
    pub moving: Arc<AtomicU32>,
    /// Bytes that there is room for.
    pub room: AtomicU64,
}

impl Default for TestFiles {
    fn default() -> Self {
        let (given, moving) = (Mutex::default(), Arc::default());
        Self { given, open: watch::Sender::new(true), moving, room: AtomicU64::new(u64::MAX) }
    }
}

/// Counts while it is there.
struct Moving(Arc<AtomicU32>);

impl Moving {
    fn new(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct FilesOf(Arc<TestGuest>);

impl Files for FilesOf {
    fn spool(&self, bytes: u64) -> Result<File, GuestError> {
        self.has_room(bytes)?;
        Ok(tempfile::tempfile().expect("a file"))
    }

    fn has_room(&self, bytes: u64) -> Result<(), GuestError> {
        if bytes > self.0.files.room.load(Ordering::Relaxed) {
            return Err(GuestError { code: "host_disk_full".into(), words: "no room".into() });
        }
        Ok(())
    }

    fn give(&self, mut file: File, size: u64, name: String, progress: watch::Sender<u64>) -> Pending<Given> {
        let guest = self.0.clone();
        Box::pin(async move {
            let _moving = Moving::new(&guest.files.moving);
            let mut open = guest.files.open.subscribe();
            let _ = open.wait_for(|open| *open).await;
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("is read");
            assert_eq!(bytes.len() as u64, size);
            progress.send_replace(size);
            if name == "locked" {
                return Err(GuestError {
                    code: "guest_locked".into(),
                    words: "its desktop is locked".into(),
                });
            }
            guest.files.given.lock().expect("not poisoned").push((name, bytes));
            Ok(Given::Downloads)
        })
    }

    fn take(&self, path: String, _: watch::Sender<u64>) -> Pending<(File, u64)> {
        if path != "/etc/hostname" {
            return refused("guest_file_failed");
        }
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"sampan\n").expect("is written");
        Box::pin(std::future::ready(Ok((file, 7))))
    }
}

impl TestGuest {
    pub fn new(width: u32, height: u32) -> Arc<Self> {
        Self::with(width, height, None)
    }

    /// One with a sound card.
    pub fn with_sound(width: u32, height: u32) -> Arc<Self> {
        Self::with(width, height, Some((Output::new(|_| {}), Input::new(|_| {}))))
    }

    fn with(width: u32, height: u32, sound: Option<(Arc<Output>, Arc<Input>)>) -> Arc<Self> {
        let screen = Screen::new();
        screen.set_blank(Size { width, height });
        let running = GuestStatus { state: GuestState::Running, detail: String::new(), absolute: true };
        Arc::new_cyclic(|own| Self {
            own: own.clone(),
            screen,
            status: watch::Sender::new(running),
            events: Mutex::default(),
            resized: Mutex::default(),
            clipboard: Arc::default(),
            files: TestFiles::default(),
            sound,
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

    fn clipboard(&self) -> Option<Arc<dyn Clipboard>> {
        Some(self.clipboard.clone())
    }

    fn files(&self) -> Option<Arc<dyn Files>> {
        Some(Arc::new(FilesOf(self.own.upgrade()?)))
    }

    fn sound(&self) -> Option<Arc<Output>> {
        self.sound.as_ref().map(|(output, _)| output.clone())
    }

    fn microphone(&self) -> Option<Arc<Input>> {
        self.sound.as_ref().map(|(_, input)| input.clone())
    }
}

/// Plays a tone, in pieces of 10 ms as they fall due, until dropped; at level 0 it is silence.
pub struct Player {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Player {
    pub fn start(guest: &TestGuest, hz: f64, level: f64) -> Self {
        let (output, _) = guest.sound.as_ref().expect("a sound card");
        let (output, stop) = (output.clone(), Arc::new(AtomicBool::new(false)));
        let over = stop.clone();
        let thread = std::thread::spawn(move || {
            output.init(1, &PCM).expect("a stream");
            output.set_enabled(1, true).expect("a stream");
            let begun = std::time::Instant::now();
            for piece in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let frames = (piece * 480)..(piece + 1) * 480;
                let bytes: Vec<u8> = frames.flat_map(|n| frame(n, hz, level)).collect();
                output.write(1, &bytes).expect("plays");
                let next = begun + Duration::from_millis(10) * (piece + 1);
                std::thread::sleep(next.saturating_duration_since(std::time::Instant::now()));
            }
            output.fini(1).expect("a stream");
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("ends");
        }
    }
}

fn frame(n: u32, hz: f64, level: f64) -> [u8; 4] {
    let sample = (f64::from(n) * hz * std::f64::consts::TAU / f64::from(RATE)).sin() * level * 32_767.0;
    let [low, high] = (sample as i16).to_le_bytes();
    [low, high, low, high]
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
