//! Whether there is room, asked before it is needed.

use crate::error::{Error, Result, io};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes that are left free: other programs, and the manifest, need some to go on.
pub const RESERVE: u64 = 64 << 20;

/// Bytes free for us in the file system of a path.
///
/// # Errors
///
/// What the system says.
pub fn free(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path).map_err(|e| io("ask for the free space of", path)(e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses what would leave less than [`RESERVE`].
pub(crate) fn check(folder: &Path, bytes: u64) -> Result<()> {
    let (free, needed) = (free(folder)?, bytes.saturating_add(RESERVE));
    if free < needed {
        return Err(Error::NoSpace { path: folder.to_path_buf(), needed, free });
    }
    Ok(())
}

/// Refuses what does not fit, of what is written before more is freed: no reserve is kept then.
pub(crate) fn check_bare(folder: &Path, bytes: u64) -> Result<()> {
    // Some more, for an image's own tables.
    let (free, needed) = (free(folder)?, bytes.saturating_add(bytes / 64).saturating_add(1 << 20));
    if free < needed {
        return Err(Error::NoSpace { path: folder.to_path_buf(), needed, free });
    }
    Ok(())
}

/// Bytes that a file takes: its holes take none.
pub(crate) fn used(path: &Path) -> Result<u64> {
    let meta = path.symlink_metadata().map_err(io("look at", path))?;
    Ok(meta.blocks().saturating_mul(512))
}
