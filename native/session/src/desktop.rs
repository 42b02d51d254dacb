//! Where a person's pointer goes in a guest with several displays.
//!
//! The guest has one absolute pointing device, and no operating system knows which display it belongs to: it covers the whole
//! desktop. So a position on one of several displays is a position on all of them side by side, in the order of their numbers, which is
//! how systems place displays that are connected, and what a desktop's agent is told (`sampan_vdagent::Monitor::row`).

use crate::CommandError;
use crate::displays::Displays;
use sampan_display::DisplayError;
use sampan_frame::Size;
use sampan_input::{Event, rescale};
use sampan_qmp::{Qmp, QmpError, types};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest position on an axis (`INPUT_EVENT_ABS_MAX` in `include/ui/input.h`).
const AXIS: u64 = 0x7fff;

/// Brings events to the guest. Clones bring them to the same.
#[derive(Clone)]
pub struct Desktop {
    displays: Displays,
    qmp: Qmp,
    /// Where the pointer is on a desktop of several displays, for motion that goes on from there.
    at: Arc<Mutex<(u32, u32)>>,
}

/// The guest's displays side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    /// The columns before the display in question.
    left: u32,
    /// The display in question.
    own: Size,
    /// All of them.
    all: Size,
}

/// The row of the displays that are lit, for one of them; `None` where it is alone, or dark.
fn row(sizes: &[Option<Size>], display: usize) -> Option<Row> {
    let own = (*sizes.get(display)?)?;
    if sizes.iter().flatten().count() < 2 {
        return None;
    }
    let width = |sizes: &[Option<Size>]| sizes.iter().flatten().map(|size| size.width).sum();
    let height = sizes.iter().flatten().map(|size| size.height).max()?;
    Some(Row { left: width(&sizes[..display]), own, all: Size { width: width(sizes), height } })
}

impl Row {
    /// A position on the display in question, of a frame that a person saw, as one on all of them.
    fn place(&self, at: (u32, u32), frame: (u32, u32)) -> (u32, u32) {
        (self.left + rescale(at.0, frame.0, self.own.width), rescale(at.1, frame.1, self.own.height))
    }
}

impl Desktop {
    pub fn new(displays: Displays, qmp: Qmp) -> Self {
        Self { displays, qmp, at: Arc::default() }
    }

    /// Brings the guest an event of a person who sees a display, and waits until QEMU has taken it.
    ///
    /// # Errors
    /// Those of [`Console::send`](sampan_display::Console::send), or of the monitor.
    pub async fn send(&self, display: usize, event: Event) -> Result<(), CommandError> {
        let main = self.displays.main();
        match (event, row(&self.displays.sizes(), display)) {
            (Event::Move { x, y, frame }, Some(row)) => self.put(row.place((x, y), frame), row.all).await,
            (Event::Motion { dx, dy }, Some(row)) if *main.absolute().borrow() => {
                let at = *self.at();
                let moved = |at: u32, by: i32, side: u32| at.saturating_add_signed(by).min(side - 1);
                self.put((moved(at.0, dx, row.all.width), moved(at.1, dy, row.all.height)), row.all).await
            }
            (Event::Touch { phase, slot, x, y, frame }, Some(row)) => {
                let scale = |at: f64, from: u32, to: u32| at * f64::from(to) / f64::from(from.max(1));
                let x = f64::from(row.left) + scale(x, frame.0, row.own.width);
                let y = scale(y, frame.1, row.own.height);
                let frame = (row.all.width, row.all.height);
                Ok(main.send(Event::Touch { phase, slot, x, y, frame }).await?)
            }
            // Of one that is alone the pointing device covers what its console does.
            (Event::Move { .. }, None) => {
                Ok(self.displays.console(display).unwrap_or(main).send(event).await?)
            }
            // Keys and buttons belong to no display.
            _ => Ok(main.send(event).await?),
        }
    }

    /// Puts the pointer on a pixel of all displays together. The display's interface takes positions on one console alone, and no finer
    /// ones than it has pixels; the monitor takes them in steps of the device.
    async fn put(&self, (x, y): (u32, u32), all: Size) -> Result<(), CommandError> {
        if !*self.displays.main().absolute().borrow() {
            return Err(DisplayError::Relative.into());
        }
        *self.at() = (x, y);
        // Rounded down, as QEMU does with a position on a console (`qemu_input_scale_axis` in `ui/input.c`).
        let value = |at: u32, side: u32| (u64::from(at) * AXIS / u64::from(side.max(1))) as i64;
        let axis = |axis, value| types::InputEvent::abs(types::InputMoveEvent { axis, value }.into());
        let events = vec![
            axis(types::InputAxis::x, value(x, all.width)),
            axis(types::InputAxis::y, value(y, all.height)),
        ];
        match self.qmp.execute(types::input_send_event { device: None, head: None, events }).await {
            // It refuses while the machine is paused, when nobody sees a pointer move.
            Ok(_) | Err(QmpError::Refused { .. }) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn at(&self) -> std::sync::MutexGuard<'_, (u32, u32)> {
        // A pair of numbers is whole whatever panicked.
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> Option<Size> {
        Some(Size { width, height })
    }

    #[test]
    fn a_display_that_is_alone_needs_no_row() {
        assert_eq!(row(&[size(800, 600)], 0), None);
        assert_eq!(row(&[size(800, 600), None, None], 0), None);
        assert_eq!(row(&[None, size(800, 600)], 1), None);
        assert_eq!(row(&[size(800, 600), None, size(640, 480)], 1), None, "it is dark");
        assert_eq!(row(&[size(800, 600), size(640, 480)], 7), None, "there is none");
    }

    #[test]
    fn displays_stand_side_by_side_in_the_order_of_their_numbers() {
        let sizes = [size(800, 600), None, size(640, 1000), size(100, 100)];
        let third = row(&sizes, 2).expect("lit");
        assert_eq!(
            third,
            Row {
                left: 800,
                own: Size { width: 640, height: 1000 },
                all: Size { width: 1540, height: 1000 }
            }
        );
        assert_eq!(third.place((0, 0), (640, 1000)), (800, 0));
        assert_eq!(third.place((639, 999), (640, 1000)), (1439, 999));
        // Of a frame of another size, and beyond its edge.
        assert_eq!(third.place((160, 250), (320, 500)), (1121, 501));
        assert_eq!(third.place((u32::MAX, u32::MAX), (320, 500)), (1439, 999));
        assert_eq!(row(&sizes, 0).expect("lit").place((5, 6), (800, 600)), (5, 6));
    }
}
