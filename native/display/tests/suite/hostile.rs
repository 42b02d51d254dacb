//! A peer that lies, shouts and hangs up.

use crate::common::double::{BGRX, Double, LISTENER, MAP, Manners, PATH, connect, connected, memfd, pixel};
use crate::common::eventually;
use sampan_display::{Display, DisplayError, FaultKind};
use sampan_frame::{ReadError, Size, Staging};
use sampan_input::Locks;
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zbus::Fd;

/// Pixels that go on telling that everything still works, and shows them.
async fn still_works(double: &Double, display: &Display) {
    static SHADE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(1);
    let shade = SHADE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let data = [shade; 4 * 4 * 4];
    double.call(LISTENER, "Scanout", &(4u32, 4u32, 16u32, BGRX, &data[..])).await.unwrap();
    let mut staging = Staging::new();
    let mut consumer = display.consoles()[0].screen().attach(Box::new(|| ()));
    consumer.take(&mut staging).unwrap().expect("a picture");
    assert_eq!(staging.size, Size { width: 4, height: 4 });
    assert_eq!(pixel(&staging, 3, 3), [shade, shade, shade, 0xff]);
}

fn count(display: &Display, kind: FaultKind) -> u64 {
    display.faults().iter().find(|(k, _)| *k == kind).map_or(0, |(_, n)| *n)
}

#[tokio::test]
async fn wrong_names_and_arguments_are_refused_by_name() {
    let (double, display) = connected(Manners::default()).await;
    for (interface, member) in [
        (LISTENER, "ScanoutDmabuf"),
        (LISTENER, "scanout"),
        (LISTENER, "UpdateMap"),
        (MAP, "Scanout"),
        ("org.qemu.Display1.Listener.Win32.Map", "ScanoutMap"),
    ] {
        let refused = double.call(interface, member, &(0i32, 0i32, 1i32, 1i32)).await.unwrap_err();
        assert!(refused.contains("UnknownMethod") && refused.contains(member), "{refused}");
    }
    assert_eq!(count(&display, FaultKind::UnknownMember), 5);
    for member in ["Scanout", "Update", "ScanoutDMABUF", "UpdateDMABUF", "MouseSet", "CursorDefine"] {
        assert!(double.call(LISTENER, member, &("no", "numbers")).await.is_err(), "{member}");
        assert!(double.call(LISTENER, member, &()).await.is_err(), "{member}");
    }
    assert!(double.call(MAP, "ScanoutMap", &(0u32, 0u32, 1u32, 1u32, 4u32, BGRX)).await.is_err());
    assert_eq!(count(&display, FaultKind::Arguments), 13);
    still_works(&double, &display).await;
}

#[tokio::test]
async fn the_map_is_offered_as_the_first_thing_asked() {
    let (double, _display) = connected(Manners::default()).await;
    let properties = "org.freedesktop.DBus.Properties";
    for (interface, many) in [(LISTENER, 1), (MAP, 0)] {
        let listener = double.listener();
        let asking = listener.call_method(None::<&str>, PATH, Some(properties), "GetAll", &interface);
        let reply = asking.await.unwrap();
        let all: HashMap<String, zbus::OwnedVariant> = reply.body().deserialize().unwrap();
        assert_eq!(all.len(), many);
        if let Some(interfaces) = all.get("Interfaces") {
            let names = Vec::<String>::try_from(interfaces.try_clone().unwrap()).unwrap();
            assert_eq!(names, [MAP]);
        }
    }
}

#[tokio::test]
async fn rectangles_of_any_numbers_hurt_nobody() {
    let (double, display) = connected(Manners::default()).await;
    let rects = [
        [-1, 0, 4, 4],
        [0, i32::MIN, 4, 4],
        [0, 0, -4, 4],
        [0, 0, 0, 0],
        [i32::MAX, i32::MAX, i32::MAX, i32::MAX],
        [i32::MIN; 4],
        [0, 0, i32::MAX, 1],
        [16_380, 0, 8, 1],
        [9000, 9000, 1, 1],
    ];
    for [x, y, w, h] in rects {
        let data = vec![0u8; 1 << 16];
        let refused = double.call(LISTENER, "Update", &(x, y, w, h, 64u32, BGRX, &data[..])).await;
        assert!(refused.is_err(), "{x} {y} {w} {h}");
    }
    let file = memfd(&[7; 16 * 16 * 4]);
    double.call(MAP, "ScanoutMap", &(Fd::from(&file), 0u32, 16u32, 16u32, 64u32, BGRX)).await.unwrap();
    let mut refused = 0;
    for [x, y, w, h] in rects {
        refused += u32::from(double.call(MAP, "UpdateMap", &(x, y, w, h)).await.is_err());
        refused += u32::from(double.call(LISTENER, "UpdateDMABUF", &(x, y, w, h)).await.is_err());
    }
    // Only two of them touch the screen.
    assert_eq!(refused, 14);
    still_works(&double, &display).await;
}

#[tokio::test]
async fn broken_geometry_is_refused_in_words() {
    let (double, display) = connected(Manners::default()).await;
    let data = vec![0u8; 1 << 16];
    let scanout = |w: u32, h: u32, stride: u32, format: u32| {
        let (double, data) = (&double, &data);
        async move { double.call(LISTENER, "Scanout", &(w, h, stride, format, &data[..])).await.unwrap_err() }
    };
    assert!(scanout(0, 1, 4, BGRX).await.contains("resolution"));
    assert!(scanout(u32::MAX, u32::MAX, u32::MAX, BGRX).await.contains("resolution"));
    assert!(scanout(128, 128, 511, BGRX).await.contains("stride"));
    assert!(scanout(128, 129, 512, BGRX).await.contains("needs"));
    assert!(scanout(128, 128, u32::MAX, BGRX).await.contains("needs"));
    assert!(scanout(8, 8, 32, 0x2002_0aaa).await.contains("pixel format"));
    assert!(scanout(8, 8, 32, u32::from_le_bytes(*b"XR24")).await.contains("pixel format"));
    let update = double.call(LISTENER, "Update", &(0i32, 0i32, 8i32, 8i32, u32::MAX, BGRX, &data[..])).await;
    assert!(update.unwrap_err().contains("needs"));

    let file = memfd(&data);
    let map = |offset: u32, w: u32, h: u32, stride: u32, format: u32| {
        let (double, file) = (&double, &file);
        async move {
            double.call(MAP, "ScanoutMap", &(Fd::from(file), offset, w, h, stride, format)).await.unwrap_err()
        }
    };
    assert!(map(1, 128, 128, 512, BGRX).await.contains("needs 65537 bytes but its memory has 65536"));
    assert!(map(u32::MAX, 1, 1, 4, BGRX).await.contains("needs"));
    assert!(map(0, 1, 16_384, u32::MAX, BGRX).await.contains("needs"));
    assert!(map(0, 16_384, 16_384, 65_536, BGRX).await.contains("resolution"));
    assert!(map(0, 8, 8, 32, 7).await.contains("pixel format"));
    assert_eq!(display.consoles()[0].screen().size(), None);
    still_works(&double, &display).await;
}

#[tokio::test]
async fn files_that_are_no_memory_are_refused() {
    let (double, display) = connected(Manners::default()).await;
    let (socket, _other) = UnixStream::pair().unwrap();
    let (pipe, _writer) = nix::unistd::pipe().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    for fd in [Fd::from(&socket), Fd::from(&pipe), Fd::from(&null)] {
        let refused = double.call(MAP, "ScanoutMap", &(fd, 0u32, 1u32, 1u32, 4u32, BGRX)).await;
        assert!(refused.unwrap_err().contains("neither"), "not memory");
    }
    assert_eq!(count(&display, FaultKind::NotMemory), 3);
    still_works(&double, &display).await;
}

#[tokio::test]
async fn a_picture_that_shrinks_under_us_is_an_error_of_the_reader() {
    let (double, display) = connected(Manners::default()).await;
    let file = memfd(&[7; 64 * 64 * 4]);
    double.call(MAP, "ScanoutMap", &(Fd::from(&file), 0u32, 64u32, 64u32, 256u32, BGRX)).await.unwrap();
    let mut consumer = display.consoles()[0].screen().attach(Box::new(|| ()));
    let mut staging = Staging::new();
    assert!(consumer.take(&mut staging).unwrap().is_some());
    file.set_len(100).unwrap();
    double.call(MAP, "UpdateMap", &(0i32, 0i32, 64i32, 64i32)).await.unwrap();
    assert!(matches!(consumer.take(&mut staging), Err(ReadError::Shrank)));
    still_works(&double, &display).await;
}

#[tokio::test]
async fn a_cursor_of_any_numbers_hurts_nobody() {
    let (double, display) = connected(Manners::default()).await;
    let data = [0x55u8; 64];
    for (w, h) in [(0, 0), (-1, 4), (i32::MAX, i32::MAX), (5, 4), (513, 1)] {
        assert!(double.call(LISTENER, "CursorDefine", &(w, h, 0i32, 0i32, &data[..])).await.is_err());
    }
    double.call(LISTENER, "CursorDefine", &(4i32, 4i32, i32::MIN, i32::MAX, &data[..])).await.unwrap();
    double.call(LISTENER, "MouseSet", &(i32::MIN, i32::MAX, -1i32)).await.unwrap();
    let cursor = display.consoles()[0].screen().cursor();
    let shape = cursor.shape.unwrap();
    assert_eq!((cursor.x, cursor.y, cursor.visible), (i32::MIN, i32::MAX, true));
    assert_eq!((shape.hot_x, shape.hot_y, shape.rgba.len()), (0, 3, 64));
    assert_eq!(count(&display, FaultKind::Cursor), 5);
}

#[tokio::test]
async fn slow_authentication_is_waited_for() {
    let slow = Manners { slow: Duration::from_millis(700), ..Manners::default() };
    let (double, display) = connected(slow).await;
    still_works(&double, &display).await;
}

#[tokio::test]
async fn a_refusal_is_told_in_the_peers_words() {
    let (_double, display) = connect(Manners { refuse: true, ..Manners::default() }).await;
    let error = display.unwrap_err();
    assert!(
        matches!(&error, DisplayError::Refused { reason, .. } if reason.contains("does not want to")),
        "{error}"
    );
}

#[tokio::test]
async fn no_consoles_or_too_many_are_told() {
    let (_double, display) = connect(Manners { consoles: vec![], ..Manners::default() }).await;
    assert!(matches!(display.unwrap_err(), DisplayError::NoConsole));
    let many = Manners { consoles: (0..5000).collect(), ..Manners::default() };
    let (_double, display) = connect(many).await;
    let display = display.unwrap();
    assert_eq!(display.consoles().len(), 24);
    assert_eq!(count(&display, FaultKind::Console), 1);
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_given_up() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    assert!(matches!(
        Display::connect_within(ours, Duration::from_millis(50)).await,
        Err(DisplayError::Silent)
    ));
}

#[tokio::test]
async fn a_peer_that_speaks_something_else_is_refused() {
    let endless = [b'x'; 100_000];
    let bad_guid = [&b"OK "[..], &[b'z'; 32], b"\r\nAGREE_UNIX_FD\r\n"].concat();
    let no_files = b"OK 0123456789abcdef0123456789abcdef\r\nERROR\r\n";
    let words: [&[u8]; 9] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"REJECTED ANONYMOUS\r\n",
        b"OK\r\n",
        b"\n\n\n",
        b"",
        &[0xff; 4096],
        &endless,
        &bad_guid,
        no_files,
    ];
    for words in words {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(words).unwrap();
        drop(theirs);
        let error = Display::connect(ours).await.unwrap_err();
        assert!(matches!(error, DisplayError::NotADisplay(_)), "{error}");
    }
}

#[tokio::test]
async fn the_end_in_the_middle_of_anything_is_told() {
    // Of the picture alone.
    let (mut double, display) = connected(Manners::default()).await;
    double.listener.take().unwrap().close().await.unwrap();
    eventually("the fault", || count(&display, FaultKind::ListenerClosed) == 1).await;
    assert!(!display.is_closed());
    // Of everything.
    double.main.close().await.unwrap();
    tokio::time::timeout(crate::common::PATIENCE, display.closed()).await.expect("told");
}

#[tokio::test]
async fn torn_and_senseless_messages_end_the_connection_and_nothing_else() {
    // A method call's fixed header: little-endian, no reply wanted, version 1, body length, serial, fields' length.
    let header = |body: u32, fields: u32| {
        let mut bytes = vec![b'l', 1, 1, 1];
        for number in [body, 1, fields] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    };
    let torn = [
        header(1000, 16),
        header(u32::MAX, u32::MAX),
        header(0x07ff_0000, 8),
        vec![b'l', 1, 1, 1],
        vec![0; 64],
        b"\r\nAUTH EXTERNAL 30\r\n".to_vec(),
        [header(0, 7), vec![0xff; 64]].concat(),
    ];
    for bytes in torn {
        let raw = Manners { raw: true, ..Manners::default() };
        let (mut double, display) = connected(raw).await;
        let mut socket = double.socket.take().unwrap();
        socket.write_all(&bytes).unwrap();
        drop(socket);
        eventually("the fault", || count(&display, FaultKind::ListenerClosed) == 1).await;
        // The machine's own connection is not touched by it.
        assert!(!display.is_closed());
        double.change("org.qemu.Display1.Console", &[("Width", 123u32.into())]).await;
        eventually("the width", || display.consoles()[0].size().is_some_and(|s| s.width == 123)).await;
    }
}

#[tokio::test]
async fn properties_of_any_type_hurt_nobody() {
    let (double, display) = connected(Manners::default()).await;
    let console = &display.consoles()[0];
    let interface = "org.qemu.Display1.Console";
    double.change(interface, &[("Width", "wide".into()), ("Height", (-1i32).into())]).await;
    double.change(interface, &[("Width", u32::MAX.into()), ("Label", 5u8.into())]).await;
    double.change("org.qemu.Display1.Mouse", &[("IsAbsolute", 1u32.into())]).await;
    double.change("org.qemu.Display1.MultiTouch", &[("MaxSlots", u32::MAX.into())]).await;
    eventually("the slots", || console.touch_slots() == 32).await;
    double.change("org.qemu.Display1.Keyboard", &[("Modifiers", "caps".into())]).await;
    double.change("org.qemu.Display1.Keyboard", &[("Modifiers", 0u32.into())]).await;
    assert_eq!(*console.locks().borrow(), None, "0 is what QEMU says of a guest that has shown none");
    double.change("org.qemu.Display1.Keyboard", &[("Modifiers", u32::MAX.into())]).await;
    let all = Locks { scroll: true, num: true, caps: true };
    eventually("the locks", || *console.locks().borrow() == Some(all)).await;
    double.change("org.qemu.Display1.Keyboard", &[("Modifiers", 0u32.into())]).await;
    eventually("no locks", || *console.locks().borrow() == Some(Locks::default())).await;
    assert_eq!(console.size(), None, "a width out of range is no size");
    assert!(!*console.absolute().borrow());
    still_works(&double, &display).await;
}
