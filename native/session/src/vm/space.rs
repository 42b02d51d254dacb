//! The host's disk, watched while a machine runs.

use super::Vm;
use crate::{Command, State};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked at.
const PACE: Duration = Duration::from_secs(3);

/// Bytes that must stay free: what a guest can write between two looks on a fast disk, and room for the manifest.
pub const FLOOR: u64 = 512 << 20;

/// Pauses the machine before the disk is full, and says so. A guest whose write fails for want of space is paused by
/// QEMU too, but by then nothing else on the host can write either. Once resumed by hand it is left alone until there was
/// room again: the user has been told.
pub async fn watch_space(vm: Arc<Vm>, floor: u64) {
    let mut told = false;
    loop {
        tokio::time::sleep(PACE).await;
        if vm.session().status().borrow().state == State::Ended {
            return;
        }
        let folder = vm.folder().to_owned();
        let free = match super::on_thread(move || sampan_library::free(&folder)).await {
            Ok(Ok(free)) => free,
            Ok(Err(error)) => {
                log::warn!("the free space cannot be told: {error}");
                continue;
            }
            Err(_) => continue,
        };
        if free >= floor {
            told = false;
        } else if !told && vm.running() {
            told = true;
            let words = format!(
                "paused before the disk is full: {} MiB are free, fewer than {}; free some space, then resume",
                free >> 20,
                floor >> 20
            );
            log::warn!("{words}");
            if let Err(error) = vm.session().execute(Command::PauseBecause(words)).await {
                log::warn!("the machine could not be paused: {error}");
            }
        }
    }
}
