//! Machines in a library: names, locks, the trash, and broken ones among them.

use crate::common::document;
use sampan_library::{Error, Library};
use std::fs;
use std::os::unix::fs::symlink;

fn library() -> (tempfile::TempDir, Library) {
    let home = tempfile::tempdir().expect("a folder");
    let library = Library::open(home.path().join("deep/home")).expect("a library");
    (home, library)
}

#[test]
fn a_machine_is_found_by_name_id_and_the_beginning_of_its_id() {
    let (_home, library) = library();
    let id = library.create("Debian 13", &document("a"), 1).expect("made").id();
    let text = id.to_string();
    for what in ["Debian 13", "debian 13", &text, &text[..6], &text.to_uppercase()] {
        assert_eq!(library.find(what).expect(what), id);
    }
    assert!(matches!(library.find(&text[..3]), Err(Error::NotFound(_))), "three characters are too few");
    assert!(matches!(library.find("Debian"), Err(Error::NotFound(_))), "names are not prefixes");
    assert!(matches!(library.create("DEBIAN 13", &document("b"), 2), Err(Error::NameTaken(_))));
}

#[test]
fn the_document_is_replaced_whole_and_the_old_one_goes() {
    let (_home, library) = library();
    let mut machine = library.create("a", &document("one"), 1).expect("made");
    let two = [("other.toml".to_owned(), "x = 1\n".to_owned())].into();
    machine.set_document(&two).expect("set");
    assert_eq!(machine.document().expect("read"), two);
    assert_eq!(fs::read_dir(machine.path().join("document")).expect("a folder").count(), 1);
    let bad = [("../evil".to_owned(), String::new())].into();
    assert!(machine.set_document(&bad).is_err());
    assert_eq!(library.read(machine.id()).expect("read").document().expect("read"), two);
}

#[test]
fn one_holder_at_a_time_and_the_error_names_it() {
    let (_home, library) = library();
    let machine = library.create("mine", &document("a"), 1).expect("made");
    let id = machine.id();
    machine.note_run();
    match library.lock(id) {
        Err(Error::InUse { name, pid, since, runs: true }) => {
            assert_eq!((name.as_str(), pid), ("mine", Some(std::process::id())));
            assert!(since > 1_700_000_000);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(library.delete(id, 2), Err(Error::InUse { .. })));
    assert_eq!(library.read(id).expect("reading needs no lock").name(), "mine");
    drop(machine);
    library.lock(id).expect("free again");
}

#[test]
fn a_holder_that_only_passes_by_makes_nobody_fail() {
    let (_home, library) = library();
    let machine = library.create("mine", &document("a"), 1).expect("made");
    let id = machine.id();
    assert!(
        matches!(library.try_lock(id), Err(Error::InUse { runs: false, .. })),
        "who can do without it is told"
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| library.lock(id).map(|_| ()));
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!waiting.is_finished(), "it waits");
        drop(machine);
        waiting.join().expect("no panic").expect("has it then");
    });
    // Whoever ran it last is gone: that it ran says nothing of the next holder.
    library.lock(id).expect("free").note_run();
    let looking = library.lock(id).expect("free again");
    assert!(matches!(library.try_lock(id), Err(Error::InUse { runs: false, .. })));
    drop(looking);
}

#[test]
fn a_broken_machine_hides_no_other_and_can_be_deleted() {
    let (_home, library) = library();
    let good = library.create("good", &document("a"), 1).expect("made").id();
    let bad = library.create("bad", &document("a"), 1).expect("made").id();
    let manifest = library.home().join("vms").join(bad.folder()).join("manifest.json");
    fs::write(&manifest, b"{\"version\": 1, \"id\": 7").expect("written");
    let list = library.list().expect("a list");
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].id, good);
    assert!(matches!(&list[1].bundle, Err(Error::Damaged { .. })));
    assert!(library.lock(bad).is_err());
    library.delete(good, 5).expect("the broken one is not in its way");
    library.delete(bad, 6).expect("deleted");
    let (removed, failed) = library.empty_trash().expect("emptied");
    assert_eq!((removed, failed.len()), (2, 0));
    assert!(library.trash().expect("a list").is_empty());
    fs::write(&manifest, b"").expect_err("it is gone");
}

#[test]
fn a_later_version_is_named_and_not_touched() {
    let (_home, library) = library();
    let id = library.create("new", &document("a"), 1).expect("made").id();
    let manifest = library.home().join("vms").join(id.folder()).join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("text").replace("\"version\": 1", "\"version\": 9");
    fs::write(&manifest, &text).expect("written");
    assert!(matches!(library.lock(id), Err(Error::TooNew { found: 9, known: 1, .. })));
    assert_eq!(fs::read_to_string(&manifest).expect("text"), text);
}

#[test]
fn links_in_a_bundle_are_refused() {
    let (home, library) = library();
    let id = library.create("a", &document("a"), 1).expect("made").id();
    let bundle = library.home().join("vms").join(id.folder());
    let secret = home.path().join("secret");
    fs::create_dir(&secret).expect("made");
    fs::rename(bundle.join("disks"), home.path().join("disks")).expect("moved");
    symlink(&secret, bundle.join("disks")).expect("linked");
    assert!(matches!(library.lock(id), Err(Error::NotAFile(_))));
    fs::remove_file(bundle.join("disks")).expect("removed");
    fs::rename(bundle.join("manifest.json"), home.path().join("m")).expect("moved");
    symlink(home.path().join("m"), bundle.join("manifest.json")).expect("linked");
    assert!(matches!(library.lock(id), Err(Error::NotAFile(_))));
}

#[test]
fn removing_a_bundle_follows_no_link() {
    let (home, library) = library();
    let id = library.create("a", &document("a"), 1).expect("made").id();
    let kept = home.path().join("kept");
    fs::create_dir(&kept).expect("made");
    fs::write(kept.join("file"), b"x").expect("written");
    symlink(&kept, library.home().join("vms").join(id.folder()).join("link")).expect("linked");
    library.delete(id, 1).expect("deleted");
    library.purge(id).expect("purged");
    assert!(kept.join("file").exists());
}

#[test]
fn what_is_deleted_comes_back_under_its_name_or_another() {
    let (_home, library) = library();
    let first = library.create("a", &document("first"), 1).expect("made").id();
    library.delete(first, 10).expect("deleted");
    assert!(library.list().expect("a list").is_empty());
    assert_eq!(
        library.trash().expect("a list")[0].bundle.as_ref().expect("sound").manifest().trashed,
        Some(10)
    );
    library.create("a", &document("second"), 1).expect("the name is free");
    assert!(matches!(library.undelete(first, None), Err(Error::NameTaken(_))));
    let back = library.undelete(first, Some("b")).expect("back");
    assert_eq!((back.name(), back.manifest().trashed), ("b", None));
    assert_eq!(back.document().expect("read"), document("first"));
}

#[test]
fn a_bundle_copied_by_hand_is_not_taken_for_another_machine() {
    let (_home, library) = library();
    let id = library.create("a", &document("a"), 1).expect("made").id();
    let copy = sampan_library::VmId::random();
    let vms = library.home().join("vms");
    fs::create_dir(vms.join(copy.folder())).expect("made");
    fs::copy(vms.join(id.folder()).join("manifest.json"), vms.join(copy.folder()).join("manifest.json"))
        .expect("copied");
    assert!(library.lock(copy).expect_err("refused").to_string().contains("clone"));
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing() {
    let (_home, library) = library();
    drop(library.draft("a", &document("a"), 1).expect("made"));
    assert_eq!(fs::read_dir(library.home().join("vms")).expect("a folder").count(), 0);
}

#[test]
fn of_many_that_make_a_machine_of_one_name_at_once_one_succeeds() {
    let (_home, library) = library();
    let made: Vec<bool> = std::thread::scope(|scope| {
        let make = || library.create("same", &document("a"), 1).map(drop);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads
            .into_iter()
            .map(|t| match t.join().expect("no panic") {
                Ok(()) => true,
                Err(Error::NameTaken(_)) => false,
                Err(other) => panic!("{other}"),
            })
            .collect()
    });
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    assert_eq!(fs::read_dir(library.home().join("vms")).expect("a folder").count(), 1);
}

#[test]
fn a_machine_stays_locked_as_long_as_a_child_has_its_lock() {
    let (_home, library) = library();
    let id = library.create("a", &document("a"), 1).expect("made").id();
    let status =
        std::process::Command::new(crate::example::example("killed_supervisor")).arg(library.home()).status();
    let status = status.expect("it runs");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    let pid = fs::read_to_string(library.home().join("pid")).expect("a child").parse().expect("a number");
    assert!(matches!(library.lock(id), Err(Error::InUse { .. })), "its holder is dead, the child is not");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    for _ in 0..1000 {
        match library.lock(id) {
            Ok(_) => return,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    }
    panic!("the lock outlived everybody");
}
