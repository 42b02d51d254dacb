//! What the guest can show its picture on.

use tiny_guest::Rect;
use tiny_guest::canvas::Canvas;

/// A screen of a fixed size that shows what is painted on its canvas.
pub trait Surface {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Where to paint.
    fn canvas(&mut self) -> Canvas<'_>;

    /// Shows what was painted inside these rectangles, in one request to the display. The first one shows all.
    fn flush(&mut self, rects: &[Rect]) -> std::io::Result<()>;

    /// Moves the pointer on a plane of its own; `false` when there is none and it must be painted.
    fn move_pointer(&mut self, x: u32, y: u32) -> bool;

    /// Looks for displays beyond this one; whether they are others than before.
    fn look_further(&mut self) -> bool {
        false
    }

    /// The sizes of displays beyond this one, which stand to its right, side by side.
    fn further(&self) -> Vec<(u32, u32)> {
        Vec::new()
    }

    /// Draws a stroke on one of these, in its pixels, and shows it.
    fn stroke_further(&mut self, _which: usize, _from: (u32, u32), _to: (u32, u32), _pen: u32) {}
}
