//! The tree of snapshots, by QEMU's real block layer: what a guest would read after each step.

use crate::common::{QemuImg, document};
use sampan_library::fs::{Fs, Hook, Step};
use sampan_library::{DriveId, Error, Library, Locked, NewSnapshot, SnapshotId, Target, Unsaved};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;

const SIZE: u64 = 2 << 20;

struct Bench {
    _home: TempDir,
    library: Library,
    machine: Option<Locked>,
    qemu: QemuImg,
    root: DriveId,
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let library = Library::open(home.path()).expect("a library");
        let mut machine = library.create("a", &document("a"), 1).expect("made");
        let (qemu, root) = (QemuImg::find(), "root".parse().expect("an id"));
        machine.create_drive(&qemu, &root, SIZE, Target::default()).expect("made");
        Self { _home: home, library, machine: Some(machine), qemu, root }
    }

    fn m(&mut self) -> &mut Locked {
        self.machine.as_mut().expect("held")
    }

    /// The guest writes a byte everywhere in the first half.
    fn guest_writes(&mut self, pattern: u8) {
        let chain = self.chain();
        self.qemu.write(&chain, 0, pattern, SIZE as usize / 2);
    }

    fn chain(&mut self) -> Vec<sampan_library::Layer> {
        let root = self.root.clone();
        self.m().chain(&root).expect("a chain")
    }

    /// What the guest reads, one byte for all.
    fn guest_reads(&mut self) -> u8 {
        let chain = self.chain();
        chain.iter().for_each(|l| self.qemu.check(l));
        self.m().open_drives().expect("sound");
        let content = self.qemu.content(&chain);
        assert!(content[..SIZE as usize / 2].iter().all(|b| *b == content[0]));
        content[0]
    }

    fn take(&mut self, name: &str) -> SnapshotId {
        let new = NewSnapshot { name: name.into(), time: 7, ..NewSnapshot::default() };
        let Self { machine, qemu, .. } = self;
        machine.as_mut().expect("held").take_snapshot(qemu, &new).expect("taken")
    }

    fn restore(&mut self, id: &SnapshotId) {
        let Self { machine, qemu, .. } = self;
        machine.as_mut().expect("held").restore(qemu, id, Unsaved::Discard).expect("restored");
    }

    fn reclaim(&mut self) -> usize {
        let Self { machine, qemu, .. } = self;
        machine.as_mut().expect("held").reclaim(qemu, &mut |_| ControlFlow::Continue(())).expect("reclaimed")
    }

    fn files(&mut self) -> usize {
        std::fs::read_dir(self.m().disks_folder()).expect("a folder").count()
    }

    /// As after a crash: the lock is gone, and the next holder takes over.
    fn reopen(&mut self) {
        let id = self.m().id();
        self.machine = None;
        self.machine = Some(self.library.lock(id).expect("again"));
    }

    fn sizes(&self) -> BTreeMap<DriveId, u64> {
        BTreeMap::from([(self.root.clone(), SIZE)])
    }

    fn begin(&mut self, memory: bool) -> sampan_library::Planned {
        let sizes = self.sizes();
        let new = NewSnapshot { name: "live".into(), time: 9, ..NewSnapshot::default() };
        let Self { machine, qemu, .. } = self;
        machine.as_mut().expect("held").begin_snapshot(qemu, &new, &sizes, memory).expect("begun")
    }
}

#[test]
fn each_snapshot_reads_as_it_was_and_the_tree_branches() {
    let mut b = Bench::new();
    b.guest_writes(1);
    let one = b.take("one");
    b.guest_writes(2);
    let two = b.take("two");
    b.guest_writes(3);
    b.m().set_document(&document("later")).expect("set");
    b.restore(&one);
    assert_eq!(b.guest_reads(), 1);
    assert_eq!(b.m().document().expect("read"), document("a"), "the document belongs to the state");
    b.guest_writes(4);
    let four = b.take("four");
    b.restore(&two);
    assert_eq!(b.guest_reads(), 2);
    b.restore(&four);
    assert_eq!(b.guest_reads(), 4);
    let snapshots = &b.m().manifest().snapshots;
    assert_eq!(snapshots[&two].parent, Some(one.clone()));
    assert_eq!(snapshots[&four].parent, Some(one.clone()));
    assert_eq!(b.m().manifest().parent, Some(four.clone()));
    b.reopen();
    assert_eq!(b.guest_reads(), 4);
    assert_eq!(b.m().find_snapshot("two").expect("found"), two);
}

#[test]
fn deleting_in_the_middle_changes_no_other_state() {
    let mut b = Bench::new();
    b.guest_writes(1);
    let one = b.take("one");
    b.guest_writes(2);
    let two = b.take("two");
    b.guest_writes(3);
    let three = b.take("three");
    b.guest_writes(4);
    b.m().delete_snapshot(&two).expect("deleted");
    assert_eq!(b.m().manifest().snapshots[&three].parent, Some(one.clone()));
    assert_eq!(b.files(), 4, "three is built on two's image");
    assert!(b.m().reclaimable().expect("asked") > 0);
    assert_eq!(b.reclaim(), 1, "upwards: three is named by the current overlay");
    assert_eq!(b.files(), 3);
    assert_eq!(b.guest_reads(), 4);
    b.restore(&three);
    assert_eq!(b.guest_reads(), 3);
    b.guest_writes(5);
    b.m().delete_snapshot(&three).expect("deleted");
    assert_eq!(b.reclaim(), 1, "downwards: nothing is built on the current overlay");
    assert_eq!((b.guest_reads(), b.files()), (5, 2));
    b.restore(&one);
    assert_eq!(b.guest_reads(), 1);
    b.m().delete_snapshot(&one).expect("deleted");
    assert_eq!(b.reclaim(), 1);
    assert_eq!((b.guest_reads(), b.files()), (1, 1), "one image as in the beginning");
    assert!(b.m().manifest().snapshots.is_empty());
}

#[test]
fn a_leaf_takes_its_files_with_it() {
    let mut b = Bench::new();
    b.guest_writes(1);
    let one = b.take("one");
    b.guest_writes(2);
    let two = b.take("two");
    b.restore(&one);
    let before = b.files();
    b.m().delete_snapshot(&two).expect("deleted");
    assert_eq!(b.files(), before - 1);
    assert_eq!(b.guest_reads(), 1);
}

#[test]
fn an_unsaved_state_may_be_kept() {
    let mut b = Bench::new();
    b.guest_writes(1);
    let one = b.take("one");
    b.guest_writes(2);
    let kept =
        NewSnapshot { name: "kept".into(), note: "before going back".into(), ..NewSnapshot::default() };
    let Bench { machine, qemu, .. } = &mut b;
    machine.as_mut().expect("held").restore(qemu, &one, Unsaved::Keep(kept)).expect("restored");
    assert_eq!(b.guest_reads(), 1);
    let kept = b.m().find_snapshot("kept").expect("kept");
    b.restore(&kept);
    assert_eq!(b.guest_reads(), 2);
}

#[test]
fn a_picture_is_kept_and_what_is_none_is_refused() {
    let mut b = Bench::new();
    let png = b"\x89PNG\r\n\x1a\nrest".to_vec();
    let mut new = NewSnapshot { name: "x".into(), thumbnail: Some(png.clone()), ..NewSnapshot::default() };
    let Bench { machine, qemu, .. } = &mut b;
    let id = machine.as_mut().expect("held").take_snapshot(qemu, &new).expect("taken");
    new.thumbnail = Some(b"GIF89a".to_vec());
    machine.as_mut().expect("held").take_snapshot(qemu, &new).expect_err("no PNG");
    b.reopen();
    assert_eq!(b.m().thumbnail(&id).expect("read"), Some(png));
    assert_eq!(b.files(), 2, "the failed one left no overlay");
    b.m().delete_snapshot(&id).expect("deleted");
    assert_eq!(std::fs::read_dir(b.m().path().join("thumbs")).expect("a folder").count(), 0);
}

#[test]
fn growing_after_a_snapshot_leaves_the_snapshot_small() {
    let mut b = Bench::new();
    b.guest_writes(1);
    let one = b.take("one");
    let Bench { machine, qemu, root, .. } = &mut b;
    let machine = machine.as_mut().expect("held");
    machine.grow_drive(qemu, root, 2 * SIZE).expect("the overlay grows");
    assert_eq!(qemu.content(&machine.chain(root).expect("a chain")).len() as u64, 2 * SIZE);
    b.restore(&one);
    let root = b.root.clone();
    assert_eq!(b.m().drive_info(&root).expect("info").size, SIZE);
}

#[test]
fn a_running_machines_snapshot_with_memory_is_resumed_from() {
    let mut b = Bench::new();
    b.guest_writes(1);
    let planned = b.begin(true);
    assert!(matches!(b.m().set_document(&document("b")), Ok(())), "the document may change meanwhile");
    let memory = planned.memory.clone().expect("planned");
    assert!(b.m().commit_snapshot().is_err(), "the memory is not there yet");
    std::fs::write(&memory, b"memory").expect("saved");
    let id = b.m().commit_snapshot().expect("committed");
    assert_eq!(b.chain()[0].path, planned.overlays[&b.root]);
    b.guest_writes(2);
    assert_eq!(b.m().suspended(), None);
    b.restore(&id);
    assert_eq!(b.guest_reads(), 1);
    let (path, generation) = b.m().suspended().expect("it resumes");
    assert_eq!(path, memory);
    assert_eq!(b.m().document_at(generation).expect("read"), document("a"));
    b.m().consume_suspended().expect("consumed");
    assert!(memory.exists(), "the snapshot keeps it");
    b.restore(&id);
    assert!(b.m().suspended().is_some(), "as often as wanted");
}

#[test]
fn a_crash_during_a_live_snapshot_loses_no_write_of_the_guest() {
    // Before QEMU's transaction: the guest still wrote to the old image.
    let mut b = Bench::new();
    b.guest_writes(1);
    b.begin(false);
    b.guest_writes(2);
    b.reopen();
    assert_eq!(b.guest_reads(), 2);
    assert!(b.m().manifest().snapshots.is_empty() && b.m().manifest().pending.is_none());
    // After it: the guest wrote to the overlay.
    let planned = b.begin(true);
    let mut chain = b.chain();
    let overlay = sampan_library::Layer {
        path: planned.overlays[&b.root].clone(),
        format: sampan_library::SourceFormat::Qcow2,
    };
    chain.insert(0, overlay);
    b.qemu.write(&chain, 0, 3, SIZE as usize / 2);
    b.reopen();
    assert_eq!(b.guest_reads(), 3);
    assert!(b.m().manifest().snapshots.is_empty());
    assert_eq!(b.reclaim(), 2);
    assert_eq!((b.guest_reads(), b.files()), (3, 1));
    // The overlay never became whole: QEMU cannot have written to it.
    let planned = b.begin(false);
    std::fs::write(&planned.overlays[&b.root], b"QFI\xfb").expect("torn");
    b.reopen();
    assert_eq!((b.guest_reads(), b.files()), (3, 1));
}

#[test]
fn a_live_snapshot_can_be_abandoned() {
    let mut b = Bench::new();
    b.guest_writes(1);
    b.begin(false);
    let new = NewSnapshot { name: "x".into(), ..NewSnapshot::default() };
    let Bench { machine, qemu, .. } = &mut b;
    let refused = machine.as_mut().expect("held").take_snapshot(qemu, &new);
    assert!(matches!(refused, Err(Error::SnapshotUnderWay)));
    b.m().abandon_snapshot(false).expect("abandoned");
    assert_eq!((b.files(), b.guest_reads()), (1, 1));
    assert!(matches!(b.m().commit_snapshot(), Err(Error::NoSnapshotUnderWay)));
}

#[test]
fn a_suspended_machine_is_resumed_once_and_nothing_else_touches_it() {
    let mut b = Bench::new();
    b.guest_writes(1);
    let memory = b.m().plan_suspend().expect("planned");
    std::fs::write(&memory, b"memory").expect("saved");
    b.m().set_document(&document("b")).expect("cleans up meanwhile");
    assert!(memory.exists());
    let picture = b"\x89PNG\r\n\x1a\nwhat the screen showed";
    b.m().commit_suspend(&memory, 5, Some(picture)).expect("suspended");
    assert_eq!(b.m().suspended_thumbnail().expect("is read").as_deref(), Some(&picture[..]));
    let Bench { machine, qemu, root, .. } = &mut b;
    let refused = machine.as_mut().expect("held").grow_drive(qemu, root, 2 * SIZE);
    assert!(matches!(refused, Err(Error::Suspended)));
    let kept = b.take("with memory");
    b.reopen();
    assert_eq!(b.m().suspended().expect("still").0, memory);
    b.m().consume_suspended().expect("resumed");
    b.reopen();
    assert_eq!(b.m().suspended(), None);
    assert!(memory.exists(), "the snapshot has it");
    assert_eq!(b.m().suspended_thumbnail().expect("nothing to read"), None);
    assert_eq!(b.m().thumbnail(&kept).expect("is read").as_deref(), Some(&picture[..]), "and the picture");
    b.m().delete_snapshot(&kept).expect("deleted");
    assert!(!memory.exists());
    assert_eq!(std::fs::read_dir(b.m().path().join("thumbs")).expect("a folder").count(), 0);
    // A picture that cannot be kept keeps nobody from being suspended.
    let memory = b.m().plan_suspend().expect("planned");
    std::fs::write(&memory, b"memory").expect("saved");
    b.m().commit_suspend(&memory, 6, Some(b"no picture")).expect("suspended");
    assert_eq!(b.m().suspended_thumbnail().expect("nothing to read"), None);
    b.m().consume_suspended().expect("resumed");
    // A suspension that was cut short is none.
    let memory = b.m().plan_suspend().expect("planned");
    std::fs::write(&memory, b"half").expect("saved");
    b.reopen();
    assert!(b.m().suspended().is_none() && !memory.exists());
}

/// Fails where a folder that holds a manifest is synced, which is after its rename; and hides the manifest from whoever looks
/// what became of it, if it is told to.
#[derive(Default)]
struct Unsynced {
    fails: AtomicBool,
    hides: AtomicBool,
    steps: AtomicUsize,
}

impl Hook for Unsynced {
    fn before(&self, step: Step<'_>) -> std::io::Result<()> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        match step {
            Step::SyncDir(folder) if self.fails.load(Ordering::Relaxed) && folder.join("lock").exists() => {
                if self.hides.load(Ordering::Relaxed) {
                    std::fs::rename(folder.join("manifest.json"), folder.join("hidden"))?;
                }
                Err(std::io::Error::other("the disk is broken"))
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn a_suspension_that_may_come_back_after_a_power_loss_is_taken_back_for_good() {
    for hides in [false, true] {
        let home = tempfile::tempdir().expect("a folder");
        let hook = Arc::new(Unsynced::default());
        let library = Library::with_fs(home.path(), Fs::with_hook(hook.clone())).expect("a library");
        let mut m = library.create("machine", &document("a"), 1).expect("made");
        let memory = m.plan_suspend().expect("planned");
        std::fs::write(&memory, b"memory").expect("saved");
        hook.fails.store(true, Ordering::Relaxed);
        hook.hides.store(hides, Ordering::Relaxed);
        m.commit_suspend(&memory, 1, None).expect_err("is not durable");
        if hides {
            assert!(m.suspended().is_none(), "nothing was to be seen");
            std::fs::rename(m.path().join("hidden"), m.path().join("manifest.json")).expect("is there");
        } else {
            assert!(m.suspended().is_some());
            // In its place, but not durable either.
            m.consume_suspended().expect_err("is not durable");
            assert!(m.suspended().is_none());
        }
        hook.fails.store(false, Ordering::Relaxed);
        let steps = hook.steps.load(Ordering::Relaxed);
        m.consume_suspended().expect("is taken back");
        assert!(hook.steps.load(Ordering::Relaxed) > steps, "hidden {hides}: nothing was written");
        assert!(library.read(m.id()).expect("is read").manifest().suspended.is_none(), "hidden {hides}");
        // Once it is known, nothing is written in vain.
        let steps = hook.steps.load(Ordering::Relaxed);
        m.consume_suspended().expect("nothing to do");
        assert_eq!(hook.steps.load(Ordering::Relaxed), steps);
    }
}

#[test]
fn a_throw_away_run_leaves_no_trace() {
    let mut b = Bench::new();
    b.guest_writes(1);
    let Bench { machine, qemu, .. } = &mut b;
    let overlays = machine.as_mut().expect("held").begin_throw_away(qemu).expect("begun");
    let mut chain = b.chain();
    let path = overlays[&b.root].clone();
    chain.insert(0, sampan_library::Layer { path, format: sampan_library::SourceFormat::Qcow2 });
    b.qemu.write(&chain, 0, 9, 4096);
    b.m().set_document(&document("b")).expect("cleans up meanwhile");
    assert!(overlays[&b.root].exists());
    b.reopen();
    assert!(!overlays[&b.root].exists());
    assert_eq!(b.guest_reads(), 1);
}
