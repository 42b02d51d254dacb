//! What kind of machine is emulated.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The guest's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit PC.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// Every architecture, in the order they are listed to a user.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// QEMU's own name of the target, as in `qemu-system-x86_64`.
    pub fn qemu_name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The architecture this program was compiled for, when it is one that can be a guest too.
    pub fn host() -> Option<Self> {
        std::env::consts::ARCH.parse().ok()
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.qemu_name())
    }
}

/// An architecture's name that is not one of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture {0:?}: use x86_64 or aarch64")]
pub struct UnknownArch(pub String);

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(s: &str) -> Result<Self, UnknownArch> {
        // As other systems call them: Debian and Docker, Windows, macOS, `uname` elsewhere.
        match s.trim().to_ascii_lowercase().as_str() {
            "x86_64" | "x86-64" | "amd64" | "x64" => Ok(Self::X86_64),
            "aarch64" | "arm64" | "armv8" => Ok(Self::Aarch64),
            _ => Err(UnknownArch(s.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_of_the_same_are_understood() {
        for (name, arch) in [
            ("arm64", Arch::Aarch64),
            ("ARM64", Arch::Aarch64),
            ("AArch64", Arch::Aarch64),
            ("amd64", Arch::X86_64),
            ("x86-64", Arch::X86_64),
            (" x64 ", Arch::X86_64),
        ] {
            assert_eq!(name.parse(), Ok(arch), "{name}");
        }
        for bad in ["", "arm", "x86", "i386", "riscv64"] {
            assert!(bad.parse::<Arch>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_go_both_ways() {
        for arch in Arch::ALL {
            assert_eq!(arch.to_string().parse::<Arch>(), Ok(arch));
        }
        assert_eq!("riscv64".parse::<Arch>(), Err(UnknownArch("riscv64".into())));
    }
}
