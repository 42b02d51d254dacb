//! `org.qemu.Display1.Keyboard`: keys by QEMU's key numbers (qnum), and the LEDs of the guest's keyboard.

use crate::bus::Member;
use sampan_input::Key;

pub(crate) const INTERFACE: &str = "org.qemu.Display1.Keyboard";
const PRESS: Member = Member { interface: INTERFACE, name: "Press", text: "Keyboard.Press" };
const RELEASE: Member = Member { interface: INTERFACE, name: "Release", text: "Keyboard.Release" };

/// The call that presses or releases a key, and its argument.
pub(crate) fn key(key: Key, down: bool) -> (Member, u32) {
    (if down { PRESS } else { RELEASE }, key.qnum())
}
