//! `org.qemu.Display1.AudioInListener`: the calls that ask what the guest records.
//!
//! `Read` is synchronous on QEMU's main loop and not paced (`dbus_read` in `audio/dbusaudio.c`): it is answered at once, with what the
//! time that has passed is worth. After an error QEMU gives the guest memory that nothing was written to, so there is an answer also
//! to what is wrong: silence.

use crate::audio::{Answer, Call};
use crate::call::{arguments, unknown};
use crate::fault::{DisplayFault, Faults};
use sampan_audio::Input;
use zbus::message::Body;

const INTERFACE: &str = "org.qemu.Display1.AudioInListener";

/// The most that is answered with silence where the request itself is wrong, in bytes.
const MOST_SILENCE: u64 = 64 << 10;

/// Handles a call. Never waits.
pub(crate) fn handle(
    interface: Option<&str>,
    member: &str,
    body: &Body,
    input: &Input,
    faults: &Faults,
) -> Result<Answer, DisplayFault> {
    if let Some(other) = interface.filter(|name| *name != INTERFACE) {
        return Err(unknown(other, member));
    }
    match Call::decode(member, body)? {
        Some(Call::Init(id, described)) => input.init(id, &described)?,
        Some(Call::Fini(id)) => input.fini(id)?,
        Some(Call::SetEnabled(id, is_enabled)) => input.set_enabled(id, is_enabled)?,
        Some(Call::SetVolume(id, is_muted, volume)) => input.set_stream_volume(id, is_muted, volume)?,
        None if member == "Read" => {
            let (id, size): (u64, u64) = arguments(member, body)?;
            let mut bytes = Vec::new();
            if let Err(error) = input.read(id, size, &mut bytes) {
                faults.note(&error.into());
                // Not more than the limit, so it fits.
                bytes.resize(size.min(MOST_SILENCE) as usize, 0);
            }
            return Ok(Answer::Bytes(bytes));
        }
        None => return Err(unknown(INTERFACE, member)),
    }
    Ok(Answer::Done)
}
