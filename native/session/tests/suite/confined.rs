//! What the QEMU of a machine of the library reaches while it runs, tried by its own monitor: as somebody who has taken it over
//! would, but only with what QEMU offers. What such a one tries with system calls of his own is in `sampan-emulator`'s tests of the sandbox.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use crate::common::child;
use crate::common::counter::{Place, blocking, counting, create, named};
use sampan_config::Arch;
use sampan_library::fs::Fs;
use sampan_session::ProgressFn;
use sampan_session::images::QemuBlockLayer;
use sampan_session::vm::{RunOptions, Vm};
use std::path::{Path, PathBuf};

/// A machine in a library; none where the kernel keeps QEMU from no file.
async fn place(home: &Path) -> Option<Place> {
    if sampan_emulator::sandbox::report().landlock == 0 {
        eprintln!("this kernel has no Landlock: nothing keeps QEMU from other files here");
        return None;
    }
    let root = home.join("library");
    let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
    create(&root, &images).await;
    Some(Place::new(&root, Fs::default(), &images, child()))
}

/// What QEMU says when it is to write 16 bytes of the guest's memory into a file.
async fn write(vm: &Vm, file: &Path) -> String {
    vm.session().human(&format!("pmemsave 0 16 \"{}\"", file.display())).await.expect("an answer")
}

/// What QEMU says when it is to read a file.
async fn read(vm: &Vm, file: &Path, id: &str) -> String {
    let line = format!("object_add secret,id={id},format=raw,file={}", file.display());
    vm.session().human(&line).await.expect("an answer")
}

/// Whether a file is the base of a snapshot, by what the machine's drive reads from.
fn bases(place: &Place) -> Vec<PathBuf> {
    let entry = place.library.find(crate::common::counter::NAME).and_then(|id| place.library.read(id));
    let manifest = entry.expect("is there");
    let current: Vec<_> = manifest.manifest().drives.values().cloned().collect();
    let below = manifest.manifest().images.keys().filter(|image| !current.contains(image));
    below.map(|image| manifest.image_path(image)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_machine_writes_its_images_and_makes_no_file() {
    let home = tempfile::tempdir().unwrap();
    let Some(place) = place(home.path()).await else { return };
    {
        let (mut locked, images) = (place.lock().await, place.images.clone());
        blocking(move || locked.take_snapshot(&images, &named("before"))).await.expect("taken");
    }
    let secret = home.path().join("secret");
    std::fs::write(&secret, "of the host").unwrap();
    let vm = place.start(RunOptions::default()).await.expect("starts");
    counting(vm.session(), 2).await;

    let bundle = vm.folder().to_owned();
    let disks = bundle.join("disks");
    let bases = bases(&place);
    assert!(!bases.is_empty(), "a snapshot has an image of its own");
    let before: Vec<_> = bases.iter().map(|base| std::fs::read(base).unwrap()).collect();
    // A folder of its own to be taken for garbage, a link to lead elsewhere, a manifest: it makes and changes none of them.
    let mut refused =
        vec![disks.join("new"), bundle.join("manifest.json"), bundle.join("host.json"), secret.clone()];
    refused.extend(bases.iter().cloned());
    for file in &refused {
        let said = write(&vm, file).await;
        assert!(said.contains("ermission denied"), "{}: {said:?}", file.display());
    }
    for (number, file) in [&secret, &bundle.join("manifest.json"), &bases[0]].into_iter().enumerate() {
        let said = read(&vm, file, &format!("s{number}")).await;
        // A base is read as a disk, and by nobody as words; what counts is whether it could be opened.
        let opened = !said.contains("ermission denied");
        assert_eq!(opened, file == &bases[0], "{}: {said:?}", file.display());
    }
    assert!(!disks.join("new").exists());
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "of the host");
    for (base, before) in bases.iter().zip(before) {
        assert!(std::fs::read(base).unwrap() == before, "{} has changed", base.display());
    }

    // What it is given as descriptors it can use all the same: a snapshot of the running machine, twice.
    for name in ["while it runs", "and again"] {
        vm.snapshot(named(name), true, &ProgressFn::none()).await.expect("taken");
        counting(vm.session(), 2).await;
    }
    for entry in std::fs::read_dir(&disks).unwrap() {
        use std::os::unix::fs::MetadataExt;
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o7777, 0o600, "{}", entry.path().display());
    }
    let file = disks.join("later");
    assert!(write(&vm, &file).await.contains("ermission denied"));
    vm.session().execute(sampan_session::Command::Quit).await.expect("quits");
    vm.finish().await;
}

/// A run that leaves no trace writes its overlays, not the machine's images.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_leaves_no_trace_cannot_write_the_machines_images() {
    let home = tempfile::tempdir().unwrap();
    let Some(place) = place(home.path()).await else { return };
    let vm = place.start(RunOptions { throw_away: true, ..RunOptions::default() }).await.expect("starts");
    counting(vm.session(), 2).await;
    let bundle =
        place.library.find(crate::common::counter::NAME).and_then(|id| place.library.read(id)).unwrap();
    let own: Vec<PathBuf> = bundle.manifest().drives.values().map(|image| bundle.image_path(image)).collect();
    assert!(!own.is_empty());
    for image in own {
        let said = write(&vm, &image).await;
        assert!(said.contains("ermission denied"), "{}: {said:?}", image.display());
    }
    vm.session().execute(sampan_session::Command::Quit).await.expect("quits");
    vm.finish().await;
}
