//! What is on the screen, and how a change of it becomes one frame.

use tiny_guest::canvas::Canvas;
use tiny_guest::cursor::Drawn;
use tiny_guest::desk::{self, Desk};
use tiny_guest::protocol::{Message, Workload};
use tiny_guest::workload::Player;
use tiny_guest::{Rect, cursor};

use crate::display::Surface;
use crate::input::Event;
use crate::machine;

/// Changes of the desk that lie further apart than this many pixels of empty space are flushed one by one.
const LOOSE: u64 = 65_536;

/// The picture.
pub struct Picture {
    /// The desk; it takes note of keys whatever is played.
    pub desk: Desk,
    /// The frames painted so far.
    pub counter: u32,
    player: Option<Player>,
    cross: Drawn,
    /// Whether the pointer moves on a plane of its own.
    pub plane: bool,
}

impl Picture {
    /// A picture nobody has seen yet.
    pub fn new() -> Self {
        Self { desk: Desk::new(), counter: 0, player: None, cross: Drawn::default(), plane: false }
    }

    /// Paints everything on a new screen, or for another workload.
    pub fn start(
        &mut self,
        surface: &mut dyn Surface,
        workload: Workload,
        machine: &str,
        at: (u32, u32),
    ) -> std::io::Result<Option<Message>> {
        self.cross.forget();
        self.frame(surface, workload, None, at, |picture, canvas| {
            if workload == Workload::Desk {
                picture.player = None;
                vec![picture.desk.paint(canvas, machine)]
            } else {
                picture.player = Some(Player::start(workload, canvas));
                vec![canvas.bounds()]
            }
        })
    }

    /// Paints the next frame of a workload that plays by itself.
    pub fn play(
        &mut self,
        surface: &mut dyn Surface,
        workload: Workload,
        at: (u32, u32),
    ) -> std::io::Result<Option<Message>> {
        self.frame(surface, workload, None, at, |picture, canvas| {
            picture.player.as_mut().map(|player| player.next(canvas)).into_iter().collect()
        })
    }

    /// Paints the glyph of a key.
    pub fn glyph(
        &mut self,
        surface: &mut dyn Surface,
        code: u16,
        at: (u32, u32),
    ) -> std::io::Result<Option<Message>> {
        self.frame(surface, Workload::Glyph, Some(code), at, |picture, canvas| {
            let character = picture.desk.typed_by(code).unwrap_or('?');
            picture.player.as_mut().map(|player| player.glyph(canvas, character)).into_iter().collect()
        })
    }

    /// Shows the clock of the desk.
    pub fn tick(
        &mut self,
        surface: &mut dyn Surface,
        seconds: u64,
        at: (u32, u32),
    ) -> std::io::Result<Option<Message>> {
        self.frame(surface, Workload::Desk, None, at, |picture, canvas| {
            vec![picture.desk.tick(canvas, seconds)]
        })
    }

    /// Shows on the desk what was done, as one frame.
    pub fn show(
        &mut self,
        surface: &mut dyn Surface,
        events: &[Event],
        at: (u32, u32),
        buttons: u8,
    ) -> std::io::Result<Option<Message>> {
        let cause = events.iter().rev().find_map(|event| match event {
            Event::Key { code, .. } => Some(*code),
            _ => None,
        });
        self.frame(surface, Workload::Desk, cause, at, |picture, canvas| {
            let mut rects = Vec::new();
            for event in events {
                rects.push(match *event {
                    Event::Key { code, down } => picture.desk.show_key(canvas, code, down),
                    Event::Pointer { from, at, held, buttons } => {
                        // The lowest button decides; a stroke begins where it went down.
                        match desk::PENS.get(buttons.trailing_zeros() as usize) {
                            Some(&pen) => {
                                let from = if held & buttons == 0 { at } else { from };
                                Desk::stroke(canvas, from, at, pen)
                            }
                            None => Rect::default(),
                        }
                    }
                    Event::Touch { from, at, down: true, .. } => Desk::stroke(canvas, from, at, desk::FINGER),
                    Event::Touch { .. } | Event::Wheel { .. } => Rect::default(),
                });
            }
            if events.iter().any(|event| matches!(event, Event::Pointer { .. })) {
                rects.push(picture.desk.show_pointer(canvas, at, buttons));
            }
            rects
        })
    }

    /// Paints, counts, and flushes: one frame. Nothing is flushed, counted or told when nothing changed.
    fn frame(
        &mut self,
        surface: &mut dyn Surface,
        workload: Workload,
        cause: Option<u16>,
        at: (u32, u32),
        paint: impl FnOnce(&mut Self, &mut Canvas<'_>) -> Vec<Rect>,
    ) -> std::io::Result<Option<Message>> {
        let mut canvas = surface.canvas();
        let bounds = canvas.bounds();
        // Where there is no cursor plane, the cross lies over everything, so it goes first and comes back last.
        let erased = self.cross.erase(&mut canvas);
        let mut rects = paint(self, &mut canvas);
        let covers = if self.plane { Rect::default() } else { cursor::covers(at.0, at.1) };
        if covers.within(bounds.w, bounds.h) != erased {
            rects.extend([erased, covers.within(bounds.w, bounds.h)]);
        }
        rects.retain(|rect| !rect.is_empty());
        let changed = !rects.is_empty();
        if changed {
            self.counter = self.counter.wrapping_add(1);
            rects.push(canvas.counter(self.counter));
        }
        if !self.plane {
            self.cross.draw(&mut canvas, at.0, at.1);
        }
        if !changed {
            return Ok(None);
        }
        let all = rects.iter().fold(Rect::default(), |all, rect| all.union(*rect)).within(bounds.w, bounds.h);
        // Everyone but the desk gets one flush per frame: a frame is whole when it arrives. On the desk, a stroke far
        // from the counter would make that flush nearly the whole screen; there the counter follows in its own.
        let apart = workload == Workload::Desk
            && all.area() > 2 * rects.iter().map(|rect| rect.area()).sum::<u64>() + LOOSE;
        let t = machine::now();
        if apart {
            for rect in &rects {
                surface.flush(&[*rect])?;
            }
        } else {
            surface.flush(&[all])?;
        }
        let d = machine::now() - t;
        Ok(Some(Message::Paint { paint: self.counter, t, d, rect: [all.x, all.y, all.w, all.h], cause }))
    }
}
