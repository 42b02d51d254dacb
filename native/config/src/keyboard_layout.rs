//! The layout that a guest's keyboard is set to.

use sampan_input::Layout;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The keyboard's layout in the guest: `us`, `de`, `ch-fr`, …, by which a text becomes keys. The guest has a setting of its own;
/// where the two differ, what is typed as text comes out wrong. Keys that a person presses are the guest's to read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyboardLayout(&'static str);

impl KeyboardLayout {
    /// The layout of that name.
    pub fn named(name: &str) -> Option<Self> {
        Layout::named(name).map(Self::from)
    }

    /// The layout of a country's keyboards, by a locale such as `de-CH`, or by a layout's name.
    pub fn of_locale(locale: &str) -> Option<Self> {
        Layout::of_locale(locale).map(Self::from)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Layout::all().map(Self::from)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// Whether it is the one of a guest that nobody has set.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&'static Layout> for KeyboardLayout {
    fn from(layout: &'static Layout) -> Self {
        Self(layout.name())
    }
}

impl Default for KeyboardLayout {
    /// A US keyboard, which guests assume until they are told otherwise.
    fn default() -> Self {
        Self("us")
    }
}

impl fmt::Debug for KeyboardLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyboardLayout({})", self.0)
    }
}

impl Serialize for KeyboardLayout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for KeyboardLayout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::name).collect();
            D::Error::custom(format!("unknown layout `{name}`, expected one of {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_its_name_and_unknown_ones_are_refused_with_the_known() {
        assert_eq!(KeyboardLayout::named(KeyboardLayout::default().name()), Some(KeyboardLayout::default()));
        for layout in KeyboardLayout::all() {
            let json = serde_json::to_string(&layout).expect("JSON");
            assert_eq!(json, format!("\"{}\"", layout.name()));
            assert_eq!(serde_json::from_str::<KeyboardLayout>(&json).expect("is read"), layout);
        }
        let error = serde_json::from_str::<KeyboardLayout>("\"xx\"").expect_err("there is none").to_string();
        assert!(error.contains("`xx`") && error.contains("de-nodeadkeys"), "{error}");
    }
}
