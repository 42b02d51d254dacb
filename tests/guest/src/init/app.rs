//! The guest's one loop: screen, input devices, port and clock.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use tiny_guest::desk::{self, Desk};
use tiny_guest::protocol::{Command, Message, Request, State, VERSION, Workload};

use crate::display::Surface;
use crate::drm::Output;
use crate::framebuffer::Framebuffer;
use crate::input::{Event, Inputs};
use crate::machine::{self, End};
use crate::modules::Modules;
use crate::picture::Picture;
use crate::port::{Incoming, Port};
use crate::remap;
use crate::share;
use crate::sound;
use crate::uevent::Uevents;
use crate::{Failure, console};

const SECOND: u64 = 1_000_000_000;
/// Tokens of the poll set; input devices count up from 0.
const UEVENTS: u64 = u64::MAX;
const PORT: u64 = u64::MAX - 1;

/// Everything but the screen.
struct App {
    epoll: OwnedFd,
    modules: Modules,
    uevents: Uevents,
    inputs: Inputs,
    port: Option<Port>,
    picture: Picture,
    workload: Workload,
    fps: u32,
    /// When the next frame of a workload that plays by itself is due.
    next_frame: u64,
    size: (u32, u32),
    /// The sizes of displays beyond the first, to its right.
    further: Vec<(u32, u32)>,
    driver: String,
    greeted: bool,
    key: Option<(u16, bool)>,
    wheel: [i32; 2],
    /// The workload or its frame rate was changed, or the desk cleared: paint all.
    repaint: bool,
}

/// Runs the guest.
pub fn run(modules: Modules, uevents: Uevents) -> Result<Infallible, Failure> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &uevents, epoll::EventData::new_u64(UEVENTS), epoll::EventFlags::IN)?;
    let mut app = App {
        epoll,
        modules,
        uevents,
        inputs: Inputs::default(),
        port: None,
        picture: Picture::new(),
        workload: Workload::Desk,
        fps: 0,
        next_frame: 0,
        size: (0, 0),
        further: Vec::new(),
        driver: String::new(),
        greeted: false,
        key: None,
        wheel: [0; 2],
        repaint: true,
    };
    app.look_for_devices();
    loop {
        if let Some(output) = Output::find() {
            app.driver = output.driver().to_owned();
            let mut shown = None;
            loop {
                match output.preferred()? {
                    // Setting a mode is cheap to try again: the display tells when it changes once more.
                    Some(mode) => output.show(mode, &mut shown, |screen| {
                        app.on_screen(screen, || output.preferred().is_ok_and(|now| now == Some(mode)))
                    })??,
                    None => app.serve(None, || false)?,
                }
            }
        } else if let Some(mut screen) = Framebuffer::find() {
            app.driver = screen.driver().to_owned();
            app.on_screen(&mut screen, || Output::find().is_none())?;
        } else {
            console::say("sampan-guest: no display yet");
            app.serve(None, || false)?;
        }
    }
}

impl App {
    /// Serves a new screen until `stays` says that the display wants something else.
    fn on_screen(&mut self, surface: &mut dyn Surface, stays: impl Fn() -> bool) -> Result<(), Failure> {
        self.size = surface.size();
        self.further = surface.further();
        self.inputs.clamp(self.desktop());
        self.repaint = true;
        self.paint_all(surface)?;
        let [width, height] = [self.size.0, self.size.1];
        let what = if std::mem::replace(&mut self.greeted, true) { "screen" } else { "ready" };
        console::say(&format!("sampan-guest {what} {width}x{height}"));
        let t = machine::now();
        self.tell(&Message::Size { size: [width, height], t });
        self.look_further(surface);
        self.serve(Some(surface), stays)
    }

    /// All displays together, side by side: what a pointer moves on.
    fn desktop(&self) -> (u32, u32) {
        let all = || std::iter::once(&self.size).chain(&self.further);
        (all().map(|size| size.0).sum(), all().map(|size| size.1).max().unwrap_or(0))
    }

    /// The display beyond the first that a pixel of the desktop is on, and the column where that begins; `None` for the first.
    fn further_at(&self, at: (u32, u32)) -> Option<(usize, u32)> {
        let mut left = self.size.0;
        for (which, size) in self.further.iter().enumerate() {
            if (left..left + size.0).contains(&at.0) {
                return Some((which, left));
            }
            left += size.0;
        }
        None
    }

    fn look_further(&mut self, surface: &mut dyn Surface) {
        if !surface.look_further() {
            return;
        }
        self.further = surface.further();
        self.inputs.clamp(self.desktop());
        let displays =
            std::iter::once(&self.size).chain(&self.further).map(|size| [size.0, size.1]).collect();
        self.tell(&Message::Displays { displays, t: machine::now() });
    }

    /// Draws what belongs to displays beyond the first, and leaves the rest.
    fn draw_further(&self, events: &mut Vec<Event>, surface: &mut dyn Surface) {
        events.retain(|event| {
            let (from, at, pen) = match *event {
                Event::Pointer { from, at, held, buttons } => {
                    let pen = desk::PENS.get(buttons.trailing_zeros() as usize).copied();
                    (if held & buttons == 0 { at } else { from }, at, pen)
                }
                Event::Touch { from, at, down, .. } => (from, at, down.then_some(desk::FINGER)),
                Event::Key { .. } | Event::Wheel { .. } => return true,
            };
            let Some((which, left)) = self.further_at(at) else { return true };
            if let Some(pen) = pen {
                // A stroke that comes from another display begins where it enters this one.
                let from = if self.further_at(from) == Some((which, left)) { from } else { at };
                surface.stroke_further(which, (from.0 - left, from.1), (at.0 - left, at.1), pen);
            }
            false
        });
    }

    /// Waits and answers until `stays` says no after the display changed.
    fn serve<'s>(
        &mut self,
        mut surface: Option<&mut (dyn Surface + 's)>,
        stays: impl Fn() -> bool,
    ) -> Result<(), Failure> {
        if surface.is_none() {
            self.size = (0, 0);
            self.further.clear();
        }
        let mut ready = Vec::with_capacity(16);
        let mut events = Vec::new();
        loop {
            if let Some(surface) = surface.as_deref_mut() {
                self.paint_due(surface)?;
            }
            if let Some(port) = &mut self.port {
                port.flush(machine::now());
            }
            ready.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut ready), self.timeout().as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(format!("cannot wait for events: {error}").into()),
            }
            let mut display = false;
            for event in &ready {
                match event.data.u64() {
                    UEVENTS => display |= self.take_uevents(),
                    PORT => self.take_port({ event.flags }.contains(epoll::EventFlags::HUP)),
                    token => self.inputs.read(token, self.desktop(), &mut events),
                }
            }
            if !events.is_empty() {
                self.take_events(&events, surface.as_deref_mut())?;
                events.clear();
            }
            if display {
                if !stays() {
                    return Ok(());
                }
                if let Some(surface) = surface.as_deref_mut() {
                    self.look_further(surface);
                }
            }
        }
    }

    /// Until when to sleep; `None` for ever.
    fn timeout(&self) -> Option<Timespec> {
        let port = self.port.as_ref().and_then(Port::due);
        let screen = match self.workload {
            _ if self.size == (0, 0) => None,
            _ if self.repaint => Some(0),
            Workload::Desk => Some((machine::now() / SECOND + 1) * SECOND),
            Workload::Idle => None,
            Workload::Glyph if self.fps == 0 => None,
            _ => Some(self.next_frame),
        };
        let due = match (port, screen) {
            (Some(a), Some(b)) => a.min(b),
            (due, None) | (None, due) => due?,
        };
        let left = due.saturating_sub(machine::now());
        // Both parts are far below the limits of their types.
        Some(Timespec { tv_sec: (left / SECOND) as i64, tv_nsec: (left % SECOND) as _ })
    }

    /// Paints everything if it must be.
    fn paint_all(&mut self, surface: &mut dyn Surface) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.repaint, false) {
            return Ok(());
        }
        let machine = format!("{} {}", std::env::consts::ARCH, self.driver);
        let paint = self.picture.start(surface, self.workload, &machine, self.inputs.at)?;
        self.log(paint);
        // Only a screen that shows something has a cursor plane to ask for.
        let plane = surface.move_pointer(self.inputs.at.0, self.inputs.at.1);
        if plane != self.picture.plane {
            self.picture.plane = plane;
            let paint = self.picture.start(surface, self.workload, &machine, self.inputs.at)?;
            self.log(paint);
        }
        self.next_frame = machine::now();
        Ok(())
    }

    /// Paints what the time asks for.
    fn paint_due(&mut self, surface: &mut dyn Surface) -> Result<(), Failure> {
        self.paint_all(surface)?;
        let now = machine::now();
        let at = self.inputs.at;
        let paint = match self.workload {
            Workload::Idle => None,
            Workload::Desk => self.picture.tick(surface, now / SECOND, at)?,
            Workload::Glyph if self.fps == 0 => None,
            _ if self.next_frame > now => None,
            workload => {
                // A frame that comes too late is not made up for.
                let period = if self.fps == 0 { 0 } else { SECOND / u64::from(self.fps) };
                self.next_frame = (self.next_frame + period).max(now);
                self.picture.play(surface, workload, at)?
            }
        };
        self.log(paint);
        Ok(())
    }

    /// Whether something happened to a display.
    fn take_uevents(&mut self) -> bool {
        let changes = self.uevents.changes();
        if !changes.modaliases.is_empty() {
            self.modules.load_for_devices(changes.modaliases);
        }
        if changes.devices {
            self.look_for_devices();
        }
        changes.display
    }

    fn look_for_devices(&mut self) {
        let epoll = &self.epoll;
        self.inputs.rescan(|device, token| {
            if let Err(error) =
                epoll::add(epoll, device, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
            {
                console::say(&format!("sampan-guest: cannot watch an input device: {error}"));
            }
        });
        if self.port.is_none()
            && let Some(port) = Port::find()
        {
            // Edges, because "the host has not opened it" is a state that lasts.
            let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
            match epoll::add(&self.epoll, port.as_fd(), epoll::EventData::new_u64(PORT), flags) {
                Ok(()) => self.port = Some(port),
                Err(error) => console::say(&format!("sampan-guest: cannot watch the port: {error}")),
            }
        }
    }

    fn take_events<'s>(
        &mut self,
        events: &[Event],
        mut surface: Option<&mut (dyn Surface + 's)>,
    ) -> Result<(), Failure> {
        let t = machine::now();
        for event in events {
            let message = match *event {
                Event::Key { code, down } => {
                    self.key = Some((code, down));
                    self.picture.desk.take_key(code, down);
                    Message::Key { key: code, down, t }
                }
                Event::Pointer { at, buttons, .. } => Message::Pointer { pointer: [at.0, at.1], buttons, t },
                Event::Wheel { right, up } => {
                    self.wheel = [self.wheel[0].wrapping_add(right), self.wheel[1].wrapping_add(up)];
                    Message::Wheel { wheel: [right, up], t }
                }
                Event::Touch { slot, at, down, .. } => {
                    Message::Touch { touch: slot, down, at: [at.0, at.1], t }
                }
            };
            self.tell(&message);
            if let Event::Key { code, down: true } = *event {
                if code == tiny_guest::keymap::code::POWER {
                    self.end(End::PowerOff);
                }
                if let Some(surface) = surface.as_deref_mut()
                    && self.workload == Workload::Glyph
                {
                    let paint = self.picture.glyph(surface, code, self.inputs.at)?;
                    self.log(paint);
                }
            }
        }
        let Some(surface) = surface else { return Ok(()) };
        if events.iter().any(|event| matches!(event, Event::Pointer { .. })) && self.picture.plane {
            surface.move_pointer(self.inputs.at.0, self.inputs.at.1);
        }
        if self.workload == Workload::Desk {
            let (at, buttons) = (self.inputs.at, self.inputs.buttons);
            let mut events = events.to_owned();
            self.draw_further(&mut events, surface);
            let paint = self.picture.show(surface, &events, at, buttons)?;
            self.log(paint);
        }
        Ok(())
    }

    fn take_port(&mut self, closed: bool) {
        let incoming = self.port.as_mut().map(|port| port.receive(!closed)).unwrap_or_default();
        for message in incoming {
            match message {
                Incoming::Opened => {
                    self.tell(&Message::Hello { hello: VERSION, arch: std::env::consts::ARCH.to_owned() });
                    let size = [self.size.0, self.size.1];
                    self.tell(&Message::Size { size, t: machine::now() });
                }
                Incoming::Command(Err(error)) => self.tell(&Message::Error { error }),
                Incoming::Command(Ok(request)) => self.obey(request),
            }
        }
    }

    fn obey(&mut self, Request { command, id }: Request) {
        let done = command.name().to_owned();
        match command {
            Command::Time => {
                let now = machine::now();
                if let Some(port) = &mut self.port {
                    port.answer_now(&Message::Time { time_ns: now, id }, now);
                }
                return;
            }
            Command::State => {
                let state = self.state();
                return self.tell(&Message::State { state, id });
            }
            Command::Workload { name, fps } => {
                self.workload = name;
                self.fps = fps.unwrap_or(name.default_fps());
                self.repaint = true;
            }
            Command::Clear => {
                self.picture.desk.clear();
                self.repaint = true;
            }
            Command::Remap { rounds } => {
                if let Err(error) = remap::remap(rounds) {
                    return self.tell(&Message::Error { error: format!("remap: {error}") });
                }
            }
            Command::Share { ref tag } => {
                if let Err(error) = share::answer(tag, &mut self.modules) {
                    return self.tell(&Message::Error { error: format!("share: {error}") });
                }
            }
            Command::Play(ref tone) => {
                if let Err(error) = sound::play(tone, &mut self.modules) {
                    return self.tell(&Message::Error { error: format!("play: {error}") });
                }
            }
            Command::Record { ms } => {
                return match sound::record(ms, &mut self.modules) {
                    Ok(heard) => self.tell(&Message::Heard { heard, id }),
                    Err(error) => self.tell(&Message::Error { error: format!("record: {error}") }),
                };
            }
            Command::Poweroff | Command::Reboot | Command::Panic => {}
        }
        self.tell(&Message::Done { done, t: machine::now(), id });
        if let Some(port) = &mut self.port {
            port.flush(machine::now());
        }
        match command {
            Command::Poweroff => self.end(End::PowerOff),
            Command::Reboot => self.end(End::Restart),
            Command::Panic => panic!("the host asked for a panic"),
            _ => {}
        }
    }

    fn state(&self) -> State {
        let area = Desk::area(self.size.0, self.size.1);
        State {
            workload: self.workload,
            fps: self.fps,
            counter: self.picture.counter,
            width: self.size.0,
            height: self.size.1,
            driver: self.driver.clone(),
            cursor_plane: self.picture.plane,
            key: self.key,
            held: self.inputs.held(),
            text: self.picture.desk.text().to_owned(),
            pointer: [self.inputs.at.0, self.inputs.at.1],
            buttons: self.inputs.buttons,
            wheel: self.wheel,
            area: [area.x, area.y, area.w, area.h],
            t: machine::now(),
        }
    }

    /// Tells the host at once.
    fn tell(&mut self, message: &Message) {
        if let Some(port) = &mut self.port {
            port.send(message, machine::now());
        }
    }

    /// Tells the host of a paint when it does not disturb.
    fn log(&mut self, paint: Option<Message>) {
        if let (Some(port), Some(message)) = (&mut self.port, paint) {
            port.log(&message, machine::now());
        }
    }

    fn end(&mut self, end: End) -> ! {
        if let Some(port) = &mut self.port {
            // What led to the end, such as the power button.
            port.flush(machine::now());
        }
        console::say(match end {
            End::PowerOff => "sampan-guest: powering off",
            End::Restart => "sampan-guest: restarting",
        });
        machine::stop(end)
    }
}
