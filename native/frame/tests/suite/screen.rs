//! A screen between one producer and several consumers.

use nix::sys::memfd::{MFdFlags, memfd_create};
use sampan_frame::{Cursor, Damage, Geometry, PixelFormat, ReadError, Rect, Scanout, Screen, Size, Staging};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const SIZE: Size = Size { width: 64, height: 32 };

fn shared(fill: u8) -> (File, Scanout) {
    let file = File::from(memfd_create("screen", MFdFlags::empty()).expect("memfd"));
    file.write_all_at(&[fill; 64 * 32 * 4], 0).expect("written");
    let geometry =
        Geometry { size: SIZE, offset: 0, stride: 256, format: PixelFormat::Bgrx8888, bottom_up: false };
    let scanout = Scanout::map(file.try_clone().expect("clone").into(), geometry).expect("mapped");
    (file, scanout)
}

fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
    Rect { x, y, width, height }
}

#[test]
fn each_consumer_has_its_own_damage() {
    let screen = Screen::new();
    let mut early = screen.attach(Box::new(|| ()));
    let mut staging = Staging::new();
    assert!(early.take(&mut staging).expect("read").is_none(), "nothing is shown yet");

    let (file, scanout) = shared(1);
    screen.set_scanout(scanout);
    let mut late = screen.attach(Box::new(|| ()));
    let first = early.take(&mut staging).expect("read").expect("a picture");
    assert!(first.resized);
    assert_eq!(first.damage, [SIZE.rect()]);
    assert_eq!(staging.row(31)[252..], [1, 1, 1, 0xff]);

    file.write_all_at(&[2; 4], 256 * 3 + 4 * 5).expect("the guest paints");
    screen.damage(rect(5, 3, 1, 1));
    let second = early.take(&mut staging).expect("read").expect("damage");
    assert!(!second.resized);
    assert_eq!(second.damage, [rect(5, 3, 1, 1)]);
    assert_eq!(staging.row(3)[20..24], [2, 2, 2, 0xff]);
    assert!(early.take(&mut staging).expect("read").is_none());

    let mut other = Staging::new();
    assert_eq!(late.take(&mut other).expect("read").expect("all").damage, [SIZE.rect()]);
    assert_eq!(other, staging);
}

#[test]
fn damage_outside_is_cut_and_a_flood_stays_bounded() {
    let screen = Screen::new();
    screen.set_scanout(shared(0).1);
    let mut consumer = screen.attach(Box::new(|| ()));
    let mut staging = Staging::new();
    consumer.take(&mut staging).expect("read");
    screen.damage(rect(64, 0, 10, 10));
    screen.damage(rect(0, 0, 0, 5));
    assert!(!consumer.is_damaged());
    screen.damage(rect(60, 30, u32::MAX, u32::MAX));
    assert_eq!(consumer.take(&mut staging).expect("read").expect("cut").damage, [rect(60, 30, 4, 2)]);
    for i in 0..100_000u32 {
        screen.damage(rect(i * 7 % 64, i * 3 % 32, 1 + i % 3, 1));
    }
    assert!(consumer.take(&mut staging).expect("read").expect("all").damage.len() <= Damage::MAX_RECTS);
}

#[test]
fn wakes_come_outside_the_lock_and_stop_with_the_consumer() {
    let screen = Screen::new();
    let wakes = Arc::new(AtomicU32::new(0));
    let consumer = {
        let (wakes, screen2) = (wakes.clone(), Arc::downgrade(&screen));
        screen.attach(Box::new(move || {
            // Each of these takes the screen's lock: a wake under the lock would hang here.
            let screen = screen2.upgrade().expect("alive");
            let _ = (screen.size(), screen.cursor(), screen.attach(Box::new(|| ())));
            wakes.fetch_add(1, Ordering::Relaxed);
        }))
    };
    let mut count = 0;
    let mut expect = |more: u32, what: &str| {
        count += more;
        assert_eq!(wakes.load(Ordering::Relaxed), count, "{what}");
    };
    screen.set_scanout(shared(0).1);
    expect(1, "a scanout");
    screen.damage(rect(0, 0, 1, 1));
    expect(1, "damage");
    screen.damage(rect(999, 0, 1, 1));
    expect(0, "damage outside");
    screen.move_cursor(3, 4, true);
    expect(1, "the cursor");
    screen.move_cursor(3, 4, true);
    expect(0, "a cursor that stays");
    screen.set_cursor_shape(Cursor::from_bgra(1, 1, 0, 0, &[0; 4]).map(Arc::new));
    expect(1, "a shape");
    screen.disable();
    expect(1, "disabled");
    screen.disable();
    expect(0, "disabled already");
    drop(consumer);
    screen.set_scanout(shared(0).1);
    expect(0, "detached");
}

#[test]
fn disabled_shows_nothing_and_comes_back_whole() {
    let screen = Screen::new();
    screen.set_scanout(shared(1).1);
    let mut consumer = screen.attach(Box::new(|| ()));
    let mut staging = Staging::new();
    consumer.take(&mut staging).expect("read");
    screen.disable();
    assert_eq!(screen.size(), None);
    assert!(!consumer.is_damaged());
    assert!(consumer.take(&mut staging).expect("read").is_none());
    screen.set_scanout(shared(9).1);
    let taken = consumer.take(&mut staging).expect("read").expect("a picture");
    assert!(!taken.resized);
    assert_eq!(taken.damage, [SIZE.rect()]);
    assert_eq!(staging.row(0)[..4], [9, 9, 9, 0xff]);
}

#[test]
fn a_new_size_is_told_and_the_staging_follows() {
    let screen = Screen::new();
    screen.set_scanout(shared(1).1);
    let mut consumer = screen.attach(Box::new(|| ()));
    let mut staging = Staging::new();
    consumer.take(&mut staging).expect("read");
    screen.set_blank(Size { width: 3, height: 3 });
    screen.write(rect(1, 1, 1, 1), 4, PixelFormat::Rgbx8888, &[1, 2, 3, 4]).expect("written");
    let taken = consumer.take(&mut staging).expect("read").expect("a picture");
    assert!(taken.resized);
    assert_eq!(staging.pixels.len(), 36);
    assert_eq!(staging.row(1)[4..8], [3, 2, 1, 0xff]);
}

#[test]
fn a_failed_read_does_not_spin_and_the_next_covers_all() {
    let screen = Screen::new();
    let (file, scanout) = shared(1);
    screen.set_scanout(scanout);
    let mut consumer = screen.attach(Box::new(|| ()));
    let mut staging = Staging::new();
    file.set_len(10).expect("shrunk");
    assert!(matches!(consumer.take(&mut staging), Err(ReadError::Shrank)));
    assert!(!consumer.is_damaged());
    assert!(consumer.take(&mut staging).expect("nothing to do").is_none());
    file.set_len(64 * 32 * 4).expect("grown");
    screen.damage(rect(0, 0, 1, 1));
    let taken = consumer.take(&mut staging).expect("read").expect("a picture");
    assert_eq!(taken.damage, [SIZE.rect()]);
}

#[test]
fn invalidate_brings_the_whole_picture_again() {
    let screen = Screen::new();
    screen.set_scanout(shared(1).1);
    let mut consumer = screen.attach(Box::new(|| ()));
    let mut staging = Staging::new();
    consumer.take(&mut staging).expect("read");
    consumer.invalidate();
    assert!(consumer.is_damaged());
    assert_eq!(consumer.take(&mut staging).expect("read").expect("all").damage, [SIZE.rect()]);
}

/// The writer must get in between the bands of readers that read without end.
#[test]
fn readers_and_the_writer_of_owned_memory_share_it() {
    let screen = Screen::new();
    let size = Size { width: 1024, height: 1024 };
    screen.set_blank(size);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                let mut consumer = screen.attach(Box::new(|| ()));
                let mut staging = Staging::new();
                while !stop.load(Ordering::Relaxed) {
                    consumer.invalidate();
                    consumer.take(&mut staging).expect("read");
                }
            });
        }
        let pixels = vec![7; 1024 * 4];
        for y in 0..1024 {
            screen.write(rect(0, y, 1024, 1), 4096, PixelFormat::Bgrx8888, &pixels).expect("written");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let mut staging = Staging::new();
    screen.attach(Box::new(|| ())).take(&mut staging).expect("read");
    assert!(staging.pixels.as_chunks::<4>().0.iter().all(|p| *p == [7, 7, 7, 0xff]));
}
