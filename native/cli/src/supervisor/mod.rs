//! The process that runs one machine of the library: it outlives the terminal, and serves the machine's control socket and
//! its viewer.

mod again;
mod log;

pub use log::BoundedLog;

use crate::args::SuperviseArgs;
use crate::exit::Code;
use crate::run::{FAREWELL, Signals, runtime};
use crate::words::{say_json, without_hint};
use again::Again;
use anyhow::{Context, Result};
use sampan_control::{Address, Server as ControlServer, run_folder};
use sampan_emulator::LibqemuDir;
use sampan_library::{Library, VmId};
use sampan_manager::host::raise_file_limit;
use sampan_manager::run::{Run, StartOptions, Starting, logs};
use sampan_manager::supervisor::Announcement;
use sampan_message::Message;
use sampan_stream::{Server, ServerConfig};
use std::sync::Arc;

/// `sampan supervise`, which `sampan start` calls.
pub fn supervise(args: SuperviseArgs) -> Result<Code> {
    // Its own session: closing the terminal is no concern of the machine's. An error means that it is one already.
    let _ = nix::unistd::setsid();
    let outcome = prepare(&args).and_then(|starting| {
        let before = if args.again { Again::read()? } else { Again::default() };
        let runtime = runtime()?;
        raise_file_limit();
        let outcome = runtime.block_on(run(&args, before, starting));
        runtime.shutdown_timeout(FAREWELL);
        outcome
    });
    match outcome {
        Ok((code, None)) => Ok(code),
        Ok((_, Some(again))) => again.exec(&args).map(|()| Code::Died),
        Err(error) => {
            announce(&Announcement::Error(message_of(&error)));
            Err(error)
        }
    }
}

/// The error with its code, for whoever waits: they add the command that helps.
fn message_of(error: &anyhow::Error) -> Message {
    use sampan_message::Coded;
    let known = error.downcast_ref::<sampan_manager::Error>().map(Coded::message);
    known.unwrap_or_else(|| Message::new("not_started", without_hint(error)))
}

/// Tells the `start` that waits for it. The last word closes stdout; whoever does not wait any more does no harm.
fn announce(announcement: &Announcement) {
    say_json(&serde_json::json!(announcement));
    if !matches!(announcement, Announcement::Progress(_))
        && let Ok(null) = std::fs::File::options().write(true).open("/dev/null")
    {
        let _ = nix::unistd::dup2_stdout(null);
    }
}

/// The lock, then the log: only who holds the lock writes into the bundle.
fn prepare(args: &SuperviseArgs) -> Result<Starting> {
    let library = Library::open(&args.home)?;
    let id: VmId = args.id.parse().context("the machine's id")?;
    let locked = library.lock(id)?;
    let (starting, cut_off) = Starting::new(library, locked, args.again);
    let begun = logs::begin(starting.folder(), sampan_manager::time::now()).map_err(anyhow::Error::from);
    let begun = begun.and_then(|log| nix::unistd::dup2_stderr(&log).context("the log cannot be written to"));
    if let Err(error) = begun {
        starting.give_up(&without_hint(&error));
        return Err(error);
    }
    if let Some(record) = cut_off {
        announce(&Announcement::Progress(record.cut_off_message()));
    }
    Ok(starting)
}

/// Runs the machine to its end; with what is to be known where it is to be started again.
async fn run(args: &SuperviseArgs, before: Again, starting: Starting) -> Result<(Code, Option<Again>)> {
    let mut signals = Signals::new()?;
    let (folder, name) = (starting.folder().to_owned(), starting.name().to_owned());
    let listening = sampan_library::private_folder(&run_folder(&folder))
        .map_err(anyhow::Error::from)
        .and_then(|_| Ok(ControlServer::start(&Address::of_bundle(&folder), name.clone())?));
    let control = match listening {
        Ok(control) => control,
        Err(error) => {
            starting.give_up(&without_hint(&error));
            return Err(error);
        }
    };
    let (run, server) = tokio::select! {
        started = start(args, &before, starting) => started?,
        code = signals.first() => {
            ::log::info!("told to end before it ran");
            return Ok((code, None));
        }
        () = control.told_to_quit() => {
            ::log::info!("told to end before it ran");
            return Ok((Code::Done, None));
        }
    };
    control.ready(run.machine().clone());
    ::log::info!("{name} runs");
    announce(&Announcement::Ready { viewer: Some(server.url()), pid: std::process::id() });
    let code = tokio::select! {
        () = run.until_the_end() => Code::Done,
        code = signals.first() => {
            ::log::info!("told to end by a signal");
            run.end().await;
            code
        }
    };
    let (died, again) = run.finish(before.restarts()).await;
    let again = again.map(|restarts| Again::new(restarts, again::place_of(&server)));
    control.stop().await;
    if let Some(server) = Arc::into_inner(server) {
        server.stop().await;
    }
    run.release();
    Ok((if died.died() { Code::Died } else { code }, again))
}

async fn start(args: &SuperviseArgs, before: &Again, starting: Starting) -> Result<(Run, Arc<Server>)> {
    let options = StartOptions {
        throw_away: args.throw_away,
        discard_state: args.discard_state,
        in_process: args.in_process,
    };
    let tell = |message| announce(&Announcement::Progress(message));
    let libqemu = match LibqemuDir::find() {
        Ok(libqemu) => libqemu,
        Err(error) => {
            let error = error.into();
            starting.give_up(&without_hint(&error));
            return Err(error);
        }
    };
    let run = starting.start(libqemu, None, options, &tell).await?;
    let listen = before.listen().unwrap_or(args.listen);
    let config = ServerConfig { listen, token: before.token(), ..ServerConfig::default() };
    let server = match Server::start(config, run.machine().guest()).await {
        Ok(server) => Arc::new(server),
        Err(error) => {
            // No machine without its screen: it would run unseen.
            let error = error.into();
            run.give_up(&without_hint(&error)).await;
            return Err(error);
        }
    };
    run.machine().shown_by(&server);
    run.machine().share_again().await;
    Ok((run, server))
}
