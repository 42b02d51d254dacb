//! A scenario of every kind of change, and a kill (SIGKILL) before one of its steps.
#![allow(dead_code, reason = "each program uses a part")]

use crate::common::{QemuImg, document};
use sampan_library::fs::{Fs, Hook, Step};
use sampan_library::{
    BlockLayer, DriveId, HostSettings, Library, Locked, NewClone, NewImage, NewSnapshot, Target, Unsaved,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const SIZE: u64 = 1 << 20;

/// One change, by name; what it does to the library in a folder.
pub type Change = (&'static str, fn(&Library, &dyn BlockLayer));

fn second() -> DriveId {
    "second".parse().expect("an id")
}

fn root() -> DriveId {
    "root".parse().expect("an id")
}

fn machine(library: &Library) -> Locked {
    library.lock(library.find("machine").expect("found")).expect("locked")
}

fn snapshot(name: &str) -> NewSnapshot {
    let thumbnail = Some(b"\x89PNG\r\n\x1a\n".to_vec());
    NewSnapshot { name: name.into(), time: 1, thumbnail, ..NewSnapshot::default() }
}

fn go_on(_: sampan_library::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn id(machine: &Locked, name: &str) -> sampan_library::SnapshotId {
    machine.find_snapshot(name).expect("found")
}

/// Every kind of change that a machine sees, each one atomic.
pub const CHANGES: &[Change] = &[
    ("create", |l, _| drop(l.create("machine", &document("one"), 1).expect("made"))),
    ("document", |l, _| machine(l).set_document(&document("two")).expect("set")),
    ("host", |l, _| {
        let vnc_password = Some("secret".into());
        machine(l).set_host(&HostSettings { vnc_password, ..HostSettings::default() }).expect("set");
    }),
    ("rename", |l, _| {
        let mut m = machine(l);
        m.rename("other").expect("renamed");
        m.rename("machine").expect("renamed");
    }),
    ("drive", |l, q| machine(l).create_drive(q, &root(), SIZE, Target::default()).expect("made")),
    ("snapshot", |l, q| drop(machine(l).take_snapshot(q, &snapshot("one")).expect("taken"))),
    ("linked clone", |l, q| {
        let mut m = machine(l);
        let one = id(&m, "one");
        let copy = NewClone { name: "clone", time: 2, change: &mut |_| (), medium: None };
        drop(m.clone_linked(q, Some(&one), copy).expect("cloned"));
    }),
    ("grow", |l, q| machine(l).grow_drive(q, &root(), 2 * SIZE).expect("grown")),
    ("snapshot 2", |l, q| drop(machine(l).take_snapshot(q, &snapshot("two")).expect("taken"))),
    ("live snapshot", |l, q| {
        let mut m = machine(l);
        let planned = m
            .begin_snapshot(q, &snapshot("live"), &BTreeMap::from([(root(), 2 * SIZE)]), true)
            .expect("begun");
        let memory = planned.memory.expect("planned");
        q.create(&[NewImage {
            path: memory,
            format: sampan_library::ImageFormat::Raw,
            size: 4096,
            preallocation: sampan_library::Preallocation::Dynamic,
            backing: None,
        }])
        .expect("saved");
        m.commit_snapshot().expect("committed");
    }),
    ("suspend", |l, q| {
        let mut m = machine(l);
        let memory = m.plan_suspend().expect("planned");
        q.create(&[NewImage {
            path: memory.clone(),
            format: sampan_library::ImageFormat::Raw,
            size: 4096,
            preallocation: sampan_library::Preallocation::Dynamic,
            backing: None,
        }])
        .expect("saved");
        m.commit_suspend(&memory, 1, None).expect("suspended");
    }),
    ("resume", |l, _| machine(l).consume_suspended().expect("consumed")),
    ("delete snapshot", |l, _| {
        let mut m = machine(l);
        let two = id(&m, "two");
        m.delete_snapshot(&two).expect("deleted");
    }),
    ("reclaim", |l, q| assert_eq!(machine(l).reclaim(q, &mut go_on).expect("reclaimed"), 1)),
    ("compact", |l, q| assert!(machine(l).compact_drive(q, &root(), &mut go_on).expect("compacted").0 > 0)),
    ("second drive", |l, q| machine(l).create_drive(q, &second(), SIZE, Target::default()).expect("made")),
    ("set aside", |l, _| {
        machine(l).set_aside(&second(), "a disk", &document("one disk"), 7).expect("removed")
    }),
    ("put back", |l, _| machine(l).put_back(&second(), &second(), &document("two")).expect("back")),
    ("set aside again", |l, _| {
        machine(l).set_aside(&second(), "a disk", &document("one disk"), 8).expect("removed")
    }),
    ("forget", |l, _| assert_eq!(machine(l).forget_removed(Some(&second())).expect("forgotten"), 1)),
    ("machine with a seed", |l, _| {
        let mut draft = l.draft("seeded", &document("\"seed.iso\""), 2).expect("begun");
        draft.write_medium("seed.iso", b"secret").expect("written");
        drop(draft.publish().expect("made"));
    }),
    ("clone with a seed", |l, q| {
        let mut change = |sections: &mut sampan_library::Sections| *sections = document("\"copy.iso\"");
        let medium = Some(("copy.iso".into(), b"secret".to_vec()));
        let copy = NewClone { name: "seeded clone", time: 2, change: &mut change, medium };
        let seeded = l.lock(l.find("seeded").expect("found")).expect("locked");
        drop(seeded.clone_full(q, None, copy, &mut go_on).expect("cloned"));
    }),
    ("trash clone", |l, _| l.delete(l.find("clone").expect("found"), 3).expect("deleted")),
    ("purge clone", |l, _| l.purge(l.find_in_trash("clone").expect("found")).expect("purged")),
    ("full clone", |l, q| {
        let copy = NewClone { name: "full clone", time: 2, change: &mut |_| (), medium: None };
        drop(machine(l).clone_full(q, None, copy, &mut go_on).expect("cloned"));
    }),
    ("restore", |l, q| {
        let mut m = machine(l);
        let one = id(&m, "one");
        m.restore(q, &one, Unsaved::Discard).expect("restored");
    }),
    ("delete all snapshots", |l, _| {
        let mut m = machine(l);
        let live = id(&m, "live");
        m.delete_snapshot(&live).expect("deleted");
    }),
    ("trash", |l, _| l.delete(l.find("machine").expect("found"), 5).expect("deleted")),
    ("undelete", |l, _| drop(l.undelete(l.find_in_trash("machine").expect("found"), None).expect("back"))),
    ("trash again", |l, _| l.delete(l.find("machine").expect("found"), 6).expect("deleted")),
    ("purge", |l, _| l.purge(l.find_in_trash("machine").expect("found")).expect("purged")),
];

/// Kills this process before step `at`.
struct KillAt {
    steps: AtomicUsize,
    at: usize,
}

impl Hook for KillAt {
    fn before(&self, _: Step<'_>) -> std::io::Result<()> {
        if self.steps.fetch_add(1, Ordering::SeqCst) == self.at {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::thread::park();
        }
        Ok(())
    }
}

/// Makes one change to a library on which those before it were made. Returns the steps it took, which `at` counts from its first.
pub fn run(home: &Path, change: usize, at: usize) -> usize {
    let hook = Arc::new(KillAt { steps: AtomicUsize::new(0), at });
    let (_, change) = CHANGES[change];
    // Opened anew each time, as a program that does one thing does.
    change(&Library::with_fs(home, Fs::with_hook(hook.clone())).expect("opens"), &QemuImg::find());
    hook.steps.load(Ordering::SeqCst)
}
