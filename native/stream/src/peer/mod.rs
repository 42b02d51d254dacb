//! One viewer, from its answer to its end.

mod keyrequest;
mod liveness;
mod paced;
mod sound;
mod teller;

use crate::displays::{Displays, Shown};
use crate::drive::{Drive, Participant, People};
use crate::exchange::FileNews;
use crate::message::{Reader, Request};
use crate::pipeline::Seat;
use crate::sound::{Sound, VoicePacket};
use crate::transport::{Channel, Connection, PeerEvent};
use crate::viewers::Client;
use keyrequest::{KeyRequests, LastFrame};
use liveness::Liveness;
use paced::Paced;
use parking_lot::Mutex;
use sampan_frame::Size;
use sampan_guest::{Guest, GuestError};
use sampan_trust::Right;
use sound::SoundStatus;
pub use sound::Wants;
use std::sync::Arc;
use std::time::{Duration, Instant};
use teller::{News, Teller};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How often a viewer's signs of life are looked at.
const TICK: Duration = Duration::from_millis(500);

/// How long a viewer may take to connect after its offer was answered.
const CONNECT: Duration = Duration::from_secs(30);

/// Texts of one viewer that may be on their way.
const MAX_TEXTS: usize = 64;

/// What a viewer's task works with.
pub struct Peer {
    /// Short, for log messages.
    pub label: String,
    /// Whom it watches.
    pub guest: Arc<dyn Guest>,
    /// How it is reached.
    pub connection: Arc<dyn Connection>,
    /// What comes from it.
    pub events: mpsc::Receiver<PeerEvent>,
    /// Its place at the encoder.
    pub seat: Arc<Seat>,
    /// The display it sees.
    pub shown: Arc<Shown>,
    /// All of them.
    pub displays: Arc<Displays>,
    /// Turns true when it is to end.
    pub stop: watch::Receiver<bool>,
    /// Who it is.
    pub client: Client,
    /// Who of the viewers drives.
    pub drive: Arc<Drive>,
    /// How far a file of its is.
    pub files: Option<watch::Receiver<Option<FileNews>>>,
    /// The guest's sound, where there is any and the viewer takes it.
    pub sound: Option<Arc<Sound>>,
    /// What it says.
    pub voice: Option<mpsc::Receiver<VoicePacket>>,
    /// What it wants of the sound.
    pub wants: watch::Sender<Wants>,
    /// Called once it is connected.
    pub connected: Box<dyn Fn() + Send + Sync>,
}

impl Peer {
    /// Serves the viewer until one of both sides ends it. Whatever it held down is released then.
    /// The reason, in words.
    pub async fn run(mut self) -> &'static str {
        let last = Arc::new(Mutex::new(None));
        let (connection, seat) = (self.connection.clone(), self.seat.clone());
        let label = self.label.clone();
        let media = send_frames(&connection, &seat, &last);
        let (sound, wants) = (self.sound.clone(), self.wants.subscribe());
        let play = sound
            .clone()
            .map(|sound| sound::play(connection.clone(), sound, seat.outbox().flow(), wants.clone()));
        let voice = self.voice.take().zip(sound);
        let people = self.drive.people();
        let speak = voice.map(|(voice, sound)| sound::speak(label.clone(), sound, voice, people, wants));
        let control = Control::new(self, last.clone());
        let reason = tokio::select! {
            () = media => "its media path ended",
            () = or_never(play) => "its sound ended",
            () = or_never(speak) => "its voice ended",
            reason = control.run() => reason,
        };
        log::info!("viewer {label} left: {reason}");
        seat.outbox().close();
        connection.close().await;
        reason
    }
}

async fn or_never(task: Option<impl Future<Output = ()>>) {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

async fn send_frames(connection: &Arc<dyn Connection>, seat: &Seat, last: &Mutex<Option<LastFrame>>) {
    while let Some(frame) = seat.outbox().next().await {
        let result = connection.send(&frame).await;
        let sent = LastFrame { at: Instant::now(), refined: frame.refined };
        *last.lock() = Some(sent);
        seat.outbox().sent();
        settle(seat);
        seat.wake();
        if let Err(error) = result {
            log::debug!("{error}");
            return;
        }
    }
}

/// Has the viewer served by the encoder for paths like its own.
fn settle(seat: &Seat) {
    if let Err(error) = seat.settle() {
        log::warn!("a viewer stays with its encoder: {error}");
    }
}

/// What made the viewer's task go on.
enum Turn {
    Event(PeerEvent),
    Tell,
    Untyped(GuestError),
    Tick,
    End(&'static str),
}

impl Turn {
    fn unless(over: bool, reason: &'static str) -> Self {
        if over { Turn::End(reason) } else { Turn::Tell }
    }
}

/// The half that deals with messages.
struct Control {
    peer: Peer,
    /// Its part in driving, once it is connected; a media server has none. What it holds down is released when this is dropped, however it ends.
    part: Option<Participant>,
    reader: Reader,
    teller: Teller,
    liveness: Liveness,
    requests: KeyRequests,
    /// Sizes that it asks for.
    resizes: Paced<(Size, (u16, u16))>,
    /// Displays that it wants to see.
    display: Paced<usize>,
    /// Texts on their way to the guest.
    texts: JoinSet<Result<(), GuestError>>,
    last: Arc<Mutex<Option<LastFrame>>>,
    bad_messages: u64,
    connected: bool,
}

impl Control {
    fn new(peer: Peer, last: Arc<Mutex<Option<LastFrame>>>) -> Self {
        let (label, name) = (peer.label.clone(), peer.guest.name());
        Self {
            teller: Teller::new(peer.connection.clone(), label, name, peer.client.rights),
            peer,
            part: None,
            reader: Reader::default(),
            liveness: Liveness::default(),
            requests: KeyRequests::default(),
            resizes: Paced::default(),
            display: Paced::default(),
            texts: JoinSet::new(),
            last,
            bad_messages: 0,
            connected: false,
        }
    }

    async fn run(mut self) -> &'static str {
        let begun = Instant::now();
        let mut status = self.peer.guest.status();
        let mut notices = self.peer.seat.notices();
        let mut screen = self.peer.shown.screen();
        let count = self.peer.displays.count();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut locks = self.peer.guest.locks();
        let touch = self.peer.guest.touch_screen();
        let mut people = self.peer.drive.people();
        let may_files = self.peer.client.rights.has(Right::Files) && self.peer.guest.files().is_some();
        let mut files = self.peer.files.take();
        let clipboard = self.peer.guest.clipboard().filter(|_| self.peer.client.rights.has(Right::Clipboard));
        let mut clipboard = clipboard.map(|clipboard| clipboard.status());
        let (mut guest_gone, mut locks_gone) = (false, false);
        loop {
            let now = Instant::now();
            let (confirm, resize, display) =
                (self.teller.confirm_at(), self.resizes.due(now), self.display.due(now));
            let turn = tokio::select! {
                event = self.peer.events.recv() => event.map_or(Turn::End("its connection ended"), Turn::Event),
                changed = status.changed(), if !guest_gone => {
                    guest_gone = changed.is_err();
                    Turn::Tell
                }
                changed = locks.changed(), if !locks_gone => {
                    locks_gone = changed.is_err();
                    Turn::Tell
                }
                changed = changed(clipboard.as_mut()), if clipboard.is_some() => {
                    if changed.is_err() {
                        clipboard = None;
                    }
                    Turn::Tell
                }
                changed = changed(files.as_mut()), if files.is_some() => {
                    if changed.is_err() {
                        files = None;
                    }
                    Turn::Tell
                }
                _ = people.changed() => {
                    if !people.borrow_and_update().is_driver(&self.peer.label) {
                        // What it has asked for and has not begun is not done for somebody else.
                        self.texts.abort_all();
                    }
                    Turn::Tell
                }
                Some(typed) = self.texts.join_next() => match typed {
                    Ok(Err(error)) => Turn::Untyped(error),
                    _ => Turn::Tell,
                },
                changed = screen.changed() => Turn::unless(changed.is_err(), "the server ended"),
                changed = notices.changed() => {
                    if changed.is_err() {
                        // It has gone to another encoder, and was the last at the one before.
                        notices = self.peer.seat.notices();
                    }
                    Turn::Tell
                }
                _ = self.peer.stop.wait_for(|stop| *stop) => Turn::End("it was asked to"),
                () = sleep_until(confirm), if confirm.is_some() => Turn::Tell,
                () = sleep_until(resize), if resize.is_some() && display.is_none() => Turn::Tell,
                () = sleep_until(display), if display.is_some() => Turn::Tell,
                _ = tick.tick() => Turn::Tick,
            };
            match turn {
                Turn::End(reason) => return reason,
                Turn::Event(event) => {
                    if let Some(reason) = self.event(event) {
                        return reason;
                    }
                }
                Turn::Untyped(error) => self.teller.untyped(error),
                Turn::Tick if !self.connected && begun.elapsed() > CONNECT => return "it never connected",
                Turn::Tick if self.connected => {
                    self.look_for_life();
                    // It may be another encoder's by now.
                    notices = self.peer.seat.notices();
                }
                Turn::Tick | Turn::Tell => {}
            }
            if let Some(number) = self.display.take(Instant::now()) {
                self.see(number);
                (notices, screen) = (self.peer.seat.notices(), self.peer.shown.screen());
            }
            // A size that comes after a display is meant for that.
            let is_there = self.display.due(Instant::now()).is_none();
            if is_there && let Some((size, mm)) = self.resizes.take(Instant::now()) {
                self.part.iter().for_each(|part| part.resize(size, mm));
            }
            let (status, notice) = (status.borrow().clone(), notices.borrow().clone());
            let (now, locks) = (screen.borrow().clone(), *locks.borrow());
            let people: People = people.borrow().clone();
            let drives = people.is_driver(&self.peer.label);
            let clipboard = clipboard.as_ref().filter(|_| drives).map(|clipboard| *clipboard.borrow());
            let file = files.as_ref().and_then(|files| files.borrow().clone());
            let (file, files) = (file.as_ref(), may_files);
            let sound = self.peer.sound.as_deref().map(SoundStatus::of);
            let news = News {
                status: &status,
                people: &people,
                displays: (count, self.peer.shown.number() + 1),
                clipboard,
                files,
                file,
                sound,
                touch,
                locks,
                screen: &now,
                notice: &notice,
            };
            self.teller.tell(&news).await;
        }
    }

    /// Deals with one event; an answer ends the viewer.
    fn event(&mut self, event: PeerEvent) -> Option<&'static str> {
        match event {
            PeerEvent::Connected => {
                match &self.part {
                    Some(part) => part.present(true),
                    None => self.part = (!self.peer.client.is_server).then(|| self.enter()),
                }
                if !std::mem::replace(&mut self.connected, true) {
                    (self.peer.connected)();
                }
                self.peer.seat.outbox().flow().set_muted(false);
                self.peer.seat.outbox().ask_key();
                self.peer.seat.wake();
            }
            // It may come back; until then nobody lets go of what it held.
            PeerEvent::Interrupted => self.part.iter().for_each(|part| part.present(false)),
            PeerEvent::Gone(reason) => return Some(reason),
            PeerEvent::Opened(channel) => self.teller.opened(channel),
            // A page that is closed says so to its channels (DTLS close_notify), long before the path times out.
            PeerEvent::Closed(Channel::Keys) => return Some("it was closed"),
            PeerEvent::Closed(channel) => self.teller.closed(channel),
            PeerEvent::Message(channel, text) => self.message(channel, &text),
            PeerEvent::KeyRequest => {
                // To a media server pictures are sent at rest, too, so that no timer of a browser's behind it asks.
                let last = self.last.lock().filter(|_| !self.peer.client.is_server);
                if self.requests.answer(Instant::now(), last) {
                    self.peer.seat.outbox().ask_key();
                    self.peer.seat.wake();
                }
            }
        }
        None
    }

    fn message(&mut self, channel: Channel, text: &[u8]) {
        let Some(part) = &self.part else { return };
        match self.reader.read(channel, text) {
            // Whoever does not drive is told so; what its page sends all the same has no effect.
            Ok(Some(Request::Input(event))) => part.input(event),
            Ok(Some(Request::Text(text))) => self.text(text),
            Ok(Some(Request::Resize(size, mm))) => self.resizes.ask((size, mm)),
            // A size that is asked for from now on is this one's.
            Ok(Some(Request::Display(number))) => {
                self.resizes.forget();
                self.display.ask(number);
            }
            Ok(Some(Request::Ask)) => part.ask(Instant::now()),
            Ok(Some(Request::Withdraw)) => part.withdraw(),
            Ok(Some(Request::Give(to))) => part.give(&to),
            Ok(Some(Request::Refuse(whom))) => part.refuse(&whom, Instant::now()),
            Ok(Some(Request::Sound { hear, speak })) => {
                let wants = Wants { hear, speak };
                self.peer.wants.send_if_modified(|before| std::mem::replace(before, wants) != wants);
            }
            Ok(None) => {}
            Err(error) => {
                if self.bad_messages == 0 {
                    let error = crate::web::escaped(&error);
                    log::warn!("viewer {} sent {error}; it and others like it are ignored", self.peer.label);
                }
                self.bad_messages += 1;
            }
        }
    }

    fn enter(&self) -> Participant {
        self.peer.drive.enter(&self.peer.label, &self.peer.client, self.peer.shown.number())
    }

    /// Shows another display; of one that there is not nothing becomes.
    fn see(&mut self, number: usize) {
        if number == self.peer.shown.number() {
            return;
        }
        let Some(shown) = self.peer.displays.show(number) else { return };
        if let Err(error) = self.peer.seat.move_to(shown.pipeline()) {
            log::warn!("viewer {} stays with its display: {error}", self.peer.label);
            return;
        }
        self.part.iter().for_each(|part| part.see(number));
        self.peer.shown = shown;
        self.peer.seat.wake();
    }

    fn text(&mut self, text: String) {
        if self.texts.len() >= MAX_TEXTS {
            let words = "too many texts wait for the guest: try again in a moment".to_owned();
            self.teller.untyped(GuestError { code: "text_busy".into(), words });
            return;
        }
        // It has its place among the events now; only its end is waited for elsewhere.
        if let Some(typed) = self.part.as_ref().and_then(|part| part.text(text)) {
            self.texts.spawn(typed);
        }
    }

    fn look_for_life(&mut self) {
        let flow = self.peer.seat.outbox().flow();
        let muted = self.liveness.look(Instant::now(), flow.sent(), flow.heard());
        settle(&self.peer.seat);
        if muted == flow.muted() {
            return;
        }
        flow.set_muted(muted);
        if muted {
            log::info!("viewer {} does not answer: it is sent nothing until it does", self.peer.label);
        } else {
            self.peer.seat.outbox().ask_key();
        }
        self.peer.seat.wake();
    }
}

async fn changed<T>(value: Option<&mut watch::Receiver<T>>) -> Result<(), watch::error::RecvError> {
    match value {
        Some(value) => value.changed().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
