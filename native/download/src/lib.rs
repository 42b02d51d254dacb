//! Downloads of system images: several connections a file, resumed after a kill or a change of network, verified
//! against published checksums; and a catalogue of images to download.
//!
//! **Invariant:** no byte is trusted that was not written and synced, and none is joined to bytes of another version
//! of the file. A finished file appears under its final name whole, with the right digest, or not at all. Nothing that
//! a server says becomes part of a path.
//!
//! ```no_run
//! use sampan_download::{Queue, Request, Settings};
//! use std::time::Duration;
//!
//! let queue = Queue::start(Settings::default())?;
//! let request = Request::new("https://example.org/disk.qcow2", "images/disk.qcow2");
//! let download = queue.add(request)?;
//! while download.wait(Duration::from_secs(1))?.is_none() {
//!     let progress = download.progress()?;
//!     println!("{} of {:?} bytes, {} bytes/s", progress.loaded, progress.total, progress.speed);
//! }
//! # Ok::<(), sampan_download::DownloadError>(())
//! ```
//!
//! `docs/downloads.md` tells what a resumed download trusts, and what the checksums prove.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod checksums;
mod codes;
mod digest;
mod error;
mod exchange;
mod fault;
mod http;
mod journal;
mod live;
mod part;
mod progress;
mod queue;
mod ranges;
mod request;
mod retry;
mod settings;
mod transfer;

pub use catalogue::{Catalogue, CatalogueError, Entry};
#[doc(hidden)]
pub use codes::samples;
pub use digest::{Digest, Hasher, NotADigest};
pub use error::{BadRedirect, DownloadError};
pub use exchange::{Answer, Exchange, Verb};
pub use fault::{BadAddress, BadAnswer, CatalogueFault, EntryFault, NoConnection};
pub use journal::{loaded, unfinished};
pub use progress::{Lane, Progress, State};
pub use queue::{Download, MAX_DOWNLOADS, Queue, discard_now};
pub use request::{DEFAULT_MAX_SIZE, Request, Source};
pub use settings::{Proxy, Retry, Settings, Timeouts};
