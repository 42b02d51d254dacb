//! What is told of a machine whose screen is shown to other devices: as it goes over the control socket, to the program and to the app.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a device may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// See the screen.
    Watch,
    /// Type, point, and change the screen's size.
    Drive,
    /// Copy from and paste into the guest.
    Clipboard,
    /// Exchange files with the guest.
    Files,
}

impl Right {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Watch, Self::Drive, Self::Clipboard, Self::Files];

    /// Its name, as people and programs write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Drive => "drive",
            Self::Clipboard => "clipboard",
            Self::Files => "files",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Right {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|right| right.name() == text).ok_or(())
    }
}

/// Several rights. Whoever has any may see the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u8);

impl Rights {
    /// Everything there is.
    pub const ALL: Self = Self(15);

    /// None at all: whoever gets these is refused.
    pub const NONE: Self = Self(0);

    /// Whether this right is among them.
    pub fn has(self, right: Right) -> bool {
        self.0 & 1 << right as u8 != 0
    }

    /// Whether there are none.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// In the order of [`Right::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        let bits = rights.into_iter().fold(0, |bits, right| bits | 1 << right as u8);
        // To do anything with a screen is to see it.
        Self(if bits == 0 { 0 } else { bits | 1 << Right::Watch as u8 })
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Self {
        rights.into_iter().collect()
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        rights.iter().collect()
    }
}

/// How a machine's screen is shown to other devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// Where, as a browser opens it; a device that is paired needs no more.
    pub url: String,
    /// Whether it is on again at the machine's next start.
    pub lasting: bool,
    /// Until when a code can be used, in milliseconds since 1970; `None` where there is none, or it has been used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_until: Option<u64>,
    /// A device that has used the code and waits for the owner's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<PairRequest>,
    /// The devices that see the screen now, the longest-standing first.
    pub viewers: Vec<Viewer>,
}

/// A device that asks to be paired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRequest {
    /// The question's id.
    pub request: String,
    /// What the device calls itself: its own words.
    pub name: String,
    /// The address that it asks from.
    pub address: String,
    /// Four digits that the device shows, too.
    pub check: String,
    /// Until when it waits, in milliseconds since 1970.
    pub until: u64,
}

/// A device that sees the screen, or the owner's own page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    /// The connection's number.
    pub viewer: String,
    /// The device's id; empty for the owner's own page on this host.
    pub device: String,
    /// Its name; empty likewise.
    pub name: String,
    /// The address that it came from.
    pub address: String,
    /// What it may do.
    pub rights: Rights,
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// Whether it drives: one viewer does at a time.
    #[serde(default)]
    pub driving: bool,
    /// Whether it asks for control.
    #[serde(default)]
    pub asking: bool,
}

/// A code that pairs one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCode {
    /// To be shown as a QR code; it holds the secret.
    pub url: String,
    /// The same secret's shorter form, to be typed.
    pub words: String,
    /// Until when it can be used, in milliseconds since 1970.
    pub until: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_do_anything_sees_the_screen() {
        let rights: Rights = [Right::Drive].into_iter().collect();
        assert!(rights.has(Right::Watch) && rights.has(Right::Drive) && !rights.has(Right::Files));
        assert!(Rights::from_iter([]).is_none());
        assert_eq!(Rights::from_iter(Right::ALL), Rights::ALL);
        assert_eq!(serde_json::to_string(&rights).expect("JSON"), r#"["watch","drive"]"#);
        assert!(Right::ALL.iter().all(|right| right.name().parse() == Ok(*right)));
    }
}
