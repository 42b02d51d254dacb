//! Images that a QEMU which was taken over has changed: no operation gives one to the block layer.

use crate::common::{QemuImg, document};
use sampan_library::{
    Backing, BlockError, BlockLayer, CheckedChain, DriveId, Error, Library, Locked, NewClone, NewImage,
    NewSnapshot, OnProgress, Target, Unsaved,
};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::Path;
use tempfile::TempDir;

const SIZE: u64 = 4 << 20;

/// A block layer that must not be reached.
struct Untouchable;

impl BlockLayer for Untouchable {
    fn create(&self, images: &[NewImage]) -> Result<(), BlockError> {
        panic!("{images:?} were to be made")
    }
    fn convert(&self, source: &CheckedChain, _: &NewImage, _: OnProgress<'_>) -> Result<(), BlockError> {
        panic!("{source:?} was to be read")
    }
    fn grow(&self, chain: &CheckedChain, _: u64) -> Result<(), BlockError> {
        panic!("{chain:?} was to be grown")
    }
    fn commit(&self, chain: &CheckedChain, _: OnProgress<'_>) -> Result<(), BlockError> {
        panic!("{chain:?} was to be merged")
    }
    fn flatten(
        &self,
        chain: &CheckedChain,
        _: usize,
        _: Option<&Backing>,
        _: OnProgress<'_>,
    ) -> Result<(), BlockError> {
        panic!("{chain:?} was to be flattened")
    }
}

/// Lets a qcow2 image keep its data in another file: the bit of the incompatible features and the header extension with the
/// name (QEMU's `docs/interop/qcow2.rst`).
fn names_a_data_file(image: &Path, data: &str) {
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(image).expect("an image");
    let mut read = |at: u64| {
        let mut word = [0; 4];
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut word)).expect("a header");
        u32::from_be_bytes(word)
    };
    let (features, length) = (read(76), read(100));
    let mut extensions = 0x4441_5441u32.to_be_bytes().to_vec();
    extensions.extend(u32::try_from(data.len()).expect("short").to_be_bytes());
    extensions.extend(data.as_bytes());
    extensions.resize(extensions.len().next_multiple_of(8) + 8, 0);
    for (at, bytes) in [(76, (features | 4).to_be_bytes().to_vec()), (u64::from(length), extensions)] {
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&bytes)).expect("written");
    }
}

/// Lets a qcow2 image stand on another file.
fn names_a_base(qemu: &QemuImg, image: &Path, base: &str) {
    let text = image.to_str().expect("text");
    qemu.run(image, &["rebase", "-u", "-f", "qcow2", "-b", base, "-F", "raw", text]).expect("rebased");
}

struct World {
    home: TempDir,
    library: Library,
    machine: Locked,
    qemu: QemuImg,
    root: DriveId,
}

fn snapshot(name: &str) -> NewSnapshot {
    NewSnapshot { name: name.into(), ..NewSnapshot::default() }
}

/// A machine with two snapshots: its drive reads from three images.
fn world() -> World {
    let home = tempfile::tempdir().expect("a folder");
    let library = Library::open(home.path().join("library")).expect("a library");
    let mut machine = library.create("a", &document("a"), 1).expect("made");
    let (qemu, root): (_, DriveId) = (QemuImg::find(), "root".parse().expect("an id"));
    machine.create_drive(&qemu, &root, SIZE, Target::default()).expect("made");
    for name in ["one", "two"] {
        machine.take_snapshot(&qemu, &snapshot(name)).expect("taken");
    }
    World { home, library, machine, qemu, root }
}

fn go_on(_: sampan_library::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

type Operation = (&'static str, fn(&mut World) -> Result<(), Error>);

fn copy<'a>(change: &'a mut dyn FnMut(&mut sampan_library::Sections)) -> NewClone<'a> {
    NewClone { name: "copy", time: 2, change, medium: None }
}

/// All that opens images by the block layer, or hands them on.
const OPERATIONS: &[Operation] = &[
    ("start", |w| w.machine.open_drives().map(drop)),
    ("grow", |w| w.machine.grow_drive(&Untouchable, &w.root, 2 * SIZE)),
    ("compact", |w| w.machine.compact_drive(&Untouchable, &w.root, &mut go_on).map(drop)),
    ("snapshot", |w| w.machine.take_snapshot(&Untouchable, &snapshot("three")).map(drop)),
    ("restore", |w| {
        let id = w.machine.find_snapshot("two").expect("taken");
        w.machine.restore(&Untouchable, &id, Unsaved::Discard)
    }),
    ("full clone", |w| w.machine.clone_full(&Untouchable, None, copy(&mut |_| {}), &mut go_on).map(drop)),
    ("linked clone", |w| w.machine.clone_linked(&Untouchable, None, copy(&mut |_| {})).map(drop)),
    ("linked clone of a snapshot", |w| {
        let id = w.machine.find_snapshot("two").expect("taken");
        w.machine.clone_linked(&Untouchable, Some(&id), copy(&mut |_| {})).map(drop)
    }),
    ("export", |w| w.machine.export(&Untouchable, None, &w.home.path().join("out"), &mut go_on).map(drop)),
    ("reclaim", |w| {
        let id = w.machine.find_snapshot("two").expect("taken");
        w.machine.delete_snapshot(&id).expect("deleted");
        w.machine.reclaim(&Untouchable, &mut go_on).map(drop)
    }),
    ("detach", |w| {
        let id = w.machine.find_snapshot("two").expect("taken");
        let machine = w.machine.id();
        let mut clone = w.library.lock(w.library.find("linked").expect("there")).expect("locked");
        assert_ne!(clone.id(), machine, "of {id}");
        clone.detach(&Untouchable, &mut go_on).map(drop)
    }),
];

/// Which of the chain's three images is changed: the bottom is read by every operation.
fn tampered(change: fn(&World, &Path), at: usize, said: &str) {
    for (name, operation) in OPERATIONS {
        let mut world = world();
        let id = world.machine.find_snapshot("two").expect("taken");
        let linked = NewClone { name: "linked", time: 2, change: &mut |_| {}, medium: None };
        if *name == "detach" {
            world.machine.clone_linked(&world.qemu, Some(&id), linked).expect("cloned");
        }
        let image = world.machine.chain(&world.root).expect("a chain")[at].path.clone();
        change(&world, &image);
        let error = operation(&mut world).expect_err(name);
        assert!(error.to_string().contains(said), "{name}: {error}");
        assert!(!world.home.path().join("out").exists(), "{name}");
        assert!(world.library.find("copy").is_err(), "{name}");
    }
}

#[test]
fn no_operation_opens_an_image_with_a_data_file() {
    tampered(|_, image| names_a_data_file(image, "/etc/passwd"), 2, "for its data");
}

#[test]
fn no_operation_opens_an_image_with_another_base() {
    tampered(|world, image| names_a_base(&world.qemu, image, "/etc/passwd"), 1, "/etc/passwd");
    tampered(|world, image| names_a_base(&world.qemu, image, "/etc/passwd"), 2, "/etc/passwd");
}

#[test]
fn no_operation_follows_a_link_in_the_place_of_an_image() {
    let link = |world: &World, image: &Path| {
        let elsewhere = world.home.path().join("elsewhere");
        std::fs::rename(image, &elsewhere).expect("moved");
        std::os::unix::fs::symlink(&elsewhere, image).expect("linked");
    };
    tampered(link, 2, "no ordinary file");
}

/// The top may be what was changed: it is written to by the operations that change it.
#[test]
fn the_image_that_is_written_to_is_checked_as_well() {
    for (name, operation) in OPERATIONS
        .iter()
        .filter(|(name, _)| ["start", "grow", "compact", "full clone", "export"].contains(name))
    {
        let mut world = world();
        let image = world.machine.chain(&world.root).expect("a chain")[0].path.clone();
        names_a_data_file(&image, "/etc/passwd");
        let error = operation(&mut world).expect_err(name);
        assert!(error.to_string().contains("for its data"), "{name}: {error}");
    }
}

#[test]
fn a_flat_image_is_checked_before_it_is_copied_into_an_export() {
    let home = tempfile::tempdir().expect("a folder");
    let library = Library::open(home.path().join("library")).expect("a library");
    let mut machine = library.create("a", &document("a"), 1).expect("made");
    let root: DriveId = "root".parse().expect("an id");
    machine.create_drive(&QemuImg::find(), &root, SIZE, Target::default()).expect("made");
    names_a_data_file(&machine.chain(&root).expect("a chain")[0].path, "/etc/passwd");
    let error =
        machine.export(&Untouchable, None, &home.path().join("out"), &mut go_on).expect_err("refused");
    assert!(matches!(error, Error::ImageChanged { .. }), "{error}");
}
