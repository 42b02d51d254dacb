//! Text as key strokes on a US keyboard, which is what a guest assumes until it is told otherwise.

use crate::Key;

/// A key with or without Shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stroke {
    /// The key to press.
    pub key: Key,
    /// Whether Shift is held meanwhile.
    pub shift: bool,
}

/// Pairs of characters on the keys that are no letters: plain and with Shift, with the key's name.
const SYMBOLS: &[(char, char, &str)] = &[
    ('1', '!', "1"),
    ('2', '@', "2"),
    ('3', '#', "3"),
    ('4', '$', "4"),
    ('5', '%', "5"),
    ('6', '^', "6"),
    ('7', '&', "7"),
    ('8', '*', "8"),
    ('9', '(', "9"),
    ('0', ')', "0"),
    ('-', '_', "minus"),
    ('=', '+', "equal"),
    ('[', '{', "bracket_left"),
    (']', '}', "bracket_right"),
    (';', ':', "semicolon"),
    ('\'', '"', "apostrophe"),
    ('`', '~', "grave_accent"),
    ('\\', '|', "backslash"),
    (',', '<', "comma"),
    ('.', '>', "dot"),
    ('/', '?', "slash"),
];

/// The stroke that types `c` on a US keyboard, if one does.
///
/// ```
/// use sampan_input::stroke;
/// assert!(stroke('A').unwrap().shift);
/// assert_eq!(stroke('\n').unwrap().key.name(), "ret");
/// assert!(stroke('é').is_none());
/// ```
pub fn stroke(c: char) -> Option<Stroke> {
    let plain = |name: &str| Key::from_name(name).map(|key| Stroke { key, shift: false });
    match c {
        '\n' | '\r' => plain("ret"),
        '\t' => plain("tab"),
        ' ' => plain("spc"),
        '\u{8}' => plain("backspace"),
        '\u{1b}' => plain("esc"),
        'a'..='z' | 'A'..='Z' => {
            let name = c.to_ascii_lowercase();
            let key = Key::from_name(name.encode_utf8(&mut [0; 4]))?;
            Some(Stroke { key, shift: c.is_ascii_uppercase() })
        }
        _ => SYMBOLS
            .iter()
            .find(|(low, high, _)| c == *low || c == *high)
            .and_then(|(low, _, name)| Key::from_name(name).map(|key| Stroke { key, shift: c != *low })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_ascii_character_can_be_typed_and_no_two_alike() {
        let mut seen = std::collections::HashSet::new();
        for c in ' '..='~' {
            let Stroke { key, shift } = stroke(c).unwrap_or_else(|| panic!("{c:?} cannot be typed"));
            assert!(seen.insert((key, shift)), "{c:?}");
        }
        assert_eq!(stroke('\u{1}'), None);
    }
}
