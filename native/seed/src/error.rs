//! What a seed refuses.

use crate::rule::{PasswordRule, ValueRule};

/// Why a seed cannot be made. Every message names the field and says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// A value that its system would not take, or not as it is meant.
    #[error("{field} cannot be {value:?}: {rule}")]
    Value {
        /// The field's name.
        field: &'static str,
        /// The value, cut to 60 characters. Never a password.
        value: String,
        /// What is allowed.
        rule: ValueRule,
    },
    /// A password that cannot be used; it is not shown.
    #[error("the password cannot be used: {rule}")]
    Password {
        /// What is allowed.
        rule: PasswordRule,
    },
    /// What is no public SSH key; it is not shown.
    #[error("an SSH key cannot be used: {why}")]
    Key {
        /// Why not.
        why: crate::ssh_key::Why,
    },
    /// Too many of something.
    #[error("{count} {field} are too many: at most {limit} are taken")]
    TooMany {
        /// The field's name.
        field: &'static str,
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// The files do not fit onto a seed image.
    #[error("the file {name} does not fit onto a seed image: {why}")]
    File {
        /// Its name.
        name: String,
        /// What does not fit.
        why: Misfit,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for the password's salt: {why}")]
    Random {
        /// The system's words.
        why: String,
    },
}

/// Why a file does not fit onto a seed image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// Its name.
    #[error("its name is not of 1 to 32 letters, digits, dots, _ and -")]
    Name,
    /// Its size.
    #[error("it is larger than 1 MiB")]
    Size,
    /// Its first line.
    #[error(
        "it begins as nothing that cloud-init knows: the first line is #cloud-config, #! and an interpreter, or another of its headers"
    )]
    Header,
    /// The short form of its name, which ISO 9660 has.
    #[error("its name in capitals, cut to 8 and 3 characters, is another file's too")]
    Alike,
}

impl Misfit {
    /// Its name for programs, which never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Header => "header",
            Self::Alike => "alike",
        }
    }
}

/// Refuses a value unless it keeps a rule.
pub(crate) fn demand(field: &'static str, value: &str, rule: ValueRule, kept: bool) -> Result<(), SeedError> {
    if kept {
        return Ok(());
    }
    Err(SeedError::Value { field, value: value.chars().take(60).collect(), rule })
}

/// Refuses more than `limit`.
pub(crate) fn few(field: &'static str, count: usize, limit: usize) -> Result<(), SeedError> {
    if count <= limit { Ok(()) } else { Err(SeedError::TooMany { field, count, limit }) }
}

/// Whether a text is of one line and fits: no control characters, not empty.
pub(crate) fn one_line(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && !text.chars().any(char::is_control)
}
