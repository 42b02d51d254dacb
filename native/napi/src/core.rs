//! What there is once in a process: the runtime, the application core, and who listens to it.

use crate::events::Hub;
use crate::job::Jobs;
use parking_lot::RwLock;
use sampan_emulator::LibqemuDir;
use sampan_library::{Library, VmId};
use sampan_manager::{Error, Manager, Placement, Sentence};
use std::path::PathBuf;
use std::sync::{Arc, Once, OnceLock};
use tokio::runtime::Runtime;

/// Threads of the runtime: what takes long waits on its blocking pool, so two serve any number of pages.
const WORKERS: usize = 2;

/// The application core and what belongs to it.
pub(crate) struct Core {
    /// The machines.
    pub(crate) manager: Manager,
    /// Work that pages have begun here.
    pub(crate) jobs: Jobs,
    /// What is shown of machines while their pages look.
    pub(crate) screens: crate::api::screen::Screens,
    places: Places,
}

/// Where things are on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The library of machines.
    pub(crate) home: PathBuf,
    /// QEMU's libraries.
    pub(crate) libraries: PathBuf,
    /// QEMU's firmware, if not in `firmware` beside them.
    pub(crate) firmware: Option<PathBuf>,
}

static CORE: RwLock<Option<Arc<Core>>> = RwLock::new(None);
static HUB: OnceLock<Arc<Hub>> = OnceLock::new();
static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();

/// The runtime, which is made when it is first needed.
///
/// # Errors
/// The system has no threads left.
pub(crate) fn runtime() -> Result<&'static Runtime, Error> {
    let made = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let made = builder.worker_threads(WORKERS).thread_name("sampan-async").enable_all().build();
        made.map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|why| Error::saying(&Sentence::NoThreads { why: why.clone() }))
}

/// Who listens, to all that there is to hear.
pub(crate) fn hub() -> &'static Arc<Hub> {
    HUB.get_or_init(Arc::default)
}

/// The core.
///
/// # Errors
/// `not_initialised`: [`initialise`] has not been called, or has failed.
pub(crate) fn core() -> Result<Arc<Core>, Error> {
    // JavaScript's thread asks, too, and does not wait for a library that is being opened.
    let core = CORE.try_read().and_then(|core| core.clone());
    core.ok_or_else(|| Error::saying(&Sentence::NotInitialised))
}

/// Opens the library of machines. Has an effect once.
///
/// # Errors
/// The library cannot be opened; another one is open already. It blocks.
pub(crate) fn initialise(places: Places) -> Result<Arc<Core>, Error> {
    let mut core = CORE.write();
    if let Some(core) = &*core {
        if core.places == places {
            return Ok(Arc::clone(core));
        }
        let home = core.places.home.display().to_string();
        return Err(Error::saying(&Sentence::AlreadyInitialised { home }));
    }
    report();
    let libqemu = LibqemuDir::at(&places.libraries);
    let libqemu = match &places.firmware {
        Some(firmware) => libqemu.with_firmware(firmware),
        None => libqemu,
    };
    // Before there are machines, and as few threads as there will ever be.
    let hosts = crate::children::hosts(libqemu.clone());
    sampan_manager::host::raise_file_limit();
    let library = Library::open(&places.home)?;
    // An app may start no programs.
    let manager = Manager::new(library, Placement::App { libqemu, hosts });
    manager.set_sound_devices(Arc::new(crate::sound_devices::OhSound::default()));
    let made = Arc::new(Core { manager, jobs: Jobs::default(), screens: Default::default(), places });
    *core = Some(Arc::clone(&made));
    Ok(made)
}

/// Has what is logged go to the system's log, where it has one, and panics with it: a call that panics rejects with `internal`, and
/// the log says where.
fn report() {
    static ONCE: Once = Once::new();
    ONCE.call_once(install);
}

fn install() {
    if let Ok(hilog) = sampan_ohos::Hilog::load() {
        hilog.install(log::LevelFilter::Info);
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        log::error!("{panic}");
        before(panic);
    }));
}

/// A machine's id.
///
/// # Errors
/// `not_found`: it is none.
pub(crate) fn id(text: &str) -> Result<VmId, Error> {
    VmId::from_folder(&format!("{text}.sampan"))
        .ok_or_else(|| Error::saying(&Sentence::NoMachineId { name: text.to_owned() }))
}
