//! What a listener knows about its console's picture, and how each call changes it.

use crate::fault::DisplayFault;
use crate::inactive::is_inactive;
use sampan_frame::{Cursor, PixelFormat, Rect, Scanout, Screen, Size};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// Bytes that the pictures of all consoles of a machine may take, where they are not QEMU's own memory.
///
/// Two screens of the largest size, or sixteen of 4K.
const LIMIT: u64 = 512 << 20;

/// The console's own idea of its size, by its properties `Width` and `Height`.
///
/// QEMU sends no new `Scanout` when a console without shared memory is resized, only updates that reach further, so
/// this is what tells the new size.
#[derive(Debug, Default)]
pub struct GuestSize(AtomicU64);

impl GuestSize {
    /// The size, if it is one that a screen may have.
    pub fn get(&self) -> Option<Size> {
        let both = self.0.load(Ordering::Relaxed);
        Size::new((both >> 32) as u32, both as u32).ok()
    }

    /// Notes either side or both.
    pub fn set(&self, width: Option<u32>, height: Option<u32>) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |both| {
            let width = width.unwrap_or((both >> 32) as u32);
            let height = height.unwrap_or(both as u32);
            Some((u64::from(width) << 32) | u64::from(height))
        });
    }
}

/// How much memory the pictures of all consoles take together.
#[derive(Debug, Default)]
pub struct Budget(AtomicU64);

impl Budget {
    fn replace(&self, old: u64, new: u64) -> Result<(), DisplayFault> {
        let swapped = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let used = used.saturating_sub(old).checked_add(new)?;
            (used <= LIMIT).then_some(used)
        });
        swapped.map(|_| ()).map_err(|_| DisplayFault::Memory(new))
    }
}

/// The picture of one console as its listener knows it.
#[derive(Debug)]
pub struct Picture {
    screen: Arc<Screen>,
    guest_size: Arc<GuestSize>,
    budget: Arc<Budget>,
    /// Bytes of `budget` that this picture holds.
    held: u64,
    shown: Shown,
    /// The cursor's upper left corner, and whether it is shown.
    corner: (i32, i32, bool),
    /// Told whether the guest uses the output.
    lit: watch::Sender<Option<bool>>,
    /// Whether nothing is shown of an output that the guest does not use.
    hides_inactive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    /// The guest does not use the output: what QEMU draws there is left out.
    Inactive,
    /// QEMU's memory.
    Shared(Size),
    /// Our memory, and the console's size when it was last replaced.
    Owned(Size, Option<Size>),
}

impl Picture {
    /// A picture that shows nothing yet on `screen`.
    pub fn new(screen: Arc<Screen>, guest_size: Arc<GuestSize>, budget: Arc<Budget>) -> Self {
        let (shown, corner) = (Shown::Nothing, (0, 0, false));
        Self {
            screen,
            guest_size,
            budget,
            held: 0,
            shown,
            corner,
            lit: watch::Sender::new(None),
            hides_inactive: false,
        }
    }

    /// The same picture; `lit` is told whether the guest uses the output, and with `hides_inactive` nothing is shown while it does not.
    pub(crate) fn of_output(mut self, lit: watch::Sender<Option<bool>>, hides_inactive: bool) -> Self {
        (self.lit, self.hides_inactive) = (lit, hides_inactive);
        self
    }

    /// Where it is shown.
    pub fn screen(&self) -> &Arc<Screen> {
        &self.screen
    }

    pub(crate) fn disable(&mut self) {
        self.screen.disable();
        self.shown = Shown::Nothing;
        let _ = self.hold(0);
    }

    /// Notes whether the guest uses the output, by a new picture of it. True if the picture is not to be shown.
    fn judge(&mut self, scanout: &Scanout) -> bool {
        let inactive = is_inactive(scanout);
        let lit = Some(!inactive);
        self.lit.send_if_modified(|known| std::mem::replace(known, lit) != lit);
        let hidden = inactive && self.hides_inactive;
        if hidden {
            self.disable();
            self.shown = Shown::Inactive;
        }
        hidden
    }

    pub(crate) fn share(&mut self, scanout: Scanout) {
        if self.judge(&scanout) {
            return;
        }
        self.shown = Shown::Shared(scanout.size());
        self.screen.set_scanout(scanout);
        let _ = self.hold(0);
    }

    /// `Scanout`: a whole picture.
    pub(crate) fn scanout(
        &mut self,
        width: u32,
        height: u32,
        stride: u32,
        format: u32,
        data: &[u8],
    ) -> Result<(), DisplayFault> {
        let size = Size::new(width, height)?;
        let format = PixelFormat::from_pixman(format)?;
        if let Shown::Owned(shown, _) = self.shown
            && shown == size
        {
            self.screen.write(size.rect(), stride, format, data)?;
            if self.screen.scanout().is_some_and(|scanout| self.judge(&scanout)) {
                return Ok(());
            }
        } else {
            self.hold(size.area() * 4)?;
            let scanout = Scanout::blank(size);
            // Filled before it is shown, so that nobody sees it black.
            let written = scanout.write(size.rect(), stride, format, data);
            if let Err(e) = written {
                let held = if let Shown::Owned(shown, _) = self.shown { shown.area() * 4 } else { 0 };
                let _ = self.hold(held);
                return Err(e.into());
            }
            if self.judge(&scanout) {
                return Ok(());
            }
            self.screen.set_scanout(scanout);
        }
        self.shown = Shown::Owned(size, self.guest_size.get());
        Ok(())
    }

    /// `Update`: a part of the picture, which may be larger than what was known of it.
    pub(crate) fn update(
        &mut self,
        [x, y, width, height]: [i32; 4],
        stride: u32,
        format: u32,
        data: &[u8],
    ) -> Result<(), DisplayFault> {
        let format = PixelFormat::from_pixman(format)?;
        let fault = DisplayFault::Rectangle { x, y, width, height };
        let number = |n: i32| u32::try_from(n).ok();
        let (Some(x), Some(y), Some(width), Some(height)) =
            (number(x), number(y), number(width), number(height))
        else {
            return Err(fault);
        };
        if width == 0 || height == 0 {
            return Err(fault);
        }
        let rect = Rect { x, y, width, height };
        // Before anything is allocated for it: does the payload hold it, and may a screen reach so far?
        let needed = u64::from(stride) * u64::from(height);
        if needed > data.len() as u64 {
            return Err(sampan_frame::ScanoutError::TooShort { needed, available: data.len() as u64 }.into());
        }
        let reach = Size::new(x.saturating_add(width), y.saturating_add(height))?;
        if self.shown == Shown::Inactive {
            return Ok(());
        }
        self.fit(reach)?;
        Ok(self.screen.write(rect, stride, format, data)?)
    }

    /// Makes the picture our own and as large as the console or at least `reach`.
    fn fit(&mut self, reach: Size) -> Result<(), DisplayFault> {
        let console = self.guest_size.get();
        let covers = |size: Size| size.width >= reach.width && size.height >= reach.height;
        let (old, resized) = match self.shown {
            Shown::Owned(size, then) if covers(size) => (Some(size), console != then),
            Shown::Owned(size, _) => (Some(size), true),
            Shown::Shared(_) | Shown::Nothing | Shown::Inactive => (None, true),
        };
        if !resized {
            return Ok(());
        }
        // What the console says, unless the update proves it old.
        let size = match (console, old) {
            (Some(console), _) if covers(console) => console,
            (_, Some(old)) => Size::new(old.width.max(reach.width), old.height.max(reach.height))?,
            (_, None) => reach,
        };
        if old != Some(size) {
            self.hold(size.area() * 4)?;
            let before = old.and_then(|_| self.screen.scanout());
            let scanout = Scanout::blank(size);
            if let Some(before) = before {
                scanout.copy_from(&before);
            }
            self.screen.set_scanout(scanout);
        }
        self.shown = Shown::Owned(size, console);
        Ok(())
    }

    /// `UpdateMap` and `UpdateDMABUF`: a part of the shared picture changed.
    pub(crate) fn update_shared(&mut self, [x, y, width, height]: [i32; 4]) -> Result<(), DisplayFault> {
        let size = match self.shown {
            Shown::Shared(size) => size,
            Shown::Inactive => return Ok(()),
            Shown::Nothing | Shown::Owned(..) => return Err(DisplayFault::NotMapped),
        };
        let rect = Rect::clipped(x, y, width, height, size).ok_or(DisplayFault::Rectangle {
            x,
            y,
            width,
            height,
        })?;
        self.screen.damage(rect);
        Ok(())
    }

    /// `CursorDefine`.
    pub(crate) fn define_cursor(
        &mut self,
        [width, height]: [i32; 2],
        [hot_x, hot_y]: [i32; 2],
        data: &[u8],
    ) -> Result<(), DisplayFault> {
        let cursor = Cursor::from_bgra(width, height, hot_x, hot_y, data);
        let cursor = cursor.ok_or(DisplayFault::Cursor { width, height, bytes: data.len() })?;
        self.screen.set_cursor_shape(Some(Arc::new(cursor)));
        self.place_cursor();
        Ok(())
    }

    /// `MouseSet`, which tells the place of the shape's upper left corner: so virtio-gpu has it from the guest, and
    /// `ui/spice-display.c` adds the hot spot likewise.
    pub(crate) fn move_cursor(&mut self, x: i32, y: i32, on: bool) {
        self.corner = (x, y, on);
        self.place_cursor();
    }

    fn place_cursor(&self) {
        let (x, y, on) = self.corner;
        let (hot_x, hot_y) = self.screen.cursor().shape.map_or((0, 0), |shape| (shape.hot_x, shape.hot_y));
        self.screen.move_cursor(x.saturating_add_unsigned(hot_x), y.saturating_add_unsigned(hot_y), on);
    }

    fn hold(&mut self, bytes: u64) -> Result<(), DisplayFault> {
        self.budget.replace(self.held, bytes)?;
        self.held = bytes;
        Ok(())
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        let _ = self.hold(0);
    }
}
