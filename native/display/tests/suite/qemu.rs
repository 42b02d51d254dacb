//! The display against a real QEMU.

use crate::common::{Watcher, eventually, start_qemu};
use sampan_display::{ConsoleKind, DisplayError};
use sampan_frame::{Size, Staging};
use sampan_input::{Button, Event, Key, TouchPhase};

const TEXT_MODE: Size = Size { width: 720, height: 400 };

fn lit(pixels: &[u8]) -> usize {
    pixels.as_chunks::<4>().0.iter().filter(|p| p[..3] != [0, 0, 0]).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_firmwares_text_is_shown_through_shared_memory() {
    let mut qemu = start_qemu(&["-device", "VGA"]);
    let display = qemu.display().await;
    assert_eq!(display.vm_name(), "display test");
    let console = &display.consoles()[0];
    assert_eq!((console.kind(), console.head(), console.id()), (ConsoleKind::Graphic, 0, 0));
    let mut watcher = Watcher::new(console);
    watcher.until("the firmware's text", |s| s.size == TEXT_MODE && lit(&s.pixels) > 500).await;
    assert_eq!(console.screen().scanout().unwrap().owned_bytes(), 0, "text mode is shared memory");
    assert_eq!(display.faults(), []);
}

/// A Windows bitmap of 640 × 480 pixels in 24 bits whose every pixel tells where it is.
fn bitmap() -> Vec<u8> {
    let mut bmp = b"BM".to_vec();
    let (header, pixels) = (54u32, 640 * 480 * 3u32);
    for number in [header + pixels, 0, header, 40, 640, 480, 1 | (24 << 16), 0, pixels, 0, 0, 0, 0] {
        bmp.extend(number.to_le_bytes());
    }
    // Rows from the bottom.
    for y in (0..480u32).rev() {
        bmp.extend((0..640).flat_map(|x| place(x, y)));
    }
    bmp
}

/// Blue, green and red of a pixel.
fn place(x: u32, y: u32) -> [u8; 3] {
    [(x / 4) as u8, (y / 2) as u8, ((x * 7) ^ (y * 3)) as u8]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graphics_mode_comes_pixel_for_pixel() {
    let file = std::env::temp_dir().join(format!("sampan-splash-{}.bmp", std::process::id()));
    std::fs::write(&file, bitmap()).unwrap();
    let boot = format!("menu=on,splash-time=60000,splash={}", file.display());
    let mut qemu = start_qemu(&["-device", "VGA", "-boot", &boot]);
    let display = qemu.display().await;
    let mut watcher = Watcher::new(&display.consoles()[0]);
    let graphics = Size { width: 640, height: 480 };
    let whole = |s: &Staging| {
        let rows = (0..480).zip(s.pixels.chunks(640 * 4));
        rows.flat_map(|(y, row)| (0..640).zip(row.as_chunks::<4>().0).map(move |(x, p)| (x, y, p)))
            .all(|(x, y, p)| p[..3] == place(x, y))
    };
    watcher.until("the firmware's picture", |s| s.size == graphics && whole(s)).await;
    assert_eq!(display.faults(), []);
    drop(std::fs::remove_file(file));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_head_of_each_card_is_shown() {
    let mut qemu = start_qemu(&["-device", "secondary-vga", "-device", "virtio-vga,max_outputs=3"]);
    let display = qemu.display().await;
    let heads: Vec<_> = display.consoles().iter().map(|c| (c.id(), c.head())).collect();
    assert_eq!(heads, [(0, 0), (1, 0), (2, 1), (3, 2)]);
    // The first head of each card has a picture of its own.
    for console in &display.consoles()[..2] {
        Watcher::new(console).until("a picture", |s| lit(&s.pixels) > 0).await;
    }
    assert_eq!(display.faults(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_head_is_followed_while_it_is_watched_and_dark_while_its_guest_does_not_use_it() {
    let mut qemu = start_qemu(&["-device", "virtio-vga,max_outputs=2"]);
    let display = qemu.display().await;
    let console = &display.consoles()[1];
    let mut is_lit = console.lit();
    // QEMU has a picture of it from the start, which would be there after the two that are asked for here.
    let size = Size::new(1024, 768).unwrap();
    console.set_ui_info(size, (0, 0)).await.unwrap();
    console.disconnect().await.unwrap();
    assert_eq!(*is_lit.borrow(), None, "nobody watches it");
    for _ in 0..2 {
        let (watch, again) = (console.watch().await.unwrap(), console.watch().await.unwrap());
        eventually("QEMU's word for it", || is_lit.borrow_and_update().is_some()).await;
        assert_eq!((*is_lit.borrow(), console.screen().size()), (Some(false), None));
        drop(watch);
        assert_eq!(*is_lit.borrow_and_update(), Some(false), "somebody still watches it");
        drop(again);
        eventually("its end", || is_lit.borrow_and_update().is_none()).await;
    }
    assert_eq!(display.faults(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guest_is_told_its_windows_size_where_it_can_be() {
    let mut qemu = start_qemu(&["-device", "virtio-vga", "-device", "secondary-vga"]);
    let display = qemu.display().await;
    let size = Size::new(1280, 720).unwrap();
    display.consoles()[0].set_ui_info(size, (300, 170)).await.unwrap();
    let refused = display.consoles()[1].set_ui_info(size, (0, 0)).await;
    assert!(matches!(refused, Err(DisplayError::Refused { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_reaches_the_firmware() {
    let mut qemu = start_qemu(&["-device", "VGA", "-boot", "menu=on,splash-time=60000"]);
    let display = qemu.display().await;
    let mut watcher = Watcher::new(&display.consoles()[0]);
    let mut before = 0;
    watcher
        .until("the firmware's invitation to press a key", |s| {
            before = lit(&s.pixels);
            s.size == TEXT_MODE && before > 500
        })
        .await;
    let key = Key::from_name("esc").expect("a key");
    // The menu has more lines than the invitation, so it is much brighter.
    let console = display.consoles()[0].clone();
    let pressing = tokio::spawn(async move {
        loop {
            console.send(Event::Key { key, down: true }).await.unwrap();
            console.send(Event::Key { key, down: false }).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    });
    watcher.until("the boot menu", |s| lit(&s.pixels) > before + 500).await;
    pressing.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pointer_follows_the_guests_device() {
    let mut qemu = start_qemu(&["-device", "VGA", "-usb", "-device", "usb-tablet", "-device", "usb-mouse"]);
    let display = qemu.display().await;
    let console = &display.consoles()[0];
    let mut absolute = console.absolute();
    let at = |x, y| Event::Move { x, y, frame: (720, 400) };

    let mice = qemu.execute("query-mice", serde_json::json!({}));
    let index = |absolute: bool| {
        let mouse = mice.as_array().unwrap().iter().find(|m| m["absolute"] == absolute).unwrap();
        mouse["index"].as_u64().unwrap()
    };
    qemu.hmp(&format!("mouse_set {}", index(true)));
    eventually("an absolute pointer", || *absolute.borrow_and_update()).await;
    eventually("a size", || console.size().is_some()).await;
    console.send(at(719, 399)).await.unwrap();
    // Beyond the edge, from a frame of another size, and relative motion: all end on the screen.
    console.send(at(u32::MAX, u32::MAX)).await.unwrap();
    console.send(Event::Move { x: 3999, y: 0, frame: (4000, 1) }).await.unwrap();
    console.send(Event::Motion { dx: 5000, dy: -5000 }).await.unwrap();

    qemu.hmp(&format!("mouse_set {}", index(false)));
    eventually("a relative pointer", || !*absolute.borrow_and_update()).await;
    assert!(matches!(console.send(at(1, 1)).await, Err(DisplayError::Relative)));
    console.send(Event::Motion { dx: -3, dy: i32::MAX }).await.unwrap();

    for button in Button::ALL {
        console.send(Event::Button { button, down: true }).await.unwrap();
    }
    console.send(Event::Wheel { dx: -1, dy: 3 }).await.unwrap();
    console.send(Event::ReleaseAll).await.unwrap();
    console.send(Event::Button { button: Button::Left, down: false }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fingers_reach_the_touch_device() {
    let mut qemu = start_qemu(&["-device", "virtio-vga", "-device", "virtio-multitouch-pci"]);
    let display = qemu.display().await;
    let console = &display.consoles()[0];
    assert_eq!(console.touch_slots(), 10);
    eventually("a size", || console.size().is_some()).await;
    let touch = |phase, slot| Event::Touch { phase, slot, x: 10.0, y: 1e9, frame: (100, 100) };
    for finger in 0..10 {
        console.send(touch(TouchPhase::Begin, finger << 40)).await.unwrap();
    }
    let one_more = console.send(touch(TouchPhase::Begin, 77)).await;
    assert!(matches!(one_more, Err(DisplayError::TooManyFingers(10))), "{one_more:?}");
    console.send(touch(TouchPhase::Update, 3 << 40)).await.unwrap();
    console.send(Event::ReleaseAll).await.unwrap();
    console.send(touch(TouchPhase::Begin, 77)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_machine_is_told() {
    let mut qemu = start_qemu(&["-device", "VGA"]);
    let display = qemu.display().await;
    assert!(!display.is_closed());
    qemu.quit();
    tokio::time::timeout(crate::common::PATIENCE, display.closed()).await.expect("told");
    let gone = display.consoles()[0].send(Event::Motion { dx: 1, dy: 1 }).await;
    assert!(matches!(gone, Err(DisplayError::Bus(_))), "{gone:?}");
    assert_eq!(display.faults(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_client_takes_the_place_of_the_first() {
    let mut qemu = start_qemu(&["-device", "VGA"]);
    let first = qemu.display().await;
    let second = qemu.display().await;
    tokio::time::timeout(crate::common::PATIENCE, first.closed()).await.expect("told");
    Watcher::new(&second.consoles()[0]).until("a picture", |s| lit(&s.pixels) > 0).await;
}
