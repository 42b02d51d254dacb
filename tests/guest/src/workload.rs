//! The workloads that paint by themselves: what benchmarks and end-to-end tests look at.
//!
//! A frame is a function of its number and the screen's size alone, so that runs can be compared pixel by pixel.

use crate::canvas::{self, Canvas, Color};
use crate::counter;
use crate::protocol::Workload;
use crate::rect::Rect;
use crate::text::{self, Style};

const PAPER: Color = 0x10_1418;
const INK: Color = 0xd0_d8e0;
/// Side of a cell of [`Workload::Full`]; of a glyph too.
const CELL: u32 = 32;
/// Text in [`Workload::Scroll`]: 8 × 16 pixels, as in a terminal.
const SCROLL_TEXT: Style = Style { sx: 1, sy: 2, ink: INK, paper: PAPER };
const GLYPH: Style = Style::new(4, INK, PAPER);
/// Pixels that the text moves in a frame.
const SCROLL_STEP: u32 = 8;
/// Rows after which the scrolled text repeats.
const SCROLL_ROWS: u32 = 1024;
/// The wandering rectangle.
const RECT: (u32, u32) = (320, 240);
/// First row of the wandering rectangle.
const RECT_Y: u32 = counter::HEIGHT + 16;
/// Pixels that it moves in a frame.
const RECT_STEP: u32 = 8;

/// Plays one workload on a screen of one size.
#[derive(Debug)]
pub struct Player {
    workload: Workload,
    frame: u32,
    /// The text of the scroll workload, drawn once.
    texture: Vec<u8>,
    last: Rect,
}

impl Player {
    /// Prepares a workload and paints its first picture over the whole screen.
    #[must_use]
    pub fn start(workload: Workload, canvas: &mut Canvas<'_>) -> Self {
        canvas.fill(canvas.bounds(), PAPER);
        let title = format!("workload {workload:?}").to_lowercase();
        text::draw(canvas, counter::WIDTH + 16, 8, Style::new(2, INK, PAPER), &title);
        let texture = if workload == Workload::Scroll { scroll_texture(canvas.width()) } else { Vec::new() };
        let mut player = Self { workload, frame: 0, texture, last: Rect::default() };
        player.paint(canvas);
        player
    }

    /// Paints the next frame, all but the counter, and returns what changed.
    pub fn next(&mut self, canvas: &mut Canvas<'_>) -> Rect {
        self.frame = self.frame.wrapping_add(1);
        if self.workload == Workload::Glyph {
            let character = char::from(b'a' + (self.frame % 26) as u8);
            return self.draw_glyph(canvas, character);
        }
        self.paint(canvas)
    }

    /// Paints a glyph at the next place; only [`Workload::Glyph`] shows it.
    pub fn glyph(&mut self, canvas: &mut Canvas<'_>, character: char) -> Rect {
        self.frame = self.frame.wrapping_add(1);
        self.draw_glyph(canvas, character)
    }

    fn paint(&mut self, canvas: &mut Canvas<'_>) -> Rect {
        match self.workload {
            Workload::Scroll => self.scroll(canvas),
            Workload::Full => full(canvas, self.frame),
            Workload::Rect => self.rect(canvas),
            Workload::Desk | Workload::Idle | Workload::Glyph => Rect::default(),
        }
    }

    /// Right under the counter, so that both are one small rectangle.
    fn draw_glyph(&mut self, canvas: &mut Canvas<'_>, character: char) -> Rect {
        let place = self.frame % (counter::WIDTH / CELL);
        let ink = mixed(self.frame) | 0x80_8080;
        text::draw_char(canvas, place * CELL, counter::HEIGHT, Style { ink, ..GLYPH }, character)
    }

    fn scroll(&self, canvas: &mut Canvas<'_>) -> Rect {
        let width = canvas.width();
        let line = width as usize * 4;
        let offset = u64::from(self.frame) * u64::from(SCROLL_STEP);
        for y in counter::HEIGHT..canvas.height() {
            // Below SCROLL_ROWS, so it fits any integer.
            let from = ((offset + u64::from(y)) % u64::from(SCROLL_ROWS)) as usize * line;
            canvas.row(0, y, width).copy_from_slice(&self.texture[from..from + line]);
        }
        Rect::new(0, counter::HEIGHT, width, u32::MAX).within(width, canvas.height())
    }

    fn rect(&mut self, canvas: &mut Canvas<'_>) -> Rect {
        let (w, h) = (RECT.0.min(canvas.width()), RECT.1);
        let steps = (canvas.width() - w) / RECT_STEP;
        // There and back again.
        let turn = self.frame % (2 * steps).max(1);
        let x = turn.min((2 * steps).saturating_sub(turn)) * RECT_STEP;
        let old = canvas.fill(self.last, PAPER);
        let now = Rect::new(x, RECT_Y, w, h).within(canvas.width(), canvas.height());
        for y in now.y..now.bottom() {
            let row = canvas.row(now.x, y, now.w);
            for (column, pixel) in (0_u32..).zip(row.chunks_exact_mut(4)) {
                // A gradient that moves through the rectangle, as a video would.
                let (u, v) = (column + self.frame * 3, y - now.y + self.frame * 2);
                let color = (u & 0xff) << 16 | (v & 0xff) << 8 | (u ^ v) & 0xff;
                pixel.copy_from_slice(&color.to_le_bytes());
            }
        }
        self.last = now;
        old.union(now)
    }
}

/// Fills the screen below the counter, and right of it, with cells of new colours.
fn full(canvas: &mut Canvas<'_>, frame: u32) -> Rect {
    let (width, height) = (canvas.width(), canvas.height());
    let seed = mixed(frame);
    let mut line = vec![0; width as usize * 4];
    for top in (0..height).step_by(CELL as usize) {
        for (column, cell) in (0_u32..).zip(line.chunks_mut(CELL as usize * 4)) {
            canvas::fill_row(cell, mixed(seed ^ column << 16 ^ top));
        }
        let left = if top < counter::HEIGHT { counter::WIDTH.min(width) } else { 0 };
        for y in top..(top + CELL).min(height) {
            canvas.row(left, y, width - left).copy_from_slice(&line[left as usize * 4..]);
        }
    }
    canvas.bounds()
}

/// Lines of varied text, [`SCROLL_ROWS`] high.
fn scroll_texture(width: u32) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "the", "sampan", "drifts", "past", "willows", "and", "lanterns", "while", "fn", "main()", "{", "}",
        "0x1f", "->", "river;", "night",
    ];
    let stride = width as usize * 4;
    let mut pixels = vec![0; stride * SCROLL_ROWS as usize];
    let mut canvas = Canvas::new(&mut pixels, stride, width, SCROLL_ROWS);
    canvas.fill(canvas.bounds(), PAPER);
    for line in 0..SCROLL_ROWS / SCROLL_TEXT.height() {
        let mut words = format!("{line:4}");
        for word in 0..mixed(line) % 24 + 4 {
            words.push(' ');
            words.push_str(WORDS[(mixed(line << 8 | word) % 16) as usize]);
        }
        let ink = mixed(line) | 0x90_9090;
        text::draw(&mut canvas, 8, line * SCROLL_TEXT.height(), Style { ink, ..SCROLL_TEXT }, &words);
    }
    pixels
}

/// A number with its bits well mixed (the finaliser of MurmurHash3), cut to a colour.
const fn mixed(value: u32) -> u32 {
    let value = (value ^ value >> 16 ^ 0x9e37_79b9).wrapping_mul(0x85eb_ca6b);
    let value = (value ^ value >> 13).wrapping_mul(0xc2b2_ae35);
    (value ^ value >> 16) & 0xff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Workload; 4] = [Workload::Glyph, Workload::Scroll, Workload::Full, Workload::Rect];

    fn canvas(pixels: &mut [u8], width: u32, height: u32) -> Canvas<'_> {
        Canvas::new(pixels, width as usize * 4, width, height)
    }

    #[test]
    fn every_frame_differs_reports_its_damage_and_leaves_the_counter_alone() {
        for workload in ALL {
            for (w, h) in [(640, 480), (333, 77), (1366, 300)] {
                let mut pixels = vec![0; (w * h * 4) as usize];
                let mut player = Player::start(workload, &mut canvas(&mut pixels, w, h));
                canvas(&mut pixels, w, h).counter(0xdead_beef);
                for _ in 0..50 {
                    let before = pixels.clone();
                    let rect = player.next(&mut canvas(&mut pixels, w, h));
                    assert!(before != pixels, "{workload:?} {w}x{h}");
                    for (i, (a, b)) in before.chunks(4).zip(pixels.chunks(4)).enumerate() {
                        let at = Rect::new(i as u32 % w, i as u32 / w, 1, 1);
                        assert!(
                            a == b || !rect.intersect(at).is_empty(),
                            "{workload:?} {at:?} not in {rect:?}"
                        );
                        assert!(
                            a == b || counter::STRIP.intersect(at).is_empty(),
                            "{workload:?} over the counter"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn tiny_screens_are_no_trouble() {
        for workload in ALL {
            for (w, h) in [(1, 1), (8, 31), (16, 33), (300, 200)] {
                let mut pixels = vec![0; (w * h * 4) as usize];
                let mut player = Player::start(workload, &mut canvas(&mut pixels, w, h));
                for _ in 0..3 {
                    player.next(&mut canvas(&mut pixels, w, h));
                }
            }
        }
    }

    #[test]
    fn scrolled_text_moves_up_by_eight_pixels() {
        let (w, h) = (640, 480);
        let mut pixels = vec![0; (w * h * 4) as usize];
        let mut player = Player::start(Workload::Scroll, &mut canvas(&mut pixels, w, h));
        let before = pixels.clone();
        player.next(&mut canvas(&mut pixels, w, h));
        let row = |y: u32| (y * w * 4) as usize;
        assert!(before[row(counter::HEIGHT + 8)..] == pixels[row(counter::HEIGHT)..row(h - 8)]);
        assert!(before != pixels);
    }

    #[test]
    fn glyphs_stay_close_to_the_counter() {
        let mut pixels = vec![0; 640 * 480 * 4];
        let mut player = Player::start(Workload::Glyph, &mut canvas(&mut pixels, 640, 480));
        for character in ('a'..='z').chain('a'..='z') {
            let rect = player.glyph(&mut canvas(&mut pixels, 640, 480), character).union(counter::STRIP);
            assert_eq!(rect, Rect::new(0, 0, counter::WIDTH, counter::HEIGHT + CELL));
        }
    }
}
