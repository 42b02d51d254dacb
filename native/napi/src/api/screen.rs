//! A machine's screen as a page shows it, and what a person does on it.

use super::presets::invalid;
use crate::core::{core, hub, id, runtime};
use crate::events::Payload;
use crate::job::{Job, begin};
use crate::promise::{Failure, promise};
use crate::types as told;
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use parking_lot::Mutex;
use sampan_control::{Reply, Reporter, Request};
use sampan_frame::{Screen, Size};
use sampan_guest::{Guest, Watched};
use sampan_input::{Event, Key, Pressed, TouchPhase};
use sampan_library::VmId;
use sampan_manager::{Error, Sentence, Unfit};
use sampan_ohos::{Ndk, Placement, Scaling, Surface, SurfaceEvent, SurfaceStatus};
use sampan_session::{Command, CommandError, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A display of a running machine, while a page shows it.
pub(crate) struct Attached {
    machine: VmId,
    guest: Arc<dyn Guest>,
    session: Arc<Session>,
    /// Its number, from 0.
    display: usize,
    /// Keeps its picture up to date, and one beyond the first connected.
    watched: Watched,
    /// What is held down on this page.
    pressed: Mutex<Pressed>,
    /// What draws it; unset where only input is taken.
    surface: OnceLock<Surface>,
    /// The size in pixels of what it is shown on.
    size: Mutex<Size>,
    /// Whether the guest is asked for a resolution of that size.
    follows: AtomicBool,
}

#[derive(Default)]
struct All {
    last: u64,
    open: BTreeMap<String, Arc<Attached>>,
    ndk: Option<Ndk>,
}

/// The screens that pages show.
#[derive(Default)]
pub(crate) struct Screens(Mutex<All>);

impl Screens {
    /// The machines that pages show.
    pub(crate) fn machines(&self) -> BTreeSet<VmId> {
        self.0.lock().open.values().map(|attached| attached.machine).collect()
    }
}

impl Attached {
    fn screen(&self) -> &Arc<Screen> {
        self.watched.screen()
    }

    fn input(&self, event: Event) {
        // Held until the queue has it: what is released is what was pressed before.
        let mut pressed = self.pressed.lock();
        pressed.note(&event);
        self.guest.input_on(self.display, event);
    }

    /// Lets go of what is held down here. `alone` says that no other page shows the machine: then nothing may stay down at all.
    fn release(&self, alone: bool) {
        if alone {
            self.input(Event::ReleaseAll);
            return;
        }
        let mut pressed = self.pressed.lock();
        for event in pressed.release() {
            self.guest.input_on(self.display, event);
        }
    }

    fn request_size(&self, size: Size) {
        self.guest.resize_on(self.display, size, (0, 0));
    }

    /// A display beyond the first is dark until somebody asks for a size of it: the page's, also where the guest is not to follow that.
    fn connect(&self) {
        if self.is_dark() {
            self.request_size(*self.size.lock());
        }
    }

    fn is_dark(&self) -> bool {
        self.display > 0 && self.screen().size().is_none()
    }

    fn placement(&self) -> Option<(Placement, Size)> {
        let guest = self.screen().size()?;
        let scaling = match self.surface.get().map(Surface::status) {
            Some(SurfaceStatus::Showing { scaling, .. }) => scaling,
            _ => Scaling::Fit,
        };
        Some((Placement::new(*self.size.lock(), guest, scaling), guest))
    }
}

/// An attached screen, for calls that tell nothing if it is none: its page is about to go.
fn attached(screen: &str) -> Option<Arc<Attached>> {
    core().ok()?.screens.0.lock().open.get(screen).cloned()
}

fn input(screen: &str, event: Event) {
    if let Some(attached) = attached(screen) {
        attached.input(event);
    }
}

/// The state of what a screen is drawn on.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScreenState {
    /// There is no surface.
    Detached,
    /// A surface is there and is being opened.
    Attaching,
    /// The guest shows nothing: what was drawn last is still there, for the page to cover.
    Blank,
    /// The picture is drawn, and each change of it.
    Showing,
    /// A frame could not be drawn; it is tried again.
    Retrying,
    /// The surface has ended. Another one has to be attached.
    Lost,
}

/// What becomes of a screen.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct ScreenStatus {
    /// The screen's id.
    pub screen: String,
    /// Its state.
    pub state: ScreenState,
    /// The guest's width in pixels, while it is shown.
    pub width: Option<u32>,
    /// The guest's height in pixels.
    pub height: Option<u32>,
    /// Why it is tried again, or lost.
    pub why: Option<told::Message>,
}

impl ScreenStatus {
    fn of(screen: String, status: &SurfaceStatus) -> Self {
        let (state, size, why) = match status {
            SurfaceStatus::Detached => (ScreenState::Detached, None, None),
            SurfaceStatus::Attaching => (ScreenState::Attaching, None, None),
            SurfaceStatus::Blank => (ScreenState::Blank, None, None),
            SurfaceStatus::Showing { size, .. } => (ScreenState::Showing, Some(*size), None),
            SurfaceStatus::Retrying(why) => (ScreenState::Retrying, None, Some(why)),
            SurfaceStatus::Lost(why) => (ScreenState::Lost, None, Some(why)),
        };
        let (width, height) = (size.map(|size| size.width), size.map(|size| size.height));
        Self { screen, state, width, height, why: why.map(told::Message::from) }
    }
}

impl All {
    /// Whether no page but this one shows a machine.
    fn is_alone(&self, screen: &str, machine: VmId) -> bool {
        self.open.iter().all(|(id, other)| id == screen || other.machine != machine)
    }

    /// The NDK, which is loaded when something is first drawn.
    fn ndk(&mut self) -> Result<Ndk, Failure> {
        if let Some(ndk) = &self.ndk {
            return Ok(ndk.clone());
        }
        let ndk = Ndk::load()?;
        self.ndk = Some(ndk.clone());
        Ok(ndk)
    }
}

fn size_of(width: u32, height: u32) -> Result<Size, Failure> {
    Size::new(width, height).map_err(|error| invalid("width", &Unfit::NoSize { why: error.to_string() }))
}

/// A surface's id, as `XComponentController.getXComponentSurfaceId` gives it.
fn surface_id(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| invalid("surface", &Unfit::NoSurfaceId))
}

/// A display's number from 0, of one that counts from 1 as persons do.
fn display_of(number: Option<u32>) -> Result<usize, Failure> {
    let number =
        NonZeroU32::new(number.unwrap_or(1)).ok_or_else(|| invalid("display", &Unfit::NoDisplayNumber))?;
    // A number that no computer could count to is none of its displays either.
    Ok(usize::try_from(number.get() - 1).unwrap_or(usize::MAX - 1))
}

/// Takes input for a display of a running machine, on something of `width` × `height` pixels, where nothing is drawn until
/// `screen.draw` gives it a surface. `display` counts from 1; the first one if it is left out. A display beyond the first that is dark is
/// connected with this size, and goes dark again some seconds after whoever shows it has gone. Several may be shown at once. Comes to the
/// screen's id; rejects with `no_display` if the machine has none of this number.
#[napi(namespace = "screen", catch_unwind)]
pub fn attach(
    env: &Env,
    machine: String,
    width: u32,
    height: u32,
    display: Option<u32>,
) -> napi::Result<PromiseRaw<'_, String>> {
    promise(env, move |core| async move {
        let size = Mutex::new(size_of(width, height)?);
        let display = display_of(display)?;
        let vm = id(&machine)?;
        let machine = core.manager.running(vm).await?;
        core.manager.looked_at(vm);
        let local = machine.local().ok_or_else(|| Error::NotRunning { name: machine.name().to_owned() })?;
        let session = Arc::clone(local.session());
        let guest = session.guest();
        let none = CommandError::NoDisplay { display, count: guest.displays().len() };
        let watched = guest.watch(display).ok_or(none)?;
        let attached = Attached {
            machine: vm,
            guest,
            session,
            display,
            watched,
            pressed: Mutex::default(),
            surface: OnceLock::new(),
            size,
            follows: AtomicBool::new(false),
        };
        attached.connect();
        let mut all = core.screens.0.lock();
        all.last += 1;
        let id = all.last.to_string();
        all.open.insert(id.clone(), Arc::new(attached));
        Ok(id)
    })
}

/// Draws a screen on a surface, in the place of the one it was drawn on. `opaque` says that the surface was configured so; else the
/// picture's alpha is written. What becomes of it is told as `screen` events.
#[napi(namespace = "screen", catch_unwind)]
pub fn draw(
    env: &Env,
    screen: String,
    surface: String,
    width: u32,
    height: u32,
    opaque: bool,
) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        let (surface, size) = (surface_id(&surface)?, size_of(width, height)?);
        let mut all = core.screens.0.lock();
        let gone = || Failure::saying(&Sentence::ScreenGone);
        let attached = Arc::clone(all.open.get(&screen).ok_or_else(gone)?);
        *attached.size.lock() = size;
        if attached.surface.get().is_none() {
            let ndk = all.ndk()?;
            let drawn = Surface::start(ndk, attached.screen().clone(), move |event| heard(&screen, &event))?;
            // No other call has set one: this holds the lock of all of them.
            let _ = attached.surface.set(drawn);
        }
        if let Some(drawn) = attached.surface.get() {
            drawn.attach(surface, Some(size), opaque);
        }
        attached.connect();
        Ok(())
    })
}

/// On the drawing thread, which a panic would end.
fn heard(screen: &str, event: &SurfaceEvent) {
    let tell = || match event {
        SurfaceEvent::Status(status) => {
            hub().tell(Payload::Screen(ScreenStatus::of(screen.to_owned(), status)));
        }
        SurfaceEvent::Resolution(size) => {
            if let Some(attached) = attached(screen)
                && (attached.follows.load(Ordering::Relaxed) || attached.is_dark())
            {
                attached.request_size(*size);
            }
        }
    };
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(tell)).is_err() {
        log::error!("what became of a screen could not be told");
    }
}

/// What a screen is shown on has another size. With `follow` the guest is asked for a resolution of this size, now and later.
#[napi(namespace = "screen", catch_unwind)]
pub fn resize(screen: String, surface: Option<String>, width: u32, height: u32, follow: bool) {
    let (Some(attached), Ok(size)) = (attached(&screen), Size::new(width, height)) else { return };
    *attached.size.lock() = size;
    attached.follows.store(follow, Ordering::Relaxed);
    let drawn = surface.as_deref().and_then(|id| surface_id(id).ok()).zip(attached.surface.get());
    match drawn {
        // It tells the resolution once the size has been the same for a moment.
        Some((id, drawn)) => drawn.resize(id, size),
        None if follow => attached.request_size(size),
        None => attached.connect(),
    }
}

/// The surface is about to be destroyed: nothing draws on it when this returns. It is the one call that waits, for a frame that is
/// being drawn, at most a second: the system destroys the surface when its callback returns.
#[napi(namespace = "screen", catch_unwind)]
pub fn leave(screen: String, surface: String) {
    if let (Some(attached), Ok(id)) = (attached(&screen), surface_id(&surface))
        && let Some(drawn) = attached.surface.get()
        && !drawn.detach(id)
    {
        log::error!("the surface {id} is still drawn on");
    }
}

/// Shows it no more. What is held down there goes up.
#[napi(namespace = "screen", js_name = "detach", catch_unwind)]
pub fn screen_detach(screen: String) {
    let Ok(core) = core() else { return };
    let (gone, alone) = {
        let mut all = core.screens.0.lock();
        let gone = all.open.remove(&screen);
        let alone = gone.as_ref().is_none_or(|gone| all.is_alone(&screen, gone.machine));
        (gone, alone)
    };
    if let Some(gone) = gone {
        core.manager.looked_at(gone.machine);
        gone.release(alone);
        hub().forget_screen(&screen);
        // The drawing thread ends with it, which may take a moment.
        if let Ok(runtime) = runtime() {
            runtime.spawn_blocking(move || drop(gone));
        }
    }
}

/// What a display of a running machine shows now, in full size: the first one if `display` is left out. Rejects with `no_picture` while that
/// is dark.
#[napi(namespace = "screen", catch_unwind)]
pub fn screenshot(
    env: &Env,
    machine: String,
    display: Option<u32>,
) -> napi::Result<PromiseRaw<'_, told::Picture>> {
    promise(env, move |core| async move {
        display_of(display)?;
        let display = display.and_then(NonZeroU32::new);
        let machine = core.manager.running(id(&machine)?).await?;
        match machine.call(Request::Screenshot { display }, &Reporter::new()).await? {
            Reply::Picture(picture) => Ok(picture.into()),
            _ => Err(Error::Thread.into()),
        }
    })
}

/// Writes what a running machine shows into a file that a picker has opened for writing, as PNG; how many bytes it has.
#[napi(namespace = "screen", catch_unwind)]
pub fn screenshot_to(env: &Env, machine: String, file: told::FileRef) -> napi::Result<PromiseRaw<'_, i64>> {
    let lent = file.lend();
    promise(env, move |core| async move {
        Ok(told::int(core.manager.screenshot_to_lent(id(&machine)?, lent?).await?))
    })
}

/// What a finger does.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// It touches.
    Down,
    /// It moves.
    Move,
    /// It lets go.
    Up,
    /// The system took it away.
    Cancel,
}

/// A finger on the surface.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct Touch {
    /// Which finger.
    pub id: u32,
    /// What it does.
    pub phase: Phase,
    /// Pixels from the surface's left edge.
    pub x: f64,
    /// Pixels from its top edge.
    pub y: f64,
}

/// Holds the mouse pointer where it is, or lets it go: how far the mouse moves is told to the page all the same. `window` is the id that the
/// system gives the window; when that loses the focus the system lets the pointer go by itself. Rejects with `no_pointer_lock` where
/// the system has nothing of the kind, and with `pointer_not_locked`.
#[napi(namespace = "input", catch_unwind)]
pub fn lock_pointer(env: &Env, window: i32, on: bool) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |_| async move {
        // It waits for the thread that this call came from.
        let set = move || sampan_ohos::CursorLock::load()?.set(window, on);
        tokio::task::spawn_blocking(set).await.map_err(|_| Error::Thread)??;
        Ok(())
    })
}

/// Fingers, for guests with a touch screen. They are on the screen's display.
#[napi(namespace = "input", catch_unwind)]
pub fn touch(screen: String, points: Vec<Touch>) {
    let Some(attached) = attached(&screen) else { return };
    let Some((placement, guest)) = attached.placement() else { return };
    let frame = (guest.width, guest.height);
    for point in points {
        // A finger beside the picture touches nothing, but one that was put down on it may go there.
        let at = match point.phase {
            Phase::Down => placement.to_guest(point.x, point.y),
            _ => {
                let (x, y) = placement.nearest_pixel(point.x, point.y);
                Some((f64::from(x), f64::from(y)))
            }
        };
        let Some((x, y)) = at else { continue };
        let phase = match point.phase {
            Phase::Down => TouchPhase::Begin,
            Phase::Move => TouchPhase::Update,
            Phase::Up => TouchPhase::End,
            Phase::Cancel => TouchPhase::Cancel,
        };
        attached.input(Event::Touch { phase, slot: point.id.into(), x, y, frame });
    }
}

/// The pointer is at a point of the surface, for guests with an absolute pointing device: on the screen's display.
#[napi(namespace = "input", catch_unwind)]
pub fn move_to(screen: String, x: f64, y: f64) {
    let Some(attached) = attached(&screen) else { return };
    if let Some((placement, guest)) = attached.placement()
        && x.is_finite()
        && y.is_finite()
    {
        let (x, y) = placement.nearest_pixel(x, y);
        attached.input(Event::Move { x, y, frame: (guest.width, guest.height) });
    }
}

/// The pointer moved by so many pixels, for guests with a relative pointing device.
#[napi(namespace = "input", catch_unwind)]
pub fn move_by(screen: String, dx: i32, dy: i32) {
    input(&screen, Event::Motion { dx, dy });
}

/// A button of a pointing device.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Button {
    /// The main one.
    Left,
    /// The wheel's.
    Middle,
    /// That of menus.
    Right,
    /// At the side: back.
    Side,
    /// At the side: forward.
    Extra,
}

/// A button goes down or up.
#[napi(namespace = "input", catch_unwind)]
pub fn button(screen: String, button: Button, down: bool) {
    let button = match button {
        Button::Left => sampan_input::Button::Left,
        Button::Middle => sampan_input::Button::Middle,
        Button::Right => sampan_input::Button::Right,
        Button::Side => sampan_input::Button::Side,
        Button::Extra => sampan_input::Button::Extra,
    };
    input(&screen, Event::Button { button, down });
}

/// The wheel turns, in notches: positive to the right, and towards the person.
#[napi(namespace = "input", catch_unwind)]
pub fn wheel(screen: String, dx: i32, dy: i32) {
    input(&screen, Event::Wheel { dx, dy });
}

/// A key goes down or up. `code` is OpenHarmony's `KeyCode`; one that no guest knows is left out.
#[napi(namespace = "input", catch_unwind)]
pub fn key(screen: String, code: u32, down: bool) {
    if let Some(key) = u16::try_from(code).ok().and_then(Key::from_ohos) {
        input(&screen, Event::Key { key, down });
    }
}

/// Whatever is down goes up: the page has lost the focus. Where other pages show the machine, too, what is held down on those stays.
#[napi(namespace = "input", catch_unwind)]
pub fn release_all(screen: String) {
    let Ok(core) = core() else { return };
    let all = core.screens.0.lock();
    let Some(attached) = all.open.get(&screen) else { return };
    attached.release(all.is_alone(&screen, attached.machine));
}

/// Types a text on the guest's keyboard, by the layout that its machine's settings name (`input.layout`): all of it or nothing.
#[napi(namespace = "input", js_name = "text", catch_unwind, ts_return_type = "Job<void>")]
pub fn input_text(screen: String, text: String) -> Job {
    let found = attached(&screen);
    begin("type", "", |_, reporter| async move {
        let gone = || Error::saying(&Sentence::ScreenGone);
        let session = Arc::clone(&found.ok_or_else(gone)?.session);
        let typed = tokio::select! {
            typed = session.execute(Command::Type(text)) => typed,
            () = reporter.cancelled() => return Err(Error::Cancelled),
        };
        typed.map(|_| None).map_err(|error| Error::Told(sampan_message::Coded::message(&error)))
    })
}
