//! What can go wrong between us and the system's libraries.

use sampan_frame::ReadError;
use sampan_message::reasons;
use std::io;

/// Why something is not drawn or logged.
#[derive(Debug, thiserror::Error)]
pub enum OhosError {
    /// A library of the system, or a function in it, is missing.
    #[error(
        "the system's {library} cannot be used ({reason}): this needs HarmonyOS or OpenHarmony with API 12 or newer"
    )]
    NoLibrary {
        /// The file's name.
        library: String,
        /// The dynamic linker's words.
        reason: String,
    },
    /// The system opens no window for a surface's id.
    #[error("the system opens no window for the surface (error {0}): close the page and open it again")]
    NotOpened(i32),
    /// The window refuses how its buffers are to be.
    #[error(
        "the window refuses its {option} (error {code}): close the page and open it again, or choose another resolution in the guest"
    )]
    OptionRefused {
        /// What was set.
        option: &'static str,
        /// An `OHNativeErrorCode`.
        code: i32,
    },
    /// The surface has ended while we drew on it.
    #[error("the surface has ended (error {0}): open the page again")]
    Lost(i32),
    /// The system gives no buffer.
    #[error("the system gives no buffer to draw on (error {0}): it is tried again")]
    NoBuffer(i32),
    /// The buffer is still being shown, or its fence is broken.
    #[error("the buffer to draw on is not free in time: it is tried again")]
    StillInUse,
    /// The system does not take a drawn buffer.
    #[error("the system does not take what was drawn (error {0}): it is tried again")]
    NotTaken(i32),
    /// A buffer is not as it was asked for.
    #[error("the system gave a buffer that cannot be drawn on ({0}): it is tried again")]
    BadBuffer(BadBuffer),
    /// A buffer's memory cannot be mapped.
    #[error("the memory of a buffer cannot be mapped")]
    NotMapped(#[source] io::Error),
    /// The guest's picture cannot be read.
    #[error("the guest's picture cannot be read")]
    Read(#[from] ReadError),
    /// The system has nothing that holds the mouse pointer.
    #[error("this system cannot hold the mouse pointer in a window: that needs API 22 or newer, and a PC")]
    NoCursorLock,
    /// The system does not hold the mouse pointer.
    #[error("the system does not hold the mouse pointer (error {0}): click into the guest once more")]
    CursorNotLocked(i32),
    /// The system refuses a thread.
    #[error("no thread for drawing could be started")]
    NoThread(#[source] io::Error),
}

reasons! {
    /// Why a buffer cannot be drawn on.
    #[non_exhaustive]
    pub enum BadBuffer {
        NoSize => "no_size", "it has no size";
        NoHandle => "no_handle", "it has no handle";
        NoMemory => "no_memory", "it has no memory";
        OtherSize { width: u64 = 640, height: u64 = 480, wanted: String = "1280x800".into() } => "other_size", "it has {width}x{height} pixels instead of {wanted}";
        OtherFormat { format: u64 = 12 } => "other_format", "it has the format {format}";
        ShortRows { stride: u64 = 2560 } => "short_rows", "its rows have {stride} bytes";
        TooSmall { rows: u64 = 800, stride: u64 = 5120, size: u64 = 4096 } => "too_small", "its {rows} rows of {stride} bytes are not in {size}";
        Shorter { length: u64 = 4_096_000 } => "shorter", "it is shorter than its {length} bytes";
    }
}
