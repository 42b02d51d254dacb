//! Machines of other programs: UTM bundles, OVF and OVA.

use crate::common::{QemuImg, document};
use sampan_library::{
    Bus, Error, Library, Locked, Origin, TarReader, TarWriter, parse_ovf, parse_utm, plan_import,
};
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

const SIZE: usize = 2 << 20;

const UTM4: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>Backend</key><string>QEMU</string>
<key>ConfigurationVersion</key><integer>4</integer>
<key>Information</key><dict><key>Name</key><string>Debian/ARM</string></dict>
<key>System</key><dict><key>Architecture</key><string>aarch64</string><key>Target</key><string>virt</string>
<key>MemorySize</key><integer>4096</integer><key>CPUCount</key><integer>0</integer></dict>
<key>QEMU</key><dict><key>UEFIBoot</key><true/><key>TPMDevice</key><true/>
<key>AdditionalArguments</key><array><string>-drive</string></array></dict>
<key>Drive</key><array>
<dict><key>Identifier</key><string>A</string><key>ImageName</key><string>a.qcow2</string>
<key>ImageType</key><string>Disk</string><key>Interface</key><string>VirtIO</string><key>ReadOnly</key><false/></dict>
<dict><key>Identifier</key><string>B</string><key>ImageType</key><string>CD</string><key>Interface</key><string>USB</string></dict>
<dict><key>Identifier</key><string>C</string><key>ImageName</key><string>raw.img</string>
<key>ImageType</key><string>Disk</string><key>Interface</key><string>NVMe</string></dict>
<dict><key>Identifier</key><string>D</string><key>ImageName</key><string>../../evil</string>
<key>ImageType</key><string>Disk</string><key>Interface</key><string>NVMe</string></dict>
</array>
<key>Network</key><array><dict><key>Mode</key><string>Bridged</string><key>Hardware</key><string>virtio-net-pci</string>
<key>MacAddress</key><string>AA:BB:CC:00:11:22</string></dict></array>
</dict></plist>"#;

const UTM2: &str = r#"<plist version="1.0"><dict>
<key>ConfigurationVersion</key><integer>2</integer>
<key>System</key><dict><key>Architecture</key><string>x86_64</string><key>Target</key><string>q35</string>
<key>Memory</key><integer>512</integer><key>CPUCount</key><integer>2</integer></dict>
<key>Drives</key><array><dict><key>ImagePath</key><string>disk.qcow2</string><key>ImageType</key><string>disk</string>
<key>InterfaceType</key><string>ide</string></dict></array>
<key>Networking</key><dict><key>NetworkEnabled</key><true/><key>NetworkMode</key><string>emulated</string>
<key>NetworkCard</key><string>rtl8139,evil=1</string><key>NetworkCardMAC</key><string>nonsense</string></dict>
</dict></plist>"#;

const OVF: &str = r#"<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
<References><File ovf:href="disk.vmdk" ovf:id="file1"/></References>
<DiskSection><Info/><Disk ovf:capacity="2" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="vmdisk1" ovf:fileRef="file1"/></DiskSection>
<VirtualSystem ovf:id="vm"><Name>Appliance</Name>
<OperatingSystemSection ovf:id="94"><Description>Ubuntu_64</Description></OperatingSystemSection>
<VirtualHardwareSection>
<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
<Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>AHCI</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType></Item>
<Item><rasd:HostResource>/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>E1000</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
<Item><rasd:ElementName>odd thing</rasd:ElementName><rasd:InstanceID>6</rasd:InstanceID><rasd:ResourceType>99</rasd:ResourceType></Item>
<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
</VirtualHardwareSection></VirtualSystem></Envelope>"#;

fn go_on(_: sampan_library::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn import(library: &Library, from: &Path, name: &str) -> sampan_library::Result<Locked> {
    let (origin, plan) = plan_import(from)?;
    let (machine, _) = library.import_plan(
        &QemuImg::find(),
        &origin,
        &plan,
        name,
        1,
        &document("a"),
        &mut |_| Ok(()),
        &mut go_on,
    )?;
    Ok(machine)
}

fn raw(folder: &Path) -> std::path::PathBuf {
    let raw = folder.join("raw.img");
    let mut content = vec![0; SIZE];
    content[..65536].fill(0x42);
    content[510..512].copy_from_slice(b"\x55\xaa");
    fs::write(&raw, content).expect("written");
    raw
}

#[test]
fn a_utm_machine_of_today_is_planned_and_imported() {
    let home = tempfile::tempdir().expect("a folder");
    let utm = home.path().join("Debian.utm");
    fs::create_dir_all(utm.join("Data")).expect("made");
    fs::write(utm.join("config.plist"), UTM4).expect("written");
    let source = raw(&utm.join("Data"));
    let qcow2 = utm.join("Data/a.qcow2");
    let (from, to) = (source.to_str().expect("text"), qcow2.to_str().expect("text"));
    let qemu = QemuImg::find();
    qemu.run(&qcow2, &["convert", "-f", "raw", "-O", "qcow2", from, to]).expect("converted");
    let (origin, plan) = plan_import(&utm).expect("planned");
    assert_eq!(origin, Origin::Folder(utm.canonicalize().expect("a folder")));
    assert_eq!((plan.name.as_deref(), plan.arch.as_deref()), (Some("Debian-ARM"), Some("aarch64")));
    assert_eq!((plan.memory_mib, plan.cpus, plan.uefi), (Some(4096), None, Some(true)));
    let disks: Vec<_> = plan.disks.iter().map(|d| (d.file.as_str(), d.bus)).collect();
    assert_eq!(disks, [("Data/a.qcow2", Bus::Virtio), ("Data/raw.img", Bus::Nvme)]);
    assert_eq!(plan.nics[0].mac.as_deref(), Some("aa:bb:cc:00:11:22"));
    for word in ["TPM", "“-drive”", "bridged", "removable", "evil"] {
        assert!(plan.notes.iter().any(|n| n.to_string().contains(word)), "{word}: {:?}", plan.notes);
    }
    let library = Library::open(home.path().join("library")).expect("a library");
    let machine = import(&library, &utm, "utm").expect("imported");
    for drive in machine.manifest().drives.keys() {
        assert_eq!(qemu.content(&machine.chain(drive).expect("a chain"))[0], 0x42, "{drive}");
    }
    assert_eq!(machine.manifest().drives.len(), 2);
    // A link in the bundle leads nowhere.
    fs::remove_file(&qcow2).expect("removed");
    std::os::unix::fs::symlink(&source, &qcow2).expect("linked");
    assert!(matches!(import(&library, &utm, "again"), Err(Error::NotAFile(_))));
    assert_eq!(library.list().expect("a list").len(), 1);
}

#[test]
fn an_older_utm_machine_is_read_too() {
    let plan = parse_utm(UTM2).expect("read");
    assert_eq!((plan.machine.as_deref(), plan.memory_mib, plan.cpus), (Some("q35"), Some(512), Some(2)));
    assert_eq!((plan.disks[0].file.as_str(), plan.disks[0].bus), ("Images/disk.qcow2", Bus::Ide));
    assert_eq!((&plan.nics[0].model, &plan.nics[0].mac), (&None, &None), "nothing odd gets through");
}

#[test]
fn what_is_no_qemu_machine_of_utm_is_refused_in_words() {
    let apple = UTM4.replace("<string>QEMU</string>", "<string>Apple</string>");
    assert!(parse_utm(&apple).expect_err("refused").to_string().contains("Apple"));
    let newer = UTM4.replace("<integer>4</integer>", "<integer>5</integer>");
    assert!(parse_utm(&newer).expect_err("refused").to_string().contains("newer"));
    assert!(parse_utm("bplist00").expect_err("refused").to_string().contains("plutil"));
    let laughs = r#"<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]><plist>&d;</plist>"#;
    parse_utm(laughs).expect_err("refused");
    let deep = format!("<plist>{}", "<array>".repeat(200_000));
    parse_utm(&deep).expect_err("refused");
}

/// An appliance with a stream-optimised disk, as VMware and VirtualBox export them.
fn ova(folder: &Path, ovf: &str, sum: Option<&str>) -> std::path::PathBuf {
    let wrong = sum.map(|sum| format!("SHA256(disk.vmdk)= {sum}\n"));
    summed(folder, ovf, |file| wrong.clone().unwrap_or_else(|| digest("SHA256", file, "disk.vmdk")))
}

/// A manifest's line, by the system's own program (`sha1sum`, …).
fn digest(algorithm: &str, file: &Path, name: &str) -> String {
    let program = format!("{}sum", algorithm.to_ascii_lowercase());
    let out = std::process::Command::new(program).arg(file).output().expect("it runs");
    let text = String::from_utf8(out.stdout).expect("text");
    format!("{algorithm}({name})= {}\n", text.split_whitespace().next().expect("a digest"))
}

/// The same with a manifest that `sums` makes of the disk's file.
fn summed(folder: &Path, ovf: &str, sums: impl Fn(&Path) -> String) -> std::path::PathBuf {
    let (source, vmdk) = (raw(folder), folder.join("disk.vmdk"));
    let (from, to) = (source.to_str().expect("text"), vmdk.to_str().expect("text"));
    let args = ["convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", from, to];
    QemuImg::find().run(&vmdk, &args).expect("converted");
    let sums = sums(&vmdk);
    let mut tar = TarWriter::new(Vec::new());
    let members: [(&str, &[u8]); 3] = [
        ("vm.ovf", ovf.as_bytes()),
        ("vm.mf", sums.as_bytes()),
        ("disk.vmdk", &fs::read(&vmdk).expect("read")),
    ];
    for (name, bytes) in members {
        tar.begin(name, bytes.len() as u64).expect("begun");
        tar.write_all(bytes).expect("written");
    }
    let file = folder.join("vm.ova");
    fs::write(&file, tar.finish().expect("finished")).expect("written");
    file
}

#[test]
fn an_appliance_is_planned_and_imported() {
    let home = tempfile::tempdir().expect("a folder");
    let file = ova(home.path(), OVF, None);
    let (_, plan) = plan_import(&file).expect("planned");
    assert_eq!((plan.name.as_deref(), plan.arch.as_deref()), (Some("Appliance"), Some("x86_64")));
    assert_eq!((plan.memory_mib, plan.cpus, plan.uefi), (Some(1024), Some(2), Some(true)));
    assert_eq!((plan.disks[0].bus, plan.disks[0].size), (Bus::Sata, Some(SIZE as u64)));
    assert_eq!(plan.nics[0].model.as_deref(), Some("E1000"));
    assert!(plan.notes.iter().any(|n| n.to_string().contains("odd thing")), "{:?}", plan.notes);
    let library = Library::open(home.path().join("library")).expect("a library");
    let machine = import(&library, &file, "ova").expect("imported");
    let drive = machine.manifest().drives.keys().next().expect("a drive");
    let content = QemuImg::find().content(&machine.chain(drive).expect("a chain"));
    assert_eq!((content[0], content.len()), (0x42, SIZE));
    assert_eq!(fs::read_dir(machine.path().join("tmp")).expect("a folder").count(), 0);
    // The same as files beside the description.
    fs::write(home.path().join("vm.ovf"), OVF).expect("written");
    import(&library, &home.path().join("vm.ovf"), "ovf").expect("imported");
}

#[test]
fn appliances_that_do_not_hold_what_they_say_are_refused_and_leave_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let library = Library::open(home.path().join("library")).expect("a library");
    let zeros = "0".repeat(64);
    let other = OVF.replace("disk.vmdk", "other.vmdk");
    let outside = OVF.replace("disk.vmdk", "../../etc/shadow");
    let packed = OVF.replace("ovf:href", "ovf:compression=\"gzip\" ovf:href");
    let twice = OVF.replace("</VirtualSystem>", "</VirtualSystem><VirtualSystem ovf:id=\"b\"/>");
    let cases = [
        (OVF, Some(zeros.as_str()), "checksum"),
        (other.as_str(), None, "does not hold"),
        (packed.as_str(), None, "gzip"),
        (twice.as_str(), None, "several"),
    ];
    for (ovf, sum, word) in cases {
        let file = ova(home.path(), ovf, sum);
        let refused = import(&library, &file, "x").expect_err(word).to_string();
        assert!(refused.contains(word), "{word}: {refused}");
        assert!(library.list().expect("a list").is_empty());
    }
    let plan = parse_ovf(&outside).expect("read");
    assert!(
        plan.disks.is_empty() && plan.notes.iter().any(|n| n.to_string().contains("lead out")),
        "{:?}",
        plan.notes
    );
    let file = ova(home.path(), OVF, None);
    let whole = fs::read(&file).expect("read");
    fs::write(&file, &whole[..whole.len() - 4096]).expect("cut");
    import(&library, &file, "x").expect_err("cut");
    assert!(library.list().expect("a list").is_empty());
    assert!(TarReader::new(&b"short"[..]).next_member().is_err());
}

#[test]
fn an_appliances_checksums_of_each_kind_are_compared() {
    let home = tempfile::tempdir().expect("a folder");
    let library = Library::open(home.path().join("library")).expect("a library");
    let said = |file: &Path| {
        let notes = plan_import(file).expect("planned").1.notes;
        notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for algorithm in ["SHA1", "SHA256", "SHA512"] {
        let right = summed(home.path(), OVF, |file| digest(algorithm, file, "disk.vmdk"));
        assert!(!said(&right).contains("checksum"), "{algorithm}: {}", said(&right));
        import(&library, &right, algorithm).expect("imported");
        let wrong = summed(home.path(), OVF, |file| {
            let right = digest(algorithm, file, "disk.vmdk");
            right.trim_end().chars().rev().skip(1).collect::<String>().chars().rev().chain(['x']).collect()
        });
        let words = import(&library, &wrong, "wrong").expect_err("damaged").to_string();
        assert!(words.contains("checksum of “disk.vmdk”"), "{algorithm}: {words}");
    }
    // The description is one of its files, too.
    let wrong = summed(home.path(), OVF, |_| format!("SHA1(vm.ovf)= {}\n", "0".repeat(40)));
    assert!(plan_import(&wrong).expect_err("damaged").to_string().contains("checksum of “vm.ovf”"));
    for (line, words) in
        [("MD5(disk.vmdk)= 00\n", "by MD5"), ("SHA1(other)= 00\n", "“disk.vmdk” has no checksum")]
    {
        let file = summed(home.path(), OVF, |_| line.to_owned());
        assert!(said(&file).contains(words), "{}", said(&file));
    }
    assert_eq!(library.list().expect("a list").len(), 3);
}

#[test]
fn what_a_utm_machine_wanted_of_its_host_is_told_one_by_one() {
    let forward = |host: &str| {
        format!(
            "<dict><key>Protocol</key><string>TCP</string>{host}<key>HostPort</key><integer>2222</integer>\
             <key>GuestPort</key><integer>22</integer></dict>"
        )
    };
    let forwards = format!(
        "<key>PortForward</key><array>{}{}</array>",
        forward("<key>HostAddress</key><string>0.0.0.0</string>"),
        forward("")
    );
    let arguments = "<array><string>-drive</string><string>file=/etc/shadow</string></array>";
    let current = format!(
        "<key>ConfigurationVersion</key><integer>4</integer>\
         <key>QEMU</key><dict><key>AdditionalArguments</key>{arguments}</dict>\
         <key>Network</key><array><dict>{forwards}</dict></array>\
         <key>Serial</key><array><dict><key>Mode</key><string>TcpServer</string></dict></array>\
         <key>Sharing</key><dict><key>DirectoryShareMode</key><string>VirtFS</string></dict>"
    );
    let old = format!(
        "<key>ConfigurationVersion</key><integer>2</integer>\
         <key>System</key><dict><key>AddArgs</key>{arguments}</dict>\
         <key>Networking</key><dict>{forwards}</dict>\
         <key>Sharing</key><dict><key>DirectorySharing</key><true/></dict>"
    );
    for (config, serial) in [(current, 1), (old, 0)] {
        let plan = parse_utm(&format!("<plist><dict>{config}</dict></plist>")).expect("is read");
        let told = |word: &str| plan.notes.iter().filter(|note| note.to_string().contains(word)).count();
        for word in ["“-drive”", "“file=/etc/shadow”", "tcp:0.0.0.0:2222:22", "tcp:2222:22", "shared folder"]
        {
            assert_eq!(told(word), 1, "{word}: {:?}", plan.notes);
        }
        assert_eq!(told("serial port"), serial);
    }
}
