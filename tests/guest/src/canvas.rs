//! Drawing into a frame buffer of 32-bit pixels.

use crate::counter;
use crate::rect::Rect;

/// A colour as 0xRRGGBB.
pub type Color = u32;

/// Black.
pub const BLACK: Color = 0x00_0000;
/// White.
pub const WHITE: Color = 0xff_ffff;

/// A frame buffer: rows of little-endian XRGB8888 pixels. Whatever lies outside is not drawn.
pub struct Canvas<'a> {
    pixels: &'a mut [u8],
    stride: usize,
    width: u32,
    height: u32,
}

impl<'a> Canvas<'a> {
    /// Wraps `pixels`, whose rows begin every `stride` bytes. A buffer that is too short makes the canvas shorter.
    #[must_use]
    pub fn new(pixels: &'a mut [u8], stride: usize, width: u32, height: u32) -> Self {
        let width = width.min(u32::try_from(stride / 4).unwrap_or(u32::MAX));
        let rows = if width == 0 { 0 } else { (pixels.len() + stride - width as usize * 4) / stride };
        let height = height.min(u32::try_from(rows).unwrap_or(u32::MAX));
        Self { pixels, stride, width, height }
    }

    /// Width in pixels.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// The whole canvas.
    #[must_use]
    pub const fn bounds(&self) -> Rect {
        Rect::new(0, 0, self.width, self.height)
    }

    /// The bytes of row `y` from column `x`, `w` pixels at most; empty when outside.
    pub fn row(&mut self, x: u32, y: u32, w: u32) -> &mut [u8] {
        let part = Rect::new(x, y, w, 1).within(self.width, self.height);
        let start = part.y as usize * self.stride + part.x as usize * 4;
        &mut self.pixels[start..start + part.w as usize * 4]
    }

    /// Fills a rectangle and returns the part of it that is on the canvas.
    pub fn fill(&mut self, rect: Rect, color: Color) -> Rect {
        let rect = rect.within(self.width, self.height);
        for y in rect.y..rect.bottom() {
            fill_row(self.row(rect.x, y, rect.w), color);
        }
        rect
    }

    /// Colours one pixel.
    pub fn set(&mut self, x: u32, y: u32, color: Color) {
        fill_row(self.row(x, y, 1), color);
    }

    /// The colour of one pixel, `None` outside.
    #[must_use]
    pub fn get(&self, x: u32, y: u32) -> Option<Color> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let start = y as usize * self.stride + x as usize * 4;
        let bytes: [u8; 4] = self.pixels.get(start..start + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes) & 0xff_ffff)
    }

    /// Paints the frame counter.
    pub fn counter(&mut self, value: u32) -> Rect {
        for (block, white) in counter::blocks(value) {
            self.fill(block, if white { WHITE } else { BLACK });
        }
        counter::STRIP.within(self.width, self.height)
    }

    /// Draws a line between two points, both included, as squares of `2 * radius + 1` pixels; returns what it touched.
    pub fn line(&mut self, from: (u32, u32), to: (u32, u32), radius: u32, color: Color) -> Rect {
        let ((mut x, mut y), (tx, ty)) =
            ((i64::from(from.0), i64::from(from.1)), (i64::from(to.0), i64::from(to.1)));
        let (dx, dy) = ((tx - x).abs(), -(ty - y).abs());
        let mut error = dx + dy;
        let mut touched = Rect::default();
        loop {
            touched = touched.union(self.fill(square(x, y, radius), color));
            if (x, y) == (tx, ty) {
                return touched;
            }
            // Bresenham's walk: the error tells which axis lags behind.
            let doubled = 2 * error;
            if doubled >= dy {
                error += dy;
                x += (tx - x).signum();
            }
            if doubled <= dx {
                error += dx;
                y += (ty - y).signum();
            }
        }
    }
}

/// The square of `2 * radius + 1` pixels around a point, cut off at the left and the top.
fn square(x: i64, y: i64, radius: u32) -> Rect {
    let radius = i64::from(radius);
    let (left, top) = ((x - radius).max(0), (y - radius).max(0));
    let clamp = |v: i64| u32::try_from(v).unwrap_or(0);
    Rect::new(clamp(left), clamp(top), clamp(x + radius + 1 - left), clamp(y + radius + 1 - top))
}

/// Fills a row of pixels with one colour.
pub fn fill_row(row: &mut [u8], color: Color) {
    let bytes = color.to_le_bytes();
    for pixel in row.chunks_exact_mut(4) {
        pixel.copy_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_is_clipped_and_pixels_are_bgrx_in_memory() {
        let mut pixels = vec![0; 8 * 4 * 4];
        let mut canvas = Canvas::new(&mut pixels, 32, 7, 4);
        assert_eq!(canvas.fill(Rect::new(5, 2, 100, 100), 0x11_2233), Rect::new(5, 2, 2, 2));
        canvas.set(0, 0, 0xff_0000);
        canvas.set(7, 0, 0xff_ffff);
        assert_eq!((canvas.get(6, 3), canvas.get(7, 3)), (Some(0x11_2233), None));
        assert_eq!(&pixels[..4], &[0, 0, 0xff, 0]);
        assert_eq!(&pixels[28..32], &[0; 4], "the padding of a row stays as it was");
    }

    #[test]
    fn a_short_buffer_makes_a_short_canvas() {
        let mut pixels = vec![0; 100];
        let mut canvas = Canvas::new(&mut pixels, 40, 10, 10);
        assert_eq!(canvas.height(), 2);
        canvas.fill(Rect::new(0, 0, 10, 10), WHITE);
        assert_eq!(Canvas::new(&mut [], 0, 10, 10).height(), 0);
    }

    #[test]
    fn lines_hit_both_ends_exactly() {
        for (from, to) in [((2, 3), (40, 17)), ((40, 17), (2, 3)), ((5, 5), (5, 5)), ((0, 30), (9, 0))] {
            let mut pixels = vec![0; 64 * 32 * 4];
            let mut canvas = Canvas::new(&mut pixels, 64 * 4, 64, 32);
            let touched = canvas.line(from, to, 0, WHITE);
            assert_eq!(canvas.get(from.0, from.1), Some(WHITE));
            assert_eq!(canvas.get(to.0, to.1), Some(WHITE));
            assert_eq!(touched, Rect::new(from.0, from.1, 1, 1).union(Rect::new(to.0, to.1, 1, 1)));
        }
        let mut pixels = vec![0; 64 * 32 * 4];
        let mut canvas = Canvas::new(&mut pixels, 64 * 4, 64, 32);
        assert_eq!(canvas.line((0, 0), (0, 0), 1, WHITE), Rect::new(0, 0, 2, 2));
    }

    #[test]
    fn the_painted_counter_is_read_back() {
        let mut pixels = vec![0x40; 640 * 40 * 4];
        let mut canvas = Canvas::new(&mut pixels, 640 * 4, 640, 40);
        assert_eq!(canvas.counter(123_456), counter::STRIP);
        let luma = |x, y| canvas.get(x, y).map_or(0, |color| (color >> 8) as u8);
        assert_eq!(counter::decode(luma, 640, 40), Some(123_456));
    }
}
