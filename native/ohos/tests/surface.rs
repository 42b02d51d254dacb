//! The drawing thread against a stand-in for the system's libraries, loaded as the system's are.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use parking_lot::Mutex;
use sampan_frame::{PixelFormat, Rect, Screen, Size};
use sampan_ohos::{Ndk, OhosError, Scaling, Surface, SurfaceEvent, SurfaceStatus};
use sampan_ohos_stand_in as stand_in;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Far beyond what anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

const SIZE: Size = Size { width: 64, height: 48 };

fn ndk() -> Ndk {
    let library = Path::new(stand_in::LIBRARY);
    Ndk::load_from(library, library).unwrap()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come");
        sleep(Duration::from_millis(1));
    }
}

/// A screen, a drawing thread, and what that has told.
struct Stage {
    screen: Arc<Screen>,
    surface: Surface,
    told: Arc<Mutex<Vec<SurfaceEvent>>>,
}

impl Stage {
    fn new() -> Self {
        let screen = Screen::new();
        screen.set_blank(SIZE);
        let told = Arc::<Mutex<Vec<SurfaceEvent>>>::default();
        let tell = told.clone();
        let surface = Surface::start(ndk(), screen.clone(), move |event| tell.lock().push(event)).unwrap();
        Self { screen, surface, told }
    }

    /// Paints a rectangle in one colour.
    fn paint(&self, [x, y, width, height]: [u32; 4], colour: [u8; 3]) {
        let [b, g, r] = colour;
        let rect = Rect { x, y, width, height };
        let pixels = [b, g, r, 0].repeat(rect.area() as usize);
        self.screen.write(rect, width * 4, PixelFormat::Bgrx8888, &pixels).unwrap();
    }

    fn picture(&self) -> Vec<u8> {
        let scanout = self.screen.scanout().unwrap();
        let size = scanout.size();
        let mut pixels = vec![0; size.area() as usize * 4];
        scanout.read(size.rect(), &mut pixels, size.width as usize * 4).unwrap();
        pixels
    }

    fn until_shown(&self, on: stand_in::Surface) {
        let picture = self.picture();
        eventually("the picture", || on.shown() == picture);
    }

    fn resolutions(&self) -> Vec<Size> {
        let told = self.told.lock();
        told.iter()
            .filter_map(|event| match event {
                SurfaceEvent::Resolution(size) => Some(*size),
                SurfaceEvent::Status(_) => None,
            })
            .collect()
    }
}

#[test]
fn the_picture_and_its_changes_are_shown_and_then_nothing_is_drawn() {
    let stage = Stage::new();
    assert_eq!(stage.surface.status(), SurfaceStatus::Detached);
    let on = stand_in::Surface::new();
    stage.surface.attach(on.id(), None, false);
    stage.until_shown(on);
    for i in 0..50 {
        stage.paint([i, i / 2, 9, 7], [i as u8, 100, 200]);
        stage.until_shown(on);
    }
    eventually("its status", || {
        stage.surface.status() == SurfaceStatus::Showing { size: SIZE, scaling: Scaling::Fit }
    });
    // Whatever was still under way is over, and so is the vsync after it.
    sleep(Duration::from_millis(50));
    let before = (on.get("requested"), stand_in::vsync_requests());
    // The cursor wakes the thread; it is no part of the picture.
    for x in 0..20 {
        stage.screen.move_cursor(x, x, true);
        sleep(Duration::from_millis(5));
    }
    assert_eq!((on.get("requested"), stand_in::vsync_requests()), before);
    assert_eq!(stage.surface.drawn().frames, on.get("flushed").unsigned_abs());
    assert_eq!(stand_in::faults(), 0);
}

#[test]
fn there_is_one_frame_for_a_vsync_at_most() {
    stand_in::set_vsync(20_000, stand_in::Vsync::Ticks);
    let stage = Stage::new();
    let on = stand_in::Surface::new();
    let begin = Instant::now();
    stage.surface.attach(on.id(), None, false);
    for i in 0..400 {
        stage.paint([i % 60, 3, 4, 4], [i as u8, 1, 2]);
        sleep(Duration::from_millis(1));
    }
    stage.until_shown(on);
    let (frames, elapsed) = (on.get("flushed"), begin.elapsed().as_millis());
    // Neither a vsync nor the timer in its place lets one through earlier than after 16 ms, but the first two: one at once, and one for
    // the attached surface.
    assert!(u128::from(frames.unsigned_abs()) <= elapsed / 16 + 2, "{frames} frames in {elapsed} ms");
    assert!(stand_in::vsync_requests() > 0);
    assert_eq!(stand_in::faults(), 0);
}

#[test]
fn pictures_come_without_a_vsync_too() {
    use stand_in::Vsync;
    for behaviour in [Vsync::Missing, Vsync::Refuses, Vsync::Silent] {
        stand_in::set_vsync(1000, behaviour);
        let stage = Stage::new();
        let on = stand_in::Surface::new();
        stage.surface.attach(on.id(), None, false);
        for i in 0..10 {
            stage.paint([i, i, 9, 9], [i as u8 + 1, 0, 7]);
            stage.until_shown(on);
        }
    }
    // No library at all.
    let ndk = Ndk::load_from(Path::new(stand_in::LIBRARY), Path::new("libmissing.so")).unwrap();
    let screen = Screen::new();
    screen.set_blank(SIZE);
    let surface = Surface::start(ndk, screen, |_| {}).unwrap();
    let on = stand_in::Surface::new();
    surface.attach(on.id(), None, false);
    eventually("a picture", || !on.shown().is_empty());
    assert_eq!(stand_in::faults(), 0);
}

#[test]
fn a_window_is_closed_when_detaching_returns() {
    let stage = Stage::new();
    for (what, value) in [("fence", 0), ("fence", 2), ("refusals", i32::MAX), ("hold", 1), ("opens_after", 9)]
    {
        let on = stand_in::Surface::new();
        on.set("refusal", 40_601_000);
        on.set(what, value);
        stage.surface.attach(on.id(), Some(SIZE), false);
        stage.paint([0, 0, 20, 20], [1, 2, 3]);
        sleep(Duration::from_millis(20));
        assert!(stage.surface.detach(on.id()), "{what}");
        assert_eq!((on.get("windows"), on.get("outstanding")), (0, 0), "{what}");
        on.destroy();
        // Once more, and for one that never was.
        assert!(stage.surface.detach(on.id()) && stage.surface.detach(7));
        eventually("the end", || stage.surface.status() == SurfaceStatus::Detached);
    }
    assert_eq!(stand_in::faults(), 0);
}

#[test]
fn a_surface_that_ends_underneath_is_told_and_another_is_drawn_on() {
    let stage = Stage::new();
    let first = stand_in::Surface::new();
    stage.surface.attach(first.id(), None, true);
    eventually("a picture", || first.get("flushed") > 0);
    first.destroy();
    stage.paint([5, 5, 5, 5], [9, 9, 9]);
    eventually("its end", || matches!(stage.surface.status(), SurfaceStatus::Lost(_)));
    assert_eq!(first.get("windows"), 0);
    let second = stand_in::Surface::new();
    stage.surface.attach(second.id(), None, false);
    stage.until_shown(second);
    // Its notice comes late: it is for the first, and changes nothing.
    assert!(stage.surface.detach(first.id()));
    stage.surface.resize(first.id(), Size { width: 1, height: 1 });
    stage.paint([6, 6, 5, 5], [9, 8, 7]);
    stage.until_shown(second);
    assert_eq!(stage.resolutions(), []);
    assert_eq!(stand_in::faults(), 0);
}

#[test]
fn a_guest_without_a_picture_is_told_and_shown_again_when_it_has_one() {
    let stage = Stage::new();
    let on = stand_in::Surface::new();
    stage.surface.attach(on.id(), None, false);
    stage.until_shown(on);
    stage.screen.disable();
    eventually("no picture", || stage.surface.status() == SurfaceStatus::Blank);
    // Another resolution, and rows that are padded from now on.
    on.set("padding", 52);
    stage.screen.set_blank(Size { width: 99, height: 3 });
    stage.paint([90, 0, 9, 3], [4, 5, 6]);
    stage.until_shown(on);
    assert_eq!((on.get("width"), on.get("height")), (99, 3));
    assert_eq!(stand_in::faults(), 0);
}

#[test]
fn the_guest_is_told_the_surfaces_size_when_it_stays() {
    let stage = Stage::new();
    let on = stand_in::Surface::new();
    let size = |width| Size { width, height: 600 };
    stage.surface.attach(on.id(), Some(size(800)), false);
    eventually("the first size", || stage.resolutions() == [size(800)]);
    // A window that is dragged.
    for width in 801..830 {
        stage.surface.resize(on.id(), size(width));
        sleep(Duration::from_millis(2));
    }
    eventually("the last size", || stage.resolutions() == [size(800), size(829)]);
    // The same again is nothing new.
    stage.surface.attach(on.id(), Some(size(829)), false);
    stage.surface.resize(on.id(), size(829));
    sleep(Duration::from_millis(300));
    assert_eq!(stage.resolutions(), [size(800), size(829)]);
}

#[test]
fn a_library_without_windows_is_an_error_that_names_what_is_missing() {
    let Err(error) = Ndk::load_from(Path::new("libc.so.6"), Path::new("libc.so.6")) else {
        panic!("libc has windows")
    };
    assert!(matches!(error, OhosError::NoLibrary { .. }));
    #[cfg(target_env = "gnu")]
    assert!(error.to_string().contains("OH_NativeWindow_CreateNativeWindowFromSurfaceId"), "{error}");
    // No HarmonyOS here.
    assert!(Ndk::load().is_err());
}

/// Pages that open, resize and close in any order, from several threads, with surfaces that end at any moment, while the guest paints
/// and changes its resolution.
#[test]
fn any_order_of_calls_leaves_one_picture_and_no_window() {
    stand_in::set_vsync(500, stand_in::Vsync::Ticks);
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Once, so that what stays open for good is open.
    drop(Stage::new());
    let before = descriptors();
    let stage = Stage::new();
    let surfaces: Mutex<Vec<stand_in::Surface>> = Mutex::default();
    std::thread::scope(|threads| {
        for seed in 1..4u32 {
            let (stage, surfaces) = (&stage, &surfaces);
            threads.spawn(move || {
                let mut state = seed;
                let mut any = |n: u32| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) % n
                };
                for _ in 0..300 {
                    let known = surfaces.lock().clone();
                    let one = known.get(any(known.len().max(1) as u32) as usize).copied();
                    match (any(8), one) {
                        (0, _) => {
                            let on = stand_in::Surface::new();
                            on.set("padding", any(9) as i32 * 4);
                            on.set("opens_after", any(3) as i32);
                            on.set("fence", any(2) as i32);
                            on.set("fence_ms", any(3) as i32);
                            surfaces.lock().push(on);
                            stage.surface.attach(on.id(), Some(SIZE), any(2) == 0);
                        }
                        (1, Some(on)) => stage.surface.attach(on.id(), None, any(2) == 0),
                        (2, Some(on)) => {
                            stage.surface.resize(on.id(), Size { width: 1 + any(999), height: 7 })
                        }
                        (3, Some(on)) => drop(stage.surface.detach(on.id())),
                        (4, Some(on)) => {
                            let mut surfaces = surfaces.lock();
                            surfaces.retain(|other| *other != on);
                            on.destroy();
                        }
                        (5, _) => stage.screen.set_blank(Size { width: 1 + any(80), height: 1 + any(50) }),
                        _ => {
                            let rect = Rect { x: any(70), y: any(50), width: 8, height: 8 };
                            let pixels = [seed as u8; 8 * 8 * 4];
                            // Beside a picture that has just become smaller it paints nothing.
                            stage.screen.write(rect, 32, PixelFormat::Bgrx8888, &pixels).unwrap();
                        }
                    }
                    sleep(Duration::from_micros(any(1500).into()));
                }
            });
        }
    });
    let last = stand_in::Surface::new();
    stage.surface.attach(last.id(), None, false);
    stage.until_shown(last);
    drop(stage);
    for on in surfaces.into_inner().into_iter().chain([last]) {
        assert_eq!((on.get("windows"), on.get("outstanding")), (0, 0));
        on.destroy();
    }
    assert_eq!(stand_in::faults(), 0);
    // The stand-in closes late fences by threads of its own.
    eventually("the end of all descriptors", || descriptors() <= before);
}
