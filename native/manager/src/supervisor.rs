//! A process of its own for a machine, which outlives the one that starts it.

use crate::Manager;
use crate::error::{Error, Result};
use crate::machine::named;
use crate::run::{StartOptions, Tell, logs};
use sampan_control::{Address, Client, ClientError, PATIENCE, Request};
use sampan_library::Bundle;
use sampan_message::Message;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// How long nothing may be heard of a start before its supervisor is asked whether it is still there.
const PACE: Duration = Duration::from_secs(10);

/// A machine that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Where it is seen, with the secret; `None` where nothing is streamed.
    pub viewer: Option<String>,
    /// The process that runs it, where that is another one.
    pub pid: Option<u32>,
}

/// The program that becomes a supervisor.
pub trait SupervisorProgram: Send + Sync {
    /// The command that supervises the machine `id` of the library in `home`. `listen` is where its viewer is to be.
    ///
    /// # Errors
    /// The program is not found.
    fn command(
        &self,
        home: &Path,
        id: &str,
        options: StartOptions,
        listen: Option<SocketAddr>,
    ) -> std::io::Result<std::process::Command>;
}

/// What a supervisor says on its stdout until its machine runs: a JSON value a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Announcement {
    /// What it is doing.
    Progress(Message),
    /// The machine runs.
    Ready {
        /// Where it is seen.
        viewer: Option<String>,
        /// The supervisor.
        pid: u32,
    },
    /// It does not.
    Error(Message),
}

/// Starts a supervisor for a machine that does not run, and waits until the machine does.
pub(crate) async fn launch(
    manager: &Manager,
    program: &dyn SupervisorProgram,
    bundle: &Bundle,
    options: StartOptions,
    listen: Option<SocketAddr>,
    tell: Tell<'_>,
) -> Result<Started> {
    let cannot = || Error::io("the supervisor could not be started");
    let id = bundle.id().to_string();
    let command = program.command(manager.library().home(), &id, options, listen).map_err(cannot())?;
    let mut child = Command::from(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(cannot())?;
    let name = || bundle.name().to_owned();
    let mut lines = match child.stdout.take() {
        Some(stdout) => BufReader::new(stdout).lines(),
        None => return Err(cannot()(std::io::ErrorKind::BrokenPipe.into())),
    };
    loop {
        let line = match timeout(PACE, lines.next_line()).await {
            Ok(line) => line.map_err(Error::io("the supervisor"))?,
            Err(_) => {
                still_answers(bundle).await?;
                continue;
            }
        };
        let Some(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(Announcement::Progress(message)) => tell(message),
            Ok(Announcement::Ready { viewer, pid }) => {
                // Whoever does not wait for a child keeps a zombie.
                tokio::spawn(async move { child.wait().await });
                return Ok(Started { viewer, pid: Some(pid) });
            }
            Ok(Announcement::Error(why)) => {
                let _ = child.wait().await;
                return Err(Error::NotStarted { name: name(), why });
            }
            Err(_) => log::warn!("the supervisor says: {line}"),
        }
    }
    let status = child.wait().await.map_err(Error::io("the supervisor"))?.to_string();
    let log = logs::runs(bundle.path()).pop().map(|log| log.display().to_string());
    Err(Error::SupervisorEnded { name: name(), status, log })
}

/// That nothing is heard of a start for a while is well as long as its supervisor answers. Before it listens there is nobody
/// to ask.
async fn still_answers(bundle: &Bundle) -> Result<()> {
    let asked = async {
        match Client::connect(&Address::of_bundle(bundle.path()), Some(PATIENCE)).await? {
            Some(mut client) => client.call(&Request::Status).await.map(drop),
            None => Ok(()),
        }
    };
    match asked.await {
        Err(error @ ClientError::Silent { .. }) => Err(named(error, bundle)),
        _ => Ok(()),
    }
}
