//! What the processes of machines say: each is followed by one connection, so that nobody is asked again and again, and one
//! that hangs takes one place in its queue.

use crate::summary::Condition;
use sampan_control::{Address, Client, ClientError, PATIENCE};
use sampan_library::VmId;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// A pause before one that was not understood is asked again.
const AGAIN: Duration = Duration::from_secs(2);

struct Followed {
    condition: watch::Receiver<Option<Condition>>,
    task: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The machines of other processes, by id.
pub(crate) struct Live {
    followed: Arc<Mutex<HashMap<VmId, Followed>>>,
    changed: watch::Sender<()>,
}

fn lock(followed: &Mutex<HashMap<VmId, Followed>>) -> MutexGuard<'_, HashMap<VmId, Followed>> {
    // Every change is one insertion or removal.
    followed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(crate) fn new(changed: watch::Sender<()>) -> Self {
        Self { followed: Arc::default(), changed }
    }

    /// What the machine's process says, waiting for its first word for so long. Begins to follow it.
    pub(crate) async fn condition(&self, id: VmId, bundle: &Path, patience: Duration) -> Condition {
        let mut receiver = {
            let mut followed = lock(&self.followed);
            let entry = followed.entry(id).or_insert_with(|| self.follow(id, Address::of_bundle(bundle)));
            entry.condition.clone()
        };
        let told = timeout(patience, receiver.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(condition)) => condition.clone().unwrap_or(Condition::NotRunning),
            // The task has ended, and with it the machine.
            Ok(Err(_)) => Condition::NotRunning,
            Err(_) => Condition::Silent { pid: None },
        }
    }

    /// Forgets the machines that are not in the library any more.
    pub(crate) fn keep_only(&self, there: impl Fn(VmId) -> bool) {
        lock(&self.followed).retain(|id, _| there(*id));
    }

    fn follow(&self, id: VmId, address: Address) -> Followed {
        let (sender, condition) = watch::channel(None);
        let (followed, changed) = (Arc::downgrade(&self.followed), self.changed.clone());
        let task = tokio::spawn(async move {
            follow(&address, &sender, &changed).await;
            // Where nobody listened nothing has changed; else each look at the library would call for the next one.
            let was_there = sender.borrow().is_some();
            let _ = sender.send(Some(Condition::NotRunning));
            // The next question connects anew.
            if let Some(followed) = followed.upgrade() {
                lock(&followed).remove(&id);
            }
            if was_there {
                changed.send_replace(());
            }
        });
        Followed { condition, task: task.abort_handle() }
    }
}

/// Passes on what a machine says until it has ended.
async fn follow(address: &Address, sender: &watch::Sender<Option<Condition>>, changed: &watch::Sender<()>) {
    let tell = |condition| {
        sender.send_replace(Some(condition));
        changed.send_replace(());
    };
    loop {
        match follow_once(address, &tell).await {
            Ok(()) | Err(ClientError::Gone) => return,
            // Others had more to ask; what was told last stands meanwhile.
            Err(ClientError::Refused(message)) if message.code == "place_given_away" => {}
            Err(error) => {
                tell(Condition::Unintelligible(error.to_string()));
                // Whoever lists asks anew then.
                return tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// The same by one connection.
async fn follow_once(address: &Address, tell: &impl Fn(Condition)) -> Result<(), ClientError> {
    // Connecting may wait for as long as the machine's process hangs; whoever asks gives up before.
    let Some(client) = Client::connect(address, None).await? else { return Ok(()) };
    let mut watcher = client.with_patience(PATIENCE).watch().await?;
    loop {
        match watcher.next().await {
            Ok(Some(status)) => tell(Condition::Says(Box::new(status))),
            Ok(None) => return Ok(()),
            Err(ClientError::Silent { pid }) => tell(Condition::Silent { pid }),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_that_does_not_run_is_no_change() {
        let bundle = tempfile::tempdir().expect("a folder");
        let changed = watch::Sender::new(());
        let mut changes = changed.subscribe();
        let live = Live::new(changed);
        let told = live.condition(VmId::random(), bundle.path(), Duration::from_secs(60)).await;
        assert_eq!(told, Condition::NotRunning);
        while !lock(&live.followed).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let nothing = timeout(Duration::from_millis(200), changes.changed()).await;
        assert!(nothing.is_err(), "looking at it calls for no other look");
    }
}
