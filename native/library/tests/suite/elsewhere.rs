//! Files as people bring them: misnamed, cut off, or written by other programs in their own way (`tests/data/foreign`).

use crate::common::{QemuImg, document};
use sampan_library::{
    Error, ImportNote, ImportPlan, Library, Locked, MachineFile, SourceFormat, machine_file, plan_import,
    probe_import,
};
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

fn foreign(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/foreign").join(name)
}

fn refused(path: &Path) -> String {
    probe_import(path, None).expect_err(&path.display().to_string()).to_string()
}

#[test]
fn content_decides_what_an_image_is_and_not_its_name() {
    for (name, words) in [
        ("overlay.img", "overlay of “v3.qcow2”"),
        ("corrupt.img", "marked corrupt"),
        ("gz.img", "compressed with gzip, not a disk image: unpack it"),
        ("flatd.img", "data are in other files"),
        ("empty.img", "an empty file"),
        ("page.iso", "a web page (HTML)"),
        ("zero.iso", "an empty file"),
    ] {
        let said = refused(&foreign(name));
        assert!(said.contains(words), "{name}: {said}");
    }
    // A disk that shows what it is needs no word, and another may be said to be one.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk.bin");
    let mut disk = vec![0; 1 << 20];
    fs::write(&path, &disk).expect("written");
    let said = refused(&path);
    assert!(said.contains("no boot sector, partition table or file system"), "{said}");
    assert_eq!(probe_import(&path, Some(SourceFormat::Raw)).expect("said").virtual_size, 1 << 20);
    disk[1080..1082].copy_from_slice(b"\x53\xef");
    fs::write(&path, &disk).expect("written");
    assert_eq!(probe_import(&path, None).expect("ext4").format, SourceFormat::Raw);
}

#[test]
fn an_image_that_was_cut_off_is_refused() {
    for name in ["truncated.qcow2", "truncated.vmdk"] {
        let said = refused(&foreign(name));
        assert!(said.contains("not complete") && said.contains("get it anew"), "{name}: {said}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (raw, image) = (folder.path().join("raw"), folder.path().join("image"));
    let mut random = 1u32;
    let mut noise = vec![0u8; 5 << 20];
    noise.fill_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random.to_be_bytes()[0]
    });
    // A hole within, and a last cluster that is a part of one.
    noise[2 << 20..3 << 20].fill(0);
    noise.truncate((5 << 20) - 7 * 512);
    fs::write(&raw, &noise).expect("written");
    let cases: [(&str, &[&str]); 14] = [
        ("qcow2", &["-o", "compat=0.10"]),
        ("qcow2", &["-o", "cluster_size=512"]),
        ("qcow2", &["-o", "cluster_size=2M"]),
        ("qcow2", &["-o", "extended_l2=on"]),
        ("qcow2", &["-o", "preallocation=metadata"]),
        ("qcow2", &["-c"]),
        ("qcow2", &["-c", "-o", "compression_type=zstd"]),
        ("vmdk", &["-o", "subformat=monolithicSparse"]),
        ("vmdk", &["-o", "subformat=streamOptimized"]),
        ("vdi", &["-o", "static=off"]),
        ("vdi", &["-o", "static=on"]),
        ("vhdx", &["-o", "subformat=dynamic,block_size=1M"]),
        ("vpc", &["-o", "subformat=dynamic,force_size=on"]),
        ("vpc", &["-o", "subformat=fixed,force_size=on"]),
    ];
    for (driver, options) in cases {
        let (from, to) = (raw.to_str().expect("text"), image.to_str().expect("text"));
        let args = [&["convert", "-f", "raw", "-O", driver], options, &[from, to]].concat();
        QemuImg::find().run(&image, &args).expect(driver);
        probe_import(&image, None).unwrap_or_else(|e| panic!("{driver} {options:?}: {e}"));
        let whole = fs::read(&image).expect("read");
        for part in [1, 3, 5, 7] {
            // VHD's trailing footer, and one cluster that may be there in part.
            let length = whole.len() * part / 8;
            fs::write(&image, &whole[..length]).expect("cut");
            let said = probe_import(&image, None);
            assert!(said.is_err(), "{driver} {options:?}, {part}/8: {said:?}");
        }
    }
}

#[test]
fn a_raw_disk_that_was_cut_off_is_refused_unless_it_is_said_to_be_raw() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk.img");
    let mut gpt = vec![0; 1 << 20];
    gpt[510..520].copy_from_slice(b"\x55\xaaEFI PART");
    gpt[544..552].copy_from_slice(&2047u64.to_le_bytes());
    let mut ext = vec![0; 1 << 20];
    ext[1080..1082].copy_from_slice(b"\x53\xef");
    ext[1028..1032].copy_from_slice(&256u32.to_le_bytes());
    ext[1048] = 2;
    let mut mbr = vec![0; 1 << 20];
    mbr[510..512].copy_from_slice(b"\x55\xaa");
    mbr[450] = 0x83;
    mbr[454..462].copy_from_slice(&[0, 8, 0, 0, 0, 0, 2, 0]);
    for (disk, whole) in [(gpt, 1 << 20), (ext, 1 << 20), (mbr, 65 << 20)] {
        let file = fs::File::create(&path).expect("made");
        fs::write(&path, &disk).expect("written");
        file.set_len(whole).expect("grown");
        assert_eq!(probe_import(&path, None).expect("whole").format, SourceFormat::Raw);
        file.set_len(whole / 2).expect("cut");
        assert!(refused(&path).contains("not complete"));
        probe_import(&path, Some(SourceFormat::Raw)).expect("said");
    }
    // A boot sector's code is no table.
    let mut boot = vec![0xb8; 512];
    boot[510..].copy_from_slice(b"\x55\xaa");
    fs::write(&path, &boot).expect("written");
    probe_import(&path, None).expect("whole");
}

fn go_on(_: sampan_library::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Its plan, and what it becomes.
fn import(library: &Library, from: &Path, name: &str) -> sampan_library::Result<(ImportPlan, Locked)> {
    let (origin, plan) = plan_import(from)?;
    let (document, finish) = (document("a"), &mut |_: &mut Locked| Ok(()));
    let layer = QemuImg::find();
    let made = library.import_plan(&layer, &origin, &plan, name, 1, &document, finish, &mut go_on)?;
    Ok((plan, made.0))
}

fn library(home: &Path) -> Library {
    Library::open(home.join("library")).expect("a library")
}

#[test]
fn appliances_are_imported_as_others_write_them() {
    let home = tempfile::tempdir().expect("a folder");
    let library = library(home.path());
    for name in ["three.ova", "percent.ova", "macos.ova", "folder.ova", "units2.ova", "gz.ova"] {
        let (plan, machine) =
            import(&library, &foreign(name), name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(plan.memory_mib, Some(256), "{name}: {:?}", plan.notes);
        let disks: Vec<_> = plan.disks.iter().map(|d| (d.drive.to_string(), d.file.as_str())).collect();
        let sizes: Vec<_> = disks
            .iter()
            .map(|(drive, _)| machine.drive_info(&drive.parse().expect("an id")).expect("a drive").size >> 20)
            .collect();
        match name {
            // By their places on the controller, not as they are described.
            "three.ova" => {
                let files: Vec<_> = disks.iter().map(|(_, file)| *file).collect();
                assert_eq!(files, ["box-disk1.vmdk", "box-disk2.vmdk", "box-disk3.vmdk"]);
                assert_eq!((disks[0].0.as_str(), sizes), ("disk0", vec![16, 8, 8]));
            }
            "percent.ova" => assert_eq!(disks, [("disk0".into(), "My Box-disk1.vmdk")]),
            "folder.ova" => assert_eq!(disks, [("disk0".into(), "box/box-disk1.vmdk")]),
            _ => assert_eq!(sizes, [16], "{name}"),
        }
    }
}

/// An appliance of a description and files beside it, packed by GNU tar.
fn pack(folder: &Path, more: &[&str]) -> PathBuf {
    let file = folder.join("made.ova");
    let mut command = Command::new("tar");
    command.args(more).arg("-cf").arg(&file).arg("-C").arg(folder).args(["box.ovf", "box-disk1.vmdk"]);
    assert!(command.status().expect("GNU tar").success());
    file
}

/// What is in one of the appliances.
fn unpacked(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("tar");
    assert!(
        command.arg("-xf").arg(foreign(name)).arg("-C").arg(folder.path()).status().expect("tar").success()
    );
    folder
}

#[test]
fn an_appliance_with_holes_is_imported() {
    let folder = unpacked("macos.ova");
    let disk = folder.path().join("box-disk1.vmdk");
    let raw = folder.path().join("raw");
    let mut content = vec![0; 8 << 20];
    content[7 << 20..].fill(0x42);
    fs::write(&raw, content).expect("written");
    let (from, to) = (raw.to_str().expect("text"), disk.to_str().expect("text"));
    let flat = ["convert", "-f", "raw", "-O", "vdi", "-o", "static=on", "-S", "64k", from, to];
    QemuImg::find().run(&disk, &flat).expect("converted");
    let library = library(folder.path());
    for format in ["gnu", "posix"] {
        let file = pack(folder.path(), &["--sparse", &format!("--format={format}")]);
        assert!(file.metadata().expect("there").len() < 4 << 20, "{format}: it has holes");
        let (_, machine) = import(&library, &file, format).expect(format);
        let chain = machine.chain(&"disk0".parse().expect("an id")).expect("a chain");
        let content = QemuImg::find().content(&chain);
        assert_eq!((content.len(), content[0], content[(7 << 20) + 1]), (8 << 20, 0, 0x42), "{format}");
    }
}

#[test]
fn an_appliance_is_refused_for_what_is_wrong_with_it() {
    let home = tempfile::tempdir().expect("a folder");
    let library = library(home.path());
    let wrong = |path: &Path| import(&library, path, "x").expect_err("refused").to_string();
    // A manifest beside a description counts as one in an archive does, whether the folder or the file is named.
    for path in [foreign("ovf-wrong-mf"), foreign("ovf-wrong-mf/box.ovf")] {
        let said = wrong(&path);
        assert!(said.contains("checksum of “box"), "{said}");
    }
    let beside = unpacked("folder.ova").keep().join("box");
    let digest = |name: &str| {
        let out = Command::new("sha256sum").arg(beside.join(name)).output().expect("it runs");
        String::from_utf8_lossy(&out.stdout).split(' ').next().expect("a digest").to_owned()
    };
    let ovf = digest("box.ovf");
    let manifest = |disk: &str| {
        let sums = format!("SHA256(box.ovf)= {ovf}\nSHA256(box-disk1.vmdk)= {disk}\n");
        fs::write(beside.join("box.mf"), sums).expect("written");
    };
    manifest(&digest("box-disk1.vmdk"));
    import(&library, &beside, "right").expect("imported");
    manifest(&"0".repeat(64));
    let said = wrong(&beside);
    assert!(said.contains("checksum of “box-disk1.vmdk”"), "{said}");
    fs::remove_dir_all(beside.parent().expect("a folder")).expect("removed");

    let said = wrong(&foreign("garbage-disk.utm"));
    assert!(said.contains("a.qcow2") && said.contains("CD image"), "{said}");
    let utm = home.path().join("noise.utm");
    fs::create_dir_all(utm.join("Data")).expect("made");
    fs::copy(foreign("garbage-disk.utm/config.plist"), utm.join("config.plist")).expect("copied");
    fs::write(utm.join("Data/a.qcow2"), [7; 4096]).expect("written");
    let said = wrong(&utm);
    assert!(said.contains("a.qcow2") && said.contains("no image of a known format"), "{said}");
    // A description with a unit that nobody knows is told, and one on a server is refused.
    let text = fs::read_to_string(unpacked("units2.ova").path().join("box.ovf")).expect("read");
    let plan = sampan_library::parse_ovf(&text.replace("bytes * 2^20", "furlongs")).expect("read");
    assert_eq!(plan.memory_mib, None);
    assert!(plan.notes.iter().any(|note| note.to_string().contains("furlongs")), "{:?}", plan.notes);
    let url = text.replace("href=\"box-disk1", "href=\"https://example.org/box-disk1");
    assert!(sampan_library::parse_ovf(&url).expect_err("elsewhere").to_string().contains("download it"));
}

#[test]
fn units_of_memory_are_read_in_all_their_spellings() {
    let text = fs::read_to_string(unpacked("units2.ova").path().join("box.ovf")).expect("read");
    for (unit, quantity, mib) in [
        ("byte * 2^20", 256, 256),
        ("byte*2^30", 2, 2048),
        ("Bytes * 2 ^ 20", 256, 256),
        ("byte * 1024 * 1024", 256, 256),
        ("MegaBytes", 256, 256),
        ("megabyte", 256, 256),
        ("MB", 256, 256),
        ("MiB", 256, 256),
        ("GigaBytes", 1, 1024),
        ("gibibyte", 1, 1024),
        ("KiloBytes", 262_144, 256),
        ("byte", 268_435_456, 256),
        ("byte * 10^6", 268, 255),
    ] {
        let text = text.replace("bytes * 2^20", unit).replace(">256<", &format!(">{quantity}<"));
        assert_eq!(sampan_library::parse_ovf(&text).expect("read").memory_mib, Some(mib), "{unit}");
    }
}

#[test]
fn what_is_brought_in_is_told_by_its_content() {
    let home = tempfile::tempdir().expect("a folder");
    let library = library(home.path());
    let at = |name: &str| home.path().join(name);
    let put = |name: &str, bytes: &[u8]| {
        fs::write(at(name), bytes).expect("written");
        at(name)
    };
    // An OVA that is called OVF, and a description that is called text.
    fs::copy(foreign("three.ova"), at("box.ovf")).expect("copied");
    import(&library, &at("box.ovf"), "renamed").expect("imported");
    let folder = unpacked("macos.ova");
    fs::rename(folder.path().join("box.ovf"), folder.path().join("box.txt")).expect("renamed");
    import(&library, &folder.path().join("box.txt"), "text").expect("imported");
    let mut page = String::new();
    fs::File::open(foreign("page.iso")).expect("there").read_to_string(&mut page).expect("read");
    for (path, words) in [
        (foreign("overlay.img"), "disk image (qcow2), not a machine: make a machine of it"),
        (foreign("truncated.vmdk"), "disk image (vmdk)"),
        (put("box.utm.zip", b"PK\x03\x04...."), "unpack it, and import the folder"),
        (put("box.ova.gz", b"\x1f\x8b...."), "gunzip"),
        (put("box.ova", page.as_bytes()), "web page (HTML), not a machine"),
        (put("empty.ova", b""), "an empty file"),
        (put("noise.ova", &[7; 4096]), "no machine of a known kind"),
        (put("a.iso", &[vec![0; 32_769], b"CD001".to_vec()].concat()), "a machine that starts from it"),
        (foreign("garbage-disk.utm/config.plist"), "the folder that it lies in"),
        (home.path().to_owned(), "neither a config.plist"),
    ] {
        for said in [
            plan_import(&path).map(drop).expect_err("refused").to_string(),
            // A folder is taken for another program's without a look.
            match machine_file(&path) {
                Ok(MachineFile::Foreign) if path.is_dir() => continue,
                other => other.expect_err("refused").to_string(),
            },
        ] {
            assert!(said.contains(words), "{}: {said}", path.display());
            assert!(!said.contains("damaged:"), "{said}");
        }
    }
    assert!(matches!(plan_import(&at("none")), Err(Error::Io { .. })));
}

#[test]
fn snapshots_inside_an_image_are_told_to_stay_there() {
    let home = tempfile::tempdir().expect("a folder");
    let image = home.path().join("image.qcow2");
    let file = image.to_str().expect("text");
    let qemu = QemuImg::find();
    qemu.run(&image, &["create", "-f", "qcow2", file, "4M"]).expect("made");
    let told = || ImportNote::of_snapshots(&probe_import(&image, None).expect("sound"), "image.qcow2");
    assert_eq!(told(), None);
    for (name, words) in [("one", "the snapshot inside “image.qcow2”"), ("two", "the 2 snapshots inside")]
    {
        qemu.run(&image, &["snapshot", "-c", name, file]).expect("made");
        let said = told().map(|note| note.to_string());
        assert!(said.as_ref().is_some_and(|said| said.contains(words)), "{said:?}");
    }
}
