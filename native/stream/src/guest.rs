//! What a guest is to this crate.

use sampan_frame::{Screen, Size};
use sampan_input::Event;
use std::sync::Arc;
use tokio::sync::watch;

/// Whether a guest is there to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestState {
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It is paused.
    Paused,
    /// It was shut down.
    Stopped,
    /// Its emulator ended without being asked.
    Died,
}

/// A guest's condition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GuestStatus {
    /// Whether it runs.
    pub state: GuestState,
    /// More of it in words, for a person; may be empty.
    pub detail: String,
    /// Whether it has an absolute pointing device now. If not, pages lock the pointer and send relative motion.
    pub absolute: bool,
}

/// One guest, as its viewers need it. Nothing here may block.
pub trait Guest: Send + Sync + 'static {
    /// Its name for a window's title.
    fn name(&self) -> String;

    /// Its screen.
    fn screen(&self) -> Arc<Screen>;

    /// Takes one event of a viewer.
    fn input(&self, event: Event);

    /// Asks the guest for another resolution: `size` in pixels, shown at `mm` millimetres (0 if unknown).
    fn resize(&self, size: Size, mm: (u16, u16));

    /// Its condition, and every change of it.
    fn status(&self) -> watch::Receiver<GuestStatus>;
}
