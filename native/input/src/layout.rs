//! Keyboards' layouts: which keys type a character, in a guest that is set to a country's keyboard.

use crate::Key;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// A key, and what is held meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stroke {
    /// The key to press.
    pub key: Key,
    /// Whether Shift is held.
    pub shift: bool,
    /// Whether AltGr is held, the right Alt key.
    pub alt_gr: bool,
    /// Whether Caps Lock turns the key's two letters round, so that Shift is to be the other way where it is on.
    pub caps: bool,
}

/// What a keyboard's keys type.
///
/// ```
/// use sampan_input::Layout;
/// let german = Layout::named("de").unwrap();
/// let [at] = german.strokes('@').unwrap() else { panic!("one key") };
/// assert!(at.alt_gr && at.key.name() == "q");
/// // A dead key, then the letter.
/// assert_eq!(german.strokes('é').unwrap().len(), 2);
/// assert!(german.strokes('中').is_none());
/// ```
pub struct Layout {
    name: &'static str,
    strokes: HashMap<char, Vec<Stroke>>,
}

/// The file that names every layout, its keys, and what dead keys make of letters.
const FILE: &str = include_str!("../layouts.txt");

static LAYOUTS: LazyLock<Vec<Layout>> = LazyLock::new(|| read(FILE));

impl Layout {
    /// The layout of that name: `us`, `de`, `ch-fr`, …
    pub fn named(name: &str) -> Option<&'static Layout> {
        LAYOUTS.iter().find(|layout| layout.name == name)
    }

    /// All of them, in the order of the file.
    pub fn all() -> impl Iterator<Item = &'static Layout> {
        LAYOUTS.iter()
    }

    /// The layout of a country's keyboards, by a locale (`de-CH`, `pt_BR.UTF-8`) or a layout's own name.
    pub fn of_locale(locale: &str) -> Option<&'static Layout> {
        let word = locale.split(['.', '@']).next().unwrap_or_default().to_ascii_lowercase().replace('_', "-");
        // What people speak there is not what the country's keyboards are called after.
        let name = match word.as_str() {
            "fr-ch" => "ch-fr",
            "fr-ca" => "ca",
            "en-ca" | "zh-tw" => "us",
            _ => word.as_str(),
        };
        Self::named(name).or_else(|| Self::named(name.rsplit('-').next()?))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The keys that type `c`, one after another: one, or a dead key and a letter.
    pub fn strokes(&self, c: char) -> Option<&[Stroke]> {
        self.strokes.get(&c).map(Vec::as_slice)
    }
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layout({})", self.name)
    }
}

/// Keys that are the same on every keyboard.
const COMMON: [(char, &str); 6] =
    [('\n', "ret"), ('\r', "ret"), ('\t', "tab"), (' ', "spc"), ('\u{8}', "backspace"), ('\u{1b}', "esc")];

/// What one file says of one layout, before dead keys are put together with letters.
#[derive(Default)]
struct Keys<'a> {
    /// What types a character or is a dead key, the easiest first.
    typing: HashMap<&'a str, Stroke>,
}

impl<'a> Keys<'a> {
    /// A line's words after the layout's name. Words that make no sense are passed over: a test sees to it that there are none.
    fn add(&mut self, words: &[&'a str]) {
        let [code, levels @ .., caps] = words else { return };
        let Some(key) = code.parse().ok().and_then(Key::from_evdev) else { return };
        for (level, word) in levels.iter().enumerate().take(4).filter(|(_, word)| **word != "none") {
            let (shift, alt_gr) = (level % 2 == 1, level >= 2);
            let caps = caps.contains(if alt_gr { '3' } else { '1' });
            let stroke = Stroke { key, shift, alt_gr, caps };
            let easier = |old: &Stroke| effort(&stroke) < effort(old);
            if self.typing.get(word).is_none_or(easier) {
                self.typing.insert(word, stroke);
            }
        }
    }

    fn layout(self, name: &'static str, dead: &[[&str; 3]]) -> Layout {
        let mut strokes: HashMap<char, Vec<Stroke>> = COMMON
            .iter()
            .filter_map(|(c, key)| {
                let key = Key::from_name(key)?;
                Some((*c, vec![Stroke { key, shift: false, alt_gr: false, caps: false }]))
            })
            .collect();
        strokes.extend(self.typing.iter().filter_map(|(word, stroke)| Some((only(word)?, vec![*stroke]))));
        for [key, letter, made] in dead {
            let (Some(made), Some(key)) = (only(made), self.typing.get(key)) else { continue };
            let letter = if *letter == "space" { Some(' ') } else { only(letter) };
            let then = letter.and_then(|letter| strokes.get(&letter)).and_then(|keys| keys.first().copied());
            if let Some(then) = then {
                strokes.entry(made).or_insert_with(|| vec![*key, then]);
            }
        }
        Layout { name, strokes }
    }
}

/// Fewer modifiers are easier; of alike ones the first key of the keyboard is taken.
fn effort(stroke: &Stroke) -> (u8, Key) {
    (u8::from(stroke.shift) + 2 * u8::from(stroke.alt_gr), stroke.key)
}

/// The character of a word of one.
fn only(word: &str) -> Option<char> {
    let mut chars = word.chars();
    chars.next().filter(|_| chars.next().is_none())
}

fn read(file: &'static str) -> Vec<Layout> {
    let (mut keys, mut dead) = (Vec::<(&'static str, Keys<'static>)>::new(), Vec::new());
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["dead", key, letter, made] => dead.push([*key, *letter, *made]),
            [name, words @ ..] => {
                if keys.last().is_none_or(|(last, _)| last != name) {
                    keys.push((name, Keys::default()));
                }
                if let Some((_, keys)) = keys.last_mut() {
                    keys.add(words);
                }
            }
            [] => {}
        }
    }
    keys.into_iter().map(|(name, keys)| keys.layout(name, &dead)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn typed(layout: &str, c: char) -> String {
        let strokes = Layout::named(layout).expect(layout).strokes(c);
        let word = |stroke: &Stroke| {
            let shift = if stroke.shift { "shift-" } else { "" };
            let alt_gr = if stroke.alt_gr { "altgr-" } else { "" };
            format!("{shift}{alt_gr}{}", stroke.key.name())
        };
        strokes.unwrap_or_default().iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_line_of_the_file_is_understood() {
        let mut names = HashSet::new();
        let mut last = "";
        for line in FILE.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["dead", key, letter, made] = words.as_slice() {
                assert!(key.starts_with("dead_"), "{line}");
                assert!(*letter == "space" || only(letter).is_some(), "{line}");
                assert!(only(made).is_some(), "{line}");
                continue;
            }
            let [name, code, levels @ .., caps] = words.as_slice() else { panic!("{line}") };
            assert!(*name == last || names.insert(*name), "{name} stands at two places");
            last = name;
            assert!(Key::from_evdev(code.parse().expect(line)).is_some(), "{line}");
            assert_eq!(levels.len(), 4, "{line}");
            for word in levels {
                assert!(*word == "none" || word.starts_with("dead_") || only(word).is_some(), "{line}");
            }
            assert!(["-", "caps1", "caps3", "caps13"].contains(caps), "{line}");
        }
        assert_eq!(names.len(), Layout::all().count());
    }

    #[test]
    fn every_layout_types_all_of_ascii_and_no_two_characters_alike() {
        for layout in Layout::all() {
            let mut seen = HashSet::new();
            for c in ' '..='~' {
                let strokes = layout.strokes(c).unwrap_or_else(|| panic!("{layout:?} has no {c:?}"));
                assert!(seen.insert(strokes), "{layout:?}: {c:?}");
                assert!((1..=2).contains(&strokes.len()), "{layout:?}: {c:?}");
                // The Lithuanian keyboard has letters where others have digits.
                let is_easy = c.is_ascii_alphabetic() || (c.is_ascii_digit() && layout.name() != "lt");
                assert!(!is_easy || !strokes[0].alt_gr, "{layout:?}: {c:?}");
            }
            assert_eq!(layout.strokes('\n').expect("a key")[0].key.name(), "ret");
            assert_eq!(layout.strokes('\u{1}'), None);
            assert_eq!(layout.strokes('中'), None);
        }
    }

    #[test]
    fn known_keyboards_have_their_keys() {
        // What stands on the keys of such keyboards.
        for (layout, c, keys) in [
            ("us", 'A', "shift-a"),
            ("us", '"', "shift-apostrophe"),
            ("gb", '"', "shift-2"),
            ("gb", '£', "shift-3"),
            ("de", 'z', "y"),
            ("de", 'ß', "minus"),
            ("de", '€', "altgr-e"),
            ("de", '/', "shift-7"),
            ("de", '|', "altgr-less"),
            ("de", '^', "grave_accent spc"),
            ("de", 'é', "equal e"),
            ("de-nodeadkeys", '^', "grave_accent"),
            ("fr", 'a', "q"),
            ("fr", '1', "shift-1"),
            ("fr", 'ê', "bracket_left e"),
            ("es", 'ñ', "semicolon"),
            ("es", 'á', "apostrophe a"),
            ("jp", '@', "bracket_left"),
            ("jp", '"', "shift-2"),
            ("br", 'ç', "semicolon"),
            ("pl", 'ł', "altgr-l"),
            ("us-intl", '\'', "apostrophe spc"),
            ("cn", '~', "shift-grave_accent"),
        ] {
            assert_eq!(typed(layout, c), keys, "{c:?} on {layout}");
        }
    }

    #[test]
    fn caps_lock_turns_letters_round_and_nothing_else() {
        let caps = |layout: &str, c| Layout::named(layout).expect(layout).strokes(c).expect("typed")[0].caps;
        assert!(caps("us", 'a') && caps("us", 'A') && caps("de", 'ü') && caps("pl", 'ł'));
        assert!(!caps("us", '1') && !caps("us", '!') && !caps("fr", 'é') && !caps("de", 'ß'));
    }

    #[test]
    fn a_locale_names_its_country_s_keyboard() {
        for (locale, name) in [
            ("de", Some("de")),
            ("de-DE", Some("de")),
            ("de_CH.UTF-8", Some("ch")),
            ("fr-CH", Some("ch-fr")),
            ("en-GB", Some("gb")),
            ("pt-BR", Some("br")),
            ("ja-JP", Some("jp")),
            ("zh-CN", Some("cn")),
            ("fr-CA", Some("ca")),
            ("en-CA", Some("us")),
            ("ru-RU", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(Layout::of_locale(locale).map(Layout::name), name, "{locale}");
        }
    }
}
