//! The application core as commands use it: on a runtime of the program's, with Ctrl-C and progress.

use crate::bar::Bar;
use crate::hints::AppError;
use crate::interrupt::interruption;
use crate::run::runtime;
use crate::vm::{library, library_if_there, library_to_fill};
use anyhow::Result;
use sampan_control::{Progress, Reporter};
use sampan_library::{Library, VmId};
use sampan_manager::run::StartOptions;
use sampan_manager::supervisor::SupervisorProgram;
use sampan_manager::{Confirmed, Machine, Manager, Placement, host};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How often it is looked whether Ctrl-C was pressed.
const PACE: Duration = Duration::from_millis(200);

/// A library with what runs of it.
pub struct App {
    pub manager: Manager,
    runtime: Runtime,
    /// What a person called the machine that it is about.
    machine: RefCell<Option<String>>,
}

impl App {
    /// The library that is there.
    pub fn open() -> Result<Self> {
        Self::of(library()?)
    }

    /// The same, if there is one.
    pub fn open_if_there() -> Result<Option<Self>> {
        library_if_there()?.map(Self::of).transpose()
    }

    /// The library, made if it is not there: for what puts something into it.
    pub fn open_to_fill() -> Result<Self> {
        Self::of(library_to_fill()?)
    }

    fn of(library: Library) -> Result<Self> {
        host::raise_file_limit();
        let (runtime, manager) = (runtime()?, manager(library));
        Ok(Self { manager, runtime, machine: RefCell::default() })
    }

    /// Waits for something.
    pub fn wait<T>(&self, work: impl Future<Output = sampan_manager::Result<T>>) -> Result<T> {
        self.told_of(self.runtime.block_on(work))
    }

    /// Does something on the runtime.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Waits for something whose progress is shown, and which Ctrl-C cancels.
    pub fn watch<T>(&self, work: impl AsyncFnOnce(&Reporter) -> sampan_manager::Result<T>) -> Result<T> {
        let mut bar = Bar::default();
        self.watch_with(work, |progress| bar.draw(progress))
    }

    /// The same of what shows its progress itself.
    pub fn cancellable<T>(
        &self,
        work: impl AsyncFnOnce(&Reporter) -> sampan_manager::Result<T>,
    ) -> Result<T> {
        self.watch_with(work, |_| {})
    }

    fn watch_with<T>(
        &self,
        work: impl AsyncFnOnce(&Reporter) -> sampan_manager::Result<T>,
        mut show: impl FnMut(&Progress),
    ) -> Result<T> {
        let reporter = Reporter::cancelled_by(interruption()?);
        let done = self.runtime.block_on(async {
            let mut progress = reporter.watch();
            let mut work = std::pin::pin!(work(&reporter));
            loop {
                tokio::select! {
                    done = &mut work => return done,
                    _ = progress.changed() => {
                        if let Some(now) = progress.borrow_and_update().clone() {
                            show(&now);
                        }
                    }
                    () = tokio::time::sleep(PACE) => if reporter.is_cancelled() {
                        reporter.cancel();
                    },
                }
            }
        });
        self.told_of(done)
    }

    /// What the core gives back without being waited for.
    pub fn told_of<T>(&self, outcome: sampan_manager::Result<T>) -> Result<T> {
        outcome.map_err(|error| self.told(&error))
    }

    fn told(&self, error: &sampan_manager::Error) -> anyhow::Error {
        AppError::new(error, self.machine.borrow().as_deref()).into()
    }

    /// A machine's id, by what a person calls it.
    pub fn id(&self, vm: &str) -> Result<VmId> {
        *self.machine.borrow_mut() = Some(vm.to_owned());
        Ok(self.manager.library().find(vm)?)
    }

    /// A machine, by what a person calls it.
    pub fn machine(&self, vm: &str) -> Result<Machine> {
        let id = self.id(vm)?;
        self.wait(self.manager.machine(id))
    }

    /// The same of one that runs.
    pub fn running(&self, vm: &str) -> Result<Machine> {
        let id = self.id(vm)?;
        self.wait(self.manager.running(id))
    }
}

/// What `--yes` says.
pub fn confirmed(yes: bool) -> Confirmed {
    if yes { Confirmed::Everything } else { Confirmed::Nothing }
}

/// A manager whose machines run behind supervisors of this program.
pub fn manager(library: Library) -> Manager {
    Manager::new(library, placement())
}

/// Behind supervisors of this program.
pub fn placement() -> Placement {
    Placement::Supervised(Arc::new(ThisProgram))
}

/// This program itself, which becomes a supervisor by `sampan supervise`.
struct ThisProgram;

impl SupervisorProgram for ThisProgram {
    fn command(
        &self,
        home: &Path,
        id: &str,
        options: StartOptions,
        listen: Option<SocketAddr>,
    ) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        sampan_emulator::environment::clear_for_supervisor(&mut command);
        command.arg("supervise").arg("--home").arg(home).args(["--id", id]);
        command.arg("--listen").arg(listen.unwrap_or(crate::args::ANY_PORT).to_string());
        command.args(flags(options));
        // What it logs is its log's; no less than this.
        let level = std::env::var("RUST_LOG");
        command.env("RUST_LOG", level.unwrap_or_else(|_| "info,rtc=error,webrtc=error,zbus=error".into()));
        command.current_dir("/");
        Ok(command)
    }
}

/// A start's options as `sampan supervise` takes them.
pub fn flags(options: StartOptions) -> Vec<&'static str> {
    let StartOptions { throw_away, discard_state, in_process } = options;
    let flags =
        [("--throw-away", throw_away), ("--discard-state", discard_state), ("--in-process", in_process)];
    flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect()
}
