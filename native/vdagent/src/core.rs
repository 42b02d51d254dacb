//! The protocol without I/O.

use crate::content::{Content, Kind, Kinds, MAX_CONTENT};
use crate::files::{self, FileError, MAX_PIECE, Transfer};
use crate::monitors::{self, MAX_MONITORS, Monitor};
use crate::outbox::Outbox;
use crate::wire::{Decoder, Frame, OutOfStep, capability, content, message, take_number};
use crate::{ClipboardError, Policy};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a guest may take to give its clipboard's content, and how long it may pause within it: the program that has it may
/// be busy.
const GIVING: Duration = Duration::from_secs(10);

/// How long it may take in all.
const GIVING_ALL: Duration = Duration::from_secs(60);

/// How long an agent may take to say what it can do, before it is asked anew; and how often it is.
const ANSWERING: Duration = Duration::from_secs(5);
const ASKED: u32 = 4;

/// How long the guest must say nothing until what follows what was not understood is taken for a new beginning; and how long it
/// may pause within a message.
const QUIET: Duration = Duration::from_millis(300);
const STALLED: Duration = Duration::from_secs(10);

/// The most bytes of a message that is no content: capabilities, or kinds, of which there are some twenty.
const MAX_SHORT: usize = 1 << 10;

/// What a content is preceded by: the selection and its type.
const BEFORE_CONTENT: usize = 8;

/// Which clipboard. X11 has several; other systems have the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The one that is meant by copying and pasting.
    Clipboard,
    /// What is marked, and pasted by the middle button or into a terminal.
    Primary,
}

impl Selection {
    const ALL: [Self; 2] = [Self::Clipboard, Self::Primary];

    fn number(self) -> u8 {
        match self {
            Self::Clipboard => 0,
            Self::Primary => 1,
        }
    }

    fn by_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|selection| selection.number() == number)
    }
}

/// What the guest may have: at most one content of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The text.
    pub text: Option<Content>,
    /// The picture.
    pub png: Option<Content>,
}

impl From<Content> for Offer {
    fn from(content: Content) -> Self {
        match content.kind() {
            Kind::Text => Self { text: Some(content), png: None },
            Kind::Png => Self { text: None, png: Some(content) },
        }
    }
}

impl Offer {
    /// Its content of a kind.
    pub fn get(&self, kind: Kind) -> Option<&Content> {
        match kind {
            Kind::Text => self.text.as_ref(),
            Kind::Png => self.png.as_ref(),
        }
    }

    /// The same offer with one more content.
    #[must_use]
    pub fn and(mut self, content: Content) -> Self {
        match content.kind() {
            Kind::Text => self.text = Some(content),
            Kind::Png => self.png = Some(content),
        }
        self
    }

    /// What it has.
    pub fn kinds(&self) -> Kinds {
        Kinds { text: self.text.is_some(), png: self.png.is_some() }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.kinds() == Kinds::NONE
    }
}

/// What is known of the guest's clipboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether an agent answers.
    pub agent: bool,
    /// What the guest's clipboard holds by a program of the guest's, as far as it may be taken.
    pub kinds: Kinds,
    /// How often a program of the guest's has filled it.
    pub grabs: u64,
    /// How often the guest has asked for what we offer.
    pub asked: u64,
    /// Whether the agent takes files.
    pub files: bool,
    /// Whether the agent sets the size of the guest's screen.
    pub sizes: bool,
}

/// What became of something.
#[derive(Debug)]
pub enum Event {
    /// [`State`] has changed.
    Changed,
    /// What [`Core::fetch`] asked for.
    Fetched(Result<Content, ClipboardError>),
    /// The file that [`Core::send_file`] announced is in the guest, or is not.
    File(Result<(), FileError>),
}

/// What the agent can do, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Agent {
    by_demand: bool,
    selections: bool,
    serials: bool,
    crlf: bool,
    max_clipboard: bool,
    files: bool,
    sizes: bool,
}

impl Agent {
    fn new(words: &[u32]) -> Self {
        let can = |bit: u32| words.get(bit as usize / 32).is_some_and(|word| word >> (bit % 32) & 1 == 1);
        Self {
            by_demand: can(capability::CLIPBOARD_BY_DEMAND),
            selections: can(capability::CLIPBOARD_SELECTION),
            serials: can(capability::CLIPBOARD_GRAB_SERIAL),
            crlf: can(capability::GUEST_LINEEND_CRLF),
            max_clipboard: can(capability::MAX_CLIPBOARD),
            files: !can(capability::FILE_XFER_DISABLED),
            sizes: can(capability::MONITORS_CONFIG),
        }
    }
}

/// One selection.
#[derive(Debug, Default)]
struct Clip {
    /// What the guest may have of us, as long as no program of its own has filled the clipboard.
    offer: Option<Offer>,
    /// Whether the agent was told of it.
    told: bool,
    /// What a program of the guest's has.
    kinds: Kinds,
    /// What was taken of that: to offer it to the guest again would be a loop.
    taken: Offer,
    /// The number of the next grab.
    serial: u32,
}

/// A content that was asked for.
struct Fetch {
    selection: Selection,
    kind: Kind,
    /// When it is given up, and when it is even if it still comes.
    due: Instant,
    latest: Instant,
}

/// Why nothing is understood, or nobody answers.
enum Waiting {
    /// For nothing.
    No,
    /// For an announcement, asked so many times.
    Agent { due: Instant, asked: u32 },
    /// For silence.
    Silence { due: Instant },
}

/// One end of the protocol: ours. See the crate's documentation.
pub struct Core {
    policy: Policy,
    is_open: bool,
    agent: Option<Agent>,
    clips: [Clip; 2],
    decoder: Decoder,
    /// When a message that was begun must have gone on.
    stalled: Option<Instant>,
    outbox: Outbox,
    waiting: Waiting,
    fetch: Option<Fetch>,
    transfer: Option<Transfer>,
    /// The number of the next file.
    next_file: u32,
    /// The guest's screens, as they should be; none where nobody has said.
    monitors: Vec<Monitor>,
    grabs: u64,
    asked: u64,
    told: State,
    events: VecDeque<Event>,
}

impl Core {
    /// With a port that is not open yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            is_open: false,
            agent: None,
            clips: Default::default(),
            decoder: Decoder::default(),
            stalled: None,
            outbox: Outbox::default(),
            waiting: Waiting::No,
            fetch: None,
            transfer: None,
            next_file: 1,
            monitors: Vec::new(),
            grabs: 0,
            asked: 0,
            told: State::default(),
            events: VecDeque::new(),
        }
    }

    /// What is known.
    pub fn state(&self) -> State {
        let clip = self.clip(Selection::Clipboard);
        State {
            agent: self.usable().is_some(),
            kinds: if self.policy.from_guest { clip.kinds } else { Kinds::NONE },
            grabs: self.grabs,
            asked: self.asked,
            files: self.present().is_some_and(|agent| agent.files),
            sizes: self.present().is_some_and(|agent| agent.sizes),
        }
    }

    /// What became of something.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The guest has opened its port.
    pub fn port_opened(&mut self, now: Instant) {
        self.port_closed();
        self.is_open = true;
        self.announce(true);
        self.waiting = Waiting::Agent { due: now + ANSWERING, asked: 1 };
    }

    /// The guest has closed its port, or was reset. What it may have of us stays: it is offered again to the next agent.
    pub fn port_closed(&mut self) {
        self.is_open = false;
        self.decoder = Decoder::default();
        self.stalled = None;
        self.outbox.clear();
        self.waiting = Waiting::No;
        self.agent = None;
        self.start_over();
        self.note();
    }

    /// Changes the directions. What is no longer allowed is taken back.
    pub fn set_policy(&mut self, policy: Policy) {
        if policy == self.policy {
            return;
        }
        self.policy = policy;
        if !policy.to_guest {
            Selection::ALL.into_iter().for_each(|selection| self.withdraw(selection));
        }
        if !policy.from_guest && self.fetch.is_some() {
            self.fetched(Err(ClipboardError::FromGuestOff));
        }
        if self.is_open {
            self.announce(false);
        }
        self.note();
    }

    /// Lets the guest have something: it is told the kinds, and gets the content when a program of its own pastes. What was taken
    /// of the guest's own clipboard and is still there is not offered back.
    ///
    /// # Errors
    /// [`ClipboardError::ToGuestOff`], [`ClipboardError::NoAgent`].
    pub fn offer(&mut self, selection: Selection, offer: Offer) -> Result<(), ClipboardError> {
        if !self.policy.to_guest {
            return Err(ClipboardError::ToGuestOff);
        }
        let agent = self.usable().ok_or(ClipboardError::NoAgent)?;
        if offer.is_empty() {
            self.withdraw(selection);
            return Ok(());
        }
        if selection != Selection::Clipboard && !agent.selections {
            return Ok(());
        }
        let clip = self.clip_mut(selection);
        if clip.kinds != Kinds::NONE
            && offer.kinds().iter().all(|kind| clip.taken.get(kind) == offer.get(kind))
        {
            return Ok(());
        }
        if clip.offer.as_ref() == Some(&offer) && clip.told {
            return Ok(());
        }
        (clip.offer, clip.told) = (Some(offer), false);
        (clip.kinds, clip.taken) = (Kinds::NONE, Offer::default());
        self.grab(selection);
        self.changed_hands(selection);
        self.note();
        Ok(())
    }

    /// What the guest may have of us; `None` once a program of its own has filled the clipboard.
    pub fn offered(&self, selection: Selection) -> Option<&Offer> {
        self.clip(selection).offer.as_ref()
    }

    /// Takes an offer back.
    pub fn withdraw(&mut self, selection: Selection) {
        let clip = self.clip_mut(selection);
        let told = std::mem::take(&mut clip.told);
        if clip.offer.take().is_some() && told && self.usable().is_some() {
            self.send(message::CLIPBOARD_RELEASE, selection, &[], Arc::default());
        }
    }

    /// Asks for what a program of the guest's has copied; the answer is an [`Event::Fetched`]. One at a time.
    ///
    /// # Errors
    /// [`ClipboardError`]; nothing was asked then.
    pub fn fetch(&mut self, selection: Selection, kind: Kind, now: Instant) -> Result<(), ClipboardError> {
        if !self.policy.from_guest {
            return Err(ClipboardError::FromGuestOff);
        }
        self.usable().ok_or(ClipboardError::NoAgent)?;
        if !self.clip(selection).kinds.has(kind) {
            return Err(ClipboardError::Nothing(kind));
        }
        if self.fetch.is_some()
            || !self.send(message::CLIPBOARD_REQUEST, selection, &[number_of(kind)], Arc::default())
        {
            return Err(ClipboardError::Busy);
        }
        self.fetch = Some(Fetch { selection, kind, due: now + GIVING, latest: now + GIVING_ALL });
        Ok(())
    }

    /// Announces a file of `size` bytes to the guest; what becomes of it is an [`Event::File`]. One at a time. The person who has the
    /// guest's desktop finds it where downloads are kept.
    ///
    /// # Errors
    /// [`FileError`]; nothing was sent then.
    pub fn send_file(&mut self, name: &str, size: u64, now: Instant) -> Result<(), FileError> {
        let agent = self.present().ok_or(FileError::NoAgent)?;
        if !agent.files {
            return Err(FileError::Disabled);
        }
        debug_assert!(self.transfer.is_none(), "the peer sends one file after the other");
        let id = self.next_file;
        let announcement = files::announcement(id, name, size)?;
        if !self.outbox.push(message::FILE_XFER_START, &announcement, Arc::default()) {
            return Err(FileError::Silent(Transfer::patience()));
        }
        self.next_file = self.next_file.wrapping_add(1);
        self.transfer = Some(Transfer::new(id, size, now));
        Ok(())
    }

    /// Whether the file's next piece is wanted now: the agent takes it, and nothing waits to be sent.
    pub fn wants_piece(&self) -> bool {
        self.outbox.is_empty() && self.transfer.as_ref().is_some_and(Transfer::wants_piece)
    }

    /// Bytes of the file that were sent.
    pub fn file_sent(&self) -> u64 {
        self.transfer.as_ref().map_or(0, Transfer::sent)
    }

    /// Sends the file's next piece, of at most [`MAX_PIECE`] bytes; an empty one only where the file is empty.
    pub fn send_piece(&mut self, piece: &[u8], now: Instant) {
        debug_assert!(piece.len() <= MAX_PIECE, "the peer cuts files into pieces");
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.wants_piece()) else { return };
        match transfer.piece(piece.len(), now) {
            Ok(()) => {
                let header = files::piece_header(transfer.id(), piece.len());
                self.outbox.push(message::FILE_XFER_DATA, &header, piece.into());
            }
            Err(error) => self.give_up_file(error),
        }
    }

    /// Gives the file up; the guest removes what it has of it.
    pub fn give_up_file(&mut self, why: FileError) {
        let Some(transfer) = self.transfer.take() else { return };
        if self.present().is_some() {
            let body = files::cancellation(transfer.id());
            self.outbox.push(message::FILE_XFER_STATUS, &body, Arc::default());
        }
        self.events.push_back(Event::File(Err(why)));
    }

    /// Says how large the guest's screens should be, and where they are, the first [`MAX_MONITORS`] of them: now, and to every agent that
    /// comes. A guest whose driver follows the display by itself has its sizes already, and the agent changes nothing.
    pub fn set_monitors(&mut self, monitors: &[Monitor]) {
        let monitors = monitors.get(..MAX_MONITORS).unwrap_or(monitors);
        if self.monitors != monitors {
            self.monitors = monitors.to_vec();
            self.tell_monitors();
        }
    }

    fn tell_monitors(&mut self) {
        if self.monitors.is_empty() || !self.present().is_some_and(|agent| agent.sizes) {
            return;
        }
        let body = monitors::config(&self.monitors);
        self.outbox.push(message::MONITORS_CONFIG, &body, Arc::default());
    }

    /// What waits to be sent: the next chunk, appended to `bytes`; false if there is none.
    pub fn chunk(&mut self, bytes: &mut Vec<u8>) -> bool {
        self.outbox.chunk(bytes)
    }

    /// Whether something waits to be sent.
    pub fn wants_to_send(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// When [`Core::handle_timeout`] is due.
    pub fn timeout(&self) -> Option<Instant> {
        let waiting = match self.waiting {
            Waiting::No => None,
            Waiting::Agent { due, .. } | Waiting::Silence { due } => Some(due),
        };
        let fetch = self.fetch.as_ref().map(|fetch| fetch.due.min(fetch.latest));
        let transfer = self.transfer.as_ref().map(Transfer::due);
        [waiting, fetch, transfer, self.stalled].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.fetch.as_ref().is_some_and(|fetch| now >= fetch.due.min(fetch.latest)) {
            self.fetched(Err(ClipboardError::Silent(GIVING)));
        }
        if self.transfer.as_ref().is_some_and(|transfer| now >= transfer.due()) {
            self.give_up_file(FileError::Silent(Transfer::patience()));
        }
        if self.stalled.is_some_and(|due| now >= due) {
            // It will not go on: what comes is something else.
            self.begin_anew(now);
        }
        match self.waiting {
            Waiting::Silence { due } if now >= due => self.begin_anew(now),
            Waiting::Agent { due, asked } if now >= due => {
                self.waiting = if asked < ASKED {
                    self.announce(true);
                    Waiting::Agent { due: now + ANSWERING * 2_u32.pow(asked), asked: asked + 1 }
                } else {
                    Waiting::No
                };
            }
            _ => {}
        }
    }

    /// Takes what the guest sent.
    pub fn receive(&mut self, mut bytes: &[u8], now: Instant) {
        if !self.is_open {
            // It is what was under way when the port was closed.
            return;
        }
        if let Waiting::Silence { due } = &mut self.waiting {
            *due = now + QUIET;
            return;
        }
        loop {
            let is_wanted = self.fetch.is_some();
            let limit = |kind| match kind {
                message::CLIPBOARD if is_wanted => MAX_CONTENT + BEFORE_CONTENT,
                message::CLIPBOARD => 0,
                _ => MAX_SHORT,
            };
            match self.decoder.next(&mut bytes, limit) {
                Ok(Some(frame)) => self.frame(frame, now),
                Ok(None) => break,
                Err(OutOfStep) => {
                    log::debug!("the clipboard agent sent what is no message");
                    self.waiting = Waiting::Silence { due: now + QUIET };
                    self.stalled = None;
                    self.decoder = Decoder::default();
                    return;
                }
            }
        }
        self.stalled = self.decoder.is_midway().then(|| now + STALLED);
        if self.decoder.in_body() == Some(message::CLIPBOARD)
            && let Some(fetch) = &mut self.fetch
        {
            fetch.due = now + GIVING;
        }
    }

    fn clip(&self, selection: Selection) -> &Clip {
        &self.clips[usize::from(selection.number())]
    }

    fn clip_mut(&mut self, selection: Selection) -> &mut Clip {
        &mut self.clips[usize::from(selection.number())]
    }

    /// The agent, if there is one.
    fn present(&self) -> Option<Agent> {
        self.agent.filter(|_| self.is_open)
    }

    /// The agent, if there is one that shares its clipboard as we do.
    fn usable(&self) -> Option<Agent> {
        self.agent.filter(|agent| self.is_open && agent.by_demand)
    }

    /// Tells who listens that the state has changed, if it has.
    fn note(&mut self) {
        let state = self.state();
        if state != self.told {
            self.told = state;
            if !self.events.iter().any(|event| matches!(event, Event::Changed)) {
                self.events.push_back(Event::Changed);
            }
        }
    }

    fn fetched(&mut self, outcome: Result<Content, ClipboardError>) {
        if self.fetch.take().is_some() {
            self.events.push_back(Event::Fetched(outcome));
        }
    }

    /// Whoever waits for the guest's content of a selection waits for something that is gone.
    fn changed_hands(&mut self, selection: Selection) {
        if self.fetch.as_ref().is_some_and(|fetch| fetch.selection == selection) {
            self.fetched(Err(ClipboardError::Changed));
        }
    }

    /// The agent is new: it knows of no grab, and numbers its own from 0.
    fn start_over(&mut self) {
        for clip in &mut self.clips {
            (clip.told, clip.serial, clip.kinds) = (false, 0, Kinds::NONE);
            clip.taken = Offer::default();
        }
        self.fetched(Err(ClipboardError::Changed));
        if self.transfer.take().is_some() {
            self.events.push_back(Event::File(Err(FileError::Gone)));
        }
    }

    /// After what was not understood.
    fn begin_anew(&mut self, now: Instant) {
        self.decoder = Decoder::default();
        self.stalled = None;
        self.agent = None;
        self.start_over();
        self.announce(true);
        self.waiting = Waiting::Agent { due: now + ANSWERING, asked: 1 };
        self.note();
    }

    /// Says what we can do. One whose clipboard goes neither way is not told of grabs.
    fn announce(&mut self, asks: bool) {
        let mut bits = 1_u32 << capability::FILE_XFER_DETAILED_ERRORS;
        if self.policy != Policy::OFF {
            for bit in [
                capability::CLIPBOARD_BY_DEMAND,
                capability::CLIPBOARD_SELECTION,
                capability::CLIPBOARD_NO_RELEASE_ON_REGRAB,
                capability::CLIPBOARD_GRAB_SERIAL,
                capability::MAX_CLIPBOARD,
            ] {
                bits |= 1 << bit;
            }
        }
        let body = [u32::from(asks).to_le_bytes(), bits.to_le_bytes()].concat();
        self.outbox.push(message::ANNOUNCE_CAPABILITIES, &body, Arc::default());
    }

    /// Sends a message about a selection.
    fn send(&mut self, kind: u32, selection: Selection, numbers: &[u32], content: Arc<[u8]>) -> bool {
        let mut fixed = Vec::new();
        if self.agent.is_some_and(|agent| agent.selections) {
            fixed.extend([selection.number(), 0, 0, 0]);
        }
        fixed.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self.outbox.push(kind, &fixed, content)
    }

    /// Tells the agent of what is offered.
    fn grab(&mut self, selection: Selection) {
        let Some(agent) = self.usable() else { return };
        let clip = self.clip_mut(selection);
        let Some(offer) = &clip.offer else { return };
        let mut numbers = Vec::new();
        if agent.serials {
            numbers.push(clip.serial);
            clip.serial = clip.serial.wrapping_add(1);
        }
        numbers.extend(offer.kinds().iter().map(number_of));
        let is_told = self.send(message::CLIPBOARD_GRAB, selection, &numbers, Arc::default());
        self.clip_mut(selection).told = is_told;
    }

    fn frame(&mut self, frame: Frame, now: Instant) {
        match frame {
            Frame::Message { kind: message::ANNOUNCE_CAPABILITIES, body } => self.announced(&body),
            Frame::Message {
                kind:
                    kind @ (message::CLIPBOARD
                    | message::CLIPBOARD_GRAB
                    | message::CLIPBOARD_REQUEST
                    | message::CLIPBOARD_RELEASE),
                body,
            } => {
                // What cannot be read is no message, and the next one begins where it ends.
                let _ = self.about_clipboard(kind, &body);
            }
            Frame::Skipped { kind: message::CLIPBOARD, size } if self.fetch.is_some() => {
                self.fetched(Err(ClipboardError::TooLarge { size: size.into() }));
            }
            Frame::Message { kind: message::FILE_XFER_STATUS, body } => self.file_status(&body, now),
            Frame::Message { .. } | Frame::Skipped { .. } => {}
        }
        // Also where a guest keeps talking of other things.
        if self.fetch.as_ref().is_some_and(|fetch| now >= fetch.due.min(fetch.latest)) {
            self.fetched(Err(ClipboardError::Silent(GIVING)));
        }
    }

    fn file_status(&mut self, body: &[u8], now: Instant) {
        let Some((id, result, details)) = files::parse_status(body) else { return };
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.id() == id) else { return };
        let outcome = match transfer.heard(result, details, now) {
            Some(files::Progress::Done) => Ok(()),
            Some(files::Progress::Failed(error)) => Err(error),
            Some(files::Progress::Wanted) | None => return,
        };
        self.transfer = None;
        self.events.push_back(Event::File(outcome));
    }

    fn announced(&mut self, mut body: &[u8]) {
        let Some(asks) = take_number(&mut body) else { return };
        let words: Vec<u32> = std::iter::from_fn(|| take_number(&mut body)).collect();
        let agent = Agent::new(&words);
        let is_new = asks != 0 || self.agent != Some(agent);
        self.agent = Some(agent);
        self.waiting = Waiting::No;
        if asks != 0 {
            self.start_over();
            self.announce(false);
        }
        if is_new && agent.max_clipboard && self.policy != Policy::OFF {
            let most = u32::try_from(MAX_CONTENT).unwrap_or(u32::MAX);
            self.outbox.push(message::MAX_CLIPBOARD, &most.to_le_bytes(), Arc::default());
        }
        for selection in Selection::ALL {
            if !self.clip(selection).told {
                self.grab(selection);
            }
        }
        if is_new {
            self.tell_monitors();
        }
        self.note();
    }

    /// `None` if it is no message.
    fn about_clipboard(&mut self, kind: u32, mut body: &[u8]) -> Option<()> {
        // Before it said what it can do, its messages are those of an agent that we know nothing of.
        let agent = self.usable()?;
        let selection = if agent.selections {
            let number = take_number(&mut body)?;
            // The secondary selection is nobody's; the upper bytes are reserved.
            Selection::by_number(number as u8)?
        } else {
            Selection::Clipboard
        };
        match kind {
            message::CLIPBOARD_GRAB => self.grabbed(agent, selection, body)?,
            message::CLIPBOARD_REQUEST => {
                let number = take_number(&mut body)?;
                self.requested(agent, selection, number);
            }
            message::CLIPBOARD_RELEASE => {
                let clip = self.clip_mut(selection);
                (clip.kinds, clip.taken) = (Kinds::NONE, Offer::default());
                self.changed_hands(selection);
            }
            message::CLIPBOARD => {
                let number = take_number(&mut body)?;
                self.given(selection, number, body);
            }
            _ => {}
        }
        self.note();
        Some(())
    }

    /// A program of the guest's has copied something.
    fn grabbed(&mut self, agent: Agent, selection: Selection, mut body: &[u8]) -> Option<()> {
        if self.policy == Policy::OFF {
            return None;
        }
        let clip = self.clip_mut(selection);
        if agent.serials {
            let serial = take_number(&mut body)?;
            // Before it knew of our own last grab, which counts then. Numbers go around.
            if clip.serial.wrapping_sub(serial).wrapping_sub(1) < u32::MAX / 2 {
                return None;
            }
            clip.serial = serial.wrapping_add(1);
        }
        let mut kinds = Kinds::NONE;
        while let Some(number) = take_number(&mut body) {
            match number {
                content::UTF8_TEXT => kinds.text = true,
                content::IMAGE_PNG => kinds.png = true,
                _ => {}
            }
        }
        (clip.kinds, clip.taken) = (kinds, Offer::default());
        (clip.offer, clip.told) = (None, false);
        self.changed_hands(selection);
        if selection == Selection::Clipboard && self.policy.from_guest {
            self.grabs += 1;
        }
        Some(())
    }

    /// A program of the guest's pastes. It waits for an answer, and some agents do so for ever: it always gets one, be it an empty
    /// one of the type that it asked for.
    fn requested(&mut self, agent: Agent, selection: Selection, number: u32) {
        let offer = self.clip(selection).offer.as_ref().filter(|_| self.policy.to_guest);
        let content =
            offer.and_then(|offer| offer.get(kind_of(number)?)).map(|content| content.for_guest(agent.crlf));
        let is_there = content.is_some();
        if self.send(message::CLIPBOARD, selection, &[number], content.unwrap_or_default()) && is_there {
            self.asked += 1;
        }
    }

    /// A content that was asked for, or one that was not.
    fn given(&mut self, selection: Selection, number: u32, bytes: &[u8]) {
        let Some(fetch) = self.fetch.as_ref().filter(|fetch| fetch.selection == selection) else { return };
        let kind = fetch.kind;
        let outcome = match kind_of(number) {
            None if number == content::NONE => Err(ClipboardError::Refused(kind)),
            Some(given) if given == kind && bytes.is_empty() => Err(ClipboardError::Refused(kind)),
            Some(given) if given == kind => Content::new(kind, bytes).map_err(ClipboardError::from),
            // An answer to what was asked for before.
            _ => return,
        };
        if let Ok(content) = &outcome {
            let taken = &mut self.clip_mut(selection).taken;
            *taken = std::mem::take(taken).and(content.clone());
        }
        self.fetched(outcome);
    }
}

fn number_of(kind: Kind) -> u32 {
    match kind {
        Kind::Text => content::UTF8_TEXT,
        Kind::Png => content::IMAGE_PNG,
    }
}

fn kind_of(number: u32) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| number_of(*kind) == number)
}
