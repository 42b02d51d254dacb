//! What is changed of a machine while it runs: its snapshots, its name, its settings, its CD.

use crate::common::counter::{NAME, Place, blocking, counting, counts, create, named};
use crate::common::logs::Kept;
use crate::common::{child, state, until};
use sampan_config::{Arch, ClipboardPolicy, Section, VmConfig};
use sampan_library::fs::Fs;
use sampan_library::{Bundle, DriveId, IfNoReflink, Library, SnapshotId, Target};
use sampan_message::Coded;
use sampan_session::images::QemuBlockLayer;
use sampan_session::vdagent::{ClipboardError, Content, Kind};
use sampan_session::vm::{Applied, RunOptions, UEFI_VARIABLES, Vm, VmError};
use sampan_session::{ClipboardStatus, Command, CommandError, ProgressFn, State};
use std::ops::ControlFlow::Continue;
use std::path::Path;
use std::sync::Arc;

struct Machine {
    folder: tempfile::TempDir,
    place: Place,
}

async fn machine() -> Machine {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("library");
    let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
    create(&home, &images).await;
    let place = Place::new(&home, Fs::default(), &images, child());
    Machine { folder, place }
}

async fn started(machine: &Machine) -> Vm {
    let vm = machine.place.start(RunOptions::default()).await.expect("starts");
    counting(vm.session(), 2).await;
    vm
}

async fn ended(vm: Vm) {
    vm.session().execute(Command::Quit).await.expect("quits");
    vm.finish().await;
}

/// The bundle as it is on the disk.
fn bundle(library: &Library, name: &str) -> Bundle {
    library.read(library.find(name).expect("is there")).expect("is read")
}

fn document(library: &Library) -> VmConfig {
    VmConfig::from_files(&bundle(library, NAME).document().expect("a document")).expect("is one")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_renamed_described_and_deleted_while_it_runs() {
    let machine = machine().await;
    let library = &machine.place.library;
    let vm = started(&machine).await;
    let none = ProgressFn::none();
    let first = vm.snapshot(named("first"), false, &none).await.expect("is taken");
    counting(vm.session(), 2).await;
    let second = vm.snapshot(named("second"), true, &none).await.expect("is taken");
    counting(vm.session(), 2).await;
    vm.rename_snapshot(second.clone(), "renamed".into()).await.expect("is renamed");
    vm.note_snapshot(second.clone(), "a note".into()).await.expect("is described");
    let manifest = bundle(library, NAME).manifest().clone();
    let snapshot = &manifest.snapshots[&second];
    assert_eq!((snapshot.name.as_str(), snapshot.note.as_str()), ("renamed", "a note"));
    assert_eq!(snapshot.parent.as_ref(), Some(&first));
    vm.delete_snapshot(first.clone()).await.expect("is deleted");
    let manifest = bundle(library, NAME).manifest().clone();
    assert_eq!(manifest.snapshots.keys().collect::<Vec<&SnapshotId>>(), [&second]);
    assert_eq!(std::fs::read_dir(vm.folder().join("state")).expect("a folder").count(), 0, "its memory");
    for error in [
        vm.delete_snapshot(first.clone()).await.expect_err("is gone"),
        vm.note_snapshot(first.clone(), String::new()).await.expect_err("is gone"),
        vm.rename_snapshot(first, "x".into()).await.expect_err("is gone"),
    ] {
        assert!(matches!(error, VmError::Library(sampan_library::Error::NoSnapshot(_))), "{error}");
    }
    // All that the guest has written is there, through what is left of the chain.
    let last = counting(vm.session(), 2).await;
    vm.snapshot(named("third"), true, &none).await.expect("is taken");
    ended(vm).await;
    let vm = started(&machine).await;
    assert!(counts(vm.session())[0] > last);
    ended(vm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_uefi_has_kept_is_snapshotted_while_the_machine_starts_without_uefi() {
    let machine = machine().await;
    let place = &machine.place;
    let (library, images) = (place.library.clone(), place.images.clone());
    let variables: DriveId = UEFI_VARIABLES.parse().expect("an id");
    let drive = variables.clone();
    blocking(move || {
        let mut locked = library.lock(library.find(NAME).expect("is there")).expect("is locked");
        locked.create_drive(&images, &drive, 1 << 20, Target::default()).expect("is made");
    })
    .await;
    let vm = started(&machine).await;
    let id = vm.snapshot(named("first"), false, &ProgressFn::none()).await.expect("is taken");
    counting(vm.session(), 2).await;
    ended(vm).await;
    let manifest = bundle(&place.library, NAME).manifest().clone();
    let snapshot = &manifest.snapshots[&id];
    assert!(snapshot.drives.contains_key(&variables), "{:?}", snapshot.drives);
    assert_ne!(snapshot.drives[&variables], manifest.drives[&variables], "what comes later is not in it");
    ended(started(&machine).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_wait_for_the_next_start_and_saved_memory_for_those_it_had() {
    let machine = machine().await;
    let library = &machine.place.library;
    let vm = started(&machine).await;
    let memory = vm.document().memory.mib;
    let mut edited = vm.next_document();
    edited.memory.mib = memory * 2;
    edited.system.notes = "mine".into();
    edited.system.name = "not by this way".into();
    let applied = vm.change_settings(edited).await.expect("is taken");
    assert_eq!((applied.now, applied.next_start), (vec![Section::System], vec![Section::Memory]));
    assert_eq!((vm.document().memory.mib, vm.next_document().memory.mib), (memory, memory * 2));
    assert_eq!(vm.document().system.notes, "mine");
    let kept = document(library);
    assert_eq!((kept.memory.mib, kept.system.name.as_str()), (memory * 2, NAME));

    // What cannot be, or is not there, changes nothing.
    let mut bad = vm.next_document();
    bad.memory.mib = 0;
    let error = vm.change_settings(bad).await.expect_err("is refused");
    assert_eq!(error.code(), "document_fault", "{error}");
    let mut bad = vm.next_document();
    bad.drives.drives.push(sampan_config::DriveSection::disk("disk7", sampan_config::Bus::Sata, None));
    let error = vm.change_settings(bad).await.expect_err("is refused");
    assert!(matches!(&error, VmError::NoImage(drive) if drive == "disk7"), "{error}");
    let mut bad = vm.next_document();
    bad.drives.drives[0].media = Some("nowhere.iso".into());
    vm.change_settings(bad).await.expect_err("there is no such medium");
    assert_eq!(document(library), kept);

    // What changes while it runs does so in both.
    vm.set_mode(sampan_config::Mode::Saver).await.expect("is changed");
    let (running, next) = (vm.document(), vm.next_document());
    assert_eq!(
        (running.performance.mode, next.performance.mode),
        (sampan_config::Mode::Saver, running.performance.mode)
    );
    assert_eq!((running.memory.mib, next.memory.mib), (memory, memory * 2));

    // Memory goes back to the machine that it was saved from, and the settings still wait.
    let none = ProgressFn::none();
    let snapshot = vm.snapshot(named("small"), false, &none).await.expect("is taken");
    let last = counting(vm.session(), 1).await;
    vm.suspend(2, &none).await.expect("is suspended");
    vm.finish().await;
    drop(vm);
    let vm = started(&machine).await;
    assert!(counts(vm.session())[0] > last, "it went on");
    assert_eq!((vm.document().memory.mib, vm.next_document().memory.mib), (memory, memory * 2));
    vm.suspend(3, &none).await.expect("is suspended once more");
    vm.finish().await;
    drop(vm);
    let vm = started(&machine).await;
    ended(vm).await;
    let vm = started(&machine).await;
    assert_eq!(vm.document().memory.mib, memory * 2, "it was started anew");
    ended(vm).await;

    let mut locked = machine.place.lock().await;
    let layer = machine.place.images.clone();
    blocking(move || locked.restore(&layer, &snapshot, sampan_library::Unsaved::Discard))
        .await
        .expect("is restored");
    let vm = started(&machine).await;
    assert_eq!(vm.document().memory.mib, memory);
    ended(vm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_renamed_while_it_runs() {
    let machine = machine().await;
    let library = &machine.place.library;
    let vm = started(&machine).await;
    for bad in ["", "a/b", "x\u{7}"] {
        vm.rename(bad).await.expect_err("is no name");
    }
    vm.rename("other").await.expect("is renamed");
    assert_eq!(vm.document().system.name, "other");
    assert_eq!(bundle(library, "other").name(), "other");
    assert!(library.find(NAME).is_err());
    vm.rename(NAME).await.expect("is renamed back");
    ended(vm).await;
}

fn add_medium(library: &Library, folder: &Path, name: &str, fill: u8) {
    let file = folder.join(name);
    std::fs::write(&file, vec![fill; 1 << 20]).expect("a file");
    library.add_medium(&file, name, IfNoReflink::Copy, &mut |_| Continue(())).expect("is taken");
}

/// Which of the media QEMU has open: its process, as `/proc` tells.
fn open_media(vm: &Vm) -> Vec<String> {
    let pid = vm.session().pid().expect("a process of its own");
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files").flatten();
    let files = open.flat_map(|fd| std::fs::read_link(fd.path()));
    let media = files.filter(|file| file.parent().is_some_and(|folder| folder.ends_with("media")));
    let mut names: Vec<String> =
        media.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect();
    names.sort();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cd_is_put_in_changed_and_taken_out_while_it_runs() {
    let machine = machine().await;
    let library = &machine.place.library;
    add_medium(library, machine.folder.path(), "one.iso", 0x11);
    add_medium(library, machine.folder.path(), "two.iso", 0x22);
    let vm = started(&machine).await;
    assert!(open_media(&vm).is_empty());
    for round in 0..2 {
        for name in ["one.iso", "two.iso"] {
            vm.change_medium("cd0", Some(name), false).await.expect("is put in");
            assert_eq!(open_media(&vm), [name], "round {round}");
            assert_eq!(document(library).drives.drives[0].media.as_deref(), Some(name));
            let told = vm.session().human("info block").await.expect("is told");
            assert!(told.contains("tray closed") && !told.contains("tray open"), "{told}");
        }
        vm.change_medium("cd0", None, false).await.expect("is taken out");
        assert!(open_media(&vm).is_empty(), "round {round}");
        assert_eq!(document(library).drives.drives[0].media, None);
        assert!(matches!(vm.session().drive("cd0").await, Err(CommandError::NoDrive(_))));
    }
    vm.change_medium("cd0", None, false).await.expect("an empty one may be emptied");
    for (drive, medium) in [("cd0", "nowhere.iso"), ("cd7", "one.iso"), ("disk0", "one.iso")] {
        vm.change_medium(drive, Some(medium), true).await.expect_err("is refused");
    }
    assert!(open_media(&vm).is_empty());

    // One that was there at the start goes, too, and a state goes on with what was in the drive.
    vm.change_medium("cd0", Some("one.iso"), false).await.expect("is put in");
    ended(vm).await;
    let vm = started(&machine).await;
    assert_eq!(open_media(&vm), ["one.iso"]);
    vm.change_medium("cd0", Some("two.iso"), false).await.expect("is changed");
    assert_eq!(open_media(&vm), ["two.iso"]);
    let last = counting(vm.session(), 1).await;
    vm.suspend(1, &ProgressFn::none()).await.expect("is suspended");
    vm.finish().await;
    drop(vm);
    let vm = started(&machine).await;
    assert_eq!(open_media(&vm), ["two.iso"]);
    assert!(counts(vm.session())[0] > last);
    ended(vm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_button_and_agent_are_asked_and_all_is_told_to_its_own_log() {
    let mut machine = machine().await;
    let log = Kept::new();
    machine.place.log = log.clone();
    let mut document = document(&machine.place.library);
    document.serial.agent = sampan_config::Channel::Virtio;
    let mut locked = machine.place.lock().await;
    blocking(move || locked.set_document(&document.to_files())).await.expect("is set");
    let vm = started(&machine).await;
    vm.shut_down().await.expect("is asked");
    // Nobody is in this guest.
    log.wait_for("event: the guest was asked by its power button alone").await;
    log.wait_for("event POWERDOWN").await;
    vm.session().execute(Command::Pause).await.expect("pauses");
    state(vm.session(), State::Paused).await;
    let error = vm.shut_down().await.expect_err("a paused guest hears nothing");
    assert_eq!(error.code(), "wrong_state");
    ended(vm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clipboard_that_nobody_shares_says_so_and_is_in_nobodys_way() {
    let machine = machine().await;
    let vm = started(&machine).await;
    assert_eq!(vm.clipboard().err().map(|e| e.code()), Some("no_clipboard_port"));
    assert_eq!(vm.session().status().borrow().clipboard, None);
    ended(vm).await;
    let mut document = document(&machine.place.library);
    document.serial.vdagent = true;
    let mut locked = machine.place.lock().await;
    blocking(move || locked.set_document(&document.to_files())).await.expect("is set");
    let vm = started(&machine).await;
    let refused = async |vm: &Vm| {
        let clipboard = vm.clipboard().expect("it has the port");
        let set = clipboard.set(Content::text("x").expect("a text")).await;
        assert_eq!(set, Err(ClipboardError::NoAgent));
        assert_eq!(clipboard.get(Kind::Text).await, Err(ClipboardError::NoAgent));
        assert_eq!(vm.session().status().borrow().clipboard, Some(ClipboardStatus::default()));
        let typed = vm.session().execute(Command::Type("中".into())).await;
        assert!(matches!(typed, Err(CommandError::Untypable('中'))), "{typed:?}");
    };
    refused(&vm).await;
    // The port blocks no saving of the memory.
    vm.suspend(1, &ProgressFn::none()).await.expect("is suspended");
    vm.finish().await;
    drop(vm);
    let vm = started(&machine).await;
    refused(&vm).await;
    let mut off = vm.next_document();
    off.input.clipboard = ClipboardPolicy::Off;
    let applied = vm.change_settings(off).await.expect("is changed");
    assert_eq!(applied, Applied { now: vec![Section::Input], next_start: Vec::new() });
    let set = vm.clipboard().expect("it has the port").set(Content::text("x").expect("a text")).await;
    assert_eq!(set, Err(ClipboardError::ToGuestOff));
    ended(vm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_is_paused_before_the_disk_is_full_by_itself() {
    let mut machine = machine().await;
    let log = Kept::new();
    machine.place.log = log.clone();
    let options = RunOptions { space_floor: Some(u64::MAX), ..RunOptions::default() };
    let vm = Arc::new(machine.place.start(options).await.expect("starts"));
    until(vm.session(), "a pause", |status| {
        status.state == State::Paused && status.detail.contains("before the disk is full")
    })
    .await;
    assert!(log.lines().iter().any(|line| line.contains("before the disk is full")), "{:?}", log.lines());
    // The user has been told.
    vm.session().execute(Command::Resume).await.expect("goes on");
    counting(vm.session(), 3).await;
    vm.session().execute(Command::Quit).await.expect("quits");
    vm.finish().await;
}
