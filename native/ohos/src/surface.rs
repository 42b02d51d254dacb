//! The drawing thread, and what others tell it.

use crate::drawing::{Drawing, Drawn, SurfaceStatus, Target};
use crate::error::OhosError;
use crate::ndk::Ndk;
use crate::pacer::Pacer;
use parking_lot::{Condvar, Mutex};
use sampan_frame::{Screen, Size};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long [`Surface::detach`] waits for the window to be closed: longer than one request and one fence may take, and far shorter
/// than the six seconds after which the system ends an app whose main thread stands still.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);

/// How long a surface must have kept its size before the guest is asked for it. Without it a window that is dragged would ask for
/// sixty resolutions a second, and each is a new mode for the guest.
const FOLLOW_AFTER: Duration = Duration::from_millis(200);

/// What the drawing thread tells.
#[derive(Clone, Debug, PartialEq)]
pub enum SurfaceEvent {
    /// The status changed.
    Status(SurfaceStatus),
    /// The surface has had this size in pixels for a moment: the guest should get this resolution, if it is to follow.
    Resolution(Size),
}

type Listener = Box<dyn Fn(SurfaceEvent) + Send>;

/// Draws one screen on one surface at a time, whichever was attached last.
///
/// No call draws or waits, but for [`Surface::detach`] and dropping, which wait a second at most. They may be made by any thread, in any
/// order and for surfaces that are long gone.
pub struct Surface {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    target: Option<Target>,
    /// How often the target was replaced, and up to which of these the thread has come.
    orders: u64,
    carried_out: u64,
    size: Option<Size>,
    /// The picture changed.
    changed: bool,
    /// A vsync came.
    tick: bool,
    stop: bool,
    ended: bool,
    status: SurfaceStatus,
    drawn: Drawn,
}

impl std::fmt::Debug for Surface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surface").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Surface {
    /// Starts a drawing thread for a screen, without a surface. `listener` is called on that thread, with no lock held, and must be
    /// quick: nothing is drawn meanwhile.
    ///
    /// # Errors
    /// [`OhosError::NoThread`].
    pub fn start(
        ndk: Ndk,
        screen: Arc<Screen>,
        listener: impl Fn(SurfaceEvent) + Send + 'static,
    ) -> Result<Self, OhosError> {
        let state = State {
            target: None,
            orders: 0,
            carried_out: 0,
            size: None,
            changed: false,
            tick: false,
            stop: false,
            ended: false,
            status: SurfaceStatus::Detached,
            drawn: Drawn::default(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() });
        let of_thread = shared.clone();
        std::thread::Builder::new()
            .name("sampan-surface".into())
            .spawn(move || {
                let _ended = Ended(of_thread.clone());
                run(&of_thread, ndk, &screen, &(Box::new(listener) as Listener));
            })
            .map_err(OhosError::NoThread)?;
        Ok(Self { shared })
    }

    /// Draws on this surface from now on, in place of any other. `size` is the surface's in pixels; `opaque` says that the
    /// compositor ignores the fourth byte of a pixel (`isOpaque` of the component's surface configuration, API 22), which saves a
    /// pass over every pixel.
    pub fn attach(&self, surface: u64, size: Option<Size>, opaque: bool) {
        self.shared.tell(|state| {
            state.target = Some(Target { surface, opaque });
            state.orders += 1;
            state.size = size;
        });
    }

    /// The surface has another size in pixels. Ignored for any but the attached one, whose notice comes late.
    pub fn resize(&self, surface: u64, size: Size) {
        self.shared.tell(|state| {
            if state.target.is_some_and(|target| target.surface == surface) {
                state.size = Some(size);
            }
        });
    }

    /// Closes the window of this surface and returns when that is done: its owner may destroy it then. Ignored for any but the attached
    /// one. Returns `false` if the window is still in use after a second, because the system does not answer; drawing on it
    /// fails then as soon as it is destroyed.
    pub fn detach(&self, surface: u64) -> bool {
        let mut state = self.shared.state.lock();
        if state.target.is_some_and(|target| target.surface == surface) {
            state.target = None;
            state.size = None;
            state.orders += 1;
            self.shared.wake.notify_all();
        }
        let (orders, end) = (state.orders, Instant::now() + RELEASE_LIMIT);
        while state.carried_out < orders && !state.ended {
            if self.shared.wake.wait_until(&mut state, end).timed_out() {
                return state.carried_out >= orders || state.ended;
            }
        }
        true
    }

    /// How the surface is now.
    pub fn status(&self) -> SurfaceStatus {
        self.shared.state.lock().status.clone()
    }

    /// What was drawn so far, on all surfaces.
    pub fn drawn(&self) -> Drawn {
        self.shared.state.lock().drawn
    }
}

impl Drop for Surface {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.stop = true;
        self.shared.wake.notify_all();
        let end = Instant::now() + RELEASE_LIMIT;
        while !state.ended && !self.shared.wake.wait_until(&mut state, end).timed_out() {}
    }
}

impl Shared {
    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        drop(state);
        self.wake.notify_all();
    }
}

/// Says that the thread has ended, however it did.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.tell(|state| state.ended = true);
    }
}

/// When the guest is told the surface's size.
#[derive(Default)]
struct Follow {
    seen: Option<Size>,
    told: Option<Size>,
    at: Option<Instant>,
}

impl Follow {
    /// Notes the size of now. Returns the size to tell.
    fn look(&mut self, size: Option<Size>, now: Instant) -> Option<Size> {
        if self.seen != size {
            self.seen = size;
            // The first of all is told at once.
            let wait = if self.told.is_some() { FOLLOW_AFTER } else { Duration::ZERO };
            self.at = size.filter(|&size| self.told != Some(size)).map(|_| now + wait);
        }
        self.at.take_if(|at| *at <= now)?;
        self.told = size;
        size
    }
}

fn run(shared: &Arc<Shared>, ndk: Ndk, screen: &Arc<Screen>, listener: &Listener) {
    let (by_change, by_vsync) = (shared.clone(), shared.clone());
    let consumer = screen.attach(Box::new(move || by_change.tell(|state| state.changed = true)));
    let mut pacer = Pacer::new(&ndk, move || by_vsync.tell(|state| state.tick = true));
    let mut drawing = Drawing::new(ndk, consumer);
    let mut follow = Follow::default();
    let mut again: Option<Instant> = None;
    loop {
        let mut state = shared.state.lock();
        let (order, resolution) = loop {
            if state.stop {
                return;
            }
            let now = Instant::now();
            if std::mem::take(&mut state.tick) {
                pacer.open();
            }
            let resolution = follow.look(state.size, now);
            let order = (state.carried_out != state.orders).then_some((state.orders, state.target));
            let has_work = state.changed || again.is_some_and(|again| again <= now);
            let closed_until = pacer.closed_until(now);
            if order.is_some() || resolution.is_some() || has_work && closed_until.is_none() {
                break (order, resolution);
            }
            let next = if has_work { closed_until } else { again };
            match [next, follow.at].into_iter().flatten().min() {
                Some(until) => drop(shared.wake.wait_until(&mut state, until)),
                None => shared.wake.wait(&mut state),
            }
        };
        drop(state);

        let now = Instant::now();
        if let Some((_, target)) = order {
            drawing.aim(target, now);
        }
        if order.is_some() || pacer.closed_until(now).is_none() {
            // Before the picture is looked at: what changes meanwhile is seen in the next turn.
            shared.state.lock().changed = false;
            let turn = drawing.turn(now);
            again = turn.again;
            if turn.drew {
                pacer.close(now);
            }
        }
        let mut state = shared.state.lock();
        if let Some((orders, _)) = order {
            state.carried_out = orders;
            shared.wake.notify_all();
        }
        state.drawn = drawing.drawn();
        let news = (state.status != *drawing.status()).then(|| drawing.status().clone());
        if let Some(news) = &news {
            state.status = news.clone();
        }
        drop(state);
        if let Some(status) = news {
            listener(SurfaceEvent::Status(status));
        }
        if let Some(size) = resolution {
            listener(SurfaceEvent::Resolution(size));
        }
    }
}
