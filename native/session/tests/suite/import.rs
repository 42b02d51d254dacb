//! Machines of other programs become machines that start.

use crate::common::{child, colour_disk, colour_picture, libqemu};
use rustix::fs::inotify;
use sampan_config::{Arch, Bus, Chipset, DriveKind, FirmwareKind, NicDevice, Preset, VmConfig, Vnc};
use sampan_emulator::probe;
use sampan_library::{
    BlockLayer, ImageFormat, Library, NewImage, Preallocation, Sections, SourceFormat, TarWriter, Target,
};
use sampan_session::Command;
use sampan_session::images::QemuBlockLayer;
use sampan_session::vm::{
    Foreign, Host, Imported, RunOptions, UEFI_VARIABLES, Vm, VmError, import_archive, uefi_variables,
};
use std::fs;
use std::io::Write;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

fn utm(folder: &Path, name: &str, config: &str, disk: &Path) -> PathBuf {
    let utm = folder.join(format!("{name}.utm"));
    fs::create_dir_all(utm.join("Data")).expect("made");
    fs::write(utm.join("config.plist"), format!("<plist version=\"1.0\"><dict>{config}</dict></plist>"))
        .expect("written");
    fs::copy(disk, utm.join("Data/disk.img")).expect("copied");
    utm
}

/// Of version 4; `system` and `more` are sections.
fn config(name: &str, system: &str, bus: &str, more: &str) -> String {
    format!(
        "<key>Backend</key><string>QEMU</string><key>ConfigurationVersion</key><integer>4</integer>\
         <key>Information</key><dict><key>Name</key><string>{name}</string></dict>\
         <key>System</key><dict>{system}</dict>\
         <key>Drive</key><array><dict><key>ImageName</key><string>disk.img</string><key>ImageType</key><string>Disk</string>\
         <key>Interface</key><string>{bus}</string></dict>\
         <dict><key>ImageName</key><string>setup.iso</string><key>ImageType</key><string>CD</string>\
         <key>Interface</key><string>USB</string></dict></array>{more}"
    )
}

const PC: &str = "<key>Architecture</key><string>x86_64</string><key>Target</key><string>pc</string>\
    <key>MemorySize</key><integer>96</integer><key>CPUCount</key><integer>1</integer>";
const ARM: &str = "<key>Architecture</key><string>aarch64</string><key>Target</key><string>virt</string>\
    <key>MemorySize</key><integer>9999999</integer><key>CPUCount</key><integer>300</integer>";

async fn import(home: &Path, from: &Path) -> Result<(Library, QemuBlockLayer, Imported), VmError> {
    let library = Library::open(home.join("library")).expect("a library");
    let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
    let (place, layer, from) = (library.clone(), images.clone(), from.to_owned());
    let imported = tokio::task::spawn_blocking(move || {
        let firmware = libqemu().firmware().expect("firmware");
        Foreign::read(&from)?.import(&place, &layer, &firmware, None, 1, &mut |_| ControlFlow::Continue(()))
    });
    Ok((library, images, imported.await.expect("a thread")?))
}

fn document(imported: &Imported) -> VmConfig {
    VmConfig::from_files(&imported.machine.document().expect("a document")).expect("is one")
}

fn told(imported: &Imported, word: &str) {
    assert!(imported.notes.iter().any(|note| note.message.contains(word)), "{word}: {:?}", imported.notes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pc_of_utm_starts_from_its_disk() {
    let home = tempfile::tempdir().expect("a folder");
    let more = "<key>QEMU</key><dict><key>UEFIBoot</key><false/><key>TPMDevice</key><true/></dict>\
        <key>Network</key><array><dict><key>Mode</key><string>Shared</string><key>Hardware</key><string>rtl8139</string>\
        <key>MacAddress</key><string>AA:BB:CC:00:11:22</string></dict><dict><key>Hardware</key><string>ne2k_pci</string>\
        <key>MacAddress</key><string>AA:BB:CC:00:11:22</string></dict></array>";
    let from = utm(home.path(), "old", &config("Old PC", PC, "IDE", more), &colour_disk(home.path(), 4));
    let (library, images, imported) = import(home.path(), &from).await.expect("is imported");
    assert_eq!(imported.machine.name(), "Old PC");
    for word in ["TPM", "setup.iso", "ne2k_pci", "address of network card 1"] {
        told(&imported, word);
    }
    let document = document(&imported);
    assert_eq!((document.system.machine, document.firmware.kind), (Chipset::Pc, FirmwareKind::Bios));
    assert_eq!((document.memory.mib, document.cpu.count), (96, 1));
    let disks: Vec<_> = document.drives.drives.iter().filter(|d| d.kind == DriveKind::Disk).collect();
    assert_eq!((disks.len(), disks[0].bus), (1, Bus::Ide));
    let cards = &document.network.cards;
    assert_eq!((cards[0].device, cards[1].device), (NicDevice::Rtl8139, NicDevice::E1000));
    assert_eq!(cards[0].mac.map(|mac| mac.to_string()).as_deref(), Some("aa:bb:cc:00:11:22"));
    assert_eq!(cards[1].mac, None);

    let libqemu = libqemu();
    let choice = probe(Some(&libqemu)).choose(Arch::X86_64).expect("guests can be run");
    let log = std::sync::Arc::new(sampan_session::LogCrate::new("machine"));
    let host = Host { library, libqemu, launcher: child(), choice, images, log };
    let vm = Vm::start(host, imported.machine, RunOptions::default()).await.expect("starts");
    colour_picture(vm.session(), 4).await;
    vm.session().execute(Command::Quit).await.expect("quits");
    vm.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_arm_machine_gets_uefi_and_what_cannot_be_is_told() {
    let home = tempfile::tempdir().expect("a folder");
    let from = utm(home.path(), "arm", &config("Arm", ARM, "VirtIO", ""), &colour_disk(home.path(), 1));
    let (_, _, imported) = import(home.path(), &from).await.expect("is imported");
    for word in ["9999999 MiB", "300 CPUs", "without UEFI", "setup.iso"] {
        told(&imported, word);
    }
    let drives: Vec<String> = imported.machine.manifest().drives.keys().map(ToString::to_string).collect();
    assert!(drives.iter().any(|drive| drive == UEFI_VARIABLES) && drives.len() == 2, "{drives:?}");
    let document = document(&imported);
    assert_eq!((document.system.arch, document.firmware.kind), (Arch::Aarch64, FirmwareKind::Uefi));
    assert!(document.drives.drives.iter().any(|drive| drive.bus == Bus::VirtioBlk));
    assert!(document.check().is_empty(), "{:?}", document.check());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_utm_machines_uefi_variables_come_with_it_if_they_fit() {
    let firmware = libqemu().firmware().expect("firmware").join(uefi_variables(Arch::X86_64));
    let mut variables = fs::read(firmware).expect("is read");
    // A mark where variables are free to be written.
    let mark = variables.len() - 16;
    variables[mark..].copy_from_slice(b"this guest's own");
    let system = PC.replace("pc</string>", "q35</string>");
    let more = "<key>QEMU</key><dict><key>UEFIBoot</key><true/></dict>";
    let config = config("Uefi", &system, "VirtIO", more);
    let cases = [
        (variables.clone(), None),
        (variables[..65536].to_vec(), Some("65536 bytes")),
        (vec![0; 100_000], Some("none that is known")),
    ];
    for (bytes, left_out) in cases {
        let home = tempfile::tempdir().expect("a folder");
        let from = utm(home.path(), "uefi", &config, &colour_disk(home.path(), 1));
        fs::write(from.join("Data/efi_vars.fd"), &bytes).expect("is written");
        let (_, images, imported) = import(home.path(), &from).await.expect("is imported");
        let mut drives = imported.machine.open_drives().expect("are sound");
        let chain = drives.remove(&UEFI_VARIABLES.parse().expect("an id")).expect("is there");
        let raw = NewImage {
            path: home.path().join("raw"),
            format: ImageFormat::Raw,
            size: variables.len() as u64,
            preallocation: Preallocation::Dynamic,
            backing: None,
        };
        let path = raw.path.clone();
        let copied = tokio::task::spawn_blocking(move || {
            images.convert(&chain, &raw, &mut |_| ControlFlow::Continue(()))
        });
        copied.await.expect("a thread").expect("is copied");
        let now = fs::read(path).expect("is read");
        assert_eq!(now == variables, left_out.is_none(), "{left_out:?}");
        let said = imported.notes.iter().find(|note| note.code == "uefi_variables_left_out");
        match left_out {
            None => assert_eq!(said, None),
            Some(words) => assert!(said.is_some_and(|said| said.message.contains(words)), "{said:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_processor_is_refused_and_leaves_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let system = PC.replace("x86_64", "ppc64");
    let from = utm(home.path(), "mac", &config("Mac", &system, "IDE", ""), &colour_disk(home.path(), 1));
    let error = import(home.path(), &from).await.map(drop).expect_err("is refused");
    assert!(error.to_string().contains("ppc64"), "{error}");
    assert!(
        Library::open(home.path().join("library")).expect("a library").list().expect("a list").is_empty()
    );
}

const OVF: &str = r#"<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
<References><File ovf:href="disk.img" ovf:id="f"/></References>
<DiskSection><Disk ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="d" ovf:fileRef="f"/></DiskSection>
<VirtualSystem ovf:id="vm"><Name>Appliance</Name><VirtualHardwareSection>
<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
<Item><rasd:HostResource>/disk/d</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
</VirtualHardwareSection></VirtualSystem></Envelope>"#;

/// An appliance with that disk.
fn ova(folder: &Path, disk: &[u8]) -> PathBuf {
    let mut tar = TarWriter::new(Vec::new());
    for (name, bytes) in [("vm.ovf", OVF.as_bytes()), ("disk.img", disk)] {
        tar.begin(name, bytes.len() as u64).expect("begun");
        tar.write_all(bytes).expect("written");
    }
    let file = folder.join("vm.ova");
    fs::write(&file, tar.finish().expect("finished")).expect("written");
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_is_taken_over_with_what_it_has_here() {
    let home = tempfile::tempdir().expect("a folder");
    let disk = fs::read(colour_disk(home.path(), 1)).expect("is read");
    let file = ova(home.path(), &disk);
    let (_, _, imported) = import(home.path(), &file).await.expect("is imported");
    for word in ["Scsi", "VmxNet3"] {
        told(&imported, word);
    }
    let document = document(&imported);
    assert_eq!((document.system.machine, document.firmware.kind), (Chipset::Q35, FirmwareKind::Uefi));
    assert_eq!(document.memory.mib, 512);
    assert_eq!(document.network.cards[0].device, NicDevice::E1000e);
    let drives: Vec<String> = imported.machine.manifest().drives.keys().map(ToString::to_string).collect();
    assert_eq!(drives, ["disk0", UEFI_VARIABLES]);
}

/// VMDK images that name a file as their data: a descriptor, a sparse extent with it inside, and one whose capacity of 0
/// makes QEMU take the descriptor for the image.
fn hostile(names: &Path) -> Vec<Vec<u8>> {
    let descriptor = format!(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\
         RW 2048 FLAT \"{}\" 0\n",
        names.display()
    );
    let sparse = |capacity: u64| {
        let mut image = vec![0; 64 << 10];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"KDMV\x01\0\0\0\x03\0\0\0");
        for (at, value) in [(12, capacity), (20, 128), (28, 1), (36, 20), (48, 21), (56, 26), (64, 128)] {
            put(at, &value.to_le_bytes());
        }
        put(44, &512u32.to_le_bytes());
        put(512, descriptor.as_bytes());
        image
    };
    vec![descriptor.clone().into_bytes(), sparse(2048), sparse(0)]
}

/// A file of 1 MiB that nobody may open, and a watch on it.
fn secret(folder: &Path) -> (PathBuf, OwnedFd) {
    let file = folder.join("secret");
    fs::write(&file, vec![0x5e; 1 << 20]).expect("written");
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).expect("a watch");
    inotify::add_watch(&watch, &file, inotify::WatchFlags::OPEN).expect("watched");
    (file, watch)
}

fn was_opened(watch: &OwnedFd) -> bool {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    inotify::Reader::new(watch, &mut buffer).next().is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_names_a_file_of_the_host_is_refused_and_the_file_not_opened() {
    let home = tempfile::tempdir().expect("a folder");
    let (secret, watch) = secret(home.path());
    for (n, image) in hostile(&secret).into_iter().enumerate() {
        // As the disk of an appliance, and alone.
        let appliance = ova(home.path(), &image);
        let error = import(home.path(), &appliance).await.map(drop).expect_err("is refused").to_string();
        assert!(error.contains("other files") || error.contains("capacity of 0"), "{error}");
        let library = Library::open(home.path().join("library")).expect("a library");
        assert!(library.list().expect("a list").is_empty());
        let file = home.path().join("disk.vmdk");
        fs::write(&file, &image).expect("written");
        let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
        let alone = Library::open(home.path().join("alone")).expect("a library");
        let error = tokio::task::spawn_blocking(move || {
            let mut machine = alone.create(&format!("{n}"), &[].into(), 1).expect("made");
            let drive = "disk0".parse().expect("an id");
            let mut go_on = |_| ControlFlow::Continue(());
            let done = machine.import_drive(&images, &drive, &file, None, Target::default(), &mut go_on);
            assert_eq!(fs::read_dir(machine.disks_folder()).expect("a folder").count(), 0);
            done.map(drop).expect_err("is refused").to_string()
        });
        let error = error.await.expect("a thread");
        assert!(error.contains("other files") || error.contains("capacity of 0"), "{error}");
    }
    assert!(!was_opened(&watch));
    fs::read(&secret).expect("is read");
    assert!(was_opened(&watch), "the watch sees it");
}

/// Whoever opens an image without looking at it first: libqemu opens no file that only the image names.
#[test]
fn libqemu_opens_no_file_that_only_an_image_names() {
    let home = tempfile::tempdir().expect("a folder");
    let (secret, watch) = secret(home.path());
    let mut cases: Vec<_> = hostile(&secret).into_iter().map(|image| (image, SourceFormat::Vmdk)).collect();
    // A sparse extent is its own data whatever its descriptor says.
    cases.remove(1);
    let qcow2 = home.path().join("data.qcow2");
    let option = format!("data_file={},data_file_raw=on", home.path().join("data").display());
    let made = std::process::Command::new(libqemu().qemu_img().expect("qemu-img"))
        .args(["create", "-q", "-f", "qcow2", "-o", &option])
        .args([qcow2.as_path(), Path::new("1M")])
        .status();
    assert!(made.expect("it runs").success());
    // The new image's data are what QEMU made; it is to name the other file, with a name of the same length.
    let bytes = fs::read(&qcow2).expect("is read");
    let (from, to) = (home.path().join("data"), home.path().join("link"));
    std::os::unix::fs::symlink(&secret, &to).expect("linked");
    let (from, to) = (from.to_str().expect("text"), to.to_str().expect("text"));
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).expect("it names it");
    let mut image = bytes;
    image[at..at + to.len()].copy_from_slice(to.as_bytes());
    cases.push((image, SourceFormat::Qcow2));
    // The library's own calls look at an image first, so its tools are asked, which are made of the same sources.
    for (image, format) in cases {
        let path = home.path().join("image");
        fs::write(&path, image).expect("written");
        let options = format!("driver={},file.driver=file,file.filename={}", format.driver(), path.display());
        let copied = std::process::Command::new(libqemu().qemu_img().expect("qemu-img"))
            .args(["convert", "-O", "raw", "--image-opts", &options])
            .arg(home.path().join("copy"))
            .output()
            .expect("it runs");
        let refused = String::from_utf8_lossy(&copied.stderr);
        assert!(!copied.status.success(), "{format:?} is copied");
        assert!(refused.contains("which is opened only if given as"), "{refused}");
    }
    assert!(!was_opened(&watch));
}

/// A file with a machine without disks, as whoever sends it may have made it.
async fn archive(home: &Path, name: &str, files: &Sections) -> PathBuf {
    let theirs = Library::open(home.join(format!("{name}'s library"))).expect("a library");
    let machine = theirs.create(name, files, 1).expect("made");
    let images = QemuBlockLayer::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
    let file = home.join(format!("{name}.sampanvm"));
    let to = file.clone();
    let exported = tokio::task::spawn_blocking(move || {
        machine.export(&images, None, &to, &mut |_| ControlFlow::Continue(())).map(drop)
    });
    exported.await.expect("a thread").expect("is exported");
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_machine_in_a_file_nothing_reaches_out_of_it() {
    let home = tempfile::tempdir().expect("a folder");
    let mut theirs = VmConfig::new("another name", Preset::Linux, Arch::X86_64);
    theirs.network.cards[0].forwards.push("tcp:0.0.0.0:2222:22".parse().expect("a forward"));
    theirs.displays.vnc = Some(Vnc::default());
    theirs.extra.arguments.push("-full-screen".into());
    let file = archive(home.path(), "theirs", &theirs.to_files()).await;
    let library = Library::open(home.path().join("library")).expect("a library");
    let mut go_on = |_| ControlFlow::Continue(());
    for name in [None, Some("mine")] {
        let imported = import_archive(&library, &file, name, 1, &mut go_on).expect("is imported");
        for word in ["tcp:0.0.0.0:2222:22", "VNC", "“-full-screen”"] {
            told(&imported, word);
        }
        let ours = document(&imported);
        assert_eq!((imported.machine.name(), ours.system.name.as_str()), {
            let name = name.unwrap_or("theirs");
            (name, name)
        });
        assert!(ours.network.cards.iter().all(|card| card.forwards.is_empty()));
        assert!(ours.displays.vnc.is_none() && ours.extra.arguments.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_description_cannot_be_read_is_refused_and_leaves_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let mut files = VmConfig::new("odd", Preset::Linux, Arch::X86_64).to_files();
    files.insert("extra.json".into(), "{\"arguments\": [\"-full-screen\"], \"more\": 1}".into());
    let file = archive(home.path(), "odd", &files).await;
    let library = Library::open(home.path().join("library")).expect("a library");
    let refused = import_archive(&library, &file, None, 1, &mut |_| ControlFlow::Continue(()));
    let words = refused.map(drop).expect_err("is refused").to_string();
    assert!(words.contains("extra.json") && words.contains("more"), "{words}");
    assert_eq!(fs::read_dir(library.home().join("vms")).expect("a folder").count(), 0);
}
