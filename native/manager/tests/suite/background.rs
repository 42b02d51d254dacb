//! An app that nobody looks at: what becomes of its machines, and what goes on when somebody looks again.

use crate::common::{PATIENCE, manager, painting_machine};
use sampan_control::{Reporter, Request};
use sampan_library::VmId;
use sampan_manager::app::{Did, Done, WhileAway};
use sampan_manager::run::StartOptions;
use sampan_manager::{MachineState, Manager};
use sampan_message::Message;
use std::sync::Mutex;
use std::time::Duration;

const HERE: StartOptions = StartOptions { throw_away: false, discard_state: false, in_process: true };

/// More than any of this takes.
const LONG: Duration = Duration::from_secs(600);

fn quiet(_: Message) {}

async fn states(manager: &Manager, ids: &[VmId]) -> Vec<MachineState> {
    let list = manager.list(PATIENCE).await.expect("is listed");
    let state = |id: &VmId| list.iter().find(|one| one.id == id.to_string()).expect("is there").state;
    ids.iter().map(state).collect()
}

fn did(done: &[Done], id: VmId) -> Option<Did> {
    done.iter().find(|one| one.machine == id.to_string()).map(|one| one.did)
}

async fn running(manager: &Manager, name: &str) -> VmId {
    let id = painting_machine(manager, name, false).await;
    manager.start(id, HERE, None, &quiet).await.expect("starts");
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_saved_and_the_one_in_front_goes_on_by_itself() {
    use MachineState::{Paused, Running, Suspended};
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let [one, two, still] =
        [running(&manager, "one").await, running(&manager, "two").await, running(&manager, "still").await];
    let machine = manager.machine(still).await.expect("a handle");
    machine.tell(Request::Pause).await.expect("a person pauses it");
    drop(machine);
    let throw_away = painting_machine(&manager, "gone", false).await;
    let options = StartOptions { throw_away: true, ..HERE };
    manager.start(throw_away, options, None, &quiet).await.expect("starts");
    let all = [one, two, still, throw_away];
    let done = manager.to_background(WhileAway::Save, LONG).await;
    // What a run throws away has nothing to go on with.
    assert_eq!(states(&manager, &all).await, [Suspended, Suspended, Suspended, Paused]);
    assert_eq!(
        all.map(|id| did(&done, id)),
        [Did::Suspended, Did::Suspended, Did::Suspended, Did::Paused].map(Some)
    );
    let refused = done.iter().find_map(|one| one.refused.as_ref()).expect("says why");
    assert_eq!(refused.code, "throw_away_run");

    // What the screens showed is kept.
    let list = manager.list(PATIENCE).await.expect("is listed");
    assert!(list.iter().all(|machine| machine.picture.is_some()), "{list:?}");
    assert!(manager.thumbnail(one).await.expect("a picture").width <= 480);

    let done = manager.to_foreground(Some(two)).await;
    assert_eq!(did(&done, two), Some(Did::Started));
    assert_eq!(did(&done, throw_away), Some(Did::Resumed));
    assert_eq!(states(&manager, &all).await, [Suspended, Running, Suspended, Running]);
    assert!(manager.to_foreground(Some(one)).await.iter().all(|one| one.did != Did::Started), "once");
    for id in [two, throw_away] {
        manager.force_off(id).await.expect("ends");
    }
    // It was used up, and with it its picture.
    let list = manager.list(PATIENCE).await.expect("is listed");
    let picture =
        |id: VmId| list.iter().find(|one| one.id == id.to_string()).and_then(|one| one.picture.clone());
    assert!(picture(two).is_none() && picture(one).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paused_for_it_goes_on_and_what_a_person_paused_does_not() {
    use MachineState::{Paused, Running};
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let all = [running(&manager, "one").await, running(&manager, "still").await];
    let machine = manager.machine(all[1]).await.expect("a handle");
    machine.tell(Request::Pause).await.expect("a person pauses it");
    drop(machine);
    // No time is left to save: they are paused all the same, and nothing is ended.
    for (policy, grace) in [(WhileAway::Pause, LONG), (WhileAway::Save, Duration::ZERO)] {
        let done = manager.to_background(policy, grace).await;
        assert_eq!(states(&manager, &all).await, [Paused, Paused], "{policy:?}");
        assert_eq!(did(&done, all[0]), Some(Did::Paused), "{policy:?}");
        // Leaving twice is leaving once.
        manager.to_background(policy, grace).await;
        let done = manager.to_foreground(Some(all[1])).await;
        assert_eq!(states(&manager, &all).await, [Running, Paused], "{policy:?}");
        assert_eq!(did(&done, all[0]), Some(Did::Resumed), "{policy:?}");
    }
    // On a PC they run on.
    manager.to_background(WhileAway::RunOn, LONG).await;
    assert_eq!(states(&manager, &all).await, [Running, Paused]);
    manager.to_foreground(None).await;
    // Whoever is back before all is done finds it as it was.
    let (_, _) =
        tokio::join!(manager.to_background(WhileAway::Save, LONG), manager.to_foreground(Some(all[0])));
    manager.to_foreground(Some(all[0])).await;
    assert_eq!(states(&manager, &all[..1]).await, [Running]);
    for id in all {
        manager.force_off(id).await.expect("ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_memory_is_short_one_machine_at_a_time_is_saved_the_one_not_looked_at_longest_first() {
    use MachineState::{Running, Suspended};
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let throw_away = painting_machine(&manager, "gone", false).await;
    manager.start(throw_away, StartOptions { throw_away: true, ..HERE }, None, &quiet).await.expect("starts");
    let [never, last, first] =
        [running(&manager, "a").await, running(&manager, "b").await, running(&manager, "c").await];
    let all = [throw_away, never, first, last];
    for id in [last, first, last] {
        manager.looked_at(id);
    }
    assert!(
        manager.low_memory().await.iter().all(|one| one.did == Did::Nothing),
        "somebody looks at the app"
    );
    manager.to_background(WhileAway::RunOn, LONG).await;
    // One whose memory cannot be saved is passed over. Of those that nobody has looked at, it may be the second.
    for (asked, after) in [
        [Running, Suspended, Running, Running],
        [Running, Suspended, Suspended, Running],
        [Running, Suspended, Suspended, Suspended],
        [Running, Suspended, Suspended, Suspended],
    ]
    .into_iter()
    .enumerate()
    {
        let done = manager.low_memory().await;
        assert_eq!(states(&manager, &all).await, after);
        let told = done.iter().find(|one| one.machine == throw_away.to_string()).expect("is told");
        let why = told.refused.as_ref().map(|why| why.code.as_ref());
        assert!(asked == 0 || why == Some("throw_away_run"), "{told:?}");
    }
    // What the system asks while one is being saved is answered by that one.
    manager.start(first, HERE, None, &quiet).await.expect("goes on");
    manager.start(last, HERE, None, &quiet).await.expect("goes on");
    manager.to_background(WhileAway::RunOn, LONG).await;
    let (one, other) = tokio::join!(manager.low_memory(), manager.low_memory());
    assert!(other.is_empty() && did(&one, first) == Some(Did::Suspended), "{one:?} {other:?}");
    assert_eq!(states(&manager, &[first, last]).await, [Suspended, Running]);
    for id in [throw_away, last] {
        manager.force_off(id).await.expect("ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_being_started_is_waited_for_and_saved() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = painting_machine(&manager, "one", false).await;
    let (begun, starts) = tokio::sync::oneshot::channel();
    let begun = Mutex::new(Some(begun));
    let starting = manager.clone();
    let task = tokio::spawn(async move {
        let tell = |_: Message| {
            if let Some(begun) = begun.lock().expect("whole").take() {
                let _ = begun.send(());
            }
        };
        starting.start(id, HERE, None, &tell).await
    });
    starts.await.expect("begins");
    let done = manager.to_background(WhileAway::Save, LONG).await;
    assert_eq!(did(&done, id), Some(Did::Suspended));
    task.await.expect("no panic").expect("it had started");
    assert_eq!(states(&manager, &[id]).await, [MachineState::Suspended]);
    let job = manager.suspend(id, &Reporter::new()).await.expect_err("does not run");
    assert_eq!(sampan_message::Coded::code(&job), "not_running");
}
