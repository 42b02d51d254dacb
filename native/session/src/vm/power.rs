//! Shutting a guest down.

use super::{AGENT, Vm, VmError};
use crate::Command;
use sampan_qmp::agent::ShutdownMode;

impl Vm {
    /// Asks the guest to shut down, in both ways there are: by its power button, which a guest without a daemon for it
    /// ignores, and by its agent, if one answers. Returns once the button is pressed.
    ///
    /// # Errors
    /// [`VmError`]: the machine does not run.
    pub async fn shut_down(&self) -> Result<(), VmError> {
        self.session.execute(Command::Powerdown).await?;
        if let Some(agent) = &self.agent {
            let (agent, log) = (agent.with_patience(AGENT), self.log.clone());
            tokio::spawn(async move {
                if let Err(error) = agent.shutdown(ShutdownMode::PowerDown).await {
                    log.info(format_args!("the guest was asked by its power button alone: {error}"));
                }
            });
        }
        Ok(())
    }
}
