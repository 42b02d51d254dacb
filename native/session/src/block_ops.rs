//! What only [`Vm`](crate::vm::Vm) and tests tell a machine, each with an answer of its own: what concerns its disks, its
//! memory as a whole and its host. [`Command`](crate::Command) is what anybody may tell it.

use crate::{CommandError, DriveInfo, Overlay, ProgressFn, Remedy, Session, State, disks, media, migration};
use sampan_config::VncPassword;
use sampan_qmp::{Qmp, QmpError, types};
use serde_json::json;
use std::fs::File;
use std::path::Path;

/// Whether the guest has opened the port on a chardev, by QEMU's word.
pub(crate) async fn is_port_open(qmp: &Qmp, socket: &str) -> Result<bool, QmpError> {
    let answer = qmp.execute_json("query-chardev", json!({})).await?;
    let mut all = answer.as_array().into_iter().flatten();
    let port = all.find(|chardev| chardev["label"].as_str() == Some(socket));
    Ok(port.and_then(|port| port["frontend-open"].as_bool()).unwrap_or(false))
}

impl Session {
    /// Pauses, saves memory and devices' state into the file, and stays paused: see [`Session::restore`]. The file is empty
    /// and open for writing and not for reading: QEMU's sets of descriptors go by the mode. It is not durable yet.
    ///
    /// # Errors
    /// [`CommandError`]; the machine may be paused then.
    pub async fn save(&self, file: &File, progress: &ProgressFn) -> Result<(), CommandError> {
        let state = self.alive()?;
        if state == State::PoweredOff {
            return Err(CommandError::State { state, remedy: Remedy::NothingToSave });
        }
        if let Some(reason) = migration::blockers(&self.qmp).await?.into_iter().next() {
            return Err(CommandError::NotSavable { reason });
        }
        // QEMU saves no state twice without having run in between, were it for a moment (`migrate_prepare` in
        // migration/migration.c); a machine that somebody has paused may be kept more than once.
        if self.qmp.execute(types::query_status {}).await?.status == types::RunState::postmigrate {
            self.qmp.execute(types::cont {}).await?;
        }
        self.halt("", None).await?;
        migration::save(&self.qmp, file, &mut |now| (progress.0)(now), &self.log).await
    }

    /// What stands against saving the state now, in QEMU's words; empty where nothing does.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn blockers(&self) -> Result<Vec<String>, CommandError> {
        self.alive()?;
        Ok(migration::blockers(&self.qmp).await?)
    }

    /// Makes the drives go on in these overlays, all at one moment.
    ///
    /// # Errors
    /// [`CommandError`]; they go on where they were then, unless QEMU answered too late.
    pub async fn switch_to_overlays(&self, overlays: &[Overlay]) -> Result<(), CommandError> {
        self.alive()?;
        disks::switch_to_overlays(&self.qmp, overlays).await
    }

    /// Puts a medium into a CD or floppy drive in the place of what is there, or takes that out. A guest that holds what
    /// is there is asked for it, unless it is taken by `force`.
    ///
    /// # Errors
    /// [`CommandError`]; the drive has what it had then.
    pub async fn change_medium(
        &self,
        drive: &str,
        medium: Option<&Path>,
        force: bool,
    ) -> Result<(), CommandError> {
        self.alive()?;
        media::change(&self.qmp, drive, medium, force, &self.log).await
    }

    /// Gives a drive so many bytes.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn grow(&self, drive: &str, size: u64) -> Result<(), CommandError> {
        self.alive()?;
        disks::grow(&self.qmp, drive, size).await
    }

    /// What a drive is now.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn drive(&self, id: &str) -> Result<DriveInfo, CommandError> {
        self.alive()?;
        disks::drive(&self.qmp, id).await
    }

    /// The host's threads that play the CPUs, as Linux numbers them (`gettid(2)`), each once. QEMU names them, and who has taken it over could
    /// name another program's, whose priority would change then: only those of QEMU's process count.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn threads(&self) -> Result<Vec<i32>, CommandError> {
        self.alive()?;
        let answer = self.qmp.execute_json("query-cpus-fast", json!({})).await?;
        let threads = answer.as_array().into_iter().flatten().filter_map(|cpu| cpu["thread-id"].as_i64());
        let mut threads: Vec<i32> = threads.filter_map(|id| i32::try_from(id).ok()).collect();
        // One thread may play all the CPUs (`-accel tcg,thread=single`).
        threads.sort_unstable();
        threads.dedup();
        let process = self.pid().unwrap_or(std::process::id());
        threads.retain(|thread| {
            let its = is_of(process, *thread);
            if !its {
                let words = format_args!(
                    "QEMU names thread {thread} as a CPU, which is none of its process {process}"
                );
                self.log.warn(words);
            }
            its
        });
        Ok(threads)
    }

    /// Whether the guest has opened the port that is connected to a socket of ours; as far as QEMU can tell, which it cannot of a
    /// UART.
    ///
    /// # Errors
    /// [`CommandError`].
    pub(crate) async fn is_port_open(&self, socket: &str) -> Result<bool, CommandError> {
        self.alive()?;
        Ok(is_port_open(&self.qmp, socket).await?)
    }

    /// Sets the VNC password. Until there is one, VNC lets nobody in.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn set_vnc_password(&self, password: &VncPassword) -> Result<(), CommandError> {
        self.alive()?;
        let mut command = password.command();
        self.qmp.execute_json("set_password", command["arguments"].take()).await?;
        Ok(())
    }

    /// Tells QEMU's human monitor a line (forwards have no other command) and gives back what it printed.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn human(&self, line: &str) -> Result<String, CommandError> {
        self.alive()?;
        let command = types::human_monitor_command { command_line: line.to_owned(), cpu_index: None };
        Ok(self.qmp.execute(command).await?)
    }
}

/// Whether a thread is one of a process.
fn is_of(process: u32, thread: i32) -> bool {
    // Written in decimal, a negative one is no thread's name.
    Path::new("/proc").join(format!("{process}/task/{thread}")).is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_another_process_is_none_of_this_one() {
        let us = std::process::id();
        let (told, tell) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            told.send(nix::unistd::gettid().as_raw()).expect("somebody listens");
            ended.recv().expect_err("the other end goes");
        });
        let ours = tell.recv().expect("a number");
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("a process");
        let other = child.id().cast_signed();
        assert!(is_of(us, ours) && is_of(child.id(), other));
        assert!(!is_of(us, other) && !is_of(child.id(), ours));
        assert!(!is_of(us, -1) && !is_of(us, 0) && !is_of(us, i32::MAX));
        child.kill().expect("ends");
        child.wait().expect("ends");
        drop(end);
        thread.join().expect("ends");
    }
}
