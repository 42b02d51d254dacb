//! Going back to a snapshot. Those of a running machine are taken, renamed and forgotten by requests to it.

use crate::Manager;
use crate::error::{Error, Result};
use crate::findings::{Confirmed, confirm};
use crate::time::now;
use sampan_config::{Finding, Severity};
use sampan_control::Reporter;
use sampan_library::{NewSnapshot, SnapshotId, Unsaved, VmId};
use sampan_message::Message;

impl Manager {
    /// Goes back to a snapshot; whether the machine resumes where it was then. `keep` is the name of a new snapshot of what has
    /// changed since.
    ///
    /// # Errors
    /// [`Error::Runs`]; [`Error::NeedsConfirm`] where what has changed since would be lost; no space.
    pub async fn restore_snapshot(
        &self,
        id: VmId,
        snapshot: SnapshotId,
        keep: Option<String>,
        confirmed: &Confirmed,
        reporter: &Reporter,
    ) -> Result<bool> {
        let bundle = self.bundle(id).await?;
        let name = bundle.name().to_owned();
        if self.machine(id).await?.runs() {
            return Err(Error::Runs { name });
        }
        let old = bundle.manifest().snapshots.get(&snapshot).map(|old| old.name.clone()).unwrap_or_default();
        let unsaved = match keep {
            Some(name) => Unsaved::Keep(NewSnapshot {
                name,
                note: format!("Kept before going back to {old}."),
                time: now(),
                thumbnail: None,
            }),
            None => {
                let words = "what has changed since then would be lost: keep it as a snapshot of its own";
                let message = Message::new("changes_lost", words).with("name", name);
                confirm(vec![Finding::new(Severity::Confirm, "snapshot", message)], confirmed)?;
                Unsaved::Discard
            }
        };
        let layer = self.block_layer(reporter)?;
        self.with_locked(id, move |locked| {
            locked.restore(&layer, &snapshot, unsaved)?;
            Ok(locked.suspended().is_some())
        })
        .await
    }
}
