//! The tiny guest: a picture whose every frame says which one it is.
//!
//! Purpose: one static program, booted as the init of a Debian kernel, serves as demo, as fixture of the end-to-end
//! tests and as the painting side of the benchmarks. This library is the part of it that needs no machine of its own,
//! shared with the programs on the host: the frame [`counter`] and how to read it back out of a picture, the
//! [`protocol`] spoken on the virtio-serial port, and what is drawn. `PROTOCOL.md` describes the same in words.
//!
//! Invariant: nothing here asks for the time, opens a file, or knows a display; the same calls paint the same pixels.
//! With `default-features = false` only [`counter`], [`rect`] and [`sound`] remain, which need nothing but `std`.
//!
//! ```
//! use tiny_guest::counter;
//!
//! // What the guest paints …
//! let (width, height) = (640, 480);
//! let mut luma = vec![90_u8; width * height];
//! for (block, white) in counter::blocks(1_000_000) {
//!     for y in block.y..block.y + block.h {
//!         let start = y as usize * width + block.x as usize;
//!         luma[start..start + block.w as usize].fill(if white { 255 } else { 0 });
//!     }
//! }
//! // … a viewer reads back.
//! assert_eq!(counter::decode(|x, y| luma[y as usize * width + x as usize], 640, 480), Some(1_000_000));
//! ```
#![forbid(unsafe_code)]

pub mod counter;
pub mod rect;
pub mod sound;

#[cfg(feature = "model")]
pub mod alias;
#[cfg(feature = "model")]
pub mod canvas;
#[cfg(feature = "model")]
pub mod cursor;
#[cfg(feature = "model")]
pub mod desk;
#[cfg(feature = "model")]
pub mod keymap;
#[cfg(feature = "model")]
pub mod pointer;
#[cfg(feature = "model")]
pub mod protocol;
#[cfg(feature = "model")]
pub mod text;
#[cfg(feature = "model")]
pub mod wire;
#[cfg(feature = "model")]
pub mod workload;

pub use rect::Rect;
