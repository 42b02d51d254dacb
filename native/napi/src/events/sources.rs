//! Where events come from. Each source works while somebody listens to what it tells, and only then.

use super::{Figures, Kind, Payload, Space};
use crate::api::clipboard::Clipboard;
use crate::api::sound::Sound;
use crate::api::stream::{Pairing, Viewers};
use crate::core::{core, hub, runtime};
use crate::types::{JobInfo, JobState, Status, Summary};
use sampan_manager::{Event, Manager, Summary as Listed};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the host's figures are looked at.
const FIGURES: Duration = Duration::from_secs(2);

/// How often pictures of machines are made.
const PICTURES: Duration = Duration::from_secs(1);

/// Milliseconds by which the start of one run may seem to differ.
const SAME_RUN: i64 = 2000;

const OF_MACHINES: [Kind; 7] =
    [Kind::Machines, Kind::Machine, Kind::Job, Kind::Clipboard, Kind::Pairing, Kind::Viewers, Kind::Sound];

/// What is told of one machine, by asking it.
const OF_ONE: [Kind; 5] = [Kind::Machine, Kind::Clipboard, Kind::Pairing, Kind::Viewers, Kind::Sound];

/// Starts what works for listeners. Has an effect once; before the core is there its tasks wait for it.
pub(super) fn start() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    let Ok(runtime) = runtime() else { return };
    if STARTED.swap(true, Ordering::Relaxed) {
        return;
    }
    runtime.spawn(async {
        loop {
            let manager = manager_while(&OF_MACHINES).await;
            machines(&manager).await;
        }
    });
    runtime.spawn(async {
        loop {
            let manager = manager_while(&[Kind::Host]).await;
            let home = manager.library().home().to_owned();
            let figures = tokio::task::spawn_blocking(move || sampan_manager::host::figures(&home)).await;
            if let Ok(Ok(figures)) = figures {
                hub().tell(Payload::Host(Figures::from(&figures)));
            }
            tokio::time::sleep(FIGURES).await;
        }
    });
    runtime.spawn(async {
        loop {
            let manager = manager_while(&[Kind::Thumbnail]).await;
            thumbnails(&manager).await;
            tokio::time::sleep(PICTURES).await;
        }
    });
}

/// The manager, once somebody listens to one of these and it is there.
async fn manager_while(kinds: &[Kind]) -> Manager {
    loop {
        // Before looking, so that no change in between is missed.
        let changed = hub().changed.notified();
        if hub().is_heard(kinds)
            && let Ok(core) = core()
        {
            return core.manager.clone();
        }
        changed.await;
    }
}

impl From<&sampan_config::HostFigures> for Figures {
    fn from(figures: &sampan_config::HostFigures) -> Self {
        use crate::types::int;
        Self {
            cores: figures.cores,
            memory: int(figures.memory_mib),
            available: int(figures.available_mib),
            disk: int(figures.free_disk),
            space: match sampan_config::Space::of(figures.free_disk) {
                sampan_config::Space::Enough => Space::Enough,
                sampan_config::Space::Low => Space::Low,
                sampan_config::Space::Pause => Space::Pause,
            },
        }
    }
}

/// Tells of machines and jobs while somebody listens.
async fn machines(manager: &Manager) {
    let mut events = manager.events();
    let mut jobs: BTreeMap<String, JobInfo> = BTreeMap::new();
    while hub().is_heard(&OF_MACHINES) {
        // Statuses have figures that change without an event: a machine that runs is looked at again.
        let next = tokio::time::timeout(PICTURES, events.next()).await;
        match next {
            Ok(Ok(Event::Machines(all))) => tell_machines(manager, &all).await,
            Ok(Ok(Event::Jobs(all))) => {
                let now: BTreeMap<String, JobInfo> =
                    all.iter().map(JobInfo::from).map(|job| (job.id.clone(), job)).collect();
                // One that is over is told once more.
                for (_, over) in jobs.into_iter().filter(|(id, _)| !now.contains_key(id)) {
                    let was_cancelled = over.id.parse().is_ok_and(|id: u64| manager.was_cancelled(id));
                    let state = if was_cancelled { JobState::Cancelled } else { JobState::Done };
                    hub().tell(Payload::Job(JobInfo { state, ..over }));
                }
                now.values().cloned().for_each(|job| hub().tell(Payload::Job(job)));
                hub().keep_present(Kind::Job, |id| now.contains_key(id));
                jobs = now;
            }
            Ok(Err(error)) => {
                log::warn!("the machines cannot be listed: {error}");
                tokio::time::sleep(PICTURES).await;
            }
            Err(_) => {
                if let Ok(all) = manager.recent_list().await {
                    tell_statuses(manager, &all).await;
                }
            }
        }
    }
}

async fn tell_machines(manager: &Manager, all: &Arc<Vec<Listed>>) {
    for kind in OF_ONE {
        hub().keep_present(kind, |id| all.iter().any(|one| one.id == id));
    }
    hub().tell(Payload::Machines(all.iter().map(Summary::from).collect()));
    tell_statuses(manager, all).await;
}

async fn tell_statuses(manager: &Manager, all: &[Listed]) {
    if !hub().is_heard(&OF_ONE) {
        return;
    }
    for summary in all {
        let said = match crate::core::id(&summary.id) {
            Ok(id) => match manager.machine(id).await {
                Ok(machine) => machine.status().await.ok().flatten(),
                Err(_) => None,
            },
            Err(_) => None,
        };
        let facts = said.as_ref().and_then(|said| said.facts.as_ref());
        let sharing = facts.and_then(|facts| facts.sharing.as_ref());
        hub().tell(Payload::Pairing(Pairing::of(&summary.id, sharing)));
        hub().tell(Payload::Viewers(Viewers::of(&summary.id, sharing)));
        match facts.and_then(|facts| facts.sound.as_ref()) {
            Some(info) => hub().tell(Payload::Sound(Sound::of(&summary.id, info))),
            None => hub().keep_present(Kind::Sound, |id| id != summary.id),
        }
        match facts.and_then(|facts| facts.clipboard.as_ref()) {
            Some(info) => hub().tell(Payload::Clipboard(Clipboard::of(&summary.id, info))),
            None => hub().keep_present(Kind::Clipboard, |id| id != summary.id),
        }
        let mut status = Status::of(summary, said.as_ref());
        // It is computed from whole seconds that have gone by: of two looks at one run the first counts.
        if let (Some(before), Some(now)) = (hub().started(&summary.id), status.started)
            && (before - now).abs() <= SAME_RUN
        {
            status.started = Some(before);
        }
        hub().tell(Payload::Machine(Box::new(status)));
    }
}

/// Tells the pictures of machines that are watched.
async fn thumbnails(manager: &Manager) {
    let mut made = BTreeMap::new();
    for machine in hub().watched() {
        let Ok(id) = crate::core::id(&machine) else { continue };
        if let Ok(picture) = manager.thumbnail(id).await {
            made.insert(machine, picture);
        }
    }
    hub().keep_present(Kind::Thumbnail, |id| made.contains_key(id));
    for (machine, picture) in made {
        hub().tell(Payload::Thumbnail { machine, picture: Arc::new(picture) });
    }
}
