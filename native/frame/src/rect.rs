//! Sizes and rectangles that are always in range.

use crate::error::ScanoutError;
use crate::limits::{MAX_AREA, MAX_SIDE};

/// The size of a screen in pixels: never empty when made by [`Size::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size that a screen may have.
    ///
    /// # Errors
    /// [`ScanoutError::Size`] if a side is zero or longer than [`MAX_SIDE`], or the area is more than [`MAX_AREA`].
    pub fn new(width: u32, height: u32) -> Result<Self, ScanoutError> {
        let size = Self { width, height };
        let fits = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height);
        if fits && size.area() <= u64::from(MAX_AREA) {
            Ok(size)
        } else {
            Err(ScanoutError::Size { width, height })
        }
    }

    /// The number of pixels.
    pub fn area(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The whole screen as a rectangle.
    pub fn rect(self) -> Rect {
        Rect { x: 0, y: 0, width: self.width, height: self.height }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A rectangle of pixels, from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rect {
    /// The leftmost column.
    pub x: u32,
    /// The topmost row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// The part of a rectangle of any numbers that lies inside a screen of `bounds`, if there is one.
    ///
    /// Total: negative origins are cut off, negative or zero sizes are nothing, and nothing overflows.
    pub fn clipped(x: i32, y: i32, width: i32, height: i32, bounds: Size) -> Option<Self> {
        let (x, width) = clip_span(x, width, bounds.width)?;
        let (y, height) = clip_span(y, height, bounds.height)?;
        Some(Self { x, y, width, height })
    }

    /// The number of pixels.
    pub fn area(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Whether there is no pixel in it.
    pub fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The column after the last.
    pub fn right(self) -> u32 {
        self.x.saturating_add(self.width)
    }

    /// The row after the last.
    pub fn bottom(self) -> u32 {
        self.y.saturating_add(self.height)
    }

    /// Whether every pixel of `other` is in this one.
    pub fn contains(self, other: Self) -> bool {
        other.is_empty()
            || (self.x <= other.x
                && self.y <= other.y
                && self.right() >= other.right()
                && self.bottom() >= other.bottom())
    }

    /// The smallest rectangle around both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let (right, bottom) = (self.right().max(other.right()), self.bottom().max(other.bottom()));
        Self { x, y, width: right - x, height: bottom - y }
    }

    /// The pixels that are in both, if any.
    pub fn intersect(self, other: Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        (right > x && bottom > y).then(|| Self { x, y, width: right - x, height: bottom - y })
    }
}

fn clip_span(start: i32, length: i32, limit: u32) -> Option<(u32, u32)> {
    // In 64 bits no sum of two 32-bit numbers overflows.
    let first = i64::from(start).max(0);
    let end = (i64::from(start) + i64::from(length)).min(i64::from(limit));
    let (first, span) = (u32::try_from(first).ok()?, u32::try_from(end - first).ok()?);
    (span > 0).then_some((first, span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_beyond_the_limits_are_refused() {
        assert!(Size::new(1920, 1080).is_ok());
        assert!(Size::new(7680, 4320).is_ok());
        assert!(Size::new(MAX_SIDE, 1).is_ok());
        for (w, h) in [(0, 1), (1, 0), (MAX_SIDE + 1, 1), (8192, 8192), (u32::MAX, u32::MAX)] {
            assert!(Size::new(w, h).is_err(), "{w}x{h}");
        }
    }

    #[test]
    fn a_rect_partly_outside_is_cut() {
        let bounds = Size { width: 100, height: 50 };
        assert_eq!(Rect::clipped(-10, -10, 20, 20, bounds), Some(Rect { x: 0, y: 0, width: 10, height: 10 }));
        assert_eq!(
            Rect::clipped(90, 40, i32::MAX, i32::MAX, bounds),
            Some(Rect { x: 90, y: 40, width: 10, height: 10 })
        );
        assert_eq!(Rect::clipped(100, 0, 1, 1, bounds), None);
        assert_eq!(Rect::clipped(5, 5, -3, 4, bounds), None);
        assert_eq!(Rect::clipped(i32::MIN, 0, i32::MAX, 1, bounds), None);
    }

    proptest! {
        /// Against the definition: a pixel is in the clipped rectangle if and only if it is in both.
        #[test]
        fn clipping_keeps_exactly_the_pixels_inside(
            x in -40i32..40, y in -40i32..40, w in -10i32..60, h in -10i32..60,
            bw in 1u32..32, bh in 1u32..32,
        ) {
            let clipped = Rect::clipped(x, y, w, h, Size { width: bw, height: bh });
            for py in 0..40i32 {
                for px in 0..40i32 {
                    let inside = px >= x && px < x + w && py >= y && py < y + h
                        && px < bw as i32 && py < bh as i32;
                    let point = Rect { x: px as u32, y: py as u32, width: 1, height: 1 };
                    prop_assert_eq!(clipped.is_some_and(|c| c.contains(point)), inside);
                }
            }
        }

        #[test]
        fn clipping_is_total(x: i32, y: i32, w: i32, h: i32, bw: u32, bh: u32) {
            let bounds = Size { width: bw, height: bh };
            if let Some(r) = Rect::clipped(x, y, w, h, bounds) {
                prop_assert!(bounds.rect().contains(r) && !r.is_empty());
            }
        }
    }
}
