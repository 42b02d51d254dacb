//! Drives of a stopped machine, by QEMU's real block layer.

use crate::common::{QemuImg, document};
use sampan_library::{
    CheckedChain, DriveId, Error, ImageFormat, Library, Locked, Preallocation, SourceFormat, Target,
    probe_import,
};
use std::ops::ControlFlow;
use std::path::Path;
use tempfile::TempDir;

const SIZE: u64 = 4 << 20;

fn machine() -> (TempDir, Library, Locked, QemuImg) {
    let home = tempfile::tempdir().expect("a folder");
    let library = Library::open(home.path()).expect("a library");
    let machine = library.create("a", &document("a"), 1).expect("made");
    (home, library, machine, QemuImg::find())
}

fn drive(name: &str) -> DriveId {
    name.parse().expect("an id")
}

fn go_on(_: sampan_library::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn files(machine: &Locked) -> usize {
    std::fs::read_dir(machine.disks_folder()).expect("a folder").count()
}

#[test]
fn drives_are_made_dynamic_and_fixed_and_say_what_they_are() {
    let (_home, library, mut machine, qemu) = machine();
    let fixed = Target { preallocation: Preallocation::Fixed, ..Target::default() };
    let raw = Target { format: ImageFormat::Raw, preallocation: Preallocation::Dynamic };
    machine.create_drive(&qemu, &drive("root"), SIZE, Target::default()).expect("made");
    machine.create_drive(&qemu, &drive("full"), SIZE, fixed).expect("made");
    machine.create_drive(&qemu, &drive("raw"), SIZE, raw).expect("made");
    let info = |m: &Locked, name: &str| m.drive_info(&drive(name)).expect("info");
    assert_eq!(info(&machine, "root").size, SIZE);
    assert!(info(&machine, "root").used < SIZE / 4);
    assert!(info(&machine, "full").used >= SIZE);
    assert_eq!(info(&machine, "raw").format, ImageFormat::Raw);
    machine.open_drives().expect("sound");
    assert!(matches!(machine.create_drive(&qemu, &drive("root"), SIZE, fixed), Err(Error::DriveExists(_))));
    assert!(matches!(machine.create_drive(&qemu, &drive("x"), SIZE + 1, fixed), Err(Error::BadSize(_))));
    assert!(matches!(machine.create_drive(&qemu, &drive("x"), 60 << 40, fixed), Err(Error::NoSpace { .. })));
    machine.remove_drive(&drive("raw")).expect("removed");
    assert_eq!(files(&machine), 2);
    let id = machine.id();
    drop(machine);
    assert_eq!(library.lock(id).expect("again").manifest().drives.len(), 2);
}

#[test]
fn a_drive_grows_and_never_shrinks() {
    let (_home, library, mut machine, qemu) = machine();
    let root = drive("root");
    machine.create_drive(&qemu, &root, SIZE, Target::default()).expect("made");
    machine.grow_drive(&qemu, &root, 2 * SIZE).expect("grown");
    assert_eq!(machine.drive_info(&root).expect("info").size, 2 * SIZE);
    assert!(matches!(machine.grow_drive(&qemu, &root, SIZE), Err(Error::Shrink { .. })));
    // Somebody grew it and was killed before saying so.
    let chain = CheckedChain::open(machine.chain(&root).expect("a chain")).expect("sound");
    sampan_library::BlockLayer::grow(&qemu, &chain, 3 * SIZE).expect("grown");
    let id = machine.id();
    drop(machine);
    let machine = library.lock(id).expect("again");
    let image = &machine.manifest().drives[&root];
    assert_eq!(machine.manifest().images[image].size, 3 * SIZE, "the header is right");
}

#[test]
fn every_format_is_imported_and_reads_the_same() {
    let (home, _library, mut machine, qemu) = machine();
    let raw = home.path().join("source.raw");
    let mut content = vec![0u8; SIZE as usize];
    content[..4096].fill(0x5a);
    content[3 << 20..(3 << 20) + 512].fill(0xa5);
    std::fs::write(&raw, &content).expect("written");
    let cases = [
        ("qcow2", "compat=0.10", SourceFormat::Qcow2),
        ("qcow2", "compat=1.1,cluster_size=512", SourceFormat::Qcow2),
        ("qcow2", "extended_l2=on", SourceFormat::Qcow2),
        ("vmdk", "subformat=monolithicSparse", SourceFormat::Vmdk),
        ("vmdk", "subformat=streamOptimized", SourceFormat::Vmdk),
        ("vdi", "static=off", SourceFormat::Vdi),
        ("vdi", "static=on", SourceFormat::Vdi),
        ("vhdx", "subformat=dynamic", SourceFormat::Vhdx),
        ("vhdx", "subformat=fixed", SourceFormat::Vhdx),
        ("vpc", "subformat=dynamic,force_size=on", SourceFormat::Vpc),
        ("vpc", "subformat=fixed,force_size=on", SourceFormat::Vpc),
    ];
    for (n, (driver, options, format)) in cases.into_iter().enumerate() {
        let source = home.path().join(format!("source{n}"));
        let (from, to) = (raw.to_str().expect("text"), source.to_str().expect("text"));
        qemu.run(&source, &["convert", "-f", "raw", "-O", driver, "-o", options, from, to]).expect(driver);
        let found = probe_import(&source, None).expect(options);
        assert_eq!((found.format, found.virtual_size), (format, SIZE), "{driver} {options}");
        let id = drive(&format!("d{n}"));
        let mut said = 0;
        machine
            .import_drive(&qemu, &id, &source, None, Target::default(), &mut |p| {
                said = p.done;
                ControlFlow::Continue(())
            })
            .expect("imported");
        assert_eq!(said, SIZE);
        assert_eq!(qemu.content(&machine.chain(&id).expect("a chain")), content, "{driver} {options}");
        let wrong = if format == SourceFormat::Vdi { SourceFormat::Qcow2 } else { SourceFormat::Vdi };
        probe_import(&source, Some(wrong)).expect_err("the header decides");
    }
    probe_import(&raw, None).expect_err("it shows no disk");
    let target = Target { format: ImageFormat::Raw, preallocation: Preallocation::Dynamic };
    machine
        .import_drive(&qemu, &drive("raw"), &raw, Some(SourceFormat::Raw), target, &mut go_on)
        .expect("imported");
    assert_eq!(qemu.content(&machine.chain(&drive("raw")).expect("a chain")), content);
    machine.open_drives().expect("sound");
}

#[test]
fn images_that_need_more_than_their_file_are_refused_in_words() {
    let (home, _library, mut machine, qemu) = machine();
    let path = |name: &str| home.path().join(name).to_str().expect("text").to_owned();
    let make = |args: &[&str]| qemu.run(home.path(), args).expect("made");
    let size = SIZE.to_string();
    make(&["create", "-f", "qcow2", &path("base"), &size]);
    make(&["create", "-f", "qcow2", "-b", &path("base"), "-F", "qcow2", &path("overlay")]);
    make(&["create", "-f", "qcow2", "-o", &format!("data_file={}", path("data")), &path("external"), &size]);
    make(&["create", "-f", "vmdk", "-o", "subformat=monolithicFlat", &path("flat.vmdk"), &size]);
    make(&["create", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", &path("two.vmdk"), &size]);
    make(&["create", "-f", "vmdk", &path("one.vmdk"), &size]);
    make(&["create", "-f", "vmdk", "-b", &path("one.vmdk"), "-F", "vmdk", &path("snapshot.vmdk")]);
    let secret = ["--object", "secret,id=s,data=x"];
    let luks = ["-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"];
    let encrypted = path("encrypted");
    let mut args = vec!["create", "-f", "qcow2"];
    args.extend(secret);
    args.extend(luks);
    args.extend([encrypted.as_str(), &size]);
    let has_luks = qemu.run(home.path(), &args).is_ok();
    let mut cases = vec![
        ("overlay", "overlay"),
        ("external", "other files"),
        ("flat.vmdk", "other files"),
        ("two.vmdk", "other files"),
        ("two-s001.vmdk", "other files"),
        ("snapshot.vmdk", "overlay"),
    ];
    if has_luks {
        cases.push(("encrypted", "encrypted"));
    }
    for (name, word) in cases {
        let source = home.path().join(name);
        let error = machine.import_drive(&qemu, &drive("d"), &source, None, Target::default(), &mut go_on);
        let text = error.expect_err(name).to_string();
        assert!(text.contains(word), "{name}: {text}");
    }
    assert_eq!(files(&machine), 0);
}

#[test]
fn a_pipe_or_a_device_is_no_image() {
    let home = tempfile::tempdir().expect("a folder");
    let pipe = home.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs");
    assert!(made.success());
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        for said in [None, Some(SourceFormat::Raw), Some(SourceFormat::Vmdk)] {
            assert!(matches!(probe_import(path, said), Err(Error::NotAFile(_))), "{}", path.display());
        }
    }
}

#[test]
fn an_image_of_a_machine_is_not_opened_as_one_from_elsewhere() {
    let (home, library, mut machine, qemu) = machine();
    machine.create_drive(&qemu, &drive("root"), SIZE, Target::default()).expect("made");
    let image = machine.chain(&drive("root")).expect("a chain")[0].path.clone();
    let link = home.path().join("link.qcow2");
    std::os::unix::fs::symlink(&image, &link).expect("linked");
    let mut other = library.create("b", &document("b"), 1).expect("made");
    for path in [&image, &link] {
        let refused = other.import_drive(&qemu, &drive("root"), path, None, Target::default(), &mut go_on);
        assert!(refused.expect_err("refused").to_string().contains("clone"));
    }
}

#[test]
fn an_import_that_is_cancelled_leaves_nothing() {
    let (home, _library, mut machine, qemu) = machine();
    let raw = home.path().join("raw");
    std::fs::write(&raw, vec![7; SIZE as usize]).expect("written");
    for stop_at in [0, SIZE] {
        let result = machine.import_drive(
            &qemu,
            &drive("d"),
            &raw,
            Some(SourceFormat::Raw),
            Target::default(),
            &mut |p| {
                if p.done >= stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert_eq!((files(&machine), machine.manifest().drives.len()), (0, 0));
    }
}

#[test]
fn compacting_gives_room_back_and_keeps_the_content() {
    let (_home, _library, mut machine, qemu) = machine();
    let root = drive("root");
    machine.create_drive(&qemu, &root, SIZE, Target::default()).expect("made");
    let chain = machine.chain(&root).expect("a chain");
    qemu.write(&chain, 0, 0x77, SIZE as usize);
    qemu.write(&chain, 65536, 0, SIZE as usize - 65536);
    assert!(machine.compact_space(&root).expect("asked").needed > SIZE);
    let content = qemu.content(&machine.chain(&root).expect("a chain"));
    let (before, after) = machine.compact_drive(&qemu, &root, &mut go_on).expect("compacted");
    assert!(after * 2 < before, "{before} {after}");
    assert_eq!(qemu.content(&machine.chain(&root).expect("a chain")), content);
    assert_eq!(files(&machine), 1);
}

#[test]
fn an_image_changed_behind_our_back_does_not_start() {
    let (home, _library, mut machine, qemu) = machine();
    let root = drive("root");
    machine.create_drive(&qemu, &root, SIZE, Target::default()).expect("made");
    let image = machine.chain(&root).expect("a chain")[0].path.clone();
    let to = |path: &Path| path.to_str().expect("text").to_owned();
    qemu.run(&image, &["rebase", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", &to(&image)])
        .expect("rebased");
    assert!(machine.open_drives().expect_err("refused").to_string().contains("/etc/passwd"));
    std::fs::remove_file(&image).expect("removed");
    std::os::unix::fs::symlink(home.path(), &image).expect("linked");
    assert!(matches!(machine.open_drives(), Err(Error::NotAFile(_))));
}
