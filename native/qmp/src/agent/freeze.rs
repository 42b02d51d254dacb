//! File systems at rest, for as long as a snapshot takes.

use super::{Agent, AgentError, MAX_ANSWER, types};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long freezing may take: all that is not yet on the disk is written before, and Windows gives up after 60 s.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long is tried to thaw. Writes in the guest hang until then.
const THAW_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two tries.
const THAW_PAUSE: Duration = Duration::from_millis(250);

/// A guest whose file systems are frozen: nothing in it can write. Say [`Frozen::thaw`]; dropped without it the guest is
/// thawed by a task of its own.
#[must_use = "the guest is thawed when this is dropped"]
pub struct Frozen {
    /// `None` once thawed, or never frozen.
    agent: Option<Agent>,
    file_systems: i64,
}

impl Frozen {
    /// How many file systems the guest says are frozen.
    pub fn file_systems(&self) -> i64 {
        self.file_systems
    }

    /// Lets the guest go on.
    ///
    /// # Errors
    /// As of [`Agent::thaw`]; it is then tried once more in the background.
    pub async fn thaw(mut self) -> Result<(), AgentError> {
        if let Some(agent) = self.agent.clone() {
            agent.thaw().await?;
            self.agent = None;
        }
        Ok(())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let Some(agent) = self.agent.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            log::error!("the program ends while a guest is frozen: thaw it by another run, or reset the VM");
            return;
        };
        runtime.spawn(async move {
            match agent.thaw().await {
                Ok(()) | Err(AgentError::Closed) => {}
                Err(e) => log::error!("a guest stays frozen, reset the VM if it does not go on: {e}"),
            }
        });
    }
}

impl Agent {
    /// Writes out what the guest's file systems hold, and keeps them from being written. Also when this future is dropped
    /// or fails, the guest is thawed. Meanwhile the agent refuses all but what concerns freezing.
    ///
    /// # Errors
    /// [`AgentError::Refused`] where a file system cannot be frozen, or the guest is frozen already; others of [`AgentError`].
    pub async fn freeze(&self) -> Result<Frozen, AgentError> {
        let mut frozen = Frozen { agent: None, file_systems: 0 };
        let mut link = self.link.lock().await;
        link.sync(self.patience).await?;
        // From here on the command may be on its way.
        frozen.agent = Some(self.clone());
        let done = link.command(types::guest_fsfreeze_freeze {}, FREEZE_TIMEOUT, MAX_ANSWER).await;
        drop(link);
        match done {
            Ok(count) => {
                frozen.file_systems = count;
                Ok(frozen)
            }
            Err(error) => {
                // The agent thaws what it froze before it failed, but who knows what it did when it is not understood.
                if let Err(e) = frozen.thaw().await {
                    log::debug!("thawing after a freeze that failed: {e}");
                }
                Err(error)
            }
        }
    }

    /// Does `work` on a frozen guest, for at most `limit`; thaws it whatever becomes of the work.
    ///
    /// # Errors
    /// [`AgentError::FrozenTooLong`] with the work dropped; those of [`Agent::freeze`] and [`Agent::thaw`].
    pub async fn while_frozen<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, AgentError> {
        let frozen = self.freeze().await?;
        let done = timeout(limit, work).await;
        frozen.thaw().await?;
        done.map_err(|_| AgentError::FrozenTooLong { limit })
    }

    /// Lets a guest go on that may be frozen, and sees that it does. Tried for a minute.
    ///
    /// # Errors
    /// The last try's. [`AgentError::Refused`] also where the agent knows no freezing.
    pub async fn thaw(&self) -> Result<(), AgentError> {
        let deadline = Instant::now() + THAW_TIMEOUT;
        loop {
            let error = match self.execute(types::guest_fsfreeze_thaw {}).await {
                Ok(_) => match self.freeze_status().await {
                    Ok(types::GuestFsfreezeStatus::thawed) => return Ok(()),
                    Ok(types::GuestFsfreezeStatus::frozen) => AgentError::Malformed {
                        command: "guest-fsfreeze-thaw",
                        message: "the guest says it is still frozen".to_owned(),
                    },
                    Err(e) => e,
                },
                Err(e @ (AgentError::Closed | AgentError::Refused { .. })) => return Err(e),
                Err(e) => e,
            };
            if Instant::now() + THAW_PAUSE > deadline {
                return Err(error);
            }
            sleep(THAW_PAUSE).await;
        }
    }

    /// Whether the guest's file systems are frozen.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn freeze_status(&self) -> Result<types::GuestFsfreezeStatus, AgentError> {
        self.execute(types::guest_fsfreeze_status {}).await
    }
}
