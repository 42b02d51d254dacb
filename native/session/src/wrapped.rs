//! Codes of the errors of other crates that errors here wrap, one function for each of their types.

use sampan_config::{ConfigError, DocumentError};
use sampan_display::DisplayError;
use sampan_emulator::LaunchError;
use sampan_library::{BlockError, Error as LibraryError};
use sampan_qmp::QmpError;
use sampan_qmp::agent::AgentError;
use sampan_seed::SeedError;

pub(crate) fn library(error: &LibraryError) -> &'static str {
    match error {
        LibraryError::Cancelled | LibraryError::Block(BlockError::Cancelled) => "cancelled",
        _ => "library",
    }
}

pub(crate) fn document(_: &DocumentError) -> &'static str {
    "document"
}

pub(crate) fn config(_: &ConfigError) -> &'static str {
    "config"
}

pub(crate) fn seed(_: &SeedError) -> &'static str {
    "seed"
}

pub(crate) fn launch(_: &LaunchError) -> &'static str {
    "launch"
}

pub(crate) fn agent(_: &AgentError) -> &'static str {
    "agent"
}

pub(crate) fn qmp(_: &QmpError) -> &'static str {
    "qmp"
}

pub(crate) fn display(_: &DisplayError) -> &'static str {
    "display"
}
