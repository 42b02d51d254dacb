//! The background: a machine that nobody looks at runs for a part of the time and is halted for the rest.
//!
//! The cycle is a task of the session's. Whoever tells the machine something that depends on whether its CPUs run holds
//! the [`Gate`] meanwhile, so that the cycle can neither undo it nor fall into it: a person's pause always wins.

use crate::machine_log::MachineLog;
use crate::{CommandError, PausedBy, Session, State, Status};
use sampan_config::Duty;
use sampan_qmp::{Qmp, QmpError, types};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, watch};

/// What the status of such a machine says in words.
pub const SLOWED: &str = "slowed down in the background";

/// Whether it is the cycle that holds the CPUs now.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<bool>>);

impl Gate {
    /// Keeps the cycle still for as long as the guard lives. True in it means that the CPUs are halted by the cycle.
    pub async fn close(&self) -> MutexGuard<'_, bool> {
        self.0.lock().await
    }
}

impl Session {
    /// Slows the machine down by a cycle of running and being halted, or lets it run all the time again. To everybody
    /// else such a machine is [`State::Running`]; its [`Status::slowed`] is true. While it is paused, by whomever, the
    /// cycle rests.
    ///
    /// # Errors
    /// The machine cannot be told to run again.
    pub async fn set_background(&self, duty: Option<Duty>) -> Result<(), CommandError> {
        let duty = duty.filter(|duty| duty.pause_ms > 0);
        let mut held = self.gate.close().await;
        self.duty.send_replace(duty);
        if duty.is_none() {
            self.awaken(&mut held).await?;
            self.status.send_modify(not_slowed);
        }
        Ok(())
    }

    /// The cycle that it is in, in the background.
    pub fn background(&self) -> Option<Duty> {
        *self.duty.borrow()
    }

    /// Ends a halt of the cycle's.
    pub(crate) async fn awaken(&self, held: &mut bool) -> Result<(), CommandError> {
        if std::mem::take(held) && self.status.borrow().state == State::Running {
            self.qmp.execute(types::cont {}).await?;
        }
        Ok(())
    }

    /// Halts the CPUs for somebody who means it; `by` is `None` while memory is put away. QEMU tells nothing where the cycle has halted them already.
    pub(crate) async fn halt(&self, words: &str, by: Option<PausedBy>) -> Result<(), CommandError> {
        let mut held = self.gate.close().await;
        self.qmp.execute(types::stop {}).await?;
        *held = false;
        self.status.send_modify(|status| {
            not_slowed(status);
            if status.state == State::Running {
                status.state = State::Paused;
            }
            if status.state == State::Paused {
                status.paused_by = status.paused_by.or(by);
                if !words.is_empty() {
                    words.clone_into(&mut status.detail);
                }
            }
        });
        Ok(())
    }
}

/// Says whether that is news.
fn slowed(status: &mut Status) -> bool {
    let news = status.state == State::Running && !status.slowed;
    if news {
        status.slowed = true;
        if status.detail.is_empty() {
            SLOWED.clone_into(&mut status.detail);
        }
    }
    news
}

fn not_slowed(status: &mut Status) {
    status.slowed = false;
    if status.detail == SLOWED {
        status.detail.clear();
    }
}

/// Runs for the whole session, and acts while there is a duty and the machine runs.
pub async fn cycle(
    qmp: Qmp,
    gate: Gate,
    mut duty: watch::Receiver<Option<Duty>>,
    status: watch::Sender<Status>,
    log: MachineLog,
) {
    let mut changes = status.subscribe();
    loop {
        let wanted = *duty.borrow_and_update();
        let running = changes.borrow_and_update().state == State::Running;
        let (Some(wanted), true) = (wanted, running) else {
            status.send_if_modified(|status| {
                let was = status.slowed;
                if was {
                    not_slowed(status);
                }
                was
            });
            tokio::select! {
                changed = duty.changed() => if changed.is_err() { return },
                changed = changes.changed() => if changed.is_err() { return },
            }
            continue;
        };
        match once(&qmp, &gate, &mut duty, &status, wanted).await {
            Ok(()) => {}
            Err(QmpError::Closed | QmpError::Flooded { .. }) => return,
            Err(error) => {
                log.warn(format_args!("the machine is not slowed down for now: {error}"));
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

/// After QEMU refused or was too busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// One turn. Ends early when another duty is wanted.
async fn once(
    qmp: &Qmp,
    gate: &Gate,
    duty: &mut watch::Receiver<Option<Duty>>,
    status: &watch::Sender<Status>,
    wanted: Duty,
) -> Result<(), QmpError> {
    status.send_if_modified(slowed);
    wait(duty, wanted.run_ms).await;
    {
        let mut held = gate.close().await;
        let running = status.borrow().state == State::Running;
        if duty.borrow().is_none() || !running || *held {
            return Ok(());
        }
        // QEMU itself may have halted it, and its event been taken for one of ours.
        if !qmp.execute(types::query_status {}).await?.running {
            status.send_modify(|status| {
                not_slowed(status);
                if status.state == State::Running {
                    status.state = State::Paused;
                }
            });
            return Ok(());
        }
        // A pause and a resume since the beginning of this turn have taken the mark away, and without it the event of
        // this halt would be a person's pause.
        status.send_if_modified(slowed);
        qmp.execute(types::stop {}).await?;
        *held = true;
    }
    wait(duty, wanted.pause_ms).await;
    let mut held = gate.close().await;
    // Resume only if we still hold the CPUs, and the status does not say why they stand.
    if std::mem::take(&mut *held) && status.borrow().state == State::Running {
        qmp.execute(types::cont {}).await?;
    }
    Ok(())
}

async fn wait(duty: &mut watch::Receiver<Option<Duty>>, ms: u32) {
    let _ = tokio::time::timeout(Duration::from_millis(ms.into()), duty.changed()).await;
}
