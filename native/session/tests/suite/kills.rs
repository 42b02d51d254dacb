//! A machine's host is killed (SIGKILL) at the steps of what it does with the machine: before a change of the file system,
//! and before a command reaches QEMU or its answer comes back. Afterwards the machine starts, its memory and its disk
//! belong together, and nothing that the guest had written is lost.
//!
//! All operations run once to their end, in processes of their own, and count their steps. Then each is run anew on a copy
//! of what its predecessors left, and kills itself. There are too many steps for every run of the tests: they are taken
//! at even distances. `SAMPAN_TEST_KILLS` says how many; as many as there are takes minutes.

use crate::common::child;
use crate::common::counter::{Place, blocking, counting, counts, create};
use crate::example::example;
use crate::operations::{Notes, OPERATIONS};
use sampan_config::Arch;
use sampan_library::Unsaved;
use sampan_library::fs::Fs;
use sampan_session::Command;
use sampan_session::images::QemuBlockLayer;
use sampan_session::vm::RunOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

/// How many kills an ordinary run of the tests makes.
const KILLS: usize = 12;

async fn in_a_process(operation: &str, at: usize, folder: &Path) -> std::process::ExitStatus {
    let mut command = std::process::Command::new(example("interrupted_operation"));
    command.arg(operation).arg(at.to_string()).arg(folder).stdout(Stdio::null());
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
