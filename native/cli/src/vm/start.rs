//! `sampan start`: a supervisor of its own for the machine.

use super::list::death;
use super::place::{connect, shell_word};
use super::power::gone;
use super::{Answer, library};
use crate::args::StartArgs;
use crate::control::{Request, Silent};
use crate::host::{figures, heed};
use crate::supervisor::{Announcement, last_death, newest, program};
use crate::words::Progress;
use anyhow::{Context, Result, bail};
use sampan_config::Limits;
use sampan_library::{Bundle, Library};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long a supervisor takes at most to go once its machine has ended.
pub const LAST_MOMENTS: Duration = Duration::from_secs(20);

/// How long nothing may be heard of a start before its supervisor is asked whether it is still there.
const PACE: Duration = Duration::from_secs(10);

/// `sampan start VM`.
pub fn start(args: &StartArgs) -> Result<Answer> {
    if !args.listen.ip().is_loopback() {
        bail!(
            "--listen {}: only addresses of this machine alone can be used yet, such as 127.0.0.1:0",
            args.listen
        );
    }
    let library = library()?;
    let bundle = library.read(library.find(&args.vm.vm)?)?;
    if let Some(mut client) = connect(&bundle)? {
        let status = client.ask(&Request::Status)?;
        if status["state"] == "ended" {
            // Its supervisor is about to go.
            drop(client);
            gone(&bundle, LAST_MOMENTS)?;
            return start(args);
        }
        if status["state"] == "starting" {
            bail!("{} is being started already", bundle.name());
        }
        let viewer = status["viewer"].as_str().unwrap_or_default();
        bail!("{} runs already: {viewer}", bundle.name());
    }
    let document = super::document::of(&bundle)?;
    for doubt in heed(Limits::check(&document, &figures(library.home())?), args.yes)? {
        log::warn!("{doubt}");
    }
    let flags = [
        ("--throw-away", args.throw_away),
        ("--discard-state", args.discard_state),
        ("--in-process", args.in_process),
    ];
    let flags: Vec<&str> = flags.iter().filter(|(_, given)| *given).map(|(flag, _)| *flag).collect();
    let progress = Progress::start();
    if let Some(last) = last_death(bundle.path()) {
        progress.say(death(&bundle, &last));
    }
    let Launch { viewer, pid, .. } =
        launch(&library, &bundle, args.listen, &flags, |words| progress.say(words))?;
    progress.say(format_args!("{} runs", bundle.name()));
    Ok(Answer::new(json!({ "viewer": viewer, "pid": pid }), format!("viewer: {viewer}")))
}

/// That nothing is heard of a start for a while is well as long as its supervisor answers.
fn lives(bundle: &Bundle) -> Result<()> {
    // Before it listens there is nobody to ask.
    let asked = connect(bundle).and_then(|client| client.map(|mut c| c.ask(&Request::Status)).transpose());
    match asked {
        Err(error) if error.is::<Silent>() => Err(error),
        _ => Ok(()),
    }
}

/// A machine that was started.
pub struct Launch {
    /// Its viewer's address.
    pub viewer: String,
    /// Its supervisor.
    pub pid: u32,
    /// The same, to be waited for by whoever lives longer than it.
    pub child: Child,
}

/// Starts a supervisor for a machine that does not run, and waits until the machine does.
pub fn launch(
    library: &Library,
    bundle: &Bundle,
    listen: SocketAddr,
    flags: &[&str],
    tell: impl Fn(&str),
) -> Result<Launch> {
    let mut command = Command::new(program()?);
    sampan_emulator::environment::clear_for_supervisor(&mut command);
    command.arg("supervise").arg("--home").arg(library.home()).args(["--id", &bundle.id().to_string()]);
    command.arg("--listen").arg(listen.to_string()).args(flags);
    let mut child = command
        // What it logs is its log's; no less than this.
        .env(
            "RUST_LOG",
            std::env::var("RUST_LOG").unwrap_or_else(|_| "info,rtc=error,webrtc=error,zbus=error".into()),
        )
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("the supervisor could not be started")?;
    let lines = BufReader::new(child.stdout.take().context("its stdout")?).lines();
    let (pass_on, heard) = channel();
    // It ends with what the supervisor says.
    std::thread::spawn(move || {
        for line in lines {
            if pass_on.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        let line = match heard.recv_timeout(PACE) {
            Ok(line) => line.context("the supervisor")?,
            Err(RecvTimeoutError::Timeout) => {
                lives(bundle)?;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        match serde_json::from_str(&line) {
            Ok(Announcement::Progress(words)) => tell(&words),
            Ok(Announcement::Ready { viewer, pid }) => {
                return Ok(Launch { viewer, pid, child });
            }
            Ok(Announcement::Error(words)) => {
                let _ = child.wait();
                bail!("{} did not start: {words}", bundle.name());
            }
            Err(_) => log::warn!("the supervisor says: {line}"),
        }
    }
    let status = child.wait().context("the supervisor")?;
    let log = newest(bundle.path()).map_or(String::new(), |log| format!(", see {}", log.display()));
    bail!("the supervisor of {} ended ({status}) before the machine ran{log}", shell_word(bundle.name()))
}
