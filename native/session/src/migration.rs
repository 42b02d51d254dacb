//! A machine's memory in a file: suspending, resuming, and the memory half of a snapshot.
//!
//! QEMU migrates to a file and from one (`migrate` with `file:/dev/fdset/N`, `docs/devel/migration/main.rst`). The file
//! is opened by the caller and passed as a descriptor, so QEMU needs no right to open it. It holds guest memory and the
//! devices' state, not the disks: it fits only the disks as they were at that moment, and the same machine.

use crate::CommandError;
use crate::machine_log::MachineLog;
use sampan_library::Progress;
use sampan_qmp::{Qmp, QmpError};
use serde_json::{Value, json};
use std::fs::File;
use std::time::{Duration, Instant};

/// How often QEMU is asked how far it is.
const PACE: Duration = Duration::from_millis(50);

/// The first questions come sooner: a guest stands still meanwhile, and a small one is saved at once.
const FIRST: Duration = Duration::from_millis(2);

/// How long QEMU may take to break off saving: beyond any disk that answers.
const BREAKING_OFF: Duration = Duration::from_secs(60);

/// Bytes a second: as fast as the disk takes it. QEMU's own default is a network's 128 MiB.
const UNLIMITED: u64 = 64 << 30;

/// Saves the state of a paused machine into `file` from its beginning. It stays paused, its disks usable. Making the file
/// durable is the caller's, who may let the guest run meanwhile.
pub(crate) async fn save(
    qmp: &Qmp,
    file: &File,
    progress: &mut (dyn FnMut(Progress) -> bool + Send),
    log: &MachineLog,
) -> Result<(), CommandError> {
    let set = qmp.add_fd(file).await?;
    let saved = async {
        qmp.execute_json("migrate-set-parameters", json!({ "max-bandwidth": UNLIMITED })).await?;
        qmp.execute_json("migrate", json!({ "uri": format!("file:{set}") })).await?;
        follow(qmp, progress).await?;
        Ok(())
    }
    .await;
    if saved.is_err() {
        stop(qmp, BREAKING_OFF, log).await;
    }
    // Whatever came of it, the disks are handed back to this machine, and no descriptor stays.
    let active = qmp.execute_json("blockdev-set-active", json!({ "active": true })).await;
    forget(qmp, &set, log).await;
    saved.and(active.map(drop).map_err(CommandError::from))
}

/// Loads a state into a machine that waits for one (`-incoming defer`), which stays paused.
pub(crate) async fn load(
    qmp: &Qmp,
    file: &File,
    progress: &mut (dyn FnMut(Progress) -> bool + Send),
    log: &MachineLog,
) -> Result<(), CommandError> {
    let set = qmp.add_fd(file).await?;
    let loaded = async {
        qmp.execute_json("migrate-incoming", json!({ "uri": format!("file:{set}") })).await?;
        follow(qmp, progress).await
    }
    .await;
    forget(qmp, &set, log).await;
    loaded
}

/// Why this machine's state could not be saved now, in QEMU's words; empty where nothing stands against it.
pub(crate) async fn blockers(qmp: &Qmp) -> Result<Vec<String>, QmpError> {
    let info = qmp.execute_json("query-migrate", json!({})).await?;
    let reasons = info["blocked-reasons"].as_array().cloned().unwrap_or_default();
    Ok(reasons.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

async fn follow(qmp: &Qmp, progress: &mut (dyn FnMut(Progress) -> bool + Send)) -> Result<(), CommandError> {
    let mut cancelled = false;
    let mut wait = FIRST;
    loop {
        let info = qmp.execute_json("query-migrate", json!({})).await?;
        let bytes = |name: &str| info["ram"][name].as_u64().unwrap_or_default();
        match info["status"].as_str() {
            Some("completed") => {
                // Nothing is left to be cancelled.
                let _ = progress(Progress { done: bytes("total"), total: bytes("total") });
                return Ok(());
            }
            Some("cancelled") => return Err(CommandError::Cancelled),
            Some("failed") => {
                let words = info["error-desc"].as_str().unwrap_or("QEMU does not say why; see its log");
                return Err(CommandError::NotTransferred { words: words.to_owned() });
            }
            _ => {}
        }
        let total = bytes("total");
        let now = Progress { done: total.saturating_sub(bytes("remaining")), total };
        if !cancelled && !progress(now) {
            cancelled = true;
            // It may have completed meanwhile, which the next question tells.
            let _ = qmp.execute_json("migrate_cancel", json!({})).await;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(PACE);
    }
}

/// Waits until QEMU is not saving any more. An answer that never came does not tell, and a migration that ends later halts
/// a machine that has gone on, and takes its disks from it. One that is being cancelled does so no more, and waits for a
/// disk that may never answer: it is given up after a while, as is one that does not hear.
async fn stop(qmp: &Qmp, patience: Duration, log: &MachineLog) {
    let begun = Instant::now();
    loop {
        let _ = qmp.execute_json("migrate_cancel", json!({})).await;
        let Ok(info) = qmp.execute_json("query-migrate", json!({})).await else { return };
        let status = info["status"].as_str().unwrap_or("none");
        if matches!(status, "none" | "completed" | "cancelled" | "failed") {
            return;
        }
        if begun.elapsed() > patience {
            let words = "QEMU does not break off the saving of the machine's memory";
            return log.warn(format_args!("{words}: it is {status}"));
        }
        tokio::time::sleep(PACE).await;
    }
}

async fn forget(qmp: &Qmp, set: &str, log: &MachineLog) {
    // QEMU forgets a set by itself once its last user has closed it.
    if let Err(e) = qmp.remove_fds(set).await {
        log.debug(format_args!("the state's descriptor: {e}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    /// A QEMU that answers every command with `answer`.
    fn qemu(answer: &'static str) -> UnixStream {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        std::thread::spawn(move || {
            let greeting = json!({ "QMP": {
                "version": { "qemu": { "major": 10, "minor": 0, "micro": 0 }, "package": "" }, "capabilities": [],
            } });
            writeln!(theirs, "{greeting}").expect("greets");
            for line in BufReader::new(theirs.try_clone().expect("clones")).lines().map_while(Result::ok) {
                let command: Value = serde_json::from_str(&line).expect("a command");
                let value = match command["execute"].as_str() {
                    Some("query-migrate") => json!({ "status": answer }),
                    _ => json!({}),
                };
                if writeln!(theirs, "{}", json!({ "return": value, "id": command["id"] })).is_err() {
                    return;
                }
            }
        });
        ours
    }

    #[tokio::test]
    async fn a_migration_that_never_breaks_off_is_given_up_whatever_it_says() {
        let log = MachineLog::new(std::sync::Arc::new(crate::LogCrate::new("one")));
        for state in ["active", "setup", "device", "cancelling", "a state of a newer QEMU"] {
            let qmp = Qmp::connect(qemu(state)).await.expect("connects");
            let patience = PACE * 3;
            let begun = Instant::now();
            stop(&qmp, patience, &log).await;
            assert!(begun.elapsed() >= patience, "{state}: it was given time");
        }
        let qmp = Qmp::connect(qemu("cancelled")).await.expect("connects");
        let ended = tokio::time::timeout(Duration::from_secs(60), stop(&qmp, Duration::MAX, &log)).await;
        assert!(ended.is_ok(), "what has ended is not waited for");
    }
}
