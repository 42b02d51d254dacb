//! Why work on the data of an image ended without a result.

use std::path::PathBuf;

/// Why the block layer could not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Stopped by the caller.
    #[error("cancelled")]
    Cancelled,
    /// The disk is full.
    #[error("the disk became full while {0} was written: free some space and try again")]
    NoSpace(PathBuf),
    /// QEMU cannot.
    #[error("QEMU cannot work on {}: {message}", .path.display())]
    Refused {
        /// The image.
        path: PathBuf,
        /// What QEMU said.
        message: String,
    },
    /// There is no block layer, or it died.
    #[error("QEMU's block layer is not available ({0}): look at what is missing on this host")]
    Unavailable(String),
}
