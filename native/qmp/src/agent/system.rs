//! What the guest is, and its power and clock.

use super::{Agent, AgentError, types};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The agent answers a shutdown only when it refuses, which it does at once.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

/// How the guest is to go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Power off.
    PowerDown,
    /// Stop, with the power on.
    Halt,
    /// Start again.
    Reboot,
}

impl Agent {
    /// The agent's version and commands.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn info(&self) -> Result<types::GuestAgentInfo, AgentError> {
        self.execute(types::guest_info {}).await
    }

    /// The guest's operating system, in its own words.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn os_info(&self) -> Result<types::GuestOSInfo, AgentError> {
        self.execute(types::guest_get_osinfo {}).await
    }

    /// The guest's network interfaces with their addresses.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn network_interfaces(&self) -> Result<Vec<types::GuestNetworkInterface>, AgentError> {
        self.execute(types::guest_network_get_interfaces {}).await
    }

    /// Sets the guest's clock, as after a pause or a restored snapshot.
    ///
    /// # Errors
    /// See [`AgentError`]; [`AgentError::BadTime`].
    pub async fn set_time(&self, time: SystemTime) -> Result<(), AgentError> {
        let beyond = || AgentError::BadTime { time };
        let nanoseconds = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).map_err(|_| beyond())?,
            Err(e) => i64::try_from(e.duration().as_nanos()).map(|before| -before).map_err(|_| beyond())?,
        };
        self.execute(types::guest_set_time { time: Some(nanoseconds) }).await.map(drop)
    }

    /// Asks the guest to go down. It returns when the agent has taken the order: QEMU's `SHUTDOWN` event tells the end.
    ///
    /// # Errors
    /// [`AgentError::Refused`] where the agent may not; others of [`AgentError`].
    pub async fn shutdown(&self, mode: ShutdownMode) -> Result<(), AgentError> {
        let mode = match mode {
            ShutdownMode::PowerDown => types::GuestShutdownMode::Powerdown,
            ShutdownMode::Halt => types::GuestShutdownMode::Halt,
            ShutdownMode::Reboot => types::GuestShutdownMode::Reboot,
        };
        let mut link = self.link.lock().await;
        link.sync(self.patience).await?;
        link.command_without_answer(types::guest_shutdown { mode: Some(mode) }, REFUSAL_PATIENCE).await
    }
}
