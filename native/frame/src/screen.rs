//! What one console shows now, shared between the display client and any number of consumers.

use crate::cursor::{Cursor, CursorState};
use crate::damage::Damage;
use crate::error::{ReadError, ScanoutError};
use crate::format::PixelFormat;
use crate::rect::{Rect, Size};
use crate::scanout::Scanout;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Wake = Arc<dyn Fn() + Send + Sync>;

/// One console's picture and cursor.
///
/// The lock inside is held only to exchange small things, never while pixels are copied, and every consumer
/// is woken after it was released.
#[derive(Default)]
pub struct Screen {
    state: Mutex<State>,
    sequence: AtomicU64,
}

#[derive(Default)]
struct State {
    scanout: Option<Arc<Scanout>>,
    cursor: CursorState,
    consumers: Vec<Attached>,
    /// The wake callbacks of `consumers`, as one value that is cheap to take out of the lock.
    wakes: Arc<[Wake]>,
    next_id: u64,
}

struct Attached {
    id: u64,
    damage: Damage,
    wake: Wake,
}

impl State {
    fn invalidate(&mut self) {
        for consumer in &mut self.consumers {
            consumer.damage = self.scanout.as_ref().map(|s| Damage::full(s.size())).unwrap_or_default();
        }
    }

    fn damage_of(&mut self, id: u64) -> Option<&mut Damage> {
        self.consumers.iter_mut().find(|c| c.id == id).map(|c| &mut c.damage)
    }

    fn consumers_changed(&mut self) {
        self.wakes = self.consumers.iter().map(|c| c.wake.clone()).collect();
    }
}

impl Screen {
    /// A screen that shows nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Replaces the picture; everything is damaged.
    pub fn set_scanout(&self, scanout: Scanout) {
        // The old picture is dropped after the lock: giving back a large one takes the kernel a while.
        let mut old = None;
        self.change(|state| {
            old = state.scanout.replace(Arc::new(scanout));
            state.invalidate();
            true
        });
    }

    /// Replaces the picture by a black one in memory of our own, for pixels that come in messages.
    pub fn set_blank(&self, size: Size) {
        self.set_scanout(Scanout::blank(size));
    }

    /// Notes that pixels changed; what lies outside the picture is ignored.
    pub fn damage(&self, rect: Rect) {
        self.change(|state| {
            let visible = state.scanout.as_ref().and_then(|s| rect.intersect(s.size().rect()));
            if let Some(visible) = visible {
                for consumer in &mut state.consumers {
                    consumer.damage.add(visible);
                }
            }
            visible.is_some()
        });
    }

    /// Puts received pixels into a picture that has memory of its own, and notes the damage.
    ///
    /// # Errors
    /// [`ScanoutError::NoPicture`] if there is none or it is mapped, and the errors of [`Scanout::write`].
    pub fn write(
        &self,
        rect: Rect,
        stride: u32,
        format: PixelFormat,
        bytes: &[u8],
    ) -> Result<(), ScanoutError> {
        let scanout = self.scanout().ok_or(ScanoutError::NoPicture)?;
        if let Some(visible) = scanout.write(rect, stride, format, bytes)? {
            self.damage(visible);
        }
        Ok(())
    }

    /// Shows nothing until the next scanout.
    pub fn disable(&self) {
        let mut old = None;
        self.change(|state| {
            old = state.scanout.take();
            state.invalidate();
            old.is_some()
        });
    }

    /// Replaces the cursor's shape.
    pub fn set_cursor_shape(&self, shape: Option<Arc<Cursor>>) {
        self.change_cursor(|cursor| cursor.shape = shape);
    }

    /// Moves, shows or hides the cursor.
    pub fn move_cursor(&self, x: i32, y: i32, visible: bool) {
        self.change_cursor(|cursor| (cursor.x, cursor.y, cursor.visible) = (x, y, visible));
    }

    /// The picture's size in pixels, or `None` while the screen is disabled.
    pub fn size(&self) -> Option<Size> {
        self.lock().scanout.as_ref().map(|s| s.size())
    }

    /// The picture's memory, or `None` while the screen is disabled.
    pub fn scanout(&self) -> Option<Arc<Scanout>> {
        self.lock().scanout.clone()
    }

    /// The cursor now.
    pub fn cursor(&self) -> CursorState {
        self.lock().cursor.clone()
    }

    /// How often the picture changed since the screen was made: new scanouts, damage, disabling.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Relaxed)
    }

    /// Adds a consumer, for which everything is damaged at first.
    ///
    /// `wake` is called after every change of picture or cursor, on the display's thread and with no lock held:
    /// it must be quick (notify a task, send to an eventfd). It may come once more while the consumer is dropped.
    pub fn attach(self: &Arc<Self>, wake: Box<dyn Fn() + Send + Sync>) -> Consumer {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let damage = state.scanout.as_ref().map(|s| Damage::full(s.size())).unwrap_or_default();
        state.consumers.push(Attached { id, damage, wake: wake.into() });
        state.consumers_changed();
        Consumer { screen: self.clone(), id, stale: false }
    }

    /// Changes the picture; if `change` says that something did change, everyone is told.
    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let mut state = self.lock();
        if change(&mut state) {
            self.sequence.fetch_add(1, Ordering::Relaxed);
            let wakes = state.wakes.clone();
            drop(state);
            wakes.iter().for_each(|wake| wake());
        }
    }

    fn change_cursor(&self, change: impl FnOnce(&mut CursorState)) {
        let mut state = self.lock();
        let mut cursor = state.cursor.clone();
        change(&mut cursor);
        if cursor != state.cursor {
            state.cursor = cursor;
            let wakes = state.wakes.clone();
            drop(state);
            wakes.iter().for_each(|wake| wake());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs while the lock is held and its data is half changed.
        self.state.lock()
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("size", &self.size()).field("sequence", &self.sequence()).finish()
    }
}

/// One who looks at a screen, with damage of its own.
#[derive(Debug)]
pub struct Consumer {
    screen: Arc<Screen>,
    id: u64,
    /// A read failed, so what the staging holds is not known.
    stale: bool,
}

impl Consumer {
    /// The screen it looks at.
    pub fn screen(&self) -> &Arc<Screen> {
        &self.screen
    }

    /// Copies what changed into `staging`, which gets the picture's size.
    ///
    /// `None` if nothing changed or the screen is disabled ([`Screen::size`] tells which).
    ///
    /// # Errors
    /// [`ReadError`] if the memory could not be read, for instance because QEMU has shrunk it. The damage is
    /// gone then, so that a broken scanout does not spin; the next damage covers everything.
    pub fn take(&mut self, staging: &mut Staging) -> Result<Option<Taken>, ReadError> {
        let Some((scanout, mut damage, sequence)) = self.take_damage() else { return Ok(None) };
        let size = scanout.size();
        let resized = staging.size != size;
        if resized {
            staging.resize(size);
        }
        if resized || self.stale {
            damage = vec![size.rect()];
        }
        let stride = size.width as usize * 4;
        self.stale = true;
        for &rect in &damage {
            scanout.read(rect, &mut staging.pixels, stride)?;
        }
        self.stale = false;
        Ok(Some(Taken { size, resized, damage, sequence }))
    }

    /// The picture and what of it changed, for a consumer that reads rows into memory of its own, such as a
    /// surface's buffer. `None` as in [`Consumer::take`].
    pub fn take_damage(&mut self) -> Option<(Arc<Scanout>, Vec<Rect>, u64)> {
        let mut state = self.screen.lock();
        let scanout = state.scanout.clone()?;
        let sequence = self.screen.sequence();
        let damage = state.damage_of(self.id)?.take();
        (!damage.is_empty()).then_some((scanout, damage, sequence))
    }

    /// Whether [`Consumer::take`] would bring something.
    pub fn is_damaged(&self) -> bool {
        let mut state = self.screen.lock();
        state.damage_of(self.id).is_some_and(|damage| !damage.is_empty())
    }

    /// Takes everything as changed, for instance because a new viewer needs a whole picture.
    pub fn invalidate(&mut self) {
        let mut state = self.screen.lock();
        let size = state.scanout.as_ref().map(|s| s.size());
        if let (Some(size), Some(damage)) = (size, state.damage_of(self.id)) {
            *damage = Damage::full(size);
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut state = self.screen.lock();
        let gone: Vec<Attached> = state.consumers.extract_if(.., |c| c.id == self.id).collect();
        state.consumers_changed();
        drop(state);
        // What the callback owns is dropped here, where it may use the screen.
        drop(gone);
    }
}

/// What [`Consumer::take`] copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The picture's size in pixels.
    pub size: Size,
    /// Whether the staging had another size before; all of it is damaged then.
    pub resized: bool,
    /// The rectangles that changed, at most [`Damage::MAX_RECTS`], all inside the picture.
    pub damage: Vec<Rect>,
    /// [`Screen::sequence`] when the damage was taken.
    pub sequence: u64,
}

/// A consumer's own copy of the picture: tightly packed B, G, R, 0xff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staging {
    /// The size in pixels; 0 × 0 before the first picture.
    pub size: Size,
    /// `size.height` rows of `size.width * 4` bytes.
    pub pixels: Vec<u8>,
}

impl Default for Staging {
    fn default() -> Self {
        Self { size: Size { width: 0, height: 0 }, pixels: Vec::new() }
    }
}

impl Staging {
    /// An empty one; the first picture gives it its size.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of row `y`, which must be inside the picture.
    pub fn row(&self, y: u32) -> &[u8] {
        let length = self.size.width as usize * 4;
        &self.pixels[y as usize * length..][..length]
    }

    fn resize(&mut self, size: Size) {
        self.size = size;
        // Zeroed anew rather than grown: the rows' places change anyway, and a large one gives memory back.
        self.pixels = vec![0; size.area() as usize * 4];
    }
}
