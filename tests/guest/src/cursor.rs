//! The pointer's picture: a cross whose arms differ in colour, with an open middle so that the pixel it points at is
//! seen even where the cross is drawn into the screen itself.

use crate::canvas::{Canvas, Color};
use crate::rect::Rect;

/// Pixels of a side.
pub const SIDE: u32 = 31;
/// The hot spot, from the left top corner, on both axes.
pub const HOT: u32 = 15;
/// Pixels between the hot spot and an arm.
const GAP: u32 = 4;

/// Colours of the arms: up, right, down, left. All differ so that a flipped or recoloured cursor is noticed.
pub const ARMS: [Color; 4] = [0xff_4040, 0x40_ff40, 0x40_80ff, 0xff_ff40];
/// The outline.
pub const OUTLINE: Color = 0x00_0000;

/// The colour of a pixel of the cross, `None` where it is transparent.
#[must_use]
pub fn pixel(x: u32, y: u32) -> Option<Color> {
    if x >= SIDE || y >= SIDE {
        return None;
    }
    let (dx, dy) = (x.abs_diff(HOT), y.abs_diff(HOT));
    let (along, across) = (dx.max(dy), dx.min(dy));
    if across > 1 || along < GAP {
        return None;
    }
    if across == 1 || along == GAP || along == HOT {
        return Some(OUTLINE);
    }
    let arm = match (dx > dy, x > HOT, y > HOT) {
        (false, _, false) => 0,
        (true, true, _) => 1,
        (false, _, true) => 2,
        (true, false, _) => 3,
    };
    Some(ARMS[arm])
}

/// What the cross covers when it points at a pixel.
#[must_use]
pub fn covers(x: u32, y: u32) -> Rect {
    let (left, top) = (x.saturating_sub(HOT), y.saturating_sub(HOT));
    Rect::new(left, top, x + HOT + 1 - left, y + HOT + 1 - top)
}

/// The cross drawn into the screen, for displays without a cursor plane, and what it hides.
#[derive(Debug, Default)]
pub struct Drawn {
    hidden: Vec<(u32, u32, Color)>,
    rect: Rect,
}

impl Drawn {
    /// Draws the cross pointing at a pixel and returns what it covers. Erase the last one first.
    pub fn draw(&mut self, canvas: &mut Canvas<'_>, x: u32, y: u32) -> Rect {
        self.hidden.clear();
        for (cy, cx) in (0..SIDE).flat_map(|cy| (0..SIDE).map(move |cx| (cy, cx))) {
            let at = ((x + cx).checked_sub(HOT), (y + cy).checked_sub(HOT));
            let ((Some(px), Some(py)), Some(color)) = (at, pixel(cx, cy)) else { continue };
            if let Some(under) = canvas.get(px, py) {
                self.hidden.push((px, py, under));
                canvas.set(px, py, color);
            }
        }
        self.rect = covers(x, y).within(canvas.width(), canvas.height());
        self.rect
    }

    /// Puts back what the cross hides and returns what it covered.
    pub fn erase(&mut self, canvas: &mut Canvas<'_>) -> Rect {
        for (x, y, color) in self.hidden.drain(..) {
            canvas.set(x, y, color);
        }
        std::mem::take(&mut self.rect)
    }

    /// Forgets the cross, when the screen under it is gone.
    pub fn forget(&mut self) {
        self.hidden.clear();
        self.rect = Rect::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_open_and_the_arms_point_the_right_way() {
        for (x, y) in [(HOT, HOT), (HOT + 1, HOT), (HOT, HOT - 3), (0, 0)] {
            assert_eq!(pixel(x, y), None);
        }
        assert_eq!([pixel(15, 5), pixel(25, 15), pixel(15, 25), pixel(5, 15)], ARMS.map(Some));
        assert_eq!((pixel(14, 5), pixel(15, 0), pixel(31, 15)), (Some(OUTLINE), Some(OUTLINE), None));
    }

    #[test]
    fn erasing_puts_everything_back_even_at_the_edges() {
        for at in [(0, 0), (20, 20), (39, 39), (39, 0)] {
            let mut pixels: Vec<u8> =
                (0..40 * 40 * 4).map(|i| if i % 4 == 3 { 0 } else { i as u8 }).collect();
            let before = pixels.clone();
            let mut canvas = Canvas::new(&mut pixels, 160, 40, 40);
            let mut drawn = Drawn::default();
            let covered = drawn.draw(&mut canvas, at.0, at.1);
            assert_eq!(covered, covers(at.0, at.1).within(40, 40));
            assert_eq!(drawn.erase(&mut canvas), covered);
            assert!(pixels == before, "{at:?}");
        }
    }
}
