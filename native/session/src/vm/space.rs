//! The host's disk, watched while a machine runs.

use crate::{Command, Session, State};
use std::path::PathBuf;
use std::sync::Weak;
use std::time::Duration;

/// How often it is looked at.
const PACE: Duration = Duration::from_secs(3);

/// Bytes that must stay free: what a guest can write between two looks on a fast disk, and room for the manifest.
pub const FLOOR: u64 = 512 << 20;

/// Pauses the machine before the disk is full, and says so. A guest whose write fails for want of space is paused by
/// QEMU too, but by then nothing else on the host can write either. Once resumed by hand it is left alone until there was
/// room again: the user has been told. Ends with the machine.
pub(super) async fn watch(session: Weak<Session>, folder: PathBuf, floor: u64) {
    let mut told = false;
    loop {
        tokio::time::sleep(PACE).await;
        let Some(session) = session.upgrade() else { return };
        let (state, log) = (session.status().borrow().state, &session.log);
        if state == State::Ended {
            return;
        }
        let folder = folder.clone();
        let free = match super::on_thread(move || sampan_library::free(&folder)).await {
            Ok(Ok(free)) => free,
            Ok(Err(error)) => {
                log.warn(format_args!("the free space cannot be told: {error}"));
                continue;
            }
            Err(_) => continue,
        };
        if free >= floor {
            told = false;
        } else if !told && state == State::Running {
            told = true;
            let words = format!(
                "paused before the disk is full: {} MiB are free, fewer than {}; free some space, then resume",
                free >> 20,
                floor >> 20
            );
            log.warn(&words);
            if let Err(error) = session.execute(Command::PauseBecause(words)).await {
                log.warn(format_args!("the machine could not be paused: {error}"));
            }
        }
    }
}
