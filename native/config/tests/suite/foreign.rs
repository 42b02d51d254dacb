//! What a description from elsewhere brings along, and what not.

use sampan_config::{
    Arch, Bus, DirectKernel, DriveKind, DriveSection, Forward, Preset, ShareSection, ShareSecurity, VmConfig,
    VmConfigError, Vnc,
};
use std::collections::BTreeMap;

fn foreign() -> VmConfig {
    let mut document = VmConfig::new("theirs", Preset::Linux, Arch::Aarch64);
    let card = document.network.cards.first_mut().expect("a card");
    card.forwards =
        ["tcp:2222:22", "udp:0.0.0.0:5353:53"].map(|f| f.parse::<Forward>().expect("is one")).into();
    document.displays.vnc = Some(Vnc { address: [192, 0, 2, 1].into(), port: 5901 });
    document.shares.shares.push(ShareSection {
        tag: "etc".into(),
        read_only: false,
        security: ShareSecurity::MappedXattr,
    });
    let cds = document.drives.drives.iter_mut().filter(|drive| drive.kind == DriveKind::Cdrom);
    cds.for_each(|cd| cd.media = Some("secret.iso".into()));
    document.firmware.kernel = Some(DirectKernel {
        kernel: "vmlinuz".into(),
        initrd: Some("initrd.gz".into()),
        append: Some("init=/bin/sh".into()),
    });
    document.sound.microphone = true;
    document.extra.arguments = vec!["-drive".into(), "file=/etc/shadow".into()];
    document
}

#[test]
fn nothing_that_reaches_out_of_it_comes_along_and_each_is_told() {
    let theirs = foreign();
    let (ours, told) = VmConfig::from_foreign(&theirs.to_files()).expect("is read");
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    let all = told.join("\n");
    for word in [
        "tcp:127.0.0.1:2222:22",
        "udp:0.0.0.0:5353:53",
        "192.0.2.1, port 5901",
        "“etc”",
        "“secret.iso”",
        "“vmlinuz” with “initrd.gz”",
        "microphone",
        "“-drive”",
        "“file=/etc/shadow”",
    ] {
        assert_eq!(told.iter().filter(|words| words.contains(word)).count(), 1, "{word}: {all}");
    }
    assert_eq!(told.len(), 9, "{all}");
    // Nothing of it is left in any file, and all else is as it was.
    let files = ours.to_files();
    for word in ["2222", "5353", "192.0.2.1", "etc", "secret.iso", "vmlinuz", "initrd", "bin/sh", "shadow"] {
        assert!(!files.values().any(|text| text.contains(word)), "{word}");
    }
    let mut rest = theirs;
    rest.network.cards.iter_mut().for_each(|card| card.forwards.clear());
    rest.displays.vnc = None;
    rest.shares.shares.clear();
    rest.drives.drives.iter_mut().for_each(|drive| drive.media = None);
    rest.firmware.kernel = None;
    rest.sound.microphone = false;
    rest.extra.arguments.clear();
    assert_eq!(ours, rest);
    assert_eq!(VmConfig::from_foreign(&files), Ok((ours, Vec::new())), "the second time there is nothing");
}

#[test]
fn whoever_declares_without_end_is_told_of_in_bounds() {
    let mut document = VmConfig::new("theirs", Preset::Linux, Arch::X86_64);
    document.extra.arguments = vec!["x".repeat(1000); 150];
    for n in 0..3 {
        let media = Some(format!("floppy {n}"));
        let drive =
            DriveSection { kind: DriveKind::Floppy, media, ..DriveSection::disk("f", Bus::Floppy, None) };
        document.drives.drives.push(drive);
    }
    let (_, told) = VmConfig::from_foreign(&document.to_files()).expect("is read");
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 101, "{told:?}");
    assert!(told[0].contains("the floppy disk “floppy 0”"), "{}", told[0]);
    assert!(told.iter().all(|words| words.chars().count() < 400));
    assert_eq!(told[100], "so were 53 more");
}

#[test]
fn what_cannot_be_read_is_not_taken_over() {
    assert!(matches!(VmConfig::from_foreign(&BTreeMap::new()), Err(VmConfigError::Missing(_))));
    let mut files = foreign().to_files();
    files.insert("more.json".into(), "{}".into());
    assert!(matches!(VmConfig::from_foreign(&files), Err(VmConfigError::Unknown(_))));
    let mut files = foreign().to_files();
    files.insert("extra.json".into(), "{\"arguments\": 7}".into());
    assert!(matches!(VmConfig::from_foreign(&files), Err(VmConfigError::Field { .. })));
}
