//! The numbers in a tar archive's headers, and why one is refused: what members with and without holes have in common.

use crate::fault::ArchiveFault;
use std::io;

pub(super) const BLOCK: usize = 512;

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no tar archive, or damaged.
    #[error("{0}")]
    Damaged(ArchiveFault),
    /// A member that is neither file nor folder.
    #[error("the archive holds “{0}”, which is a link or a device: only files belong into it")]
    NotAFile(String),
    /// A name that leads elsewhere.
    #[error("the archive holds “{0}”, a name that may lead out of its folder")]
    BadName(String),
}

impl TarError {
    /// What is wrong with the archive, unless the system refused.
    pub(crate) fn fault(self) -> Result<ArchiveFault, io::Error> {
        match self {
            Self::Io(error) => Err(error),
            Self::Damaged(fault) => Ok(fault),
            Self::NotAFile(name) => Ok(ArchiveFault::NotAFile { name }),
            Self::BadName(name) => Ok(ArchiveFault::LeadsOut { name }),
        }
    }
}

/// Octal digits between spaces, or base-256 when the first bit is set.
pub(super) fn number(field: &[u8]) -> Result<u64, TarError> {
    let damaged = TarError::Damaged(ArchiveFault::HeaderNumber);
    if let Some((first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) {
        let start = u64::from(first & 0x7f);
        let value = rest.iter().try_fold(start, |n, b| n.checked_mul(256)?.checked_add(u64::from(*b)));
        return value.filter(|n| i64::try_from(*n).is_ok()).ok_or(damaged);
    }
    let text = field.split(|b| *b == 0).next().unwrap_or_default().trim_ascii();
    let digit =
        |n: u64, b: &u8| n.checked_mul(8)?.checked_add(u64::from(b.checked_sub(b'0').filter(|d| *d < 8)?));
    text.iter().try_fold(0, digit).filter(|n| i64::try_from(*n).is_ok()).ok_or(damaged)
}

/// A number as extended headers have it.
pub(super) fn decimal(text: &[u8]) -> Result<u64, TarError> {
    let number = std::str::from_utf8(text).ok().and_then(|v| v.parse::<u64>().ok());
    let number = number.filter(|n| i64::try_from(*n).is_ok());
    number.ok_or(TarError::Damaged(ArchiveFault::ExtensionNumber))
}
