//! A machine that runs in this process or in a child of it: requests become commands of its session.

use super::agent::{self, AgentWatch};
use super::clipboard;
use super::give::{NamedFile, give};
use super::pull::pull;
use super::sound;
use crate::features::{Running, features};
use crate::sentences::bad_request;
use crate::time::now;
use crate::{BadRequest, Sentence};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan_config::{Arch, Forward, Section, VmConfig, VncPassword};
use sampan_control::{
    Applied, Console, Effect, Execution, Facts, Handler, PausedBy, Picture, Reply, Reporter, Request,
    SoundStream, State, Status,
};
use sampan_frame::Size;
use sampan_input::{Button, Key};
use sampan_library::{NewSnapshot, Progress, SnapshotId};
use sampan_message::{Coded, Message};
use sampan_session::agent::{Exec, Exited};
use sampan_session::vm::{Vm, VmError};
use sampan_session::{Command, CommandError, ProgressFn, Reply as SessionReply, Screenshot, Serial, Session};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, watch};

/// The most bytes of each output of a program in the guest that are kept.
const MAX_OUTPUT: usize = 8 << 20;

/// The longest that a program in the guest may run.
const MAX_EXEC: Duration = Duration::from_secs(7 * 86_400);

/// What is known of a machine from its start.
#[derive(Clone, Debug)]
pub struct StartFacts {
    /// The guest's architecture.
    pub arch: Arch,
    /// Its memory.
    pub memory_mib: u32,
    /// Its CPUs.
    pub cpus: u32,
    /// What runs its CPUs: `kvm` or `tcg`.
    pub accelerator: String,
}

/// Where a machine is seen.
pub struct Viewer {
    /// The address with its secret.
    pub url: String,
    /// The stream's figures; `None` once it has ended.
    pub stats: Box<dyn Fn() -> Option<serde_json::Value> + Send + Sync>,
}

/// A running machine of this process. It is the [`Handler`] of its control socket, if it has one.
pub struct LocalMachine {
    session: Arc<Session>,
    /// The machine of the library that it is, if it is one, until its run has ended: it holds the bundle's lock, which whoever
    /// keeps a handle must not keep with it.
    vm: Mutex<Option<Arc<Vm>>>,
    facts: StartFacts,
    viewer: OnceLock<Viewer>,
    since: Instant,
    pub(super) changes: watch::Sender<()>,
    pub(super) shares: super::sharing::Shares,
    own: Weak<Self>,
    /// Memory that is being saved.
    saving: Mutex<Option<Reporter>>,
    agent: AgentWatch,
}

impl LocalMachine {
    /// A machine that has just been started; `vm` if it is one of the library. Must be called on a tokio runtime.
    pub fn new(session: Arc<Session>, vm: Option<Arc<Vm>>, facts: StartFacts) -> Arc<Self> {
        let changes = watch::Sender::new(());
        let machine = Arc::new_cyclic(|own| Self {
            own: own.clone(),
            session,
            vm: Mutex::new(vm),
            facts,
            viewer: OnceLock::new(),
            since: Instant::now(),
            changes,
            shares: Default::default(),
            saving: Mutex::default(),
            agent: AgentWatch::default(),
        });
        let (mut status, told) = (machine.session.status(), Arc::downgrade(&machine));
        tokio::spawn(async move {
            while status.changed().await.is_ok() {
                let Some(machine) = told.upgrade() else { return };
                machine.changes.send_replace(());
            }
        });
        machine
    }

    /// Says where the machine is seen. Has an effect once.
    pub fn set_viewer(&self, viewer: Viewer) {
        let _ = self.viewer.set(viewer);
        self.changes.send_replace(());
    }

    /// The running machine.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// This machine, for those who must not keep it.
    pub(super) fn own(&self) -> Weak<Self> {
        self.own.clone()
    }

    /// The run has ended: lets go of the machine of the library.
    pub(crate) fn release(&self) {
        self.vm.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shares.end();
        self.changes.send_replace(());
    }

    fn of_run(&self) -> Option<Arc<Vm>> {
        self.vm.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The machine of the library.
    ///
    /// # Errors
    /// It is not one, or has ended.
    pub fn vm(&self) -> Result<Arc<Vm>, Message> {
        self.of_run().ok_or_else(|| {
            if self.session.status().borrow().state == sampan_session::State::Ended {
                return Message::saying(&Sentence::Ended);
            }
            Message::saying(&Sentence::NotInLibrary)
        })
    }

    fn saving(&self) -> MutexGuard<'_, Option<Reporter>> {
        self.saving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is shown to other devices.
    fn sharing(&self) -> Option<sampan_trust::sharing::Sharing> {
        self.shares.info()
    }

    /// Those who see it.
    fn viewers(&self) -> Vec<sampan_trust::sharing::Viewer> {
        self.shares.viewers()
    }

    async fn command(&self, command: Command) -> Result<Reply, Message> {
        self.session.execute(command).await.map(|_| Reply::Done).map_err(|e| e.message())
    }

    async fn screenshot(&self, display: usize, width: Option<u32>) -> Result<Reply, Message> {
        let shot = match self.session.execute(Command::Screenshot(display)).await.map_err(|e| e.message())? {
            SessionReply::Screenshot(shot) => shot,
            SessionReply::Done => return Err(CommandError::NoPicture.message()),
        };
        let picture = move || {
            let shot: Screenshot = match width {
                Some(width) => shot.smaller(width),
                None => shot,
            };
            Picture { width: shot.size.width, height: shot.size.height, png: shot.to_png() }
        };
        let picture = tokio::task::spawn_blocking(picture).await.map_err(|_| VmError::Thread.message())?;
        Ok(Reply::Picture(picture))
    }

    /// Work whose progress the status shows, too.
    async fn save<T>(
        &self,
        reporter: &Reporter,
        work: impl AsyncFnOnce(&ProgressFn) -> Result<T, VmError>,
    ) -> Result<T, Message> {
        *self.saving() = Some(reporter.clone());
        let told = reporter.clone();
        let progress = ProgressFn(Arc::new(move |Progress { done, total }| {
            told.report("memory", done, total).is_continue()
        }));
        let done = work(&progress).await.map_err(|e| e.message());
        *self.saving() = None;
        self.changes.send_replace(());
        done
    }

    async fn of_library(&self, request: Request, reporter: &Reporter) -> Result<Reply, Message> {
        let vm = self.vm()?;
        match request {
            Request::Suspend => {
                self.save(reporter, async |progress| vm.suspend(now(), progress).await).await?;
                Ok(Reply::Done)
            }
            Request::Snapshot { name, note, disks_only } => {
                let new = NewSnapshot { name, note, time: now(), thumbnail: None };
                let work = async |progress: &ProgressFn| vm.snapshot(new, disks_only, progress).await;
                let id = self.save(reporter, work).await?;
                Ok(Reply::Snapshot { id: id.as_str().to_owned() })
            }
            Request::Configure { sections } => {
                let edited = VmConfig::from_files(&sections).map_err(|e| e.message())?;
                let applied = vm.change_settings(edited).await.map_err(|e| e.message())?;
                Ok(Reply::Applied(Applied {
                    now: names(&applied.now),
                    next_start: names(&applied.next_start),
                }))
            }
            Request::Mode { mode } => effect(vm.set_mode(mode).await),
            Request::Background { on } => effect(vm.set_background(on).await),
            Request::Exec { argv, stdin, timeout } => exec(&vm, argv, &stdin, timeout).await,
            Request::Push { from, to: Some(to), .. } => push(&vm, &from, &to, reporter).await,
            Request::Push { from, to: None, name } => give(&vm, &from, name, reporter).await,
            Request::Pull { from, to } => {
                let agent = vm.agent().map_err(|e| e.message())?;
                let bytes = pull(agent, &from, &to, sampan_library::free, reporter).await?;
                Ok(Reply::Copied { bytes, to: None })
            }
            Request::Agent => {
                let agent = vm.agent().map_err(|e| e.message())?;
                let info = agent.info().await.map_err(|e| e.message())?;
                Ok(Reply::Agent(agent::of(agent, info.version).await))
            }
            request => {
                let done = match request {
                    Request::SnapshotEdit { snapshot, name, note } => {
                        let id = snapshot_id(&snapshot)?;
                        match vm.rename_snapshot(id.clone(), name).await {
                            Ok(()) => vm.note_snapshot(id, note).await,
                            failed => failed,
                        }
                    }
                    Request::SnapshotDelete { snapshot } => vm.delete_snapshot(snapshot_id(&snapshot)?).await,
                    Request::Rename { name } => vm.rename(&name).await,
                    Request::Insert { drive, medium, force } => {
                        vm.change_medium(&drive, medium.as_deref(), force).await
                    }
                    Request::Grow { drive, size } => vm.grow(&drive, size).await,
                    Request::ForwardAdd { forward } => vm.add_forward(parsed(&forward)?).await,
                    Request::ForwardRemove { forward } => vm.remove_forward(parsed(&forward)?).await,
                    Request::VncPassword { password } => {
                        let password = VncPassword::new(password).map_err(|e| e.message())?;
                        vm.set_vnc_password(password).await
                    }
                    _ => {
                        return Err(bad_request(&BadRequest::NotAboutLibrary));
                    }
                };
                done.map(|()| Reply::Done).map_err(|e| e.message())
            }
        }
    }
}

#[async_trait]
impl Handler for LocalMachine {
    async fn call(&self, request: Request, reporter: &Reporter) -> Result<Reply, Message> {
        match request {
            Request::Status => Ok(Reply::Status(Box::new(self.status()))),
            Request::Screenshot { display } => {
                let number = display.map_or(1, NonZeroU32::get);
                // A number that no computer could count to is none of its displays either.
                self.screenshot(usize::try_from(number - 1).unwrap_or(usize::MAX), None).await
            }
            Request::Thumbnail { width } => self.screenshot(0, Some(width)).await,
            Request::Type { text } => self.command(Command::Type(text)).await,
            Request::Key { names } => {
                let key = |name: &String| {
                    let unknown = || Message::saying(&Sentence::UnknownKey { key: name.clone() });
                    Key::from_name(name).ok_or_else(unknown)
                };
                self.command(Command::Keys(names.iter().map(key).collect::<Result<_, _>>()?)).await
            }
            Request::Pointer { x, y } => self.command(Command::Pointer { x, y }).await,
            Request::Click { button } => {
                let found = Button::from_name(&button);
                let unknown = || Message::saying(&Sentence::UnknownButton { button });
                self.command(Command::Click(found.ok_or_else(unknown)?)).await
            }
            Request::Wheel { notches } => self.command(Command::Wheel(notches)).await,
            Request::Resize { width, height } => {
                let refused = |_| Message::saying(&Sentence::NoResolution { width, height });
                self.command(Command::Resize(Size::new(width, height).map_err(refused)?)).await
            }
            Request::Pause => self.command(Command::Pause).await,
            Request::Resume => self.command(Command::Resume).await,
            Request::Reset => self.command(Command::Reset).await,
            Request::Powerdown => match self.of_run() {
                Some(vm) => vm.shut_down().await.map(|()| Reply::Done).map_err(|e| e.message()),
                None => self.command(Command::Powerdown).await,
            },
            Request::Quit => self.command(Command::Quit).await,
            Request::ClipboardGet { kind } => clipboard::get(&self.session, kind).await,
            Request::ClipboardSet { kind, data, secret } => {
                clipboard::set(&self.session, kind, &data, secret).await
            }
            Request::StreamOn { .. }
            | Request::StreamOff
            | Request::StreamPair
            | Request::StreamAnswer { .. }
            | Request::StreamKick { .. }
            | Request::StreamGive { .. }
            | Request::StreamRevoked { .. } => self.of_sharing(request).await,
            Request::StreamPublish { .. } | Request::StreamUnpublish => self.of_publishing(request).await,
            Request::Sound { volume, muted, microphone } => {
                sound::set(&self.session, self.of_run().as_deref(), volume, muted, microphone).await
            }
            Request::Console | Request::SoundStream { .. } | Request::Watch => {
                Err(bad_request(&BadRequest::OwnConnection))
            }
            request => self.of_library(request, reporter).await,
        }
    }

    fn status(&self) -> Status {
        let Self { session, facts, viewer, since, .. } = self;
        let vm = self.of_run();
        let status = session.status().borrow().clone();
        let document = vm.as_ref().map(|vm| vm.document());
        let progress = self.saving().as_ref().and_then(|saving| saving.watch().borrow().clone());
        let blockers = document.as_ref().map(|document| document.state_blockers()).unwrap_or_default();
        // A guest that is halted answers nobody.
        let awake = status.state == sampan_session::State::Running && !status.slowed;
        let agent = vm.as_ref().filter(|_| awake).and_then(|vm| self.agent.look(vm, &self.changes));
        let clipboard = clipboard::info(session);
        let features = document.as_ref().map(|document| {
            let mut document = document.clone();
            if let Some(sound) = session.sound().map(|sound| sound.settings()) {
                // These change while it runs.
                (document.sound.muted, document.sound.microphone) = (sound.muted, sound.microphone);
            }
            if let Some(clipboard) = &clipboard {
                document.input.clipboard = clipboard.policy;
            }
            features(&document, Some(Running { clipboard: clipboard.as_ref(), agent: agent.as_ref() }))
        });
        Status {
            name: document.as_ref().map_or_else(|| session.name().to_owned(), |d| d.system.name.clone()),
            state: match status.state {
                sampan_session::State::Ready => State::Ready,
                sampan_session::State::Running => State::Running,
                sampan_session::State::Paused => State::Paused,
                sampan_session::State::PoweredOff => State::PoweredOff,
                sampan_session::State::Ended => State::Ended,
            },
            detail: status.detail,
            facts: Some(Facts {
                arch: facts.arch,
                memory_mib: facts.memory_mib,
                cpus: facts.cpus,
                accelerator: facts.accelerator.clone(),
                qemu: session.qemu_version().to_owned(),
                pid: session.pid(),
                seconds: since.elapsed().as_secs(),
                size: session.size().map(|size| [size.width, size.height]),
                displays: session
                    .displays()
                    .into_iter()
                    .map(|size| size.map(|size| [size.width, size.height]))
                    .collect(),
                absolute_pointer: status.absolute,
                slowed: status.slowed,
                paused_by: status.paused_by.map(|by| match by {
                    sampan_session::PausedBy::Person => PausedBy::Person,
                    sampan_session::PausedBy::Disk => PausedBy::Disk,
                }),
                throw_away: vm.as_ref().is_some_and(|vm| vm.throws_away()),
                agent,
                mode: document.as_ref().map(|document| document.performance.mode),
                mode_refused: vm.as_ref().map(|vm| vm.mode_refused()),
                background: vm.as_ref().map(|vm| vm.in_background()),
                state_blockers: super::blocker_messages(&blockers),
                clipboard,
                features: features.unwrap_or_default(),
                sound: sound::info(session),
                progress,
                viewer: viewer.get().map(|viewer| viewer.url.clone()),
                stream: viewer.get().and_then(|viewer| (viewer.stats)()),
                sharing: self.sharing(),
                viewers: self.viewers(),
                publishing: self.shares.publishing(),
                display_faults: session.display_faults().into_iter().collect(),
            }),
        }
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn console(&self) -> Arc<dyn Console> {
        Arc::new(SerialConsole(self.session.serial().clone()))
    }

    fn sound(&self, play: bool, record: bool) -> Result<SoundStream, Message> {
        sound::stream(&self.session, play, record)
    }
}

struct SerialConsole(Serial);

#[async_trait]
impl Console for SerialConsole {
    fn output(&self, bytes: usize) -> (Vec<u8>, broadcast::Receiver<Arc<[u8]>>) {
        self.0.console(bytes)
    }

    async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write(bytes).await
    }
}

/// The names of sections, as their files have them without the ending.
fn names(sections: &[Section]) -> Vec<String> {
    sections.iter().map(|section| section.file().trim_end_matches(".json").to_owned()).collect()
}

fn snapshot_id(text: &str) -> Result<SnapshotId, Message> {
    text.parse().map_err(|e: sampan_library::NameError| e.message())
}

fn effect(effect: Result<sampan_session::vm::Effect, VmError>) -> Result<Reply, Message> {
    let sampan_session::vm::Effect { done, refused, before, after } = effect.map_err(|e| e.message())?;
    Ok(Reply::Effect(Effect { done, refused, before, after }))
}

fn parsed(forward: &str) -> Result<Forward, Message> {
    forward.parse().map_err(|e: sampan_config::ForwardError| e.message())
}

async fn exec(vm: &Vm, argv: Vec<String>, stdin: &str, timeout: u64) -> Result<Reply, Message> {
    let mut argv = argv.into_iter();
    let program = argv.next().ok_or_else(|| bad_request(&BadRequest::NoProgram))?;
    let not_base64 = |e: base64::DecodeError| bad_request(&BadRequest::NotBase64 { why: e.to_string() });
    let stdin = STANDARD.decode(stdin).map_err(not_base64)?;
    let timeout = Duration::from_secs(timeout).min(MAX_EXEC);
    let exec = Exec::new(program).args(argv).stdin(stdin).timeout(timeout).max_output(MAX_OUTPUT);
    let done = vm.agent().map_err(|e| e.message())?.exec(exec).await.map_err(|e| e.message())?;
    let (code, signal) = match done.exited {
        Exited::Code(code) => (Some(code), None),
        Exited::Signal(signal) => (None, Some(signal)),
        Exited::Unknown => (None, None),
    };
    let (stdout, stderr) = (done.stdout, done.stderr);
    Ok(Reply::Execution(Execution { code, signal, truncated: done.truncated, stdout, stderr }))
}

async fn push(vm: &Vm, from: &Path, to: &str, reporter: &Reporter) -> Result<Reply, Message> {
    let agent = vm.agent().map_err(|e| e.message())?;
    let file = NamedFile::open(from).await?;
    tokio::select! {
        bytes = file.push_to(agent, to, reporter) => Ok(Reply::Copied { bytes: bytes?, to: None }),
        () = reporter.cancelled() => Err(crate::Error::Cancelled.message()),
    }
}
