//! What a guest plays and records.

use crate::core::id;
use crate::promise::promise;
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_config::MAX_VOLUME;
use sampan_control::{Request, SoundInfo};

/// What is known of a running guest's sound.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// The machine.
    pub machine: String,
    /// Whether the guest plays, be it silence.
    pub playing: bool,
    /// Whether the guest records, be it silence.
    pub recording: bool,
    /// How loud it is, from 0 to 1; what is heard is its cube.
    pub volume: f64,
    /// Whether it is silent, whatever its volume.
    pub muted: bool,
    /// Whether the guest may listen to the microphone.
    pub microphone: bool,
}

impl Sound {
    pub(crate) fn of(machine: &str, info: &SoundInfo) -> Self {
        let SoundInfo { playing, recording, volume, muted, microphone } = *info;
        let volume = f64::from(volume) / f64::from(MAX_VOLUME);
        Self { machine: machine.to_owned(), playing, recording, volume, muted, microphone }
    }
}

/// Changes how loud a machine is (0 to 1; what is heard is its cube), whether it is silent instead, and whether its guest may listen
/// to the microphone: of a running machine at once, and for later starts. Rejects with `no_sound` where a running machine has no
/// sound card, and with `volume_too_high`.
#[napi(namespace = "sound", catch_unwind)]
pub fn set(
    env: &Env,
    machine: String,
    volume: f64,
    muted: bool,
    microphone: bool,
) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        // `as` ends at what a byte holds, and the core refuses what is more than full.
        let percent = if volume.is_nan() { u8::MAX } else { (volume * f64::from(MAX_VOLUME)).round() as u8 };
        let machine = core.manager.machine(id(&machine)?).await?;
        let request =
            Request::Sound { volume: Some(percent), muted: Some(muted), microphone: Some(microphone) };
        Ok(machine.tell(request).await?)
    })
}
