//! What kind of machine is emulated, and by which build of the emulator.

use serde::{Deserialize, Serialize};

pub use sampan_config::{Arch, UnknownArch};

/// Which build of libqemu runs the guest's code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The build with the just-in-time translator (and KVM): needs executable memory, or KVM.
    #[default]
    Native,
    /// The build with the interpreter (`-tci`): runs anywhere, 16 to 19 times slower.
    Interpreter,
}

impl Engine {
    /// What the library's file name has after the architecture.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Native => "",
            Self::Interpreter => "-tci",
        }
    }
}
