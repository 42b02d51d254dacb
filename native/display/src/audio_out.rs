//! `org.qemu.Display1.AudioOutListener`: the calls that bring what the guest plays.
//!
//! QEMU sends a piece whenever it is full, without waiting for an answer and whether or not anybody is fast enough: by the clock of
//! the guest, which stands still while the machine is paused.

use crate::audio::{Answer, Call};
use crate::call::{arguments, unknown};
use crate::fault::DisplayFault;
use sampan_audio::Output;
use zbus::message::Body;

const INTERFACE: &str = "org.qemu.Display1.AudioOutListener";

/// Handles a call. Never waits.
pub(crate) fn handle(
    interface: Option<&str>,
    member: &str,
    body: &Body,
    output: &Output,
) -> Result<Answer, DisplayFault> {
    if let Some(other) = interface.filter(|name| *name != INTERFACE) {
        return Err(unknown(other, member));
    }
    match Call::decode(member, body)? {
        Some(Call::Init(id, described)) => output.init(id, &described)?,
        Some(Call::Fini(id)) => output.fini(id)?,
        Some(Call::SetEnabled(id, is_enabled)) => output.set_enabled(id, is_enabled)?,
        Some(Call::SetVolume(id, is_muted, volume)) => output.set_stream_volume(id, is_muted, volume)?,
        None if member == "Write" => {
            let (id, data): (u64, &[u8]) = arguments(member, body)?;
            output.write(id, data)?;
        }
        None => return Err(unknown(INTERFACE, member)),
    }
    Ok(Answer::Done)
}
