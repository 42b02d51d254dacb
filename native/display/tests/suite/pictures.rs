//! Pictures and input as a well-behaved QEMU sends and takes them, from a double: what needs a GPU or a guest in a
//! certain state with a real one.

use crate::common::double::{BGRX, Double, LISTENER, MAP, Manners, connected, memfd, pixel};
use crate::common::eventually;
use sampan_display::{Display, DisplayError, FaultKind};
use sampan_frame::{Consumer, Rect, Size, Staging};
use sampan_input::{Button, Event, Key, TouchPhase};
use std::os::unix::fs::FileExt;
use zbus::Fd;

const LINEAR: u64 = 0;

fn consumer(display: &Display) -> Consumer {
    display.consoles()[0].screen().attach(Box::new(|| ()))
}

async fn dmabuf(
    double: &Double,
    file: &std::fs::File,
    fourcc: &[u8; 4],
    modifier: u64,
    y0_top: bool,
) -> Result<(), String> {
    let fourcc = u32::from_le_bytes(*fourcc);
    double
        .call(LISTENER, "ScanoutDMABUF", &(Fd::from(file), 2u32, 2u32, 8u32, fourcc, modifier, y0_top))
        .await
}

#[tokio::test]
async fn gpu_buffers_show_their_true_colours() {
    let (double, display) = connected(Manners::default()).await;
    let mut consumer = consumer(&display);
    let mut staging = Staging::new();
    // The top left pixel is red 1, green 2, blue 3.
    let cases: [(&[u8; 4], [u8; 4]); 4] =
        [(b"XR24", [3, 2, 1, 9]), (b"AR24", [3, 2, 1, 9]), (b"XB24", [1, 2, 3, 9]), (b"AB24", [1, 2, 3, 9])];
    for (fourcc, bytes) in cases {
        for y0_top in [false, true] {
            let mut memory = [0; 16];
            let at = if y0_top { 8 } else { 0 };
            memory[at..at + 4].copy_from_slice(&bytes);
            let file = memfd(&memory);
            dmabuf(&double, &file, fourcc, LINEAR, y0_top).await.unwrap();
            consumer.take(&mut staging).unwrap().expect("a picture");
            assert_eq!(pixel(&staging, 0, 0), [3, 2, 1, 0xff], "{fourcc:?} {y0_top}");
            assert_eq!(pixel(&staging, 0, 1), [0, 0, 0, 0xff], "{fourcc:?} {y0_top}");

            // The guest draws the bottom right pixel, and says so.
            let at = if y0_top { 4 } else { 12 };
            file.write_all_at(&bytes, at).unwrap();
            double.call(LISTENER, "UpdateDMABUF", &(1i32, 1i32, 1i32, 1i32)).await.unwrap();
            let taken = consumer.take(&mut staging).unwrap().expect("damage");
            assert_eq!(taken.damage, [Rect { x: 1, y: 1, width: 1, height: 1 }]);
            assert_eq!(pixel(&staging, 1, 1), [3, 2, 1, 0xff]);
        }
    }
    assert_eq!(display.faults(), []);
}

#[tokio::test]
async fn tiled_gpu_buffers_are_refused_in_words() {
    let (double, display) = connected(Manners::default()).await;
    let file = memfd(&[1; 16]);
    dmabuf(&double, &file, b"XR24", LINEAR, false).await.unwrap();
    assert!(display.consoles()[0].screen().size().is_some());
    for modifier in [0x0100_0000_0000_0001, 0x00ff_ffff_ffff_ffff, 1] {
        let words = dmabuf(&double, &file, b"XR24", modifier, false).await.unwrap_err();
        assert!(
            words.contains("only linear buffers") && words.contains(&format!("{modifier:#x}")),
            "{words}"
        );
        assert_eq!(display.consoles()[0].screen().size(), None, "what was shown is no longer true");
    }
    let words = dmabuf(&double, &file, b"NV12", LINEAR, false).await.unwrap_err();
    assert!(words.contains("NV12"), "{words}");
    assert_eq!(display.faults(), [(FaultKind::Format, 1), (FaultKind::Modifier, 3)]);
}

#[tokio::test]
async fn shared_memory_is_read_where_it_was_damaged() {
    let (double, display) = connected(Manners::default()).await;
    let mut consumer = consumer(&display);
    let mut staging = Staging::new();
    let file = memfd(&[0; 8 + 40 * 20]);
    // Rows of 8 pixels with padding, after 8 bytes of something else.
    double.call(MAP, "ScanoutMap", &(Fd::from(&file), 8u32, 8u32, 20u32, 40u32, BGRX)).await.unwrap();
    let taken = consumer.take(&mut staging).unwrap().expect("a picture");
    assert!(taken.resized);
    file.write_all_at(&[5; 4], 8 + 40 * 7 + 4 * 3).unwrap();
    double.call(MAP, "UpdateMap", &(3i32, 7i32, 1i32, 1i32)).await.unwrap();
    let taken = consumer.take(&mut staging).unwrap().expect("damage");
    assert_eq!(taken.damage, [Rect { x: 3, y: 7, width: 1, height: 1 }]);
    assert_eq!(pixel(&staging, 3, 7), [5, 5, 5, 0xff]);
}

#[tokio::test]
async fn a_console_that_grows_without_a_new_picture_is_followed() {
    let (double, display) = connected(Manners { width: 4, height: 4, ..Manners::default() }).await;
    let mut consumer = consumer(&display);
    let mut staging = Staging::new();
    double.call(LISTENER, "Scanout", &(4u32, 4u32, 16u32, BGRX, &[1u8; 64][..])).await.unwrap();
    consumer.take(&mut staging).unwrap().expect("a picture");

    // First the size, then the update.
    let interface = "org.qemu.Display1.Console";
    double.change(interface, &[("Width", 10u32.into()), ("Height", 6u32.into())]).await;
    eventually("the size", || display.consoles()[0].size() == Some(Size { width: 10, height: 6 })).await;
    double.call(LISTENER, "Update", &(8i32, 5i32, 2i32, 1i32, 8u32, BGRX, &[2u8; 8][..])).await.unwrap();
    let taken = consumer.take(&mut staging).unwrap().expect("a picture");
    assert_eq!((taken.size, taken.resized), (Size { width: 10, height: 6 }, true));
    assert_eq!(pixel(&staging, 9, 5), [2, 2, 2, 0xff]);
    assert_eq!(pixel(&staging, 3, 3), [1, 1, 1, 0xff], "what was there stays");
    assert_eq!(pixel(&staging, 4, 4), [0, 0, 0, 0xff]);

    // The update before its size.
    double.call(LISTENER, "Update", &(0i32, 0i32, 12i32, 1i32, 48u32, BGRX, &[3u8; 48][..])).await.unwrap();
    let taken = consumer.take(&mut staging).unwrap().expect("a picture");
    assert_eq!(taken.size, Size { width: 12, height: 6 });
    assert_eq!(pixel(&staging, 11, 0), [3, 3, 3, 0xff]);

    // Smaller again: the next update makes it so.
    double.change(interface, &[("Width", 4u32.into()), ("Height", 2u32.into())]).await;
    eventually("the size", || display.consoles()[0].size() == Some(Size { width: 4, height: 2 })).await;
    double.call(LISTENER, "Update", &(0i32, 0i32, 1i32, 1i32, 4u32, BGRX, &[4u8; 4][..])).await.unwrap();
    assert_eq!(consumer.take(&mut staging).unwrap().expect("a picture").size, Size { width: 4, height: 2 });
    assert_eq!(display.faults(), []);
}

#[tokio::test]
async fn pixels_after_shared_memory_start_a_picture_of_their_own() {
    let (double, display) = connected(Manners { width: 8, height: 8, ..Manners::default() }).await;
    let mut consumer = consumer(&display);
    let mut staging = Staging::new();
    let file = memfd(&[9; 8 * 8 * 4]);
    double.call(MAP, "ScanoutMap", &(Fd::from(&file), 0u32, 8u32, 8u32, 32u32, BGRX)).await.unwrap();
    double.call(LISTENER, "Update", &(2i32, 2i32, 1i32, 1i32, 4u32, BGRX, &[1u8; 4][..])).await.unwrap();
    assert_eq!(consumer.take(&mut staging).unwrap().expect("a picture").size, Size { width: 8, height: 8 });
    assert_eq!(pixel(&staging, 2, 2), [1, 1, 1, 0xff]);
    // And the memory is no longer looked at.
    assert!(double.call(MAP, "UpdateMap", &(0i32, 0i32, 1i32, 1i32)).await.is_err());
}

#[tokio::test]
async fn disabled_is_nothing_until_the_next_picture() {
    let (double, display) = connected(Manners::default()).await;
    let screen = display.consoles()[0].screen();
    double.call(LISTENER, "Scanout", &(4u32, 4u32, 16u32, BGRX, &[1u8; 64][..])).await.unwrap();
    double.call(LISTENER, "Disable", &()).await.unwrap();
    assert_eq!(screen.size(), None);
    double.call(LISTENER, "Scanout", &(4u32, 4u32, 16u32, BGRX, &[1u8; 64][..])).await.unwrap();
    assert_eq!(screen.size(), Some(Size { width: 4, height: 4 }));
}

#[tokio::test]
async fn the_cursor_is_where_it_points() {
    let (double, display) = connected(Manners::default()).await;
    let screen = display.consoles()[0].screen();
    let define = |hot_x: i32, hot_y: i32| {
        let double = &double;
        async move {
            double.call(LISTENER, "CursorDefine", &(4i32, 4i32, hot_x, hot_y, &[0u8; 64][..])).await.unwrap();
        }
    };
    let at = || (screen.cursor().x, screen.cursor().y, screen.cursor().visible);
    double.call(LISTENER, "MouseSet", &(10i32, 20i32, 1i32)).await.unwrap();
    assert_eq!(at(), (10, 20, true), "no shape, no hot spot");
    // QEMU tells the corner, and both a move and a new shape move what points.
    define(3, 1).await;
    assert_eq!(at(), (13, 21, true));
    double.call(LISTENER, "MouseSet", &(-3i32, 5i32, 1i32)).await.unwrap();
    assert_eq!(at(), (0, 6, true));
    define(0, 0).await;
    assert_eq!(at(), (-3, 5, true));
    double.call(LISTENER, "MouseSet", &(0i32, 0i32, 0i32)).await.unwrap();
    assert_eq!(at(), (0, 0, false));
}

#[tokio::test]
async fn input_becomes_qemus_calls() {
    let (double, display) = connected(Manners { width: 100, height: 50, ..Manners::default() }).await;
    let console = &display.consoles()[0];
    let key = |name, down| Event::Key { key: Key::from_name(name).expect("a key"), down };
    let send = |event| async move { console.send(event).await.unwrap() };
    send(key("a", true)).await;
    send(key("a", false)).await;
    send(Event::Button { button: Button::Extra, down: true }).await;
    send(Event::Button { button: Button::Extra, down: false }).await;
    send(Event::Wheel { dx: 0, dy: 1 }).await;
    send(Event::Wheel { dx: -1, dy: 0 }).await;
    send(Event::Motion { dx: -5, dy: 6 }).await;
    assert_eq!(
        double.calls(),
        [
            "Press(30)",
            "Release(30)",
            "Press(6)",
            "Release(6)",
            "Press(4)",
            "Release(4)",
            "Press(7)",
            "Release(7)",
            "RelMotion(-5, 6)",
        ]
    );
    let moved = console.send(Event::Move { x: 1, y: 1, frame: (100, 50) }).await;
    assert!(matches!(moved, Err(DisplayError::Relative)));

    let mut absolute = console.absolute();
    double.change("org.qemu.Display1.Mouse", &[("IsAbsolute", true.into())]).await;
    absolute.changed().await.unwrap();
    send(Event::Move { x: 99, y: 49, frame: (200, 100) }).await;
    send(Event::Motion { dx: -9, dy: 1000 }).await;
    send(Event::Touch { phase: TouchPhase::Begin, slot: 1 << 50, x: 50.0, y: 50.0, frame: (100, 100) }).await;
    assert_eq!(
        double.calls(),
        ["SetAbsPosition(49, 24)", "SetAbsPosition(40, 49)", "SendEvent(0, 0, 50.0, 25.0)"]
    );
    // A finger is lifted where it was last, also if nobody heard of its last move.
    let other = |phase, at| Event::Touch { phase, slot: 9, x: at, y: at, frame: (100, 100) };
    send(other(TouchPhase::Begin, 10.0)).await;
    send(other(TouchPhase::End, 20.0)).await;
    assert_eq!(
        double.calls(),
        ["SendEvent(0, 1, 10.0, 5.0)", "SendEvent(1, 1, 20.0, 10.0)", "SendEvent(2, 1, 20.0, 10.0)"]
    );

    // What is down goes up, once, and nothing else.
    send(key("shift", true)).await;
    send(key("b", true)).await;
    send(key("b", false)).await;
    send(Event::Button { button: Button::Left, down: true }).await;
    double.calls();
    send(Event::ReleaseAll).await;
    send(Event::ReleaseAll).await;
    send(Event::Button { button: Button::Right, down: true }).await;
    assert_eq!(double.calls(), ["Release(42)", "Release(0)", "SendEvent(2, 0, 0.0, 0.0)", "Press(2)"]);

    console.set_ui_info(Size { width: 800, height: 600 }, (200, 150)).await.unwrap();
    assert_eq!(double.calls(), ["SetUIInfo((qqiiuu))"]);
}
