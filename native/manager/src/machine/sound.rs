//! A running guest's sound, as requests ask for it.

use async_trait::async_trait;
use sampan_control::{Playing, Recording, Reply, SoundInfo, SoundStream};
use sampan_message::{Coded, Message};
use sampan_session::audio::{Capture, Format, Frame, Origin, PIECE, Pacer, Playback, RATE, SILENCE};
use sampan_session::vm::Vm;
use sampan_session::{Command, CommandError, Session, Sound, SoundSettings, State, Status};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// How much is made up for where this process was not run for a while, in seconds.
const CATCH_UP: f64 = 1.0;

fn of(session: &Session) -> Result<&Sound, Message> {
    session.sound().ok_or_else(|| CommandError::NoSound.message())
}

/// Changes what is told of it.
pub(super) async fn set(
    session: &Session,
    vm: Option<&Vm>,
    volume: Option<u8>,
    muted: Option<bool>,
    microphone: Option<bool>,
) -> Result<Reply, Message> {
    let now = of(session)?.settings();
    let settings = SoundSettings {
        volume: volume.unwrap_or(now.volume),
        muted: muted.unwrap_or(now.muted),
        microphone: microphone.unwrap_or(now.microphone),
    };
    match vm {
        Some(vm) => vm.set_sound(settings).await.map_err(|e| e.message())?,
        None => drop(session.execute(Command::Sound(settings)).await.map_err(|e| e.message())?),
    }
    Ok(Reply::Done)
}

/// What is known of it.
pub(super) fn info(session: &Session) -> Option<SoundInfo> {
    let SoundSettings { volume, muted, microphone } = session.sound()?.settings();
    let known = session.status().borrow().sound.unwrap_or_default();
    Some(SoundInfo { playing: known.playing, recording: known.recording, volume, muted, microphone })
}

/// Its sound for one client.
pub(super) fn stream(session: &Session, play: bool, record: bool) -> Result<SoundStream, Message> {
    let sound = of(session)?;
    let play = play.then(|| -> Box<dyn Playing> {
        let mut ticks = interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Box::new(Played {
            playback: sound.output().listen(),
            status: session.status(),
            ticks,
            since: Instant::now(),
            pacer: Pacer::new(RATE),
            frames: Vec::new(),
        })
    });
    let record = record.then(|| -> Box<dyn Recording> {
        Box::new(Recorded {
            capture: sound.input().capture(Origin::Chosen),
            rest: Vec::new(),
            frames: Vec::new(),
        })
    });
    Ok(SoundStream { play, record })
}

struct Played {
    playback: Playback,
    status: watch::Receiver<Status>,
    ticks: Interval,
    since: Instant,
    pacer: Pacer,
    frames: Vec<Frame>,
}

#[async_trait]
impl Playing for Played {
    async fn next(&mut self, bytes: &mut Vec<u8>) -> bool {
        self.ticks.tick().await;
        let due = self.pacer.take(self.since.elapsed(), CATCH_UP, u64::from(RATE));
        // No more than a second.
        self.frames.resize(due as usize, SILENCE);
        for piece in self.frames.chunks_mut(PIECE) {
            self.playback.pull(piece);
        }
        Format::WIRE.encode(&self.frames, bytes);
        self.status.borrow().state != State::Ended
    }
}

struct Recorded {
    capture: Capture,
    /// The beginning of a frame.
    rest: Vec<u8>,
    frames: Vec<Frame>,
}

impl Recording for Recorded {
    fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        self.frames.clear();
        let left = Format::WIRE.decode(&self.rest, &mut self.frames);
        self.rest.drain(..self.rest.len() - left);
        self.capture.push(&self.frames);
    }
}
