//! Machines of other programs become machines that start.

mod common;

use common::{child, colour_disk, colour_picture, libqemu};
use sampan_config::{Arch, Bus, Chipset, Document, DriveKind, FirmwareKind, NicDevice, Preset, Vnc};
use sampan_emulator::probe;
use sampan_library::{BlockLayer, ImageFormat, Library, NewImage, Preallocation, Sections, TarWriter};
use sampan_session::Command;
use sampan_session::images::Blocking;
use sampan_session::vm::{
    Foreign, Host, Imported, RunOptions, UEFI_VARIABLES, Vm, VmError, import_archive, uefi_variables,
};
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
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

async fn import(home: &Path, from: &Path) -> Result<(Library, Blocking, Imported), VmError> {
    let library = Library::open(home.join("library")).expect("a library");
    let images = Blocking::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
    let (place, layer, from) = (library.clone(), images.clone(), from.to_owned());
    let imported = tokio::task::spawn_blocking(move || {
        let firmware = libqemu().firmware().expect("firmware");
        Foreign::read(&from)?.import(&place, &layer, &firmware, None, 1, &mut |_| ControlFlow::Continue(()))
    });
    Ok((library, images, imported.await.expect("a thread")?))
}

fn document(imported: &Imported) -> Document {
    Document::from_files(&imported.machine.document().expect("a document")).expect("is one")
}

fn told(imported: &Imported, word: &str) {
    assert!(imported.notes.iter().any(|note| note.contains(word)), "{word}: {:?}", imported.notes);
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
    let host = Host { library, libqemu, launcher: child(), choice, images };
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
        let chain = imported.machine.chain(&UEFI_VARIABLES.parse().expect("an id")).expect("is there");
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
        let said = imported.notes.iter().find(|note| note.contains("UEFI variables"));
        match left_out {
            None => assert_eq!(said, None),
            Some(words) => assert!(said.is_some_and(|said| said.contains(words)), "{said:?}"),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_is_taken_over_with_what_it_has_here() {
    let home = tempfile::tempdir().expect("a folder");
    let disk = fs::read(colour_disk(home.path(), 1)).expect("is read");
    let mut tar = TarWriter::new(Vec::new());
    for (name, bytes) in [("vm.ovf", OVF.as_bytes()), ("disk.img", &disk)] {
        tar.begin(name, bytes.len() as u64).expect("begun");
        tar.write_all(bytes).expect("written");
    }
    let file = home.path().join("vm.ova");
    fs::write(&file, tar.finish().expect("finished")).expect("written");
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

/// A file with a machine without disks, as whoever sends it may have made it.
async fn archive(home: &Path, name: &str, files: &Sections) -> PathBuf {
    let theirs = Library::open(home.join(format!("{name}'s library"))).expect("a library");
    let machine = theirs.create(name, files, 1).expect("made");
    let images = Blocking::new(child(), Arch::X86_64, tokio::runtime::Handle::current());
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
    let mut theirs = Document::new("another name", Preset::Linux, Arch::X86_64);
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
    let mut files = Document::new("odd", Preset::Linux, Arch::X86_64).to_files();
    files.insert("extra.json".into(), "{\"arguments\": [\"-full-screen\"], \"more\": 1}".into());
    let file = archive(home.path(), "odd", &files).await;
    let library = Library::open(home.path().join("library")).expect("a library");
    let refused = import_archive(&library, &file, None, 1, &mut |_| ControlFlow::Continue(()));
    let words = refused.map(drop).expect_err("is refused").to_string();
    assert!(words.contains("extra.json") && words.contains("more"), "{words}");
    assert_eq!(fs::read_dir(library.home().join("vms")).expect("a folder").count(), 0);
}
