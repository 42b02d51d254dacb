//! One function per decoder of foreign data: it takes any bytes, and must neither panic nor break its promises.
//!
//! The same functions run in two ways: under libFuzzer (`tests/fuzz/libfuzzer`, needs a nightly compiler), and over
//! the corpus, with some mutations, as an ordinary test. A new decoder adds a function to [`TARGETS`] and a folder of
//! seeds to `corpus/`; whatever libFuzzer finds is added to that folder with its fix.
//!
//! ```
//! for (name, target) in sampan_fuzz::TARGETS {
//!     target(name.as_bytes());
//! }
//! ```
#![forbid(unsafe_code)]

mod display;
mod documents;
mod download;
mod frame;
mod library;
mod messages;
mod seed;
mod sound;
mod source;
mod trust;
mod vdagent;
mod voice;

pub use source::Source;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus folder.
pub const TARGETS: &[(&str, Target)] = &[
    ("damage", frame::damage),
    ("convert", frame::convert),
    ("scanout", frame::scanout),
    ("display_calls", display::calls),
    ("display_messages", display::messages),
    ("input_messages", messages::input),
    ("key_names", messages::key_names),
    ("control", messages::control),
    ("pairing", trust::pairing),
    ("checksums", download::checksums),
    ("catalogue", download::catalogue),
    ("document", documents::document),
    ("forwards", documents::forwards),
    ("image_headers", library::image_headers),
    ("tar", library::tar),
    ("manifest", library::manifest),
    ("sampanvm", library::sampanvm),
    ("utm", library::utm),
    ("ovf", library::ovf),
    ("cloud_seed", seed::cloud),
    ("windows_answers", seed::windows),
    ("ssh_keys", seed::ssh_keys),
    ("vdagent", vdagent::agent),
    ("sound", sound::sound),
    ("voice", voice::voice),
];
