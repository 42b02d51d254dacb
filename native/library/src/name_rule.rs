//! What a name may be, and why one is refused: below everything else here, so that errors, faults and names can all speak of it.

use sampan_message::Value;

/// A rule of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameRule {
    /// Something of it can be seen.
    #[error("a name needs at least one visible character")]
    Visible,
    /// It can be typed again.
    #[error("a name neither begins nor ends with a space")]
    NoSpace,
    /// It has an end.
    #[error("a name has at most 100 characters")]
    Short,
    /// It is one line.
    #[error("a name is one line without invisible control characters")]
    OneLine,
    /// It is no option.
    #[error("a name that begins with “-” would be taken for an option")]
    NoDash,
    /// It may be a file's.
    #[error("a name contains neither “/” nor “\\”, so that it may name a file")]
    NoSlash,
    /// It is no folder's.
    #[error("“.” and “..” are folders")]
    NoFolder,
    /// A medium's.
    #[error("a medium's name does not begin with “.” and has at most 200 bytes")]
    Medium,
    /// A drive's id.
    #[error("a drive's id has 1 to 64 of a-z, 0-9, “-”, “_” and “.”, and begins with a letter or digit")]
    DriveId,
    /// A snapshot's id.
    #[error("a snapshot's id has 1 to 64 of a-z, 0-9, “-”, “_” and “.”, and begins with a letter or digit")]
    SnapshotId,
    /// The name of a file of a bundle.
    #[error(
        "a file of a bundle has 1 to 64 of a-z, 0-9, “-”, “_” and “.”, and begins with a letter or digit"
    )]
    FileName,
}

impl NameRule {
    /// Every rule.
    pub const ALL: [Self; 11] = [
        Self::Visible,
        Self::NoSpace,
        Self::Short,
        Self::OneLine,
        Self::NoDash,
        Self::NoSlash,
        Self::NoFolder,
        Self::Medium,
        Self::DriveId,
        Self::SnapshotId,
        Self::FileName,
    ];

    /// Its name for programs, which never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::NoSpace => "no_space",
            Self::Short => "short",
            Self::OneLine => "one_line",
            Self::NoDash => "no_dash",
            Self::NoSlash => "no_slash",
            Self::NoFolder => "no_folder",
            Self::Medium => "medium",
            Self::DriveId => "drive_id",
            Self::SnapshotId => "snapshot_id",
            Self::FileName => "file_name",
        }
    }
}

impl From<NameRule> for Value {
    fn from(rule: NameRule) -> Self {
        rule.name().into()
    }
}

/// A name that cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{name}” cannot be a name: {why}")]
pub struct NameError {
    /// What was asked for, cut to 80 characters.
    pub name: String,
    /// Which rule it breaks.
    pub why: NameRule,
}
