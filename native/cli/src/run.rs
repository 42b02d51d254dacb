//! `sampan run`: one machine, its viewer and its control socket, until its end.

use crate::args::{PoweroffArg, RunArgs};
use crate::exit::Code;
use crate::machine::machine;
use crate::words::{Progress, say, tell};
use anyhow::{Context, Result, bail};
use sampan_config::{Arch, DisplayKind};
use sampan_control::{Address, Server as ControlServer};
use sampan_emulator::{LaunchSpec, LibqemuDir};
use sampan_manager::host::{self, launcher, raise_file_limit};
use sampan_manager::{LocalMachine, StartFacts};
use sampan_session::{Command, Ended, Session, State};
use sampan_stream::{Server, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long viewers' tasks may take to notice that the program ends.
pub const FAREWELL: Duration = Duration::from_secs(3);

pub fn run(args: RunArgs) -> Result<Code> {
    let runtime = runtime()?;
    raise_file_limit();
    let code = runtime.block_on(serve(args));
    runtime.shutdown_timeout(FAREWELL);
    code
}

/// The program's one runtime.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .thread_name("sampan-async")
        .build()
        .context("no threads could be started")
}

async fn serve(args: RunArgs) -> Result<Code> {
    let progress = Progress::start();
    // Before anything that takes time, so that no signal is lost.
    let mut signals = Signals::new()?;
    let private =
        tempfile::Builder::new().prefix("sampan-").tempdir().context("no private folder could be made")?;
    let started = tokio::select! {
        started = start(&args, &progress, private.path()) => started?,
        code = signals.first() => return Ok(code),
    };
    let code = until_the_end(&args, &progress, &started, &mut signals).await;
    let Started { session, server, control, machine } = started;
    machine.unpublish().await;
    drop(machine);
    control.stop().await;
    // Its figures may be asked for at this very moment; then its drop ends it.
    if let Some(server) = Arc::into_inner(server) {
        server.stop().await;
    }
    // A machine that is still there when something failed is ended by the session's drop.
    drop(session);
    private.close().unwrap_or_else(|e| log::warn!("the private folder remains: {e}"));
    code
}

/// A machine with all that belongs to it.
struct Started {
    session: Arc<Session>,
    server: Arc<Server>,
    control: ControlServer,
    machine: Arc<LocalMachine>,
}

async fn start(args: &RunArgs, progress: &Progress, private: &Path) -> Result<Started> {
    let libqemu = LibqemuDir::find()?;
    let machine = machine(args, &libqemu, private)?;
    if machine.arch == Arch::Aarch64 && machine.display == DisplayKind::Std && machine.firmware.is_none() {
        progress.say(
            "the screen will stay dark: on aarch64 UEFI sets up the standard display, add --firmware uefi",
        );
    }
    progress.say("looking for the fastest way to run the guest");
    let choice = host::accelerator(&libqemu, machine.arch).await?;
    let mut spec = LaunchSpec::new(args.name.clone(), machine.arch);
    spec.engine = choice.engine;
    spec.args(machine.argv(std::slice::from_ref(&choice.accelerator))?);
    // Bound before the machine starts: an address in use must not waste a run.
    let launcher = launcher(&libqemu, args.child)?;
    let socket = match &args.control {
        Some(path) => path.clone(),
        None => private.join("control"),
    };
    let control = ControlServer::start(&Address::Socket(socket.clone()), args.name.clone());
    let control = control.map_err(|error| match &args.control {
        Some(_) => anyhow::anyhow!("--control {error}"),
        None => error.into(),
    })?;
    check_listen(args).await?;
    progress.say(describe(args, host::speed(&choice), machine.memory_mib, machine.cpus));
    let session = tokio::select! {
        session = Session::start(launcher, spec) => session.context("the machine did not start")?,
        () = control.told_to_quit() => bail!("the machine was ended before it ran"),
    };
    let session = Arc::new(session);
    let config = ServerConfig { listen: args.listen, ..ServerConfig::default() };
    let server = Arc::new(Server::start(config, session.guest()).await?);
    let facts = StartFacts {
        arch: machine.arch,
        memory_mib: machine.memory_mib,
        cpus: machine.cpus,
        accelerator: choice.name.to_string(),
    };
    let machine = LocalMachine::new(Arc::clone(&session), None, facts);
    machine.shown_by(&server);
    control.ready(machine.clone());
    say(&format!("viewer: {}", server.url()));
    progress.say(format_args!("the machine runs; control it with: sampan ctl {} status", socket.display()));
    Ok(Started { session, server, control, machine })
}

/// An address that cannot be had is refused before the machine is started.
async fn check_listen(args: &RunArgs) -> Result<()> {
    if !args.listen.ip().is_loopback() {
        bail!(
            "--listen {}: only addresses of this machine alone can be used yet, such as 127.0.0.1:0",
            args.listen
        );
    }
    let listener = tokio::net::TcpListener::bind(args.listen).await;
    listener.map(drop).with_context(|| format!("--listen {}: choose another address or port", args.listen))
}

fn describe(args: &RunArgs, speed: &str, memory: u32, cpus: u32) -> String {
    let place = if args.child { "in a child process" } else { "in this process" };
    format!("starting QEMU {place} {speed}: {memory} MiB, {cpus} CPU(s)")
}

async fn until_the_end(
    args: &RunArgs,
    progress: &Progress,
    started: &Started,
    signals: &mut Signals,
) -> Result<Code> {
    let session = &started.session;
    let mut status = session.status();
    loop {
        let now = status.borrow_and_update().clone();
        match (now.state, now.ended) {
            (_, Some(Ended::Quit)) => return Ok(Code::Done),
            (_, Some(Ended::Died(words))) => {
                tell(format_args!("sampan: the machine died: {words}"));
                return Ok(Code::Died);
            }
            (State::PoweredOff, _) if args.on_poweroff == PoweroffArg::Quit => {
                progress.say("the guest has powered off");
                session.execute(Command::Quit).await?;
                return Ok(Code::Done);
            }
            _ => {}
        }
        tokio::select! {
            _ = status.changed() => {}
            code = signals.first() => {
                progress.say("ending the machine; once more to end at once");
                tokio::select! {
                    quit = session.execute(Command::Quit) => quit.map(drop)?,
                    _ = signals.first() => {}
                }
                return Ok(code);
            }
        }
    }
}

/// The signals that end the program.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub fn new() -> Result<Self> {
        let take = |kind| signal(kind).context("signals cannot be handled");
        Ok(Signals {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            hangup: take(SignalKind::hangup())?,
        })
    }

    pub async fn first(&mut self) -> Code {
        tokio::select! {
            _ = self.interrupt.recv() => Code::Interrupted,
            _ = self.terminate.recv() => Code::Terminated,
            _ = self.hangup.recv() => Code::Terminated,
        }
    }
}
