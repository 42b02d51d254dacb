//! Changing the parts of machines.

use crate::common::{PATIENCE, made, manager, painting_disk, painting_machine, smallest};
use sampan_config::{Vnc, VncPassword};
use sampan_control::{Reply, Reporter, Request};
use sampan_library::SourceFormat;
use sampan_manager::create::NewDisk;
use sampan_manager::edit::{Change, NewShare, NewSize};
use sampan_manager::run::StartOptions;
use sampan_manager::{Confirmed, Manager};
use sampan_message::Coded;

const MIB: u64 = 1 << 20;
const NOTHING: &Confirmed = &Confirmed::Nothing;

fn change(field: &str, value: &str) -> Vec<Change> {
    vec![Change { field: field.into(), value: value.into() }]
}

fn small() -> NewDisk {
    NewDisk::New { size: Some(4 * MIB), fixed: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_come_grow_go_and_come_back() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = made(&manager, smallest("one", small())).await;
    let reporter = Reporter::new();
    let sizes = async |manager: &Manager| {
        let disks = manager.disks(id).await.expect("is told");
        let size =
            |drive: &str| disks.drives.iter().find(|disk| disk.drive.as_str() == drive).and_then(|d| d.size);
        (size("disk0"), size("disk1"), disks.removed.len())
    };
    let second = manager.add_disk(id, 2 * MIB, false, NOTHING, &reporter).await.expect("is made");
    assert_eq!(sizes(&manager).await, (Some(4 * MIB), Some(2 * MIB), 0));
    let grown = manager.grow_disk(id, &second, NewSize::By(MIB + 1), NOTHING, &reporter).await;
    assert_eq!(grown.expect("grows"), 3 * MIB + 512, "in whole sectors");
    let shrunk = manager.grow_disk(id, &second, NewSize::To(MIB), NOTHING, &reporter).await;
    assert!(shrunk.is_err(), "nothing of a disk is cut off");
    let much = manager.grow_disk(id, &second, NewSize::By(u64::MAX), NOTHING, &reporter).await;
    assert_eq!(much.expect_err("is too much").code(), "disk_overflow");

    manager.remove_disk(id, second.clone(), false).await.expect("is taken off");
    assert_eq!(sizes(&manager).await, (Some(4 * MIB), None, 1));
    let again = manager.remove_disk(id, second.clone(), false).await.expect_err("is gone");
    assert_eq!(again.code(), "no_drive");
    let cd = manager.remove_disk(id, "cd0".parse().expect("a name"), false).await;
    assert_eq!(cd.expect_err("is none").code(), "cd_drive");
    // Another one has its name meanwhile.
    manager.add_disk(id, MIB, false, NOTHING, &reporter).await.expect("is made");
    let back = manager.restore_disk(id, second.clone()).await.expect("comes back");
    assert_eq!(back.as_str(), "disk2");
    manager.remove_disk(id, back, true).await.expect("is purged");
    assert_eq!(sizes(&manager).await, (Some(4 * MIB), Some(MIB), 0));

    let (imported, notes) = manager
        .import_disk(id, painting_disk(home.path()), Some(SourceFormat::Raw), NOTHING, &reporter)
        .await
        .expect("is brought in");
    assert!(imported.as_str() == "disk2" && notes.is_empty(), "{notes:?}");
    let (_, done) = manager.compact_disks(id, None, &reporter).await.expect("is compacted");
    assert_eq!(done.len(), 3);
    let text = home.path().join("notes.txt");
    std::fs::write(&text, "notes").expect("writes");
    let refused = manager.import_disk(id, text, None, NOTHING, &reporter).await.expect_err("is no disk");
    assert_eq!(refused.code(), "not_a_disk");
    assert_eq!(manager.disks(id).await.expect("is told").drives.len(), 3, "nothing is left of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_are_shared_when_they_give_nothing_else_away() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(&home.path().join("library"));
    let id = made(&manager, smallest("one", NewDisk::None)).await;
    let files = home.path().join("Ada's files");
    std::fs::create_dir(&files).expect("a folder");
    let share = |folder: &std::path::Path| NewShare {
        folder: folder.to_owned(),
        tag: None,
        writable: false,
        security: None,
    };
    let info = manager.add_share(id, share(&files), NOTHING).await.expect("is shared");
    assert_eq!((info.share.tag.as_str(), info.share.read_only), ("ada_s_files", true));
    assert!(info.mount().contains("ada_s_files"));
    let twice = manager.add_share(id, share(&files), NOTHING).await.expect_err("has the tag");
    assert_eq!(twice.code(), "share_tag_taken");
    let all = manager.add_share(id, share(home.path()), NOTHING).await.expect_err("has the library in it");
    assert_eq!(all.code(), "needs_confirm");
    let nothing = manager.add_share(id, share(&files.join("none")), NOTHING).await.expect_err("is not there");
    assert_eq!(nothing.code(), "io");
    assert_eq!(manager.shares(id).await.expect("is told").len(), 1);
    manager.remove_share(id, "ada_s_files".into()).await.expect("is shared no more");
    assert_eq!(manager.remove_share(id, "x".into()).await.expect_err("is none").code(), "no_share");
    assert!(manager.shares(id).await.expect("is told").is_empty());
    assert!(manager.bundle(id).await.expect("is read").host().expect("is read").shares.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vnc_has_a_password_or_nobody_gets_in() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = made(&manager, smallest("one", NewDisk::None)).await;
    assert_eq!(manager.vnc(id).await.expect("is told"), None);
    let vnc = Vnc { address: "127.0.0.1".parse().expect("an address"), port: 5951 };
    let made_up = manager.enable_vnc(id, vnc, None).await.expect("is on").expect("a password");
    assert_eq!(made_up.len(), 8);
    assert!(manager.vnc(id).await.expect("is told").expect("is on").has_password);
    assert_eq!(manager.enable_vnc(id, vnc, None).await.expect("is on"), None, "the one from before counts");
    let own = VncPassword::new("secret").expect("a password");
    assert_eq!(manager.enable_vnc(id, vnc, Some(own.clone())).await.expect("is on"), None);
    assert!(!manager.set_vnc_password(id, &own).await.expect("is kept"), "it does not run");
    manager.disable_vnc(id).await.expect("is off");
    let bundle = manager.bundle(id).await.expect("is read");
    assert_eq!(bundle.host().expect("is read").vnc_password, None, "the password is forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_change_and_a_running_machine_says_when() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = painting_machine(&manager, "one", false).await;
    let unknown = manager.change(id, change("displays.devise", "std")).await.expect_err("is none");
    assert_eq!(unknown.code(), "bad_field");
    let two = [change("memory.mib", "96"), change("memory.mib", "0")].concat();
    assert!(manager.change(id, two).await.is_err());
    let document = manager.machine(id).await.expect("a handle").document().expect("is read");
    assert_eq!(document.memory.mib, 64, "all of them or none");
    let huge = manager.check_changes(id, change("memory.mib", "1048576")).await.expect("is looked at");
    assert!(
        huge.iter().any(|finding| finding.message.code == "no_memory" && finding.fix.is_some()),
        "{huge:?}"
    );
    let changed = manager.change(id, change("name", "two")).await.expect("is renamed");
    assert!(changed.warnings.is_empty(), "{changed:?}");

    let medium = home.path().join("empty.iso");
    std::fs::write(&medium, vec![0; 64 << 10]).expect("writes");
    let reporter = Reporter::new();
    let doubt = manager.add_medium(medium.clone(), None, NOTHING, &reporter).await.expect_err("is no CD");
    assert_eq!(doubt.code(), "needs_confirm");
    manager.add_medium(medium, None, &Confirmed::Everything, &reporter).await.expect("is taken in");

    let start = StartOptions { throw_away: false, discard_state: false, in_process: true };
    manager.start(id, start, None, &|_| {}).await.expect("starts");
    let both = [change("cdrom", "empty.iso"), change("memory.mib", "128"), change("name", "three")].concat();
    let changed = manager.change(id, both).await.expect("is changed while it runs");
    assert_eq!(changed.next_start, ["memory"]);
    let machine = manager.machine(id).await.expect("a handle");
    assert_eq!((machine.name(), machine.document().expect("is read").memory.mib), ("three", 128));
    let media = manager.media().await.expect("is told");
    assert_eq!(media[0].used_by, ["three"]);
    assert_eq!(manager.remove_medium("empty.iso").await.expect_err("is used").code(), "medium_in_use");
    let held = manager.add_disk(id, MIB, false, NOTHING, &reporter).await.expect_err("runs");
    assert_eq!(held.code(), "in_use");
    manager.change(id, change("cdrom", "null")).await.expect("is taken out");
    manager.force_off(id).await.expect("ends");
    manager.remove_medium("empty.iso").await.expect("is removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_back_keeps_what_changed_or_says_that_it_may_go() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let id = made(&manager, smallest("one", small())).await;
    let reporter = Reporter::new();
    let machine = manager.machine(id).await.expect("a handle");
    let snapshot = Request::Snapshot { name: "first".into(), note: String::new(), disks_only: false };
    let Reply::Snapshot { id: first } = machine.call(snapshot, &reporter).await.expect("is taken") else {
        panic!("another answer");
    };
    let first: sampan_library::SnapshotId = first.parse().expect("an id");
    let lost = manager.restore_snapshot(id, first.clone(), None, NOTHING, &reporter).await;
    assert_eq!(lost.expect_err("wants a yes").code(), "needs_confirm");
    let kept = manager.restore_snapshot(id, first.clone(), Some("second".into()), NOTHING, &reporter).await;
    assert!(!kept.expect("goes back"), "there was no memory");
    let bundle = manager.bundle(id).await.expect("is read");
    let second = bundle.find_snapshot("second").expect("is kept");
    assert_eq!(bundle.manifest().snapshots[&second].note, "Kept before going back to first.");
    manager.restore_snapshot(id, second, None, &Confirmed::Everything, &reporter).await.expect("goes on");
    assert_eq!(manager.list(PATIENCE).await.expect("is listed").len(), 1);
}
