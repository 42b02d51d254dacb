//! The host's loudspeaker and microphone, which the machines of this process use while their guests play and record.

use crate::Manager;
use sampan_session::audio::{Capture, Origin, Playback};
use sampan_session::{Session, SoundStatus, State, Status};
use std::sync::Arc;
use tokio::sync::watch;

/// Where the guests of this process are heard, and by what they hear: the host's own devices. Whoever hosts a [`Manager`] hands them
/// over ([`Manager::set_sound_devices`]); without them guests are mute.
pub trait SoundDevices: Send + Sync {
    /// A loudspeaker and a microphone for one machine that has just been started; neither is in use yet. They are dropped at the
    /// machine's end. `None` where the host has none; its log says why. It may block.
    fn attach(&self, playback: Playback, capture: Capture) -> Option<Box<dyn AttachedSound>>;
}

/// One machine's loudspeaker and microphone. Dropping it may block until the host has them back.
pub trait AttachedSound: Send {
    /// Says whether each is used from now on. Called when that changes, and never waits. The microphone is used only while the guest
    /// records and may listen to it.
    fn set_used(&self, speaker: bool, microphone: bool);
}

impl Manager {
    /// The devices for every machine that is started in this process from now on, also by itself after a crash. Has an effect once.
    pub fn set_sound_devices(&self, devices: Arc<dyn SoundDevices>) {
        let _ = self.sound_devices().set(devices);
    }

    /// Lets a machine that has just been started be heard and hear, until it ends.
    pub(crate) fn attach_sound(&self, session: &Session) {
        let (Some(devices), Some(sound)) = (self.sound_devices().get().cloned(), session.sound()) else {
            return;
        };
        let playback = sound.output().listen();
        let capture = sound.input().capture(Origin::Microphone);
        let attach = tokio::task::spawn_blocking(move || devices.attach(playback, capture));
        // Not the session: whoever holds it keeps the machine.
        let status = session.status();
        tokio::spawn(async move {
            match attach.await {
                Ok(Some(attached)) => follow(status, attached).await,
                Ok(None) => {}
                Err(error) => log::error!("sound devices were not attached: {error}"),
            }
        });
    }
}

/// Uses each while the guest does, and the microphone while it may.
async fn follow(mut status: watch::Receiver<Status>, attached: Box<dyn AttachedSound>) {
    let mut told = (false, false);
    loop {
        let (ended, SoundStatus { playing, recording, microphone }) = {
            let status = status.borrow_and_update();
            (status.state == State::Ended, status.sound.unwrap_or_default())
        };
        if ended {
            break;
        }
        // A device that had to make room for another app is used again when the guest begins anew, not at any news.
        let now = (playing, recording && microphone);
        if now != told {
            told = now;
            attached.set_used(playing, now.1);
        }
        if status.changed().await.is_err() {
            break;
        }
    }
    if let Err(error) = tokio::task::spawn_blocking(move || drop(attached)).await {
        log::error!("sound devices were not detached: {error}");
    }
}
