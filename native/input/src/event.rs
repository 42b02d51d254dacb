//! The one event type.

use crate::Key;

/// A pointer button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Button {
    /// The main button.
    Left,
    /// The wheel's button.
    Middle,
    /// The context-menu button.
    Right,
    /// "Back" (evdev `BTN_SIDE`).
    Side,
    /// "Forward" (evdev `BTN_EXTRA`).
    Extra,
}

impl Button {
    /// Every button there is.
    pub const ALL: [Button; 5] = [Button::Left, Button::Middle, Button::Right, Button::Side, Button::Extra];

    /// The button of a DOM `MouseEvent.button` number (UI Events): 0 main, 1 auxiliary, 2 secondary, 3 back,
    /// 4 forward.
    pub fn from_dom(number: u64) -> Option<Button> {
        Button::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The button of a name: `left`, `middle`, `right`, `side` (or `back`), `extra` (or `forward`).
    pub fn from_name(name: &str) -> Option<Button> {
        Some(match name {
            "left" => Button::Left,
            "middle" => Button::Middle,
            "right" => Button::Right,
            "side" | "back" => Button::Side,
            "extra" | "forward" => Button::Extra,
            _ => return None,
        })
    }
}

/// What a finger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TouchPhase {
    /// The finger came down.
    Begin,
    /// It moved.
    Update,
    /// It was lifted.
    End,
    /// The system took the gesture away: nothing that it began is meant any more.
    Cancel,
}

/// One thing that a person did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A key went down or up.
    Key {
        /// Which key.
        key: Key,
        /// Down, or up.
        down: bool,
    },
    /// The pointer is at a place, for guests with an absolute pointing device.
    Move {
        /// Pixels from the left edge of `frame`.
        x: u32,
        /// Pixels from its top edge.
        y: u32,
        /// Width and height in pixels of the frame that the sender saw: the guest's may have changed since, see
        /// [`rescale`].
        frame: (u32, u32),
    },
    /// The pointer moved by so many pixels, for guests with a relative pointing device.
    Motion {
        /// To the right.
        dx: i32,
        /// Down.
        dy: i32,
    },
    /// A button went down or up.
    Button {
        /// Which button.
        button: Button,
        /// Down, or up.
        down: bool,
    },
    /// The wheel turned, in notches.
    Wheel {
        /// Positive to the right.
        dx: i32,
        /// Positive towards the user (the page scrolls down).
        dy: i32,
    },
    /// A finger.
    Touch {
        /// What it does.
        phase: TouchPhase,
        /// Which finger, stable from `Begin` to `End`.
        slot: u64,
        /// Pixels from the left edge of `frame`.
        x: f64,
        /// Pixels from its top edge.
        y: f64,
        /// Width and height of the frame that the sender saw.
        frame: (u32, u32),
    },
    /// Whatever is down goes up: the sender left or lost the focus.
    ReleaseAll,
}

/// Takes a position in a frame of `from` pixels to a frame of `to` pixels, and into it.
///
/// The middle of a pixel decides, so equal sizes change nothing. An empty frame gives 0.
///
/// ```
/// use sampan_input::rescale;
/// assert_eq!(rescale(7, 100, 100), 7);
/// assert_eq!(rescale(99, 100, 200), 199);
/// assert_eq!(rescale(5000, 100, 100), 99);
/// ```
pub fn rescale(at: u32, from: u32, to: u32) -> u32 {
    if from == 0 || to == 0 {
        return 0;
    }
    let scaled = (u128::from(at) * 2 + 1) * u128::from(to) / (u128::from(from) * 2);
    // Below `to`, hence it fits.
    scaled.min(u128::from(to) - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_position_stays_inside_and_equal_sizes_change_nothing(at: u32, from: u32, to in 1u32..) {
            prop_assert!(rescale(at, from, to) < to);
            prop_assert_eq!(rescale(at % to, to, to), at % to);
        }
    }

    #[test]
    fn dom_buttons() {
        assert_eq!(Button::from_dom(1), Some(Button::Middle));
        assert_eq!(Button::from_dom(2), Some(Button::Right));
        assert_eq!(Button::from_dom(5), None);
        assert_eq!(Button::from_name("forward"), Some(Button::Extra));
    }
}
