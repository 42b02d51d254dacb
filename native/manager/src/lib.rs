//! The application core: what a person does with virtual machines, for every face of Sampan.
//!
//! The program, the web console and the app say what they want here and get back types; they hold no policy. A [`Manager`]
//! is one library of machines with what runs of it:
//!
//! - [`Manager::plan`] and [`Manager::create`] make a machine of what a person chose; [`downloads`] are the catalogue and the
//!   library's media, [`edit`] what machines are changed by.
//! - [`Machine`] is one handle for a machine, whether it runs in this process, behind a process of its own, or not at all.
//! - [`lifecycle`](Manager::start) starts, shuts down, suspends and ends machines; [`run`] is one run of one machine.
//! - [`app`] is what becomes of machines when the system does something with the app they run in; [`storage`] what takes space.
//! - [`Manager::list`] and [`Manager::events`] tell what there is and what changes.
//! - [`Error`] has a stable code for programs and translations, and English beside it.
//!
//! **Invariant:** no terminal, no command line and no global state: nothing here prints, parses arguments or ends the
//! process. Nothing waits for ever for a machine's process.
#![forbid(unsafe_code)]

pub mod app;
mod apps;
mod codes;
pub mod create;
pub mod downloads;
pub mod edit;
mod error;
mod events;
mod fault;
pub mod features;
mod findings;
mod force;
pub mod host;
pub mod hosts;
mod jobs;
mod lent;
mod lifecycle;
mod live;
pub mod machine;
mod records;
pub mod run;
mod runs;
mod sentences;
pub mod share;
mod snapshots;
mod sound_devices;
pub mod storage;
mod summary;
pub mod supervisor;
pub mod text;
pub mod thumbnails;
pub mod time;
mod transfer;
mod trash;

pub use apps::GuestApp;
#[doc(hidden)]
pub use codes::samples;
pub use create::{NewMachine, Plan};
pub use error::{Error, Result};
pub use events::{Event, Events};
pub use fault::{FieldFault, MediumNameRule, PictureFault, Unfit};
pub use findings::{Confirmed, confirm};
pub use hosts::{HostChoice, HostOffer, Hosts};
pub use jobs::{About, Action, Activity, Job, JobInfo};
pub use lent::Lent;
pub use lifecycle::{Ended, Pressed};
pub use machine::{LocalMachine, Machine, StartFacts, Viewer};
pub use records::RunLog;
pub use sentences::{BadRequest, Sentence};
pub use sound_devices::{AttachedSound, SoundDevices};
pub use summary::{Condition, Crash, FRESH, MachineState, Summary};
pub use supervisor::Started;

pub use transfer::{Arrived, CloneOptions};
pub use trash::{Emptied, Trashed};

use live::Live;
use runs::Runs;
use sampan_config::{Arch, Finding, HostKind, Limits};
use sampan_control::{PATIENCE, Reporter};
use sampan_emulator::LibqemuDir;
use sampan_library::{Bundle, Library, VmId};
use sampan_session::images::QemuBlockLayer;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use supervisor::SupervisorProgram;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Where machines run.
#[derive(Clone)]
pub enum Placement {
    /// Here: each in a child of this process that runs a program of ours, or in its threads, as each start says.
    Here {
        /// The libraries that run them.
        libqemu: LibqemuDir,
        /// Whether QEMU can have a process of its own for work on images.
        children: bool,
    },
    /// In an app, which may start no programs: in one of the kinds of processes that its system offers.
    App {
        /// The libraries that run them.
        libqemu: LibqemuDir,
        /// The kinds of processes.
        hosts: Hosts,
    },
    /// Each behind a supervisor process of its own, which outlives this one.
    Supervised(Arc<dyn SupervisorProgram>),
}

/// Tells the time by which lists and pictures that many share get old.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

struct Inner {
    library: Library,
    placement: Placement,
    clock: Clock,
    runs: Runs,
    live: Live,
    jobs: jobs::Jobs,
    thumbnails: thumbnails::Thumbnails,
    downloads: parking_lot::Mutex<downloads::Downloads>,
    listing: tokio::sync::Mutex<summary::Listing>,
    sound_devices: OnceLock<Arc<dyn SoundDevices>>,
    /// Something in the list of machines may have changed.
    changed: watch::Sender<()>,
    app: app::AppLife,
}

/// A library of machines, with what runs of it. Clones are the same one. Its methods must be called on a tokio runtime.
#[derive(Clone)]
pub struct Manager(Arc<Inner>);

impl Manager {
    /// A manager of this library.
    pub fn new(library: Library, placement: Placement) -> Self {
        Self::with_clock(library, placement, Arc::new(Instant::now))
    }

    /// The same with another clock than the system's: a test's stands until the test moves it on.
    pub fn with_clock(library: Library, placement: Placement, clock: Clock) -> Self {
        let changed = watch::Sender::new(());
        Self(Arc::new(Inner {
            library,
            placement,
            clock,
            runs: Runs::default(),
            live: Live::new(changed.clone()),
            jobs: jobs::Jobs::new(changed.clone()),
            thumbnails: thumbnails::Thumbnails::default(),
            downloads: parking_lot::Mutex::default(),
            listing: tokio::sync::Mutex::new(summary::Listing::new(changed.subscribe())),
            sound_devices: OnceLock::new(),
            changed,
            app: app::AppLife::default(),
        }))
    }

    /// The library. Its calls block.
    pub fn library(&self) -> &Library {
        &self.0.library
    }

    pub(crate) fn placement(&self) -> &Placement {
        &self.0.placement
    }

    pub(crate) fn now(&self) -> Instant {
        (self.0.clock)()
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.0.runs
    }

    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    /// What is being done with machines.
    pub(crate) fn jobs(&self) -> &jobs::Jobs {
        &self.0.jobs
    }

    pub(crate) fn thumbnails(&self) -> &thumbnails::Thumbnails {
        &self.0.thumbnails
    }

    /// What the system did with the app.
    pub(crate) fn app_life(&self) -> &app::AppLife {
        &self.0.app
    }

    pub(crate) fn downloads(&self) -> &parking_lot::Mutex<downloads::Downloads> {
        &self.0.downloads
    }

    pub(crate) fn listing(&self) -> &tokio::sync::Mutex<summary::Listing> {
        &self.0.listing
    }

    pub(crate) fn sound_devices(&self) -> &OnceLock<Arc<dyn SoundDevices>> {
        &self.0.sound_devices
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    pub(crate) fn changed(&self) {
        self.0.changed.send_replace(());
    }

    /// What is on disk of a machine.
    ///
    /// # Errors
    /// [`Error::Library`].
    pub async fn bundle(&self, id: VmId) -> Result<Bundle> {
        let library = self.library().clone();
        blocking(move || Ok(library.read(id)?)).await
    }

    /// A machine by its name, its id, or the id's first characters.
    ///
    /// # Errors
    /// [`Error::Library`]: there is none, or several fit.
    pub async fn find(&self, what: &str) -> Result<VmId> {
        let (library, what) = (self.library().clone(), what.to_owned());
        blocking(move || Ok(library.find(&what)?)).await
    }

    /// The handle of a machine.
    ///
    /// # Errors
    /// [`Error::Library`]; [`Error::Client`] where its process does not answer.
    pub async fn machine(&self, id: VmId) -> Result<Machine> {
        self.machine_within(id, Some(PATIENCE)).await
    }

    /// The same where nothing may be heard of its process for `patience`.
    ///
    /// # Errors
    /// See [`Manager::machine`].
    pub async fn machine_within(&self, id: VmId, patience: Option<Duration>) -> Result<Machine> {
        Machine::of(self, self.bundle(id).await?, patience).await
    }

    /// What a start of the machine would do to this host: what refuses it, and what a person should confirm.
    ///
    /// # Errors
    /// The description cannot be read, or the host does not tell its figures.
    pub async fn start_findings(&self, id: VmId) -> Result<Vec<Finding>> {
        let library = self.library().clone();
        blocking(move || {
            let document = machine::document(&library.read(id)?)?;
            Ok(Limits::check(&document, &host::figures(library.home())?))
        })
        .await
    }

    /// QEMU's block layer for work on images, which stops when `reporter` is cancelled. Its calls block.
    ///
    /// # Errors
    /// libqemu is missing.
    pub fn block_layer(&self, reporter: &Reporter) -> Result<QemuBlockLayer> {
        let libqemu = self.libqemu()?;
        // Any architecture's will do; one that is there.
        let arch = libqemu.builds().first().map_or(Arch::X86_64, |(arch, ..)| *arch);
        host::raise_file_limit();
        let launcher = match self.placement() {
            Placement::App { hosts, .. } => hosts.for_images(),
            Placement::Here { children, .. } => host::launcher(&libqemu, *children)?,
            Placement::Supervised(_) => host::launcher(&libqemu, true)?,
        };
        let layer = QemuBlockLayer::new(launcher, arch, Handle::current());
        Ok(layer.stopped_by(reporter.flag()))
    }

    /// libqemu's folder.
    ///
    /// # Errors
    /// It is missing.
    pub fn libqemu(&self) -> Result<LibqemuDir> {
        match self.placement() {
            Placement::Here { libqemu, .. } | Placement::App { libqemu, .. } => Ok(libqemu.clone()),
            Placement::Supervised(_) => Ok(LibqemuDir::find()?),
        }
    }

    /// The kinds of processes in which machines run; `None` where programs run them.
    pub fn hosts(&self) -> Option<&Hosts> {
        match self.placement() {
            Placement::App { hosts, .. } => Some(hosts),
            Placement::Here { .. } | Placement::Supervised(_) => None,
        }
    }

    /// In what kind of process a machine runs, where a person chose one for it.
    ///
    /// # Errors
    /// The bundle cannot be read.
    pub async fn process(&self, id: VmId) -> Result<Option<HostKind>> {
        Ok(self.bundle(id).await?.host()?.process)
    }

    /// Chooses that, from the machine's next start on; `None`: what the app has for all. It is this host's matter and goes with no copy of the machine.
    ///
    /// # Errors
    /// See [`Manager::pin_app`].
    pub async fn set_process(&self, id: VmId, kind: Option<HostKind>) -> Result<()> {
        self.change_host(id, move |host| host.process = kind).await
    }
}

/// Does what blocks on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Thread)?
}
