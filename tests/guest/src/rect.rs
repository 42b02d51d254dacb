//! Rectangles in pixels of the screen.

/// A rectangle; empty when a side is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub w: u32,
    /// Height.
    pub h: u32,
}

impl Rect {
    /// A rectangle from its left, top, width and height.
    #[must_use]
    pub const fn new(x: u32, y: u32, w: u32, h: u32) -> Self {
        Self { x, y, w, h }
    }

    /// Whether it holds no pixel.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.w == 0 || self.h == 0
    }

    /// Pixels in it.
    #[must_use]
    pub const fn area(self) -> u64 {
        self.w as u64 * self.h as u64
    }

    /// The first column right of it.
    #[must_use]
    pub const fn right(self) -> u32 {
        self.x.saturating_add(self.w)
    }

    /// The first row below it.
    #[must_use]
    pub const fn bottom(self) -> u32 {
        self.y.saturating_add(self.h)
    }

    /// The smallest rectangle that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self { x, y, w: self.right().max(other.right()) - x, h: self.bottom().max(other.bottom()) - y }
    }

    /// What both share; empty when they do not touch.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let w = self.right().min(other.right()).saturating_sub(x);
        let h = self.bottom().min(other.bottom()).saturating_sub(y);
        if w == 0 || h == 0 { Self::default() } else { Self { x, y, w, h } }
    }

    /// The part inside a screen of this size.
    #[must_use]
    pub fn within(self, width: u32, height: u32) -> Self {
        self.intersect(Self::new(0, 0, width, height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn union_holds_both_and_ignores_empty_ones() {
        let a = Rect::new(10, 10, 5, 5);
        assert_eq!(a.union(Rect::new(0, 20, 2, 2)), Rect::new(0, 10, 15, 12));
        assert_eq!(a.union(Rect::default()), a);
        assert_eq!(Rect::default().union(a), a);
    }

    #[test]
    fn intersection_is_clipped_and_never_wraps() {
        let a = Rect::new(10, 10, 5, 5);
        assert_eq!(a.intersect(Rect::new(12, 0, 100, 12)), Rect::new(12, 10, 3, 2));
        assert!(a.intersect(Rect::new(15, 10, 5, 5)).is_empty());
        assert_eq!(Rect::new(u32::MAX, 0, 9, 9).within(640, 480), Rect::default());
        assert_eq!(Rect::new(630, 470, u32::MAX, u32::MAX).within(640, 480), Rect::new(630, 470, 10, 10));
    }
}
