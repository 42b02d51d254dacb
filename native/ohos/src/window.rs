//! One open window: requests its buffers, knows what each of them shows, and flushes them.

use crate::error::{BadBuffer, OhosError};
use crate::mapping::{Identity, Mapping};
use crate::ndk::{FORMAT_BGRA_8888, NativeBuffer, NativeWindow, Ndk, is_lost};
use crate::placement::Scaling;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sampan_frame::{Alpha, Damage, Rect, Scanout, Size};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long one request may wait for a buffer (milliseconds). The system's own choice of three seconds is longer than a page may take
/// to close.
const REQUEST_MS: i32 = 100;

/// How long a buffer's fence may stay closed: six frames at 60 Hz. The buffer goes back then, and is requested again later.
const FENCE_LIMIT: Duration = Duration::from_millis(100);

/// Of so many buffers we know what they show; of further ones the whole picture is drawn. Queues have three by default.
const MAX_KNOWN: usize = 8;

/// A window and the buffers that it has given so far.
pub(crate) struct Window {
    /// Before the window, as their references are given back first.
    known: Vec<Known>,
    native: NativeWindow,
    size: Option<Size>,
    scaling: Scaling,
    /// Counts requests.
    clock: u64,
}

/// A buffer that has been requested before.
struct Known {
    buffer: NativeBuffer,
    identity: Identity,
    shape: Shape,
    memory: Mapping,
    /// What changed on the screen since this buffer was last flushed.
    damage: Damage,
    /// The request that gave it last.
    used: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    stride: usize,
    length: usize,
}

impl Window {
    /// Opens the window of a surface.
    ///
    /// # Errors
    /// [`OhosError::NotOpened`], or [`OhosError::OptionRefused`] if it has no BGRA buffers for a CPU.
    pub(crate) fn open(ndk: &Ndk, surface: u64) -> Result<Self, OhosError> {
        let native = NativeWindow::open(ndk, surface).map_err(OhosError::NotOpened)?;
        native.set_format(FORMAT_BGRA_8888).map_err(|code| refused("format", code))?;
        native.set_usage().map_err(|code| refused("usage", code))?;
        native.set_timeout(REQUEST_MS).map_err(|code| refused("timeout", code))?;
        // Without it the system stretches the buffer, which is still a picture.
        let scaling = if native.fit() { Scaling::Fit } else { Scaling::Stretch };
        Ok(Self { known: Vec::new(), native, size: None, scaling, clock: 0 })
    }

    /// How the system makes a buffer as large as the surface.
    pub(crate) fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// Gives the buffers requested from now on a size in pixels. Those before are forgotten if it is another.
    ///
    /// # Errors
    /// [`OhosError::OptionRefused`], [`OhosError::Lost`].
    pub(crate) fn set_size(&mut self, size: Size) -> Result<(), OhosError> {
        if self.size == Some(size) {
            return Ok(());
        }
        self.size = None;
        self.known.clear();
        // Sizes of screens are far below 2^31.
        self.native
            .set_geometry(size.width as i32, size.height as i32)
            .map_err(|code| refused("size", code))?;
        self.size = Some(size);
        Ok(())
    }

    /// Notes what changed on the screen.
    pub(crate) fn damage(&mut self, rects: &[Rect]) {
        for known in &mut self.known {
            rects.iter().for_each(|&rect| known.damage.add(rect));
        }
    }

    /// Requests a buffer and waits until it may be written.
    ///
    /// # Errors
    /// Any of [`OhosError`] but those of starting. The buffer is aborted then, if there was one.
    pub(crate) fn next(&mut self) -> Result<Frame<'_>, OhosError> {
        let (buffer, fence) = self.native.request().map_err(|code| lost_or(code, OhosError::NoBuffer))?;
        let found = match fence.map_or(Ok(()), wait) {
            Ok(()) => self.find(&buffer),
            Err(error) => Err(error),
        };
        match found {
            Ok(index) => Ok(Frame { window: self, index, open: true }),
            Err(error) => {
                // It may be refused when the surface has just ended: nothing is left to give back then.
                let _ = self.native.abort(&buffer);
                Err(error)
            }
        }
    }

    /// The place of a requested buffer among the known ones, where it is put if it is new.
    fn find(&mut self, buffer: &NativeBuffer) -> Result<usize, OhosError> {
        let bad = OhosError::BadBuffer;
        let size = self.size.ok_or_else(|| bad(BadBuffer::NoSize))?;
        let handle = buffer.handle().ok_or_else(|| bad(BadBuffer::NoHandle))?;
        let fd = handle.fd.ok_or_else(|| bad(BadBuffer::NoMemory))?;
        let number = |n: i32| usize::try_from(n).unwrap_or(0);
        let told = |n: i32| u64::try_from(n).unwrap_or(0);
        let (width, height) = (size.width as usize, size.height as usize);
        if (number(handle.width), number(handle.height)) != (width, height) {
            let (width, height, wanted) = (told(handle.width), told(handle.height), size.to_string());
            return Err(bad(BadBuffer::OtherSize { width, height, wanted }));
        }
        if handle.format != FORMAT_BGRA_8888 {
            return Err(bad(BadBuffer::OtherFormat { format: told(handle.format) }));
        }
        let shape = Shape { stride: number(handle.stride), length: number(handle.size) };
        if shape.stride < width * 4 {
            return Err(bad(BadBuffer::ShortRows { stride: told(handle.stride) }));
        }
        // At most 2^31 × 2^14.
        if shape.stride * (height - 1) + width * 4 > shape.length {
            let (rows, stride, size) = (height as u64, told(handle.stride), told(handle.size));
            return Err(bad(BadBuffer::TooSmall { rows, stride, size }));
        }
        let identity = Identity::of(fd)?;
        self.clock += 1;
        let same = |known: &Known| known.buffer.is(buffer);
        if let Some(index) = self.known.iter().position(same) {
            let known = &mut self.known[index];
            if (known.identity, known.shape) == (identity, shape) {
                known.used = self.clock;
                return Ok(index);
            }
            // The same buffer with other memory.
            self.known.swap_remove(index);
        }
        if self.known.len() >= MAX_KNOWN
            && let Some(oldest) = (0..self.known.len()).min_by_key(|&i| self.known[i].used)
        {
            self.known.swap_remove(oldest);
        }
        let memory = Mapping::new(fd, shape.length)?;
        let damage = Damage::full(size);
        let buffer = buffer.clone();
        self.known.push(Known { buffer, identity, shape, memory, damage, used: self.clock });
        Ok(self.known.len() - 1)
    }
}

/// A requested buffer. It is aborted when it is dropped without having been flushed.
pub(crate) struct Frame<'w> {
    window: &'w mut Window,
    index: usize,
    open: bool,
}

impl Frame<'_> {
    /// Copies what changed since this buffer was last shown. Returns how many bytes of the picture that is.
    ///
    /// # Errors
    /// [`OhosError::Read`].
    pub(crate) fn draw(&mut self, scanout: &Scanout, alpha: Alpha) -> Result<u64, OhosError> {
        let known = &mut self.window.known[self.index];
        let mut bytes = 0;
        for &rect in known.damage.rects() {
            scanout.copy_to(rect, known.memory.bytes(), known.shape.stride, alpha)?;
            bytes += rect.area() * 4;
        }
        Ok(bytes)
    }

    /// Has the buffer shown.
    ///
    /// # Errors
    /// [`OhosError::NotTaken`], [`OhosError::Lost`].
    pub(crate) fn flush(mut self) -> Result<(), OhosError> {
        let known = &mut self.window.known[self.index];
        self.window.native.flush(&known.buffer).map_err(|code| lost_or(code, OhosError::NotTaken))?;
        known.damage.clear();
        self.open = false;
        Ok(())
    }
}

impl Drop for Frame<'_> {
    fn drop(&mut self) {
        if self.open {
            // As in `Window::next`.
            let _ = self.window.native.abort(&self.window.known[self.index].buffer);
        }
    }
}

fn refused(option: &'static str, code: i32) -> OhosError {
    lost_or(code, |code| OhosError::OptionRefused { option, code })
}

fn lost_or(code: i32, other: impl FnOnce(i32) -> OhosError) -> OhosError {
    if is_lost(code) { OhosError::Lost(code) } else { other(code) }
}

/// Waits until a fence is signalled, and closes it.
fn wait(fence: OwnedFd) -> Result<(), OhosError> {
    let end = Instant::now() + FENCE_LIMIT;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // One millisecond more than the rest that is rounded off, so that the last turn does not spin.
        let left = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(fence.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, left) {
            Ok(0) => return Err(OhosError::StillInUse),
            Ok(_) if fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)) => {
                return Ok(());
            }
            // A fence that failed: its buffer may be drawn on by who knows whom.
            Ok(_) => return Err(OhosError::StillInUse),
            Err(Errno::EINTR) if Instant::now() < end => {}
            Err(_) => return Err(OhosError::StillInUse),
        }
    }
}
