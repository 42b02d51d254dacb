//! Text in the public-domain 8 × 8 font.

use font8x8::legacy::BASIC_LEGACY;

use crate::canvas::{Canvas, Color};
use crate::rect::Rect;

/// Pixels of a character's side before scaling.
pub const CELL: u32 = 8;

/// How text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Horizontal scale.
    pub sx: u32,
    /// Vertical scale.
    pub sy: u32,
    /// Colour of the strokes.
    pub ink: Color,
    /// Colour behind them.
    pub paper: Color,
}

impl Style {
    /// A style whose characters are `8 * scale` pixels wide and high.
    #[must_use]
    pub const fn new(scale: u32, ink: Color, paper: Color) -> Self {
        Self { sx: scale, sy: scale, ink, paper }
    }

    /// Width of so many characters in pixels.
    #[must_use]
    pub const fn width(self, characters: usize) -> u32 {
        characters as u32 * CELL * self.sx
    }

    /// Height of a line in pixels.
    #[must_use]
    pub const fn height(self) -> u32 {
        CELL * self.sy
    }
}

/// Draws a line of text with its left top corner at (x, y) and returns what it covered.
///
/// Characters outside ASCII become `?`; control characters are blank.
pub fn draw(canvas: &mut Canvas<'_>, x: u32, y: u32, style: Style, text: &str) -> Rect {
    let mut covered = Rect::default();
    for (index, character) in text.chars().enumerate() {
        let left = x.saturating_add(style.width(index));
        if left >= canvas.width() {
            break;
        }
        covered = covered.union(draw_char(canvas, left, y, style, character));
    }
    covered
}

/// Draws one character and returns what it covered.
pub fn draw_char(canvas: &mut Canvas<'_>, x: u32, y: u32, style: Style, character: char) -> Rect {
    let glyph = BASIC_LEGACY.get(character as usize).unwrap_or(&BASIC_LEGACY[b'?' as usize]);
    let cell = canvas.fill(Rect::new(x, y, style.width(1), style.height()), style.paper);
    for (row, bits) in (0_u32..).zip(glyph) {
        // Bit 0 is the leftmost pixel. Runs of set pixels are filled at once.
        let mut column = 0;
        while column < CELL {
            let run = (bits >> column).trailing_ones();
            if run > 0 {
                let (left, top) = (x + column * style.sx, y + row * style.sy);
                canvas.fill(Rect::new(left, top, run * style.sx, style.sy), style.ink);
            }
            column += run + 1;
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(text: &str, scale: u32) -> Vec<String> {
        let style = Style::new(scale, 0xff_ffff, 0);
        let (w, h) = (style.width(text.chars().count()), style.height());
        let mut pixels = vec![0x55; (w * h * 4) as usize];
        let mut canvas = Canvas::new(&mut pixels, w as usize * 4, w, h);
        assert_eq!(draw(&mut canvas, 0, 0, style, text), Rect::new(0, 0, w, h));
        let dot = |x, y| if canvas.get(x, y) == Some(0xff_ffff) { '#' } else { '.' };
        (0..h).map(|y| (0..w).map(|x| dot(x, y)).collect()).collect()
    }

    #[test]
    fn letters_look_like_letters() {
        let tall_l = "####....\n.##.....\n.##.....\n.##.....\n.##...#.\n.##..##.\n#######.\n........";
        assert_eq!(picture("L", 1).join("\n"), tall_l);
        let question = picture("?", 1);
        assert_eq!(picture("\u{1f6f6}", 1)[0], question[0]);
    }

    #[test]
    fn scaling_repeats_pixels() {
        let (one, two) = (picture("g", 1), picture("g", 2));
        for (y, row) in two.iter().enumerate() {
            let expected: String = one[y / 2].chars().flat_map(|c| [c, c]).collect();
            assert_eq!(row, &expected);
        }
    }

    #[test]
    fn text_off_the_canvas_is_cut() {
        let mut pixels = vec![0; 16 * 8 * 4];
        let mut canvas = Canvas::new(&mut pixels, 64, 16, 8);
        assert_eq!(draw(&mut canvas, 12, 4, Style::new(1, 1, 0), "abc"), Rect::new(12, 4, 4, 4));
    }
}
