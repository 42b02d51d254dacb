//! The device's loudspeaker and microphone, for one guest each.

use crate::error::OhosError;
use crate::ohaudio::{Client, Event, OhAudio, Stream, Way};
use parking_lot::Mutex;
use sampan_audio::{Capture, Format, Frame, Playback, SILENCE};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a stream is kept after the guest has ended: many sounds follow one another, and making a stream takes a while.
const LINGER: Duration = Duration::from_secs(2);

/// Before a stream that the system refused or ended is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// A loudspeaker or microphone that a guest uses. Its thread makes a stream while it is used and gives it back afterwards, so that
/// other apps may be heard. Dropped, it ends.
#[derive(Debug)]
pub struct SoundDevice {
    tell: Sender<Told>,
    /// Taken when it is dropped.
    thread: Option<JoinHandle<()>>,
}

enum Told {
    Use(bool),
    System(Event),
    End,
}

impl SoundDevice {
    /// A loudspeaker that plays this while it is used.
    ///
    /// # Errors
    /// [`OhosError::NoThread`].
    pub fn speaker(audio: &OhAudio, playback: Playback) -> Result<Self, OhosError> {
        let played = Played { playback, frames: Vec::new(), bytes: Vec::new() };
        Self::start(audio, Way::Play, Data::Play(Mutex::new(played)))
    }

    /// A microphone whose sound goes there while it is used. It needs the permission `ohos.permission.MICROPHONE`.
    ///
    /// # Errors
    /// [`OhosError::NoThread`].
    pub fn microphone(audio: &OhAudio, capture: Capture) -> Result<Self, OhosError> {
        let recorded = Recorded { capture, frames: Vec::new() };
        Self::start(audio, Way::Record, Data::Record(Mutex::new(recorded)))
    }

    /// Says whether it is used from now on. Never waits.
    pub fn set_used(&self, is_used: bool) {
        // Nobody hears it once the thread has ended, which is when this value is dropped.
        let _ = self.tell.send(Told::Use(is_used));
    }

    fn start(audio: &OhAudio, way: Way, data: Data) -> Result<Self, OhosError> {
        let (tell, told) = channel();
        let events = tell.clone();
        let client = Arc::new(Guest { data, events: Mutex::new(events) });
        let audio = audio.clone();
        let name = if way == Way::Play { "sampan-speaker" } else { "sampan-micro" };
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || run(&audio, way, &client, &told))
            .map_err(OhosError::NoThread)?;
        Ok(Self { tell, thread: Some(thread) })
    }
}

impl Drop for SoundDevice {
    fn drop(&mut self) {
        let _ = self.tell.send(Told::End);
        if let Some(thread) = self.thread.take() {
            // It ends within the time that the system takes to give a stream back. A panic of it was logged.
            let _ = thread.join();
        }
    }
}

/// What moves between the system's buffers and the guest.
enum Data {
    Play(Mutex<Played>),
    Record(Mutex<Recorded>),
}

struct Played {
    playback: Playback,
    frames: Vec<Frame>,
    bytes: Vec<u8>,
}

struct Recorded {
    capture: Capture,
    frames: Vec<Frame>,
}

struct Guest {
    data: Data,
    events: Mutex<Sender<Told>>,
}

impl Client for Guest {
    fn data(&self, bytes: &mut [u8]) {
        match &self.data {
            Data::Play(played) => {
                let Played { playback, frames, bytes: encoded } = &mut *played.lock();
                // Both keep their room, so that the system's thread seldom waits for memory.
                frames.resize(bytes.len() / Format::WIRE.frame_bytes(), SILENCE);
                playback.pull(frames);
                encoded.clear();
                Format::WIRE.encode(frames, encoded);
                bytes[..encoded.len()].copy_from_slice(encoded);
            }
            Data::Record(recorded) => {
                let Recorded { capture, frames } = &mut *recorded.lock();
                frames.clear();
                Format::WIRE.decode(bytes, frames);
                capture.push(frames);
            }
        }
    }

    fn event(&self, event: Event) {
        let _ = self.events.lock().send(Told::System(event));
    }
}

/// The device's thread.
fn run(audio: &OhAudio, way: Way, client: &Arc<Guest>, told: &Receiver<Told>) {
    let mut stream: Option<Stream> = None;
    let mut is_used = false;
    let mut is_refused = false;
    loop {
        if is_used && stream.is_none() {
            let made =
                Stream::new(audio, way, client.clone()).and_then(|stream| stream.start().map(|()| stream));
            match made {
                Ok(made) => {
                    (stream, is_refused) = (Some(made), false);
                }
                Err(code) if !is_refused => {
                    is_refused = true;
                    log::warn!(
                        "the system lets nobody {way:?} (error {code}): it is tried again while the guest wants to"
                    );
                }
                Err(_) => {}
            }
        }
        let waits = if is_used && stream.is_none() {
            Some(AGAIN)
        } else {
            (!is_used && stream.is_some()).then_some(LINGER)
        };
        let next = match waits {
            Some(time) => told.recv_timeout(time),
            None => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(Told::Use(used)) => {
                is_used = used;
                // A microphone is not kept a moment longer than it may be.
                if !used && way == Way::Record {
                    stream = None;
                }
            }
            Ok(Told::System(Event::Resume)) => {
                if let Some(Err(code)) = stream.as_ref().map(Stream::start) {
                    log::info!("a stream that was interrupted is made anew (error {code})");
                    stream = None;
                }
            }
            // It was told to make room: until the guest begins anew.
            Ok(Told::System(Event::Stopped)) => (stream, is_used) = (None, false),
            Ok(Told::System(Event::Failed(code))) => {
                log::warn!("a stream has failed (error {code}) and is made anew");
                stream = None;
                std::thread::sleep(AGAIN / 10);
            }
            Err(RecvTimeoutError::Timeout) if !is_used => stream = None,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Told::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
