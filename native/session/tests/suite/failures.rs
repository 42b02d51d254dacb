//! What is left when QEMU's answers are lost or the disk refuses: library and QEMU agree, and old memory never meets newer
//! disks. QEMU is real; between it and the session stands a meddler, and the library's file system fails where it is told.

use crate::common::counter::{Place, counting, counts, create, named};
use crate::common::meddler::{Line, Meddler};
use crate::common::{child, state};
use sampan_config::{Arch, Forward, VmConfig};
use sampan_library::fs::{Fs, Hook, Step};
use sampan_library::{Library, Manifest};
use sampan_qmp::DEFAULT_TIMEOUT;
use sampan_session::images::QemuBlockLayer;
use sampan_session::vm::{RunOptions, Vm};
use sampan_session::{Command, CommandError, ProgressFn, State};
use std::net::TcpListener;
use std::path::Path;

use std::sync::{Arc, Mutex};
use std::time::Duration;

fn images() -> QemuBlockLayer {
    QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current())
}

/// The manifest as it is on the disk.
fn manifest(library: &Library) -> Manifest {
    let id = library.find(crate::common::counter::NAME).expect("is there");
    library.read(id).expect("is read").manifest().clone()
}

fn files(vm: &Vm, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(vm.folder().join(folder)).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Every image that QEMU has open is one that the library keeps.
async fn agree(vm: &Vm, library: &Library) {
    let there = files(vm, "disks");
    let nodes = vm.session().human("info block -n -v").await.expect("is told");
    let words = nodes.split(|c: char| !(c.is_ascii_alphanumeric() || "-._/".contains(c)));
    for file in words.filter(|word| word.contains("/disks/")) {
        let name = Path::new(file).file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(there.iter().any(|kept| kept == name), "QEMU uses {name}, of which are left {there:?}");
    }
    let manifest = manifest(library);
    let current = manifest.pending.as_ref().map_or(&manifest.drives, |pending| &pending.overlays);
    for (drive, image) in current {
        let info = vm.session().drive(drive.as_str()).await.expect("a drive");
        let node = vm.session().human(&format!("info block -v {}", info.node)).await.expect("is told");
        // An overlay that was made while it runs has no name for QEMU: which files its process has open tells.
        let pid = vm.session().pid().expect("a process of its own");
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files").flatten();
        let mut open = open
            .flat_map(|fd| std::fs::read_link(fd.path()))
            .filter_map(|file| file.file_name().and_then(|name| name.to_str()).map(str::to_owned));
        let has = if node.contains("/dev/fdset/") {
            open.any(|name| name == image.as_str())
        } else {
            node.contains(image.as_str())
        };
        assert!(has, "the library has {image:?} for {drive}, QEMU: {node}");
    }
}

struct Machine {
    _home: tempfile::TempDir,
    place: Place,
    meddler: Arc<Meddler>,
}

async fn machine(fs: Fs, images: &QemuBlockLayer) -> Machine {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("library");
    create(&home, images).await;
    let meddler = Meddler::new(child());
    let place = Place::new(&home, fs, images, meddler.clone());
    Machine { _home: folder, place, meddler }
}

async fn started(machine: &Machine) -> Vm {
    let vm = machine.place.start(RunOptions::default()).await.expect("starts");
    counting(vm.session(), 2).await;
    vm
}

/// Ends QEMU as if its power failed; the next start has all that was written.
async fn killed_and_started_again(machine: &Machine, vm: Vm) -> Vm {
    let last = counting(vm.session(), 1).await;
    let pid = vm.session().pid().expect("a process of its own").to_string();
    assert!(std::process::Command::new("kill").args(["-KILL", &pid]).status().expect("kill").success());
    vm.finish().await;
    drop(vm);
    let vm = started(machine).await;
    let first = counts(vm.session())[0];
    assert!(first > last, "{first} after {last}: a write of the guest's is lost");
    vm
}

async fn quit(vm: Vm) {
    vm.session().execute(Command::Quit).await.expect("quits");
    vm.finish().await;
}

async fn snapshot(vm: &Vm, name: &str, disks_only: bool) -> Result<(), String> {
    let taken = vm.snapshot(named(name), disks_only, &ProgressFn::none()).await;
    taken.map(drop).map_err(|error| error.to_string())
}

/// How long a QEMU that is kept from answering is waited for. What follows a missed deadline does not depend on its length, and
/// one test misses several in a row.
const SHORT: Duration = Duration::from_secs(4);

/// Loses the first line that is this one.
fn once(wanted: Line<'static>) -> impl FnMut(Line<'_>) -> bool + Send + 'static {
    let mut lost = false;
    move |line| {
        lost || {
            lost = line == wanted;
            !lost
        }
    }
}

/// One answer or command is lost; asked again, QEMU answers.
async fn asked_again(images: &QemuBlockLayer, lost: Line<'static>, disks_only: bool, switched: bool) {
    let machine = machine(Fs::default(), images).await;
    let library = &machine.place.library;
    let vm = started(&machine).await;
    let before = (manifest(library), files(&vm, "disks"));
    machine.meddler.rule(once(lost));
    vm.session().set_monitor_timeout(SHORT);
    let error = snapshot(&vm, "lost", disks_only).await.expect_err("no answer came");
    vm.session().set_monitor_timeout(DEFAULT_TIMEOUT);
    assert!(error.contains("did not answer"), "{lost:?}: {error}");
    state(vm.session(), State::Running).await;
    counting(vm.session(), 3).await;
    let after = manifest(library);
    assert!(after.pending.is_none() && after.snapshots.is_empty(), "{lost:?}: {after:?}");
    assert_eq!(after.drives != before.0.drives, switched, "{lost:?}");
    assert_eq!(files(&vm, "disks") == before.1, !switched, "{lost:?}");
    assert_eq!(files(&vm, "state"), [""; 0], "{lost:?}");
    agree(&vm, library).await;
    // All is as ever.
    snapshot(&vm, "taken", disks_only).await.expect("is taken");
    agree(&vm, library).await;
    assert_eq!(manifest(library).snapshots.len(), 1);
    let vm = killed_and_started_again(&machine, vm).await;
    quit(vm).await;
}

/// From the transaction on QEMU does not answer. Later it does, or is killed.
async fn silence(images: &QemuBlockLayer, lost: Line<'static>, heals: bool) {
    let machine = machine(Fs::default(), images).await;
    let library = &machine.place.library;
    let vm = started(&machine).await;
    let mut silent = false;
    machine.meddler.rule(move |line| {
        silent |= line == lost;
        !silent
    });
    vm.session().set_monitor_timeout(SHORT);
    let error = snapshot(&vm, "silent", true).await.expect_err("no answer came");
    vm.session().set_monitor_timeout(DEFAULT_TIMEOUT);
    assert!(error.contains("transaction"), "what was lost first is told: {error}");
    let pending = manifest(library).pending.expect("stays pending");
    machine.meddler.rule(|_| true);
    // The library cleans up behind a change of its own: what QEMU may write to is kept.
    vm.set_background(false).await.expect("answers");
    vm.set_mode(sampan_config::Mode::Standard).await.expect("is written");
    for overlay in pending.overlays.values() {
        assert!(files(&vm, "disks").contains(&overlay.to_string()), "{overlay:?} is gone");
    }
    // Whether it goes on by itself is QEMU's: a lost command is lost.
    vm.session().execute(Command::Resume).await.expect("goes on");
    counting(vm.session(), 3).await;
    if heals {
        snapshot(&vm, "taken", true).await.expect("is taken");
        let after = manifest(library);
        assert!(after.pending.is_none() && after.snapshots.len() == 1, "{after:?}");
        agree(&vm, library).await;
    }
    let vm = killed_and_started_again(&machine, vm).await;
    assert!(manifest(library).pending.is_none());
    agree(&vm, library).await;
    quit(vm).await;
}

/// All at once, since each waits for QEMU's time to be up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_without_an_answer_leaves_library_and_qemu_agreeing() {
    let images = images();
    tokio::join!(
        asked_again(&images, Line::Answer("transaction"), true, true),
        asked_again(&images, Line::Command("transaction"), true, false),
        asked_again(&images, Line::Answer("blockdev-add"), true, false),
        asked_again(&images, Line::Answer("migrate"), false, false),
        asked_again(&images, Line::Command("migrate"), false, false),
        silence(&images, Line::Answer("transaction"), true),
        silence(&images, Line::Answer("transaction"), false),
        silence(&images, Line::Command("transaction"), false),
    );
}

type Fails = Box<dyn Fn(usize) -> bool + Send>;

/// A file system that fails at the steps it is told.
#[derive(Default)]
struct Failing {
    steps: Mutex<(usize, Option<Fails>)>,
    /// Pictures can never be kept, and their steps are not counted.
    has_no_pictures: bool,
}

impl Failing {
    /// Counts anew; the first step is 0.
    fn at(&self, fails: impl Fn(usize) -> bool + Send + 'static) {
        *self.steps.lock().expect("not poisoned") = (0, Some(Box::new(fails)));
    }

    fn count(&self) -> usize {
        self.steps.lock().expect("not poisoned").0
    }
}

impl Hook for Failing {
    fn before(&self, step: Step<'_>) -> std::io::Result<()> {
        let (Step::CreateDir(path)
        | Step::Create(path)
        | Step::Write(path, _)
        | Step::SyncFile(path)
        | Step::SyncDir(path)
        | Step::Rename(_, path)
        | Step::Unlink(path)
        | Step::RemoveDir(path)) = step;
        if self.has_no_pictures && path.iter().any(|folder| folder == "thumbs") {
            return Err(rustix::io::Errno::IO.into());
        }
        let mut guard = self.steps.lock().expect("not poisoned");
        let (count, fails) = &mut *guard;
        *count += 1;
        match fails {
            Some(fails) if fails(*count - 1) => Err(rustix::io::Errno::IO.into()),
            _ => Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_the_disk_refuses_leaves_library_and_qemu_agreeing() {
    let failing = Arc::new(Failing::default());
    let images = images();
    let machine = machine(Fs::with_hook(failing.clone()), &images).await;
    let library = &machine.place.library;
    let vm = started(&machine).await;
    failing.at(|_| false);
    snapshot(&vm, "whole", true).await.expect("is taken");
    let steps = failing.count();
    let (mut taken, mut kept_pending) = (1, 0);
    // Each step alone; then each one and all after it.
    for (at, end) in (0..steps).flat_map(|at| [(at, at + 1), (at, usize::MAX)]) {
        let case = format!("steps {at}..{end} of {steps}");
        let node = async || vm.session().drive("disk0").await.expect("a drive").node;
        let (node_before, drives_before) = (node().await, manifest(library).drives);
        failing.at(move |step| (at..end).contains(&step));
        let done = snapshot(&vm, "refused", true).await;
        failing.at(|_| false);
        let (switched, after) = (node().await != node_before, manifest(library));
        let images = match &after.pending {
            Some(pending) => {
                kept_pending += 1;
                assert!(done.is_err(), "{case}");
                if switched { &pending.overlays } else { &after.drives }
            }
            None => {
                assert_eq!(after.drives != drives_before, switched, "{case}: {done:?}");
                &after.drives
            }
        };
        for image in images.values() {
            assert!(files(&vm, "disks").contains(&image.to_string()), "{case}: {image:?} is gone");
        }
        taken += usize::from(done.is_ok());
        assert_eq!(after.snapshots.len(), taken, "{case}: {done:?}");
        state(vm.session(), State::Running).await;
        if after.pending.is_some() {
            snapshot(&vm, "settles", true).await.expect("the disk is well again");
            taken += 1;
        }
    }
    assert!(taken > 1 && kept_pending > 0, "{taken}, {kept_pending}");
    counting(vm.session(), 2).await;
    snapshot(&vm, "last", true).await.expect("is taken");
    assert!(manifest(library).pending.is_none());
    let vm = killed_and_started_again(&machine, vm).await;
    quit(vm).await;
}

/// The steps of noting that a machine is suspended: its memory and its folder are synced; a manifest is made, written in
/// two halves, synced, renamed, its folder synced.
const NOTE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_whose_note_fails_runs_on_or_stands_still_with_its_state() {
    // What the screen showed is kept where it can be: without it, the rest is as it is with it.
    let failing = Arc::new(Failing { has_no_pictures: true, ..Failing::default() });
    let images = images();
    let machine = machine(Fs::with_hook(failing.clone()), &images).await;
    let library = &machine.place.library;
    let mut vm = started(&machine).await;
    let mut ends = Vec::new();
    // Each step alone, then each one and all after it; then the last of the note and the last of taking it back.
    let cases = (0..NOTE).flat_map(|at| [(at, at + 1), (at, usize::MAX)]).map(Some).chain([None]);
    for case in cases {
        failing.at(move |step| match case {
            Some((first, end)) => (first..end).contains(&step),
            None => step == NOTE - 1 || step == NOTE + 5,
        });
        vm.suspend(1, &ProgressFn::none()).await.expect_err("the note fails");
        failing.at(|_| false);
        let saved = manifest(library).suspended;
        // Nobody can let it run where its memory may be on the disk.
        let resumed = vm.session().execute(Command::Resume).await;
        match (&resumed, &saved) {
            (Ok(_), None) => {
                state(vm.session(), State::Running).await;
                counting(vm.session(), 2).await;
                // Where nothing could be removed either, the file is garbage until the next time.
                if case.is_some_and(|(_, end)| end < usize::MAX) {
                    assert_eq!(files(&vm, "state"), [""; 0], "{case:?}");
                }
                ends.push("runs");
                continue;
            }
            (Err(CommandError::State { .. }), Some(saved)) => {
                assert_eq!(files(&vm, "state"), [saved.memory.to_string()], "{case:?}");
                ends.push("stands");
            }
            (Err(CommandError::State { .. }), None) => ends.push("unsure"),
            _ => panic!("{case:?}: {resumed:?}, {saved:?}"),
        }
        assert_eq!(vm.session().status().borrow().state, State::Paused, "{case:?}");
        let last = *counts(vm.session()).last().expect("has counted");
        if saved.is_some() {
            quit(vm).await;
        } else {
            // Once the disk is well again.
            vm.suspend(1, &ProgressFn::none()).await.expect("is suspended");
            vm.finish().await;
            drop(vm);
        }
        // It goes on where it was, and finds its memory and its disk in step.
        vm = started(&machine).await;
        assert_eq!(counts(vm.session())[0], last + 1, "{case:?}");
    }
    let runs = ends.iter().filter(|end| **end == "runs").count();
    assert_eq!((runs, ends.len()), (2 * NOTE - 1, 2 * NOTE + 1), "{ends:?}");
    assert_eq!(ends[2 * NOTE - 1..], ["stands", "unsure"]);
    // Suspending it once more instead of ending it.
    failing.at(|step| step >= NOTE - 1);
    vm.suspend(1, &ProgressFn::none()).await.expect_err("the note fails");
    failing.at(|_| false);
    vm.suspend(1, &ProgressFn::none()).await.expect("is suspended");
    vm.finish().await;
    drop(vm);
    let vm = started(&machine).await;
    let vm = killed_and_started_again(&machine, vm).await;
    quit(vm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_machine_is_kept_and_suspended_as_often_as_wanted() {
    let images = images();
    let machine = machine(Fs::default(), &images).await;
    let vm = started(&machine).await;
    vm.session().execute(Command::Pause).await.expect("pauses");
    for name in ["one", "two"] {
        snapshot(&vm, name, false).await.expect("is taken");
        state(vm.session(), State::Paused).await;
    }
    vm.suspend(1, &ProgressFn::none()).await.expect("is suspended");
    let last = *counts(vm.session()).last().expect("has counted");
    vm.finish().await;
    drop(vm);
    let vm = started(&machine).await;
    assert!(counts(vm.session())[0] > last);
    quit(vm).await;
}

/// The steps of noting that the state is used up: a manifest as above.
const USED_UP: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_whose_note_fails_runs_nothing() {
    let failing = Arc::new(Failing::default());
    let images = images();
    let machine = machine(Fs::with_hook(failing.clone()), &images).await;
    for at in 0..USED_UP {
        let vm = started(&machine).await;
        let last = counting(vm.session(), 1).await;
        vm.suspend(1, &ProgressFn::none()).await.expect("is suspended");
        vm.finish().await;
        drop(vm);
        failing.at(move |step| step == at);
        let begun = machine.place.start(RunOptions::default()).await;
        failing.at(|_| false);
        assert!(begun.is_err(), "step {at}: it runs though its state may be loaded again");
        let suspended = manifest(&machine.place.library).suspended.is_some();
        // The rename is what counts.
        assert_eq!(suspended, at + 1 < USED_UP, "step {at}");
        let vm = started(&machine).await;
        assert!(counts(vm.session())[0] > last, "step {at}");
        quit(vm).await;
    }
}

/// What QEMU, the document in memory and the document on the disk say of a forward.
async fn forwarded(vm: &Vm, library: &Library, forward: Forward) -> [bool; 3] {
    let text = vm.session().human("info usernet").await.expect("is told");
    let bundle =
        library.read(library.find(crate::common::counter::NAME).expect("is there")).expect("is read");
    let kept = VmConfig::from_files(&bundle.document().expect("a document")).expect("is one");
    let has = |document: &VmConfig| document.network.cards[0].forwards.contains(&forward);
    [text.contains(&forward.host_port.to_string()), has(&vm.document()), has(&kept)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forward_that_cannot_be_written_down_is_taken_back_from_qemu() {
    let failing = Arc::new(Failing::default());
    let images = images();
    let machine = machine(Fs::with_hook(failing.clone()), &images).await;
    let library = &machine.place.library;
    let vm = started(&machine).await;
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("has one").port();
    let forward = Forward::tcp(free, 80);
    failing.at(|_| false);
    vm.add_forward(forward).await.expect("is added");
    let steps = failing.count();
    assert_eq!(forwarded(&vm, library, forward).await, [true; 3]);
    // The first, some in the midst, and all of the manifest; what comes after it is cleaning up.
    for at in [0, 1, steps / 3].into_iter().chain(steps / 2..steps) {
        for there in [true, false] {
            failing.at(move |step| step == at);
            let done = if there { vm.remove_forward(forward).await } else { vm.add_forward(forward).await };
            failing.at(|_| false);
            let now = forwarded(&vm, library, forward).await;
            assert_eq!(now, [there == done.is_err(); 3], "step {at} of {steps}: {done:?}");
            if done.is_err() {
                let done =
                    if there { vm.remove_forward(forward).await } else { vm.add_forward(forward).await };
                done.expect("the disk is well again");
            }
            assert_eq!(forwarded(&vm, library, forward).await, [!there; 3]);
        }
    }
    // QEMU does not say whether it did it.
    machine.meddler.rule(once(Line::Answer("human-monitor-command")));
    vm.session().set_monitor_timeout(SHORT);
    vm.remove_forward(forward).await.expect_err("no answer came");
    vm.session().set_monitor_timeout(DEFAULT_TIMEOUT);
    assert_eq!(forwarded(&vm, library, forward).await, [true; 3]);
    quit(vm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qemu_writes_no_file_that_decides_over_the_next_start() {
    let images = images();
    let machine = machine(Fs::default(), &images).await;
    let vm = started(&machine).await;
    let write = async |name: &str| {
        let file = vm.folder().join(name);
        vm.session().human(&format!("pmemsave 0 16 \"{}\"", file.display())).await.expect("is answered")
    };
    let files =
        ["manifest.json", "host.json", "lock", "document/other", "state/memory", "tmp/file", "disks/another"];
    for name in files {
        let said = write(name).await;
        assert!(said.contains("Permission denied"), "{name}: {said}");
    }
    quit(vm).await;
}
