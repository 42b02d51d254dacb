//! The device's loudspeaker and microphone for machines that run in this process.

use sampan_library::VmId;
use sampan_manager::{LocalMachine, Manager};
use sampan_ohos::{OhAudio, OhosError, SoundDevice};
use sampan_session::audio::Origin;
use sampan_session::{Session, SoundStatus, State, Status};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// The system's library; `None` where there is none.
fn audio() -> Option<&'static OhAudio> {
    static LOADED: OnceLock<Option<OhAudio>> = OnceLock::new();
    let load = || OhAudio::load().inspect_err(|error| log::info!("guests are not heard here: {error}")).ok();
    LOADED.get_or_init(load).as_ref()
}

/// Lets a machine that has just been started be heard and hear, until it ends. Must be called on the runtime.
pub(crate) async fn attach(manager: &Manager, vm: VmId) {
    let Some(audio) = audio() else { return };
    let Ok(machine) = manager.machine(vm).await else { return };
    let Some(session) = machine.local().map(|local: &Arc<LocalMachine>| Arc::clone(local.session())) else {
        return;
    };
    match devices(audio, &session) {
        Ok(Some((speaker, microphone))) => {
            // Not the session: whoever holds it keeps the machine.
            tokio::spawn(follow(session.status(), speaker, microphone));
        }
        Ok(None) => {}
        Err(error) => log::warn!("{vm} is not heard: {error}"),
    }
}

fn devices(audio: &OhAudio, session: &Session) -> Result<Option<(SoundDevice, SoundDevice)>, OhosError> {
    let Some(sound) = session.sound() else { return Ok(None) };
    let speaker = SoundDevice::speaker(audio, sound.output().listen())?;
    let microphone = SoundDevice::microphone(audio, sound.input().capture(Origin::Microphone))?;
    Ok(Some((speaker, microphone)))
}

/// Uses each while the guest does, and the microphone while it may.
async fn follow(mut status: watch::Receiver<Status>, speaker: SoundDevice, microphone: SoundDevice) {
    loop {
        let (ended, SoundStatus { playing, recording, microphone: allowed }) = {
            let status = status.borrow_and_update();
            (status.state == State::Ended, status.sound.unwrap_or_default())
        };
        if ended {
            break;
        }
        speaker.set_used(playing);
        microphone.set_used(recording && allowed);
        if status.changed().await.is_err() {
            break;
        }
    }
    // Giving the streams back takes a while.
    let ended = tokio::task::spawn_blocking(move || drop((speaker, microphone)));
    if ended.await.is_err() {
        log::error!("a thread of a sound device has panicked");
    }
}
