//! Rectangles, damage, pixel formats and scanout memory.

use crate::Source;
use nix::sys::memfd::{MFdFlags, memfd_create};
use sampan_frame::{Damage, Geometry, PixelFormat, Rect, Scanout, Size};
use std::fs::File;
use std::os::unix::fs::FileExt;

const SIDE: u32 = 64;

/// The model of damage is a bitmap of a small screen.
pub(crate) fn damage(data: &[u8]) {
    let mut source = Source::new(data);
    let bounds = Size { width: SIDE, height: SIDE };
    let mut damage = Damage::new();
    let mut bitmap = vec![false; (SIDE * SIDE) as usize];
    let mut added = 0;
    while !source.is_empty() && added < 200 {
        added += 1;
        let [x, y, w, h] = [(); 4].map(|()| source.coordinate());
        let Some(rect) = Rect::clipped(x, y, w, h, bounds) else { continue };
        assert!(bounds.rect().contains(rect) && !rect.is_empty());
        assert!(x <= rect.x as i32 && y <= rect.y as i32, "clipping moves no edge outwards");
        damage.add(rect);
        pixels(rect, |at| bitmap[at] = true);
        assert!(damage.rects().len() <= Damage::MAX_RECTS);
    }
    for &rect in damage.rects() {
        assert!(bounds.rect().contains(rect));
        pixels(rect, |at| bitmap[at] = false);
    }
    assert!(!bitmap.contains(&true), "a damaged pixel is not covered");
}

fn pixels(rect: Rect, mut f: impl FnMut(usize)) {
    for y in rect.y..rect.bottom() {
        (rect.x..rect.right()).for_each(|x| f((y * SIDE + x) as usize));
    }
}

/// Conversion writes whole opaque pixels, and nothing beyond them.
pub(crate) fn convert(data: &[u8]) {
    let mut source = Source::new(data);
    let code = source.u32();
    let formats = [PixelFormat::from_pixman(code), PixelFormat::from_fourcc(code)];
    let mut target = vec![0x11; usize::from(source.u8())];
    for format in formats.into_iter().flatten() {
        let bytes = source.bytes(usize::MAX);
        format.convert(bytes, &mut target);
        let whole = (bytes.len() / format.bytes_per_pixel() as usize).min(target.len() / 4);
        assert!(target[..whole * 4].as_chunks::<4>().0.iter().all(|p| p[3] == 0xff));
        assert!(target[whole * 4..].iter().all(|&b| b == 0x11));
    }
}

/// Any geometry over a small file: it is refused, or every rectangle on it can be read.
pub(crate) fn scanout(data: &[u8]) {
    const CODES: [u32; 4] = [0x2002_0888, 0x2003_8888, 0x1802_0888, 0x1002_0565];
    let mut source = Source::new(data);
    let Ok(memfd) = memfd_create("fuzz", MFdFlags::empty()) else { return };
    let file = File::from(memfd);
    let length = u64::from(source.u16());
    if file.set_len(length).is_err() || file.write_all_at(&[0x77], 0).is_err() {
        return;
    }
    let Ok(format) = PixelFormat::from_pixman(CODES[usize::from(source.u8() % 4)]) else { return };
    let geometry = Geometry {
        size: Size { width: source.side(), height: source.side() },
        offset: if source.u8() < 240 { u64::from(source.side()) } else { source.u64() },
        stride: source.side(),
        format,
        bottom_up: source.u8() % 2 == 1,
    };
    let Ok(shared) = file.try_clone() else { return };
    let Ok(scanout) = Scanout::map(shared.into(), geometry) else { return };
    let size = scanout.size();
    assert!(geometry.offset + u64::from(geometry.stride) * u64::from(size.height) <= length.max(1));
    let padding = usize::from(source.u8() % 32);
    let stride = size.width as usize * 4 + padding;
    let mut frame = vec![0; stride * size.height as usize];
    for _ in 0..8 {
        let rect = Rect { x: source.side(), y: source.side(), width: source.side(), height: source.side() };
        let on_screen = !rect.is_empty() && size.rect().contains(rect);
        assert_eq!(scanout.read(rect, &mut frame, stride).is_ok(), on_screen);
    }
    if file.set_len(0).is_ok() {
        assert!(scanout.read(size.rect(), &mut frame, stride).is_err(), "nothing is left to read");
    }
}
