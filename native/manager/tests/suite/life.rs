//! Machines that live in this process, as on a phone: no supervisor, no terminal, no control socket.

use crate::common::{PATIENCE, manager, painting_machine};
use sampan_control::{ClientError, PausedBy, Reply, Reporter, Request, State};
use sampan_library::VmId;
use sampan_manager::run::{How, StartOptions};
use sampan_manager::{Condition, Ended, Error, Event, MachineState, Manager};
use sampan_message::{Coded, Message};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const HERE: StartOptions = StartOptions { throw_away: false, discard_state: false, in_process: true };
const IN_A_CHILD: StartOptions = StartOptions { in_process: false, ..HERE };

fn quiet(_: Message) {}

async fn state(manager: &Manager, id: VmId) -> MachineState {
    let list = manager.list(PATIENCE).await.expect("is listed");
    list.into_iter().find(|one| one.id == id.to_string()).expect("is there").state
}

/// Waits until the machine has painted its screen green, and gives its small picture.
async fn painted(manager: &Manager, id: VmId) {
    let begun = Instant::now();
    loop {
        let machine = manager.machine(id).await.expect("a handle");
        let reply = machine.call(Request::Thumbnail { width: 64 }, &Reporter::new()).await;
        if let Ok(Reply::Picture(picture)) = reply {
            let mut reader =
                png::Decoder::new(std::io::Cursor::new(&picture.png)).read_info().expect("a PNG");
            let mut pixels = vec![0; reader.output_buffer_size().expect("fits")];
            reader.next_frame(&mut pixels).expect("decodes");
            if picture.width == 64 && pixels.chunks_exact(3).all(|rgb| rgb == [0, 0xa8, 0]) {
                return;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "never painted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_lives_its_life_without_a_supervisor() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = painting_machine(&manager, "one", false).await;
    assert_eq!(state(&manager, id).await, MachineState::Stopped);

    // What needs a running machine is refused with its code, what does not is done.
    let machine = manager.machine(id).await.expect("a handle");
    assert!(!machine.runs() && machine.status().await.expect("is asked").is_none());
    assert_eq!(machine.tell(Request::Pause).await.expect_err("does not run").code(), "not_running");
    machine.tell(Request::Grow { drive: "disk0".into(), size: 4 << 20 }).await.expect("grows at rest");
    assert_eq!(manager.shut_down(id, PATIENCE).await.expect("is off"), Ended::WasOff);

    let told = Mutex::new(Vec::new());
    let tell = |message: Message| told.lock().expect("whole").push(message.code.into_owned());
    let started = manager.start(id, HERE, None, &tell).await.expect("starts");
    assert_eq!((started.viewer, started.pid), (None, None));
    assert_eq!(*told.lock().expect("whole"), ["probing", "starting"]);
    assert_eq!(state(&manager, id).await, MachineState::Running);
    let again = manager.start(id, HERE, None, &quiet).await.expect_err("runs already");
    assert_eq!(again.code(), "runs_already");
    painted(&manager, id).await;
    assert!(manager.thumbnail(id).await.expect("a picture").width <= 480);

    let machine = manager.machine(id).await.expect("a handle");
    assert!(machine.local().is_some());
    let status = machine.status().await.expect("is asked").expect("runs");
    let facts = status.facts.expect("has been started");
    assert_eq!((status.name.as_str(), facts.memory_mib, facts.pid), ("one", 64, None));
    assert!(!facts.throw_away && facts.paused_by.is_none() && facts.agent.is_none());
    machine.tell(Request::Pause).await.expect("pauses");
    assert_eq!(state(&manager, id).await, MachineState::Paused);
    let status = machine.status().await.expect("is asked").expect("runs");
    assert_eq!(status.facts.and_then(|facts| facts.paused_by), Some(PausedBy::Person));
    assert_eq!(manager.press_power(id).await.expect_err("hears nothing").code(), "paused");
    machine.tell(Request::Resume).await.expect("resumes");
    machine.tell(Request::Grow { drive: "disk0".into(), size: 8 << 20 }).await.expect("grows while it runs");

    let snapshot = Request::Snapshot { name: "first".into(), note: String::new(), disks_only: false };
    let Reply::Snapshot { id: snapshot } = machine.call(snapshot, &Reporter::new()).await.expect("is taken")
    else {
        panic!("another answer");
    };
    let bundle = manager.bundle(id).await.expect("is read");
    assert!(bundle.manifest().snapshots.keys().any(|known| known.as_str() == snapshot));
    assert_eq!(state(&manager, id).await, MachineState::Running, "it goes on after the snapshot");
    let usage = bundle.snapshot_usage();
    let usage = usage.values().next().expect("one");
    // The memory is the snapshot's alone, what is on the disks the machine goes on with.
    assert!(usage.freed > 0 && usage.freed < usage.held, "{usage:?}");
    let status = machine.status().await.expect("is asked").expect("runs");
    assert_eq!(status.facts.and_then(|facts| facts.paused_by), None);

    // A guest that hears no power button is told as one, and can be ended.
    let deaf = manager.shut_down(id, Duration::from_millis(300)).await.expect_err("goes on");
    assert!(matches!(deaf, Error::NotShutDown { .. }), "{deaf}");
    manager.suspend(id, &Reporter::new()).await.expect("is suspended");
    assert_eq!(state(&manager, id).await, MachineState::Suspended);
    let locked = machine.tell(Request::Pause).await.expect_err("a handle of the last run");
    assert!(!locked.message().message.is_empty());

    told.lock().expect("whole").clear();
    manager.start(id, HERE, None, &tell).await.expect("resumes");
    assert_eq!(*told.lock().expect("whole"), ["probing", "resuming"]);
    painted(&manager, id).await;
    assert_eq!(manager.force_off(id).await.expect("ends"), Ended::Forced);
    assert_eq!(state(&manager, id).await, MachineState::Stopped);
    assert_eq!(manager.force_off(id).await.expect("is off"), Ended::WasOff);

    let summary = async || manager.list(PATIENCE).await.expect("is listed").remove(0);
    let ended = summary().await;
    assert!(
        ended.last_used.is_some_and(|used| used >= ended.created.expect("was made")) && !ended.throw_away
    );
    manager.start(id, StartOptions { throw_away: true, ..HERE }, None, &quiet).await.expect("starts");
    let runs = summary().await;
    assert!(runs.throw_away && runs.last_used >= ended.last_used, "{runs:?}");
    manager.force_off(id).await.expect("ends");
    assert!(!summary().await.throw_away);
    assert!(manager.recover().await.expect("looks").is_empty(), "every end was noted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_live_side_by_side_and_whoever_listens_hears_of_both() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let (one, two) =
        (painting_machine(&manager, "one", false).await, painting_machine(&manager, "two", false).await);
    let mut events = manager.events();
    let (tell, both_run) = tokio::sync::oneshot::channel();
    let listener = tokio::spawn(async move {
        let (mut seen, mut tell) = (Vec::new(), Some(tell));
        while let Ok(event) = events.next().await {
            let Event::Machines(machines) = event else { continue };
            let states: Vec<MachineState> = machines.iter().map(|machine| machine.state).collect();
            let all = |state| states.iter().all(|other| *other == state);
            if all(MachineState::Running)
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(());
            }
            let ended = tell.is_none() && all(MachineState::Stopped);
            seen.push(states);
            if ended {
                return seen;
            }
        }
        seen
    });
    let (first, second) =
        tokio::join!(manager.start(one, HERE, None, &quiet), manager.start(two, HERE, None, &quiet));
    first.and(second).expect("both start");
    tokio::join!(painted(&manager, one), painted(&manager, two));
    let machine = manager.machine(one).await.expect("a handle");
    machine.tell(Request::Pause).await.expect("pauses");
    assert_eq!(
        (state(&manager, one).await, state(&manager, two).await),
        (MachineState::Paused, MachineState::Running)
    );
    machine.tell(Request::Resume).await.expect("resumes");
    tokio::time::timeout(PATIENCE, both_run).await.expect("hears of both").expect("a listener");
    for id in [one, two] {
        manager.force_off(id).await.expect("ends");
    }
    let seen = tokio::time::timeout(PATIENCE, listener).await.expect("hears of the end").expect("a task");
    assert!(seen.len() < 30, "nothing is told twice: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_is_told_with_a_report_and_a_machine_that_wants_to_starts_again() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = painting_machine(&manager, "one", true).await;
    manager.start(id, IN_A_CHILD, None, &quiet).await.expect("starts");
    let pid = |manager: Manager| async move {
        let machine = manager.machine(id).await.expect("a handle");
        machine.status().await.expect("is asked").and_then(|status| status.facts).and_then(|facts| facts.pid)
    };
    let first = pid(manager.clone()).await.expect("a child");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first as i32), nix::sys::signal::Signal::SIGKILL)
        .expect("is killed");
    let begun = Instant::now();
    while pid(manager.clone()).await.is_none_or(|now| now == first) {
        assert!(begun.elapsed() < PATIENCE, "it was not started again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let bundle = manager.bundle(id).await.expect("is read");
    let before = sampan_manager::run::EndRecord::death_before(bundle.path()).expect("is known");
    assert!(before.how == How::Died && before.again && before.words.contains("SIGKILL"), "{before:?}");
    let report = sampan_manager::run::logs::newest_report(bundle.path()).expect("reads").expect("a report");
    assert!(report.contains("one") && report.contains("SIGKILL") && report.contains("-display"), "{report}");
    manager.force_off(id).await.expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_the_process_along_is_told_of_at_the_next_start() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = painting_machine(&manager, "one", false).await;
    // A process that runs the machine, and is killed with it.
    let mut child = tokio::process::Command::new(crate::example::example("host"))
        .arg(home.path())
        .arg(id.to_string())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the example is built with the tests");
    let mut lines =
        tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().expect("piped")));
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("reads");
    assert_eq!(line.as_deref(), Some("running"));
    // It has no control socket, so all that is known is that somebody holds it.
    let held = manager.start(id, HERE, None, &quiet).await.expect_err("is held");
    assert_eq!(held.code(), "in_use");
    child.kill().await.expect("is killed");
    let begun = Instant::now();
    let found = loop {
        let found = manager.recover().await.expect("looks");
        if !found.is_empty() {
            break found;
        }
        assert!(begun.elapsed() < PATIENCE, "its end is not known");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let [(found, record)] = found.as_slice() else { panic!("one machine: {found:?}") };
    assert!(*found == id && record.died() && record.words.contains("ended without a word"), "{record:?}");
    let report = sampan_manager::run::logs::newest_report(manager.bundle(id).await.expect("is read").path());
    assert!(report.expect("reads").is_some_and(|text| text.contains("ended without a word")));
    let list = manager.list(PATIENCE).await.expect("is listed");
    assert!(list[0].crash.as_ref().is_some_and(|crash| crash.report), "{list:?}");
    manager.start(id, HERE, None, &quiet).await.expect("starts all the same");
    assert_eq!(state(&manager, id).await, MachineState::Running);
    manager.force_off(id).await.expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_says_nothing_is_silent_and_another_one_is_not_ended_in_its_place() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = painting_machine(&manager, "one", false).await;
    let bundle = manager.bundle(id).await.expect("is read");
    std::fs::create_dir(bundle.path().join("run")).expect("a folder");
    let _listener =
        std::os::unix::net::UnixListener::bind(bundle.path().join("run/control")).expect("listens");
    let condition = manager.condition(&bundle, Duration::from_millis(300)).await;
    assert!(matches!(condition, Condition::Silent { .. }), "{condition:?}");
    let machine = manager.machine_within(id, Some(Duration::from_millis(300))).await.expect("connects");
    let silent = machine.status().await.expect_err("hears nothing");
    assert!(matches!(silent, Error::Client(ClientError::Silent { pid: Some(_) })), "{silent}");
    let picture = manager.thumbnail(id).await.expect_err("hears nothing");
    assert_eq!(picture.code(), "machine_silent");
    // This test is no supervisor, and it lives to tell. Nobody holds the machine, so there is nothing to end.
    assert!(manager.force_off(id).await.is_ok());
    assert_ne!(state_of(&manager, id).await, Some(State::Running));
}

async fn state_of(manager: &Manager, id: VmId) -> Option<State> {
    let bundle = manager.bundle(id).await.expect("is read");
    match manager.condition(&bundle, Duration::from_millis(300)).await {
        Condition::Says(status) => Some(status.state),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_is_seen_and_one_that_is_given_up_is_no_crash() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = painting_machine(&manager, "one", false).await;
    // Given up as soon as it has begun, as by an app whose page is closed.
    let (begun, starts) = tokio::sync::oneshot::channel();
    let begun = Mutex::new(Some(begun));
    let starting = manager.clone();
    let task = tokio::spawn(async move {
        let tell = |_: Message| {
            if let Some(begun) = begun.lock().expect("whole").take() {
                let _ = begun.send(());
            }
        };
        starting.start(id, IN_A_CHILD, None, &tell).await
    });
    starts.await.expect("begins");
    assert_eq!(state(&manager, id).await, MachineState::Starting);
    let machine = manager.machine(id).await.expect("a handle");
    assert_eq!(machine.tell(Request::Pause).await.expect_err("is being started").code(), "being_started");
    let twice = manager.start(id, IN_A_CHILD, None, &quiet).await.expect_err("is being started");
    assert_eq!(twice.code(), "being_started");
    task.abort();
    let aborted = task.await;
    assert!(aborted.is_err_and(|error| error.is_cancelled()), "it had not started yet");
    assert_eq!(state(&manager, id).await, MachineState::Stopped);
    let bundle = manager.bundle(id).await.expect("is read");
    let last = sampan_manager::run::EndRecord::last(bundle.path()).expect("is noted");
    assert_eq!((last.how, last.run), (How::NotStarted, None), "{}", last.words);
    // What it had begun goes in a moment, and with it the lock: whoever starts it again need not know.
    manager.start(id, HERE, None, &quiet).await.expect("starts");
    manager.force_off(id).await.expect("ends");
    assert!(manager.recover().await.expect("looks").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_about_to_let_go_is_waited_for() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = painting_machine(&manager, "one", false).await;
    // As the run of a machine that has ended and is not listed any more, but still writes down how it ended.
    let held = async || {
        let locked = manager.library().lock(id).expect("nobody has it");
        locked.note_run();
        locked
    };
    let locked = held().await;
    let mut off = std::pin::pin!(manager.force_off(id));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut off).await.is_err(), "it is not off yet");
    drop(locked);
    assert_eq!(off.await.expect("is off"), Ended::WasOff);

    let locked = held().await;
    let mut start = std::pin::pin!(manager.start(id, HERE, None, &quiet));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut start).await.is_err(), "it cannot run yet");
    drop(locked);
    start.await.expect("starts");
    manager.force_off(id).await.expect("ends");
}
