//! A machine's screen as a page shows it, and what a person does on it.

use crate::core::{core, id};
use crate::job::{Job, begin};
use crate::promise::{Failure, promise};
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use parking_lot::Mutex;
use sampan_frame::Size;
use sampan_guest::Guest;
use sampan_input::{Event, Key, TouchPhase};
use sampan_manager::Error;
use sampan_message::Message;
use sampan_session::{Command, Session};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The screen of a running machine, while a page shows it.
pub(crate) struct Attached {
    guest: Arc<dyn Guest>,
    session: Arc<Session>,
    /// The surface's size in pixels.
    surface: Mutex<(u32, u32)>,
}

#[derive(Default)]
struct All {
    last: u64,
    open: BTreeMap<String, Arc<Attached>>,
}

/// The screens that pages show.
#[derive(Default)]
pub(crate) struct Screens(Mutex<All>);

/// A point of the surface as one of the guest's picture, with the picture's size: the picture keeps its proportions, and what is
/// beside it belongs to its nearest edge.
fn placed(surface: (u32, u32), guest: Size, x: f64, y: f64) -> (f64, f64) {
    let (width, height) = (f64::from(guest.width), f64::from(guest.height));
    let (across, down) = (f64::from(surface.0.max(1)), f64::from(surface.1.max(1)));
    let scale = (across / width).min(down / height);
    let inside = |at: f64, whole: f64, of: f64| ((at - (whole - of * scale) / 2.0) / scale).clamp(0.0, of - 1.0);
    (inside(x, across, width), inside(y, down, height))
}

impl Attached {
    fn point(&self, x: f64, y: f64) -> Option<(f64, f64, (u32, u32))> {
        let size = self.guest.screen().size()?;
        let (x, y) = placed(*self.surface.lock(), size, x, y);
        (x.is_finite() && y.is_finite()).then_some((x, y, (size.width, size.height)))
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

/// Shows the screen of a running machine on a surface of `width` × `height` pixels; an empty `surface` shows nothing and takes input
/// alone. Comes to the screen's id.
#[napi(namespace = "screen", catch_unwind)]
pub fn attach(
    env: &Env,
    machine: String,
    surface: String,
    width: u32,
    height: u32,
) -> napi::Result<PromiseRaw<'_, String>> {
    promise(env, move |core| async move {
        if !surface.is_empty() {
            // Drawing comes with the surface of the NDK.
            return Err(Failure::new("no_surface", "this build draws on no surface: only input is taken"));
        }
        let machine = core.manager.running(id(&machine)?).await?;
        let local = machine.local().ok_or_else(|| Error::NotRunning { name: machine.name().to_owned() })?;
        let session = Arc::clone(local.session());
        let attached = Attached { guest: session.guest(), session, surface: Mutex::new((width, height)) };
        let mut all = core.screens.0.lock();
        all.last += 1;
        let id = all.last.to_string();
        all.open.insert(id.clone(), Arc::new(attached));
        Ok(id)
    })
}

/// The surface has another size. With `follow` the guest is asked for a resolution of this size.
#[napi(namespace = "screen", catch_unwind)]
pub fn resize(screen: String, width: u32, height: u32, follow: bool) {
    let Some(attached) = attached(&screen) else { return };
    *attached.surface.lock() = (width, height);
    if follow && let Ok(size) = Size::new(width, height) {
        attached.guest.resize(size, (0, 0));
    }
}

/// Shows it no more. What is held down goes up.
#[napi(namespace = "screen", js_name = "detach", catch_unwind)]
pub fn screen_detach(screen: String) {
    let Ok(core) = core() else { return };
    let gone = core.screens.0.lock().open.remove(&screen);
    if let Some(gone) = gone {
        gone.guest.input(Event::ReleaseAll);
    }
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

/// Fingers, for guests with a touch screen.
#[napi(namespace = "input", catch_unwind)]
pub fn touch(screen: String, points: Vec<Touch>) {
    let Some(attached) = attached(&screen) else { return };
    for point in points {
        let Some((x, y, frame)) = attached.point(point.x, point.y) else { continue };
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
    if let Some((x, y, frame)) = attached.point(x, y) {
        attached.guest.input(Event::Move { x: x as u32, y: y as u32, frame });
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

/// Types a text on a US keyboard: all of it or nothing.
#[napi(namespace = "input", js_name = "text", catch_unwind, ts_return_type = "Job<void>")]
pub fn input_text(screen: String, text: String) -> Job {
    let found = attached(&screen);
    begin("type", "", |_, reporter| async move {
        let gone = || Error::Told(Message::new("screen_gone", "the screen is shown no more"));
        let session = Arc::clone(&found.ok_or_else(gone)?.session);
        let typed = tokio::select! {
            typed = session.execute(Command::Type(text)) => typed,
            () = reporter.cancelled() => return Err(Error::Cancelled),
        };
        typed.map(|_| None).map_err(|error| Error::Told(sampan_message::Coded::message(&error)))
    })
}
