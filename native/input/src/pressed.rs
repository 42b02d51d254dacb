//! What a sender holds down, so that it can be released when the sender leaves.

use crate::{Button, Event, Key};
use std::collections::BTreeSet;

/// The keys, buttons and fingers that one sender holds down.
///
/// ```
/// use sampan_input::{Event, Key, Pressed};
/// let mut pressed = Pressed::default();
/// let key = Key::from_name("a").unwrap();
/// pressed.note(&Event::Key { key, down: true });
/// assert_eq!(pressed.release(), vec![Event::Key { key, down: false }]);
/// assert!(pressed.release().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Pressed {
    keys: BTreeSet<Key>,
    buttons: Vec<Button>,
    touches: BTreeSet<u64>,
}

/// More fingers than any device reports: a sender cannot make this grow.
const MAX_TOUCHES: usize = 64;

impl Pressed {
    /// Remembers what `event` pressed or released.
    pub fn note(&mut self, event: &Event) {
        match *event {
            Event::Key { key, down: true } => {
                self.keys.insert(key);
            }
            Event::Key { key, down: false } => {
                self.keys.remove(&key);
            }
            Event::Button { button, down } => {
                self.buttons.retain(|b| *b != button);
                if down {
                    self.buttons.push(button);
                }
            }
            Event::Touch { phase, slot, .. } => match phase {
                crate::TouchPhase::Begin if self.touches.len() < MAX_TOUCHES => {
                    self.touches.insert(slot);
                }
                crate::TouchPhase::End | crate::TouchPhase::Cancel => {
                    self.touches.remove(&slot);
                }
                _ => {}
            },
            Event::ReleaseAll => *self = Pressed::default(),
            Event::Move { .. } | Event::Motion { .. } | Event::Wheel { .. } => {}
        }
    }

    /// The events that release all of it, and forgets it.
    pub fn release(&mut self) -> Vec<Event> {
        let held = std::mem::take(self);
        let keys = held.keys.into_iter().map(|key| Event::Key { key, down: false });
        let buttons = held.buttons.into_iter().map(|button| Event::Button { button, down: false });
        let touches = held.touches.into_iter().map(|slot| Event::Touch {
            phase: crate::TouchPhase::Cancel,
            slot,
            x: 0.0,
            y: 0.0,
            frame: (1, 1),
        });
        keys.chain(buttons).chain(touches).collect()
    }

    /// Whether anything is held down.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.buttons.is_empty() && self.touches.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TouchPhase;

    #[test]
    fn what_went_down_goes_up_once() {
        let mut pressed = Pressed::default();
        for name in ["ctrl", "alt", "delete"] {
            pressed.note(&Event::Key { key: Key::from_name(name).expect(name), down: true });
        }
        pressed.note(&Event::Key { key: Key::from_name("alt").expect("alt"), down: false });
        pressed.note(&Event::Button { button: Button::Left, down: true });
        pressed.note(&Event::Button { button: Button::Left, down: true });
        pressed.note(&Event::Touch { phase: TouchPhase::Begin, slot: 3, x: 1.0, y: 1.0, frame: (9, 9) });
        assert_eq!(pressed.release().len(), 4);
        assert!(pressed.is_empty());
    }
}
