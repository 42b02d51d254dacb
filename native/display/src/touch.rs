//! `org.qemu.Display1.MultiTouch`: fingers.

use crate::bus::Member;
use crate::error::DisplayError;
use sampan_input::TouchPhase;

pub(crate) const INTERFACE: &str = "org.qemu.Display1.MultiTouch";
pub(crate) const SEND_EVENT: Member =
    Member { interface: INTERFACE, name: "SendEvent", text: "MultiTouch.SendEvent" };

/// More than any device has (QEMU's own limit is 10): bounds what a peer may announce.
pub(crate) const MAX_SLOTS: u32 = 32;

/// Which of the guest's slots each finger of the sender has.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// By the guest's slot: the sender's number.
    fingers: Vec<Option<u64>>,
}

impl Slots {
    /// The guest's slot for an event of a finger; `None` if there is nothing to tell the guest.
    ///
    /// # Errors
    /// [`DisplayError::TooManyFingers`] if a finger comes down and all of the `max` slots are taken.
    pub(crate) fn slot(
        &mut self,
        phase: TouchPhase,
        finger: u64,
        max: u32,
    ) -> Result<Option<u64>, DisplayError> {
        let held = self.fingers.iter().position(|&f| f == Some(finger));
        Ok(match (phase, held) {
            (TouchPhase::Begin, None) => Some(self.take(finger, max)? as u64),
            (TouchPhase::Begin | TouchPhase::Update, Some(slot)) => Some(slot as u64),
            (TouchPhase::End | TouchPhase::Cancel, Some(slot)) => {
                self.fingers[slot] = None;
                Some(slot as u64)
            }
            // A finger that never came down.
            (_, None) => None,
        })
    }

    fn take(&mut self, finger: u64, max: u32) -> Result<usize, DisplayError> {
        let free = self.fingers.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.fingers.len());
        if slot >= max as usize {
            return Err(DisplayError::TooManyFingers(max));
        }
        if slot == self.fingers.len() {
            self.fingers.push(None);
        }
        self.fingers[slot] = Some(finger);
        Ok(slot)
    }
}

/// `InputMultiTouchType` of QEMU's `qapi/ui.json`.
///
/// A cancelled finger is lifted: QEMU frees a slot only on `end` (`console_handle_touch_event` in `ui/console.c`).
pub(crate) fn kind(phase: TouchPhase) -> u32 {
    match phase {
        TouchPhase::Begin => 0,
        TouchPhase::Update => 1,
        TouchPhase::End | TouchPhase::Cancel => 2,
    }
}

/// A coordinate of a frame of `from` pixels on a console of `to` pixels, kept inside.
pub(crate) fn scale(at: f64, from: u32, to: u32) -> Result<f64, DisplayError> {
    if !at.is_finite() {
        return Err(DisplayError::NotFinite);
    }
    let scaled = if from == 0 { 0.0 } else { at * f64::from(to) / f64::from(from) };
    Ok(scaled.clamp(0.0, f64::from(to.max(1) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingers_take_the_lowest_slot_and_give_it_back() {
        let mut slots = Slots::default();
        let mut slot = |phase, finger| slots.slot(phase, finger, 2);
        assert_eq!(slot(TouchPhase::Begin, 900).expect("free"), Some(0));
        assert_eq!(slot(TouchPhase::Begin, 7).expect("free"), Some(1));
        assert!(matches!(slot(TouchPhase::Begin, 8), Err(DisplayError::TooManyFingers(2))));
        assert_eq!(slot(TouchPhase::Update, 7).expect("held"), Some(1));
        assert_eq!(slot(TouchPhase::Cancel, 900).expect("held"), Some(0));
        assert_eq!(slot(TouchPhase::End, 900).expect("gone"), None);
        assert_eq!(slot(TouchPhase::Begin, 8).expect("free again"), Some(0));
    }

    #[test]
    fn positions_stay_on_the_console() {
        assert_eq!(scale(50.0, 100, 200).expect("finite"), 100.0);
        assert_eq!(scale(-1.0, 100, 200).expect("finite"), 0.0);
        assert_eq!(scale(1e300, 100, 200).expect("finite"), 199.0);
        assert_eq!(scale(5.0, 0, 200).expect("finite"), 0.0);
        assert!(scale(f64::NAN, 100, 200).is_err());
    }
}
