//! The description: reading, writing, migrating, checking.

use proptest::prelude::*;
use sampan_config::{
    Arch, Bus, CURRENT_VERSION, Chipset, ClipboardPolicy, ConfigError, Disk, DiskFormat, DriveKind, Forward,
    HostPaths, Keyboard, MAX_SECTION_BYTES, PasteKeys, Preset, Section, Serial, VmConfig, VmConfigError,
};
use std::collections::BTreeMap;
use std::fs;

fn all() -> impl Iterator<Item = (Preset, Arch, VmConfig)> {
    let pairs = Preset::ALL.into_iter().flat_map(|preset| Arch::ALL.map(|arch| (preset, arch)));
    pairs.map(|(preset, arch)| (preset, arch, VmConfig::new("some machine", preset, arch)))
}

fn fixture(version: u32) -> BTreeMap<String, String> {
    let folder = format!("{}/tests/fixtures/v{version}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(folder).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        let text = fs::read_to_string(entry.path()).expect("a text");
        (entry.file_name().into_string().expect("a name"), text)
    });
    files.collect()
}

fn changed(section: &str, text: &str) -> BTreeMap<String, String> {
    let mut files = VmConfig::new("x", Preset::Linux, Arch::X86_64).to_files();
    files.insert(section.to_owned(), text.to_owned());
    files
}

#[test]
fn every_preset_is_without_faults_and_survives_its_files() {
    for (preset, arch, document) in all() {
        assert_eq!(document.check(), [], "{preset:?} {arch}");
        let files = document.to_files();
        assert_eq!(files.len(), Section::ALL.len());
        assert_eq!(VmConfig::from_files(&files), Ok(document), "{preset:?} {arch}");
    }
}

#[test]
fn a_machine_of_version_1_is_the_same_machine_today() {
    let document = VmConfig::from_files(&fixture(1)).expect("migrates");
    assert_eq!(document.check(), []);
    assert_eq!(document.system.version, CURRENT_VERSION);
    assert_eq!((document.system.name.as_str(), document.system.machine), ("first, machine", Chipset::Q35));
    assert_eq!((document.cpu.count, document.memory.mib), (4, 1536));
    assert_eq!(document.input.keyboard, Keyboard::Ps2);
    let drives: Vec<_> = document
        .drives
        .drives
        .iter()
        .map(|d| (d.id.as_str(), d.kind, d.bus, d.boot, d.media.as_deref()))
        .collect();
    assert_eq!(
        drives,
        [
            ("cd0", DriveKind::Cdrom, Bus::VirtioScsi, Some(0), Some("debian.iso")),
            ("disk0", DriveKind::Disk, Bus::VirtioBlk, Some(1), None),
            ("disk1", DriveKind::Disk, Bus::VirtioBlk, Some(2), None),
        ]
    );
    assert_eq!(document.extra.arguments, ["-device", "virtio-balloon-pci"]);
    assert_eq!(VmConfig::from_files(&document.to_files()), Ok(document));
    // What was left out had the program's defaults of then.
    let least = BTreeMap::from([(
        "system.json".to_owned(),
        r#"{"version": 1, "name": "a", "arch": "aarch64"}"#.to_owned(),
    )]);
    let document = VmConfig::from_files(&least).expect("migrates");
    assert_eq!((document.memory.mib, document.cpu.count, document.system.machine), (1024, 2, Chipset::Virt));
    assert_eq!(document.check(), []);
}

#[test]
fn a_newer_machine_is_refused_in_words() {
    let text = r#"{"version": 3, "name": "x", "holograms": true}"#;
    let error = VmConfig::from_files(&changed("system.json", text)).expect_err("too new");
    assert_eq!(error, VmConfigError::TooNew { found: 3, ours: 2 });
    assert!(error.to_string().contains("use a newer Sampan"), "{error}");
    for nonsense in
        ["{}", r#"{"version": 0}"#, r#"{"version": -1}"#, r#"{"version": "2"}"#, r#"{"version": 2.5}"#, "[]"]
    {
        let error = VmConfig::from_files(&changed("system.json", nonsense)).expect_err("no version");
        assert!(matches!(error, VmConfigError::NoVersion(_)), "{nonsense}: {error}");
    }
}

#[test]
fn errors_name_the_field_and_what_to_do() {
    for (file, text, words) in [
        ("cpu.json", r#"{"cuont": 2}"#, "cpu.json: cuont: unknown field `cuont`"),
        ("memory.json", r#"{"mib": "2 GiB"}"#, "memory.json: mib: invalid type: string"),
        (
            "drives.json",
            r#"{"drives": [{"id": "a", "kind": "disk", "bus": "scsi"}]}"#,
            "drives[0].bus: unknown variant `scsi`, expected one of `virtio-blk`",
        ),
        (
            "network.json",
            r#"{"cards": [{"id": "net0", "mac": "01:00:00:00:00:00"}]}"#,
            "cards[0].mac: \"01:00:00:00:00:00\" is no network card's address",
        ),
        ("memory.json", r#"{"mib": 1, "mib": 2}"#, "duplicate field `mib`"),
        ("memory.json", "{} {}", "trailing characters"),
        ("memory.json", "", "memory.json: .: EOF"),
    ] {
        let error = VmConfig::from_files(&changed(file, text)).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let mut files = changed("memory.json", "{}");
    files.remove("usb.json");
    assert_eq!(VmConfig::from_files(&files), Err(VmConfigError::Missing("usb.json".into())));
    let unknown = changed("../../etc/passwd", "{}");
    assert_eq!(VmConfig::from_files(&unknown), Err(VmConfigError::Unknown("../../etc/passwd".into())));
    let bytes = MAX_SECTION_BYTES + 1;
    let large = changed("extra.json", &" ".repeat(bytes));
    assert_eq!(
        VmConfig::from_files(&large),
        Err(VmConfigError::TooLarge { file: "extra.json".into(), bytes })
    );
}

#[test]
fn an_unknown_field_of_version_1_is_refused_too() {
    let mut files = fixture(1);
    files.insert("cpu.json".into(), r#"{"count": 2}"#.into());
    let error = VmConfig::from_files(&files).expect_err("refused").to_string();
    assert!(error.contains("cpu.json: count: is no field of version 1, which has cpus"), "{error}");
}

#[test]
fn faults_are_found_where_they_are() {
    let good = || VmConfig::new("x", Preset::Linux, Arch::X86_64);
    let old = || VmConfig::new("x", Preset::Old, Arch::X86_64);
    let arm = || VmConfig::new("x", Preset::Linux, Arch::Aarch64);
    type Case = (VmConfig, fn(&mut VmConfig), &'static str);
    let cases: Vec<Case> = vec![
        (good(), |d| d.system.name = "a\nb".into(), "system.name:"),
        (good(), |d| d.system.machine = Chipset::Virt, "system.machine:"),
        (good(), |d| d.system.uuid = Some("0,x=y".into()), "system.uuid:"),
        (good(), |d| d.memory.mib = 0, "memory.mib: 0 MiB"),
        (good(), |d| d.cpu.count = 0, "cpu.count: 0 CPUs"),
        (good(), |d| d.cpu.model = Some("max,x=y".into()), "cpu.model:"),
        (good(), |d| d.cpu.features = vec!["a".into()], "cpu.features.0:"),
        (arm(), |d| d.cpu.hyperv = true, "cpu.hyperv:"),
        (arm(), |d| d.firmware.kind = sampan_config::FirmwareKind::Bios, "firmware.kind:"),
        (
            old(),
            |d| d.firmware.kind = sampan_config::FirmwareKind::Uefi,
            "firmware.kind: UEFI here is for 64-bit",
        ),
        (good(), |d| d.drives.drives[1].id = "cd0".into(), "drives.drives.1.id: cd0 is the name of another"),
        (good(), |d| d.drives.drives[1].id = "a-file".into(), "drives.drives.1.id: \"a-file\" is no name"),
        (good(), |d| d.drives.drives[1].bus = Bus::Ide, "drives.drives.1.bus: only the machine type pc"),
        (good(), |d| d.drives.drives[1].boot = Some(0), "drives.drives.1.boot: cd0 has the same"),
        (good(), |d| d.drives.drives[1].media = Some("a".into()), "drives.drives.1.media: a disk has no"),
        (
            good(),
            |d| d.drives.drives[0].media = Some("../a".into()),
            "drives.drives.0.media: \"../a\" should be",
        ),
        (good(), |d| d.drives.drives[0].bus = Bus::Nvme, "drives.drives.0.bus: a CD drive cannot"),
        (
            old(),
            |d| d.drives.drives[1].read_only = true,
            "drives.drives.1.bus: IDE and SATA know no read-only",
        ),
        (good(), |d| d.displays.heads = 17, "displays.heads:"),
        (
            good(),
            |d| d.displays.vnc = Some(sampan_config::Vnc { port: 1, ..Default::default() }),
            "displays.vnc.port:",
        ),
        (
            good(),
            |d| d.network.cards[0].forwards = vec![Forward::tcp(0, 1)],
            "network.cards.0.forwards.0: ports 0",
        ),
        (
            good(),
            |d| d.network.cards[0].forwards = vec![Forward::tcp(1, 1), Forward::tcp(1, 2)],
            "network.cards.0.forwards.1: tcp:127.0.0.1:1:2 wants a port",
        ),
        (
            good(),
            |d| d.sound = sampan_config::Sound { microphone: true, ..Default::default() },
            "sound.microphone:",
        ),
        (good(), |d| d.usb.controller = sampan_config::UsbController::None, "input.pointer: a USB"),
        (arm(), |d| d.input.keyboard = Keyboard::Ps2, "input.keyboard: Arm machines have no PS/2"),
        (arm(), |d| d.serial.agent = sampan_config::Channel::Uart, "serial.agent:"),
        (good(), |d| d.extra.arguments = vec!["file=a,cache=unsafe".into()], "cache=unsafe\" would lose"),
    ];
    for (mut document, change, words) in cases {
        change(&mut document);
        let faults: Vec<_> = document.check().iter().map(ToString::to_string).collect();
        assert!(faults.len() == 1 && faults[0].contains(words), "{words}: {faults:?}");
        assert!(matches!(document.machine(&HostPaths::default()), Err(ConfigError::VmConfig(_))));
    }
}

#[test]
fn what_is_not_placed_is_named() {
    let mut document = VmConfig::new("x", Preset::Linux, Arch::X86_64);
    document.firmware.kind = sampan_config::FirmwareKind::Bios;
    assert_eq!(document.machine(&HostPaths::default()), Err(ConfigError::NoImage("disk0".into())));
    let disk = Disk { file: "/vm/a".into(), format: DiskFormat::Qcow2, base: None };
    let mut place = HostPaths::default();
    place.drives.insert("disk0".into(), disk);
    assert!(document.machine(&place).is_ok(), "an empty CD drive is one");
    document.drives.drives[0].media = Some("a.iso".into());
    assert_eq!(document.machine(&place), Err(ConfigError::NotPlaced("a.iso".into())));
}

#[test]
fn what_an_image_is_built_on_is_named_down_to_the_last() {
    let mut document = VmConfig::new("x", Preset::Linux, Arch::X86_64);
    document.firmware.kind = sampan_config::FirmwareKind::Bios;
    let raw = Disk { file: "/vm/raw".into(), format: DiskFormat::Raw, base: None };
    let middle = Disk { file: "/vm/middle".into(), format: DiskFormat::Qcow2, base: Some(raw.into()) };
    let top = Disk { file: "/vm/top".into(), format: DiskFormat::Qcow2, base: Some(middle.into()) };
    let node = |disk: Disk| {
        let mut place = HostPaths::default();
        place.drives.insert("disk0".into(), disk);
        let argv =
            document.machine(&place).expect("a machine").argv(&["tcg".into()]).expect("a good machine");
        let mut nodes = argv.iter().filter_map(|a| serde_json::from_str::<serde_json::Value>(a).ok());
        nodes.find(|node| node["node-name"] == "disk0").expect("its node")
    };
    let node_of_top = node(top);
    let middle = &node_of_top["backing"];
    assert_eq!((&middle["file"]["filename"], &middle["driver"]), (&"/vm/middle".into(), &"qcow2".into()));
    assert_eq!((&middle["read-only"], &middle["file"]["read-only"]), (&true.into(), &true.into()));
    let raw = &middle["backing"];
    assert_eq!((&raw["file"]["filename"], &raw["driver"]), (&"/vm/raw".into(), &"raw".into()));
    assert_eq!(raw.get("backing"), None, "raw images know none");
    let alone = Disk { file: "/vm/alone".into(), format: DiskFormat::Qcow2, base: None };
    assert!(node(alone)["backing"].is_null(), "whatever its header names");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[a-z0-9/.,=:-]{0,12}".prop_map(Into::into),
        prop_oneof![Just("disk0"), Just("x86_64"), Just("aarch64"), Just("virtio"), Just("uefi")]
            .prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let key = prop_oneof![
            Just("disks"),
            Just("cdrom"),
            Just("drives"),
            Just("id"),
            Just("kind"),
            Just("bus"),
            Just("count"),
            Just("cpus"),
            Just("mib"),
            Just("memory"),
            Just("cards"),
            Just("forwards"),
            Just("arch"),
            Just("name"),
            Just("firmware"),
            Just("display"),
            Just("qemu"),
            Just("x"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever is in the files: a description that is written as it was read, or an error.
    #[test]
    fn no_files_panic(version in 0u32..4, sections in prop::collection::btree_map(0usize..14, json(), 0..6), current: bool) {
        let mut files = if current { VmConfig::new("x", Preset::Linux, Arch::X86_64).to_files() } else { fixture(1) };
        for (section, value) in sections {
            files.insert(Section::ALL[section].file().to_owned(), value.to_string());
        }
        if let Ok(mut system) = serde_json::from_str::<serde_json::Value>(&files["system.json"])
            && let Some(object) = system.as_object_mut()
        {
            object.insert("version".into(), version.into());
            files.insert("system.json".into(), system.to_string());
        }
        match VmConfig::from_files(&files) {
            Ok(document) => {
                let _ = (document.check(), document.warnings(), document.machine(&HostPaths::default()));
                prop_assert_eq!(VmConfig::from_files(&document.to_files()), Ok(document));
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn no_bytes_panic(text in "[\\[\\]{}\",:0-9a-z.-]{0,60}", section in 0usize..14) {
        let _ = VmConfig::from_files(&changed(Section::ALL[section].file(), &text));
    }
}

#[test]
fn a_share_that_the_guest_writes_is_mapped_unless_it_says_otherwise() {
    let read =
        |text: &str| serde_json::from_str::<sampan_config::ShareSection>(text).map_err(|e| e.to_string());
    let security = |text: &str| read(text).expect("a share").security.qemu_name();
    assert_eq!(security(r#"{"tag":"a"}"#), "mapped-xattr");
    assert_eq!(security(r#"{"tag":"a","read_only":true}"#), "none");
    // As machines had it before there was a choice.
    assert_eq!(security(r#"{"tag":"a","read_only":false,"security":"none"}"#), "none");
    assert!(read(r#"{"tag":"a","mode":7}"#).is_err_and(|e| e.contains("unknown field")));
    let written = serde_json::to_string(&read(r#"{"tag":"a"}"#).expect("a share")).expect("is written");
    assert_eq!(written, r#"{"tag":"a","read_only":false,"security":"mapped-xattr"}"#);
    assert!(read(r#"{"tag":"a","security":"none"}"#).expect("a share").warning().is_some());
    assert!(read(r#"{"tag":"a"}"#).expect("a share").warning().is_none());
}

#[test]
fn a_machine_of_before_has_no_clipboard_until_it_is_told() {
    let mut files = VmConfig::new("x", Preset::Linux, Arch::X86_64).to_files();
    for (file, fields) in [("input.json", &["clipboard", "paste"][..]), ("serial.json", &["vdagent"])] {
        let mut section: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&files[file]).expect("an object");
        for field in fields {
            assert!(section.remove(*field).is_some(), "{field}");
        }
        files.insert(file.to_owned(), serde_json::Value::from(section).to_string());
    }
    let mut document = VmConfig::from_files(&files).expect("is read");
    assert!(!document.serial.vdagent);
    assert_eq!(document.input.clipboard, ClipboardPolicy::Both);
    assert_eq!(document.input.paste, PasteKeys::ShiftInsert);
    document.serial.vdagent = true;
    document.input.clipboard = ClipboardPolicy::ToGuest;
    let files = document.to_files();
    assert!(files["input.json"].contains("\"to-guest\""), "{}", files["input.json"]);
    assert_eq!(VmConfig::from_files(&files), Ok(document));
}

#[test]
fn systems_with_an_agent_for_the_clipboard_get_its_port() {
    for preset in Preset::ALL {
        let document = VmConfig::new("x", preset, Arch::X86_64);
        let has = matches!(preset, Preset::Linux | Preset::Windows10 | Preset::Windows11);
        assert_eq!(document.serial.vdagent, has, "{preset:?}");
        assert_eq!(
            document.state_blockers(),
            VmConfig { serial: Serial { vdagent: false, ..document.serial.clone() }, ..document.clone() }
                .state_blockers()
        );
    }
}

#[test]
fn a_sound_card_of_before_stays_as_it_was() {
    let mut files = VmConfig::new("x", Preset::Linux, Arch::X86_64).to_files();
    assert!(VmConfig::from_files(&files).expect("is read").sound.has_input(), "new ones have one");
    for (text, has_input) in [
        (r#"{"device":"hda","microphone":false}"#, false),
        (r#"{"device":"hda","microphone":true}"#, true),
        (r#"{"device":"hda","input":true}"#, true),
    ] {
        files.insert("sound.json".into(), text.into());
        let sound = VmConfig::from_files(&files).expect("is read").sound;
        assert_eq!((sound.has_input(), sound.volume, sound.muted), (has_input, 100, false), "{text}");
    }
    files.insert("sound.json".into(), r#"{"device":"hda","volume":101}"#.into());
    let faults = VmConfig::from_files(&files).map(|document| document.check());
    let told = format!("{faults:?}");
    assert!(told.contains("sound.volume"), "{told}");
}
