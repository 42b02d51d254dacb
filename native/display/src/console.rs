//! `org.qemu.Display1.Console`: one screen of the machine, with its input devices.

use crate::bus::{self, Member, Properties, property};
use crate::error::DisplayError;
use crate::fault::{DisplayFault, Faults};
use crate::picture::{Budget, GuestSize, Picture};
use crate::touch::Slots;
use crate::{keyboard, mouse, serve, touch};
use sampan_frame::{Screen, Size};
use sampan_input::{Event, Locks, Pressed, TouchPhase, rescale};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use zbus::message::Sequence;
use zbus::{Connection, MessageStream};

pub(crate) const INTERFACE: &str = "org.qemu.Display1.Console";
const REGISTER_LISTENER: Member =
    Member { interface: INTERFACE, name: "RegisterListener", text: "Console.RegisterListener" };
const SET_UI_INFO: Member = Member { interface: INTERFACE, name: "SetUIInfo", text: "Console.SetUIInfo" };

/// When QEMU ends it closes all connections, in any order; one that ends alone for so long was closed alone.
const TOGETHER: Duration = Duration::from_millis(500);

/// What a console shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleKind {
    /// A graphics device.
    Graphic,
    /// A terminal that QEMU draws: a serial port or its monitor.
    Text,
}

/// What the listeners of a machine's consoles share.
#[derive(Clone, Debug)]
pub(crate) struct Listeners {
    /// How long QEMU may take to answer.
    pub patience: Duration,
    pub budget: Arc<Budget>,
    pub faults: Arc<Faults>,
    /// Whether the main connection has ended.
    pub closed: watch::Receiver<bool>,
}

/// Follows a console's picture while it is held: QEMU sends none that nobody holds.
#[derive(Debug)]
pub struct Watch(tokio::task::AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The listener there is, and the task that serves it.
#[derive(Debug, Default)]
struct Watching {
    now: Weak<Watch>,
    task: Option<JoinHandle<()>>,
}

/// Darkens the screen of a console that is not watched any more: what it showed last is not what the guest shows.
struct Darken {
    screen: Arc<Screen>,
    lit: watch::Sender<Option<bool>>,
    armed: bool,
}

impl Darken {
    /// Leaves the screen as it is.
    fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Darken {
    fn drop(&mut self) {
        if self.armed {
            self.screen.disable();
            self.lit.send_replace(None);
        }
    }
}

/// One console. Clones are the same console.
#[derive(Clone, Debug)]
pub struct Console(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: u32,
    path: String,
    connection: Connection,
    listeners: Listeners,
    screen: Arc<Screen>,
    guest_size: Arc<GuestSize>,
    lit: watch::Sender<Option<bool>>,
    watching: Mutex<Watching>,
    absolute: watch::Sender<bool>,
    locks: watch::Sender<Option<Locks>>,
    facts: parking_lot::Mutex<Facts>,
    /// Held while an event is sent, so that events of several callers do not mix.
    hand: Mutex<Hand>,
}

/// What the console's properties say.
#[derive(Clone, Debug)]
struct Facts {
    label: String,
    head: u32,
    kind: ConsoleKind,
    max_slots: u32,
    /// When each was received last: a change may be handled before the answer that is older than it.
    console_at: Option<Sequence>,
    mouse_at: Option<Sequence>,
    keyboard_at: Option<Sequence>,
}

#[derive(Debug, Default)]
struct Hand {
    pressed: Pressed,
    slots: Slots,
    at: (u32, u32),
}

impl Console {
    pub(crate) fn new(connection: Connection, id: u32, listeners: Listeners) -> Self {
        let facts = Facts {
            label: String::new(),
            head: 0,
            kind: ConsoleKind::Graphic,
            max_slots: 0,
            console_at: None,
            mouse_at: None,
            keyboard_at: None,
        };
        Self(Arc::new(Inner {
            id,
            path: format!("/org/qemu/Display1/Console_{id}"),
            connection,
            listeners,
            screen: Screen::new(),
            guest_size: Arc::default(),
            lit: watch::Sender::new(None),
            watching: Mutex::default(),
            absolute: watch::Sender::new(false),
            locks: watch::Sender::new(None),
            facts: parking_lot::Mutex::new(facts),
            hand: Mutex::default(),
        }))
    }

    /// Reads what the console is.
    pub(crate) async fn read(&self) -> Result<(), DisplayError> {
        for interface in [INTERFACE, mouse::INTERFACE, touch::INTERFACE, keyboard::INTERFACE] {
            let (properties, at) = bus::properties_at(&self.0.connection, &self.0.path, interface).await?;
            self.note(interface, &properties, at);
        }
        Ok(())
    }

    /// Takes over properties that were received `at` a moment.
    pub(crate) fn note(&self, interface: &str, properties: &Properties, at: Sequence) {
        let mut facts = self.0.facts.lock();
        let mut newer = |seen: fn(&mut Facts) -> &mut Option<Sequence>| {
            let seen = seen(&mut facts);
            let newer = seen.is_none_or(|seen| seen < at);
            *seen = if newer { Some(at) } else { *seen };
            newer
        };
        match interface {
            INTERFACE => {
                if newer(|facts| &mut facts.console_at) {
                    self.0.guest_size.set(property(properties, "Width"), property(properties, "Height"));
                }
                if let Some(label) = property::<&str>(properties, "Label") {
                    label.clone_into(&mut facts.label);
                }
                facts.head = property(properties, "Head").unwrap_or(facts.head);
                match property(properties, "Type") {
                    Some("Text") => facts.kind = ConsoleKind::Text,
                    Some(_) => facts.kind = ConsoleKind::Graphic,
                    None => {}
                }
            }
            mouse::INTERFACE => {
                if let Some(absolute) = property(properties, "IsAbsolute")
                    && newer(|facts| &mut facts.mouse_at)
                {
                    self.0.absolute.send_if_modified(|now| std::mem::replace(now, absolute) != absolute);
                }
            }
            keyboard::INTERFACE => {
                if let Some(leds) = property::<u32>(properties, "Modifiers")
                    && newer(|facts| &mut facts.keyboard_at)
                {
                    let now = Locks::from_leds(leds);
                    self.0.locks.send_if_modified(|known| {
                        // QEMU says 0 of a keyboard that has never been told: this is news only after something else.
                        let news =
                            if known.is_none() { now != Locks::default() } else { *known != Some(now) };
                        if news {
                            *known = Some(now);
                        }
                        news
                    });
                }
            }
            touch::INTERFACE => {
                facts.max_slots = property::<i32>(properties, "MaxSlots")
                    .and_then(|n| u32::try_from(n).ok())
                    .or_else(|| property(properties, "MaxSlots"))
                    .unwrap_or(facts.max_slots)
                    .min(touch::MAX_SLOTS);
            }
            _ => {}
        }
    }

    /// Follows the picture until all that this gave are dropped. While nobody follows it, a head beyond a card's first shows nothing.
    ///
    /// # Errors
    /// As [`Display::connect`](crate::Display::connect).
    pub async fn watch(&self) -> Result<Arc<Watch>, DisplayError> {
        let mut watching = self.0.watching.lock().await;
        if let Some(watch) = watching.now.upgrade() {
            return Ok(watch);
        }
        // The one before may be about to darken the screen.
        if let Some(task) = watching.task.take() {
            task.abort();
            let _ = task.await;
        }
        let (Listeners { patience, budget, faults, mut closed }, beyond) =
            (self.0.listeners.clone(), self.head() > 0);
        let (connection, stream) = self.register_listener(patience).await?;
        let picture = Picture::new(self.screen(), self.0.guest_size.clone(), budget);
        let picture = picture.of_output(self.0.lit.clone(), beyond);
        let mut darken = Darken { screen: self.screen(), lit: self.0.lit.clone(), armed: beyond };
        let task = tokio::spawn(async move {
            serve::serve(connection, stream, picture, faults.clone()).await;
            // QEMU has gone: what was shown last stays.
            darken.disarm();
            let all = closed.wait_for(|&closed| closed);
            if tokio::time::timeout(TOGETHER, all).await.is_err() {
                faults.note(&DisplayFault::ListenerClosed);
            }
        });
        let watch = Arc::new(Watch(task.abort_handle()));
        *watching = Watching { now: Arc::downgrade(&watch), task: Some(task) };
        Ok(watch)
    }

    /// Gives QEMU a socket and authenticates on it while the call is outstanding: QEMU's main loop waits for us.
    async fn register_listener(
        &self,
        patience: Duration,
    ) -> Result<(Connection, MessageStream), DisplayError> {
        let (ours, theirs) = UnixStream::pair()?;
        let registering = async {
            // Closed as soon as QEMU has its own: if QEMU dies then, the handshake ends at once.
            let theirs = zbus::Fd::from(OwnedFd::from(theirs));
            bus::call(&self.0.connection, &self.0.path, REGISTER_LISTENER, &theirs).await
        };
        let (_, listener) = tokio::try_join!(registering, bus::open(ours, bus::LARGEST_PICTURE, patience))?;
        Ok(listener)
    }

    pub(crate) fn path(&self) -> &str {
        &self.0.path
    }

    /// QEMU's number of the console.
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// QEMU's name of the console: the device, or the terminal.
    pub fn label(&self) -> String {
        self.facts().label
    }

    /// Which head of its device, from 0.
    pub fn head(&self) -> u32 {
        self.facts().head
    }

    /// Graphics or text.
    pub fn kind(&self) -> ConsoleKind {
        self.facts().kind
    }

    /// How many fingers a touch device of the guest's can be told apart: 10 by QEMU's word, whether there is one or not
    /// (`dbus_display_console_new` in `ui/dbus-console.c`).
    pub fn touch_slots(&self) -> u32 {
        self.facts().max_slots
    }

    /// What it shows.
    pub fn screen(&self) -> Arc<Screen> {
        self.0.screen.clone()
    }

    /// Whether the guest uses this output, as far as that is known: `None` before the first picture, and of one that is not watched.
    pub fn lit(&self) -> watch::Receiver<Option<bool>> {
        self.0.lit.subscribe()
    }

    /// Whether the pointing device takes positions ([`Event::Move`]) rather than motion ([`Event::Motion`]).
    ///
    /// It changes while the guest boots: a tablet counts only once the guest's driver uses it.
    pub fn absolute(&self) -> watch::Receiver<bool> {
        self.0.absolute.subscribe()
    }

    /// Which locks the guest shows on its keyboard's LEDs; `None` until it has shown any.
    pub fn locks(&self) -> watch::Receiver<Option<Locks>> {
        self.0.locks.subscribe()
    }

    /// The size in pixels by the console's own word, else by the picture.
    pub fn size(&self) -> Option<Size> {
        self.0.guest_size.get().or_else(|| self.0.screen.size())
    }

    /// Tells the guest how large its screen is shown, in pixels and millimetres (0 if that is not known). So a head beyond a card's first is
    /// connected, too.
    ///
    /// # Errors
    /// [`DisplayError::Refused`] if the graphics device cannot be told, such as std VGA.
    pub async fn set_ui_info(
        &self,
        size: Size,
        (width_mm, height_mm): (u16, u16),
    ) -> Result<(), DisplayError> {
        let arguments = (width_mm, height_mm, 0i32, 0i32, size.width, size.height);
        bus::call(&self.0.connection, &self.0.path, SET_UI_INFO, &arguments).await.map(drop)
    }

    /// Tells the guest that nothing is connected to this output any more. [`Console::set_ui_info`] connects it again.
    ///
    /// # Errors
    /// As [`Console::set_ui_info`].
    pub async fn disconnect(&self) -> Result<(), DisplayError> {
        // A width and height of 0 disconnect (`virtio_gpu_ui_info` in `hw/display/virtio-gpu-base.c`). QEMU passes on only what differs from
        // what it was told last, and that begins with zeros, so the millimetres differ: a guest whose saved memory was loaded may use it.
        let arguments = (1_u16, 1_u16, 0_i32, 0_i32, 0_u32, 0_u32);
        bus::call(&self.0.connection, &self.0.path, SET_UI_INFO, &arguments).await.map(drop)
    }

    /// Brings the guest one event, and waits until QEMU has taken it.
    ///
    /// So while QEMU is busy the caller can let newer positions replace older ones.
    ///
    /// # Errors
    /// [`DisplayError::Relative`] for a position while the pointing device is relative, [`DisplayError::NoPicture`]
    /// for one before the first picture, [`DisplayError::TooManyFingers`] and [`DisplayError::NotFinite`] for
    /// touches, [`DisplayError::Refused`] if QEMU refuses, [`DisplayError::Bus`] once QEMU has gone.
    pub async fn send(&self, event: Event) -> Result<(), DisplayError> {
        let mut hand = self.0.hand.lock().await;
        let sent = match event {
            Event::Key { key, down } => self.call(keyboard::key(key, down)).await,
            Event::Button { button, down } => self.call(mouse::button(button, down)).await,
            Event::Wheel { dx, dy } => self.wheel(dx, dy).await,
            Event::Move { x, y, frame } => self.move_to(&mut hand, (x, y), frame).await,
            Event::Motion { dx, dy } => self.motion(&mut hand, dx, dy).await,
            Event::Touch { phase, slot, x, y, frame } => {
                self.touch(&mut hand, phase, slot, (x, y), frame).await
            }
            Event::ReleaseAll => return self.release_all(&mut hand).await,
        };
        // Noted even if it failed: to release what never went down does no harm, to forget it would.
        hand.pressed.note(&event);
        sent
    }

    fn facts(&self) -> Facts {
        self.0.facts.lock().clone()
    }

    async fn call(&self, (member, argument): (Member, u32)) -> Result<(), DisplayError> {
        bus::call(&self.0.connection, &self.0.path, member, &argument).await.map(drop)
    }

    async fn wheel(&self, dx: i32, dy: i32) -> Result<(), DisplayError> {
        // Many small calls: only the last is waited for.
        let mut calls = mouse::wheel(dx, dy).peekable();
        while let Some((member, button)) = calls.next() {
            if calls.peek().is_none() {
                return self.call((member, button)).await;
            }
            bus::cast(&self.0.connection, &self.0.path, member, &button).await?;
        }
        Ok(())
    }

    async fn move_to(&self, hand: &mut Hand, at: (u32, u32), frame: (u32, u32)) -> Result<(), DisplayError> {
        if !*self.0.absolute.borrow() {
            return Err(DisplayError::Relative);
        }
        let size = self.size().ok_or(DisplayError::NoPicture)?;
        let to = (rescale(at.0, frame.0, size.width), rescale(at.1, frame.1, size.height));
        hand.at = to;
        bus::call(&self.0.connection, &self.0.path, mouse::SET_ABS_POSITION, &to).await.map(drop)
    }

    async fn motion(&self, hand: &mut Hand, dx: i32, dy: i32) -> Result<(), DisplayError> {
        if !*self.0.absolute.borrow() {
            return bus::call(&self.0.connection, &self.0.path, mouse::REL_MOTION, &(dx, dy)).await.map(drop);
        }
        // A captured pointer on an absolute device: it moves from where it was last put.
        let size = self.size().ok_or(DisplayError::NoPicture)?;
        let moved = |at: u32, by: i32, side: u32| at.saturating_add_signed(by).min(side - 1);
        let to = (moved(hand.at.0, dx, size.width), moved(hand.at.1, dy, size.height));
        self.move_to(hand, to, (size.width, size.height)).await
    }

    async fn touch(
        &self,
        hand: &mut Hand,
        phase: TouchPhase,
        finger: u64,
        at: (f64, f64),
        frame: (u32, u32),
    ) -> Result<(), DisplayError> {
        let size = self.size().ok_or(DisplayError::NoPicture)?;
        let x = touch::scale(at.0, frame.0, size.width)?;
        let y = touch::scale(at.1, frame.1, size.height)?;
        let max = self.facts().max_slots;
        let Some(slot) = hand.slots.slot(phase, finger, max)? else { return Ok(()) };
        if phase == TouchPhase::End {
            // QEMU leaves out where an `end` is (`console_handle_touch_event` in `ui/console.c`), and the last move may have been lost.
            let moved = (touch::kind(TouchPhase::Update), slot, x, y);
            bus::cast(&self.0.connection, &self.0.path, touch::SEND_EVENT, &moved).await?;
        }
        let arguments = (touch::kind(phase), slot, x, y);
        bus::call(&self.0.connection, &self.0.path, touch::SEND_EVENT, &arguments).await.map(drop)
    }

    /// Releases what went down through [`Console::send`], without waiting: the sender may be gone.
    async fn release_all(&self, hand: &mut Hand) -> Result<(), DisplayError> {
        for event in hand.pressed.release() {
            match event {
                Event::Key { key, .. } => self.cast(keyboard::key(key, false)).await?,
                Event::Button { button, .. } => self.cast(mouse::button(button, false)).await?,
                Event::Touch { slot: finger, .. } => {
                    if let Some(slot) = hand.slots.slot(TouchPhase::Cancel, finger, 0)? {
                        let arguments = (touch::kind(TouchPhase::Cancel), slot, 0.0f64, 0.0f64);
                        bus::cast(&self.0.connection, &self.0.path, touch::SEND_EVENT, &arguments).await?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn cast(&self, (member, argument): (Member, u32)) -> Result<(), DisplayError> {
        bus::cast(&self.0.connection, &self.0.path, member, &argument).await
    }
}
