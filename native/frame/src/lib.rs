//! What a guest shows: pixel formats, damage, and the memory that QEMU draws into.
//!
//! A [`Screen`] is what one console of a guest looks like now. The display client feeds it; every consumer
//! (an encoder, a surface, a screenshot) attaches to it, is woken when something changed, and takes only the
//! rows that changed since *its* last look.
//!
//! # Invariant
//!
//! The guest may write scanout memory at any moment and QEMU may shrink or close it. So it never becomes a
//! Rust reference: rows are read by `pread`, or by a volatile copy from a dmabuf that cannot shrink. Every
//! number that comes from the guest is checked before it is used for an address, and everything kept has a
//! bound ([`MAX_SIDE`], [`MAX_AREA`], [`Damage::MAX_RECTS`]). There is no clock, no thread and no async here.
//!
//! # Example
//!
//! ```
//! use sampan_frame::{PixelFormat, Rect, Screen, Size, Staging};
//!
//! let screen = Screen::new();
//! let mut viewer = screen.attach(Box::new(|| { /* wake the encoder's task */ }));
//!
//! // The display client: a picture of 4 × 2 pixels, then one pixel painted red.
//! screen.set_blank(Size::new(4, 2)?);
//! let pixel = Rect { x: 1, y: 1, width: 1, height: 1 };
//! screen.write(pixel, 4, PixelFormat::Bgrx8888, &[0, 0, 0xff, 0])?;
//!
//! // The encoder: everything is new at first, then only the damage.
//! let mut staging = Staging::new();
//! let taken = viewer.take(&mut staging)?.expect("a first picture");
//! assert!(taken.resized);
//! assert_eq!(staging.row(1)[4..8], [0, 0, 0xff, 0xff]);
//! assert!(viewer.take(&mut staging)?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cursor;
mod damage;
mod dmabuf;
mod error;
mod format;
mod limits;
mod memory;
mod rect;
mod scanout;
mod screen;

pub use cursor::{Cursor, CursorState};
pub use damage::Damage;
pub use error::{ReadError, ScanoutError};
pub use format::PixelFormat;
pub use limits::{MAX_AREA, MAX_SIDE};
pub use rect::{Rect, Size};
pub use scanout::{Alpha, Geometry, Scanout};
pub use screen::{Consumer, Screen, Staging, Taken};
