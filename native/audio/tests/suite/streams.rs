//! What QEMU calls, and what is heard of it.

use sampan_audio::{Described, Input, MAX_STREAMS, Origin, Output, SILENCE, StreamError};
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

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

fn told() -> (Arc<Mutex<Vec<bool>>>, impl Fn(bool) + Send + Sync) {
    let told = Arc::<Mutex<Vec<bool>>>::default();
    let tell = Arc::clone(&told);
    (told, move |on| tell.lock().unwrap().push(on))
}

fn loud(frames: usize) -> Vec<u8> {
    (0..frames * 2).flat_map(|_| 16_384i16.to_le_bytes()).collect()
}

fn peak(frames: &[[f32; 2]]) -> f32 {
    frames.iter().flatten().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Enough to hear, after which nothing follows.
fn play(output: &Output, id: u64) {
    output.set_enabled(id, true).unwrap();
    output.write(id, &loud(4_800)).unwrap();
    output.set_enabled(id, false).unwrap();
}

#[test]
fn every_listener_hears_what_is_played() {
    let (told, tell) = told();
    let output = Output::new(tell);
    output.init(7, &PCM).unwrap();
    let (mut one, mut two) = (output.listen(), output.listen());
    assert!(!output.is_playing());
    play(&output, 7);
    let mut frames = [SILENCE; 4_800];
    for playback in [&mut one, &mut two] {
        assert!(playback.pull(&mut frames));
        assert_eq!(peak(&frames), 0.5);
        assert!(!playback.pull(&mut frames), "that was all");
    }
    assert_eq!(*told.lock().unwrap(), [true, false]);
}

#[test]
fn volume_and_mute_are_ours_to_apply() {
    let output = Output::new(|_| {});
    output.init(1, &PCM).unwrap();
    let mut playback = output.listen();
    let mut heard = |output: &Output| {
        let mut frames = [SILENCE; 4_800];
        // The ramp from before is over.
        playback.pull(&mut frames);
        play(output, 1);
        playback.pull(&mut frames);
        peak(&frames[1_000..])
    };
    assert_eq!(heard(&output), 0.5);
    output.set_volume(0.5, false);
    assert!((heard(&output) - 0.0625).abs() < 1e-3);
    output.set_volume(f32::NAN, true);
    assert_eq!(heard(&output), 0.0);
    output.set_volume(1.0, false);
    output.set_stream_volume(1, false, &[127, 127]).unwrap();
    heard(&output);
    assert!((heard(&output) - 0.25).abs() < 2e-3);
    output.set_stream_volume(1, true, &[255, 255]).unwrap();
    heard(&output);
    assert_eq!(heard(&output), 0.0);
    output.set_stream_volume(1, false, &[]).unwrap();
    heard(&output);
    assert_eq!(heard(&output), 0.5);
}

#[test]
fn hostile_calls_are_refused_and_harm_nothing() {
    let output = Output::new(|_| {});
    let input = Input::new(|_| {});
    assert_eq!(output.write(1, &[0; 4]), Err(StreamError::Unknown));
    assert_eq!(output.set_enabled(1, true), Err(StreamError::Unknown));
    assert_eq!(output.set_stream_volume(1, true, &[]), Err(StreamError::Unknown));
    assert_eq!(output.fini(1), Err(StreamError::Unknown));
    assert_eq!(input.read(1, 100, &mut Vec::new()), Err(StreamError::Unknown));
    for id in 0..MAX_STREAMS as u64 {
        output.init(id, &PCM).unwrap();
        input.init(id, &PCM).unwrap();
    }
    assert_eq!(output.init(99, &PCM), Err(StreamError::TooMany));
    assert_eq!(input.init(99, &PCM), Err(StreamError::TooMany));
    // The same number again is another stream in its place.
    output.init(0, &PCM).unwrap();
    assert!(matches!(output.init(0, &Described { rate: 0, ..PCM }), Err(StreamError::Format(_))));
    assert_eq!(output.write(0, &[0; 4]), Err(StreamError::Unknown));
    assert_eq!(output.write(1, &[0; 5]), Err(StreamError::Size { bytes: 5 }));
    assert_eq!(output.write(1, &vec![0; 192_004]), Err(StreamError::Size { bytes: 192_004 }));
    for size in [0, 3, (1 << 20) + 1, u64::MAX] {
        let mut bytes = Vec::new();
        assert_eq!(input.read(1, size, &mut bytes), Err(StreamError::Size { bytes: size }));
        assert!(bytes.is_empty());
    }
}

/// Reads for a while as QEMU does, and returns the frames' left sides.
fn record(input: &Input, id: u64, time: Duration, mut between: impl FnMut()) -> Vec<i16> {
    let begin = std::time::Instant::now();
    let mut bytes = Vec::new();
    while begin.elapsed() < time {
        input.read(id, 3_840, &mut bytes).unwrap();
        between();
        sleep(Duration::from_millis(10));
    }
    bytes.chunks_exact(4).map(|frame| i16::from_le_bytes([frame[0], frame[1]])).collect()
}

#[test]
fn a_guest_hears_silence_unless_its_owner_allows_more() {
    let (told, tell) = told();
    let input = Input::new(tell);
    input.init(1, &PCM).unwrap();
    input.set_enabled(1, true).unwrap();
    assert!(input.is_recording());
    let mut microphone = input.capture(Origin::Microphone);
    let time = Duration::from_millis(300);
    let heard = record(&input, 1, time, || microphone.push(&[[0.5; 2]; 480]));
    assert!(heard.len() > 9_000 && heard.iter().all(|sample| *sample == 0), "{}", heard.len());
    // What was said before is not heard afterwards.
    input.allow_microphone(true);
    let heard = record(&input, 1, Duration::from_millis(30), || {});
    assert!(heard.iter().all(|sample| *sample == 0));
    let heard = record(&input, 1, time, || microphone.push(&[[0.5; 2]; 480]));
    assert!(heard.contains(&16_384));
    input.allow_microphone(false);
    record(&input, 1, Duration::from_millis(150), || {});
    let heard = record(&input, 1, time, || microphone.push(&[[0.5; 2]; 480]));
    assert!(heard.iter().all(|sample| *sample == 0));
    let mut chosen = input.capture(Origin::Chosen);
    let heard = record(&input, 1, time, || chosen.push(&[[0.25; 2]; 480]));
    assert!(heard.contains(&8_192) && !heard.contains(&16_384));
    input.set_enabled(1, false).unwrap();
    assert_eq!(*told.lock().unwrap(), [true, false]);
}

#[test]
fn of_a_source_that_floods_a_second_is_kept() {
    let input = Input::new(|_| {});
    input.init(1, &PCM).unwrap();
    input.set_enabled(1, true).unwrap();
    let mut flood = input.capture(Origin::Chosen);
    for _ in 0..60 {
        // A second of sound at once, a minute of it in no time.
        flood.push(&[[0.25; 2]; 48_000]);
    }
    let heard = record(&input, 1, Duration::from_millis(1_500), || {});
    let loud = heard.iter().filter(|sample| **sample != 0).count();
    assert!((1..60_000).contains(&loud), "{loud} frames of it are heard");
    // It is heard as ever when it keeps to its time again.
    let heard = record(&input, 1, Duration::from_millis(500), || flood.push(&[[0.5; 2]; 480]));
    assert!(heard.contains(&16_384));
}

#[test]
fn reads_are_paced_whatever_is_asked_for() {
    let input = Input::new(|_| {});
    input.init(1, &PCM).unwrap();
    input.set_enabled(1, true).unwrap();
    let begin = std::time::Instant::now();
    let mut bytes = Vec::new();
    while begin.elapsed() < Duration::from_millis(200) {
        input.read(1, 1 << 20, &mut bytes).unwrap();
    }
    let worth = begin.elapsed().as_secs_f64() * 48_000.0;
    assert!((bytes.len() / 4) as f64 <= worth + 1.0);
    // A machine that was halted for a while does not get all of it at once.
    sleep(Duration::from_millis(500));
    bytes.clear();
    input.read(1, 1 << 20, &mut bytes).unwrap();
    assert!(bytes.len() / 4 <= 2_880, "{}", bytes.len() / 4);
}

#[test]
fn a_listener_that_rests_is_woken_once_by_what_comes() {
    let output = Output::new(|_| {});
    output.init(1, &PCM).unwrap();
    output.set_enabled(1, true).unwrap();
    let woken = Arc::new(Mutex::new(0));
    let count = Arc::clone(&woken);
    let mut playback = output.listen_to_send(move || *count.lock().unwrap() += 1);
    let mut frames = [SILENCE; 4_800];
    assert!(!playback.pull(&mut frames));
    assert!(playback.rest(), "there is nothing");
    assert_eq!(*woken.lock().unwrap(), 0);
    output.write(1, &loud(4_800)).unwrap();
    output.write(1, &loud(4_800)).unwrap();
    assert_eq!(*woken.lock().unwrap(), 1);
    assert!(!playback.rest(), "there is something that was not pulled");
    output.set_enabled(1, false).unwrap();
    while playback.pull(&mut frames) {}
    output.set_enabled(1, true).unwrap();
    output.write(1, &loud(480)).unwrap();
    assert_eq!(*woken.lock().unwrap(), 1, "who pulls is not woken");
    playback.pull(&mut frames);
}
