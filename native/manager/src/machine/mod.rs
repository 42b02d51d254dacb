//! One handle for a machine, wherever it is: running in this process, behind the process that runs it, or at rest.

mod agent;
mod clipboard;
mod give;
mod guest;
mod local;
mod offline;
mod publish;
mod pull;
mod sharing;
mod sound;

pub use local::{LocalMachine, StartFacts, Viewer};

use crate::Manager;
use crate::error::{Error, Result};
use sampan_config::{BlockedWhen, Blocker, VmConfig};
use sampan_control::{Address, Client, Handler, Reply, Reporter, Request, Status};
use sampan_library::Bundle;
use sampan_message::{Coded, Message};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Where a machine is.
enum Place {
    /// It runs in this process.
    Local(Arc<LocalMachine>),
    /// It runs behind another process.
    Remote(Box<tokio::sync::Mutex<Client>>),
    /// It is being started in this process.
    Starting,
    /// Nobody runs it.
    Offline,
}

/// A machine of the library. Where it is was found out when the handle was made, and a machine that starts or ends
/// meanwhile says so by an error; make a new handle then.
pub struct Machine {
    manager: Manager,
    bundle: Bundle,
    place: Place,
}

impl Machine {
    /// Finds out where a machine is. `patience` is how long nothing may be heard of its process.
    ///
    /// # Errors
    /// [`Error::Client`] where its process does not answer.
    pub(crate) async fn of(manager: &Manager, bundle: Bundle, patience: Option<Duration>) -> Result<Self> {
        let place = match manager.runs().local(bundle.id()) {
            Some(local) => Place::Local(local),
            None if manager.runs().is_starting(bundle.id()) => Place::Starting,
            None => match Client::connect(&Address::of_bundle(bundle.path()), patience).await {
                Ok(Some(client)) => Place::Remote(Box::new(tokio::sync::Mutex::new(client))),
                Ok(None) => Place::Offline,
                Err(error) => return Err(named(error, &bundle)),
            },
        };
        Ok(Self { manager: manager.clone(), bundle, place })
    }

    /// What is on disk of it.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.bundle.name()
    }

    /// Its description, as the bundle has it.
    ///
    /// # Errors
    /// [`Error::VmConfig`].
    pub fn document(&self) -> Result<VmConfig> {
        document(&self.bundle)
    }

    /// Whether it runs, or is being started or ended.
    pub fn runs(&self) -> bool {
        !matches!(self.place, Place::Offline)
    }

    /// The process that runs it, where that is another one.
    pub async fn pid(&self) -> Option<u32> {
        match &self.place {
            Place::Remote(client) => client.lock().await.pid(),
            Place::Local(_) | Place::Starting | Place::Offline => None,
        }
    }

    /// Asks or tells it something. What concerns disks and description is done at rest, too; what needs a running machine is
    /// refused then.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; whatever the machine says.
    pub async fn call(&self, request: Request, reporter: &Reporter) -> Result<Reply> {
        match &self.place {
            Place::Local(local) => local.call(request, reporter).await.map_err(Error::Told),
            Place::Remote(client) => {
                let mut client = client.lock().await;
                let report = |progress| match progress {
                    Some(progress) => reporter.pass_on(progress),
                    None if reporter.is_cancelled() => ControlFlow::Break(()),
                    None => ControlFlow::Continue(()),
                };
                client.call_with(&request, report).await.map_err(|error| named(error, &self.bundle))
            }
            Place::Starting => Err(Error::BeingStarted { name: self.name().to_owned() }),
            Place::Offline => offline::call(&self.manager, &self.bundle, request, reporter).await,
        }
    }

    /// What it says of itself; `None` where it does not run, or ended while it was asked.
    ///
    /// # Errors
    /// [`Error::Client`] where its process does not answer or cannot be understood.
    pub async fn status(&self) -> Result<Option<Status>> {
        match &self.place {
            Place::Local(local) => Ok(Some(local.status())),
            Place::Starting => Ok(Some(Status::starting(self.name().to_owned()))),
            Place::Offline => Ok(None),
            Place::Remote(_) => match self.call(Request::Status, &Reporter::new()).await {
                Ok(Reply::Status(status)) => Ok(Some(*status)),
                Ok(_) => Err(Error::Client(unexpected())),
                Err(Error::Client(sampan_control::ClientError::Gone)) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// A request whose answer is only that it took effect.
    ///
    /// # Errors
    /// See [`Machine::call`].
    pub async fn tell(&self, request: Request) -> Result<()> {
        self.call(request, &Reporter::new()).await.map(drop)
    }

    /// The running machine of this process, for those who draw it.
    pub fn local(&self) -> Option<&Arc<LocalMachine>> {
        match &self.place {
            Place::Local(local) => Some(local),
            Place::Remote(_) | Place::Starting | Place::Offline => None,
        }
    }

    /// The connection to the process that runs it, for those who turn it into a console.
    ///
    /// # Errors
    /// [`Error::NotRunning`], also of a machine in this process.
    pub fn into_client(self) -> Result<Client> {
        match self.place {
            Place::Remote(client) => Ok(client.into_inner()),
            Place::Local(_) | Place::Starting | Place::Offline => {
                Err(Error::NotRunning { name: self.bundle.name().to_owned() })
            }
        }
    }
}

/// The reply to another request.
pub(crate) fn unexpected() -> sampan_control::ClientError {
    sampan_control::ClientError::Unintelligible("it answers what was not asked".into())
}

/// The same error, with the process that is known to hold the bundle where the connection tells none.
pub(crate) fn named(error: sampan_control::ClientError, bundle: &Bundle) -> Error {
    use sampan_control::ClientError;
    Error::Client(match error {
        ClientError::Silent { pid: None } => ClientError::Silent { pid: bundle.last_holder() },
        other => other,
    })
}

/// A bundle's description.
///
/// # Errors
/// [`Error::Library`], [`Error::VmConfig`].
pub fn document(bundle: &Bundle) -> Result<VmConfig> {
    let sections = bundle.document()?;
    VmConfig::from_files(&sections)
        .map_err(|source| Error::VmConfig { name: bundle.name().to_owned(), source })
}

/// What keeps a machine's memory from being saved whatever the guest does.
pub(crate) fn blocker_messages(blockers: &[Blocker]) -> Vec<Message> {
    let always = blockers.iter().filter(|blocker| blocker.when == BlockedWhen::Always);
    always.map(Blocker::message).collect()
}

/// The text of an error for a log.
pub(crate) fn text(error: &Error) -> String {
    error.message().message
}
