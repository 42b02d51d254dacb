//! Scanouts in files that someone else writes, shrinks and lies about.

use nix::sys::memfd::{MFdFlags, memfd_create};
use proptest::prelude::*;
use sampan_frame::{Alpha, Geometry, PixelFormat, ReadError, Rect, Scanout, ScanoutError, Size};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

fn memfd(bytes: &[u8]) -> File {
    let file = File::from(memfd_create("scanout", MFdFlags::empty()).expect("memfd"));
    file.write_all_at(bytes, 0).expect("written");
    file
}

fn share(file: &File) -> OwnedFd {
    file.try_clone().expect("a second descriptor").into()
}

fn geometry(width: u32, height: u32, stride: u32, format: PixelFormat) -> Geometry {
    Geometry { size: Size { width, height }, offset: 0, stride, format, bottom_up: false }
}

fn whole(scanout: &Scanout) -> Result<Vec<u8>, ReadError> {
    let size = scanout.size();
    let mut frame = vec![0; size.area() as usize * 4];
    scanout.read(size.rect(), &mut frame, size.width as usize * 4)?;
    Ok(frame)
}

#[test]
fn geometry_that_does_not_fit_its_file_is_refused() {
    let file = memfd(&[0; 4096]);
    let map = |g| Scanout::map(share(&file), g);
    let good = geometry(32, 32, 128, PixelFormat::Bgrx8888);
    assert!(map(good).is_ok());
    assert!(matches!(map(Geometry { offset: 1, ..good }), Err(ScanoutError::TooShort { needed: 4097, .. })));
    assert!(matches!(map(Geometry { offset: u64::MAX, ..good }), Err(ScanoutError::TooShort { .. })));
    assert!(matches!(map(Geometry { stride: 127, ..good }), Err(ScanoutError::Stride { .. })));
    assert!(matches!(map(Geometry { stride: 0, ..good }), Err(ScanoutError::Stride { .. })));
    assert!(matches!(map(Geometry { stride: u32::MAX, ..good }), Err(ScanoutError::TooShort { .. })));
    let size = |width, height| Geometry { size: Size { width, height }, ..good };
    assert!(matches!(map(size(0, 32)), Err(ScanoutError::Size { .. })));
    assert!(matches!(map(size(u32::MAX, u32::MAX)), Err(ScanoutError::Size { .. })));
    assert!(matches!(map(size(1 << 30, 4)), Err(ScanoutError::Size { .. })));
}

#[test]
fn a_file_that_shrinks_is_an_error_and_no_signal() {
    let file = memfd(&[0x55; 1 << 20]);
    let scanout =
        Scanout::map(share(&file), geometry(512, 512, 2048, PixelFormat::Bgrx8888)).expect("mapped");
    assert!(whole(&scanout).is_ok());
    file.set_len(4096).expect("shrunk");
    assert!(matches!(whole(&scanout), Err(ReadError::Shrank)));
    file.set_len(1 << 20).expect("grown again");
    assert!(whole(&scanout).is_ok());
}

#[test]
fn a_picture_that_shrinks_while_it_is_read_is_an_error_and_no_signal() {
    let file = memfd(&[0x55; 1 << 20]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (mut whole_pictures, mut shrunk) = (0, 0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.set_len(0).expect("shrunk");
                file.set_len(1 << 20).expect("grown");
                std::thread::yield_now();
            }
        });
        for _ in 0..2000 {
            // Announced while it is short, it is refused; that is right as well.
            let mapped = Scanout::map(share(&file), geometry(512, 512, 2048, PixelFormat::Bgrx8888));
            match mapped.map(|scanout| whole(&scanout)) {
                Ok(Ok(_)) => whole_pictures += 1,
                Ok(Err(ReadError::Shrank)) | Err(ScanoutError::TooShort { .. }) => shrunk += 1,
                other => panic!("unexpected: {other:?}"),
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(whole_pictures + shrunk, 2000);
}

#[test]
fn a_rectangle_or_target_out_of_bounds_is_an_error() {
    let scanout =
        Scanout::map(memfd(&[0; 4096]).into(), geometry(32, 32, 128, PixelFormat::Bgrx8888)).expect("mapped");
    let rect = |x, y, width, height| Rect { x, y, width, height };
    let mut frame = vec![0; 4096];
    for bad in [rect(0, 0, 33, 1), rect(31, 31, 2, 1), rect(u32::MAX, 0, 1, 1), rect(0, 0, 0, 0)] {
        assert!(matches!(scanout.read(bad, &mut frame, 128), Err(ReadError::OutOfBounds)), "{bad:?}");
    }
    let one = rect(0, 0, 1, 1);
    assert!(matches!(scanout.read(one, &mut frame[..4095], 128), Err(ReadError::OutOfBounds)));
    assert!(matches!(scanout.read(one, &mut frame, 124), Err(ReadError::OutOfBounds)));
    assert!(matches!(scanout.read(one, &mut frame, usize::MAX), Err(ReadError::OutOfBounds)));
    assert!(scanout.read(one, &mut frame, 128).is_ok());
}

#[test]
fn a_payload_shorter_than_its_rectangle_is_refused() {
    let scanout = Scanout::blank(Size { width: 8, height: 8 });
    let rect = Rect { x: 2, y: 2, width: 4, height: 2 };
    let bgrx = PixelFormat::Bgrx8888;
    assert!(matches!(
        scanout.write(rect, 16, bgrx, &[0; 31]),
        Err(ScanoutError::TooShort { needed: 32, .. })
    ));
    assert!(matches!(scanout.write(rect, 15, bgrx, &[0; 99]), Err(ScanoutError::Stride { .. })));
    assert!(matches!(scanout.write(rect, u32::MAX, bgrx, &[0; 99]), Err(ScanoutError::TooShort { .. })));
    let huge = Rect { x: 0, y: 0, width: u32::MAX, height: u32::MAX };
    assert!(matches!(scanout.write(huge, u32::MAX, bgrx, &[0; 99]), Err(ScanoutError::Size { .. })));
    assert_eq!(scanout.write(rect, 16, bgrx, &[9; 32]).ok(), Some(Some(rect)));
    let outside = Rect { x: 8, ..rect };
    assert_eq!(scanout.write(outside, 16, bgrx, &[9; 32]).ok(), Some(None));
}

#[test]
fn pixels_beyond_the_edge_are_cut_off() {
    let scanout = Scanout::blank(Size { width: 3, height: 2 });
    let bytes: Vec<u8> = (1..=16).collect();
    let rect = Rect { x: 2, y: 1, width: 2, height: 2 };
    let visible = scanout.write(rect, 8, PixelFormat::Bgrx8888, &bytes).expect("written");
    assert_eq!(visible, Some(Rect { x: 2, y: 1, width: 1, height: 1 }));
    assert_eq!(whole(&scanout).expect("read")[20..], [1, 2, 3, 0xff]);
}

const FORMATS: [PixelFormat; 6] = [
    PixelFormat::Bgrx8888,
    PixelFormat::Bgra8888,
    PixelFormat::Rgbx8888,
    PixelFormat::Xrgb8888,
    PixelFormat::Bgr888,
    PixelFormat::Rgb565,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every strategy of reading (spans, rows, converted, upside down, padded or with wide gaps) gives what
    /// reading pixel by pixel gives.
    #[test]
    fn any_rectangle_reads_as_pixel_by_pixel(
        (width, height) in (1u32..900, 1u32..40),
        padding in 0u32..70,
        offset in 0u64..200,
        format in prop::sample::select(&FORMATS[..]),
        bottom_up: bool,
        tight: bool,
        corner in (0u32..900, 0u32..40, 1u32..900, 1u32..40),
        seed: u32,
    ) {
        let bpp = format.bytes_per_pixel();
        let stride = width * bpp + if tight { 0 } else { padding };
        let mut state = seed;
        let bytes: Vec<u8> = (0..offset + u64::from(stride) * u64::from(height)).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }).collect();
        let geometry = Geometry { size: Size { width, height }, offset, stride, format, bottom_up };
        let scanout = Scanout::map(memfd(&bytes).into(), geometry).expect("mapped");
        let (x, y) = (corner.0 % width, corner.1 % height);
        let rect = Rect { x, y, width: corner.2.min(width - x), height: corner.3.min(height - y) };

        let target_stride = width as usize * 4 + if tight { 0 } else { 12 };
        let mut frame = vec![0; target_stride * height as usize];
        scanout.read(rect, &mut frame, target_stride).expect("read");
        let canary = vec![0x5a; target_stride * height as usize];
        let (mut opaque, mut ignored) = (canary.clone(), canary);
        scanout.copy_to(rect, &mut opaque, target_stride, Alpha::Opaque).expect("copied");
        scanout.copy_to(rect, &mut ignored, target_stride, Alpha::Ignored).expect("copied");
        for (at, pixel) in opaque.chunks(4).enumerate() {
            let (x, y) = ((at * 4 % target_stride / 4) as u32, (at * 4 / target_stride) as u32);
            let inside = rect.contains(Rect { x, y, width: 1, height: 1 });
            prop_assert!(inside || pixel == &[0x5a; 4][..pixel.len()], "pixel {} {} was written", x, y);
        }
        for y in rect.y..rect.bottom() {
            for x in rect.x..rect.right() {
                let row = if bottom_up { height - 1 - y } else { y };
                let from = offset as usize + (row * stride + x * bpp) as usize;
                let mut want = [0; 4];
                format.convert(&bytes[from..from + bpp as usize], &mut want);
                let to = y as usize * target_stride + x as usize * 4;
                prop_assert_eq!(&frame[to..to + 4], &want, "pixel {} {}", x, y);
                prop_assert_eq!(&opaque[to..to + 4], &want, "copied pixel {} {}", x, y);
                prop_assert_eq!(&ignored[to..to + 3], &want[..3], "colours of pixel {} {}", x, y);
            }
        }
    }
}
