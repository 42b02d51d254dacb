//! `org.qemu.Display1.Mouse`: buttons, wheel and motion.

use crate::bus::Member;
use sampan_input::Button;

pub(crate) const INTERFACE: &str = "org.qemu.Display1.Mouse";
const PRESS: Member = Member { interface: INTERFACE, name: "Press", text: "Mouse.Press" };
const RELEASE: Member = Member { interface: INTERFACE, name: "Release", text: "Mouse.Release" };
pub(crate) const SET_ABS_POSITION: Member =
    Member { interface: INTERFACE, name: "SetAbsPosition", text: "Mouse.SetAbsPosition" };
pub(crate) const REL_MOTION: Member =
    Member { interface: INTERFACE, name: "RelMotion", text: "Mouse.RelMotion" };

/// One turn of the wheel may be this many notches; a fling on a touch pad sends far fewer.
const MAX_NOTCHES: u32 = 64;

/// `InputButton` of QEMU's `qapi/ui.json`: left, middle, right, wheel-up, wheel-down, side, extra, wheel-left,
/// wheel-right.
fn number(button: Button) -> u32 {
    match button {
        Button::Left => 0,
        Button::Middle => 1,
        Button::Right => 2,
        Button::Side => 5,
        Button::Extra => 6,
    }
}

/// The call that presses or releases a button, and its argument.
pub(crate) fn button(button: Button, down: bool) -> (Member, u32) {
    (if down { PRESS } else { RELEASE }, number(button))
}

/// The calls that turn the wheel: to QEMU each notch is a button that goes down and up.
pub(crate) fn wheel(dx: i32, dy: i32) -> impl Iterator<Item = (Member, u32)> {
    let axis = |turn: i32, backward: u32, forward: u32| {
        let button = if turn < 0 { backward } else { forward };
        let notches = turn.unsigned_abs().min(MAX_NOTCHES) as usize;
        std::iter::repeat_n([(PRESS, button), (RELEASE, button)], notches).flatten()
    };
    axis(dy, 3, 4).chain(axis(dx, 7, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wheel_is_made_of_buttons() {
        let calls: Vec<_> = wheel(1, -2).map(|(member, button)| (member.name, button)).collect();
        let want = [("Press", 3), ("Release", 3), ("Press", 3), ("Release", 3), ("Press", 8), ("Release", 8)];
        assert_eq!(calls, want);
        assert_eq!(wheel(0, 0).count(), 0);
        assert_eq!(wheel(0, i32::MIN).count(), 2 * MAX_NOTCHES as usize);
    }

    #[test]
    fn buttons_have_qemus_numbers() {
        assert_eq!(Button::ALL.map(number), [0, 1, 2, 5, 6]);
    }
}
