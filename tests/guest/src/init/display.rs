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
}
