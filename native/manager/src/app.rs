//! What becomes of the machines in this process when the system does something with the app that they run in: puts it into the
//! background, wants memory back, ends it.

use crate::findings::{Confirmed, confirm};
use crate::machine::Machine;
use crate::run::StartOptions;
use crate::{Error, Manager, Result, Sentence};
use sampan_control::{Reply, Reporter, Request, State};
use sampan_library::VmId;
use sampan_message::{Coded, Message};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

/// What becomes of machines while nobody looks at the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhileAway {
    /// They run on and take less of the host, as their performance modes have it: the system lets the app run.
    RunOn,
    /// They are paused, and go on when somebody looks again. What the system ends meanwhile is as after a power failure.
    Pause,
    /// They are paused at once, then saved one after the other, as far as the time suffices; what is not saved stays paused.
    Save,
}

/// Whether somebody looks at the app, and what was done because nobody did.
pub(crate) struct AppLife {
    away: watch::Sender<bool>,
    /// Machines that were dealt with, and whether their guests ran. Held while the app leaves, so that coming back begins
    /// where leaving has ended.
    halted: Mutex<BTreeMap<VmId, bool>>,
    /// When somebody looked at a machine's screen last. As long as the library at most.
    looks: parking_lot::Mutex<BTreeMap<VmId, Instant>>,
    /// Held while a machine is saved because memory is short.
    making_room: Mutex<()>,
}

impl Default for AppLife {
    fn default() -> Self {
        Self {
            away: watch::Sender::new(false),
            halted: Mutex::default(),
            looks: parking_lot::Mutex::default(),
            making_room: Mutex::default(),
        }
    }
}

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
    /// It was paused.
    Paused,
    /// It goes on where it was.
    Resumed,
    /// It was started, and goes on where it was saved.
    Started,
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

    /// Nobody looks at the app, and the system halts it in `grace` at the latest unless machines run on. Comes back when all is done that can be,
    /// the time is over, or somebody looks again: what is being saved then goes on instead. Machines that are being started are waited for.
    pub async fn to_background(&self, policy: WhileAway, grace: Duration) -> Vec<Done> {
        let life = self.app_life();
        let until = tokio::time::Instant::now() + grace;
        life.away.send_replace(true);
        let mut halted = life.halted.lock().await;
        if policy == WhileAway::RunOn {
            return self.background(true, Did::Slowed).await;
        }
        let (mut changes, mut away) = (self.changes(), life.away.subscribe());
        let turn = Arc::new(Mutex::new(()));
        let (mut begun, mut halting) = (Vec::new(), JoinSet::new());
        while *away.borrow_and_update() {
            changes.borrow_and_update();
            let starting = self.runs().is_any_starting();
            for id in self.runs().all() {
                if !begun.contains(&id) {
                    begun.push(id);
                    let (manager, turn) = (self.clone(), Arc::clone(&turn));
                    halting.spawn(async move { manager.halt(id, policy, &turn, until).await });
                }
            }
            if !starting {
                break;
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = away.changed() => {}
                () = tokio::time::sleep_until(until) => break,
            }
        }
        let mut done = Vec::new();
        while let Some(ended) = halting.join_next().await {
            // One that panicked has halted nobody.
            let Ok((id, ran, one)) = ended else { continue };
            // One that was halted before and has not been looked at since ran then.
            *halted.entry(id).or_default() |= ran;
            done.push(one);
        }
        done
    }

    /// Somebody looks at the app again: what ran before goes on. Of those that were saved, that is `in_front` alone, whose screen is looked at; the
    /// others wait to be started.
    pub async fn to_foreground(&self, in_front: Option<VmId>) -> Vec<Done> {
        let life = self.app_life();
        life.away.send_replace(false);
        let mut halted = life.halted.lock().await;
        if *life.away.borrow() {
            // They have left again while this waited.
            return Vec::new();
        }
        let mut done = self.background(false, Did::Restored).await;
        let mut saved = None;
        for (id, ran) in std::mem::take(&mut *halted) {
            if !ran {
                continue;
            }
            let one = match self.resume_halted(id).await {
                Ok(true) => Done::of(id, Did::Resumed),
                Ok(false) => {
                    saved = saved.or(in_front.filter(|front| *front == id));
                    continue;
                }
                Err(error) => Done::refused(id, Did::Nothing, error.message()),
            };
            done.retain(|other| other.machine != one.machine);
            done.push(one);
        }
        // Whoever leaves now need not wait until it is started: it is seen being started, and paused then.
        drop(halted);
        if let Some(id) = saved {
            done.push(match self.start_in_front(id).await {
                Ok(()) => Done::of(id, Did::Started),
                Err(error) => Done::refused(id, Did::Nothing, error.message()),
            });
        }
        done
    }

    /// Pauses one that runs and saves it, as the policy has it; and whether its guest ran.
    async fn halt(
        &self,
        id: VmId,
        policy: WhileAway,
        turn: &Mutex<()>,
        until: tokio::time::Instant,
    ) -> (VmId, bool, Done) {
        let paused = match self.pause_running(id).await {
            Ok(Some(paused)) => paused,
            Ok(None) => return (id, false, Done::of(id, Did::Nothing)),
            Err(error) => return (id, false, Done::refused(id, Did::Nothing, error.message())),
        };
        let halted = Done::of(id, if paused { Did::Paused } else { Did::Nothing });
        if policy != WhileAway::Save {
            return (id, paused, halted);
        }
        let (reporter, mut away) = (Reporter::new(), self.app_life().away.subscribe());
        let save = async {
            // One after the other: half of two is worth less than one.
            let _turn = turn.lock().await;
            if reporter.is_cancelled() { Err(Error::Cancelled) } else { self.suspend(id, &reporter).await }
        };
        tokio::pin!(save);
        let back = async { drop(away.wait_for(|away| !away).await) };
        let saved = tokio::select! {
            // Where there is no time, nothing is begun.
            biased;
            () = tokio::time::sleep_until(until) => None,
            () = back => None,
            saved = &mut save => Some(saved),
        };
        let saved = match saved {
            Some(saved) => saved,
            None => {
                reporter.cancel();
                save.await
            }
        };
        let done = match saved {
            Ok(()) => Done::of(id, Did::Suspended),
            Err(error) if error.is_cancelled() => halted,
            Err(error) => Done { refused: Some(error.message()), ..halted },
        };
        (id, paused, done)
    }

    /// Whether it ran and is paused now; `None` where there is no guest that could go on.
    async fn pause_running(&self, id: VmId) -> Result<Option<bool>> {
        let machine = self.machine(id).await?;
        match machine.status().await?.map(|status| status.state) {
            Some(State::Running) => {
                machine.tell(Request::Pause).await?;
                // Nobody looks at it: whoever wants memory back may have its.
                machine.call(Request::Background { on: true }, &Reporter::new()).await?;
                Ok(Some(true))
            }
            Some(State::Paused) => Ok(Some(false)),
            _ => Ok(None),
        }
    }

    /// Lets one that was paused go on; whether it is still there.
    async fn resume_halted(&self, id: VmId) -> Result<bool> {
        let machine = self.machine(id).await?;
        match machine.status().await?.map(|status| status.state) {
            Some(State::Paused) => machine.tell(Request::Resume).await.map(|()| true),
            Some(_) => Ok(true),
            None => Ok(false),
        }
    }

    /// Starts one that was saved when its person left. What has to be confirmed is for its screen to ask.
    async fn start_in_front(&self, id: VmId) -> Result<()> {
        if self.bundle(id).await?.manifest().suspended.is_none() {
            return Err(Error::NotRunning { name: self.bundle(id).await?.name().to_owned() });
        }
        confirm(self.start_findings(id).await?, &Confirmed::Nothing)?;
        let options = StartOptions { throw_away: false, discard_state: false, in_process: true };
        let tell = |message: Message| log::info!("{id}: {message}");
        self.start(id, options, None, &tell).await.map(drop)
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
        let mut ending = JoinSet::new();
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

    /// Somebody looks at a machine's screen, or has looked at it until now.
    pub fn looked_at(&self, id: VmId) {
        self.app_life().looks.lock().insert(id, Instant::now());
    }

    /// The system wants memory back: of the machines that nobody looks at, the one that was looked at longest ago is saved, for which it
    /// needs its memory's size on the disk; where that is refused, the next one. The system asks again while memory is short. What it
    /// asks while one is being saved is answered by that one, and comes to nothing here.
    pub async fn low_memory(&self) -> Vec<Done> {
        let life = self.app_life();
        let Ok(_making_room) = life.making_room.try_lock() else { return Vec::new() };
        let (mut done, mut unseen) = (Vec::new(), Vec::new());
        for (id, machine) in self.here().await {
            let facts = machine.status().await.ok().flatten().and_then(|status| status.facts);
            match facts.filter(|facts| facts.background == Some(true) && facts.viewers.is_empty()) {
                // Of those that nobody has looked at since this process began, the one that runs longest is first.
                Some(facts) => unseen.push((life.looks.lock().get(&id).copied(), Reverse(facts.seconds), id)),
                None => done.push(Done::of(id, Did::Nothing)),
            }
        }
        unseen.sort();
        let mut saved = false;
        for (_, _, id) in unseen {
            done.push(match saved {
                true => Done::of(id, Did::Nothing),
                false => match self.suspend(id, &Reporter::new()).await {
                    Ok(()) => Done::of(id, Did::Suspended),
                    Err(error) => Done::refused(id, Did::Nothing, error.message()),
                },
            });
            saved |= done.last().is_some_and(|one| one.did == Did::Suspended);
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
