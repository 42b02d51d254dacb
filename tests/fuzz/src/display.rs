//! What a D-Bus peer may send to a listener.

use crate::Source;
use nix::sys::memfd::{MFdFlags, memfd_create};
use sampan_display::{Budget, Call, GuestSize, Picture};
use sampan_frame::{Damage, Screen, Staging};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use zbus::Message;

const CODES: [u32; 6] = [
    0x2002_0888,
    0x2002_8888,
    0x1002_0565,
    0x1802_0888,
    u32::from_le_bytes(*b"XB24"),
    u32::from_le_bytes(*b"AR24"),
];

/// A shared file of up to 64 KiB, which may be shortened later.
fn file(source: &mut Source<'_>) -> Option<(OwnedFd, OwnedFd)> {
    let memfd = memfd_create("fuzz", MFdFlags::empty()).ok()?;
    nix::unistd::ftruncate(&memfd, source.u16().into()).ok()?;
    let other = memfd.try_clone().ok()?;
    Some((memfd, other))
}

/// A series of calls with any numbers: the picture stays readable, and its memory bounded.
pub(crate) fn calls(data: &[u8]) {
    let mut source = Source::new(data);
    let (guest_size, screen) = (Arc::<GuestSize>::default(), Screen::new());
    let mut picture = Picture::new(screen.clone(), guest_size.clone(), Arc::<Budget>::default());
    let mut consumer = screen.attach(Box::new(|| ()));
    let mut staging = Staging::new();
    // Reading a huge picture is slow and teaches nothing new.
    const ENOUGH: u64 = 1 << 20;
    for _ in 0..64 {
        if source.is_empty() {
            break;
        }
        let kind = source.u8();
        let format = CODES.get(usize::from(source.u8() % 8)).copied().unwrap_or_else(|| source.u32());
        let mut shared = None;
        let call = match kind % 10 {
            0 => {
                let (width, height, stride) = (source.side(), source.side(), source.side());
                Call::Scanout { width, height, stride, format, data: source.bytes(4096) }
            }
            1 => {
                let [x, y, width, height] = [(); 4].map(|()| source.coordinate());
                Call::Update { x, y, width, height, stride: source.side(), format, data: source.bytes(4096) }
            }
            2 | 3 => {
                let Some((memfd, other)) = file(&mut source) else { return };
                shared = Some(other);
                let (width, height, stride) = (source.side(), source.side(), source.side());
                if kind % 10 == 2 {
                    Call::ScanoutMap { file: memfd, offset: source.side(), width, height, stride, format }
                } else {
                    let modifier = if source.u8() < 200 { 0 } else { source.u64() };
                    let y0_top = source.u8() % 2 == 1;
                    Call::ScanoutDmabuf {
                        file: memfd,
                        width,
                        height,
                        stride,
                        fourcc: format,
                        modifier,
                        y0_top,
                    }
                }
            }
            4 => {
                let [x, y, width, height] = [(); 4].map(|()| source.coordinate());
                Call::UpdateMap { x, y, width, height }
            }
            5 => Call::Disable,
            6 => Call::MouseSet { x: source.i32(), y: source.i32(), on: source.i32() },
            7 => {
                let [width, height, hot_x, hot_y] = [(); 4].map(|()| source.coordinate());
                Call::CursorDefine { width, height, hot_x, hot_y, data: source.bytes(1024) }
            }
            _ => {
                guest_size.set(Some(source.side()), (kind > 127).then(|| source.side()));
                continue;
            }
        };
        let _ = picture.apply(call);
        if kind > 200
            && let Some(shared) = shared
        {
            let _ = nix::unistd::ftruncate(&shared, 10);
        }
        if screen.size().is_some_and(|size| size.area() > ENOUGH) {
            continue;
        }
        if let Ok(Some(taken)) = consumer.take(&mut staging) {
            assert!(taken.damage.len() <= Damage::MAX_RECTS);
            assert!(taken.damage.iter().all(|&r| taken.size.rect().contains(r)));
            assert_eq!(staging.pixels.len() as u64, taken.size.area() * 4);
            let read = taken.damage.iter().flat_map(|r| (r.y..r.bottom()).map(move |y| (r, y)));
            for (r, y) in read {
                let row = &staging.row(y)[r.x as usize * 4..r.right() as usize * 4];
                assert!(row.as_chunks::<4>().0.iter().all(|p| p[3] == 0xff));
            }
        }
    }
}

/// Messages of any member and signature: they decode or they are refused.
pub(crate) fn messages(data: &[u8]) {
    const MEMBERS: [&str; 10] = [
        "Scanout",
        "Update",
        "ScanoutMap",
        "UpdateMap",
        "ScanoutDMABUF",
        "UpdateDMABUF",
        "Disable",
        "MouseSet",
        "CursorDefine",
        "ScanoutDmabuf",
    ];
    const INTERFACES: [Option<&str>; 4] = [
        None,
        Some("org.qemu.Display1.Listener"),
        Some("org.qemu.Display1.Listener.Unix.Map"),
        Some("org.freedesktop.DBus.Peer"),
    ];
    let mut s = Source::new(data);
    let member = MEMBERS[usize::from(s.u8()) % MEMBERS.len()];
    let interface = INTERFACES[usize::from(s.u8()) % INTERFACES.len()];
    let call = Message::method_call("/org/qemu/Display1/Listener", member);
    let message = match s.u8() % 8 {
        0 => call.build(&()),
        1 => call.build(&(s.u32(), s.u32(), s.u32(), s.u32(), s.bytes(64))),
        2 => call.build(&(s.i32(), s.i32(), s.i32(), s.i32(), s.u32(), s.u32(), s.bytes(64))),
        3 => call.build(&(s.i32(), s.i32(), s.i32(), s.i32())),
        4 => call.build(&(s.i32(), s.i32(), s.i32())),
        5 => call.build(&(s.i32(), s.i32(), s.i32(), s.i32(), s.bytes(64))),
        6 => call.build(&(String::from_utf8_lossy(s.bytes(64)).replace('\0', ""), s.u64())),
        _ => call.build(&s.bytes(64)),
    };
    let Ok(message) = message else { return };
    let body = message.body();
    if let Ok(call) = Call::decode(interface, member, &body) {
        let mut picture = Picture::new(Screen::new(), Arc::default(), Arc::default());
        let _ = picture.apply(call);
    }
}
