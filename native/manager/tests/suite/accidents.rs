//! Processes that are stopped, killed, or lose their answers, in the midst of work.

use crate::common::{PATIENCE, made, manager, painting_machine, smallest};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sampan_control::{Reply, Reporter, Request, State};
use sampan_library::SourceFormat;
use sampan_manager::create::{NewDisk, Source};
use sampan_manager::run::StartOptions;
use sampan_manager::{Confirmed, Job, Manager};
use sampan_message::Coded;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

const IN_A_CHILD: StartOptions = StartOptions { throw_away: false, discard_state: false, in_process: false };

/// The processes that this one has started.
fn children() -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    for thread in std::fs::read_dir("/proc/self/task").expect("reads").flatten() {
        let list = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(list.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    found
}

/// Begins to bring a long image into a machine; gives the process that works on it once it is at work.
async fn begin_import(manager: &Manager, home: &Path) -> (Job, i32) {
    let id = made(manager, smallest("import", NewDisk::None)).await;
    let image = home.join("long.raw");
    std::fs::write(&image, vec![7; 256 << 20]).expect("a disk");
    let before = children();
    let job = manager.spawn_job("import-disk", id, move |manager, reporter| async move {
        let format = Some(SourceFormat::Raw);
        manager.import_disk(id, image, format, &Confirmed::Everything, &reporter).await.map(drop)
    });
    let mut progress = job.reporter().watch();
    tokio::time::timeout(PATIENCE, progress.changed()).await.expect("in time").expect("begins");
    let new: Vec<i32> = children().difference(&before).copied().collect();
    let [worker] = new.as_slice() else { panic!("one process works on it: {new:?}") };
    (job, *worker)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_import_holds_no_running_machine_up() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let (one, two) =
        (painting_machine(&manager, "one", false).await, painting_machine(&manager, "two", false).await);
    for id in [one, two] {
        manager.start(id, IN_A_CHILD, None, &|_| {}).await.expect("starts");
    }
    let (import, worker) = begin_import(&manager, home.path()).await;
    // It stands still in the midst of its work, and would for ever.
    kill(Pid::from_raw(worker), Signal::SIGSTOP).expect("is stopped");
    for id in [one, two] {
        let machine = manager.machine(id).await.expect("a handle");
        let snapshot = Request::Snapshot { name: "first".into(), note: String::new(), disks_only: false };
        let taken = tokio::time::timeout(PATIENCE, machine.call(snapshot, &Reporter::new())).await;
        assert!(matches!(taken.expect("is not held up"), Ok(Reply::Snapshot { .. })));
        let status = machine.status().await.expect("is asked").expect("runs");
        assert_eq!(status.state, State::Running);
    }
    assert!(manager.job_list().iter().any(|job| job.kind == "import-disk" && job.error.is_none()));
    manager.suspend(one, &Reporter::new()).await.expect("is suspended");
    manager.start(one, IN_A_CHILD, None, &|_| {}).await.expect("resumes");
    kill(Pid::from_raw(worker), Signal::SIGCONT).expect("goes on");
    import.wait().await.expect("is brought in after all");
    for id in [one, two] {
        manager.force_off(id).await.expect("ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_whose_process_is_killed_leaves_nothing_and_the_next_one_works() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let (import, worker) = begin_import(&manager, home.path()).await;
    kill(Pid::from_raw(worker), Signal::SIGSTOP).expect("is stopped");
    kill(Pid::from_raw(worker), Signal::SIGKILL).expect("is killed");
    let error =
        tokio::time::timeout(PATIENCE, import.wait()).await.expect("is told").expect_err("has failed");
    assert!(!error.is_cancelled(), "{error}");
    let failed = manager.job_list();
    let failed = failed.iter().find(|job| job.kind == "import-disk").expect("is kept");
    assert!(failed.error.is_some(), "{failed:?}");
    manager.discard_job(failed.id);
    assert!(manager.job_list().is_empty());
    let id = manager.find("import").await.expect("is there");
    let disks = manager.disks(id).await.expect("is told");
    assert!(disks.drives.is_empty(), "{disks:?}");
    let bundle = manager.bundle(id).await.expect("is read");
    assert!(bundle.usage().expect("is told") < 1 << 20, "nothing of it takes room");
    let image = Source::File(home.path().join("long.raw"));
    let disk = NewDisk::Image { image, format: Some(SourceFormat::Raw), size: None };
    made(&manager, smallest("next", disk)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_qemu_is_killed_while_it_is_suspended_is_not_suspended() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = painting_machine(&manager, "one", false).await;
    manager.start(id, IN_A_CHILD, None, &|_| {}).await.expect("starts");
    let machine = manager.machine(id).await.expect("a handle");
    let status = machine.status().await.expect("is asked").expect("runs");
    let pid = Pid::from_raw(status.facts.and_then(|facts| facts.pid).expect("a child") as i32);
    // Whatever it is told from here on, nobody answers.
    kill(pid, Signal::SIGSTOP).expect("is stopped");
    let suspending = manager.clone();
    let suspending = tokio::spawn(async move { suspending.suspend(id, &Reporter::new()).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    kill(pid, Signal::SIGKILL).expect("is killed");
    let outcome = tokio::time::timeout(PATIENCE, suspending).await.expect("is told").expect("a task");
    assert!(outcome.is_err(), "it was not suspended");
    let begun = Instant::now();
    let summary = loop {
        let list = manager.list(PATIENCE).await.expect("is listed");
        let one = list.into_iter().find(|one| one.id == id.to_string()).expect("is there");
        if one.crash.is_some() {
            break one;
        }
        assert!(begun.elapsed() < PATIENCE, "its death is not told: {one:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(summary.state, sampan_manager::MachineState::Stopped);
    manager.start(id, IN_A_CHILD, None, &|_| {}).await.expect("starts again");
    manager.force_off(id).await.expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_told_as_lost_and_an_end_is_no_error() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = made(&manager, smallest("one", NewDisk::None)).await;
    let bundle = manager.bundle(id).await.expect("is read");
    std::fs::create_dir(bundle.path().join("run")).expect("a folder");
    let listener = tokio::net::UnixListener::bind(bundle.path().join("run/control")).expect("listens");
    // A process that reads what it is asked, and is gone.
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut line = String::new();
            let _ = BufReader::new(stream).read_line(&mut line).await;
        }
    });
    for request in [Request::Pause, Request::Suspend, Request::Reset] {
        let machine = manager.machine(id).await.expect("a handle");
        assert!(machine.runs());
        let lost = machine.tell(request).await.expect_err("no answer");
        assert_eq!(lost.code(), "machine_ended");
    }
    let machine = manager.machine(id).await.expect("a handle");
    machine.tell(Request::Quit).await.expect("its end is what was asked for");
    let machine = manager.machine(id).await.expect("a handle");
    assert_eq!(machine.status().await.expect("is told"), None);
}
