//! Where a guest's picture lies on a surface, and which point of the guest is under a finger.
//!
//! Pure. Points and lengths are pixels as `f64`: a page has fractions of them, and every number that is finite may come.

use sampan_frame::Size;

/// How a picture is made as large as the surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// As large as it can be with its own proportions; bars fill the rest. This is what the system does.
    Fit,
    /// Without regard to proportions: what the system does if it knows no better.
    Stretch,
    /// By the largest whole factor that fits, so that each pixel of the guest is as large as every other. A guest that is larger than
    /// the surface is fitted. The page gives its component the size of [`Placement::picture`] for that.
    Integer,
}

/// The picture's place on the surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    guest: Size,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// A rectangle on a surface, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureRect {
    /// From the surface's left edge.
    pub left: f64,
    /// From the surface's upper edge.
    pub top: f64,
    /// Columns.
    pub width: f64,
    /// Rows.
    pub height: f64,
}

impl Placement {
    /// A picture of `guest` on a surface of `surface`, in its middle.
    pub fn new(surface: Size, guest: Size, scaling: Scaling) -> Self {
        let (sw, sh) = (f64::from(surface.width), f64::from(surface.height));
        let (gw, gh) = (f64::from(guest.width), f64::from(guest.height));
        let fitted = || {
            // In whole numbers, so that the side that touches both edges is exact.
            let wide = u64::from(surface.width) * u64::from(guest.height);
            let high = u64::from(surface.height) * u64::from(guest.width);
            if wide <= high { (sw, sw * gh / gw) } else { (sh * gw / gh, sh) }
        };
        let whole = (surface.width / guest.width.max(1)).min(surface.height / guest.height.max(1));
        let (width, height) = match scaling {
            Scaling::Stretch => (sw, sh),
            Scaling::Integer if whole >= 1 => (gw * f64::from(whole), gh * f64::from(whole)),
            Scaling::Fit | Scaling::Integer => fitted(),
        };
        Self { guest, left: (sw - width) / 2.0, top: (sh - height) / 2.0, width, height }
    }

    /// The same after the page has made the surface `factor` times as large, holding its point `x`, `y` in place. Below 1 it gets
    /// smaller. A factor that is not a positive number changes nothing.
    #[must_use]
    pub fn zoomed(self, factor: f64, x: f64, y: f64) -> Self {
        if !(factor.is_finite() && factor > 0.0 && x.is_finite() && y.is_finite()) {
            return self;
        }
        Self {
            guest: self.guest,
            left: x + (self.left - x) * factor,
            top: y + (self.top - y) * factor,
            width: self.width * factor,
            height: self.height * factor,
        }
    }

    /// Where the picture lies.
    pub fn picture(&self) -> PictureRect {
        PictureRect { left: self.left, top: self.top, width: self.width, height: self.height }
    }

    /// By how much each of the guest's pixels is enlarged, if that is the same whole number both ways.
    pub fn integer_factor(&self) -> Option<u32> {
        let (x, y) = self.factors();
        (x == y && x >= 1.0 && x.fract() == 0.0 && x <= f64::from(u32::MAX)).then_some(x as u32)
    }

    /// The guest's point under a point of the surface: `None` beside the picture.
    pub fn to_guest(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let (guest_x, guest_y) = self.unclamped(x, y);
        let inside = |at: f64, side: u32| at >= 0.0 && at < f64::from(side);
        (inside(guest_x, self.guest.width) && inside(guest_y, self.guest.height))
            .then_some((guest_x, guest_y))
    }

    /// The guest's pixel that is nearest to a point of the surface: for a pointer that is dragged beyond the edge. What is no number is
    /// taken for 0.
    pub fn nearest_pixel(&self, x: f64, y: f64) -> (u32, u32) {
        let (x, y) = self.unclamped(x, y);
        // A conversion saturates, and takes what is no number for 0.
        let pixel = |at: f64, side: u32| (at.floor() as u32).min(side.saturating_sub(1));
        (pixel(x, self.guest.width), pixel(y, self.guest.height))
    }

    /// Where a point of the guest is shown, for instance its cursor's.
    pub fn to_surface(&self, x: f64, y: f64) -> (f64, f64) {
        let (factor_x, factor_y) = self.factors();
        (self.left + x * factor_x, self.top + y * factor_y)
    }

    fn factors(&self) -> (f64, f64) {
        (self.width / f64::from(self.guest.width), self.height / f64::from(self.guest.height))
    }

    fn unclamped(&self, x: f64, y: f64) -> (f64, f64) {
        let (factor_x, factor_y) = self.factors();
        ((x - self.left) / factor_x, (y - self.top) / factor_y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(width: u32, height: u32) -> Size {
        Size::new(width, height).expect("in range")
    }

    #[test]
    fn bars_are_above_and_below_or_on_both_sides() {
        let wide = Placement::new(size(1000, 1000), size(1920, 1080), Scaling::Fit).picture();
        assert_eq!(wide, PictureRect { left: 0.0, top: 218.75, width: 1000.0, height: 562.5 });
        let high = Placement::new(size(1000, 500), size(500, 500), Scaling::Fit).picture();
        assert_eq!(high, PictureRect { left: 250.0, top: 0.0, width: 500.0, height: 500.0 });
        let stretched = Placement::new(size(1000, 500), size(500, 500), Scaling::Stretch);
        assert_eq!(stretched.picture(), PictureRect { left: 0.0, top: 0.0, width: 1000.0, height: 500.0 });
        assert_eq!(stretched.integer_factor(), None, "2 and 1 are not the same");
    }

    #[test]
    fn a_whole_factor_leaves_bars_all_around() {
        let placement = Placement::new(size(1000, 700), size(320, 200), Scaling::Integer);
        assert_eq!(placement.integer_factor(), Some(3));
        assert_eq!(placement.picture(), PictureRect { left: 20.0, top: 50.0, width: 960.0, height: 600.0 });
        let too_large = Placement::new(size(100, 100), size(320, 200), Scaling::Integer);
        assert_eq!(too_large, Placement::new(size(100, 100), size(320, 200), Scaling::Fit));
    }

    #[test]
    fn zooming_holds_the_point_between_the_fingers() {
        let before = Placement::new(size(800, 600), size(640, 480), Scaling::Fit);
        let after = before.zoomed(2.0, 200.0, 150.0);
        assert_eq!(before.to_guest(200.0, 150.0), after.to_guest(200.0, 150.0));
        assert_eq!(after.picture().width, 1600.0);
        assert_eq!(before.zoomed(0.0, 1.0, 1.0), before);
        assert_eq!(before.zoomed(f64::NAN, 1.0, 1.0), before);
    }

    #[test]
    fn a_point_beyond_the_edge_is_the_nearest_pixel() {
        let placement = Placement::new(size(800, 600), size(640, 480), Scaling::Fit);
        assert_eq!(placement.nearest_pixel(-5.0, 1e300), (0, 479));
        assert_eq!(placement.nearest_pixel(f64::NAN, f64::INFINITY), (0, 479));
        assert_eq!(placement.nearest_pixel(799.99, 0.0), (639, 0));
    }

    fn sizes() -> impl Strategy<Value = Size> {
        (1u32..5000, 1u32..5000).prop_map(|(width, height)| Size { width, height })
    }

    fn scalings() -> impl Strategy<Value = Scaling> {
        prop::sample::select(&[Scaling::Fit, Scaling::Stretch, Scaling::Integer][..])
    }

    proptest! {
        #[test]
        fn the_picture_is_on_the_surface_and_touches_two_edges(surface in sizes(), guest in sizes(), how in scalings()) {
            let rect = Placement::new(surface, guest, how).picture();
            let (width, height) = (f64::from(surface.width), f64::from(surface.height));
            prop_assert!(rect.left >= 0.0 && rect.top >= 0.0);
            prop_assert!(rect.left + rect.width <= width + 1e-6 && rect.top + rect.height <= height + 1e-6);
            if how == Scaling::Fit {
                prop_assert!(rect.left == 0.0 && rect.width == width || rect.top == 0.0 && rect.height == height);
            }
            if how != Scaling::Stretch {
                let (wide, high) = (rect.width * f64::from(guest.height), rect.height * f64::from(guest.width));
                prop_assert!((wide - high).abs() <= 1e-9 * wide.max(high), "proportions are kept");
            }
        }

        #[test]
        fn there_and_back_is_the_same_point(
            surface in sizes(), guest in sizes(), how in scalings(), x in 0.0..1.0, y in 0.0..1.0, factor in 0.1..20.0,
        ) {
            let placement = Placement::new(surface, guest, how).zoomed(factor, x * 100.0, y * 100.0);
            let (gx, gy) = (x * f64::from(guest.width), y * f64::from(guest.height));
            let (sx, sy) = placement.to_surface(gx, gy);
            let (bx, by) = placement.unclamped(sx, sy);
            prop_assert!((bx - gx).abs() < 1e-6 && (by - gy).abs() < 1e-6);
        }

        /// Every pixel of the guest is hit by the middle of its place on the surface.
        #[test]
        fn the_middle_of_a_pixel_is_that_pixel(
            surface in sizes(), guest in sizes(), how in scalings(), x: u32, y: u32,
        ) {
            let placement = Placement::new(surface, guest, how);
            let (x, y) = (x % guest.width, y % guest.height);
            let (sx, sy) = placement.to_surface(f64::from(x) + 0.5, f64::from(y) + 0.5);
            prop_assert_eq!(placement.nearest_pixel(sx, sy), (x, y));
            prop_assert!(placement.to_guest(sx, sy).is_some());
        }

        #[test]
        fn any_numbers_give_a_pixel_of_the_guest(
            surface in sizes(), guest in sizes(), how in scalings(), x: f64, y: f64, factor: f64, fx: f64, fy: f64,
        ) {
            let (px, py) = Placement::new(surface, guest, how).zoomed(factor, fx, fy).nearest_pixel(x, y);
            prop_assert!(px < guest.width && py < guest.height);
        }
    }
}
