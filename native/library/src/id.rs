//! Names and identifiers, and what may be one.

use crate::name_rule::{NameError, NameRule};
use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A machine's identity for ever: its folder is called `<id>.sampan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VmId(Uuid);

impl VmId {
    /// A new, random one (UUID version 4).
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The name of its bundle's folder.
    #[must_use]
    pub fn folder(self) -> String {
        format!("{self}.sampan")
    }

    /// The machine whose bundle has this folder name; only the one spelling that [`VmId::folder`] makes is taken.
    #[must_use]
    pub fn from_folder(name: &str) -> Option<Self> {
        let id = name.strip_suffix(".sampan")?.parse::<Self>().ok()?;
        (id.folder() == name).then_some(id)
    }

    /// The machine in `vms` whose bundle a path leads into; both are without links.
    pub(crate) fn inside(vms: &std::path::Path, path: &std::path::Path) -> Option<Self> {
        let folder = path.strip_prefix(vms).ok()?.components().next()?;
        Self::from_folder(folder.as_os_str().to_str()?)
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for VmId {
    type Err = uuid::Error;
    fn from_str(s: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(s).map(Self)
    }
}

impl From<Uuid> for VmId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<VmId> for Uuid {
    fn from(id: VmId) -> Self {
        id.0
    }
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                match is_word(s, 64) {
                    true => Ok(Self(s.to_owned())),
                    false => Err(NameError { name: excerpt(s), why: NameRule::$name }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(s: String) -> Result<Self, NameError> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

word! {
    /// A drive's id, as the machine's document names it: small letters, digits, `-`, `_` and `.`, at most 64.
    DriveId
}
word! {
    /// A snapshot's id within its machine.
    SnapshotId
}
word! {
    /// The name of a file of a bundle, inside the one folder where files of its kind are.
    FileName
}

impl SnapshotId {
    pub(crate) fn random() -> Self {
        Self(short())
    }
}

impl FileName {
    /// `stem-<random>.extension`: never a name that was used before.
    pub(crate) fn fresh(stem: &str, extension: &str) -> Self {
        // The stem is a word of at most 64; 12 + 1 + 6 more would pass the limit.
        let stem: String = stem.chars().take(40).collect();
        Self(format!("{stem}-{}.{extension}", short()))
    }
}

/// Twelve random hexadecimal digits: enough that no machine gives one twice.
pub(crate) fn short() -> String {
    let mut text = Uuid::new_v4().simple().to_string();
    text.truncate(12);
    text
}

/// Lower-case file-name words: nothing that a shell, QEMU's option parser or a file system reads otherwise.
pub(crate) fn is_word(s: &str, longest: usize) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    let starts = s.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    starts && s.len() <= longest && s.bytes().all(fits) && !s.contains("..")
}

fn excerpt(s: &str) -> String {
    s.chars().take(80).collect()
}

/// Checks a name that a person gives to a machine, a snapshot: any script, one line, at most 100 characters.
///
/// # Errors
///
/// [`NameError`] with the rule that is broken.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let why = if name.trim().is_empty() {
        NameRule::Visible
    } else if name.trim() != name {
        NameRule::NoSpace
    } else if name.chars().count() > 100 || name.len() > 400 {
        NameRule::Short
    } else if name.chars().any(|c| c.is_control() || is_invisible(c)) {
        NameRule::OneLine
    } else if name.starts_with('-') {
        NameRule::NoDash
    } else if name.contains('/') || name.contains('\\') {
        NameRule::NoSlash
    } else if name == "." || name == ".." {
        NameRule::NoFolder
    } else {
        return Ok(());
    };
    Err(NameError { name: excerpt(name), why })
}

/// Checks the name of a removable medium, which is its file's too.
///
/// # Errors
///
/// [`NameError`] with the rule that is broken.
pub(crate) fn check_medium(name: &str) -> Result<(), NameError> {
    check_name(name)?;
    match name.starts_with('.') || name.len() > 200 {
        true => Err(NameError { name: name.into(), why: NameRule::Medium }),
        false => Ok(()),
    }
}

/// Marks that turn the direction of text or take no room: with them two names look alike.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// What two names have in common that look the same: how a letter with an accent is made (NFC, as Linux and Windows type it, or
/// NFD, as macOS does), and the widths of spaces, one of which breaks no line.
pub(crate) fn looks(name: &str) -> String {
    let spaces = name.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    ComposingNormalizerBorrowed::new_nfc().normalize(&spaces.collect::<String>()).into_owned()
}

/// What two names have in common that a person would confuse: they look the same, or only their case differs.
pub(crate) fn folded(name: &str) -> String {
    // Its small letters may be made otherwise again.
    looks(&looks(name).to_lowercase())
}

/// Whether a person would take two names for one.
#[must_use]
pub fn are_alike(one: &str, other: &str) -> bool {
    folded(one) == folded(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_mislead_are_refused() {
        for bad in ["", " ", " a", "a ", "a\nb", "a/b", "..", "-rf", "a\u{202e}b", &"x".repeat(101)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        for good in ["Windows 11", "Debian 13 (arm64)", "麒麟", "a.b", "ü"] {
            check_name(good).expect(good);
        }
    }

    #[test]
    fn names_that_look_alike_are_one() {
        for (one, other) in [
            ("Gerät", "Gera\u{308}t"),
            ("GERÄT", "gera\u{308}t"),
            ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
            ("my VM", "my\u{a0}VM"),
            ("my VM", "my\u{202f}vm"),
            ("云 1", "云\u{3000}1"),
            ("Å", "\u{212b}"),
        ] {
            assert!(are_alike(one, other), "{one:?} {other:?}");
        }
        for (one, other) in [("a", "ä"), ("myVM", "my VM"), ("云", "雲")] {
            assert!(!are_alike(one, other), "{one:?} {other:?}");
        }
    }

    proptest! {
        #[test]
        fn alike_is_alike_however_it_is_written(name in "\\PC{0,20}") {
            prop_assert!(are_alike(&name, &folded(&name)));
            prop_assert!(are_alike(&name, &looks(&name)));
        }

        #[test]
        fn a_word_is_one_component_of_a_path(s in "\\PC{0,80}") {
            if let Ok(word) = s.parse::<FileName>() {
                let path = std::path::Path::new(word.as_str());
                prop_assert_eq!(path.components().count(), 1);
                prop_assert!(matches!(path.components().next(), Some(std::path::Component::Normal(_))));
                prop_assert!(!word.as_str().starts_with('.'));
            }
        }

        #[test]
        fn a_folder_name_leads_back_to_its_machine(n in any::<u128>()) {
            let id = VmId::from(Uuid::from_u128(n));
            prop_assert_eq!(VmId::from_folder(&id.folder()), Some(id));
        }
    }

    #[test]
    fn only_one_spelling_of_a_folder_is_a_machine() {
        let id = VmId::random();
        assert_eq!(VmId::from_folder(&id.folder().to_uppercase()), None);
        assert_eq!(VmId::from_folder(&format!("{{{id}}}.sampan")), None);
        assert_eq!(VmId::from_folder(&id.to_string()), None);
    }
}
