//! The device's loudspeaker and microphone, against the stand-in. One test: its counts are of the process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use sampan_audio::{Described, Input, Origin, Output};
use sampan_ohos::{OhAudio, SoundDevice};
use sampan_ohos_stand_in as stand_in;
use std::path::Path;
use std::time::{Duration, Instant};

const PCM: Described = Described {
    bits: 16,
    is_signed: true,
    is_float: false,
    rate: 48_000,
    channels: 2,
    bytes_per_frame: 4,
    bytes_per_second: 192_000,
    is_big_endian: false,
};

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Plays 100 ms of this, again and again, until it holds.
fn play_until(output: &Output, level: i16, what: &str, holds: impl Fn() -> bool) {
    let bytes: Vec<u8> = (0..9_600).flat_map(|_| level.to_le_bytes()).collect();
    let begun = Instant::now();
    let mut pieces = 0u32;
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        if begun.elapsed() > Duration::from_millis(100) * pieces {
            output.write(1, &bytes).unwrap();
            pieces += 1;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn was_played(level: i16) -> bool {
    stand_in::played().contains(&[level, level])
}

#[test]
fn a_guest_is_heard_and_hears() {
    let audio = OhAudio::load_from(Path::new(stand_in::LIBRARY)).unwrap();
    let output = Output::new(|_| {});
    output.init(1, &PCM).unwrap();
    output.set_enabled(1, true).unwrap();
    // The system refuses at first, and it is tried again.
    stand_in::refuse_sound(1);
    let speaker = SoundDevice::speaker(&audio, output.listen()).unwrap();
    assert_eq!(stand_in::sound_streams(), 0, "nobody plays yet");
    speaker.set_used(true);
    play_until(&output, 1_000, "it is heard", || was_played(1_000));
    // Another app is heard for a while.
    stand_in::interrupt_speaker(stand_in::Interrupt::Pause);
    let silent = stand_in::played().len();
    stand_in::interrupt_speaker(stand_in::Interrupt::Resume);
    play_until(&output, 2_000, "it is heard again", || was_played(2_000));
    assert!(stand_in::played().len() > silent);
    // Another app takes its place, until the guest begins anew.
    stand_in::interrupt_speaker(stand_in::Interrupt::Stop);
    eventually("it is given back", || stand_in::sound_streams() == 0);
    speaker.set_used(true);
    play_until(&output, 3_000, "it is heard anew", || was_played(3_000));
    speaker.set_used(false);
    eventually("what is not used is given back", || stand_in::sound_streams() == 0);
    // What the system's buffers held before is never heard.
    assert!(!was_played(0x5555));
    drop(speaker);

    let input = Input::new(|_| {});
    input.init(7, &PCM).unwrap();
    input.set_enabled(7, true).unwrap();
    input.allow_microphone(true);
    let microphone = SoundDevice::microphone(&audio, input.capture(Origin::Microphone)).unwrap();
    microphone.set_used(true);
    eventually("it hears", || {
        let mut bytes = Vec::new();
        input.read(7, 3_840, &mut bytes).unwrap();
        bytes.chunks_exact(2).any(|sample| i16::from_le_bytes([sample[0], sample[1]]) == 8_000)
    });
    microphone.set_used(false);
    eventually("the microphone is off at once", || stand_in::sound_streams() == 0);
    microphone.set_used(true);
    eventually("the microphone is on again", || stand_in::sound_streams() == 1);
    drop(microphone);
    assert_eq!((stand_in::sound_streams(), stand_in::sound_faults()), (0, 0));
    assert!(OhAudio::load_from(Path::new("libno_such_library.so")).is_err());
}
