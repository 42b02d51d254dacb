//! A display through the kernel's mode setting: one dumb buffer, shown at the size the display prefers.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use ::drm::buffer::{Buffer, DrmFourcc};
use ::drm::control::dumbbuffer::DumbBuffer;
use ::drm::control::{ClipRect, Device as Control, Mode, ModeTypeFlags, connector, crtc, framebuffer};
use ::drm::control::{CrtcListFilter, ResourceHandles};
use ::drm::{Device, DriverCapability};
use tiny_guest::canvas::Canvas;
use tiny_guest::{Rect, cursor};

use crate::display::Surface;
use crate::further::Further;
use crate::{Failure, console};

/// Cursor planes that tell no size take this.
const CURSOR_SIDE: u32 = 64;

/// A card, its connector and its scan-out engine.
pub struct Output {
    card: Card,
    connector: connector::Handle,
    crtc: crtc::Handle,
    driver: String,
    /// The displays beyond it.
    further: RefCell<Vec<Further>>,
}

/// An opened `/dev/dri/card*`.
pub struct Card(File);

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Device for Card {}
impl Control for Card {}

impl Output {
    /// The first card with a connected display, if there is one.
    pub fn find() -> Option<Self> {
        let mut paths: Vec<_> = fs::read_dir("/dev/dri").ok()?.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("card")));
        paths.sort();
        paths.iter().find_map(|path| {
            let card = Card(OpenOptions::new().read(true).write(true).open(path).ok()?);
            Self::on(card).ok().flatten()
        })
    }

    fn on(card: Card) -> io::Result<Option<Self>> {
        let resources = card.resource_handles()?;
        for &handle in resources.connectors() {
            let info = card.get_connector(handle, true)?;
            if info.state() != connector::State::Connected {
                continue;
            }
            if let Some(crtc) = crtc_for(&card, &resources, &info, |_| true)? {
                let driver = card.get_driver()?.name().to_string_lossy().into_owned();
                return Ok(Some(Self { card, connector: handle, crtc, driver, further: RefCell::default() }));
            }
        }
        Ok(None)
    }

    /// The kernel's name of the driver.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The mode that the display prefers now, `None` while nothing is connected.
    pub fn preferred(&self) -> io::Result<Option<Mode>> {
        Ok(mode_of(&self.card.get_connector(self.connector, true)?))
    }

    /// Shows displays beyond the first as they are connected now; whether they are others than before.
    fn look_further(&self) -> io::Result<bool> {
        let (card, mut further, mut changed) = (&self.card, self.further.borrow_mut(), false);
        let resources = card.resource_handles()?;
        for (number, &handle) in (1..).zip(resources.connectors()) {
            if handle == self.connector {
                continue;
            }
            let info = card.get_connector(handle, true)?;
            let mode = mode_of(&info);
            let at = further.iter().position(|other| other.connector == handle);
            if at.map(|at| further[at].mode) == mode {
                continue;
            }
            changed = true;
            let old = at.map(|at| further.remove(at));
            let used = |crtc| crtc == self.crtc || further.iter().any(|other| other.crtc == crtc);
            let crtc = crtc_for(card, &resources, &info, |crtc| !used(crtc))?;
            if let Some((crtc, mode)) = crtc.zip(mode) {
                let new = Further::show(card, (handle, crtc, mode), number);
                if let Some(old) = old {
                    old.remove(card, false);
                }
                // They keep the order of the connectors.
                let place = at.unwrap_or(further.len());
                further.insert(place, new?);
            } else if let Some(old) = old {
                old.remove(card, true);
            }
        }
        Ok(changed)
    }

    /// Makes a screen of a mode's size and lets `paint` use it until it returns. The mode is set with the first
    /// flush, so that the display goes from one picture to the next without a gap; `last` is what it shows until then,
    /// and what it shows afterwards.
    pub fn show<T>(
        &self,
        mode: Mode,
        last: &mut Option<Shown>,
        paint: impl FnOnce(&mut dyn Surface) -> T,
    ) -> Result<T, Failure> {
        let (width, height) = (u32::from(mode.size().0), u32::from(mode.size().1));
        let say = |what: &'static str| {
            move |error: io::Error| Failure::from(format!("{what} of {width}x{height}: {error}"))
        };
        let card = &self.card;
        let create = || card.create_dumb_buffer((width, height), DrmFourcc::Xrgb8888, 32);
        let mut shown = last.take();
        let buffer = create().or_else(|_| {
            // A card with little memory may not hold the new buffer beside the old one.
            let _ = card.set_crtc(self.crtc, None, (0, 0), &[], None);
            if let Some(old) = shown.take() {
                old.destroy(card);
            }
            create()
        });
        let mut buffer = buffer.map_err(say("cannot create a screen buffer"))?;
        let framebuffer =
            card.add_framebuffer(&buffer, 24, 32).map_err(say("cannot register the screen buffer"))?;
        let stride = buffer.pitch() as usize;
        let result = {
            let mut pixels =
                card.map_dumb_buffer(&mut buffer).map_err(say("cannot map the screen buffer"))?;
            let mut screen = Screen {
                output: self,
                mode,
                framebuffer,
                pixels: &mut pixels,
                stride,
                size: (width, height),
                shown: false,
                dirty: true,
                before: shown,
                pointer: None,
            };
            let result = paint(&mut screen);
            if let Some(pointer) = screen.pointer {
                pointer.remove();
            }
            result
        };
        *last = Some(Shown { framebuffer, buffer });
        Ok(result)
    }
}

/// What the display shows, kept until it shows something else.
pub struct Shown {
    framebuffer: framebuffer::Handle,
    buffer: DumbBuffer,
}

impl Shown {
    /// Failing to free memory of a buffer that nothing shows is not worth stopping for.
    fn destroy(self, card: &Card) {
        let _ = card.destroy_framebuffer(self.framebuffer);
        let _ = card.destroy_dumb_buffer(self.buffer);
    }
}

/// The mode that a display prefers, `None` while nothing is connected.
fn mode_of(info: &connector::Info) -> Option<Mode> {
    if info.state() != connector::State::Connected {
        return None;
    }
    let preferred = info.modes().iter().find(|mode| mode.mode_type().contains(ModeTypeFlags::PREFERRED));
    preferred.or(info.modes().first()).copied()
}

fn crtc_for(
    card: &Card,
    resources: &ResourceHandles,
    connector: &connector::Info,
    free: impl Fn(crtc::Handle) -> bool,
) -> io::Result<Option<crtc::Handle>> {
    for &encoder in connector.encoders() {
        let filter: CrtcListFilter = card.get_encoder(encoder)?.possible_crtcs();
        if let Some(crtc) = resources.filter_crtcs(filter).into_iter().find(|crtc| free(*crtc)) {
            return Ok(Some(crtc));
        }
    }
    Ok(None)
}

/// One mode's buffer while it is shown.
struct Screen<'a> {
    output: &'a Output,
    mode: Mode,
    framebuffer: framebuffer::Handle,
    pixels: &'a mut [u8],
    stride: usize,
    size: (u32, u32),
    /// Whether the mode is set.
    shown: bool,
    /// What the display showed until then.
    before: Option<Shown>,
    /// Whether the driver wants to be told what changed.
    dirty: bool,
    pointer: Option<Pointer<'a>>,
}

impl Surface for Screen<'_> {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn canvas(&mut self) -> Canvas<'_> {
        Canvas::new(self.pixels, self.stride, self.size.0, self.size.1)
    }

    fn flush(&mut self, rects: &[Rect]) -> io::Result<()> {
        let Output { card, crtc, connector, .. } = self.output;
        if !self.shown {
            card.set_crtc(*crtc, Some(self.framebuffer), (0, 0), &[*connector], Some(self.mode))?;
            self.shown = true;
            if let Some(old) = self.before.take() {
                old.destroy(card);
            }
            self.pointer = Pointer::new(card, *crtc);
            return Ok(());
        }
        let edge = |v: u32| u16::try_from(v).unwrap_or(u16::MAX);
        let clips: Vec<_> = rects
            .iter()
            .map(|r| r.within(self.size.0, self.size.1))
            .filter(|r| !r.is_empty())
            .map(|r| ClipRect::new(edge(r.x), edge(r.y), edge(r.right()), edge(r.bottom())))
            .collect();
        // No clip would mean the whole screen.
        if clips.is_empty() || !self.dirty {
            return Ok(());
        }
        match card.dirty_framebuffer(self.framebuffer, &clips) {
            // Such a card scans out the very memory that was painted: nothing to tell.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOSYS.raw_os_error()) => {
                self.dirty = false;
                Ok(())
            }
            result => result,
        }
    }

    fn move_pointer(&mut self, x: u32, y: u32) -> bool {
        self.pointer.as_mut().is_some_and(|pointer| pointer.show(x, y).is_ok())
    }

    fn look_further(&mut self) -> bool {
        self.output.look_further().unwrap_or_else(|error| {
            console::say(&format!("sampan-guest: a further display is not shown: {error}"));
            true
        })
    }

    fn further(&self) -> Vec<(u32, u32)> {
        self.output.further.borrow().iter().map(|further| further.size).collect()
    }

    fn stroke_further(&mut self, which: usize, from: (u32, u32), to: (u32, u32), pen: u32) {
        let drawn = self
            .output
            .further
            .borrow_mut()
            .get_mut(which)
            .map(|further| further.stroke(&self.output.card, from, to, pen));
        if let Some(Err(error)) = drawn {
            console::say(&format!("sampan-guest: a further display is not drawn on: {error}"));
        }
    }
}

/// The cursor plane.
struct Pointer<'a> {
    card: &'a Card,
    crtc: crtc::Handle,
    buffer: DumbBuffer,
    shown: bool,
}

impl<'a> Pointer<'a> {
    /// Uploads the pointer's picture; `None` when the card has no cursor plane.
    fn new(card: &'a Card, crtc: crtc::Handle) -> Option<Self> {
        let side = |capability| {
            let side = card.get_driver_capability(capability).ok()?;
            u32::try_from(side).ok().filter(|&side| side >= cursor::SIDE)
        };
        let width = side(DriverCapability::CursorWidth).unwrap_or(CURSOR_SIDE);
        let height = side(DriverCapability::CursorHeight).unwrap_or(CURSOR_SIDE);
        let mut buffer = card.create_dumb_buffer((width, height), DrmFourcc::Argb8888, 32).ok()?;
        let stride = buffer.pitch() as usize;
        let painted = card.map_dumb_buffer(&mut buffer).map(|mut pixels| {
            let mut canvas = Canvas::new(&mut pixels, stride, width, height);
            canvas.fill(Rect::new(0, 0, width, height), 0);
            for (y, x) in (0..cursor::SIDE).flat_map(|y| (0..cursor::SIDE).map(move |x| (y, x))) {
                if let Some(color) = cursor::pixel(x, y) {
                    canvas.set(x, y, 0xff00_0000 | color);
                }
            }
        });
        let mut pointer = Self { card, crtc, buffer, shown: false };
        // The probe shows it at the corner for a moment; hiding it again also tells whether that works.
        if painted.is_ok() && pointer.show(0, 0).is_ok() && pointer.hide().is_ok() {
            return Some(pointer);
        }
        pointer.remove();
        None
    }

    /// The legacy requests carry the hot spot on every kernel; on a plane it needs a property that old ones lack.
    #[expect(deprecated, reason = "the cursor ioctls are the ones that carry a hot spot on every kernel")]
    fn show(&mut self, x: u32, y: u32) -> io::Result<()> {
        let corner = |v: u32| i32::try_from(v).unwrap_or(i32::MAX) - cursor::HOT as i32;
        self.card.move_cursor(self.crtc, (corner(x), corner(y)))?;
        if !self.shown {
            let hot = (cursor::HOT as i32, cursor::HOT as i32);
            self.card.set_cursor2(self.crtc, Some(&self.buffer), hot)?;
            self.shown = true;
        }
        Ok(())
    }

    #[expect(deprecated, reason = "as `show`")]
    fn hide(&mut self) -> io::Result<()> {
        self.shown = false;
        self.card.set_cursor(self.crtc, None::<&DumbBuffer>)
    }

    fn remove(mut self) {
        let _ = self.hide();
        let _ = self.card.destroy_dumb_buffer(self.buffer);
    }
}
