//! The device's loudspeaker and microphone, as the application core gives them to the machines of this process.

use sampan_manager::{AttachedSound, SoundDevices};
use sampan_ohos::{OhAudio, OhosError, SoundDevice};
use sampan_session::audio::{Capture, Playback};
use std::sync::OnceLock;

/// The system's own, which are loaded when the first machine with a sound card starts.
#[derive(Default)]
pub(crate) struct OhSound(OnceLock<Option<OhAudio>>);

impl SoundDevices for OhSound {
    fn attach(&self, playback: Playback, capture: Capture) -> Option<Box<dyn AttachedSound>> {
        let load =
            || OhAudio::load().inspect_err(|error| log::info!("guests are not heard here: {error}")).ok();
        let audio = self.0.get_or_init(load).as_ref()?;
        match attached(audio, playback, capture) {
            Ok(attached) => Some(Box::new(attached)),
            Err(error) => {
                log::warn!("a guest is not heard: {error}");
                None
            }
        }
    }
}

struct Attached {
    speaker: SoundDevice,
    microphone: SoundDevice,
}

fn attached(audio: &OhAudio, playback: Playback, capture: Capture) -> Result<Attached, OhosError> {
    let speaker = SoundDevice::speaker(audio, playback)?;
    Ok(Attached { speaker, microphone: SoundDevice::microphone(audio, capture)? })
}

impl AttachedSound for Attached {
    fn set_used(&self, speaker: bool, microphone: bool) {
        self.speaker.set_used(speaker);
        self.microphone.set_used(microphone);
    }
}
