//! Events on their way to the guest: bounded, in order, and newest-wins where only the newest counts.

use sampan_display::{Console, DisplayError};
use sampan_input::{Button, Event, TouchPhase};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many events may wait for a guest that does not take them. A person makes a few tens a second.
const QUEUE: usize = 512;

/// The queue between viewers, who never wait, and QEMU, which may be busy.
#[derive(Default)]
pub struct Queue {
    waiting: Mutex<VecDeque<Event>>,
    more: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // Whatever panicked, a queue of events is whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event. Positions that follow one another are replaced, motion and wheel are added up. When the queue
    /// is full, what presses is dropped and what releases is not: a guest that comes back finds no key held.
    pub fn push(&self, event: Event) {
        let mut waiting = self.lock();
        let length = waiting.len();
        match (waiting.back_mut(), event) {
            (Some(Event::Move { x, y, frame }), Event::Move { x: nx, y: ny, frame: nf }) => {
                (*x, *y, *frame) = (nx, ny, nf);
            }
            (Some(Event::Motion { dx, dy }), Event::Motion { dx: nx, dy: ny })
            | (Some(Event::Wheel { dx, dy }), Event::Wheel { dx: nx, dy: ny }) => {
                (*dx, *dy) = (dx.saturating_add(nx), dy.saturating_add(ny));
            }
            (_, Event::ReleaseAll) => {
                waiting.retain(|waits| !presses(waits));
                waiting.push_back(event);
            }
            _ if length >= QUEUE && !releases(&event) => {}
            // Releases have their own bound: one for each thing that can be down.
            _ if length >= 2 * QUEUE => {}
            _ => waiting.push_back(event),
        }
        drop(waiting);
        self.more.notify_one();
    }

    async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.lock().pop_front() {
                return event;
            }
            self.more.notified().await;
        }
    }
}

fn presses(event: &Event) -> bool {
    matches!(
        event,
        Event::Key { down: true, .. }
            | Event::Button { down: true, .. }
            | Event::Touch { phase: TouchPhase::Begin | TouchPhase::Update, .. }
    )
}

fn releases(event: &Event) -> bool {
    matches!(
        event,
        Event::Key { down: false, .. }
            | Event::Button { down: false, .. }
            | Event::Touch { phase: TouchPhase::End | TouchPhase::Cancel, .. }
    )
}

/// Spaces out keys that come in a burst. QEMU keeps 16 key events (USB, `hw/input/hid.c`) or 16 bytes (PS/2,
/// `hw/input/ps2.c`) for a guest that looks every 8 ms, and drops what is more, be it a release. What a person types is
/// never held up: only a text that an input method or a program types at once is.
#[derive(Debug, Default)]
struct Pace {
    /// When the guest will have taken all that was sent.
    taken: Option<Instant>,
}

impl Pace {
    /// How long the guest takes for one event.
    const STEP: Duration = Duration::from_millis(12);
    /// How many may wait in QEMU: a release is up to three bytes.
    const BURST: u32 = 5;

    /// How long the next event must wait at `now`.
    fn next(&mut self, now: Instant) -> Duration {
        let start = self.taken.map_or(now, |taken| taken.max(now));
        self.taken = Some(start + Self::STEP);
        (start - now).saturating_sub(Self::STEP * (Self::BURST - 1))
    }
}

/// Brings events to a console until its connection is gone.
pub async fn pump(queue: std::sync::Arc<Queue>, console: Console) {
    let mut refused = false;
    let mut finger = None;
    let mut pace = Pace::default();
    loop {
        let event = queue.next().await;
        if matches!(event, Event::Key { .. }) {
            tokio::time::sleep(pace.next(Instant::now())).await;
        }
        for event in as_pointer(event, console.touch_slots(), &mut finger) {
            match console.send(event).await {
                Ok(()) => {}
                Err(DisplayError::Bus(e)) => {
                    log::debug!("input ends: {e}");
                    return;
                }
                Err(e) if !refused => {
                    refused = true;
                    log::warn!("an input event was refused (later ones are not reported): {e}");
                }
                Err(_) => {}
            }
        }
    }
}

/// Without a touch screen in the guest, the first finger is the pointer with its left button.
fn as_pointer(event: Event, slots: u32, finger: &mut Option<u64>) -> Vec<Event> {
    let Event::Touch { phase, slot, x, y, frame } = event else { return vec![event] };
    if slots > 0 {
        return vec![event];
    }
    let at = Event::Move { x: pixel(x, frame.0), y: pixel(y, frame.1), frame };
    let left = |down| Event::Button { button: Button::Left, down };
    match phase {
        TouchPhase::Begin if finger.is_none() => {
            *finger = Some(slot);
            vec![at, left(true)]
        }
        TouchPhase::Update if *finger == Some(slot) => vec![at],
        TouchPhase::End if finger.take_if(|f| *f == slot).is_some() => vec![at, left(false)],
        TouchPhase::Cancel if finger.take_if(|f| *f == slot).is_some() => vec![left(false)],
        _ => Vec::new(),
    }
}

fn pixel(at: f64, side: u32) -> u32 {
    // `as` turns what is no number into 0 and what is too large into the largest.
    (at.floor() as u32).min(side.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_input::Key;

    fn key(name: &str, down: bool) -> Event {
        Event::Key { key: Key::from_name(name).expect(name), down }
    }

    fn all(queue: &Queue) -> Vec<Event> {
        queue.lock().drain(..).collect()
    }

    #[test]
    fn the_newest_position_wins_and_motion_adds_up_but_never_across_a_click() {
        let queue = Queue::default();
        let at = |x| Event::Move { x, y: 0, frame: (9, 9) };
        let click = Event::Button { button: Button::Left, down: true };
        for event in [
            at(1),
            at(2),
            click,
            at(3),
            Event::Motion { dx: 1, dy: 2 },
            Event::Motion { dx: i32::MAX, dy: -2 },
        ] {
            queue.push(event);
        }
        assert_eq!(all(&queue), [at(2), click, at(3), Event::Motion { dx: i32::MAX, dy: 0 }]);
    }

    #[test]
    fn a_full_queue_takes_no_presses_but_every_release() {
        let queue = Queue::default();
        for _ in 0..QUEUE {
            queue.push(key("a", true));
            queue.push(key("b", true));
        }
        assert_eq!(queue.lock().len(), QUEUE);
        queue.push(key("a", false));
        assert_eq!(queue.lock().len(), QUEUE + 1);
        queue.push(Event::ReleaseAll);
        assert_eq!(all(&queue), [key("a", false), Event::ReleaseAll]);
        for _ in 0..10 * QUEUE {
            queue.push(key("a", false));
        }
        assert!(queue.lock().len() <= 2 * QUEUE);
    }

    #[test]
    fn a_burst_is_spaced_out_and_a_person_is_not() {
        let begun = Instant::now();
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..8).map(|_| pace.next(begun).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 12, 24, 36]);
        let mut pace = Pace::default();
        let typed = (0..100).map(|n| pace.next(begun + Duration::from_millis(13) * n));
        assert!(typed.sum::<Duration>().is_zero());
    }

    #[test]
    fn a_finger_is_the_pointer_where_the_guest_has_no_touch_screen() {
        let mut finger = None;
        let touch = |phase, slot, x| Event::Touch { phase, slot, x, y: 2.5, frame: (100, 50) };
        let left = |down| Event::Button { button: Button::Left, down };
        let at = |x| Event::Move { x, y: 2, frame: (100, 50) };
        assert_eq!(as_pointer(touch(TouchPhase::Begin, 1, 7.9), 0, &mut finger), [at(7), left(true)]);
        assert!(as_pointer(touch(TouchPhase::Begin, 2, 1.0), 0, &mut finger).is_empty(), "a second finger");
        assert_eq!(as_pointer(touch(TouchPhase::Update, 1, 1e9), 0, &mut finger), [at(99)]);
        assert!(as_pointer(touch(TouchPhase::End, 2, 1.0), 0, &mut finger).is_empty());
        assert_eq!(as_pointer(touch(TouchPhase::Cancel, 1, f64::NAN), 0, &mut finger), [left(false)]);
        let event = touch(TouchPhase::Begin, 1, 1.0);
        assert_eq!(as_pointer(event, 10, &mut finger), [event]);
    }
}
