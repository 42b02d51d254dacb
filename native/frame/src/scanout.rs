//! One picture: where its pixels lie and how they are read.

use crate::error::{ReadError, ScanoutError};
use crate::format::{PixelFormat, make_opaque};
use crate::memory::Memory;
use crate::rect::{Rect, Size};
use parking_lot::RwLock;
use std::os::fd::OwnedFd;

/// One read takes at most this much, so that what was just copied is still in the cache when its fourth byte
/// is set or it is converted, and a writer waits no longer than one band takes (about 50 µs).
const BAND: usize = 256 * 1024;

/// Reading this many bytes between two damaged rows costs about as much as one more `pread`.
const GAP_WORTH_READING: usize = 2048;

/// Where the pixels of a mapped scanout lie in its file.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// The visible pixels.
    pub size: Size,
    /// Bytes from the start of the file to the first row in memory.
    pub offset: u64,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// The layout of a pixel.
    pub format: PixelFormat,
    /// Whether the first row in memory is the bottom one, as OpenGL has it.
    pub bottom_up: bool,
}

/// What a copy makes of the fourth byte of each pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpha {
    /// It becomes 0xff.
    Opaque,
    /// It may become anything: for a target whose reader ignores it, which saves a pass over every pixel.
    Ignored,
}

/// The memory of one picture, which others may be writing while it is read.
#[derive(Debug)]
pub struct Scanout {
    size: Size,
    pixels: Pixels,
}

#[derive(Debug)]
enum Pixels {
    /// Written by QEMU or the guest in a file we were given.
    Mapped { memory: Memory, geometry: Geometry },
    /// Received in messages; tightly packed BGRX.
    Owned(RwLock<Vec<u8>>),
}

impl Scanout {
    /// A picture in a file that someone else writes: a memfd or a dmabuf.
    ///
    /// # Errors
    /// [`ScanoutError`] if the size is out of range, a row is wider than the stride, the file is shorter than
    /// `offset + stride * height`, or the file is neither readable memory nor a dmabuf.
    pub fn map(file: OwnedFd, geometry: Geometry) -> Result<Self, ScanoutError> {
        let size = Size::new(geometry.size.width, geometry.size.height)?;
        let row = u64::from(size.width) * u64::from(geometry.format.bytes_per_pixel());
        if u64::from(geometry.stride) < row {
            return Err(ScanoutError::Stride { stride: geometry.stride, needed: row });
        }
        let memory = Memory::new(file)?;
        let available = memory.size()?;
        // Saturation is more than any file has, so it is refused as well.
        let needed = geometry.offset.saturating_add(u64::from(geometry.stride) * u64::from(size.height));
        if needed > available {
            return Err(ScanoutError::TooShort { needed, available });
        }
        Ok(Self { size, pixels: Pixels::Mapped { memory, geometry } })
    }

    /// A black picture in memory of our own, to be filled by [`Scanout::write`].
    pub fn blank(size: Size) -> Self {
        // Zeroed memory is mapped lazily: a huge mode that paints little costs little.
        let pixels = vec![0; size.area() as usize * 4];
        Self { size, pixels: Pixels::Owned(RwLock::new(pixels)) }
    }

    /// The size in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Bytes of our own memory it holds (none if QEMU's is mapped).
    pub fn owned_bytes(&self) -> u64 {
        match self.pixels {
            Pixels::Mapped { .. } => 0,
            Pixels::Owned(_) => self.size.area() * 4,
        }
    }

    /// Puts received pixels into memory of our own. Returns what part of `rect` lies on the screen.
    ///
    /// # Errors
    /// [`ScanoutError::NoPicture`] if this is a mapped scanout, [`ScanoutError::Stride`] or
    /// [`ScanoutError::TooShort`] if `bytes` does not hold the whole rectangle.
    pub fn write(
        &self,
        rect: Rect,
        stride: u32,
        format: PixelFormat,
        bytes: &[u8],
    ) -> Result<Option<Rect>, ScanoutError> {
        let Pixels::Owned(pixels) = &self.pixels else { return Err(ScanoutError::NoPicture) };
        check_payload(rect, stride, format, bytes)?;
        let Some(visible) = rect.intersect(self.size.rect()) else { return Ok(None) };
        // Visible is inside rect (so the payload has it) and inside the screen (so the target has it).
        let columns = visible.width as usize;
        let skip = (visible.x - rect.x) as usize * format.bytes_per_pixel() as usize;
        let mut pixels = pixels.write();
        for y in visible.y..visible.bottom() {
            let from = (y - rect.y) as usize * stride as usize + skip;
            let source = &bytes[from..from + columns * format.bytes_per_pixel() as usize];
            let to = (y as usize * self.size.width as usize + visible.x as usize) * 4;
            format.convert(source, &mut pixels[to..to + columns * 4]);
        }
        Ok(Some(visible))
    }

    /// Takes over what another picture in memory of our own shows, as far as both reach: for a console that is
    /// resized without a new picture. A mapped one on either side changes nothing.
    pub fn copy_from(&self, before: &Scanout) {
        let (Pixels::Owned(to), Pixels::Owned(from)) = (&self.pixels, &before.pixels) else { return };
        if std::ptr::eq(to, from) {
            return;
        }
        let from = from.read();
        let mut to = to.write();
        let (row, row_before) = (self.size.width as usize * 4, before.size.width as usize * 4);
        let common = row.min(row_before);
        for (to, from) in to.chunks_exact_mut(row).zip(from.chunks_exact(row_before)) {
            to[..common].copy_from_slice(&from[..common]);
        }
    }

    /// Reads the pixels of `rect` as canonical B, G, R, 0xff to their place in `frame`, a buffer of the whole
    /// picture with `stride` bytes from row to row.
    ///
    /// Other pixels in the same rows of `frame` may be refreshed as well, where that saves system calls.
    /// What the guest writes meanwhile may or may not be seen.
    ///
    /// # Errors
    /// [`ReadError::OutOfBounds`] if `rect` is not on the screen or `frame` too small, [`ReadError::Shrank`] if
    /// the file got shorter, [`ReadError::Io`] if the system refuses. `frame` may be partly written then.
    pub fn read(&self, rect: Rect, frame: &mut [u8], stride: usize) -> Result<(), ReadError> {
        self.check_target(rect, frame, stride)?;
        match &self.pixels {
            Pixels::Mapped { memory, geometry } => {
                let _access = memory.begin()?;
                Mapped { memory, geometry, rect, alpha: Alpha::Opaque }.read(frame, stride)
            }
            Pixels::Owned(pixels) => {
                copy_owned(pixels, self.size.width as usize * 4, rect, frame, stride);
                Ok(())
            }
        }
    }

    /// The same as [`Scanout::read`] for a `frame` that is slow to read back, such as a graphics buffer that is mapped past
    /// the caches: every byte is written, none is read. With [`Alpha::Ignored`] a picture of B, G, R goes straight from
    /// its file to `frame`.
    ///
    /// # Errors
    /// Those of [`Scanout::read`].
    pub fn copy_to(
        &self,
        rect: Rect,
        frame: &mut [u8],
        stride: usize,
        alpha: Alpha,
    ) -> Result<(), ReadError> {
        self.check_target(rect, frame, stride)?;
        match &self.pixels {
            Pixels::Mapped { memory, geometry } => {
                let _access = memory.begin()?;
                let mapped = Mapped { memory, geometry, rect, alpha };
                match alpha {
                    Alpha::Ignored => mapped.read(frame, stride),
                    Alpha::Opaque => mapped.read_converted(
                        frame,
                        stride,
                        memory.prefers_spans() && mapped.has_small_gaps(),
                    ),
                }
            }
            Pixels::Owned(pixels) => {
                copy_owned(pixels, self.size.width as usize * 4, rect, frame, stride);
                Ok(())
            }
        }
    }

    /// Whether `rect` is on the screen, and `frame` holds a picture of this size.
    fn check_target(&self, rect: Rect, frame: &[u8], stride: usize) -> Result<(), ReadError> {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let needed = stride.checked_mul(height - 1).and_then(|n| n.checked_add(width * 4));
        let fits = stride >= width * 4 && needed.is_some_and(|n| n <= frame.len());
        if !fits || rect.is_empty() || !self.size.rect().contains(rect) {
            return Err(ReadError::OutOfBounds);
        }
        Ok(())
    }
}

/// Whether `bytes` holds a rectangle: `stride * (height - 1) + width * bytes per pixel`.
fn check_payload(rect: Rect, stride: u32, format: PixelFormat, bytes: &[u8]) -> Result<(), ScanoutError> {
    Size::new(rect.width, rect.height)?;
    let row = u64::from(rect.width) * u64::from(format.bytes_per_pixel());
    if u64::from(stride) < row {
        return Err(ScanoutError::Stride { stride, needed: row });
    }
    let needed = u64::from(stride) * u64::from(rect.height - 1) + row;
    let available = bytes.len() as u64;
    if needed > available {
        return Err(ScanoutError::TooShort { needed, available });
    }
    Ok(())
}

fn copy_owned(pixels: &RwLock<Vec<u8>>, row: usize, rect: Rect, frame: &mut [u8], stride: usize) {
    let (left, length) = (rect.x as usize * 4, rect.width as usize * 4);
    let rows_at_once = (BAND / length).max(1);
    let mut y = rect.y as usize;
    let bottom = rect.bottom() as usize;
    while y < bottom {
        // The lock is given back between bands: the writer is the display's handler, which must not wait.
        let pixels = pixels.read();
        for y in y..bottom.min(y + rows_at_once) {
            let source = &pixels[y * row + left..][..length];
            PixelFormat::Bgrx8888.convert(source, &mut frame[y * stride + left..][..length]);
        }
        y += rows_at_once;
    }
}

/// Reads one rectangle of a mapped scanout. All numbers were checked: the geometry in [`Scanout::map`], the
/// rectangle and the target in [`Scanout::read`].
struct Mapped<'a> {
    memory: &'a Memory,
    geometry: &'a Geometry,
    rect: Rect,
    alpha: Alpha,
}

impl Mapped<'_> {
    /// Whether reading what lies between two rows of the rectangle costs less than a read for each row.
    fn has_small_gaps(&self) -> bool {
        let pixel = self.geometry.format.bytes_per_pixel() as usize;
        self.geometry.stride as usize - self.rect.width as usize * pixel <= GAP_WORTH_READING
    }

    fn read(&self, frame: &mut [u8], stride: usize) -> Result<(), ReadError> {
        let spans = self.memory.prefers_spans() && self.has_small_gaps();
        match (self.geometry.format.is_bgr_in_place(), spans) {
            (true, true) if !self.geometry.bottom_up && self.geometry.stride as usize == stride => {
                self.read_span(frame)
            }
            (true, _) => self.read_rows(frame, stride),
            (false, spans) => self.read_converted(frame, stride, spans),
        }
    }

    /// The same layout on both sides: a few large reads from the first pixel to the last, gaps and all.
    fn read_span(&self, frame: &mut [u8]) -> Result<(), ReadError> {
        let stride = self.geometry.stride as usize;
        let start = self.rect.y as usize * stride + self.rect.x as usize * 4;
        let end = (self.rect.bottom() - 1) as usize * stride + self.rect.right() as usize * 4;
        let mut at = self.geometry.offset + start as u64;
        for band in frame[start..end].chunks_mut(BAND) {
            self.memory.read(at, band)?;
            self.finish(band);
            at += band.len() as u64;
        }
        Ok(())
    }

    /// Straight to its place, row by row.
    fn read_rows(&self, frame: &mut [u8], stride: usize) -> Result<(), ReadError> {
        let (left, length) = (self.rect.x as usize * 4, self.rect.width as usize * 4);
        for y in self.rect.y..self.rect.bottom() {
            let target = &mut frame[y as usize * stride + left..][..length];
            self.memory.read(self.file_offset(y), target)?;
            self.finish(target);
        }
        Ok(())
    }

    fn finish(&self, copied: &mut [u8]) {
        if self.alpha == Alpha::Opaque {
            make_opaque(copied);
        }
    }

    /// Through a small buffer, converting.
    fn read_converted(&self, frame: &mut [u8], stride: usize, spans: bool) -> Result<(), ReadError> {
        let format = self.geometry.format;
        let source_stride = self.geometry.stride as usize;
        let length = self.rect.width as usize * format.bytes_per_pixel() as usize;
        let (left, width) = (self.rect.x as usize * 4, self.rect.width as usize * 4);
        let rows_at_once = if spans { (BAND / source_stride).max(1) } else { 1 };
        let rows_at_once = rows_at_once.min(self.rect.height as usize);
        let mut buffer = vec![0; (rows_at_once - 1) * source_stride + length];
        let rows: Vec<u32> = (self.rect.y..self.rect.bottom()).collect();
        for rows in rows.chunks(rows_at_once) {
            // Upside down, the last of these rows comes first in the file.
            let offsets = rows.iter().map(|&y| self.file_offset(y));
            let start = offsets.min().ok_or(ReadError::OutOfBounds)?;
            let buffer = &mut buffer[..(rows.len() - 1) * source_stride + length];
            self.memory.read(start, buffer)?;
            for &y in rows {
                let from = (self.file_offset(y) - start) as usize;
                let target = &mut frame[y as usize * stride + left..][..width];
                format.convert(&buffer[from..from + length], target);
            }
        }
        Ok(())
    }

    /// Where the rectangle's first pixel of row `y` lies in the file.
    fn file_offset(&self, y: u32) -> u64 {
        let g = self.geometry;
        let row = if g.bottom_up { g.size.height - 1 - y } else { y };
        let in_row = u64::from(self.rect.x) * u64::from(g.format.bytes_per_pixel());
        g.offset + u64::from(row) * u64::from(g.stride) + in_row
    }
}
