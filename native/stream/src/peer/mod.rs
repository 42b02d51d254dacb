//! One viewer, from its answer to its end.

mod keyrequest;
mod liveness;
mod teller;

use crate::message::{Reader, Request};
use crate::pipeline::Seat;
use crate::screen::ScreenState;
use crate::transport::{Channel, Connection, PeerEvent};
use keyrequest::{KeyRequests, LastFrame};
use liveness::Liveness;
use parking_lot::Mutex;
use sampan_guest::{Guest, TextError};
use sampan_input::{Event, Pressed};
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
    /// Size and cursor.
    pub screen: watch::Receiver<ScreenState>,
    /// Turns true when it is to end.
    pub stop: watch::Receiver<bool>,
}

impl Peer {
    /// Serves the viewer until one of both sides ends it. Whatever it held down is released then.
    pub async fn run(self) {
        let last = Arc::new(Mutex::new(None));
        let (connection, seat) = (self.connection.clone(), self.seat.clone());
        let label = self.label.clone();
        let media = send_frames(&connection, &seat, &last);
        let control = Control::new(self, last.clone());
        let reason = tokio::select! {
            () = media => "its media path ended",
            reason = control.run() => reason,
        };
        log::info!("viewer {label} left: {reason}");
        seat.outbox().close();
        connection.close().await;
    }
}

async fn send_frames(connection: &Arc<dyn Connection>, seat: &Seat, last: &Mutex<Option<LastFrame>>) {
    while let Some(frame) = seat.outbox().next().await {
        let result = connection.send(&frame).await;
        let sent = LastFrame { at: Instant::now(), refined: frame.refined };
        *last.lock() = Some(sent);
        seat.outbox().sent();
        seat.wake();
        if let Err(error) = result {
            log::debug!("{error}");
            return;
        }
    }
}

/// What made the viewer's task go on.
enum Turn {
    Event(PeerEvent),
    Tell,
    Untyped(TextError),
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
    held: Held,
    reader: Reader,
    teller: Teller,
    liveness: Liveness,
    requests: KeyRequests,
    /// Texts on their way to the guest.
    texts: JoinSet<Result<(), TextError>>,
    last: Arc<Mutex<Option<LastFrame>>>,
    bad_messages: u64,
    connected: bool,
}

impl Control {
    fn new(peer: Peer, last: Arc<Mutex<Option<LastFrame>>>) -> Self {
        let held = Held { guest: peer.guest.clone(), pressed: Pressed::default() };
        Self {
            teller: Teller::new(peer.connection.clone(), peer.guest.name()),
            peer,
            held,
            reader: Reader::default(),
            liveness: Liveness::default(),
            requests: KeyRequests::default(),
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
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut locks = self.peer.guest.locks();
        let touch = self.peer.guest.touch_screen();
        let (mut guest_gone, mut locks_gone) = (false, false);
        loop {
            let confirm = self.teller.confirm_at();
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
                Some(typed) = self.texts.join_next() => match typed {
                    Ok(Err(error)) => Turn::Untyped(error),
                    _ => Turn::Tell,
                },
                changed = self.peer.screen.changed() => Turn::unless(changed.is_err(), "the server ended"),
                changed = notices.changed() => Turn::unless(changed.is_err(), "the encoder ended"),
                _ = self.peer.stop.wait_for(|stop| *stop) => Turn::End("it was asked to"),
                () = sleep_until(confirm), if confirm.is_some() => Turn::Tell,
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
                Turn::Tick if self.connected => self.look_for_life(),
                Turn::Tick | Turn::Tell => {}
            }
            let (status, notice) = (status.borrow().clone(), notices.borrow().clone());
            let (screen, locks) = (self.peer.screen.borrow().clone(), *locks.borrow());
            let news = News { status: &status, touch, locks, screen: &screen, notice: &notice };
            self.teller.tell(&news).await;
        }
    }

    /// Deals with one event; an answer ends the viewer.
    fn event(&mut self, event: PeerEvent) -> Option<&'static str> {
        match event {
            PeerEvent::Connected => {
                self.connected = true;
                self.peer.seat.outbox().flow().set_muted(false);
                self.peer.seat.outbox().ask_key();
                self.peer.seat.wake();
            }
            // It may come back; until then nobody lets go of what it held.
            PeerEvent::Interrupted => self.held.release(),
            PeerEvent::Gone(reason) => return Some(reason),
            PeerEvent::Opened(channel) => self.teller.opened(channel),
            // A page that is closed says so to its channels (DTLS close_notify), long before the path times out.
            PeerEvent::Closed(Channel::Keys) => return Some("it was closed"),
            PeerEvent::Closed(channel) => self.teller.closed(channel),
            PeerEvent::Message(channel, text) => self.message(channel, &text),
            PeerEvent::KeyRequest => {
                let last = *self.last.lock();
                if self.requests.answer(Instant::now(), last) {
                    self.peer.seat.outbox().ask_key();
                    self.peer.seat.wake();
                }
            }
        }
        None
    }

    fn message(&mut self, channel: Channel, text: &[u8]) {
        match self.reader.read(channel, text) {
            Ok(Some(Request::Input(event))) => self.held.input(event),
            Ok(Some(Request::Text(text))) => self.text(text),
            Ok(Some(Request::Resize(size, mm))) => self.peer.guest.resize(size, mm),
            Ok(None) => {}
            Err(error) => {
                if self.bad_messages == 0 {
                    log::warn!("viewer {} sent {error}; it and others like it are ignored", self.peer.label);
                }
                self.bad_messages += 1;
            }
        }
    }

    fn text(&mut self, text: String) {
        if self.texts.len() >= MAX_TEXTS {
            let words = "too many texts wait for the guest: try again in a moment".to_owned();
            self.teller.untyped(TextError { code: "text_busy", words });
            return;
        }
        // It has its place among the events now; only its end is waited for elsewhere.
        let typed = self.peer.guest.text(text);
        self.texts.spawn(typed);
    }

    fn look_for_life(&mut self) {
        let flow = self.peer.seat.outbox().flow();
        let muted = self.liveness.look(Instant::now(), flow.sent(), flow.heard());
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

/// What the viewer holds down; released when this is dropped, however the viewer ends.
struct Held {
    guest: Arc<dyn Guest>,
    pressed: Pressed,
}

impl Held {
    fn input(&mut self, event: Event) {
        if event == Event::ReleaseAll {
            // Only what this viewer holds: others may be typing.
            self.release();
        } else {
            self.pressed.note(&event);
            self.guest.input(event);
        }
    }

    fn release(&mut self) {
        for event in self.pressed.release() {
            self.guest.input(event);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
