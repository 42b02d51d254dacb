//! Suspending to disk.

use super::{Vm, VmError};
use crate::{Command, ProgressFn};
use sampan_library::Locked;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What a state needs besides the memory: devices, and the picture. MiB.
const OTHERS: u64 = 128;

impl Vm {
    /// Saves the machine's memory to its bundle and ends it; the next start goes on from there. In this order: the memory
    /// is saved and durable, then noted, then QEMU ends. Killed in between, the machine boots anew as after a power
    /// failure, or goes on.
    ///
    /// # Errors
    /// [`VmError`]; the machine goes on running. Where the disk takes not even back that it was suspended, it stands still
    /// until it is suspended again or ends.
    pub async fn suspend(&self, time: u64, progress: &ProgressFn) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        if self.throw_away {
            return Err(VmError::ThrowAwayRun);
        }
        let ran = self.running();
        self.room_for_memory()?;
        self.reconcile_pending().await?;
        self.check_migratable().await?;
        let plan = |locked: &mut Locked| {
            // One that could not be taken back: the machine has stood still since.
            locked.consume_suspended()?;
            locked.plan_suspend()
        };
        let memory = self.with_locked(plan).await?;
        self.suspend_duty_cycle().await?;
        // From here to QEMU's end, or until it was given up.
        self.session.inhibit_resume(true);
        let done = self.save_and_note(&memory, time, progress).await;
        if let Err(error) = done {
            // A note that failed may be on the disk all the same; before the guest runs it must be gone. Else it stands
            // still, since its memory would meet disks that have moved on.
            let taken_back = self.with_locked(|locked| {
                locked.consume_suspended()?;
                locked.abandon_suspend();
                Ok(())
            });
            if let Err(why) = taken_back.await {
                return Err(VmError::StandsStill { error: error.into(), undo: why.into() });
            }
            self.go_on(ran).await?;
            self.resume_duty_cycle().await?;
            return Err(error);
        }
        self.session.execute(Command::Quit).await?;
        Ok(())
    }

    async fn save_and_note(&self, memory: &Path, time: u64, progress: &ProgressFn) -> Result<(), VmError> {
        self.save_memory(memory, progress).await?;
        // The guest stands still: this is what it shows when it goes on.
        let picture = self.picture().await;
        let memory = memory.to_owned();
        self.with_locked(move |locked| locked.commit_suspend(&memory, time, picture.as_deref())).await
    }

    /// The machine is paused afterwards.
    pub(super) async fn save_memory(&self, path: &Path, progress: &ProgressFn) -> Result<(), VmError> {
        if let Some(clipboard) = self.session.clipboard().filter(|_| self.running()) {
            // A message that is cut here leaves an agent that waits for the rest of it.
            clipboard.settle().await;
        }
        // For its owner alone: it holds all that the guest knows.
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|source| VmError::Io { path: path.to_owned(), source })?;
        Ok(self.session.save(&file, progress).await?)
    }

    pub(super) fn room_for_memory(&self) -> Result<(), VmError> {
        let needed = (u64::from(self.document().memory.mib) + OTHERS) << 20;
        let free = sampan_library::free(&self.folder)?;
        if free < needed {
            return Err(VmError::NoRoomForMemory { needed, free });
        }
        Ok(())
    }

    pub(super) async fn go_on(&self, ran: bool) -> Result<(), VmError> {
        self.session.inhibit_resume(false);
        if ran && !self.running() {
            self.session.execute(Command::Resume).await?;
        }
        Ok(())
    }
}
