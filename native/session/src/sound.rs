//! The guest's sound: its settings, and what the status says of it.

use crate::state::Status;
use sampan_audio::{Input, Output};
use sampan_display::Sound as Card;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How loud a machine is, and what its guest may hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundSettings {
    /// How loud it is, in per cent.
    pub volume: u8,
    /// Whether it is silent, whatever its volume.
    pub muted: bool,
    /// Whether the guest may listen to the microphone.
    pub microphone: bool,
}

impl Default for SoundSettings {
    /// Full volume, and no microphone.
    fn default() -> Self {
        Self { volume: sampan_config::MAX_VOLUME, muted: false, microphone: false }
    }
}

impl SoundSettings {
    /// What a description says.
    pub fn of(sound: &sampan_config::Sound) -> Self {
        Self { volume: sound.volume, muted: sound.muted, microphone: sound.microphone }
    }
}

/// A machine's sound.
#[derive(Debug)]
pub struct Sound {
    card: Card,
    settings: Mutex<SoundSettings>,
}

impl Sound {
    pub(crate) fn new(card: Card) -> Self {
        Self { card, settings: Mutex::default() }
    }

    /// What the guest plays.
    pub fn output(&self) -> &Arc<Output> {
        self.card.output()
    }

    /// What the guest records.
    pub fn input(&self) -> &Arc<Input> {
        self.card.input()
    }

    /// How loud it is, and what the guest may hear.
    pub fn settings(&self) -> SoundSettings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes that at once.
    pub(crate) fn configure(&self, settings: SoundSettings) {
        let mut kept = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = settings;
        let SoundSettings { volume, muted, microphone } = settings;
        self.output().set_volume(f32::from(volume) / f32::from(sampan_config::MAX_VOLUME), muted);
        self.input().allow_microphone(microphone);
    }
}

/// Has the status say whether the guest plays or records.
pub(crate) async fn follow(card: Card, status: watch::Sender<Status>) {
    let mut activity = card.activity();
    loop {
        let now = *activity.borrow_and_update();
        status.send_if_modified(|status| {
            let before = status.sound;
            let sound = status.sound.get_or_insert_default();
            (sound.playing, sound.recording) = (now.is_playing, now.is_recording);
            status.sound != before
        });
        if activity.changed().await.is_err() {
            return;
        }
    }
}
