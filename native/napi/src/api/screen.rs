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
use sampan_frame::Size;
use sampan_guest::Guest;
use sampan_input::{Event, Key, TouchPhase};
use sampan_library::VmId;
use sampan_manager::{Error, Sentence, Unfit};
use sampan_ohos::{Ndk, Placement, Scaling, Surface, SurfaceEvent, SurfaceStatus};
use sampan_session::{Command, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The screen of a running machine, while a page shows it.
pub(crate) struct Attached {
    machine: VmId,
    guest: Arc<dyn Guest>,
    session: Arc<Session>,
    /// What draws it; `None` where only input is taken.
    surface: Option<Surface>,
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
    fn placement(&self) -> Option<(Placement, Size)> {
        let guest = self.guest.screen().size()?;
        let scaling = match self.surface.as_ref().map(Surface::status) {
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
        attached.guest.input(event);
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

/// Takes input for the screen of a running machine, on something of `width` × `height` pixels, where nothing is drawn until
/// `screen.draw` gives it a surface. Comes to the screen's id.
#[napi(namespace = "screen", catch_unwind)]
pub fn attach(env: &Env, machine: String, width: u32, height: u32) -> napi::Result<PromiseRaw<'_, String>> {
    promise(env, move |core| async move {
        let size = Mutex::new(size_of(width, height)?);
        let vm = id(&machine)?;
        let machine = core.manager.running(vm).await?;
        core.manager.looked_at(vm);
        let local = machine.local().ok_or_else(|| Error::NotRunning { name: machine.name().to_owned() })?;
        let session = Arc::clone(local.session());
        let guest = session.guest();
        let mut all = core.screens.0.lock();
        all.last += 1;
        let id = all.last.to_string();
        let follows = AtomicBool::new(false);
        let attached = Attached { machine: vm, guest, session, surface: None, size, follows };
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
        let old = Arc::clone(all.open.get(&screen).ok_or_else(gone)?);
        if let Some(drawn) = &old.surface {
            *old.size.lock() = size;
            drawn.attach(surface, Some(size), opaque);
            return Ok(());
        }
        let ndk = all.ndk()?;
        let (guest, name) = (Arc::clone(&old.guest), screen.clone());
        let drawn = Surface::start(ndk, old.guest.screen(), move |event| heard(&guest, &name, &event))?;
        drawn.attach(surface, Some(size), opaque);
        let follows = AtomicBool::new(old.follows.load(Ordering::Relaxed));
        let attached = Attached {
            machine: old.machine,
            guest: Arc::clone(&old.guest),
            session: Arc::clone(&old.session),
            surface: Some(drawn),
            size: Mutex::new(size),
            follows,
        };
        all.open.insert(screen, Arc::new(attached));
        Ok(())
    })
}

/// On the drawing thread, which a panic would end.
fn heard(guest: &Arc<dyn Guest>, screen: &str, event: &SurfaceEvent) {
    let tell = || match event {
        SurfaceEvent::Status(status) => {
            hub().tell(Payload::Screen(ScreenStatus::of(screen.to_owned(), status)));
        }
        SurfaceEvent::Resolution(size) => {
            if attached(screen).is_some_and(|attached| attached.follows.load(Ordering::Relaxed)) {
                guest.resize(*size, (0, 0));
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
    let drawn = surface.as_deref().and_then(|id| surface_id(id).ok()).zip(attached.surface.as_ref());
    match drawn {
        // It tells the resolution once the size has been the same for a moment.
        Some((id, drawn)) => drawn.resize(id, size),
        None if follow => attached.guest.resize(size, (0, 0)),
        None => {}
    }
}

/// The surface is about to be destroyed: nothing draws on it when this returns. It is the one call that waits, for a frame that is
/// being drawn, at most a second: the system destroys the surface when its callback returns.
#[napi(namespace = "screen", catch_unwind)]
pub fn leave(screen: String, surface: String) {
    if let (Some(attached), Ok(id)) = (attached(&screen), surface_id(&surface))
        && let Some(drawn) = &attached.surface
        && !drawn.detach(id)
    {
        log::error!("the surface {id} is still drawn on");
    }
}

/// Shows it no more. What is held down goes up.
#[napi(namespace = "screen", js_name = "detach", catch_unwind)]
pub fn screen_detach(screen: String) {
    let Ok(core) = core() else { return };
    let gone = core.screens.0.lock().open.remove(&screen);
    if let Some(gone) = gone {
        core.manager.looked_at(gone.machine);
        gone.guest.input(Event::ReleaseAll);
        hub().forget_screen(&screen);
        // The drawing thread ends with it, which may take a moment.
        if let Ok(runtime) = runtime() {
            runtime.spawn_blocking(move || drop(gone));
        }
    }
}

/// What a running machine shows now, in full size.
#[napi(namespace = "screen", catch_unwind)]
pub fn screenshot(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, told::Picture>> {
    promise(env, move |core| async move {
        let machine = core.manager.running(id(&machine)?).await?;
        match machine.call(Request::Screenshot { display: None }, &Reporter::new()).await? {
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

/// Fingers, for guests with a touch screen.
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
        attached.guest.input(Event::Touch { phase, slot: point.id.into(), x, y, frame });
    }
}

/// The pointer is at a point of the surface, for guests with an absolute pointing device.
#[napi(namespace = "input", catch_unwind)]
pub fn move_to(screen: String, x: f64, y: f64) {
    let Some(attached) = attached(&screen) else { return };
    if let Some((placement, guest)) = attached.placement()
        && x.is_finite()
        && y.is_finite()
    {
        let (x, y) = placement.nearest_pixel(x, y);
        attached.guest.input(Event::Move { x, y, frame: (guest.width, guest.height) });
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

/// Whatever is down goes up: the page has lost the focus.
#[napi(namespace = "input", catch_unwind)]
pub fn release_all(screen: String) {
    input(&screen, Event::ReleaseAll);
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
