//! Bringing a machine up.

use crate::log_ring::{LogRing, drain};
use crate::machine_log::MachineLog;
use crate::{CommandError, Serial};
use sampan_display::{Display, DisplayError};
use sampan_emulator::{Control, Exit, LaunchError, LaunchSpec, Launcher};
use sampan_message::{Coded, Params};
use sampan_qmp::{Qmp, QmpError};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long QEMU may take to end once its sockets are closed, or it was told to.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why a machine could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It was refused before QEMU was called.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// QEMU gave up, in its own words.
    #[error("{0}")]
    Qemu(Exit),
    /// Its monitor cannot be used.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// Its display cannot be used.
    #[error(transparent)]
    Display(#[from] DisplayError),
    /// The saved state could not be loaded.
    #[error("the saved state could not be loaded: {0}")]
    State(#[from] Box<CommandError>),
    /// The thread that launched it is gone.
    #[error("the thread that launches QEMU has failed; see the log")]
    Thread,
    /// The system refused a socket.
    #[error("no socket could be made: {0}")]
    Io(#[from] std::io::Error),
}

impl Coded for StartError {
    fn code(&self) -> &'static str {
        match self {
            Self::Launch(error) => error.code(),
            Self::Qemu(_) => "qemu_ended",
            Self::Qmp(error) => error.code(),
            Self::Display(error) => error.code(),
            Self::State(_) => "state_not_loaded",
            Self::Thread => "thread_failed",
            Self::Io(_) => "no_socket",
        }
    }

    fn params(&self) -> Params {
        match self {
            Self::Qemu(exit) => exit.params().with("reason", exit.code()).with("words", exit.to_string()),
            Self::State(error) => error.params().with("reason", error.code()).with("why", error.to_string()),
            Self::Launch(error) => error.params(),
            Self::Qmp(error) => error.params(),
            Self::Display(error) => error.params(),
            Self::Io(error) => Params::of("why", error.to_string()),
            Self::Thread => Params::new(),
        }
    }
}

/// A machine that is up, halted before its first instruction.
pub struct Up {
    pub qmp: Qmp,
    pub display: Display,
    pub control: Control,
    pub exit: oneshot::Receiver<Exit>,
    pub serial: Serial,
    pub qemu_log: LogRing,
}

/// Starts QEMU, then its monitor, then its display. Whatever fails, no machine is left behind.
pub async fn bring_up(
    launcher: Arc<dyn Launcher>,
    spec: LaunchSpec,
    log: &MachineLog,
) -> Result<Up, StartError> {
    let (ended, mut exit) = oneshot::channel();
    let launched = tokio::task::spawn_blocking(move || {
        // Nobody listening means that the start was given up.
        launcher.launch(spec, Box::new(move |exit| drop(ended.send(exit))))
    })
    .await
    .map_err(|_| StartError::Thread)??;
    let control = launched.control;
    let serial = Serial::new(launched.serial)?;
    let log = log.clone();
    let qemu_log = drain(launched.log, move |line| log.qemu(line))?;
    let connected = tokio::select! {
        connected = connect(launched.qmp) => connected,
        // QEMU's own words tell more than whatever its end does to the sockets.
        exit = &mut exit => return Err(gave_up(exit)),
    };
    match connected {
        Ok((qmp, display)) => Ok(Up { qmp, display, control, exit, serial, qemu_log }),
        Err(error) => {
            // The sockets close a moment before the end is told.
            if !matches!(error, StartError::Qmp(QmpError::Timeout { .. }))
                && let Ok(exit) = tokio::time::timeout(LAST_WORDS, &mut exit).await
            {
                return Err(gave_up(exit));
            }
            control.terminate();
            if tokio::time::timeout(LAST_WORDS, &mut exit).await.is_err() {
                // In this process nothing can be killed; the error is told all the same.
                let _ = control.kill();
            }
            Err(error)
        }
    }
}

pub fn gave_up(exit: Result<Exit, oneshot::error::RecvError>) -> StartError {
    let vanished = |_| Exit::Failed { status: -1, message: "its host has vanished".into() };
    StartError::Qemu(exit.unwrap_or_else(vanished))
}

/// A monitor without a display.
pub async fn connect_monitor(monitor: UnixStream) -> Result<Qmp, StartError> {
    Ok(Qmp::connect(monitor).await?)
}

async fn connect(monitor: UnixStream) -> Result<(Qmp, Display), StartError> {
    let qmp = Qmp::connect(monitor).await?;
    let (ours, theirs) = UnixStream::pair()?;
    // Both at once: QEMU authenticates its display's client before it answers.
    let (display, added) = tokio::join!(Display::connect(ours), async {
        let added = qmp.add_display_client(&theirs).await;
        // Our copy of QEMU's end must go, or we would not see the end of it.
        drop(theirs);
        added
    });
    added?;
    Ok((qmp, display?))
}
