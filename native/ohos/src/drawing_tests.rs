//! The drawing against a stand-in for the system's windows, in any order of what may happen. Time is simulated.

use super::*;
use nix::sys::memfd::{MFdFlags, memfd_create};
use proptest::prelude::*;
use sampan_frame::{Geometry, PixelFormat, Rect, Screen};
use sampan_ohos_stand_in as stand_in;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

fn ndk() -> Ndk {
    let library = Path::new(stand_in::LIBRARY);
    Ndk::load_from(library, library).expect("the stand-in")
}

/// How many descriptors this process has.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc").count()
}

/// A screen with the memory that a guest paints in.
struct Guest {
    screen: Arc<Screen>,
    memory: Option<(File, Geometry)>,
    painted: u32,
}

impl Guest {
    fn new() -> Self {
        Self { screen: Screen::new(), memory: None, painted: 0 }
    }

    fn scanout(&mut self, size: Size, format: PixelFormat, padding: u32, bottom_up: bool) {
        let stride = size.width * format.bytes_per_pixel() + padding;
        let geometry = Geometry { size, offset: 0, stride, format, bottom_up };
        let file = File::from(memfd_create("scanout", MFdFlags::empty()).expect("memfd"));
        let bytes: Vec<u8> = (0..stride * size.height).map(|i| ((i * 31) >> 3) as u8).collect();
        file.write_all_at(&bytes, 0).expect("written");
        let ours = file.try_clone().expect("a second descriptor");
        self.screen.set_scanout(Scanout::map(ours.into(), geometry).expect("mapped"));
        self.memory = Some((file, geometry));
    }

    /// Paints a rectangle and tells, as QEMU does.
    fn paint(&mut self, [x, y, width, height]: [u32; 4]) {
        let Some((file, geometry)) = &self.memory else { return };
        let Some(rect) = (Rect { x, y, width, height }).intersect(geometry.size.rect()) else { return };
        self.painted += 1;
        let bpp = geometry.format.bytes_per_pixel();
        let row: Vec<u8> = (0..rect.width * bpp).map(|i| (i * 7 + self.painted * 13) as u8).collect();
        for y in rect.y..rect.bottom() {
            let y = if geometry.bottom_up { geometry.size.height - 1 - y } else { y };
            let at = y * geometry.stride + rect.x * bpp;
            file.write_all_at(&row, at.into()).expect("painted");
        }
        self.screen.damage(rect);
    }

    fn picture(&self) -> Option<Vec<u8>> {
        let scanout = self.screen.scanout()?;
        let size = scanout.size();
        let mut pixels = vec![0; size.area() as usize * 4];
        scanout.read(size.rect(), &mut pixels, size.width as usize * 4).expect("read");
        Some(pixels)
    }
}

struct Stage {
    guest: Guest,
    drawing: Drawing,
    now: Instant,
    surfaces: Vec<(stand_in::Surface, bool)>,
    /// Which of them is aimed at, and whether its fourth byte counts.
    aimed: Option<(usize, bool)>,
}

#[derive(Clone, Debug)]
enum Act {
    Attach { buffers: i32, padding: i32, opens_after: i32, opaque: bool },
    AttachAgain { which: usize, opaque: bool },
    Detach,
    Destroy { which: usize },
    Scanout { size: usize, format: usize, padding: u32, bottom_up: bool },
    Disable,
    Paint([u32; 4]),
    Set { what: &'static str, value: i32 },
    Refuse { times: i32, code: i32 },
    Turn { ms: u64 },
    Check,
}

const SIZES: [(u32, u32); 4] = [(64, 48), (64, 49), (33, 17), (1, 1)];
const FORMATS: [PixelFormat; 3] = [PixelFormat::Bgrx8888, PixelFormat::Rgbx8888, PixelFormat::Rgb565];
const KNOBS: [(&str, i32); 4] = [("hold", 0), ("fence", 0), ("odd", 0), ("buffers", 3)];

impl Stage {
    fn new() -> Self {
        let guest = Guest::new();
        let consumer = guest.screen.attach(Box::new(|| {}));
        let drawing = Drawing::new(ndk(), consumer);
        Self { guest, drawing, now: Instant::now(), surfaces: Vec::new(), aimed: None }
    }

    fn surface(&self) -> Option<(stand_in::Surface, bool)> {
        let (index, _) = self.aimed?;
        self.surfaces.get(index).copied()
    }

    fn aim(&mut self, which: usize, opaque: bool) {
        self.aimed = Some((which, opaque));
        let surface = self.surfaces[which].0.id();
        self.drawing.aim(Some(Target { surface, opaque }), self.now);
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Attach { buffers, padding, opens_after, opaque } => {
                let surface = stand_in::Surface::new();
                surface.set("buffers", buffers);
                surface.set("padding", padding);
                surface.set("opens_after", opens_after);
                self.surfaces.push((surface, true));
                self.aim(self.surfaces.len() - 1, opaque);
            }
            Act::AttachAgain { which, opaque } if !self.surfaces.is_empty() => {
                self.aim(which % self.surfaces.len(), opaque);
            }
            Act::Detach => {
                self.drawing.aim(None, self.now);
                self.aimed = None;
            }
            Act::Destroy { which } if !self.surfaces.is_empty() => {
                let which = which % self.surfaces.len();
                self.surfaces[which].0.destroy();
                self.surfaces[which].1 = false;
            }
            Act::Scanout { size, format, padding, bottom_up } => {
                let (width, height) = SIZES[size];
                self.guest.scanout(Size { width, height }, FORMATS[format], padding, bottom_up);
            }
            Act::Disable => {
                self.guest.screen.disable();
                self.guest.memory = None;
            }
            Act::Paint(rect) => self.guest.paint(rect),
            Act::Set { what, value } => {
                if let Some((surface, true)) = self.surface() {
                    surface.set(what, value);
                }
            }
            Act::Refuse { times, code } => {
                if let Some((surface, true)) = self.surface() {
                    surface.set("refusal", code);
                    surface.set("refusals", times);
                }
            }
            Act::Turn { ms } => self.turn(ms),
            Act::Check => self.check(),
            Act::AttachAgain { .. } | Act::Destroy { .. } => {}
        }
    }

    fn turn(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        let turn = self.drawing.turn(self.now);
        assert!(!turn.drew || turn.again.is_none());
        for (surface, alive) in &self.surfaces {
            if *alive {
                let done = surface.get("flushed") + surface.get("aborted");
                assert_eq!(surface.get("requested"), done, "every buffer is flushed or aborted");
            }
            assert!(surface.get("windows") <= 1);
        }
        assert_eq!(stand_in::faults(), 0);
    }

    /// Everything behaves, and time passes.
    fn settle(&mut self) {
        for &(surface, _) in self.surfaces.iter().filter(|(_, alive)| *alive) {
            KNOBS.iter().for_each(|&(what, value)| surface.set(what, value));
            surface.set("refusals", 0);
            surface.set("opens_after", 0);
        }
        for _ in 0..20 {
            self.turn(1000);
        }
    }

    /// What is shown is what the guest paints.
    fn check(&mut self) {
        self.settle();
        if let (Some((which, opaque)), SurfaceStatus::Lost(_)) = (self.aimed, self.drawing.status()) {
            // Given up while the surface refused. The page would attach another.
            self.aim(which, opaque);
            self.settle();
        }
        let Some((surface, alive)) = self.surface() else {
            assert_eq!(*self.drawing.status(), SurfaceStatus::Detached);
            return;
        };
        let (_, opaque) = self.aimed.expect("it is aimed at");
        match (alive, self.guest.picture()) {
            (false, _) => {
                // With nothing to draw, its end is not noticed.
                let status = self.drawing.status().clone();
                let noticed = matches!(status, SurfaceStatus::Lost(_));
                assert!(noticed || self.drawing.pending.is_none(), "{status:?}");
            }
            (true, None) => assert_eq!(*self.drawing.status(), SurfaceStatus::Blank),
            (true, Some(mut picture)) => {
                let status = self.drawing.status().clone();
                assert!(matches!(status, SurfaceStatus::Showing { .. }), "{status:?}");
                let mut shown = surface.shown();
                if opaque {
                    let colours =
                        |pixels: &mut Vec<u8>| pixels.iter_mut().skip(3).step_by(4).for_each(|a| *a = 0);
                    colours(&mut picture);
                    colours(&mut shown);
                }
                assert!(shown == picture, "what is shown is not what the guest painted");
            }
        }
        if !alive {
            return;
        }
        // Nothing changes, so nothing is drawn.
        let before = surface.get("requested");
        for _ in 0..3 {
            self.turn(1000);
        }
        assert_eq!(surface.get("requested"), before, "nothing is requested when nothing changed");
        assert_eq!(surface.get("windows"), 1);
    }
}

fn acts() -> impl Strategy<Value = Act> {
    let rect = prop::array::uniform4(0u32..70);
    let behaviour = prop_oneof![
        6 => (0..2i32).prop_map(|value| ("hold", value)),
        6 => (1..4i32).prop_map(|value| ("buffers", value)),
        3 => (0..3i32).prop_map(|value| ("padding", value * 20)),
        3 => (1..7i32).prop_map(|value| ("odd", value)),
        3 => Just(("fence", 1)),
        3 => (0..4i32).prop_map(|value| ("fence_ms", value)),
        // Each costs the time that a fence may take.
        1 => Just(("fence", 2)),
        3 => Just(("fence", 0)),
    ];
    let codes = prop::sample::select(&[40_601_000, 41_202_000, 41_211_000, 50_002_000, -1][..]);
    prop_oneof![
        2 => (1..4i32, 0..3i32, 0..3i32, any::<bool>()).prop_map(|(buffers, padding, opens_after, opaque)| {
            Act::Attach { buffers, padding: padding * 12, opens_after, opaque }
        }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, opaque)| Act::AttachAgain { which, opaque }),
        1 => Just(Act::Detach),
        1 => any::<usize>().prop_map(|which| Act::Destroy { which }),
        3 => (0..4usize, 0..3usize, 0..20u32, any::<bool>()).prop_map(|(size, format, padding, bottom_up)| {
            Act::Scanout { size, format, padding, bottom_up }
        }),
        1 => Just(Act::Disable),
        25 => rect.prop_map(Act::Paint),
        4 => behaviour.prop_map(|(what, value)| Act::Set { what, value }),
        2 => (1..4i32, codes).prop_map(|(times, code)| Act::Refuse { times, code }),
        25 => (0..60u64).prop_map(|ms| Act::Turn { ms }),
        4 => Just(Act::Check),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: what is shown in the end is what the guest painted, every buffer is flushed or
    /// aborted, no rule of the NDK is broken, nothing is drawn when nothing changed, and no descriptor is left.
    #[test]
    fn what_is_shown_is_what_the_guest_painted(acts in prop::collection::vec(acts(), 1..60)) {
        // Before it, so that the stand-in is loaded.
        drop(ndk());
        let mut late = 0;
        let before = loop {
            // Fences of the case before are signalled by threads of the stand-in, which close them a moment later.
            let now = descriptors();
            std::thread::sleep(Duration::from_millis(1));
            if descriptors() == now || late > 100 {
                break now;
            }
            late += 1;
        };
        let mut stage = Stage::new();
        stage.act(Act::Scanout { size: 0, format: 0, padding: 0, bottom_up: false });
        stage.act(Act::Attach { buffers: 3, padding: 0, opens_after: 0, opaque: false });
        for act in acts {
            stage.act(act);
        }
        stage.check();
        let Stage { guest, drawing, surfaces, .. } = stage;
        drop(drawing);
        for (surface, alive) in surfaces {
            assert_eq!(surface.get("windows"), 0, "every window is closed");
            if alive {
                surface.destroy();
            }
        }
        drop(guest);
        // As above.
        let mut left = descriptors();
        for _ in 0..1000 {
            if left <= before {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            left = descriptors();
        }
        prop_assert!(left <= before, "{} descriptors instead of {}", left, before);
        prop_assert_eq!(stand_in::faults(), 0);
    }
}

fn showing(size: (u32, u32), buffers: i32) -> (Stage, stand_in::Surface) {
    let mut stage = Stage::new();
    let size = Size { width: size.0, height: size.1 };
    stage.guest.scanout(size, PixelFormat::Bgrx8888, 0, false);
    stage.act(Act::Attach { buffers, padding: 0, opens_after: 0, opaque: false });
    let surface = stage.surfaces[0].0;
    stage.turn(1);
    (stage, surface)
}

#[test]
fn each_buffer_gets_what_changed_since_its_own_last_turn() {
    let (mut stage, _) = showing((64, 48), 3);
    let whole = 64 * 48 * 4;
    assert_eq!(stage.drawing.drawn(), Drawn { frames: 1, bytes: whole });
    let mut copied = Vec::new();
    for i in 0..6 {
        stage.guest.paint([i * 8, 0, 4, 4]);
        let before = stage.drawing.drawn().bytes;
        stage.turn(16);
        copied.push(stage.drawing.drawn().bytes - before);
    }
    // The second and third buffer are new; from then on each lacks what was painted in the last three frames.
    let three = 3 * 4 * 4 * 4;
    assert_eq!(copied, [whole, whole, three, three, three, three]);
    stage.check();
}

#[test]
fn the_window_is_made_as_the_system_wants_it() {
    let (stage, surface) = showing((64, 48), 3);
    // BGRA_8888, CPU_WRITE | MEM_DMA, a tenth of a second, SCALE_FIT_V2.
    let set = ["format", "usage", "timeout", "scaling"].map(|what| surface.get(what));
    assert_eq!(set, [20, 2 | 8, 100, 4]);
    let size = Size { width: 64, height: 48 };
    assert_eq!(*stage.drawing.status(), SurfaceStatus::Showing { size, scaling: Scaling::Fit });
}

#[test]
fn a_refusal_is_tried_again_at_growing_intervals() {
    let (mut stage, surface) = showing((64, 48), 3);
    surface.set("refusal", 40_601_000);
    surface.set("refusals", 1000);
    stage.guest.paint([0, 0, 9, 9]);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let again = stage.drawing.turn(stage.now).again.expect("it is tried again");
        waits.push((again - stage.now).as_millis());
        // Before its time nothing is requested.
        let left = 1000 - surface.get("aborted");
        assert_eq!(stage.drawing.turn(stage.now).again, Some(again));
        assert_eq!(1000 - surface.get("aborted"), left);
        stage.now = again;
    }
    assert_eq!(waits, [4, 8, 16, 32, 64, 128, 256, 500, 500, 500, 500, 500]);
    let status = stage.drawing.status().clone();
    assert!(matches!(&status, SurfaceStatus::Retrying(why) if why.code == "surface_not_ready"), "{status:?}");
    surface.set("refusals", 0);
    stage.check();
}

#[test]
fn a_surface_too_new_is_tried_for_a_while_and_then_given_up() {
    let mut stage = Stage::new();
    stage.guest.scanout(Size { width: 8, height: 8 }, PixelFormat::Bgrx8888, 0, false);
    stage.act(Act::Attach { buffers: 3, padding: 0, opens_after: 20, opaque: false });
    let begin = stage.now;
    while let Some(again) = stage.drawing.turn(stage.now).again {
        assert_eq!(*stage.drawing.status(), SurfaceStatus::Attaching);
        stage.now = again;
    }
    assert!(matches!(stage.drawing.status(), SurfaceStatus::Showing { .. }));
    assert_eq!(stage.now - begin, 20 * ATTACH_INTERVAL);

    stage.act(Act::Attach { buffers: 3, padding: 0, opens_after: i32::MAX, opaque: false });
    let begin = stage.now;
    while let Some(again) = stage.drawing.turn(stage.now).again {
        stage.now = again;
    }
    assert!(matches!(stage.drawing.status(), SurfaceStatus::Lost(why) if why.code == "surface_lost"));
    assert_eq!(stage.now - begin, ATTACH_LIMIT);
}

#[test]
fn a_surface_that_ends_while_it_is_drawn_on_is_lost_at_once() {
    let (mut stage, surface) = showing((64, 48), 3);
    surface.destroy();
    stage.surfaces[0].1 = false;
    stage.guest.paint([0, 0, 1, 1]);
    assert_eq!(stage.drawing.turn(stage.now), Turn { drew: false, again: None });
    assert!(matches!(stage.drawing.status(), SurfaceStatus::Lost(_)));
    assert_eq!(surface.get("windows"), 0);
    stage.act(Act::Attach { buffers: 2, padding: 4, opens_after: 0, opaque: true });
    stage.check();
}

#[test]
fn a_picture_that_cannot_be_read_is_read_again_when_it_changes() {
    let (mut stage, surface) = showing((64, 48), 3);
    let (file, _) = stage.guest.memory.as_ref().expect("a picture");
    file.set_len(100).expect("shrunk");
    stage.guest.screen.damage(Rect { x: 0, y: 40, width: 9, height: 8 });
    assert_eq!(stage.drawing.turn(stage.now), Turn { drew: false, again: None });
    assert!(matches!(stage.drawing.status(), SurfaceStatus::Retrying(why) if why.code == "bad_scanout"));
    assert_eq!(surface.get("aborted"), 1);
    let (file, geometry) = stage.guest.memory.as_ref().expect("a picture");
    file.set_len((geometry.stride * geometry.size.height).into()).expect("grown");
    stage.guest.paint([3, 3, 3, 3]);
    stage.check();
}

#[test]
fn a_buffer_that_is_never_free_and_one_that_lies_are_given_back() {
    let (mut stage, surface) = showing((64, 48), 3);
    for (what, value) in
        [("fence", 2), ("odd", 1), ("odd", 2), ("odd", 3), ("odd", 4), ("odd", 5), ("odd", 6)]
    {
        surface.set(what, value);
        stage.guest.paint([0, 0, 5, 5]);
        let before = surface.get("aborted");
        stage.turn(1000);
        assert_eq!(surface.get("aborted"), before + 1, "{what} {value}");
        assert!(matches!(stage.drawing.status(), SurfaceStatus::Retrying(_)), "{what} {value}");
        stage.check();
    }
}
