//! What a session follows all the time, each in a task of its own.

use crate::state::{Ended, State, Status, ended};
use sampan_display::Console;
use sampan_emulator::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{oneshot, watch};

/// Whether the guest's pointer is absolute.
pub async fn pointer_mode(console: Console, status: watch::Sender<Status>) {
    let mut absolute = console.absolute();
    loop {
        let now = *absolute.borrow_and_update();
        status.send_if_modified(|status| std::mem::replace(&mut status.absolute, now) != now);
        if absolute.changed().await.is_err() {
            return;
        }
    }
}

/// What viewers see of the status.
pub async fn tell_viewers(
    mut status: watch::Receiver<Status>,
    viewers: watch::Sender<sampan_guest::GuestStatus>,
) {
    loop {
        let now = status.borrow_and_update().for_viewers();
        viewers.send_if_modified(|told| {
            let news = *told != now;
            *told = now;
            news
        });
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// How QEMU ends.
pub async fn wait_for_end(
    exit: oneshot::Receiver<Exit>,
    status: watch::Sender<Status>,
    quitting: Arc<AtomicBool>,
) {
    let how = match exit.await {
        Ok(exit) => ended(&exit, quitting.load(Ordering::Relaxed)),
        Err(_) => Ended::Died("its host has vanished without a word".into()),
    };
    status.send_modify(|status| {
        status.state = State::Ended;
        status.detail = match &how {
            Ended::Quit => String::new(),
            Ended::Died(words) => words.clone(),
        };
        status.ended = Some(how);
    });
}
