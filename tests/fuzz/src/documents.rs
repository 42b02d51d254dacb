//! A machine's description, which may come with an imported machine, and what a person writes for a forward.

use sampan_config::{Disk, DiskFormat, Forward, HostPaths, Section, VmConfig};
use std::collections::BTreeMap;

/// Sections, each after a line `=== NAME`: they are refused, or written again as they were read; without faults they
/// give arguments in which no image's name is an option.
pub(crate) fn document(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut files = BTreeMap::new();
    for part in text.split("=== ").skip(1).take(20) {
        let (name, body) = part.split_once('\n').unwrap_or((part, ""));
        files.insert(name.to_owned(), body.to_owned());
    }
    let Ok(document) = VmConfig::from_files(&files) else { return };
    let written = document.to_files();
    assert_eq!(written.len(), Section::ALL.len());
    assert_eq!(VmConfig::from_files(&written).as_ref(), Ok(&document));
    let (faults, _, _) = (document.check(), document.warnings(), document.state_blockers());
    assert!(faults.iter().all(|fault| !fault.field.is_empty() && !fault.message.message.is_empty()));
    let argv = |name: &str| {
        let disk = Disk { file: name.into(), format: DiskFormat::Qcow2, base: None };
        let drives = document.drives.drives.iter().map(|drive| (drive.id.clone(), disk.clone()));
        let shares = document.shares.shares.iter().map(|share| (share.tag.clone(), name.into()));
        let place = HostPaths {
            drives: drives.collect(),
            uefi_code: Some(name.into()),
            uefi_vars: Some(disk.clone()),
            kernel: Some(name.into()),
            initrd: Some(name.into()),
            shares: shares.collect(),
            throw_away: data.len().is_multiple_of(2),
            incoming: false,
        };
        document.machine(&place).map(|machine| {
            let blocked = machine.state_blockers();
            assert!(blocked.iter().all(|blocker| !blocker.message().message.is_empty()));
            machine.argv(&["tcg".to_owned()])
        })
    };
    let (plain, hostile) = (argv("/x"), argv("/x,y=z,,"));
    assert_eq!(plain.is_ok(), faults.is_empty(), "{faults:?}");
    if let (Ok(plain), Ok(hostile)) = (plain, hostile) {
        let (plain, hostile) = (plain.expect("no faults"), hostile.expect("no faults"));
        let commas = |argv: &[String]| -> Vec<_> {
            let lists = argv.iter().filter(|a| !a.starts_with(['{', '/']));
            lists.map(|a| a.replace(",,", "").matches(',').count()).collect()
        };
        assert_eq!(commas(&plain), commas(&hostile));
    }
}

/// Forwards, one a line: what is read is written as it can be read again, and has no more ports than it may.
pub(crate) fn forwards(data: &[u8]) {
    for line in String::from_utf8_lossy(data).lines().take(64) {
        let Ok(forward) = line.parse::<Forward>() else { continue };
        assert_eq!(forward.to_string().parse(), Ok(forward));
        assert_eq!(forward.rules().count(), usize::from(forward.count));
        assert!(forward.rules().all(|rule| !rule.contains(',')));
        assert!(forward.conflicts(&forward));
    }
}
