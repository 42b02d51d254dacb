//! Keys and their codes in each world: evdev, QEMU's qnum, the DOM's `code`, and names people type.

use crate::entry::Entry;
use crate::table::{BY_DOM, BY_NAME, BY_OHOS, KEYS};
use std::fmt;

/// A physical key that QEMU can deliver to a guest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u16);

impl Key {
    fn at(place: usize) -> Self {
        // The table has 159 rows, and `place` comes from a search in it.
        Key(place as u16)
    }

    fn entry(self) -> &'static Entry {
        &KEYS[usize::from(self.0)]
    }

    /// The key of a Linux input event code (`linux/input-event-codes.h`), if QEMU can deliver it.
    pub fn from_evdev(code: u16) -> Option<Key> {
        KEYS.binary_search_by_key(&code, |entry| entry.evdev).ok().map(Key::at)
    }

    /// The key of a QEMU key number: XT set 1, keys with the 0xe0 prefix as `0x80 | code`.
    pub fn from_qnum(qnum: u32) -> Option<Key> {
        // QEMU takes 0xb7 for Print Screen too: older clients sent it.
        let qnum = if qnum == 0xb7 { 0x54 } else { qnum };
        KEYS.iter().position(|entry| u32::from(entry.qnum) == qnum).map(Key::at)
    }

    /// The key of a `KeyboardEvent.code` (W3C UI Events KeyboardEvent code values).
    pub fn from_dom(code: &str) -> Option<Key> {
        BY_DOM.binary_search_by_key(&code, |(word, _)| word).ok().map(|at| Key(BY_DOM[at].1))
    }

    /// The key of a name: QEMU's QKeyCode (`ret`, `ctrl`, `kp_5`) or an alias (`enter`, `control`, `super`).
    pub fn from_name(name: &str) -> Option<Key> {
        BY_NAME.binary_search_by_key(&name, |(word, _)| word).ok().map(|at| Key(BY_NAME[at].1))
    }

    /// The key of one of OpenHarmony's key codes (`KeyCode` of `@ohos.multimodalInput.keyCode`).
    pub fn from_ohos(code: u16) -> Option<Key> {
        BY_OHOS.binary_search_by_key(&code, |(number, _)| *number).ok().map(|at| Key(BY_OHOS[at].1))
    }

    /// Linux input event code.
    pub fn evdev(self) -> u16 {
        self.entry().evdev
    }

    /// QEMU key number, as `org.qemu.Display1.Keyboard.Press` takes it.
    pub fn qnum(self) -> u32 {
        u32::from(self.entry().qnum)
    }

    /// The first DOM code, where browsers have one for this key.
    pub fn dom(self) -> Option<&'static str> {
        self.entry().dom.first().copied()
    }

    /// QEMU's QKeyCode name.
    pub fn name(self) -> &'static str {
        // Every row has a name: xtask refuses a table where one has none, and a test looks at all.
        self.entry().names.first().copied().unwrap_or("unnamed")
    }

    /// Every key there is.
    pub fn all() -> impl Iterator<Item = Key> {
        (0..KEYS.len()).map(Key::at)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_key_comes_back_from_each_of_its_codes() {
        for key in Key::all() {
            assert_eq!(Key::from_evdev(key.evdev()), Some(key));
            assert_eq!(Key::from_qnum(key.qnum()), Some(key));
            assert!(!key.entry().names.is_empty());
            for name in key.entry().names {
                assert_eq!(Key::from_name(name), Some(key), "{name}");
            }
            for code in key.entry().dom {
                assert_eq!(Key::from_dom(code), Some(key), "{code}");
            }
        }
    }

    #[test]
    fn known_facts_hold() {
        // linux/input-event-codes.h, QEMU's qnum, and UI Events.
        for (evdev, qnum, dom, name) in [
            (1, 0x01, "Escape", "esc"),
            (14, 0x0e, "Backspace", "backspace"),
            (28, 0x1c, "Enter", "ret"),
            (96, 0x9c, "NumpadEnter", "kp_enter"),
            (97, 0x9d, "ControlRight", "ctrl_r"),
            (99, 0x54, "PrintScreen", "print"),
            (103, 0xc8, "ArrowUp", "up"),
            (111, 0xd3, "Delete", "delete"),
            (119, 0xc6, "Pause", "pause"),
            (122, 0x72, "Lang1", "lang1"),
            (125, 0xdb, "MetaLeft", "meta_l"),
        ] {
            let key = Key::from_evdev(evdev).expect(name);
            assert_eq!((key.qnum(), key.dom(), key.name()), (qnum, Some(dom), name));
        }
        assert_eq!(Key::from_qnum(0xb7), Key::from_name("sysrq"));
        // @ohos.multimodalInput.keyCode.d.ts: A, backspace, forward delete, the left logo key, Enter of the keypad, play.
        for (code, evdev) in
            [(2017, 30), (2055, 14), (2071, 111), (2076, 125), (2119, 96), (10, 164), (2630, 164)]
        {
            assert_eq!(Key::from_ohos(code).map(Key::evdev), Some(evdev), "{code}");
        }
    }

    proptest! {
        #[test]
        fn no_code_panics(evdev: u16, qnum: u32, word in ".{0,20}") {
            let _ = Key::from_ohos(evdev);
            prop_assert!(Key::from_evdev(evdev).is_none_or(|k| k.evdev() == evdev));
            prop_assert!(Key::from_qnum(qnum).is_none_or(|k| k.qnum() == qnum || qnum == 0xb7));
            prop_assert!(Key::from_dom(&word).is_none_or(|k| k.entry().dom.contains(&word.as_str())));
            prop_assert!(Key::from_name(&word).is_none_or(|k| k.entry().names.contains(&word.as_str())));
        }
    }
}
