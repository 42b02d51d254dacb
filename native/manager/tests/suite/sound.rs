//! The host's loudspeaker and microphone, which are played here, and guests that play and record: through crashes, saved memory,
//! snapshots and resets.

use crate::common::{PATIENCE, Port, manager, tiny_machine};
use sampan_control::{Reply, Reporter, Request};
use sampan_library::{SnapshotId, VmId};
use sampan_manager::run::StartOptions;
use sampan_manager::{AttachedSound, Confirmed, Manager, SoundDevices};
use sampan_message::Message;
use sampan_session::audio::{Capture, Frame, PIECE, Pacer, Playback, RATE, SILENCE};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiny_guest::sound::{Heard, Tone, describe, tone};
use tokio::sync::{mpsc, watch};

const HERE: StartOptions = StartOptions { throw_away: false, discard_state: false, in_process: true };
const IN_A_CHILD: StartOptions = StartOptions { in_process: false, ..HERE };

fn quiet(_: Message) {}

/// The devices that one machine has got.
struct Got {
    playback: Option<Playback>,
    capture: Capture,
    /// Which are used: loudspeaker, microphone. Its sender goes when they are given back.
    used: watch::Receiver<(bool, bool)>,
}

struct Told(watch::Sender<(bool, bool)>);

impl AttachedSound for Told {
    fn set_used(&self, speaker: bool, microphone: bool) {
        let before = self.0.send_replace((speaker, microphone));
        assert_ne!(before, (speaker, microphone), "it is told what is new");
    }
}

struct Devices(mpsc::UnboundedSender<Got>);

impl SoundDevices for Devices {
    fn attach(&self, playback: Playback, capture: Capture) -> Option<Box<dyn AttachedSound>> {
        let (told, used) = watch::channel((false, false));
        self.0.send(Got { playback: Some(playback), capture, used }).ok()?;
        Some(Box::new(Told(told)))
    }
}

/// Gives a manager the test's devices, and what machines get of them.
fn devices_of(manager: &Manager) -> mpsc::UnboundedReceiver<Got> {
    let (give, given) = mpsc::unbounded_channel();
    manager.set_sound_devices(Arc::new(Devices(give)));
    given
}

async fn next(given: &mut mpsc::UnboundedReceiver<Got>) -> Got {
    tokio::time::timeout(PATIENCE, given.recv()).await.expect("the machine gets devices").expect("lives")
}

impl Got {
    async fn until(&mut self, what: &str, holds: impl Fn(&(bool, bool)) -> bool) {
        let held = tokio::time::timeout(PATIENCE, self.used.wait_for(holds)).await;
        assert!(matches!(held, Ok(Ok(_))), "{what}");
    }

    /// Waits until the host has them back.
    async fn given_back(mut self) {
        let gone = async { while self.used.changed().await.is_ok() {} };
        tokio::time::timeout(PATIENCE, gone).await.expect("they are given back");
    }

    /// Listens by a clock of its own until so much of what is loud was heard.
    async fn hear(&mut self, ms: u32) -> Heard {
        let mut playback = self.playback.take().expect("is listened to once at a time");
        let listen = move || {
            let (since, mut pacer) = (Instant::now(), Pacer::new(RATE));
            let (mut heard, mut loud) = (Vec::<Frame>::new(), 0);
            while loud < ms * RATE / 1000 {
                assert!(since.elapsed() < PATIENCE, "{loud} frames were heard");
                let due = pacer.take(since.elapsed(), 1.0, PIECE as u64) as usize;
                let mut piece = [SILENCE; PIECE];
                if playback.pull(&mut piece[..due]) {
                    loud += due as u32;
                }
                heard.extend_from_slice(&piece[..due]);
                std::thread::sleep(Duration::from_millis(if due < PIECE { 10 } else { 0 }));
            }
            let samples = heard.iter().flatten().map(|sample| (sample * 32_768.0) as i16);
            (playback, describe(&samples.flat_map(i16::to_le_bytes).collect::<Vec<u8>>(), 0))
        };
        let (playback, heard) = tokio::task::spawn_blocking(listen).await.expect("hears");
        println!("{heard:?}");
        self.playback = Some(playback);
        heard
    }

    /// Hears a tone of this pitch. On a busy host QEMU itself loses pieces of sound now and then, which moves what is measured.
    async fn hears(&mut self, hz: f64) {
        let begun = Instant::now();
        loop {
            // So short that it fits between two losses on any host.
            let heard = self.hear(120).await;
            if heard.gaps == 0 && (heard.hz - hz).abs() < hz / 20.0 && heard.peak > 10_000 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{hz} Hz were not heard");
        }
    }
}

async fn play(port: &mut Port, hz: u32, ms: u32) {
    port.say(&format!(r#"{{"cmd":"play","hz":{hz},"ms":{ms},"level":50}}"#)).await;
}

/// Waits for the guest and has it start its card, which begins muted: its mixer may not be there yet when the first sound begins.
async fn booted(port: &mut Port) {
    port.booted().await;
    play(port, 0, 100).await;
    port.wait_for("\"done\":\"play\"").await;
}

async fn record(port: &mut Port, ms: u32) -> Value {
    port.say(&format!(r#"{{"cmd":"record","ms":{ms}}}"#)).await;
    let line = port.wait_for("\"heard\"").await;
    serde_json::from_str::<Value>(&line).expect("JSON")["heard"].clone()
}

async fn pid(manager: &Manager, id: VmId) -> i32 {
    let machine = manager.machine(id).await.expect("a handle");
    let facts = machine.status().await.expect("is asked").and_then(|status| status.facts);
    i32::try_from(facts.and_then(|facts| facts.pid).expect("a child")).expect("is one")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_started_here_is_heard_also_after_a_crash_and_hears_when_it_may() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let mut given = devices_of(&manager);
    let mut port = Port::new().await;
    let id = tiny_machine(&manager, "one", &port, &[("system.restart_after_crash", "true")]).await;
    manager.start(id, IN_A_CHILD, None, &quiet).await.expect("starts");
    let mut first = next(&mut given).await;
    assert_eq!(*first.used.borrow(), (false, false), "the guest plays nothing yet");
    booted(&mut port).await;
    play(&mut port, 440, 60_000).await;
    first.until("the guest plays", |used| *used == (true, false)).await;
    first.hears(440.0).await;
    // In the middle of it.
    let victim = nix::unistd::Pid::from_raw(pid(&manager, id).await);
    nix::sys::signal::kill(victim, nix::sys::signal::Signal::SIGKILL).expect("is killed");
    first.given_back().await;
    let mut second = next(&mut given).await;
    booted(&mut port).await;
    play(&mut port, 700, 2_000).await;
    second.until("the guest plays after the crash", |used| used.0).await;
    second.hears(700.0).await;
    port.wait_for("\"done\":\"play\"").await;
    second.until("it has played", |used| *used == (false, false)).await;

    // The microphone is used while the guest records and may hear it.
    let heard = record(&mut port, 300).await;
    assert_eq!(heard["peak"], 0, "{heard}");
    assert!(!second.used.has_changed().expect("lives"), "a microphone that may not be heard is not used");
    let machine = manager.machine(id).await.expect("a handle");
    let allow = |microphone| Request::Sound { volume: None, muted: None, microphone: Some(microphone) };
    machine.tell(allow(true)).await.expect("is allowed");
    port.say(r#"{"cmd":"record","ms":1500}"#).await;
    second.until("it listens", |used| *used == (false, true)).await;
    let line = {
        let capture = &mut second.capture;
        let speaking = async {
            let bytes = tone(&Tone { hz: 500, to_hz: None, ms: 60_000, level: 50 });
            let samples =
                bytes.chunks_exact(4).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0);
            let frames: Vec<Frame> = samples.map(|sample| [sample; 2]).collect();
            let (since, mut pacer, mut at) = (Instant::now(), Pacer::new(RATE), 0);
            loop {
                let due = pacer.take(since.elapsed(), 1.0, 4_800) as usize;
                let from = at % (frames.len() - 4_800);
                capture.push(&frames[from..from + due]);
                at += due;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            line = port.wait_for("\"heard\"") => line,
            () = speaking => unreachable!("it speaks for ever"),
        }
    };
    let heard = serde_json::from_str::<Value>(&line).expect("JSON")["heard"].clone();
    assert!(heard["peak"].as_u64().expect("a number") > 10_000, "{heard}");
    second.until("it has recorded", |used| !used.1).await;
    // Taken back while the guest listens, it is off at once.
    port.say(r#"{"cmd":"record","ms":1500}"#).await;
    second.until("it listens again", |used| used.1).await;
    machine.tell(allow(false)).await.expect("is refused");
    second.until("the microphone is off", |used| !used.1).await;
    port.wait_for("\"heard\"").await;
    manager.force_off(id).await.expect("ends");
    second.given_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sound_goes_on_after_a_snapshot_and_after_memory_was_saved_and_ends_with_a_reset() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let mut given = devices_of(&manager);
    let mut port = Port::new().await;
    let id = tiny_machine(&manager, "one", &port, &[]).await;
    manager.start(id, HERE, None, &quiet).await.expect("starts");
    let mut devices = next(&mut given).await;
    booted(&mut port).await;
    play(&mut port, 440, 30_000).await;
    devices.hears(440.0).await;

    let machine = manager.machine(id).await.expect("a handle");
    let request = Request::Snapshot { name: "playing".into(), note: String::new(), disks_only: false };
    let Reply::Snapshot { id: snapshot } = machine.call(request, &Reporter::new()).await.expect("is taken")
    else {
        panic!("no snapshot")
    };
    drop(machine);
    // The same devices, and the rest of the tone.
    devices.hears(440.0).await;
    assert!(devices.used.borrow().0 && given.try_recv().is_err());

    manager.suspend(id, &Reporter::new()).await.expect("is saved");
    devices.given_back().await;
    manager.start(id, HERE, None, &quiet).await.expect("goes on");
    let mut devices = next(&mut given).await;
    port.connected().await;
    devices.until("the guest plays on by itself", |used| used.0).await;
    devices.hears(440.0).await;

    let machine = manager.machine(id).await.expect("a handle");
    machine.tell(Request::Reset).await.expect("is reset");
    devices.until("a reset silences", |used| !used.0).await;
    port.wait_for("\"hello\"").await;
    play(&mut port, 0, 100).await;
    port.wait_for("\"done\":\"play\"").await;
    // Nothing of the former tone is left, and the next one is heard.
    play(&mut port, 700, 10_000).await;
    devices.hears(700.0).await;
    drop(machine);
    manager.force_off(id).await.expect("ends");
    devices.given_back().await;

    let snapshot: SnapshotId = snapshot.parse().expect("an id");
    let resumes =
        manager.restore_snapshot(id, snapshot, None, &Confirmed::Everything, &Reporter::new()).await;
    assert!(resumes.expect("is restored"));
    manager.start(id, HERE, None, &quiet).await.expect("goes on");
    let mut devices = next(&mut given).await;
    port.connected().await;
    devices.hears(440.0).await;
    manager.force_off(id).await.expect("ends");
    devices.given_back().await;
}
