//! A machine's host is killed (SIGKILL) at the steps of what it does with the machine: before a change of the file system,
//! and before a command reaches QEMU or its answer comes back. Afterwards the machine starts, its memory and its disk
//! belong together, and nothing that the guest had written is lost.
//!
//! All operations run once to their end, in processes of their own, and count their steps. Then each is run anew on a copy
//! of what its predecessors left, and kills itself. There are too many steps for every run of the tests: they are taken
//! at even distances. `SAMPAN_TEST_KILLS` says how many; as many as there are takes minutes.

mod common;

use common::counter::{Place, blocking, counting, counts, create, named};
use common::meddler::{Line, Meddler};
use common::{child, in_process};
use sampan_config::Arch;
use sampan_library::Unsaved;
use sampan_library::fs::{Fs, Hook, Step};
use sampan_session::images::QemuBlockLayer;
use sampan_session::vm::{RunOptions, Vm};
use sampan_session::{Command, ProgressFn};
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many kills an ordinary run of the tests makes.
const KILLS: usize = 12;

/// What is done, in this order. Each finds what the one before it has left.
const OPERATIONS: [&str; 5] = ["keep", "go on", "delete", "restore", "throw away"];

/// Counts the steps, and kills this process at one of them.
struct Clock {
    steps: AtomicUsize,
    at: usize,
}

impl Clock {
    fn step(&self) {
        if self.steps.fetch_add(1, Ordering::SeqCst) == self.at {
            // A guest that runs when it must not has the time to be caught at it.
            std::thread::sleep(Duration::from_millis(150));
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::thread::park();
        }
    }
}

impl Hook for Clock {
    fn before(&self, _: Step<'_>) -> std::io::Result<()> {
        self.step();
        Ok(())
    }
}

/// The commands that change something; how often QEMU is asked for news depends on the host.
const COUNTED: [&str; 8] = [
    "blockdev-add",
    "transaction",
    "migrate",
    "migrate-incoming",
    "blockdev-set-active",
    "block_resize",
    "cont",
    "stop",
];

/// A folder with the library and what is known of it.
struct Notes(PathBuf);

impl Notes {
    fn home(&self) -> PathBuf {
        self.0.join("library")
    }

    fn get(&self, name: &str) -> u32 {
        let text = std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|_| "0".into());
        text.parse().expect("a number")
    }

    fn set(&self, name: &str, value: u32) {
        std::fs::write(self.0.join(name), value.to_string()).expect("is noted");
    }

    /// The guest counts on, which must not be lost from here on.
    async fn counting(&self, vm: &Vm) -> u32 {
        let now = counting(vm.session(), 2).await;
        self.set("count", now);
        now
    }
}

async fn operate(operation: &str, notes: &Notes, place: &Place) {
    let none = ProgressFn::none();
    let layer = place.images.clone();
    let start = |options| async { place.start(options).await.expect("starts") };
    match operation {
        "keep" => {
            let vm = start(RunOptions::default()).await;
            let before = notes.counting(&vm).await;
            notes.set("before one", before);
            vm.snapshot(named("one"), false, &none).await.expect("is taken");
            let after = notes.counting(&vm).await;
            notes.set("after one", after);
            vm.snapshot(named("two"), false, &none).await.expect("is taken");
            notes.counting(&vm).await;
            vm.suspend(2, &none).await.expect("is suspended");
            vm.finish().await;
        }
        "go on" => {
            let vm = start(RunOptions::default()).await;
            notes.counting(&vm).await;
            vm.grow("disk0", 2 << 20).await.expect("grows");
            notes.counting(&vm).await;
            vm.snapshot(named("three"), true, &none).await.expect("is taken");
            notes.counting(&vm).await;
            vm.session().execute(Command::Quit).await.expect("quits");
            vm.finish().await;
        }
        "delete" => {
            let mut locked = place.lock().await;
            blocking(move || {
                let two = locked.find_snapshot("two").expect("is there");
                locked.delete_snapshot(&two).expect("is deleted");
                locked.reclaim(&layer, &mut |_| ControlFlow::Continue(())).expect("is reclaimed");
            })
            .await;
        }
        "restore" => {
            let mut locked = place.lock().await;
            blocking(move || {
                let one = locked.find_snapshot("one").expect("is there");
                locked.restore(&layer, &one, Unsaved::Discard).expect("is restored");
            })
            .await;
            let vm = start(RunOptions::default()).await;
            notes.counting(&vm).await;
            vm.suspend(3, &none).await.expect("is suspended");
            vm.finish().await;
        }
        "throw away" => {
            let vm =
                start(RunOptions { throw_away: true, discard_state: true, ..RunOptions::default() }).await;
            counting(vm.session(), 2).await;
            vm.session().execute(Command::Quit).await.expect("quits");
            vm.finish().await;
        }
        other => panic!("{other:?} is no operation"),
    }
}

/// Runs one operation, with QEMU in this process or in one that outlives it by a moment. Says how many steps it took.
async fn run(operation: &str, at: usize, notes: &Notes) -> usize {
    let clock = Arc::new(Clock { steps: AtomicUsize::new(0), at });
    let meddler = Meddler::new(if at.is_multiple_of(2) { in_process() } else { child() });
    let counted = Arc::clone(&clock);
    meddler.rule(move |line| {
        let (Line::Command(name) | Line::Answer(name)) = line;
        if COUNTED.contains(&name) {
            counted.step();
        }
        true
    });
    let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
    let place = Place::new(&notes.home(), Fs::with_hook(clock.clone()), &images, meddler);
    operate(operation, notes, &place).await;
    clock.steps.load(Ordering::SeqCst)
}

const CHILD: &str = "SAMPAN_TEST_KILL";

/// What the killed processes run; called by nobody, it does nothing that the other test does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_runs_in_a_process_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let Ok(words) = std::env::var(CHILD) else {
        let notes = Notes(folder.path().into());
        let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
        create(&notes.home(), &images).await;
        assert!(run(OPERATIONS[0], usize::MAX, &notes).await > 50);
        return;
    };
    let [operation, at, folder] = words.split('|').collect::<Vec<_>>().try_into().expect("three words");
    let notes = Notes(folder.into());
    let steps = run(operation, at.parse().expect("a number"), &notes).await;
    notes.set("steps", steps.try_into().expect("few"));
}

async fn in_a_process(operation: &str, at: usize, folder: &Path) -> std::process::ExitStatus {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", "an_operation_runs_in_a_process_of_its_own", "--nocapture"])
        .env(CHILD, format!("{operation}|{at}|{}", folder.display()))
        .stdout(Stdio::null());
    blocking(move || command.status().expect("it runs")).await
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp").success());
}

/// The machine starts and goes on, from where it must.
async fn starts(place: &Place, what: &str, good: impl Fn(u32) -> bool) {
    println!("{what}");
    let vm = place.start(RunOptions::default()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    // Fails where memory and disk differ.
    counting(vm.session(), 2).await;
    let first = counts(vm.session())[0];
    assert!(good(first), "{what}: it goes on at {first}");
    vm.session().execute(Command::Quit).await.expect("quits");
    vm.finish().await;
}

async fn check(operation: &str, what: &str, notes: &Notes, images: &QemuBlockLayer) {
    let place = Place::new(&notes.home(), Fs::default(), images, child());
    let locked = place.lock().await;
    let manifest = locked.manifest().clone();
    assert!(manifest.pending.is_none(), "{what}");
    locked.open_drives().unwrap_or_else(|error| panic!("{what}: {error}"));
    drop(locked);
    let (count, before, after) = (notes.get("count"), notes.get("before one"), notes.get("after one"));
    let as_kept = |first: u32| first > before && first <= after;
    starts(&place, what, |first| first > count || (operation == "restore" && as_kept(first))).await;
    // A snapshot that came to be is a whole one.
    let Some((one, _)) = manifest.snapshots.iter().find(|(_, snapshot)| snapshot.name == "one") else {
        assert_eq!(operation, "keep", "{what}");
        return;
    };
    let (mut locked, layer, one) = (place.lock().await, images.clone(), one.clone());
    blocking(move || locked.restore(&layer, &one, Unsaved::Discard).expect("is restored")).await;
    let after = if after == 0 { u32::MAX } else { after };
    starts(&place, &format!("{what}, restored"), |first| first > before && first <= after).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_leaves_a_machine_whose_memory_and_disk_belong_together() {
    let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
    let folder = tempfile::tempdir().expect("a folder");
    let place = |n: usize| folder.path().join(format!("before {n}"));
    std::fs::create_dir(place(0)).expect("a folder");
    create(&Notes(place(0)).home(), &images).await;
    let mut steps = Vec::new();
    for (n, operation) in OPERATIONS.iter().enumerate() {
        copy(&place(n), &place(n + 1));
        let status = in_a_process(operation, usize::MAX, &place(n + 1)).await;
        assert!(status.success(), "{operation}: {status}");
        let taken = Notes(place(n + 1)).get("steps");
        println!("{operation}: {taken} steps");
        steps.extend((0..taken as usize).map(|at| (n, at)));
    }
    assert!(steps.len() > 150, "{} steps are too few for these operations", steps.len());
    let wanted = std::env::var("SAMPAN_TEST_KILLS").ok().and_then(|many| many.parse().ok()).unwrap_or(KILLS);
    let kills = wanted.min(steps.len());
    for kill in 0..kills {
        // In the middle of each part, so that neither only first nor only last steps are taken.
        let (n, at) = steps[(kill * 2 + 1) * steps.len() / (kills * 2)];
        let operation = OPERATIONS[n];
        let what = format!("killed before step {at} of “{operation}”");
        let place_of_kill = folder.path().join("killed");
        copy(&place(n), &place_of_kill);
        let status = in_a_process(operation, at, &place_of_kill).await;
        assert_eq!(status.signal(), Some(9), "{what}: it was not reached");
        check(operation, &what, &Notes(place_of_kill.clone()), &images).await;
        std::fs::remove_dir_all(&place_of_kill).expect("is removed");
    }
}
