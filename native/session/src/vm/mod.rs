//! A machine of the library while it runs: its bundle's lock, its session, and what joins the two.
//!
//! The library makes every step durable, QEMU does the work; the order between the two is what keeps a machine's disks
//! and memory in step whatever is killed when. Each operation here says its order.

mod adapted;
mod create;
mod error;
mod identity;
mod import;
mod launch_plan;
mod media;
mod migration_blockers;
mod network;
mod performance;
mod power;
mod provisioning;
mod reach;
mod settings;
mod snapshot;
mod space;
mod suspend;

/// What is told beside errors: a message of every kind, for `docs/errors.md`.
pub(crate) fn samples() -> Vec<Message> {
    let mut all = adapted::Adapted::samples();
    all.extend(ModeRefused::all().iter().map(|why| Message::because("mode_refused", why)));
    all.extend(SeedDoubt::all().iter().map(SeedDoubt::message));
    all
}

pub use create::{Cd, FirstDisk, Recipe};
pub use error::{PortUser, VmError};
pub use identity::Identity;
pub use import::{Foreign, Imported, import_archive};
pub use launch_plan::{UEFI_VARIABLES, uefi_code, uefi_variables};
pub use performance::{Effect, ModeRefused, fast_cores};
pub use provisioning::{FirstStart, SEED_DRIVE, SeedDoubt, remove_seeds, seed_medium, seeds_of};
pub use settings::Applied;
pub use space::FLOOR;

use crate::images::QemuBlockLayer;
use crate::machine_log::{LogSink, MachineLog};
use crate::{Command, Ended, ProgressFn, Session, SoundSettings, StartError, State};
use sampan_config::{ShareSection, VncPassword};
use sampan_emulator::{Choice, LaunchSpec, Launcher, LibqemuDir};
use sampan_library::{DriveId, Library, Locked};
use sampan_message::{Message, Reason};
use sampan_qmp::agent::Agent;
use settings::VmConfigs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// What differs from host to host.
#[derive(Clone)]
pub struct Host {
    /// The library, for its media.
    pub library: Library,
    /// Where the firmware is.
    pub libqemu: LibqemuDir,
    /// What runs the machine.
    pub launcher: Arc<dyn Launcher>,
    /// How its CPUs are run.
    pub choice: Choice,
    /// What makes overlays.
    pub images: QemuBlockLayer,
    /// Where all that is told of the machine goes: [`LogCrate`](crate::LogCrate) is the program's own log.
    pub log: Arc<dyn LogSink>,
}

/// How a machine is started this time.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Forget at the end all that is written to its disks.
    pub throw_away: bool,
    /// Boot anew although it is suspended: its saved state is lost.
    pub discard_state: bool,
    /// Bytes of the host's disk below which the machine is paused, where they are not [`FLOOR`].
    pub space_floor: Option<u64>,
}

/// A machine of the library that runs.
pub struct Vm {
    session: Arc<Session>,
    locked: Arc<Mutex<Locked>>,
    images: QemuBlockLayer,
    library: Library,
    log: MachineLog,
    documents: Mutex<VmConfigs>,
    folder: PathBuf,
    throw_away: bool,
    /// Who answers in the guest, if somebody does; `None` for a machine without the channel.
    agent: Option<Agent>,
    arguments: Vec<String>,
    /// Whether nobody looks at it.
    background: AtomicBool,
    /// What the system did not do of the performance mode that it is in.
    mode_refused: Mutex<Vec<Message>>,
    /// One operation that concerns both disk and memory at a time.
    turn: tokio::sync::Mutex<()>,
    /// Ends with the machine.
    _watch: JoinSet<()>,
}

/// How long an agent may take to say that it is there.
const AGENT: Duration = Duration::from_secs(3);

impl Vm {
    /// Starts a machine whose lock is held; one that is suspended goes on where it was. In this order: the saved state is
    /// loaded, then noted as used up, then the CPUs run. Killed in between, it is either still suspended or boots anew;
    /// never does old memory meet newer disks.
    ///
    /// # Errors
    /// [`VmError`]; the machine is as it was.
    pub async fn start(host: Host, mut locked: Locked, options: RunOptions) -> Result<Vm, VmError> {
        let floor = options.space_floor.unwrap_or(FLOOR);
        let (images, library, sink) = (host.images.clone(), host.library.clone(), Arc::clone(&host.log));
        // One that cannot be is no password: nobody is let in.
        let vnc_password = locked.host()?.vnc_password.and_then(|text| VncPassword::new(text).ok());
        let (prepared, locked) = on_thread(move || {
            let prepared = launch_plan::prepare(&host, &mut locked, &options);
            prepared.map(|prepared| (prepared, Arc::new(Mutex::new(locked))))
        })
        .await??;
        let launch_plan::Prepared {
            launcher,
            spec,
            document,
            folder,
            memory,
            throw_away,
            agent,
            vdagent,
            arguments,
        } = prepared;
        let started = match &memory {
            None => Session::start_logged(launcher, spec, sink).await.map_err(VmError::from),
            Some(path) => resume(launcher, spec, path, Arc::clone(&locked), sink).await,
        };
        let session = match started {
            Ok(session) => session,
            Err(error) => {
                if throw_away {
                    lock(&locked).end_throw_away();
                }
                return Err(error);
            }
        };
        session.set_keyboard_layout(document.input.layout);
        if let Some(socket) = vdagent {
            session
                .share_clipboard(socket, document.input.clipboard, document.input.paste)
                .await
                .map_err(StartError::Io)?;
        }
        let refused = performance::at_start(&session, document.performance.mode, document.cpu.count).await;
        if document.displays.vnc.is_some() {
            network::tell_vnc(&session, vnc_password).await;
        }
        let documents = settings::at_start(&locked, document).await;
        if session.sound().is_some() {
            // What its owner wants by now: a machine that goes on from a saved state runs as it was saved.
            session.execute(Command::Sound(SoundSettings::of(&documents.kept.sound))).await?;
        }
        let session = Arc::new(session);
        let mut watch = JoinSet::new();
        watch.spawn(space::watch(Arc::downgrade(&session), folder.clone(), floor));
        Ok(Vm {
            log: session.log.clone(),
            session,
            locked,
            images,
            library,
            documents: Mutex::new(documents),
            folder,
            throw_away,
            agent: agent.map(Agent::connect).transpose()?,
            arguments,
            background: AtomicBool::new(false),
            mode_refused: Mutex::new(refused),
            turn: tokio::sync::Mutex::new(()),
            _watch: watch,
        })
    }

    /// The running machine.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Its bundle's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// QEMU's arguments, for reports.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The guest agent. It may not answer: a guest without it installed reads nothing of its channel.
    ///
    /// # Errors
    /// The machine has no channel for one.
    pub fn agent(&self) -> Result<&Agent, VmError> {
        self.agent.as_ref().ok_or(VmError::NoAgentChannel)
    }

    /// The guest agent, if somebody in the guest listens to its port: a port that nobody reads keeps what it is sent.
    pub async fn listening_agent(&self) -> Option<&Agent> {
        let agent = self.agent.as_ref()?;
        let open = self.session.is_port_open(sampan_config::AGENT_SOCKET).await;
        open.is_ok_and(|open| open).then_some(agent)
    }

    /// The folders of the host that it shares in this run.
    ///
    /// # Errors
    /// What is kept of them cannot be read.
    pub async fn shared_folders(&self) -> Result<Vec<(ShareSection, PathBuf)>, VmError> {
        let folders = self.with_locked(|locked| Ok(locked.host()?.shares)).await?;
        let shares = self.document().shares.shares.into_iter();
        Ok(shares.filter_map(|share| Some((share.clone(), folders.get(&share.tag)?.clone()))).collect())
    }

    /// Whether every write of this run is thrown away at its end.
    pub fn throws_away(&self) -> bool {
        self.throw_away
    }

    /// The guest's clipboard. It may have no agent.
    ///
    /// # Errors
    /// The machine has no port for one.
    pub fn clipboard(&self) -> Result<&crate::Clipboard, VmError> {
        self.session.clipboard().ok_or(VmError::NoClipboardPort)
    }

    /// Gives a drive more space, which the guest sees at once.
    ///
    /// # Errors
    /// [`VmError`]; the drive is as it was.
    pub async fn grow(&self, drive: &str, size: u64) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        if self.throw_away {
            return Err(VmError::ThrowAwayRun);
        }
        let id: DriveId = drive.parse()?;
        self.session.grow(drive, size).await?;
        // Should this fail, the image's own header says its size all the same.
        self.with_locked(move |locked| locked.record_size(&id, size)).await?;
        Ok(())
    }

    /// What is left to do once the session has ended. The lock is given back when this value is dropped.
    pub async fn finish(&self) -> Ended {
        let ended = self.session.ended().await;
        if self.throw_away {
            let locked = Arc::clone(&self.locked);
            if on_thread(move || lock(&locked).end_throw_away()).await.is_err() {
                self.log.warn("the run's overlays stay until the next start");
            }
        }
        ended
    }

    async fn with_locked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Locked) -> sampan_library::Result<T> + Send + 'static,
    ) -> Result<T, VmError> {
        let locked = Arc::clone(&self.locked);
        Ok(on_thread(move || work(&mut lock(&locked))).await??)
    }

    fn running(&self) -> bool {
        self.session.status().borrow().state == State::Running
    }
}

async fn resume(
    launcher: Arc<dyn Launcher>,
    spec: LaunchSpec,
    memory: &Path,
    locked: Arc<Mutex<Locked>>,
    log: Arc<dyn LogSink>,
) -> Result<Session, VmError> {
    let file = File::open(memory).map_err(|source| VmError::Io { path: memory.to_owned(), source })?;
    let session = Session::restore_logged(launcher, spec, &file, &ProgressFn::none(), log).await?;
    on_thread(move || lock(&locked).consume_suspended()).await??;
    session.execute(Command::Resume).await?;
    Ok(session)
}

/// What it guards is whole between calls: every change of a manifest is one.
fn lock(locked: &Mutex<Locked>) -> std::sync::MutexGuard<'_, Locked> {
    locked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The library blocks.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, VmError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| VmError::Thread)
}
