//! A machine of the library while it runs: its bundle's lock, its session, and what joins the two.
//!
//! The library makes every step durable, QEMU does the work; the order between the two is what keeps a machine's disks
//! and memory in step whatever is killed when. Each operation here says its order.

mod create;
mod error;
mod identity;
mod import;
mod launch_plan;
mod migration_blockers;
mod performance;
mod provisioning;
mod reach;
mod snapshot;
mod space;
mod suspend;

pub use create::{Cd, FirstDisk, Recipe};
pub use error::{PortUser, VmError};
pub use identity::Identity;
pub use import::{Foreign, Imported, import_archive};
pub use launch_plan::{UEFI_VARIABLES, uefi_code, uefi_variables};
pub use performance::{Effect, fast_cores};
pub use provisioning::{FirstStart, SEED_DRIVE, remove_seeds, seed_medium, seeds_of};
pub use space::{FLOOR, watch_space};

use crate::images::QemuBlockLayer;
use crate::{Command, Ended, ProgressFn, Session, State};
use sampan_config::{Document, Forward, VncPassword};
use sampan_emulator::{Choice, LaunchSpec, Launcher, LibqemuDir};
use sampan_library::{DriveId, Library, Locked, Sections};
use sampan_qmp::agent::Agent;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

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
}

/// How a machine is started this time.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Forget at the end all that is written to its disks.
    pub throw_away: bool,
    /// Boot anew although it is suspended: its saved state is lost.
    pub discard_state: bool,
}

/// A machine of the library that runs.
pub struct Vm {
    session: Arc<Session>,
    locked: Arc<Mutex<Locked>>,
    images: QemuBlockLayer,
    document: Mutex<Document>,
    folder: PathBuf,
    throw_away: bool,
    /// Who answers in the guest, if somebody does; `None` for a machine without the channel.
    agent: Option<Agent>,
    arguments: Vec<String>,
    /// Whether nobody looks at it.
    background: AtomicBool,
    /// What the system did not do of the performance mode that it is in.
    mode_refused: Mutex<Vec<String>>,
    /// One operation that concerns both disk and memory at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Vm {
    /// Starts a machine whose lock is held; one that is suspended goes on where it was. In this order: the saved state is
    /// loaded, then noted as used up, then the CPUs run. Killed in between, it is either still suspended or boots anew;
    /// never does old memory meet newer disks.
    ///
    /// # Errors
    /// [`VmError`]; the machine is as it was.
    pub async fn start(host: Host, mut locked: Locked, options: RunOptions) -> Result<Vm, VmError> {
        let runtime_images = host.images.clone();
        // One that cannot be is no password: nobody is let in.
        let vnc_password = locked.host()?.vnc_password.and_then(|text| VncPassword::new(text).ok());
        let (prepared, locked) = on_thread(move || {
            let prepared = launch_plan::prepare(&host, &mut locked, &options);
            prepared.map(|prepared| (prepared, Arc::new(Mutex::new(locked))))
        })
        .await??;
        let launch_plan::Prepared { launcher, spec, document, folder, memory, throw_away, agent, arguments } =
            prepared;
        let started = match &memory {
            None => Session::start(launcher, spec).await.map_err(VmError::from),
            Some(path) => resume(launcher, spec, path, Arc::clone(&locked)).await,
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
        let refused = performance::at_start(&session, document.performance.mode, document.cpu.count).await;
        if document.displays.vnc.is_some() {
            tell_vnc(&session, vnc_password).await;
        }
        Ok(Vm {
            session: Arc::new(session),
            locked,
            images: runtime_images,
            document: Mutex::new(document),
            folder,
            throw_away,
            agent: agent.map(Agent::connect).transpose()?,
            arguments,
            background: AtomicBool::new(false),
            mode_refused: Mutex::new(refused),
            turn: tokio::sync::Mutex::new(()),
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

    /// Its document as it is now.
    pub fn document(&self) -> Document {
        self.document.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// Leads ports of the host to the guest, now and at later starts.
    ///
    /// # Errors
    /// [`VmError`]; nothing changes.
    pub async fn add_forward(&self, forward: Forward) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        let mut document = self.document();
        let Some(card) = document.network.cards.first_mut() else {
            return Err(VmError::NoNetworkCard);
        };
        card.forwards.push(forward);
        let nic = card.id.clone();
        if let Some(fault) = document.check().into_iter().next() {
            return Err(VmError::Fault(fault));
        }
        reach::check_forward(&forward)?;
        self.change_network(forward.add_lines(&nic), forward.remove_lines(&nic), document).await
    }

    /// Takes a forward away.
    ///
    /// # Errors
    /// [`VmError`]; nothing changes.
    pub async fn remove_forward(&self, forward: Forward) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        let mut document = self.document();
        let card = document.network.cards.iter_mut().find(|card| card.forwards.contains(&forward));
        let Some(card) = card else { return Err(VmError::NoSuchForward(forward)) };
        card.forwards.retain(|kept| *kept != forward);
        let nic = card.id.clone();
        self.change_network(forward.remove_lines(&nic), forward.add_lines(&nic), document).await
    }

    /// First QEMU, which may refuse, then the document; what was done in QEMU before a step that fails is undone.
    async fn change_network(
        &self,
        lines: Vec<String>,
        undo: Vec<String>,
        document: Document,
    ) -> Result<(), VmError> {
        for (done, line) in lines.iter().enumerate() {
            // QEMU's human monitor prints nothing when it has done what it was told, but for removing:
            // `host forwarding rule for … removed`.
            let (error, done) = match self.human(line).await {
                Ok(said) if said.is_empty() || said.contains("removed") => continue,
                Ok(said) => (VmError::Qemu { words: said }, done),
                // Without an answer it may have been done; undoing what is not there changes nothing.
                Err(error) => (error, done + 1),
            };
            self.take_back(undo.get(..done).unwrap_or(&undo)).await;
            return Err(error);
        }
        let written = self.set_document(document).await;
        if written.is_err() {
            self.take_back(&undo).await;
        }
        written
    }

    async fn take_back(&self, undo: &[String]) {
        for line in undo {
            match self.human(line).await {
                Ok(said) if said.is_empty() || said.contains("removed") => {}
                Ok(said) => log::warn!("{line}: {said}"),
                Err(error) => return log::warn!("{line}: {error}"),
            }
        }
    }

    async fn human(&self, line: &str) -> Result<String, VmError> {
        Ok(self.session.human(line).await?.trim().to_owned())
    }

    /// Sets the VNC password, from now on.
    ///
    /// # Errors
    /// The machine has no VNC server, or QEMU refuses.
    pub async fn set_vnc_password(&self, password: VncPassword) -> Result<(), VmError> {
        if self.document().displays.vnc.is_none() {
            return Err(VmError::VncOff);
        }
        self.session.set_vnc_password(&password).await?;
        // Told first: what is kept is what it has, or what it has at its next start.
        self.with_locked(move |locked| {
            let mut host = locked.host()?;
            host.vnc_password = Some(password.as_str().to_owned());
            locked.set_host(&host)
        })
        .await
    }

    async fn set_document(&self, document: Document) -> Result<(), VmError> {
        let sections: Sections = document.to_files();
        let write = move |locked: &mut Locked| {
            let before = locked.manifest().document;
            locked.set_document(&sections).or_else(|error| {
                if locked.manifest().document == before {
                    return Err(error);
                }
                // The new one is in its place: what is read from now on.
                log::warn!("a power failure may undo a change of the machine's document: {error}");
                Ok(())
            })
        };
        self.with_locked(write).await?;
        *self.document.lock().unwrap_or_else(PoisonError::into_inner) = document;
        Ok(())
    }

    /// What is left to do once the session has ended. The lock is given back when this value is dropped.
    pub async fn finish(&self) -> Ended {
        let ended = self.session.ended().await;
        if self.throw_away {
            let locked = Arc::clone(&self.locked);
            if on_thread(move || lock(&locked).end_throw_away()).await.is_err() {
                log::warn!("the run's overlays stay until the next start");
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

/// The machine runs without it, too: then VNC lets nobody in, which the log says.
async fn tell_vnc(session: &Session, password: Option<VncPassword>) {
    let Some(password) = password else {
        return log::warn!("VNC lets nobody in: the machine has no password for it, give it one");
    };
    if let Err(error) = session.set_vnc_password(&password).await {
        log::error!("VNC lets nobody in: {error}");
    }
}

async fn resume(
    launcher: Arc<dyn Launcher>,
    spec: LaunchSpec,
    memory: &Path,
    locked: Arc<Mutex<Locked>>,
) -> Result<Session, VmError> {
    let file = File::open(memory).map_err(|source| VmError::Io { path: memory.to_owned(), source })?;
    let session = Session::restore(launcher, spec, &file, &ProgressFn::none()).await?;
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
