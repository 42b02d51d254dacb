//! What machines are told: one thing at a time each, and the end of it need not be waited for.

use super::fault::Fault;
use super::machines::{Machine, Machines, locked};
use crate::control::Request;
use crate::control::ask::{AskError, ask, runs};
use crate::vm::{LAST_MOMENTS, Launch, end_by_force, launch};
use sampan_library::Bundle;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long nothing may be heard of a supervisor that was asked something.
const SOON: Duration = Duration::from_secs(10);

/// How long it may take to go once its machine has ended.
const ENDING: Duration = Duration::from_secs(60);

/// How often a machine that ends is looked at.
const PACE: Duration = Duration::from_millis(100);

/// Where the viewers of machines listen that are started here.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// What a machine can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Start it, or resume it where it was suspended.
    Start,
    /// Press its power button.
    Stop,
    /// End it: disks are flushed, the guest is not asked.
    ForceStop,
    /// Halt its CPUs.
    Pause,
    /// Let them run.
    Resume,
    /// Press its reset button.
    Reset,
    /// Save its memory and end it.
    Suspend,
}

impl Action {
    fn words(self) -> &'static str {
        match self {
            Self::Start => "being started",
            Self::Stop => "being told to shut down",
            Self::ForceStop => "being ended",
            Self::Pause => "being paused",
            Self::Resume => "being resumed",
            Self::Reset => "being reset",
            Self::Suspend => "being suspended",
        }
    }
}

/// What is being done with a machine, and how the last thing went.
#[derive(Debug, Default)]
pub struct Job {
    doing: Option<Action>,
    /// Which one it is: ending a machine by force takes the place of what was being done.
    number: u64,
    problem: Option<String>,
    asked_to_stop: bool,
}

impl Job {
    /// What is being done now.
    pub fn doing(&self) -> Option<Action> {
        self.doing
    }

    /// Why the last thing failed.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether the power button was pressed in this run.
    pub fn asked_to_stop(&self) -> bool {
        self.asked_to_stop
    }

    /// The machine does not run.
    pub fn ended(&mut self) {
        self.asked_to_stop = false;
    }

    fn begin(&mut self, action: Action) -> Result<u64, Fault> {
        match self.doing {
            Some(now) if action != Action::ForceStop || now == Action::ForceStop => {
                return Err(Fault::conflict(format!(
                    "the machine is {}: wait until that is done",
                    now.words()
                )));
            }
            _ => {}
        }
        self.number += 1;
        self.doing = Some(action);
        self.problem = None;
        Ok(self.number)
    }

    fn end(&mut self, number: u64, action: Action, outcome: &Result<(), Fault>) {
        if self.number != number {
            return;
        }
        self.doing = None;
        match outcome {
            Ok(()) => self.asked_to_stop |= action == Action::Stop,
            Err(fault) => self.problem = Some(fault.words.clone()),
        }
    }
}

/// Begins something; it goes on whoever waits for it.
///
/// # Errors
/// Something else is being done.
pub fn begin(
    machines: &Arc<Machines>,
    machine: Arc<Machine>,
    bundle: Bundle,
    action: Action,
) -> Result<JoinHandle<Result<(), Fault>>, Fault> {
    let number = locked(&machine.job).begin(action)?;
    let machines = Arc::clone(machines);
    machines.changed();
    Ok(tokio::spawn(async move {
        // A task of its own, so that even a panic in it ends the job.
        let (work, own) = (Arc::clone(&machine), Arc::clone(&machines));
        let done = tokio::spawn(async move { act(&own, &work, bundle, action).await }).await;
        let outcome = done.unwrap_or_else(|error| Err(Fault::failed(error)));
        if let Err(fault) = &outcome {
            log::info!("{action:?} failed: {}", fault.words);
        }
        locked(&machine.job).end(number, action, &outcome);
        machines.changed();
        outcome
    }))
}

async fn act(machines: &Machines, machine: &Machine, bundle: Bundle, action: Action) -> Result<(), Fault> {
    let folder = bundle.path();
    match action {
        Action::Start => start(machines, machine, bundle).await,
        Action::Stop => stop(&bundle).await,
        Action::ForceStop => match ask(folder, &Request::Quit, SOON).await {
            Ok(Some(_)) => gone(folder, ENDING).await,
            Ok(None) => Err(not_running(&bundle)),
            Err(AskError::Silent) => {
                let ended = tokio::task::spawn_blocking(move || end_by_force(&bundle, None));
                ended.await.map_err(Fault::failed)?.map_err(Fault::failed)
            }
            Err(error) => Err(error.into()),
        },
        Action::Pause => tell(&bundle, &Request::Pause).await,
        Action::Resume => tell(&bundle, &Request::Resume).await,
        Action::Reset => tell(&bundle, &Request::Reset).await,
        Action::Suspend => {
            tell(&bundle, &Request::Suspend).await?;
            gone(folder, ENDING).await
        }
    }
}

async fn tell(bundle: &Bundle, request: &Request) -> Result<(), Fault> {
    ask(bundle.path(), request, SOON).await?.map(drop).ok_or_else(|| not_running(bundle))
}

fn not_running(bundle: &Bundle) -> Fault {
    Fault::conflict(format!("{} does not run: start it first", bundle.name()))
}

async fn stop(bundle: &Bundle) -> Result<(), Fault> {
    let Some(status) = ask(bundle.path(), &Request::Status, SOON).await? else { return Ok(()) };
    match status["state"].as_str() {
        Some("running") => tell(bundle, &Request::Powerdown).await,
        // Nobody there would hear the power button.
        Some("paused") => {
            Err(Fault::conflict(format!("{} is paused: resume it first, or end it by force", bundle.name())))
        }
        _ => {
            tell(bundle, &Request::Quit).await?;
            gone(bundle.path(), ENDING).await
        }
    }
}

async fn start(machines: &Machines, machine: &Machine, bundle: Bundle) -> Result<(), Fault> {
    match ask(bundle.path(), &Request::Status, SOON).await {
        Ok(None) => {}
        // Its supervisor is about to go.
        Ok(Some(status)) if status["state"] == "ended" => gone(bundle.path(), LAST_MOMENTS).await?,
        Ok(Some(_)) => return Err(Fault::conflict(format!("{} runs already", bundle.name()))),
        Err(error @ AskError::Silent) => return Err(error.into()),
        Err(error) => log::info!("{}: {error}", bundle.name()),
    }
    // The bundle is locked as long as the last supervisor is there, and that is longer than its socket.
    let begun = Instant::now();
    while machine.has_child() && begun.elapsed() < LAST_MOMENTS {
        sleep(PACE).await;
    }
    let library = machines.library().clone();
    let launched = tokio::task::spawn_blocking(move || {
        launch(&library, &bundle, ANY_PORT, &[], |words| log::info!("{}: {words}", bundle.name()))
    });
    let Launch { child, pid, .. } = launched.await.map_err(Fault::failed)?.map_err(Fault::failed)?;
    log::info!("supervisor {pid} runs it");
    *locked(&machine.child) = Some(child);
    Ok(())
}

async fn gone(folder: &Path, patience: Duration) -> Result<(), Fault> {
    let begun = Instant::now();
    while runs(folder).await {
        if begun.elapsed() > patience {
            return Err(AskError::Silent.into());
        }
        sleep(PACE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_at_a_time_but_force_breaks_through() {
        let mut job = Job::default();
        let starting = job.begin(Action::Start).expect("nothing is being done");
        let refused = job.begin(Action::Pause).expect_err("it is being started");
        assert!(refused.words.contains("being started"), "{}", refused.words);
        let forced = job.begin(Action::ForceStop).expect("always");
        assert!(job.begin(Action::ForceStop).is_err(), "but not twice");
        // What was broken through ends later, and is no news.
        job.end(starting, Action::Start, &Err(Fault::conflict("it was ended")));
        assert_eq!((job.doing(), job.problem()), (Some(Action::ForceStop), None));
        job.end(forced, Action::ForceStop, &Ok(()));
        assert_eq!(job.doing(), None);
    }

    #[test]
    fn a_problem_stays_until_the_next_thing_is_done() {
        let mut job = Job::default();
        let number = job.begin(Action::Reset).expect("free");
        job.end(number, Action::Reset, &Err(Fault::conflict("no")));
        assert_eq!(job.problem(), Some("no"));
        let number = job.begin(Action::Stop).expect("free");
        assert_eq!(job.problem(), None);
        job.end(number, Action::Stop, &Ok(()));
        assert!(job.asked_to_stop());
        job.ended();
        assert!(!job.asked_to_stop());
    }
}
