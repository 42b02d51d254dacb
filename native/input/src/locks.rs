//! The locks of a keyboard.

/// Which locks are on, as the guest shows on its keyboard's LEDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    /// Scroll Lock.
    pub scroll: bool,
    /// Num Lock: the keypad types digits.
    pub num: bool,
    /// Caps Lock: letters are capitals.
    pub caps: bool,
}

impl Locks {
    /// QEMU's LED bits (`QEMU_*_LOCK_LED` in `include/ui/console.h`); others are ignored.
    ///
    /// ```
    /// use sampan_input::Locks;
    /// assert_eq!(Locks::from_leds(4), Locks { caps: true, ..Locks::default() });
    /// assert_eq!(Locks::from_leds(1 | 2 | 8), Locks { scroll: true, num: true, caps: false });
    /// ```
    pub fn from_leds(bits: u32) -> Self {
        Self { scroll: bits & 1 != 0, num: bits & 2 != 0, caps: bits & 4 != 0 }
    }
}
