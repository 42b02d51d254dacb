//! What a real guest plays is heard, and what it is given it records.

use crate::common::{PATIENCE, Port, child, in_process, of_machine, tiny_machine};
use sampan_config::{Arch, SoundDevice};
use sampan_emulator::Launcher;
use sampan_session::audio::{Capture, Counts, Frame, Origin, PIECE, Pacer, Playback, RATE, SILENCE};
use sampan_session::{Command, ProgressFn, Session, SoundSettings, State, Status};
use serde_json::Value;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use tiny_guest::sound::{Heard, Tone, describe, tone};

const VM: (Arch, SoundDevice) = (Arch::X86_64, SoundDevice::Hda);

async fn start((arch, device): (Arch, SoundDevice), launcher: Arc<dyn Launcher>) -> (Session, Port) {
    let mut machine = tiny_machine(arch);
    (machine.sound, machine.microphone) = (device, true);
    let (spec, mut port) = of_machine(&machine);
    let session = Session::start(launcher, spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    (session, port)
}

/// Somebody who listens by a clock of its own.
struct Ear {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<Frame>, Playback)>,
}

impl Ear {
    fn listen(session: &Session) -> Self {
        let mut playback = session.sound().expect("a card").output().listen();
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (since, mut pacer) = (Instant::now(), Pacer::new(RATE));
            let mut heard = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                let due = pacer.take(since.elapsed(), 1.0, PIECE as u64) as usize;
                let mut piece = [SILENCE; PIECE];
                playback.pull(&mut piece[..due]);
                heard.extend_from_slice(&piece[..due]);
                assert!(playback.latency() <= Duration::from_millis(80), "{:?}", playback.latency());
                sleep(Duration::from_millis(if due < PIECE { 10 } else { 0 }));
            }
            (heard, playback)
        });
        Self { over, thread }
    }

    /// What was heard, once what is on its way has come.
    async fn heard(self) -> (Heard, Vec<Frame>, Counts) {
        tokio::time::sleep(Duration::from_millis(400)).await;
        self.over.store(true, Ordering::Relaxed);
        let (frames, playback) =
            tokio::task::spawn_blocking(|| self.thread.join()).await.expect("joins").expect("hears");
        (described(&frames), frames, playback.counts())
    }
}

fn described(frames: &[Frame]) -> Heard {
    let bytes: Vec<u8> = frames
        .iter()
        .flat_map(|frame| frame.map(|sample| (sample * 32_768.0) as i16))
        .flat_map(i16::to_le_bytes)
        .collect();
    describe(&bytes, 0)
}

/// The largest step from frame to frame.
fn step(frames: &[Frame]) -> f32 {
    frames.windows(2).map(|two| (two[1][0] - two[0][0]).abs()).fold(0.0, f32::max)
}

/// Does something until it succeeds without a gap. On a host that is busy with other things QEMU itself loses pieces of sound now and
/// then; what is ours is tested by clocks that tests set.
async fn cleanly<T>(what: &str, mut attempt: impl AsyncFnMut() -> (bool, T)) -> T
where
    T: std::fmt::Debug,
{
    let begun = Instant::now();
    loop {
        let (is_clean, outcome) = attempt().await;
        println!("{what}: {outcome:?}");
        if is_clean {
            return outcome;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} was never heard without a gap");
    }
}

/// Frames of the longest silence between two sounds.
fn longest_silence(frames: &[Frame]) -> usize {
    let loud: Vec<usize> = (0..frames.len()).filter(|n| frames[*n][0] != 0.0).collect();
    loud.windows(2).map(|two| two[1] - two[0]).max().unwrap_or_default()
}

async fn play(port: &mut Port, tone: &str) {
    port.say(&format!("{{\"cmd\":\"play\",{tone}}}"));
    port.wait_for("\"done\":\"play\"").await;
}

async fn record(port: &mut Port, ms: u32) -> Value {
    port.say(&format!("{{\"cmd\":\"record\",\"ms\":{ms}}}"));
    let line = port.wait_for("\"heard\"").await;
    serde_json::from_str::<Value>(&line).expect("JSON")["heard"].clone()
}

async fn until(session: &Session, what: &str, holds: impl Fn(&Status) -> bool) {
    let mut status = session.status();
    let held = tokio::time::timeout(PATIENCE, status.wait_for(holds)).await;
    assert!(matches!(held, Ok(Ok(_))), "{what}");
}

fn plays(status: &Status) -> bool {
    status.sound.is_some_and(|sound| sound.playing)
}

/// Gives the guest a tone for as long as this lives.
struct Mouth(Arc<AtomicBool>);

impl Mouth {
    fn speak(mut capture: Capture, hz: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        std::thread::spawn(move || {
            let bytes = tone(&Tone { hz, to_hz: None, ms: 60_000, level: 50 });
            let samples =
                bytes.chunks_exact(4).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0);
            let frames: Vec<Frame> = samples.map(|sample| [sample; 2]).collect();
            let (since, mut pacer, mut at) = (Instant::now(), Pacer::new(RATE), 0);
            while !ends.load(Ordering::Relaxed) {
                let due = pacer.take(since.elapsed(), 1.0, 4_800) as usize;
                let from = at % (frames.len() - 4_800);
                capture.push(&frames[from..from + due]);
                at += due;
                sleep(Duration::from_millis(10));
            }
        });
        Self(over)
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tones_sweeps_and_silence_are_heard_as_they_are_played() {
    let (session, mut port) = start(VM, in_process()).await;
    assert!(!plays(&session.status().borrow()));
    // The card starts with the first of it.
    play(&mut port, r#""hz":0,"ms":100,"level":0"#).await;
    let heard = cleanly("a tone", async || {
        let ear = Ear::listen(&session);
        play(&mut port, r#""hz":440,"ms":600,"level":50"#).await;
        let (heard, frames, counts) = ear.heard().await;
        // Its own largest step is 0.029.
        let is_clean = heard.gaps == 0 && step(&frames) < 0.04 && heard.sound.abs_diff(600) < 60;
        (is_clean, (heard, counts, step(&frames)))
    });
    let (heard, ..) = heard.await;
    assert!((heard.hz - 440.0).abs() < 3.0, "{heard:?}");
    assert!((15_500..16_900).contains(&heard.peak), "{heard:?}");
    until(&session, "the guest has ended", |status| !plays(status)).await;

    cleanly("a sweep", async || {
        let ear = Ear::listen(&session);
        play(&mut port, r#""hz":200,"to_hz":2000,"ms":1000,"level":30"#).await;
        let (_, frames, _) = ear.heard().await;
        let begin = frames.iter().position(|frame| frame[0] != 0.0).expect("sound");
        let part = |n: usize| described(&frames[begin + n * 9_600..begin + (n + 1) * 9_600]).hz;
        let parts: Vec<f64> = (0..5).map(part).collect();
        (parts.windows(2).all(|two| two[1] > two[0] + 200.0), parts)
    })
    .await;

    // Seen: what the card has not played of a stream that is stopped, it plays when the next one begins.
    until(&session, "the guest has ended", |status| !plays(status)).await;
    play(&mut port, r#""hz":0,"ms":200,"level":0"#).await;
    until(&session, "the guest has ended again", |status| !plays(status)).await;
    let ear = Ear::listen(&session);
    play(&mut port, r#""hz":0,"ms":1000,"level":0"#).await;
    let (heard, ..) = ear.heard().await;
    assert_eq!((heard.peak, heard.first), (0, None), "silence");
    assert_eq!(session.display_faults(), []);
    session.execute(Command::Quit).await.expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volume_and_mute_are_applied_to_what_is_heard() {
    let (session, mut port) = start(VM, in_process()).await;
    play(&mut port, r#""hz":0,"ms":100,"level":0"#).await;
    let mut peaks = Vec::new();
    for (volume, muted) in [(100, false), (50, false), (100, true)] {
        let settings = SoundSettings { volume, muted, ..SoundSettings::default() };
        session.execute(Command::Sound(settings)).await.expect("is set");
        let ear = Ear::listen(&session);
        play(&mut port, r#""hz":440,"ms":500,"level":80"#).await;
        peaks.push(ear.heard().await.0.peak);
    }
    println!("{peaks:?}");
    let eighth = f64::from(peaks[1]) / f64::from(peaks[0]);
    assert!((eighth - 0.125).abs() < 0.01, "{peaks:?}");
    assert_eq!(peaks[2], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_records_silence_until_it_is_given_something() {
    let (session, mut port) = start(VM, in_process()).await;
    let input = Arc::clone(session.sound().expect("a card").input());
    let microphone = Mouth::speak(input.capture(Origin::Microphone), 700);
    // Without a listener of ours it would be what QEMU's memory holds.
    let heard = record(&mut port, 1_000).await;
    println!("nothing: {heard}");
    assert_eq!(heard["peak"], 0, "{heard}");
    let allowed = SoundSettings { microphone: true, ..SoundSettings::default() };
    session.execute(Command::Sound(allowed)).await.expect("is set");
    let is_pitch = |heard: &Value, hz: f64| (heard["hz"].as_f64().unwrap() - hz).abs() < hz / 100.0;
    let heard = cleanly("a microphone", async || {
        let heard = record(&mut port, 1_000).await;
        (is_pitch(&heard, 700.0) && heard["gaps"] == 0, heard)
    });
    let heard = heard.await;
    assert!((15_500..17_500).contains(&heard["peak"].as_u64().unwrap()), "{heard}");
    session.execute(Command::Sound(SoundSettings::default())).await.expect("is set");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let heard = record(&mut port, 500).await;
    assert_eq!(heard["peak"], 0, "{heard}");
    drop(microphone);
    let given = Mouth::speak(input.capture(Origin::Chosen), 1_000);
    cleanly("a file", async || {
        let heard = record(&mut port, 1_000).await;
        (is_pitch(&heard, 1_000.0) && heard["gaps"] == 0, heard)
    })
    .await;
    drop(given);
    until(&session, "the recording is over", |status| !status.sound.is_some_and(|sound| sound.recording))
        .await;
    assert_eq!(session.display_faults(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_silence_and_the_rest_is_heard_after_it() {
    let (session, mut port) = start(VM, in_process()).await;
    play(&mut port, r#""hz":0,"ms":100,"level":0"#).await;
    let ear = Ear::listen(&session);
    port.say(r#"{"cmd":"play","hz":440,"ms":3000,"level":50}"#);
    until(&session, "the guest plays", plays).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    session.execute(Command::Pause).await.expect("is paused");
    until(&session, "the guest is silent", |status| !plays(status)).await;
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    session.execute(Command::Resume).await.expect("goes on");
    port.wait_for("\"done\":\"play\"").await;
    let (heard, frames, _) = ear.heard().await;
    println!("{heard:?}");
    let quiet = longest_silence(&frames[frames.iter().position(|frame| frame[0] != 0.0).expect("sound")..]);
    assert!(quiet > RATE as usize / 2, "{quiet} frames of silence");
    assert!(heard.sound > 2_500, "{heard:?}");
    // A reset in the middle ends the sound, too.
    port.say(r#"{"cmd":"play","hz":440,"ms":60000,"level":50}"#);
    until(&session, "the guest plays", plays).await;
    session.execute(Command::Reset).await.expect("is reset");
    until(&session, "the reset silences", |status| !plays(status)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_machine_plays_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("memory");
    let mut machine = tiny_machine(Arch::X86_64);
    (machine.sound, machine.microphone) = (SoundDevice::Hda, true);
    let (spec, mut port) = of_machine(&machine);
    let session = Session::start(child(), spec).await.expect("starts");
    port.wait_for("\"hello\"").await;
    port.say(r#"{"cmd":"play","hz":440,"ms":3000,"level":50}"#);
    until(&session, "the guest plays", plays).await;
    let file = File::create(&name).unwrap();
    session.save(&file, &ProgressFn::none()).await.expect("is saved");
    session.execute(Command::Quit).await.expect("ends");

    machine.incoming = true;
    let (spec, mut port) = of_machine(&machine);
    let file = File::open(&name).unwrap();
    let session = Session::restore(child(), spec, &file, &ProgressFn::none()).await.expect("is restored");
    let ear = Ear::listen(&session);
    session.execute(Command::Resume).await.expect("runs");
    port.wait_for("\"done\":\"play\"").await;
    let (heard, ..) = ear.heard().await;
    println!("{heard:?}");
    assert!(heard.sound > 500 && heard.peak > 15_000, "{heard:?}");
    let heard = record(&mut port, 300).await;
    assert_eq!(heard["peak"], 0, "{heard}");
    assert_eq!(session.status().borrow().state, State::Running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_cards_and_the_other_architecture_are_heard_too() {
    for vm in [(Arch::X86_64, SoundDevice::Ac97), (Arch::Aarch64, SoundDevice::Hda)] {
        let (session, mut port) = start(vm, child()).await;
        play(&mut port, r#""hz":0,"ms":100,"level":0"#).await;
        let heard = cleanly("a tone", async || {
            let ear = Ear::listen(&session);
            play(&mut port, r#""hz":440,"ms":600,"level":50"#).await;
            let (heard, _, counts) = ear.heard().await;
            ((heard.hz - 440.0).abs() < 6.0 && heard.gaps == 0, (heard, counts))
        });
        assert!(heard.await.0.peak > 5_000, "{vm:?}");
        let heard = record(&mut port, 500).await;
        println!("{vm:?}: {heard}");
        assert_eq!(heard["peak"], 0, "{vm:?}: {heard}");
        session.execute(Command::Quit).await.expect("ends");
    }
}
