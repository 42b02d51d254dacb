//! No value becomes an option: the arguments are read as QEMU reads them, and hold what was meant.

use proptest::prelude::*;
use sampan_config::{
    Arch, Disk, DiskFormat, Drive, DriveSection, Firmware, Kernel, Machine, Preset, SerialPort, ShareSection,
    ShareSecurity, SharedFolder, VmConfig,
};
use serde_json::Value;

/// QEMU's reading of an option list (`util/qemu-option.c`, `get_opt_name_value`; `util/keyval.c` is the same in this):
/// a value ends at a single comma, a name at `=`; without one it is a switch, or the value of the first option.
fn options(text: &str) -> Vec<(String, Option<String>)> {
    let bytes = text.as_bytes();
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let value = |mut at: usize| {
            let mut value = Vec::new();
            while let Some(&byte) = bytes.get(at) {
                if byte == b',' {
                    if bytes.get(at + 1) != Some(&b',') {
                        break;
                    }
                    at += 1;
                }
                value.push(byte);
                at += 1;
            }
            (String::from_utf8(value).expect("cut at commas"), at + 1)
        };
        let name_end =
            bytes[at..].iter().position(|&b| b == b'=' || b == b',').map_or(bytes.len(), |n| at + n);
        if bytes.get(name_end) == Some(&b'=') {
            let name = text[at..name_end].to_owned();
            let (read, next) = value(name_end + 1);
            found.push((name, Some(read)));
            at = next;
        } else {
            let (read, next) = value(at);
            found.push((read, None));
            at = next;
        }
    }
    found
}

#[test]
fn the_reader_reads_as_qemu_does() {
    let read = options("local,id=a,,b,path=/x=y,,,readonly");
    let pair = |k: &str, v: &str| (k.to_owned(), Some(v.to_owned()));
    assert_eq!(
        read,
        [("local".to_owned(), None), pair("id", "a,b"), pair("path", "/x=y,"), ("readonly".to_owned(), None)]
    );
}

/// Everything that a person or a file system may call as it likes.
fn machine(text: &str) -> Machine {
    let mut machine = Machine::new(text, Arch::X86_64);
    let disk = |format| Disk { file: text.into(), format, base: None };
    machine.firmware = Some(Firmware::Flash { code: text.into(), vars: disk(DiskFormat::Qcow2) });
    machine.kernel =
        Some(Kernel { kernel: text.into(), initrd: Some(text.into()), append: Some(text.into()) });
    machine.cdrom = Some(text.into());
    machine.disks = vec![disk(DiskFormat::Raw)];
    machine.drives = vec![Drive {
        id: "named".into(),
        kind: sampan_config::DriveKind::Disk,
        bus: sampan_config::Bus::VirtioBlk,
        image: Some(disk(DiskFormat::Qcow2)),
        boot: Some(5),
        read_only: false,
        discard: true,
    }];
    machine.shares = vec![SharedFolder {
        tag: "tag".into(),
        path: text.into(),
        read_only: true,
        security: ShareSecurity::None,
    }];
    machine
}

/// Options whose value is not a list.
const WHOLE: [&str; 5] = ["-kernel", "-initrd", "-append", "-blockdev", "-accel"];

fn argv(machine: &Machine) -> Vec<String> {
    machine.argv(&["tcg,thread=multi".into()]).expect("a good machine")
}

/// Every list's options, with the free text's place marked.
fn shape(argv: &[String], text: &str) -> Vec<Vec<(String, Option<String>)>> {
    let in_place = format!("./{text}");
    let mark = |value: String| if value == text || value == in_place { "TEXT".to_owned() } else { value };
    let mut shape = Vec::new();
    let mut arguments = argv.iter();
    while let Some(option) = arguments.next() {
        shape.push(vec![(option.clone(), None)]);
        if matches!(option.as_str(), "-nodefaults" | "-no-user-config" | "-S" | "-no-shutdown") {
            continue;
        }
        let value = arguments.next().expect("every other option has a value");
        shape.push(if option == "-blockdev" {
            let json: Value = serde_json::from_str(value).expect("JSON");
            let members = json.as_object().expect("an object").iter();
            members
                .map(|(k, v)| {
                    (k.clone(), Some(mark(v.as_str().map_or_else(|| v.to_string(), str::to_owned))))
                })
                .collect()
        } else if WHOLE.contains(&option.as_str()) {
            vec![(mark(value.clone()), None)]
        } else {
            options(value).into_iter().map(|(name, value)| (name, value.map(mark))).collect()
        });
    }
    shape
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z,=.:'\"{}\\\\ \n\t%#@-]{1,40}",
        Just(",readonly=on".to_owned()),
        Just("-device".to_owned()),
        Just("--".to_owned()),
        Just("json:{\"driver\":\"nbd\"}".to_owned()),
        Just("nbd:localhost:10809".to_owned()),
        Just("fat:rw:/".to_owned()),
        Just("\",\"read-only\":true,\"x\":\"".to_owned()),
        Just("日本,語=é".to_owned()),
        Just("a=a".to_owned()),
        "[a-z.-]{1,6}=[a-z.-]{1,6}",
    ]
}

proptest! {
    #[test]
    fn names_change_nothing_but_themselves(text in hostile()) {
        for throw_away in [false, true] {
            let (mut plain, mut hostile) = (machine("x"), machine(&text));
            plain.throw_away = throw_away;
            hostile.throw_away = throw_away;
            prop_assert_eq!(shape(&argv(&hostile), &text), shape(&argv(&plain), "x"));
        }
    }

    /// What becomes QEMU's name of a part is plain, or the machine is refused: by its description and by itself.
    #[test]
    fn names_of_parts_are_plain_or_refused(text in hostile()) {
        // A CPU's property is two words, and nothing of it reaches further.
        let word = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.bytes().all(|c| c.is_ascii_lowercase() || b"-.".contains(&c))
        };
        let property = text.split_once('=').is_some_and(|(name, value)| word(name) && word(value));
        let plain = text.len() <= 20 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(|c| c.is_ascii_lowercase());
        let changes: [fn(&mut VmConfig, String); 7] = [
            |d, t| d.drives.drives[1].id = t,
            |d, t| d.network.cards[0].id = t,
            |d, t| d.shares.shares.push(ShareSection { tag: t, read_only: false, security: ShareSecurity::None }),
            |d, t| d.serial.ports.push(SerialPort { id: t, device: sampan_config::Channel::Virtio }),
            |d, t| d.cpu.model = Some(format!("max,{t}")),
            |d, t| d.cpu.features.push(t),
            |d, t| d.system.uuid = Some(t),
        ];
        for (i, change) in changes.into_iter().enumerate() {
            let mut document = VmConfig::new("x", Preset::Linux, Arch::X86_64);
            document.firmware.kind = sampan_config::FirmwareKind::Bios;
            change(&mut document, text.clone());
            let good = if i == 5 { property } else { i < 4 && plain };
            prop_assert_eq!(document.check().is_empty(), good, "{}: {}", i, text);
        }
        let changes: [fn(&mut Machine, String); 7] = [
            |m, t| m.drives[0].id = t,
            |m, t| m.nics[0].id = t,
            |m, t| m.shares[0].tag = t,
            |m, t| m.serials.push(SerialPort { id: t, device: sampan_config::Channel::Virtio }),
            |m, t| m.cpu = Some(format!("max,{t}")),
            |m, t| m.cpu_features.push(t),
            |m, t| m.uuid = Some(t),
        ];
        for (i, change) in changes.into_iter().enumerate() {
            let mut machine = machine("x");
            change(&mut machine, text.clone());
            let good = if i == 5 { property } else { i < 4 && plain };
            prop_assert_eq!(machine.argv(&["tcg".into()]).is_ok(), good, "{}: {}", i, text);
        }
    }

    #[test]
    fn media_are_files_and_never_ways_to_them(text in "[a-z./\\\\,=\0\n-]{0,12}") {
        let mut document = VmConfig::new("x", Preset::Linux, Arch::X86_64);
        document.drives.drives[0] = DriveSection { media: Some(text.clone()), ..document.drives.drives[0].clone() };
        let way = text.is_empty() || text.starts_with(['.', '-']) || text.contains(['/', '\\', '\0', '\n']);
        prop_assert_eq!(document.check().is_empty(), !way);
    }
}

#[test]
fn a_nul_is_refused_everywhere() {
    let with = |change: fn(&mut Machine)| {
        let mut machine = machine("x");
        change(&mut machine);
        machine.argv(&["tcg".into()]).is_err()
    };
    assert!(!with(|_| ()));
    assert!(with(|m| m.name = "a\0".into()));
    assert!(with(|m| m.extra = vec!["-x\0".into()]));
    assert!(with(|m| m.kernel.as_mut().expect("one").append = Some("\0".into())));
    assert!(with(|m| m.kernel.as_mut().expect("one").kernel = "\0".into()));
    assert!(with(|m| m.disks[0].file = "\0".into()));
    assert!(with(|m| m.drives[0].image.as_mut().expect("one").file = "\0".into()));
    assert!(with(|m| m.shares[0].path = "\0".into()));
}
