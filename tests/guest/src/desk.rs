//! The screen at boot: a title, hints, what was typed, the last key, the pointer, a clock, and room to draw.

use crate::canvas::{Canvas, Color};
use crate::counter;
use crate::keymap;
use crate::rect::Rect;
use crate::text::{self, Style};

/// Colour of the desk.
pub const PAPER: Color = 0x18_2430;
/// Colour of its text.
pub const INK: Color = 0xe8_f0f8;
const FAINT: Color = 0x90_a4b8;

/// Colours of displays beyond the first, which have no desk.
pub const FURTHER_PAPERS: [Color; 3] = [0x30_1824, 0x18_3024, 0x30_3018];

/// Colours of a stroke's middle while the left, the right and the middle button are held.
pub const PENS: [Color; 3] = [0xff_2020, 0x20_ff20, 0x20_60ff];
/// Colour of a stroke's middle under a finger.
pub const FINGER: Color = 0xff_20ff;
/// Colour of the two pixels around a stroke's middle.
pub const HALO: Color = 0xff_e040;
/// Pixels on either side of a stroke's middle.
pub const HALO_RADIUS: u32 = 1;

const LARGE: Style = Style::new(2, INK, PAPER);
const SMALL: Style = Style::new(1, FAINT, PAPER);
const LEFT: u32 = 8;
const CLOCK_X: u32 = counter::WIDTH + 16;
const CLOCK_Y: u32 = 8;
const TITLE_Y: u32 = 48;
const HINT_Y: u32 = 72;
const TYPED_Y: u32 = 96;
const KEY_Y: u32 = 120;
const POINTER_Y: u32 = 144;
const RULE_Y: u32 = 170;
/// First row of the drawing area.
pub const AREA_Y: u32 = 176;

const HINT: &str = "Keys show up below. Hold a button and move to draw.";

/// One line of changing text that repaints no more than it must.
#[derive(Debug)]
struct Field {
    x: u32,
    y: u32,
    style: Style,
    shown: String,
}

impl Field {
    const fn new(x: u32, y: u32, style: Style) -> Self {
        Self { x, y, style, shown: String::new() }
    }

    /// Shows another text and returns what changed.
    fn show(&mut self, canvas: &mut Canvas<'_>, text: String) -> Rect {
        let length = text.chars().count().max(self.shown.chars().count());
        let mut old = self.shown.chars();
        let mut changed = Rect::default();
        for (index, new) in text.chars().chain(std::iter::repeat(' ')).take(length).enumerate() {
            if old.next().unwrap_or(' ') != new {
                let x = self.x + self.style.width(index);
                changed = changed.union(text::draw_char(canvas, x, self.y, self.style, new));
            }
        }
        self.shown = text;
        changed
    }

    /// Draws it again on a fresh screen.
    fn redraw(&mut self, canvas: &mut Canvas<'_>) {
        text::draw(canvas, self.x, self.y, self.style, &self.shown);
    }
}

/// Paints the whole of a display beyond the first, whose `number` counts from 1.
pub fn paint_further(canvas: &mut Canvas<'_>, number: u32) -> Rect {
    let paper = FURTHER_PAPERS[number.saturating_sub(2) as usize % FURTHER_PAPERS.len()];
    let bounds = canvas.bounds();
    canvas.fill(bounds, paper);
    let words = format!("Display {number} {}x{}", bounds.w, bounds.h);
    text::draw(canvas, LEFT, TITLE_Y, Style::new(2, INK, paper), &words);
    bounds
}

/// The desk. Every call paints at once and returns the rectangle it changed.
#[derive(Debug)]
pub struct Desk {
    text: String,
    shift: [bool; 2],
    title: String,
    clock: Field,
    typed: Field,
    key: Field,
    pointer: Field,
}

impl Desk {
    /// A desk nobody has touched yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            text: String::new(),
            shift: [false; 2],
            title: String::new(),
            clock: Field::new(CLOCK_X, CLOCK_Y, LARGE),
            typed: Field { shown: "> _".to_owned(), ..Field::new(LEFT, TYPED_Y, LARGE) },
            key: Field { shown: "no key yet".to_owned(), ..Field::new(LEFT, KEY_Y, LARGE) },
            pointer: Field { shown: "no pointer yet".to_owned(), ..Field::new(LEFT, POINTER_Y, LARGE) },
        }
    }

    /// Where drawings stay, on a screen of this size.
    #[must_use]
    pub fn area(width: u32, height: u32) -> Rect {
        Rect::new(0, AREA_Y, width, u32::MAX).within(width, height)
    }

    /// The text typed so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Forgets the typed text.
    pub fn clear(&mut self) {
        self.text.clear();
        self.typed.shown = "> _".to_owned();
    }

    /// Paints the whole screen, all but the counter. `machine` is shown in the title.
    pub fn paint(&mut self, canvas: &mut Canvas<'_>, machine: &str) -> Rect {
        self.title = format!("Sampan guest {}x{} {machine}", canvas.width(), canvas.height());
        let bounds = canvas.bounds();
        canvas.fill(bounds, PAPER);
        text::draw(canvas, LEFT, TITLE_Y, LARGE, &self.title);
        text::draw(canvas, LEFT, HINT_Y, SMALL, HINT);
        for field in [&mut self.clock, &mut self.typed, &mut self.key, &mut self.pointer] {
            field.redraw(canvas);
        }
        canvas.fill(Rect::new(0, RULE_Y, bounds.w, 2), FAINT);
        bounds
    }

    /// Shows the time since boot.
    pub fn tick(&mut self, canvas: &mut Canvas<'_>, seconds: u64) -> Rect {
        let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        self.clock.show(canvas, text)
    }

    /// Takes note of a key without painting: shift keys and the text go on while something else is played.
    pub fn take_key(&mut self, code: u16, down: bool) {
        match code {
            keymap::code::LEFT_SHIFT => self.shift[0] = down,
            keymap::code::RIGHT_SHIFT => self.shift[1] = down,
            _ if !down => {}
            keymap::code::BACKSPACE => drop(self.text.pop()),
            keymap::code::ENTER | keymap::code::KP_ENTER | keymap::code::ESC => self.text.clear(),
            _ => self.text.extend(self.typed_by(code)),
        }
    }

    /// The character a key types with the shift keys as they are.
    #[must_use]
    pub fn typed_by(&self, code: u16) -> Option<char> {
        keymap::typed(code, self.shift.contains(&true))
    }

    /// Shows the text and the last key.
    pub fn show_key(&mut self, canvas: &mut Canvas<'_>, code: u16, down: bool) -> Rect {
        // The end of the text stays visible, with the prompt, the cursor and the margin.
        let room = (canvas.width() / LARGE.width(1)).saturating_sub(4) as usize;
        let skip = self.text.chars().count().saturating_sub(room);
        let tail: String = self.text.chars().skip(skip).collect();
        let typed = self.typed.show(canvas, format!("> {tail}_"));
        let state = if down { "down" } else { "up" };
        typed.union(self.key.show(canvas, format!("key {code} {state}")))
    }

    /// Shows where the pointer is.
    pub fn show_pointer(&mut self, canvas: &mut Canvas<'_>, at: (u32, u32), buttons: u8) -> Rect {
        let names = ["left", "right", "middle", "side", "extra"];
        let mut text = format!("pointer {},{}", at.0, at.1);
        for (_, name) in names.iter().enumerate().filter(|(bit, _)| buttons >> bit & 1 == 1) {
            text.push(' ');
            text.push_str(name);
        }
        self.pointer.show(canvas, text)
    }

    /// Draws a stroke with a bright middle of one pixel, both ends included.
    pub fn stroke(canvas: &mut Canvas<'_>, from: (u32, u32), to: (u32, u32), pen: Color) -> Rect {
        let halo = canvas.line(from, to, HALO_RADIUS, HALO);
        canvas.line(from, to, 0, pen);
        halo
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: u32 = 640;
    const H: u32 = 400;

    /// Runs `paint` and checks that it reports every pixel it changed.
    fn honest(pixels: &mut [u8], paint: impl FnOnce(&mut Canvas<'_>) -> Rect) -> Rect {
        let before = pixels.to_owned();
        let rect = paint(&mut Canvas::new(pixels, W as usize * 4, W, H));
        for (index, (a, b)) in before.chunks(4).zip(pixels.chunks(4)).enumerate() {
            let (x, y) = (index as u32 % W, index as u32 / W);
            assert!(a == b || !rect.intersect(Rect::new(x, y, 1, 1)).is_empty(), "{x},{y} outside {rect:?}");
        }
        rect
    }

    #[test]
    fn every_change_is_reported_and_small() {
        let mut pixels = vec![0; (W * H * 4) as usize];
        let mut desk = Desk::new();
        assert_eq!(honest(&mut pixels, |c| desk.paint(c, "test")), Rect::new(0, 0, W, H));
        honest(&mut pixels, |c| desk.tick(c, 59));
        assert_eq!(
            honest(&mut pixels, |c| desk.tick(c, 59)),
            Rect::default(),
            "nothing new, nothing painted"
        );
        let second = honest(&mut pixels, |c| desk.tick(c, 60));
        assert_eq!((second.y, second.h), (CLOCK_Y, 16));
        desk.take_key(30, true);
        let typed = honest(&mut pixels, |c| desk.show_key(c, 30, true));
        assert!(typed.bottom() <= POINTER_Y && typed.w <= 200, "{typed:?}");
        honest(&mut pixels, |c| desk.show_pointer(c, (639, 399), 0b11));
        honest(&mut pixels, |c| desk.show_pointer(c, (0, 0), 0));
    }

    #[test]
    fn a_click_colours_exactly_its_pixel() {
        let mut pixels = vec![0; (W * H * 4) as usize];
        for at in [(0, AREA_Y), (W - 1, H - 1), (100, 200)] {
            honest(&mut pixels, |c| Desk::stroke(c, at, at, PENS[0]));
            let canvas = Canvas::new(&mut pixels, W as usize * 4, W, H);
            assert_eq!(canvas.get(at.0, at.1), Some(PENS[0]));
            for side in [at.0.wrapping_sub(1), at.0 + 1] {
                assert!(canvas.get(side, at.1).is_none_or(|color| color == HALO));
            }
        }
    }

    #[test]
    fn typing_edits_the_text() {
        let mut desk = Desk::new();
        for (code, down) in
            [(42, true), (35, true), (35, false), (42, false), (18, true), (45, true), (14, true), (23, true)]
        {
            desk.take_key(code, down);
        }
        assert_eq!(desk.text(), "Hei");
        desk.take_key(28, true);
        assert_eq!(desk.text(), "");
    }

    #[test]
    fn long_text_keeps_its_end_on_the_screen() {
        let mut pixels = vec![0; (W * H * 4) as usize];
        let mut desk = Desk::new();
        honest(&mut pixels, |c| desk.paint(c, ""));
        for _ in 0..100 {
            desk.take_key(30, true);
        }
        honest(&mut pixels, |c| desk.show_key(c, 30, true));
        assert!(desk.typed.shown.ends_with("a_") && LARGE.width(desk.typed.shown.len()) + LEFT <= W);
    }
}
