//! Clones, exported machines and media.

use crate::common::{QemuImg, document};
use sampan_library::{
    DriveId, Error, HostSettings, IfNoReflink, ImageFormat, Library, Locked, NewClone, NewSnapshot,
    Preallocation, Sections, TarReader, TarWriter, Target,
};
use sampan_message::Message;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const SIZE: u64 = 2 << 20;

fn go_on(_: sampan_library::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn drive(name: &str) -> DriveId {
    name.parse().expect("an id")
}

/// A machine with a qcow2 drive full of 1 and a raw drive.
fn machine() -> (TempDir, Library, Locked, QemuImg) {
    let home = tempfile::tempdir().expect("a folder");
    let library = Library::open(home.path().join("library")).expect("a library");
    let mut machine = library.create("source", &document("mac 1"), 1).expect("made");
    let qemu = QemuImg::find();
    let raw = Target { format: ImageFormat::Raw, preallocation: Preallocation::Dynamic };
    machine.create_drive(&qemu, &drive("root"), SIZE, Target::default()).expect("made");
    machine.create_drive(&qemu, &drive("data"), SIZE, raw).expect("made");
    write(&qemu, &machine, 1);
    (home, library, machine, qemu)
}

fn write(qemu: &QemuImg, machine: &Locked, pattern: u8) {
    qemu.write(&machine.chain(&drive("root")).expect("a chain"), 0, pattern, 65536);
}

fn read(qemu: &QemuImg, machine: &Locked) -> u8 {
    machine.open_drives().expect("sound");
    qemu.content(&machine.chain(&drive("root")).expect("a chain"))[0]
}

fn snapshot(name: &str) -> NewSnapshot {
    NewSnapshot { name: name.into(), ..NewSnapshot::default() }
}

fn new_mac(sections: &mut Sections) {
    sections.values_mut().for_each(|text| *text = text.replace("mac 1", "mac 2"));
}

#[test]
fn a_full_clone_shares_nothing() {
    let (_home, library, mut source, qemu) = machine();
    let one = source.take_snapshot(&qemu, &snapshot("one")).expect("taken");
    write(&qemu, &source, 2);
    let mut told = Vec::new();
    let copy = NewClone { name: "copy", time: 5, change: &mut new_mac, medium: None };
    let clone = source
        .clone_full(&qemu, None, copy, &mut |p| {
            told.push((p.done, p.total));
            ControlFlow::Continue(())
        })
        .expect("cloned");
    assert!(told.windows(2).all(|w| w[0].0 <= w[1].0), "{told:?}");
    assert_eq!(told.last(), Some(&(2 * SIZE, 2 * SIZE)));
    assert_eq!(read(&qemu, &clone), 2);
    assert_eq!(clone.document().expect("read"), document("mac 2"));
    let raw = &clone.manifest().drives[&drive("data")];
    assert!(raw.as_str().ends_with("qcow2"), "an overlay of a raw image is qcow2");
    let older = source.clone_full(
        &qemu,
        Some(&one),
        NewClone { name: "older", time: 5, change: &mut |_| (), medium: None },
        &mut go_on,
    );
    assert_eq!(read(&qemu, &older.expect("cloned")), 1);
    let id = source.id();
    drop(source);
    library.delete(id, 9).expect("nothing depends on it");
    library.purge(id).expect("purged");
    assert_eq!(read(&qemu, &clone), 2);
}

#[test]
fn a_cancelled_clone_leaves_nothing() {
    let (_home, library, source, qemu) = machine();
    let copy = NewClone { name: "copy", time: 5, change: &mut |_| (), medium: None };
    let stopped = source.clone_full(&qemu, None, copy, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert_eq!(std::fs::read_dir(library.machines_folder()).expect("a folder").count(), 1);
}

#[test]
fn a_linked_clones_base_cannot_be_pulled_away() {
    let (_home, library, mut source, qemu) = machine();
    let copy = NewClone { name: "linked", time: 5, change: &mut new_mac, medium: None };
    let linked = source.clone_linked(&qemu, None, copy).expect("cloned");
    write(&qemu, &source, 2);
    assert_eq!(read(&qemu, &linked), 1);
    assert_eq!(linked.chain(&drive("root")).expect("a chain").len(), 2);
    write(&qemu, &linked, 3);
    assert_eq!((read(&qemu, &source), read(&qemu, &linked)), (2, 3));
    let base = source.find_snapshot("linked").expect("taken for it");
    match source.delete_snapshot(&base) {
        Err(Error::HasDependents { dependents, .. }) => assert_eq!(dependents, ["linked"]),
        other => panic!("{other:?}"),
    }
    let (id, linked_id) = (source.id(), linked.id());
    drop(source);
    assert!(matches!(library.delete(id, 1), Err(Error::HasDependents { .. })));
    drop(linked);
    library.delete(linked_id, 1).expect("deleted");
    let in_trash = library.delete(id, 1).expect_err("it could come back").to_string();
    assert!(in_trash.contains("in the trash"), "{in_trash}");
    // A clone that cannot be read speaks of its base all the same.
    let mut linked = library.undelete(linked_id, None).expect("back");
    assert_eq!(read(&qemu, &linked), 3);
    let manifest = linked.path().join("manifest.json");
    let text = std::fs::read(&manifest).expect("text");
    std::fs::write(&manifest, b"broken").expect("written");
    assert!(matches!(library.delete(id, 1), Err(Error::DependentsUnknown { .. })));
    std::fs::write(&manifest, text).expect("written");
    // Made independent, it needs nobody.
    assert_eq!(linked.detach(&qemu, &mut go_on).expect("detached"), 2);
    assert_eq!(read(&qemu, &linked), 3);
    assert_eq!(linked.chain(&drive("data")).expect("a chain").len(), 1);
    library.delete(id, 1).expect("nothing depends on it");
}

#[test]
fn a_linked_clone_of_a_linked_clone_reads_through_both() {
    let (_home, library, mut source, qemu) = machine();
    let mut first = source
        .clone_linked(&qemu, None, NewClone { name: "b", time: 5, change: &mut |_| (), medium: None })
        .expect("cloned");
    let second = first
        .clone_linked(&qemu, None, NewClone { name: "c", time: 5, change: &mut |_| (), medium: None })
        .expect("cloned");
    assert_eq!(read(&qemu, &second), 1);
    assert_eq!(second.chain(&drive("root")).expect("a chain").len(), 3);
    assert_eq!(library.dependents(first.id()).expect("asked"), ["c"]);
    first.reclaim(&qemu, &mut go_on).expect("nothing to merge that others need");
    assert_eq!(read(&qemu, &second), 1);
}

fn export(machine: &Locked, qemu: &QemuImg, file: &Path) {
    machine.export(qemu, None, file, &mut go_on).expect("exported");
}

fn import(library: &Library, file: &Path) -> sampan_library::Result<Locked> {
    library.import(file, None, 7, &mut |_, sections| Ok(sections), &mut go_on)
}

#[test]
fn a_machine_goes_into_one_file_and_out_of_it_elsewhere() {
    let (home, _library, mut source, qemu) = machine();
    source.take_snapshot(&qemu, &snapshot("one")).expect("taken");
    write(&qemu, &source, 4);
    let file = home.path().join("machine.sampanvm");
    export(&source, &qemu, &file);
    assert!(matches!(source.export(&qemu, None, &file, &mut go_on), Err(Error::Exists(_))));
    assert_eq!(std::fs::read_dir(source.path().join("tmp")).expect("a folder").count(), 0);
    let listed = std::process::Command::new("sh")
        .args(["-c", "mkdir x && tar xf machine.sampanvm -C x && cd x && sha256sum -c SHA256SUMS"])
        .current_dir(home.path())
        .output()
        .expect("tar and sha256sum run");
    assert!(listed.status.success(), "{listed:?}");
    let elsewhere = Library::open(home.path().join("elsewhere")).expect("a library");
    let back = import(&elsewhere, &file).expect("imported");
    assert_eq!((back.name(), read(&qemu, &back)), ("source", 4));
    assert_eq!(back.document().expect("read"), document("mac 1"));
    assert_eq!(back.manifest().drives.len(), 2);
    assert!(matches!(import(&elsewhere, &file), Err(Error::NameTaken(_))));
    let mut adopt = |name: &str, mut sections: Sections| {
        assert_ne!(name, "source", "it is told the name that the machine will have");
        new_mac(&mut sections);
        Ok(sections)
    };
    let second = elsewhere.import(&file, Some("second"), 7, &mut adopt, &mut go_on).expect("imported");
    assert_eq!(second.document().expect("read"), document("mac 2"));
    drop(second);
    let cancelled = elsewhere.import(&file, Some("third"), 7, &mut adopt, &mut |_| ControlFlow::Break(()));
    assert!(matches!(cancelled, Err(Error::Cancelled)));
    let refused = elsewhere.import(
        &file,
        Some("third"),
        7,
        &mut |_, _| Err(Message::new("odd", "it is odd")),
        &mut go_on,
    );
    assert!(matches!(refused, Err(Error::Archive { source, .. }) if source.to_string() == "it is odd"));
    assert_eq!(std::fs::read_dir(elsewhere.machines_folder()).expect("a folder").count(), 2);
}

#[test]
fn a_cancelled_export_leaves_nothing() {
    let (home, _library, source, qemu) = machine();
    let file = home.path().join("machine.sampanvm");
    for stop_after in 0..4 {
        let mut calls = 0;
        let stopped = source.export(&qemu, None, &file, &mut |_| {
            calls += 1;
            if calls > stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(stopped, Err(Error::Cancelled)), "{stop_after}: {stopped:?}");
        assert_eq!(std::fs::read_dir(home.path()).expect("a folder").count(), 1);
        assert_eq!(std::fs::read_dir(source.path().join("tmp")).expect("a folder").count(), 0);
    }
}

/// All members of an archive.
fn members(file: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tar = TarReader::new(std::fs::File::open(file).expect("a file"));
    let mut members = Vec::new();
    while let Some(member) = tar.next_member().expect("sound") {
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes).expect("read");
        members.push((member.name, bytes));
    }
    members
}

fn write_tar(file: &Path, members: &[(String, Vec<u8>)]) {
    let mut tar = TarWriter::new(Vec::new());
    for (name, bytes) in members {
        tar.begin(name, bytes.len() as u64).expect("begun");
        tar.write_all(bytes).expect("written");
    }
    std::fs::write(file, tar.finish().expect("finished")).expect("written");
}

/// Renews the sums, so that only what is meant is wrong.
fn seal(members: &mut Vec<(String, Vec<u8>)>) {
    members.retain(|(name, _)| name != "SHA256SUMS");
    let folder = tempfile::tempdir().expect("a folder");
    let mut sums = Vec::new();
    for (name, bytes) in &*members {
        let path = folder.path().join("x");
        std::fs::write(&path, bytes).expect("written");
        let out = std::process::Command::new("sha256sum").arg(&path).output().expect("it runs");
        let sum = String::from_utf8(out.stdout).expect("text");
        sums.extend(format!("{}  {name}\n", &sum[..64]).into_bytes());
    }
    members.push(("SHA256SUMS".into(), sums));
}

/// A change of an archive, and a word of the refusal.
type Tampering = (&'static str, &'static str, fn(&mut Vec<(String, Vec<u8>)>));

#[test]
fn archives_that_were_tampered_with_are_refused_and_leave_nothing() {
    let (home, library, source, qemu) = machine();
    let file = home.path().join("machine.sampanvm");
    export(&source, &qemu, &file);
    let sound = members(&file);
    let elsewhere = Library::open(home.path().join("elsewhere")).expect("a library");
    let cases: [Tampering; 9] = [
        ("a bit flipped in a disk", "checksum", |m| {
            let disk = m.iter_mut().find(|(n, _)| n.ends_with("root.qcow2")).expect("there");
            *disk.1.last_mut().expect("bytes") ^= 1;
        }),
        ("no sums", "not complete", |m| drop(m.pop())),
        ("a disk less", "missing", |m| {
            m.retain(|(n, _)| !n.ends_with("root.qcow2"));
            seal(m);
        }),
        ("something more", "does not belong", |m| {
            m.insert(1, ("extra".into(), b"x".to_vec()));
            seal(m);
        }),
        ("a member twice", "twice", |m| {
            let again = m[1].clone();
            m.insert(1, again);
        }),
        ("a disk that is an overlay", "overlay", |m| {
            let disk = m.iter_mut().find(|(n, _)| n.ends_with("root.qcow2")).expect("there");
            // The name of a base, put behind the header's extensions.
            disk.1[8..16].copy_from_slice(&1024u64.to_be_bytes());
            disk.1[16..20].copy_from_slice(&11u32.to_be_bytes());
            disk.1[1024..1035].copy_from_slice(b"/etc/passwd");
            seal(m);
        }),
        ("a section called otherwise", "does not belong", |m| {
            m[1].0 = "documents".into();
            seal(m);
        }),
        ("another kind of file", "does not begin", |m| drop(m.remove(0))),
        ("a later version", "update", |m| {
            let text = String::from_utf8(m[0].1.clone()).expect("text");
            m[0].1 = text.replace("\"sampanvm\": 1", "\"sampanvm\": 2").into_bytes();
        }),
    ];
    for (what, word, tamper) in cases {
        let mut members = sound.clone();
        tamper(&mut members);
        write_tar(&file, &members);
        let refused = import(&elsewhere, &file).expect_err(what).to_string();
        assert!(refused.contains(word), "{what}: {refused}");
        assert_eq!(std::fs::read_dir(elsewhere.machines_folder()).expect("a folder").count(), 0, "{what}");
    }
    // Cut anywhere, it is not complete.
    write_tar(&file, &sound);
    let whole = std::fs::read(&file).expect("read");
    for length in [0, 100, 512, 3000, whole.len() / 2, whole.len() - 2000] {
        std::fs::write(&file, &whole[..length]).expect("cut");
        import(&elsewhere, &file).expect_err("cut");
    }
    assert_eq!(std::fs::read_dir(elsewhere.machines_folder()).expect("a folder").count(), 0);
    drop(library);
}

#[test]
fn a_declared_size_beyond_the_disk_is_refused_before_anything_is_written() {
    let (home, library, ..) = machine();
    let header = format!(
        "{{\"sampanvm\":1,\"name\":\"bomb\",\"document\":{{}},\"drives\":{{\"root\":{{\"format\":\"qcow2\",\"size\":{0},\"bytes\":{0}}}}}}}",
        64u64 << 40
    );
    let file = home.path().join("bomb");
    write_tar(&file, &[("sampanvm.json".into(), header.into_bytes())]);
    assert!(matches!(import(&library, &file), Err(Error::NoSpace { .. })));
}

#[test]
fn media_are_kept_once_and_not_removed_while_used() {
    let (home, library, mut machine, _) = machine();
    let iso = home.path().join("debian.iso");
    std::fs::write(&iso, vec![9; 3 << 20]).expect("written");
    for (name, how) in [("copy.iso", IfNoReflink::Copy), ("link.iso", IfNoReflink::Link)] {
        let medium = library.add_medium(&iso, name, how, &mut go_on).expect("added");
        assert_eq!(std::fs::read(&medium.path).expect("read"), vec![9; 3 << 20]);
    }
    assert!(matches!(
        library.add_medium(&iso, "copy.iso", IfNoReflink::Copy, &mut go_on),
        Err(Error::NameTaken(_))
    ));
    for bad in ["../x", ".x", "a/b", ""] {
        assert!(matches!(
            library.add_medium(&iso, bad, IfNoReflink::Copy, &mut go_on),
            Err(Error::BadName { .. })
        ));
    }
    let stopped = library.add_medium(&iso, "never.iso", IfNoReflink::Copy, &mut |_| ControlFlow::Break(()));
    // Where blocks can be shared there is nothing to cancel.
    assert!(matches!(stopped, Err(Error::Cancelled)) || stopped.is_ok());
    let names: Vec<String> = library.media().expect("a list").into_iter().map(|m| m.name).collect();
    assert_eq!(&names[..2], ["copy.iso", "link.iso"]);
    machine.set_document(&[("drives.toml".into(), "iso = \"copy.iso\"\n".into())].into()).expect("set");
    let users = || library.medium_users("copy.iso").expect("is told");
    let id = machine.id();
    drop(machine);
    for suffix in ["", " (in the trash)"] {
        assert_eq!(users(), [format!("source{suffix}")]);
        assert!(matches!(library.remove_medium("copy.iso"), Err(Error::MediumInUse { .. })));
        if suffix.is_empty() {
            library.delete(id, 9).expect("deleted");
        }
    }
    library.purge(id).expect("purged");
    library.remove_medium("copy.iso").expect("nobody has it any more");
    library.remove_medium("link.iso").expect("removed");
    assert!(iso.exists());
}

#[test]
fn what_belongs_to_this_host_goes_into_no_copy_and_no_export() {
    let (home, library, mut source, qemu) = machine();
    assert_eq!(source.host().expect("nothing yet"), HostSettings::default());
    let settings = HostSettings {
        pinned: [("editor".to_owned(), "Editor".to_owned())].into(),
        shares: [("docs".into(), "/home/ada/docs".into())].into(),
        vnc_password: Some("geheim!!".into()),
        process: Some(sampan_config::HostKind::Fork),
    };
    source.set_host(&settings).expect("is set");
    assert_eq!(library.read(source.id()).expect("reads").host().expect("reads"), settings);
    let mode = source.path().join("host.json").metadata().expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!format!("{settings:?}").contains("geheim"));

    let full = source
        .clone_full(
            &qemu,
            None,
            NewClone { name: "full", time: 5, change: &mut |_| (), medium: None },
            &mut go_on,
        )
        .expect("cloned");
    let linked = source
        .clone_linked(&qemu, None, NewClone { name: "linked", time: 5, change: &mut |_| (), medium: None })
        .expect("cloned");
    let file = home.path().join("source.sampanvm");
    source.export(&qemu, None, &file, &mut go_on).expect("exported");
    let bytes = std::fs::read(&file).expect("reads");
    for secret in ["geheim!!", "/home/ada/docs"] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    let imported = library
        .import(&file, Some("back"), 6, &mut |_, sections| Ok(sections), &mut go_on)
        .expect("imported");
    for copy in [&full, &linked, &imported] {
        assert_eq!(copy.host().expect("reads"), HostSettings::default(), "{}", copy.name());
    }
    // It comes back from the trash with its machine; and what is none of ours is told without its words.
    let id = source.id();
    drop((source, linked));
    let linked = library.find("linked").expect("found");
    library.delete(linked, 7).expect("deleted");
    library.purge(linked).expect("purged");
    library.delete(id, 8).expect("deleted");
    let source = library.undelete(id, None).expect("back");
    assert_eq!(source.host().expect("reads"), settings);
    std::fs::write(source.path().join("host.json"), r#"{"vnc_password":"geheim!!","x":1}"#).expect("writes");
    let words = source.host().expect_err("none of ours").to_string();
    assert!(words.contains("host.json") && !words.contains("geheim"), "{words}");
}

#[test]
fn a_medium_of_a_machine_that_never_was_goes_with_it() {
    let home = tempfile::tempdir().expect("a folder");
    let library = Library::open(home.path()).expect("a library");
    let names = || -> Vec<String> { library.media().expect("lists").into_iter().map(|m| m.name).collect() };
    let mut draft = library.draft("never", &document("x"), 1).expect("begun");
    draft.write_medium("seed.iso", b"secret").expect("written");
    let path = home.path().join("media/seed.iso");
    assert_eq!(path.metadata().expect("is there").permissions().mode() & 0o777, 0o600);
    let again = draft.write_medium("seed.iso", b"again");
    assert!(matches!(again, Err(Error::NameTaken(_))), "it replaces nothing: {again:?}");
    for bad in [".hidden", "a/b", ""] {
        assert!(matches!(draft.write_medium(bad, b""), Err(Error::BadName { .. })), "{bad}");
    }
    drop(draft);
    assert_eq!(names(), [""; 0]);
    let mut draft = library.draft("is", &document("\"seed.iso\""), 1).expect("begun");
    draft.write_medium("seed.iso", b"secret").expect("written");
    drop(draft.publish().expect("made"));
    Library::open(home.path()).expect("a library");
    assert_eq!(names(), ["seed.iso"]);
}
