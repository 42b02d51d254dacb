//! Any series of changes to a tree of snapshots, against a model: what the guest would read, in each of them.

use crate::common::{QemuImg, document};
use proptest::prelude::*;
use sampan_library::{
    Backing, BlockError, BlockLayer, CheckedChain, DriveId, Layer, Library, Locked, NewClone, NewImage,
    NewSnapshot, OnProgress, SnapshotId, SourceFormat, Target, Unsaved,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const SIZE: u64 = 1 << 20;
const WRITTEN: usize = 128 << 10;

#[derive(Clone, Copy, Debug)]
enum Change {
    Write(u8),
    Take,
    TakeRunning,
    /// A snapshot of the running machine is cut off; the guest has written this since, to the new overlay or not.
    CutOff(u8, bool),
    Restore(usize),
    Delete(usize),
    Reclaim,
    /// The images are merged, and then it is cut off.
    ReclaimCutOff,
    Compact,
    Grow,
    Reopen,
    LinkedClone,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => any::<u8>().prop_map(Change::Write),
        3 => Just(Change::Take),
        1 => Just(Change::TakeRunning),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(w, s)| Change::CutOff(w, s)),
        3 => any::<usize>().prop_map(Change::Restore),
        3 => any::<usize>().prop_map(Change::Delete),
        2 => Just(Change::Reclaim),
        1 => Just(Change::ReclaimCutOff),
        1 => Just(Change::Compact),
        1 => Just(Change::Grow),
        1 => Just(Change::Reopen),
        1 => Just(Change::LinkedClone),
    ]
}

struct World {
    _home: tempfile::TempDir,
    library: Library,
    machine: Option<Locked>,
    qemu: QemuImg,
    root: DriveId,
    /// What the guest reads: a byte, and the disk's size.
    now: (u8, u64),
    snapshots: BTreeMap<SnapshotId, (u8, u64)>,
    /// Clones, and what their guests read.
    clones: Vec<(Locked, (u8, u64))>,
}

/// Does its work, and fails when it is done.
struct CutOff<'a>(&'a QemuImg);

impl BlockLayer for CutOff<'_> {
    fn create(&self, images: &[NewImage]) -> Result<(), BlockError> {
        self.0.create(images)
    }
    fn convert(
        &self,
        source: &CheckedChain,
        target: &NewImage,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.0.convert(source, target, progress)
    }
    fn grow(&self, chain: &CheckedChain, size: u64) -> Result<(), BlockError> {
        self.0.grow(chain, size)
    }
    fn commit(&self, chain: &CheckedChain, progress: OnProgress<'_>) -> Result<(), BlockError> {
        self.0.commit(chain, progress)?;
        Err(BlockError::Cancelled)
    }
    fn flatten(
        &self,
        chain: &CheckedChain,
        keep: usize,
        backing: Option<&Backing>,
        progress: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        self.0.flatten(chain, keep, backing, progress)?;
        Err(BlockError::Cancelled)
    }
}

fn go_on(_: sampan_library::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn snapshot() -> NewSnapshot {
    NewSnapshot { name: "s".into(), ..NewSnapshot::default() }
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let library = Library::open(home.path()).expect("a library");
        let mut machine = library.create("a", &document("a"), 1).expect("made");
        let (qemu, root): (_, DriveId) = (QemuImg::find(), "root".parse().expect("an id"));
        machine.create_drive(&qemu, &root, SIZE, Target::default()).expect("made");
        let (snapshots, clones) = (BTreeMap::new(), Vec::new());
        Self { _home: home, library, machine: Some(machine), qemu, root, now: (0, SIZE), snapshots, clones }
    }

    fn reads(&self, machine: &Locked) -> (u8, u64) {
        machine.open_drives().expect("sound");
        let chain = machine.chain(&self.root).expect("a chain");
        let content = self.qemu.content(&chain);
        assert!(content[..WRITTEN].iter().all(|b| *b == content[0]));
        assert!(content[WRITTEN..].iter().all(|b| *b == 0));
        (content[0], content.len() as u64)
    }

    fn nth(&self, n: usize) -> Option<SnapshotId> {
        self.snapshots.keys().nth(n.checked_rem(self.snapshots.len())?).cloned()
    }

    fn apply(&mut self, change: Change) {
        let mut machine = self.machine.take().expect("held");
        let chain = machine.chain(&self.root).expect("a chain");
        let sizes = BTreeMap::from([(self.root.clone(), self.now.1)]);
        match change {
            Change::Write(pattern) => {
                self.qemu.write(&chain, 0, pattern, WRITTEN);
                self.now.0 = pattern;
            }
            Change::Take => {
                let id = machine.take_snapshot(&self.qemu, &snapshot()).expect("taken");
                self.snapshots.insert(id, self.now);
            }
            Change::TakeRunning => {
                machine.begin_snapshot(&self.qemu, &snapshot(), &sizes, false).expect("begun");
                let id = machine.commit_snapshot().expect("committed");
                self.snapshots.insert(id, self.now);
            }
            Change::CutOff(pattern, switched) => {
                let planned = machine.begin_snapshot(&self.qemu, &snapshot(), &sizes, false).expect("begun");
                let mut chain = chain;
                if switched {
                    let path = planned.overlays[&self.root].clone();
                    chain.insert(0, Layer { path, format: SourceFormat::Qcow2 });
                }
                self.qemu.write(&chain, 0, pattern, WRITTEN);
                self.now.0 = pattern;
                machine = self.reopen(machine);
            }
            Change::Restore(n) => {
                if let Some(id) = self.nth(n) {
                    machine.restore(&self.qemu, &id, Unsaved::Discard).expect("restored");
                    self.now = self.snapshots[&id];
                }
            }
            Change::Delete(n) => {
                if let Some(id) = self.nth(n)
                    && machine.delete_snapshot(&id).is_ok()
                {
                    self.snapshots.remove(&id);
                }
            }
            Change::Reclaim => {
                machine.reclaim(&self.qemu, &mut go_on).expect("reclaimed");
                assert_eq!(machine.reclaim(&self.qemu, &mut go_on).expect("nothing is left"), 0);
            }
            Change::ReclaimCutOff => {
                let _ = machine.reclaim(&CutOff(&self.qemu), &mut go_on);
                machine = self.reopen(machine);
            }
            Change::Compact => {
                machine.compact_drive(&self.qemu, &self.root, &mut go_on).expect("compacted");
            }
            Change::Grow => {
                self.now.1 += 1 << 16;
                machine.grow_drive(&self.qemu, &self.root, self.now.1).expect("grown");
            }
            Change::Reopen => machine = self.reopen(machine),
            Change::LinkedClone => {
                if let Some(id) = self.nth(self.clones.len())
                    && self.clones.len() < 3
                {
                    let name = format!("clone {}", self.clones.len());
                    let copy = NewClone { name: &name, time: 1, change: &mut |_| (), medium: None };
                    let clone = machine.clone_linked(&self.qemu, Some(&id), copy).expect("cloned");
                    self.clones.push((clone, self.snapshots[&id]));
                }
            }
        }
        assert_eq!(self.reads(&machine), self.now, "after {change:?}");
        let files = std::fs::read_dir(machine.disks_folder()).expect("a folder").count();
        assert_eq!(files, machine.manifest().images.len(), "after {change:?}");
        assert!(machine.manifest().snapshots.keys().eq(self.snapshots.keys()));
        self.machine = Some(machine);
    }

    fn reopen(&self, machine: Locked) -> Locked {
        let id = machine.id();
        drop(machine);
        self.library.lock(id).expect("again")
    }

    fn check_all(&mut self) {
        for (clone, expected) in &self.clones {
            assert_eq!(self.reads(clone), *expected);
        }
        let mut machine = self.machine.take().expect("held");
        for (id, expected) in &self.snapshots {
            machine.restore(&self.qemu, id, Unsaved::Discard).expect("restored");
            assert_eq!(self.reads(&machine), *expected);
        }
        self.machine = Some(machine);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_snapshot_reads_as_it_did_whatever_happens_to_the_others(changes in prop::collection::vec(change(), 1..18)) {
        let mut world = World::new();
        for change in changes {
            world.apply(change);
        }
        world.check_all();
    }
}
