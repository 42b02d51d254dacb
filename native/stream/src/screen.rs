//! What viewers are told of the screen besides its pixels.

use sampan_frame::{CursorState, Screen, Size};
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Size and cursor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScreenState {
    /// The size, `None` while the screen is off.
    pub size: Option<Size>,
    /// The cursor.
    pub cursor: CursorState,
}

impl ScreenState {
    fn of(screen: &Screen) -> Self {
        Self { size: screen.size(), cursor: screen.cursor() }
    }
}

/// Follows `screen` until every receiver and the task's handle are gone.
pub fn follow(screen: Arc<Screen>) -> (watch::Receiver<ScreenState>, tokio::task::JoinHandle<()>) {
    let sender = watch::Sender::new(ScreenState::of(&screen));
    let receiver = sender.subscribe();
    let task = tokio::spawn(async move {
        let changed = Arc::new(Notify::new());
        let wake = changed.clone();
        // Damage is noted for this consumer too, in bounded form, and never taken.
        let _consumer = screen.attach(Box::new(move || wake.notify_one()));
        while !sender.is_closed() {
            let state = ScreenState::of(&screen);
            sender.send_if_modified(|old| {
                let modified = *old != state;
                *old = state;
                modified
            });
            tokio::select! {
                () = changed.notified() => {}
                () = sender.closed() => {}
            }
        }
    });
    (receiver, task)
}
