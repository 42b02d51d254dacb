//! What becomes of the machines in this process when the system does something with the app that they run in: puts it into the
//! background, wants memory back, ends it.

use crate::machine::Machine;
use crate::{Error, Manager, Sentence};
use sampan_control::{Reply, Reporter, Request};
use sampan_library::VmId;
use sampan_message::{Coded, Message};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What was done with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Did {
    /// Nothing: it goes on as it was.
    Nothing,
    /// It takes less of the host, as its performance mode has it.
    Slowed,
    /// It takes as much as its performance mode has it.
    Restored,
    /// It was saved and ended.
    Suspended,
    /// It was ended, its disks flushed; its guest was not asked.
    ShutDown,
}

/// What became of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The machine.
    pub machine: String,
    /// What was done.
    pub did: Did,
    /// Why no more was done.
    pub refused: Option<Message>,
}

impl Done {
    fn of(id: VmId, did: Did) -> Self {
        Self { machine: id.to_string(), did, refused: None }
    }

    fn refused(id: VmId, did: Did, why: Message) -> Self {
        Self { refused: Some(why), ..Self::of(id, did) }
    }
}

impl Manager {
    /// The machines that run in this process.
    async fn here(&self) -> Vec<(VmId, Machine)> {
        let mut here = Vec::new();
        for id in self.runs().all() {
            if let Ok(machine) = self.machine(id).await {
                here.push((id, machine));
            }
        }
        here
    }

    /// Nobody looks at the app: its machines take less, as their performance modes have it.
    pub async fn to_background(&self) -> Vec<Done> {
        self.background(true, Did::Slowed).await
    }

    /// Somebody looks at the app again.
    pub async fn to_foreground(&self) -> Vec<Done> {
        self.background(false, Did::Restored).await
    }

    async fn background(&self, on: bool, did: Did) -> Vec<Done> {
        let mut done = Vec::new();
        for (id, machine) in self.here().await {
            done.push(match machine.call(Request::Background { on }, &Reporter::new()).await {
                Ok(Reply::Effect(effect)) if effect.done.is_empty() && effect.refused.is_empty() => {
                    Done::of(id, Did::Nothing)
                }
                Ok(_) => Done::of(id, did),
                Err(error) => Done::refused(id, Did::Nothing, error.message()),
            });
        }
        done
    }

    /// The system ends the app in `grace`: every machine is saved, and the next start goes on where it was. One that cannot be
    /// saved, or not in time, is told to end, so that its disks are whole.
    pub async fn about_to_end(&self, grace: Duration) -> Vec<Done> {
        let begun = Instant::now();
        let mut ending = tokio::task::JoinSet::new();
        for id in self.runs().all() {
            let manager = self.clone();
            ending.spawn(async move { manager.end_in_time(id, begun, grace).await });
        }
        let mut done = Vec::new();
        while let Some(ended) = ending.join_next().await {
            done.extend(ended.ok());
        }
        done
    }

    /// The system wants memory back: machines that nobody looks at are saved, for which each needs its memory's size on the disk.
    pub async fn low_memory(&self) -> Vec<Done> {
        let mut done = Vec::new();
        for (id, machine) in self.here().await {
            let facts = machine.status().await.ok().flatten().and_then(|status| status.facts);
            drop(machine);
            let unseen = facts.as_ref().and_then(|facts| facts.background).unwrap_or(false);
            if !unseen {
                done.push(Done::of(id, Did::Nothing));
                continue;
            }
            done.push(match self.suspend(id, &Reporter::new()).await {
                Ok(()) => Done::of(id, Did::Suspended),
                Err(error) => Done::refused(id, Did::Nothing, error.message()),
            });
        }
        done
    }

    async fn end_in_time(&self, id: VmId, begun: Instant, grace: Duration) -> Done {
        let reporter = Reporter::new();
        // Ending takes a moment, too, and comes before the system's patience is over.
        let patience = (grace * 3 / 4).saturating_sub(begun.elapsed());
        let why = match tokio::time::timeout(patience, self.suspend(id, &reporter)).await {
            Ok(Ok(())) => return Done::of(id, Did::Suspended),
            Ok(Err(error)) => error.message(),
            Err(_) => {
                reporter.cancel();
                Message::saying(&Sentence::NoTime { seconds: grace.as_secs() })
            }
        };
        match self.force_off(id).await {
            Ok(_) => Done::refused(id, Did::ShutDown, why),
            Err(Error::NotRunning { .. }) => Done::of(id, Did::Nothing),
            Err(error) => Done::refused(id, Did::Nothing, error.message()),
        }
    }
}
