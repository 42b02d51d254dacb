//! The session itself.

use crate::Serial;
use crate::background::{self, Gate};
use crate::desktop::Desktop;
use crate::displays::Displays;
use crate::guest::SessionGuest;
use crate::input::{Queue, pump};
use crate::log_ring::LogRing;
use crate::machine_log::{LogCrate, LogSink, MachineLog};
use crate::start::{StartError, Up, bring_up};
use crate::state::{Ended, PausedBy, State, Status};
use crate::typist::{self, Typist};
use crate::{
    Clipboard, Command, CommandError, ProgressFn, Remedy, Reply, Screenshot, Sound, migration, monitor,
    sound, tasks,
};
use sampan_config::{ClipboardPolicy, Duty, KeyboardLayout, PasteKeys};
use sampan_display::Display;
use sampan_emulator::{Control, LaunchSpec, Launcher};
use sampan_frame::{Screen, Size};
use sampan_guest::Guest;
use sampan_input::Event;
use sampan_qmp::{Qmp, QmpError, types};
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long QEMU may take to reset: it waits for its CPU threads.
const RESET: Duration = Duration::from_secs(20);

/// How long QEMU may take to end after `quit`: it flushes the disks.
const QUIT: Duration = Duration::from_secs(30);

/// One running machine.
pub struct Session {
    name: String,
    pub(crate) qmp: Qmp,
    displays: Displays,
    desktop: Desktop,
    display: Arc<Display>,
    control: Control,
    serial: Serial,
    qemu_log: LogRing,
    pub(crate) log: MachineLog,
    queue: Arc<Queue>,
    typist: Typist,
    /// Whether the machine has a touch screen.
    touch_screen: bool,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) gate: Gate,
    pub(crate) duty: watch::Sender<Option<Duty>>,
    for_viewers: watch::Sender<sampan_guest::GuestStatus>,
    quitting: Arc<AtomicBool>,
    /// Nobody may let the CPUs run: memory and disks are being put away together.
    held: AtomicBool,
    /// The guest's clipboard, for a machine with the port for it.
    clipboard: Arc<OnceLock<Clipboard>>,
    /// The guest's sound, for a machine with a sound card.
    sound: Option<Sound>,
    _tasks: JoinSet<()>,
}

impl Session {
    /// Starts a machine: QEMU, its monitor, its display; then lets its CPUs run.
    ///
    /// The arguments must have it start halted, with a D-Bus display (see `sampan_config`'s `Machine::argv`). Must be
    /// called on a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; no machine is left behind then.
    pub async fn start(launcher: Arc<dyn Launcher>, spec: LaunchSpec) -> Result<Session, StartError> {
        let log = Arc::new(LogCrate::new(&*spec.name));
        Self::start_logged(launcher, spec, log).await
    }

    /// The same; what is to be told of it goes to `log` and not to the `log` crate.
    ///
    /// # Errors
    /// [`StartError`]; no machine is left behind then.
    pub async fn start_logged(
        launcher: Arc<dyn Launcher>,
        spec: LaunchSpec,
        log: Arc<dyn LogSink>,
    ) -> Result<Session, StartError> {
        let session = Self::halted(launcher, spec, MachineLog::new(log)).await?;
        session.qmp.execute(types::cont {}).await?;
        Ok(session)
    }

    /// Starts a machine from a state that [`Session::save`] saved: with the same arguments and `-incoming defer`, on the
    /// disks as they were then. It is halted until a [`Command::Resume`], so that the caller can note first that the
    /// state is used up: once the CPUs run, the disks no longer fit it.
    ///
    /// # Errors
    /// [`StartError`]; no machine is left behind then, and the state is as good as before.
    pub async fn restore(
        launcher: Arc<dyn Launcher>,
        spec: LaunchSpec,
        file: &File,
        progress: &ProgressFn,
    ) -> Result<Session, StartError> {
        let log = Arc::new(LogCrate::new(&*spec.name));
        Self::restore_logged(launcher, spec, file, progress, log).await
    }

    /// The same; what is to be told of it goes to `log` and not to the `log` crate.
    ///
    /// # Errors
    /// [`StartError`]; no machine is left behind then, and the state is as good as before.
    pub async fn restore_logged(
        launcher: Arc<dyn Launcher>,
        spec: LaunchSpec,
        file: &File,
        progress: &ProgressFn,
        log: Arc<dyn LogSink>,
    ) -> Result<Session, StartError> {
        let session = Self::halted(launcher, spec, MachineLog::new(log)).await?;
        let loaded = migration::load(&session.qmp, file, &mut |now| (progress.0)(now), &session.log).await;
        loaded.map_err(Box::new)?;
        // Its guest may use displays that somebody saw when it was saved.
        session.displays.disconnect().await?;
        Ok(session)
    }

    async fn halted(
        launcher: Arc<dyn Launcher>,
        spec: LaunchSpec,
        log: MachineLog,
    ) -> Result<Session, StartError> {
        let name = spec.name.clone();
        let touch_screen = has_touch_screen(&spec.args);
        let Up { qmp, display, control, exit, serial, qemu_log } = bring_up(launcher, spec, &log).await?;
        let displays = Displays::of(display.consoles())?;
        let desktop = Desktop::new(displays.clone(), qmp.clone());
        let status = watch::Sender::new(Status::new());
        let for_viewers = watch::Sender::new(status.borrow().for_viewers());
        let queue = Arc::new(Queue::default());
        let quitting = Arc::new(AtomicBool::new(false));
        let (gate, duty) = (Gate::default(), watch::Sender::new(None));
        let mut running = JoinSet::new();
        running.spawn(background::cycle(
            qmp.clone(),
            gate.clone(),
            duty.subscribe(),
            status.clone(),
            log.clone(),
        ));
        running.spawn(monitor::follow(qmp.clone(), qmp.events(), status.clone(), log.clone()));
        let clipboard: Arc<OnceLock<Clipboard>> = Arc::default();
        let typist = Typist::new(displays.main().clone(), Arc::clone(&clipboard));
        running.spawn(pump(Arc::clone(&queue), desktop.clone(), typist.clone(), touch_screen));
        displays.spawn(&mut running, &log);
        running.spawn(tasks::pointer_mode(displays.main().clone(), status.clone()));
        running.spawn(tasks::tell_viewers(status.subscribe(), for_viewers.clone()));
        running.spawn(tasks::wait_for_end(exit, status.clone(), Arc::clone(&quitting)));
        let card = display.sound().cloned();
        if let Some(card) = &card {
            running.spawn(sound::follow(card.clone(), status.clone()));
        }
        Ok(Session {
            name,
            qmp,
            displays,
            desktop,
            display: Arc::new(display),
            control,
            serial,
            qemu_log,
            log,
            queue,
            typist,
            touch_screen,
            status,
            gate,
            duty,
            for_viewers,
            quitting,
            held: AtomicBool::new(false),
            clipboard,
            sound: card.map(Sound::new),
            _tasks: running,
        })
    }

    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets how long QEMU may take to answer a command from now on. Until it is called that is
    /// [`sampan_qmp::DEFAULT_TIMEOUT`].
    pub fn set_monitor_timeout(&self, timeout: Duration) {
        self.qmp.set_timeout(timeout);
    }

    /// Its condition, and every change of it.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The screen that viewers see.
    pub fn screen(&self) -> Arc<Screen> {
        self.displays.main().screen()
    }

    /// The displays: the size of each in pixels, `None` for one that is dark. One beyond the first is while no viewer sees it.
    pub fn displays(&self) -> Vec<Option<Size>> {
        self.displays.sizes()
    }

    /// The guest's size by its console's own word.
    pub fn size(&self) -> Option<Size> {
        self.displays.main().size()
    }

    /// QEMU's version.
    pub fn qemu_version(&self) -> &str {
        self.qmp.version()
    }

    /// The process that the machine runs in, where it is not this one.
    pub fn pid(&self) -> Option<u32> {
        self.control.pid()
    }

    /// Its serial port.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Shares the guest's clipboard on the other end of its port's chardev (`sampan_config::VDAGENT_SOCKET`). Has an effect once.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub async fn share_clipboard(
        &self,
        socket: UnixStream,
        policy: ClipboardPolicy,
        paste: PasteKeys,
    ) -> std::io::Result<()> {
        let clipboard = Clipboard::start(socket, &self.qmp, policy, paste, self.status.clone()).await?;
        clipboard.follow_sizes(&self.displays);
        let _ = self.clipboard.set(clipboard);
        Ok(())
    }

    /// Sets the layout of the guest's keyboard, by which a text becomes keys. Until it is called that is a US keyboard.
    pub fn set_keyboard_layout(&self, layout: KeyboardLayout) {
        self.typist.set_layout(layout);
    }

    /// The guest's clipboard; `None` for a machine without the port for it.
    pub fn clipboard(&self) -> Option<&Clipboard> {
        self.clipboard.get()
    }

    /// The guest's sound; `None` for a machine without a sound card.
    pub fn sound(&self) -> Option<&Sound> {
        self.sound.as_ref()
    }

    /// The last 64 KiB that QEMU printed.
    pub fn log_tail(&self) -> String {
        self.qemu_log.text()
    }

    /// What the display had to refuse so far, by kind.
    pub fn display_faults(&self) -> Vec<(String, u64)> {
        self.display.faults().into_iter().map(|(kind, count)| (format!("{kind:?}"), count)).collect()
    }

    /// The machine as viewers need it.
    pub fn guest(&self) -> Arc<dyn Guest> {
        Arc::new(SessionGuest {
            name: self.name.clone(),
            displays: self.displays.clone(),
            queue: Arc::clone(&self.queue),
            status: self.for_viewers.subscribe(),
            sound: self.sound().map(|sound| Arc::clone(sound.output())),
            microphone: self.sound().map(|sound| Arc::clone(sound.input())),
            locks: self.displays.main().locks(),
            touch_screen: self.touch_screen,
            clipboard: Arc::clone(&self.clipboard),
        })
    }

    /// While held, the machine is neither resumed nor reset by anybody: guest memory that was saved must never meet disks
    /// that went on.
    pub(crate) fn inhibit_resume(&self, held: bool) {
        self.held.store(held, Ordering::Release);
    }

    /// Waits for the machine's end.
    pub async fn ended(&self) -> Ended {
        let mut status = self.status.subscribe();
        loop {
            if let Some(ended) = status.borrow_and_update().ended.clone() {
                return ended;
            }
            if status.changed().await.is_err() {
                return Ended::Died("the machine's tasks have ended".into());
            }
        }
    }

    /// Its state, where it has one.
    pub(crate) fn alive(&self) -> Result<State, CommandError> {
        match self.status.borrow().state {
            state @ State::Ended => Err(CommandError::State { state, remedy: Remedy::Start }),
            state => Ok(state),
        }
    }

    /// Carries out one command.
    ///
    /// # Errors
    /// [`CommandError`]; the machine is as it was then, but for a command that QEMU answered too late.
    pub async fn execute(&self, command: Command) -> Result<Reply, CommandError> {
        let state = self.alive()?;
        if self.held.load(Ordering::Acquire) && matches!(command, Command::Resume | Command::Reset) {
            return Err(CommandError::State { state, remedy: Remedy::WaitForSaving });
        }
        match command {
            Command::Resume => self.resume(state).await?,
            Command::Pause | Command::PauseBecause(_) if state == State::PoweredOff => {
                return Err(CommandError::State { state, remedy: Remedy::NothingToPause });
            }
            Command::Pause => self.halt("", Some(PausedBy::Person)).await?,
            Command::PauseBecause(words) => self.halt(&words, Some(PausedBy::Disk)).await?,
            Command::Reset => self.reset(state).await?,
            Command::Powerdown if state != State::Running => {
                return Err(CommandError::State { state, remedy: Remedy::NobodyHears });
            }
            Command::Powerdown => {
                // It has enough to do now.
                self.set_background(None).await?;
                self.qmp.execute(types::system_powerdown {}).await?;
            }
            Command::Quit => self.quit().await?,
            Command::Screenshot(display) => return self.screenshot(display).await.map(Reply::Screenshot),
            Command::Type(text) => self.typist.type_text(&text).await?,
            Command::Keys(keys) => self.typist.chord(&keys).await?,
            Command::Pointer { x, y } => {
                let size = self.size().ok_or(CommandError::NoPicture)?;
                self.desktop.send(0, Event::Move { x, y, frame: (size.width, size.height) }).await?;
            }
            Command::Click(button) => {
                self.desktop.send(0, Event::Button { button, down: true }).await?;
                tokio::time::sleep(typist::KEY_PACE).await;
                self.desktop.send(0, Event::Button { button, down: false }).await?;
            }
            Command::Wheel(notches) => self.desktop.send(0, Event::Wheel { dx: 0, dy: notches }).await?,
            Command::Resize(size) => {
                if let Some(clipboard) = self.clipboard() {
                    clipboard.set_sizes(&self.displays.wanted_with(size)).await;
                }
                self.displays.main().set_ui_info(size, (0, 0)).await?;
            }
            Command::Input(event) => self.desktop.send(0, event).await?,
            Command::Sound(settings) => {
                self.sound().ok_or(CommandError::NoSound)?.configure(settings);
                // Whoever follows the status hears of it, also where nothing in it has changed.
                self.status.send_modify(|status| {
                    status.sound.get_or_insert_default().microphone = settings.microphone;
                });
            }
        }
        Ok(Reply::Done)
    }

    async fn resume(&self, state: State) -> Result<(), CommandError> {
        if state == State::PoweredOff {
            return Err(CommandError::State { state, remedy: Remedy::Reset });
        }
        let mut held = self.gate.close().await;
        self.qmp.execute(types::cont {}).await?;
        *held = false;
        Ok(())
    }

    async fn reset(&self, state: State) -> Result<(), CommandError> {
        let mut held = self.gate.close().await;
        self.awaken(&mut held).await?;
        let mut events = self.qmp.events();
        self.qmp.execute(types::system_reset {}).await?;
        if state != State::PoweredOff {
            return Ok(());
        }
        // QEMU resets on its main loop after it has answered, and lets nothing run before.
        let reset = async {
            while let Ok(event) = events.recv().await {
                if event.name == "RESET" {
                    return Ok(());
                }
            }
            Err(CommandError::Qmp(QmpError::Closed))
        };
        tokio::time::timeout(RESET, reset).await.map_err(|_| CommandError::NoReset(RESET.as_secs()))??;
        self.qmp.execute(types::cont {}).await?;
        Ok(())
    }

    async fn quit(&self) -> Result<(), CommandError> {
        self.quitting.store(true, Ordering::Relaxed);
        match self.qmp.execute(types::quit {}).await {
            // It may be gone before its answer is.
            Ok(_) | Err(QmpError::Closed) => {}
            Err(e) => {
                self.log.warn(format_args!("quit over the monitor failed, the machine is terminated: {e}"));
                self.control.terminate();
            }
        }
        if tokio::time::timeout(QUIT, self.ended()).await.is_err() && self.control.kill().is_ok() {
            let seconds = QUIT.as_secs();
            self.log.warn(format_args!("the machine did not end within {seconds} s and was killed"));
        }
        Ok(())
    }

    async fn screenshot(&self, display: usize) -> Result<Screenshot, CommandError> {
        let none = CommandError::NoDisplay { display, count: self.displays.count() };
        let watched = self.displays.watch(display).ok_or(none)?;
        self.displays.first_picture(display).await;
        tokio::task::spawn_blocking(move || Screenshot::take(watched.screen()))
            .await
            .unwrap_or(Err(CommandError::NoPicture))
    }
}

impl Drop for Session {
    /// A session that is dropped takes its machine with it: nobody could reach it any more.
    fn drop(&mut self) {
        self.quitting.store(true, Ordering::Relaxed);
        self.control.terminate();
    }
}

/// Whether these arguments give the machine a touch screen. QEMU cannot be asked: see
/// [`Console::touch_slots`](sampan_display::Console::touch_slots).
fn has_touch_screen(args: &[OsString]) -> bool {
    args.iter().any(|arg| arg.to_str().is_some_and(|arg| arg.contains("virtio-multitouch")))
}
