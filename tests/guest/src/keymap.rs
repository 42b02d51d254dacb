//! What a key types on a US keyboard.

/// Codes from `input-event-codes.h` that the guest itself acts on.
pub mod code {
    /// Escape.
    pub const ESC: u16 = 1;
    /// Backspace.
    pub const BACKSPACE: u16 = 14;
    /// Return.
    pub const ENTER: u16 = 28;
    /// Left shift.
    pub const LEFT_SHIFT: u16 = 42;
    /// Right shift.
    pub const RIGHT_SHIFT: u16 = 54;
    /// Return on the key pad.
    pub const KP_ENTER: u16 = 96;
    /// The power button.
    pub const POWER: u16 = 116;
    /// The first code that is a button instead of a key.
    pub const BTN_MISC: u16 = 0x100;
    /// The first key after the buttons.
    pub const KEY_OK: u16 = 0x160;
}

/// Runs of neighbouring codes: first code, what they type, and what they type with shift.
const RUNS: [(u16, &str, &str); 6] = [
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (55, "*", "*"),
    (71, "789-456+1230.", "789-456+1230."),
];

/// The character that an evdev key code types, `None` for keys that type nothing.
#[must_use]
pub fn typed(code: u16, shift: bool) -> Option<char> {
    match code {
        57 => return Some(' '),
        98 => return Some('/'),
        _ => {}
    }
    RUNS.iter().find_map(|&(first, plain, shifted)| {
        let index = usize::from(code.checked_sub(first)?);
        if shift { shifted } else { plain }.chars().nth(index)
    })
}

/// Whether a code of an `EV_KEY` event is a key of a keyboard, not a button of a mouse, a tablet or a pad.
#[must_use]
pub fn is_key(code: u16) -> bool {
    !(code::BTN_MISC..code::KEY_OK).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_line_up_with_their_codes() {
        // From input-event-codes.h: KEY_1 2, KEY_EQUAL 13, KEY_Q 16, KEY_A 30, KEY_GRAVE 41, KEY_BACKSLASH 43,
        // KEY_Z 44, KEY_SLASH 53, KEY_KP7 71, KEY_KPDOT 83.
        for (code, plain, shifted) in [
            (2, '1', '!'),
            (13, '=', '+'),
            (16, 'q', 'Q'),
            (30, 'a', 'A'),
            (41, '`', '~'),
            (43, '\\', '|'),
            (44, 'z', 'Z'),
            (53, '/', '?'),
            (71, '7', '7'),
            (83, '.', '.'),
        ] {
            assert_eq!((typed(code, false), typed(code, true)), (Some(plain), Some(shifted)), "{code}");
        }
    }

    #[test]
    fn keys_that_type_nothing() {
        for code in [
            0,
            code::ESC,
            code::BACKSPACE,
            15,
            code::ENTER,
            29,
            code::LEFT_SHIFT,
            code::RIGHT_SHIFT,
            56,
            58,
            103,
            272,
        ] {
            assert_eq!(typed(code, false), None, "{code}");
        }
    }

    #[test]
    fn buttons_are_not_keys() {
        assert!(is_key(30) && is_key(code::POWER) && is_key(0x160));
        assert!(!is_key(0x110) && !is_key(0x14a));
    }
}
