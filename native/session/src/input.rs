//! Events and texts on their way to the guest: bounded, in order, and newest-wins where only the newest counts.

use crate::CommandError;
use crate::desktop::Desktop;
use crate::typist::Typist;
use sampan_display::DisplayError;
use sampan_guest::{GuestError, Typed};
use sampan_input::{Button, Event, TouchPhase};
use sampan_message::Coded;
use sampan_qmp::QmpError;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// How many events may wait for a guest that does not take them. A person makes a few tens a second.
const QUEUE: usize = 512;

/// How many texts may wait: one is pasted in a second or so.
const TEXTS: usize = 32;

/// What waits.
#[derive(Debug)]
enum Item {
    /// An event, and the display that its sender sees.
    Event(usize, Event),
    /// A text, and who wants to know what became of it.
    Text(String, oneshot::Sender<Result<(), GuestError>>),
}

/// The queue between viewers, who never wait, and QEMU, which may be busy.
#[derive(Default)]
pub struct Queue {
    waiting: Mutex<VecDeque<Item>>,
    more: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Item>> {
        // Whatever panicked, a queue of events is whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event. Positions that follow one another are replaced, motion and wheel are added up. When the queue
    /// is full, what presses is dropped and what releases is not: a guest that comes back finds no key held.
    pub fn push(&self, display: usize, event: Event) {
        let mut waiting = self.lock();
        let length = waiting.len();
        let last = match waiting.back_mut() {
            Some(Item::Event(on, last)) if *on == display => Some(last),
            _ => None,
        };
        match (last, event) {
            (Some(Event::Move { x, y, frame }), Event::Move { x: nx, y: ny, frame: nf }) => {
                (*x, *y, *frame) = (nx, ny, nf);
            }
            (Some(Event::Motion { dx, dy }), Event::Motion { dx: nx, dy: ny })
            | (Some(Event::Wheel { dx, dy }), Event::Wheel { dx: nx, dy: ny }) => {
                (*dx, *dy) = (dx.saturating_add(nx), dy.saturating_add(ny));
            }
            (_, Event::ReleaseAll) => {
                waiting.retain(|item| !matches!(item, Item::Event(_, waits) if presses(waits)));
                waiting.push_back(Item::Event(display, event));
            }
            _ if length >= QUEUE && !releases(&event) => {}
            // Releases have their own bound: one for each thing that can be down.
            _ if length >= 2 * QUEUE => {}
            _ => waiting.push_back(Item::Event(display, event)),
        }
        drop(waiting);
        self.more.notify_one();
    }

    /// Adds a text, which is typed after what waits already.
    pub fn text(&self, text: String) -> Typed {
        let (done, typed) = oneshot::channel();
        let mut waiting = self.lock();
        let texts = waiting.iter().filter(|item| matches!(item, Item::Text(..))).count();
        if texts < TEXTS && waiting.len() < QUEUE {
            waiting.push_back(Item::Text(text, done));
            drop(waiting);
            self.more.notify_one();
        } else {
            let words = "the guest has not taken what was typed before: try again in a moment".to_owned();
            let _ = done.send(Err(GuestError { code: "text_busy".into(), words }));
        }
        Box::pin(async {
            typed.await.unwrap_or_else(|_| {
                let words = "the machine has ended".to_owned();
                Err(GuestError { code: "ended".into(), words })
            })
        })
    }

    async fn next(&self) -> Item {
        loop {
            if let Some(item) = self.lock().pop_front() {
                return item;
            }
            self.more.notified().await;
        }
    }

    /// The next item if it moves the pointer. Waits until one that does is the next.
    async fn next_motion(&self) -> (usize, Event) {
        loop {
            let moves =
                |item: &mut Item| matches!(item, Item::Event(_, Event::Move { .. } | Event::Motion { .. }));
            if let Some(Item::Event(display, event)) = self.lock().pop_front_if(moves) {
                return (display, event);
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

/// Spaces out keys that come in a burst. A keyboard has room for 16 events (USB, `hw/input/hid.c`) or 16 bytes (PS/2,
/// `hw/input/ps2.c`), a guest looks every 8 ms, and Linux keeps 21 key events for a program that reads them. Our QEMU keeps what
/// a busy guest does not take; this keeps a burst from being more than an idle one takes. What a person types is never held up:
/// only a text that an input method or a program types at once is.
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

/// Brings events to the guest until its connection is gone.
pub async fn pump(queue: Arc<Queue>, desktop: Desktop, typist: Typist, touch_screen: bool) {
    let mut hand = Hand { desktop, touch_screen, pace: Pace::default(), finger: None, refused: false };
    loop {
        match queue.next().await {
            Item::Event(display, event) => {
                if !hand.bring(display, event).await {
                    return;
                }
            }
            // Nobody wants it any more.
            Item::Text(_, done) if done.is_closed() => {}
            Item::Text(text, done) => {
                let mut typing = std::pin::pin!(typist.type_text(&text));
                // Keys and buttons wait, since they belong after the text. A pointer that stood still would look like a hang.
                let typed = loop {
                    tokio::select! {
                        typed = &mut typing => break typed,
                        (display, event) = queue.next_motion() => {
                            if !hand.bring(display, event).await {
                                return;
                            }
                        }
                    }
                };
                let _ = done.send(typed.map_err(|error| text_error(&error)));
            }
        }
    }
}

fn text_error(error: &CommandError) -> GuestError {
    GuestError { code: error.code().into(), words: error.to_string() }
}

struct Hand {
    desktop: Desktop,
    touch_screen: bool,
    pace: Pace,
    /// The finger that is the pointer.
    finger: Option<u64>,
    refused: bool,
}

impl Hand {
    /// False once the connection is gone.
    async fn bring(&mut self, display: usize, event: Event) -> bool {
        if matches!(event, Event::Key { .. }) {
            tokio::time::sleep(self.pace.next(Instant::now())).await;
        }
        for event in as_pointer(event, self.touch_screen, &mut self.finger) {
            match self.desktop.send(display, event).await {
                Ok(()) => {}
                Err(
                    e @ (CommandError::Display(DisplayError::Bus(_)) | CommandError::Qmp(QmpError::Closed)),
                ) => {
                    log::debug!("input ends: {e}");
                    return false;
                }
                Err(e) if !self.refused => {
                    self.refused = true;
                    log::warn!("an input event was refused (later ones are not reported): {e}");
                }
                Err(_) => {}
            }
        }
        true
    }
}

/// Without a touch screen in the guest, the first finger is the pointer with its left button.
fn as_pointer(event: Event, touch_screen: bool, finger: &mut Option<u64>) -> Vec<Event> {
    let Event::Touch { phase, slot, x, y, frame } = event else { return vec![event] };
    if touch_screen {
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
        let items = queue.lock().drain(..).collect::<Vec<_>>();
        items
            .into_iter()
            .filter_map(|item| match item {
                Item::Event(_, event) => Some(event),
                Item::Text(..) => None,
            })
            .collect()
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
            queue.push(0, event);
        }
        assert_eq!(all(&queue), [at(2), click, at(3), Event::Motion { dx: i32::MAX, dy: 0 }]);
    }

    #[test]
    fn positions_on_one_display_replace_none_on_another() {
        let queue = Queue::default();
        let at = |x| Event::Move { x, y: 0, frame: (9, 9) };
        for (display, x) in [(0, 1), (1, 2), (1, 3), (0, 4)] {
            queue.push(display, at(x));
        }
        assert_eq!(all(&queue), [at(1), at(3), at(4)]);
    }

    #[test]
    fn a_full_queue_takes_no_presses_but_every_release() {
        let queue = Queue::default();
        for _ in 0..QUEUE {
            queue.push(0, key("a", true));
            queue.push(0, key("b", true));
        }
        assert_eq!(queue.lock().len(), QUEUE);
        queue.push(0, key("a", false));
        assert_eq!(queue.lock().len(), QUEUE + 1);
        queue.push(0, Event::ReleaseAll);
        assert_eq!(all(&queue), [key("a", false), Event::ReleaseAll]);
        for _ in 0..10 * QUEUE {
            queue.push(0, key("a", false));
        }
        assert!(queue.lock().len() <= 2 * QUEUE);
    }

    #[tokio::test]
    async fn texts_keep_their_order_and_their_number_is_bounded() {
        let queue = Queue::default();
        let at = Event::Move { x: 1, y: 0, frame: (9, 9) };
        queue.push(0, key("a", true));
        let typed = queue.text("中".into());
        queue.push(0, at);
        queue.push(0, key("a", false));
        assert!(matches!(queue.next().await, Item::Event(0, Event::Key { down: true, .. })));
        let Item::Text(text, done) = queue.next().await else { panic!("not the text") };
        assert_eq!(text, "中");
        // While it is typed the pointer goes on, and the keys do not.
        assert_eq!(queue.next_motion().await, (0, at));
        assert!(tokio::time::timeout(Duration::from_millis(20), queue.next_motion()).await.is_err());
        drop(done);
        assert_eq!(typed.await.expect_err("nobody typed it").code, "ended");
        let waiting: Vec<_> = (0..TEXTS).map(|_| queue.text("x".into())).collect();
        assert_eq!(queue.text("y".into()).await.expect_err("too many").code, "text_busy");
        assert_eq!(all(&queue), [key("a", false)]);
        drop(waiting);
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
        assert_eq!(as_pointer(touch(TouchPhase::Begin, 1, 7.9), false, &mut finger), [at(7), left(true)]);
        assert!(
            as_pointer(touch(TouchPhase::Begin, 2, 1.0), false, &mut finger).is_empty(),
            "a second finger"
        );
        assert_eq!(as_pointer(touch(TouchPhase::Update, 1, 1e9), false, &mut finger), [at(99)]);
        assert!(as_pointer(touch(TouchPhase::End, 2, 1.0), false, &mut finger).is_empty());
        assert_eq!(as_pointer(touch(TouchPhase::Cancel, 1, f64::NAN), false, &mut finger), [left(false)]);
        let event = touch(TouchPhase::Begin, 1, 1.0);
        assert_eq!(as_pointer(event, true, &mut finger), [event]);
    }
}
