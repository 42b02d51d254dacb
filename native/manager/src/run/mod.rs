//! One run of a machine of the library, from its lock to the record of its end. A supervisor process does this for one
//! machine; an app does it for each machine in its own process.

mod log_file;
pub mod logs;
mod record;
mod restart;

use record::StartMark;
pub use record::{EndRecord, How, RunMark};
pub(crate) use record::{dismiss, note_end_by_force, settle};
pub use restart::Restarts;

use crate::Sentence;
use crate::error::Result;
use crate::host;
use crate::hosts::{HostChoice, Hosts};
use crate::machine::{LocalMachine, StartFacts, document, text};
use crate::time::now;
use sampan_config::{Arch, HostKind, VmConfig};
use sampan_emulator::{AcceleratorName, Choice, Launcher, LibqemuDir};
use sampan_library::{Library, Locked, date};
use sampan_message::Message;
use sampan_session::images::QemuBlockLayer;
use sampan_session::vm::{Host, RunOptions, Vm};
use sampan_session::{Command, Ended, LogCrate, LogSink, State};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;

/// How a machine is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// Forget at the end all that is written to its disks.
    pub throw_away: bool,
    /// Boot anew although it is suspended: its saved state is lost.
    pub discard_state: bool,
    /// Run QEMU in this process rather than in a child of it that runs a program of ours. Where there are [`Hosts`], they decide.
    pub in_process: bool,
}

/// Hears what a start is doing.
pub type Tell<'a> = &'a (dyn Fn(Message) + Send + Sync);

/// A machine that runs.
pub struct Run {
    machine: Arc<LocalMachine>,
    vm: Arc<Vm>,
    folder: PathBuf,
    accelerator: String,
    began: Instant,
}

/// A run that is about to begin: its lock is held, and the bundle says that it goes on.
pub struct Starting {
    mark: StartMark,
    bundled: Bundled,
}

/// A bundle that is locked for a run.
struct Bundled {
    library: Library,
    locked: Locked,
    folder: PathBuf,
    began: Instant,
    log: Arc<dyn LogSink>,
}

impl Starting {
    /// Notes that a run begins; with the end of the last one, if nobody had noted that. `again` says that the run follows a
    /// crash by itself.
    pub fn new(library: Library, locked: Locked, again: bool) -> (Self, Option<EndRecord>) {
        locked.note_run();
        let folder = locked.path().to_owned();
        if let Err(error) = sampan_library::private_folder(&logs::logs_folder(&folder)) {
            log::warn!("{error}");
        }
        let cut_off = settle(&folder, locked.name());
        let last = EndRecord::last(&folder).filter(|_| again);
        let mark = StartMark::new(&folder, last);
        let log = Arc::new(LogCrate::new(locked.name()));
        (Self { mark, bundled: Bundled { library, locked, folder, began: Instant::now(), log } }, cut_off)
    }

    /// The same with a log of this run alone in the bundle: for a process that runs several machines. It blocks.
    ///
    /// # Errors
    /// It cannot be made. That the machine was not started is noted then.
    pub fn with_log_file(mut self) -> Result<Self> {
        match log_file::LogFile::begin(self.folder(), self.name()) {
            Ok(log) => {
                self.bundled.log = Arc::new(log);
                Ok(self)
            }
            Err(error) => {
                self.mark.failed(&text(&error));
                Err(error)
            }
        }
    }

    /// The bundle's folder.
    pub fn folder(&self) -> &Path {
        &self.bundled.folder
    }

    /// The machine's name.
    pub fn name(&self) -> &str {
        self.bundled.locked.name()
    }

    /// Does not start it, and notes why.
    pub fn give_up(self, why: &str) {
        self.mark.failed(why);
    }

    /// Starts the machine. Where that fails, or is given up by dropping the future, the record says so.
    ///
    /// # Errors
    /// The machine is as it was.
    pub async fn start(
        self,
        libqemu: LibqemuDir,
        hosts: Option<&Hosts>,
        options: StartOptions,
        tell: Tell<'_>,
    ) -> Result<Run> {
        let Self { mark, bundled } = self;
        match begin(bundled, libqemu, hosts, options, tell).await {
            Ok(run) => {
                mark.started();
                Ok(run)
            }
            Err(error) => {
                mark.failed(&text(&error));
                Err(error)
            }
        }
    }
}

/// Where QEMU runs, and by what.
struct Place {
    choice: Choice,
    launcher: Arc<dyn Launcher>,
    images: Arc<dyn Launcher>,
    /// For a person.
    words: &'static str,
}

/// In the process that the options say.
async fn place_by(libqemu: &LibqemuDir, arch: Arch, options: StartOptions) -> Result<Place> {
    let choice = host::accelerator(libqemu, arch).await?;
    let launcher = || host::launcher(libqemu, !options.in_process);
    let kind = if options.in_process { Some(HostKind::InProcess) } else { None };
    Ok(Place { choice, launcher: launcher()?, images: launcher()?, words: words(kind) })
}

/// In the kind of process that was chosen for the machine or for all, or is the best.
async fn place_in(hosts: &Hosts, arch: Arch, chosen: Option<HostKind>) -> Result<Place> {
    let hosts = hosts.clone();
    crate::blocking(move || {
        let HostChoice { kind, launcher, choice } = hosts.choose(arch, chosen)?;
        Ok(Place { choice, images: Arc::clone(&launcher), launcher, words: words(Some(kind)) })
    })
    .await
}

fn words(kind: Option<HostKind>) -> &'static str {
    match kind {
        None => "in a process of its own",
        Some(HostKind::InProcess) => "inside this process",
        Some(HostKind::Fork) => "in a forked process of its own",
        Some(HostKind::NativeChild) => "in a native child process of its own",
    }
}

async fn begin(
    bundled: Bundled,
    libqemu: LibqemuDir,
    hosts: Option<&Hosts>,
    options: StartOptions,
    tell: Tell<'_>,
) -> Result<Run> {
    let Bundled { library, locked, folder, began, log } = bundled;
    let document = document(&locked)?;
    let (of_library, id) = (library.clone(), locked.id());
    let arch = document.system.arch;
    tell(Message::saying(&Sentence::Probing));
    let Place { choice, launcher, images, words } = match hosts {
        Some(hosts) => place_in(hosts, arch, locked.host()?.process).await?,
        None => place_by(&libqemu, arch, options).await?,
    };
    let resumes = locked.suspended().is_some() && !options.discard_state;
    tell_start(&document, &choice, words, resumes, tell);
    let host = Host {
        library,
        launcher,
        images: QemuBlockLayer::new(images, arch, Handle::current()),
        choice: choice.clone(),
        libqemu,
        log,
    };
    let (throw_away, discard_state) = (options.throw_away, options.discard_state);
    let run = RunOptions { throw_away, discard_state, ..RunOptions::default() };
    let vm = Arc::new(Vm::start(host, locked, run).await?);
    let document = vm.document();
    let accelerator = choice.name.to_string();
    let facts = StartFacts {
        arch,
        memory_mib: document.memory.mib,
        cpus: document.cpu.count,
        accelerator: accelerator.clone(),
    };
    let machine = LocalMachine::new(Arc::clone(vm.session()), Some(Arc::clone(&vm)), facts);
    machine.belongs_to(of_library, id);
    Ok(Run { machine, vm, folder, accelerator, began })
}

fn tell_start(document: &VmConfig, choice: &Choice, place: &str, resumes: bool, tell: Tell<'_>) {
    // A saved state is that of a CPU as it was.
    let hint = document.tuning_hint().filter(|_| choice.name == AcceleratorName::Tcg && !resumes);
    if let Some(hint) = hint {
        let text = format!("hint: {}", hint.message);
        log::info!("{text}");
        tell(Message { message: text, ..hint.message });
    }
    tell(begins(resumes, place, choice));
}

/// That a machine is started, or goes on where it was.
fn begins(resumes: bool, place: &str, choice: &Choice) -> Message {
    let code = if resumes { "resuming" } else { "starting" };
    Message::new(code, format!("{code} it {place} {}", host::speed(choice)))
        .with("accelerator", choice.name.to_string())
}

/// What a start tells, for the list of codes.
pub(crate) fn samples() -> Vec<Message> {
    let name = AcceleratorName::Tcg;
    let choice = Choice { name, engine: sampan_emulator::Engine::Native, accelerator: name.to_string() };
    vec![begins(false, "inside this process", &choice), begins(true, "inside this process", &choice)]
}

impl Run {
    /// The machine, as its control socket or a page of this process asks it.
    pub fn machine(&self) -> &Arc<LocalMachine> {
        &self.machine
    }

    /// The machine of the library.
    pub fn vm(&self) -> &Arc<Vm> {
        &self.vm
    }

    /// Waits until the machine has ended or is to end: a guest of the library that has powered off ends its machine.
    pub async fn until_the_end(&self) {
        let session = self.vm.session();
        let mut status = session.status();
        loop {
            // Copied out: what is borrowed must not be held across a wait.
            let state = status.borrow_and_update().state;
            match state {
                State::Ended => return,
                State::PoweredOff => {
                    log::info!("the guest has powered off");
                    return self.end().await;
                }
                _ => {}
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ends the machine now.
    pub async fn end(&self) {
        if let Err(error) = self.vm.session().execute(Command::Quit).await {
            log::warn!("{error}");
        }
    }

    /// Ends the machine, which cannot be of use to anybody, as one that never ran.
    pub async fn give_up(self, why: &str) {
        self.end().await;
        self.vm.finish().await;
        EndRecord::new(How::NotStarted, why, None).write(&self.folder);
        self.release();
    }

    /// Waits for the machine's end and notes it. With the restarts so far it says whether the machine is to be started again
    /// by itself.
    pub async fn finish(&self, restarts: &Restarts) -> (EndRecord, Option<Restarts>) {
        let (ended, ()) = tokio::join!(self.vm.finish(), self.machine.unpublish());
        let died = matches!(ended, Ended::Died(_));
        let wanted = died && self.vm.document().system.restart_after_crash;
        let again = wanted.then(|| restarts.next(now())).flatten();
        if wanted && again.is_none() {
            log::error!("it has died too often to be started again by itself");
        }
        let record = EndRecord { again: again.is_some(), ..self.record(&ended) };
        record.write(&self.folder);
        (record, again)
    }

    /// Gives the bundle's lock back. Whatever else says that the machine runs, such as its control socket, must be gone
    /// before: whoever gets the lock next makes it anew.
    pub fn release(self) {
        self.machine.release();
    }

    fn record(&self, ended: &Ended) -> EndRecord {
        match ended {
            Ended::Quit => EndRecord::new(How::Ended, "ended as it was told to", None),
            Ended::Died(words) => {
                log::error!("the machine died: {words}");
                let report = record::write_report(&self.folder, &self.report(words));
                EndRecord::new(How::Died, words.clone(), report)
            }
        }
    }

    fn report(&self, words: &str) -> String {
        let document = self.vm.document();
        let session = self.vm.session();
        let mut out = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(out, "{name:14}{value}");
        };
        line("machine", &document.system.name);
        line("when", &date(now()));
        line("what", &words.lines().next().unwrap_or_default());
        line("ran for", &format_args!("{} s", self.began.elapsed().as_secs()));
        line("guest", &document.system.arch);
        line("accelerator", &self.accelerator);
        line("memory", &format_args!("{} MiB", document.memory.mib));
        line("CPUs", &document.cpu.count);
        line("QEMU", &session.qemu_version());
        line("Sampan", &env!("CARGO_PKG_VERSION"));
        out += "\nThe machine's disks are as after a power failure; most guests repair themselves at the next start. If it dies\n\
                again, the arguments and logs below tell more.\n";
        let section = |out: &mut String, title: &str, text: &str| {
            let _ = writeln!(out, "\n{title}\n{}\n{text}", "-".repeat(title.len()));
        };
        section(&mut out, "What QEMU said last", &logs::tail(&session.log_tail(), record::LINES));
        section(&mut out, "The guest's serial port", &logs::tail(&session.serial().tail(), record::LINES));
        section(&mut out, "Arguments", &self.vm.arguments().join("\n"));
        if let Some(log) = logs::runs(&self.folder).pop() {
            let _ = writeln!(out, "\nThe run's log is {}", log.display());
        }
        out
    }
}
