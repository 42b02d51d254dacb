//! In what kind of process a machine's QEMU runs.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where QEMU runs on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKind {
    /// A native child process, which HarmonyOS makes of a library of the app's package: on tablets and PCs.
    NativeChild,
    /// A forked process, which runs no other program: where native child processes are refused, as on phones.
    Fork,
    /// Threads of the app's own process.
    InProcess,
}

impl HostKind {
    /// Every kind, those first that keep a machine's accidents from the app and other machines.
    pub const ALL: [Self; 3] = [Self::NativeChild, Self::Fork, Self::InProcess];

    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::NativeChild => "native-child",
            Self::Fork => "fork",
            Self::InProcess => "in-process",
        }
    }

    /// Whether QEMU has a process of its own.
    pub fn is_isolated(self) -> bool {
        self != Self::InProcess
    }
}

impl fmt::Display for HostKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is none of a kind of process.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of process {0:?}: use native-child, fork or in-process")]
pub struct UnknownHostKind(pub String);

impl FromStr for HostKind {
    type Err = UnknownHostKind;

    fn from_str(text: &str) -> Result<Self, UnknownHostKind> {
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == text);
        kind.ok_or_else(|| UnknownHostKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for kind in HostKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).expect("has a name"), kind.name());
        }
        assert!("child".parse::<HostKind>().is_err());
    }
}
