//! What pages call, a file for each of the names it is grouped by. Each function is one call of the core.

pub(crate) mod app;
pub(crate) mod clipboard;
pub(crate) mod downloads;
pub(crate) mod guest;
pub(crate) mod hardware;
pub(crate) mod host;
pub(crate) mod jobs;
pub(crate) mod life;
pub(crate) mod logs;
pub(crate) mod machines;
pub(crate) mod media;
pub(crate) mod presets;
pub(crate) mod screen;
pub(crate) mod serial;
pub(crate) mod snapshots;
pub(crate) mod sound;
pub(crate) mod storage;
pub(crate) mod stream;
