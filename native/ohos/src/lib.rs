//! HarmonyOS and OpenHarmony through the NDK: the surface that a guest's screen is drawn on, its sound, the log, and native child processes.
//!
//! [`Surface`] is one drawing thread. It takes a surface's id (of an `XComponent`, for instance), opens the window behind it and keeps
//! it equal to a [`Screen`](sampan_frame::Screen): when something changed, it requests a buffer, copies the rows that
//! changed since *that* buffer was last drawn, straight from QEMU's memory, and flushes it, at most once per vsync. When nothing changed,
//! nothing is requested.
//!
//! Scaling is the system's: a buffer has the guest's size, and the compositor fits it into the surface
//! (`OH_SCALING_MODE_SCALE_FIT_V2`). No pixel is scaled by a CPU. [`Placement`] computes where the picture lies then, and which
//! point of the guest is under a finger. Zooming further is the page's: it transforms the component, and maps points back before
//! it asks [`Placement`].
//!
//! The guest's cursor is never drawn: the page shows it as the system's pointer.
//!
//! [`SoundDevice`] is the device's loudspeaker or microphone (OHAudio), for one guest: the system calls for samples on a thread of its
//! own, and gets them at once.
//!
//! [`Hilog`] is the system's log as a sink of the crate `log`. [`ChildProcesses`] starts native child processes.
//!
//! The crate knows the NDK and nothing of ArkTS. The system's libraries are loaded at run time ([`Ndk::load`]), so it builds and runs
//! on Linux, where tests load a stand-in.
//!
//! # Invariant
//!
//! One thread uses a window, from opening to destroying it. Every buffer requested is flushed or aborted, every fence
//! closed, and every wait has a limit. No panic crosses into C. A window may end at any moment: that is an error of the next
//! call, and the thread waits for another surface.
//!
//! # Example
//!
//! ```
//! use sampan_frame::Size;
//! use sampan_ohos::{Placement, Scaling};
//!
//! // A guest of 640 × 480 in a window of 1600 × 960: twice its size, with a bar of 160 on either side.
//! let placement = Placement::new(Size::new(1600, 960)?, Size::new(640, 480)?, Scaling::Fit);
//! assert_eq!(placement.integer_factor(), Some(2));
//! assert_eq!(placement.to_guest(160.0, 0.0), Some((0.0, 0.0)));
//! assert_eq!(placement.to_guest(159.0, 0.0), None);
//! assert_eq!(placement.to_surface(320.0, 240.0), (800.0, 480.0));
//! # Ok::<(), sampan_frame::ScanoutError>(())
//! ```

mod child_process;
mod codes;
mod cursor;
mod drawing;
mod error;
mod hilog;
mod library;
mod mapping;
mod ndk;
mod ohaudio;
mod pacer;
mod placement;
mod sound;
mod surface;
mod window;

pub use child_process::ChildProcesses;
pub use codes::samples;
pub use cursor::CursorLock;
pub use drawing::{Drawn, SurfaceStatus};
pub use error::{BadBuffer, OhosError};
pub use hilog::Hilog;
pub use ndk::Ndk;
pub use ohaudio::OhAudio;
pub use placement::{PictureRect, Placement, Scaling};
pub use sound::SoundDevice;
pub use surface::{Surface, SurfaceEvent};
