//! QEMU's background jobs (`qapi/job.json`), one at a time.

use super::worker::{Worker, refused};
use sampan_library::{BlockError, OnProgress, Progress};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How often a job is asked how far it is: often enough to look smooth, and short enough for the small ones.
const PACE: Duration = Duration::from_millis(100);

/// The first questions come sooner, since most jobs are over at once.
const FIRST: Duration = Duration::from_millis(2);

impl Worker {
    /// Starts a job with `auto-dismiss` off and stays with it to its end. `progress` may break it off. The
    /// node `flush` is written out before a job without `auto-finalize` is finalized.
    pub(super) async fn job(
        &self,
        id: &str,
        command: &'static str,
        arguments: Value,
        file: &Path,
        flush: Option<&str>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.execute(command, arguments, file).await?;
        let mut wait = FIRST;
        let mut cancelled = false;
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(PACE);
            let jobs = self.execute("query-jobs", json!({}), file).await?;
            let Some(job) = jobs.as_array().into_iter().flatten().find(|job| job["id"] == id) else {
                return Err(refused(file, format!("its job {id} is gone")));
            };
            let now = Progress {
                done: job["current-progress"].as_u64().unwrap_or_default(),
                total: job["total-progress"].as_u64().unwrap_or_default(),
            };
            match job["status"].as_str() {
                Some("concluded") => {
                    let error = job["error"].as_str().map(str::to_owned);
                    self.execute("job-dismiss", json!({ "id": id }), file).await?;
                    if cancelled {
                        return Err(BlockError::Cancelled);
                    }
                    return match error {
                        None => {
                            // Nothing is left to be cancelled.
                            let _ = progress(Progress { done: now.total, total: now.total });
                            Ok(())
                        }
                        Some(words) => Err(refused(file, words)),
                    };
                }
                // Commit waits to be told that its base may become the image.
                Some("ready") if !cancelled => {
                    self.execute("job-complete", json!({ "id": id }), file).await?;
                }
                // All is copied; the headers have not changed yet.
                Some("pending") if !cancelled => {
                    if let Some(node) = flush {
                        // The one way to a flush over QMP (`qemu-io-cmds.c`).
                        let line = format!("qemu-io {node} flush");
                        let command = json!({ "command-line": line });
                        let said = self.execute("human-monitor-command", command, file).await?;
                        if let Some(words) = said.as_str().map(str::trim).filter(|words| !words.is_empty()) {
                            log::warn!("{}: {words}", file.display());
                            cancelled = true;
                            self.execute("job-cancel", json!({ "id": id }), file).await?;
                            continue;
                        }
                    }
                    self.execute("job-finalize", json!({ "id": id }), file).await?;
                }
                _ if !cancelled && progress(now).is_break() => {
                    cancelled = true;
                    // It may have concluded meanwhile, which the next question tells.
                    let _ = self.execute("job-cancel", json!({ "id": id }), file).await;
                }
                _ => {}
            }
        }
    }
}
