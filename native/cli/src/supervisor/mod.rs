//! The process that runs one machine of the library: it outlives the terminal, holds the bundle's lock, and serves the
//! machine's control socket and its viewer.

mod again;
mod announce;
mod end;
mod logs;

pub use announce::Announcement;
pub use end::{death_before, last_death, last_end, note_end_by_force};
pub use logs::{BoundedLog, logs_folder, newest, newest_report, reports};

use crate::args::SuperviseArgs;
use crate::control::{self, Facts, Service};
use crate::exit::Code;
use crate::host::{Accelerated, launcher};
use crate::run::{FAREWELL, Signals, raise_file_limit, runtime};
use crate::vm::{control_socket, now, run_folder};
use crate::words::of_error;
use again::Again;
use anyhow::{Context, Result};
use end::{End, How};
use sampan_emulator::{AcceleratorName, LibqemuDir};
use sampan_library::{Library, Locked, VmId};
use sampan_session::images::Blocking;
use sampan_session::vm::{FLOOR, Host, RunOptions, Vm, watch_space};
use sampan_session::{Command, Ended, State};
use sampan_stream::{Server, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// `sampan supervise`, which `sampan start` calls.
pub fn supervise(args: SuperviseArgs) -> Result<Code> {
    // Its own session: closing the terminal is no concern of the machine's. An error means that it is one already.
    let _ = nix::unistd::setsid();
    let outcome = prepare(&args).and_then(|(library, locked)| {
        let before = if args.again { Again::read()? } else { Again::default() };
        let runtime = runtime()?;
        raise_file_limit();
        let outcome = runtime.block_on(run(&args, before, library, locked));
        runtime.shutdown_timeout(FAREWELL);
        outcome
    });
    match outcome {
        Ok((code, None)) => Ok(code),
        Ok((_, Some(again))) => again.exec(&args).map(|()| Code::Died),
        Err(error) => {
            Announcement::Error(of_error(&error)).tell();
            Err(error)
        }
    }
}

/// The lock, then the log: only who holds the lock writes into the bundle.
fn prepare(args: &SuperviseArgs) -> Result<(Library, Locked)> {
    let library = Library::open(&args.home)?;
    let id: VmId = args.id.parse().context("the machine's id")?;
    let locked = library.lock(id)?;
    let log = logs::begin(locked.path(), now())?;
    nix::unistd::dup2_stderr(&log).context("the log cannot be written to")?;
    Ok((library, locked))
}

/// Runs the machine to its end; with what is to be known where it is to be started again.
async fn run(
    args: &SuperviseArgs,
    before: Again,
    library: Library,
    locked: Locked,
) -> Result<(Code, Option<Again>)> {
    let mut signals = Signals::new()?;
    let folder = locked.path().to_owned();
    let name = locked.name().to_owned();
    let run = run_folder(&folder);
    sampan_library::private_folder(&run)?;
    let socket = control_socket(&folder).context("the folder for the control socket")?;
    let bound = control::bind(&socket.path)?;
    let service = Service::start(bound, socket.path.clone(), name.clone());
    // From now on the last run is this one.
    end::write(&folder, &End::unknown(last_end(&folder).filter(|_| args.again)));
    let began = Instant::now();
    let started = tokio::select! {
        started = start(args, &before, library, locked) => started,
        code = signals.first() => {
            let _ = std::fs::remove_file(&socket.path);
            end::write(&folder, &End::new(How::NotStarted, "it was told to end before it ran".into(), None));
            return Ok((code, None));
        }
        () = service.told_to_quit() => {
            log::info!("told to end before it ran");
            let _ = std::fs::remove_file(&socket.path);
            end::write(&folder, &End::new(How::NotStarted, "it was told to end before it ran".into(), None));
            return Ok((Code::Done, None));
        }
    };
    let (vm, server, facts) = match started {
        Ok(started) => started,
        Err(error) => {
            let _ = std::fs::remove_file(&socket.path);
            end::write(&folder, &End::new(How::NotStarted, of_error(&error), None));
            return Err(error);
        }
    };
    let accelerator = facts.accelerator.clone();
    let figures = Arc::downgrade(&server);
    let stats = Box::new(move || figures.upgrade().map(|s| s.stats()));
    let viewer = facts.viewer.clone();
    let session = Arc::clone(vm.session());
    service.ready(session, stats, facts, Some(Arc::clone(&vm)));
    let watch = tokio::spawn(watch_space(Arc::clone(&vm), FLOOR));
    log::info!("{name} runs");
    Announcement::Ready { viewer, pid: std::process::id() }.tell();

    let code = until_the_end(&vm, &mut signals).await;
    let ended = vm.finish().await;
    let died = matches!(ended, Ended::Died(_));
    let wanted = died && vm.document().system.restart_after_crash;
    let again = wanted.then(|| before.next(again::place_of(&server))).flatten();
    if wanted && again.is_none() {
        log::error!("it has died too often to be started again by itself");
    }
    let end = end::of(&vm, &ended, &accelerator, began.elapsed()).followed_by_a_start(again.is_some());
    end::write(&folder, &end);
    watch.abort();
    service.stop().await;
    if let Some(server) = Arc::into_inner(server) {
        server.stop().await;
    }
    Ok((if died { Code::Died } else { code }, again))
}

async fn start(
    args: &SuperviseArgs,
    before: &Again,
    library: Library,
    locked: Locked,
) -> Result<(Arc<Vm>, Arc<Server>, Facts)> {
    let libqemu = LibqemuDir::find()?;
    let document = crate::vm::document::of(&locked)?;
    let arch = document.system.arch;
    Announcement::Progress("looking for the fastest way to run the guest".into()).tell();
    let accelerated = Accelerated::probe(&libqemu, arch).await?;
    let disks = launcher(&libqemu, true)?;
    let host = Host {
        library,
        launcher: launcher(&libqemu, !args.in_process)?,
        images: Blocking::new(disks, arch, tokio::runtime::Handle::current()),
        choice: accelerated.choice.clone(),
        libqemu,
    };
    let options = RunOptions { throw_away: args.throw_away, discard_state: args.discard_state };
    let resumes = locked.suspended().is_some() && !args.discard_state;
    // A saved state is that of a CPU as it was.
    let hint = document.tuning_hint().filter(|_| accelerated.choice.name == AcceleratorName::Tcg && !resumes);
    if let Some(hint) = hint {
        log::info!("{}", hint.message);
        Announcement::Progress(format!("hint: {}", hint.message)).tell();
    }
    let place = if args.in_process { "inside the supervisor" } else { "in a process of its own" };
    let words = if resumes { "resuming" } else { "starting" };
    Announcement::Progress(format!("{words} it {place} {}", accelerated.words())).tell();
    let vm = Arc::new(Vm::start(host, locked, options).await?);
    let listen = before.listen().unwrap_or(args.listen);
    let config = ServerConfig { listen, token: before.token(), ..ServerConfig::default() };
    let server = Server::start(config, vm.session().guest()).await;
    let server = match server {
        Ok(server) => Arc::new(server),
        Err(error) => {
            // No machine without its screen: it would run unseen.
            vm.session().execute(Command::Quit).await?;
            vm.finish().await;
            return Err(error.into());
        }
    };
    let document = vm.document();
    let facts = Facts {
        arch,
        memory_mib: document.memory.mib,
        cpus: document.cpu.count,
        accelerator: accelerated.choice.name.to_string(),
        viewer: server.url(),
    };
    Ok((vm, server, facts))
}

async fn until_the_end(vm: &Vm, signals: &mut Signals) -> Code {
    let session = vm.session();
    let mut status = session.status();
    loop {
        let now = status.borrow_and_update().state;
        if now == State::Ended {
            return Code::Done;
        }
        if now == State::PoweredOff {
            log::info!("the guest has powered off");
            if let Err(error) = session.execute(Command::Quit).await {
                log::warn!("{error}");
            }
            return Code::Done;
        }
        tokio::select! {
            _ = status.changed() => {}
            code = signals.first() => {
                log::info!("told to end by a signal");
                let _ = session.execute(Command::Quit).await;
                return code;
            }
        }
    }
}

/// The program itself, to be started again as a supervisor.
pub fn program() -> Result<PathBuf> {
    std::env::current_exe().context("this program's own file is not known")
}
