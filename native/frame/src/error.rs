//! What can be wrong with a scanout.

use crate::limits::{MAX_AREA, MAX_SIDE};
use std::io;

/// Why a scanout is refused before anything of it is read.
#[derive(Debug, thiserror::Error)]
pub enum ScanoutError {
    /// A side is zero, or the screen is larger than the limits.
    #[error(
        "a screen of {width}x{height} is refused: choose a guest resolution of 1 to {MAX_SIDE} pixels a side and at most {MAX_AREA} pixels in all"
    )]
    Size {
        /// Pixels in a row as announced.
        width: u32,
        /// Rows as announced.
        height: u32,
    },
    /// A row does not fit into the distance between rows.
    #[error("a stride of {stride} bytes cannot hold a row of {needed}: the display's geometry is broken")]
    Stride {
        /// Bytes between rows as announced.
        stride: u32,
        /// Bytes one row has.
        needed: u64,
    },
    /// The memory is smaller than the picture.
    #[error(
        "the picture needs {needed} bytes but its memory has {available}: the display's geometry is broken"
    )]
    TooShort {
        /// Bytes from the start of the memory to the end of the picture.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// A pixman code that is not known.
    #[error(
        "pixel format {0:#010x} (pixman) is not supported: choose another guest colour depth, best 32 bits"
    )]
    PixmanFormat(u32),
    /// A DRM fourcc that is not known.
    #[error("pixel format {} (DRM, {code:#010x}) is not supported: use XR24, XB24, AR24 or AB24", fourcc(*.code))]
    DrmFormat {
        /// The fourcc.
        code: u32,
    },
    /// The file is neither readable memory nor a dmabuf.
    #[error(
        "the scanout's file can be neither read nor is it a dmabuf: the emulator must share a memfd or a dmabuf"
    )]
    NotMemory,
    /// The system refused an operation on the scanout's file.
    #[error("the scanout's memory cannot be used")]
    Io(#[from] io::Error),
    /// A write into a screen that has no memory of its own.
    #[error("pixels arrived for a screen that has no picture yet: announce its size first")]
    NoPicture,
}

impl ScanoutError {
    /// Its name for programs, in snake case, which never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Size { .. } => "bad_screen_size",
            Self::Stride { .. } => "bad_stride",
            Self::TooShort { .. } => "memory_too_short",
            Self::PixmanFormat(_) | Self::DrmFormat { .. } => "unknown_pixel_format",
            Self::NotMemory => "no_memory_file",
            Self::Io(_) => "unusable_memory",
            Self::NoPicture => "no_size_announced",
        }
    }
}

fn fourcc(code: u32) -> String {
    code.to_le_bytes().iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '?' }).collect()
}

/// Why rows of a scanout could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is shorter than it was when the scanout was announced.
    #[error(
        "the scanout's memory shrank while in use: wait for the next picture or restart the guest's display"
    )]
    Shrank,
    /// The rectangle is not on the screen, or the target is too small for it.
    #[error("the rows asked for do not fit the picture or the target buffer")]
    OutOfBounds,
    /// The system refused to read.
    #[error("the scanout's memory cannot be read")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// Its name for programs, in snake case, which never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shrank => "memory_shrank",
            Self::OutOfBounds => "out_of_bounds",
            Self::Io(_) => "unreadable_memory",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fourcc_is_shown_by_its_letters() {
        let text = ScanoutError::DrmFormat { code: u32::from_le_bytes(*b"NV12") }.to_string();
        assert!(text.contains("NV12"), "{text}");
        assert!(ScanoutError::DrmFormat { code: 7 }.to_string().contains("????"));
    }
}
