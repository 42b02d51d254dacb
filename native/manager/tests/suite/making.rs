//! Making machines.

use crate::common::{made, manager, smallest};
use sampan_config::{Bus, DisplayKind, FirmwareKind, Preset, Severity};
use sampan_control::Reporter;
use sampan_library::SourceFormat;
use sampan_manager::create::{FirstStartOptions, NewDisk, Secret, Source};
use sampan_manager::edit::Change;
use sampan_manager::{Confirmed, Manager, NewMachine};
use sampan_message::Coded;

const MIB: u64 = 1 << 20;

async fn refusal(manager: &Manager, new: NewMachine) -> &'static str {
    manager.plan(new, None).await.expect_err("is refused").code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_is_what_was_chosen_and_the_rest_is_the_presets() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let chosen = r#"{"name":"云 one","preset":"linux","arch":"x86_64","memory_mib":64,"cpus":1,
        "disk":{"new":{"size":8388608,"fixed":false}},
        "first_start":{"user":"ada","password":"open sesame","hostname":"box"}}"#;
    let new: NewMachine = serde_json::from_str(chosen).expect("is read");
    let plan = manager.plan(new.clone(), None).await.expect("can be made");
    let id = manager.create(plan, &Confirmed::Nothing, &Reporter::new()).await.expect("is made").id;
    let machine = manager.machine(id).await.expect("a handle");
    let document = machine.document().expect("is read");
    assert_eq!((document.memory.mib, document.cpu.count), (64, 1));
    assert_eq!((document.system.preset, document.firmware.kind), (Preset::Linux, FirmwareKind::Uefi));
    let disks = manager.disks(id).await.expect("is told");
    let disk = disks.drives.iter().find(|disk| disk.drive.as_str() == "disk0").expect("a disk");
    assert_eq!(disk.size, Some(8 * MIB));
    // Its seed has the password's hash, and not the password.
    let seed = document.drives.drives.iter().find_map(|drive| drive.media.clone()).expect("a seed");
    let media = manager.media().await.expect("is told");
    let seed = media.iter().find(|info| info.medium.name == seed).expect("is in the library");
    let image = String::from_utf8_lossy(&std::fs::read(&seed.medium.path).expect("reads")).into_owned();
    assert!(image.contains("box") && image.contains("$6$") && !image.contains("open sesame"));
    assert_eq!(seed.used_by, ["云 one"]);

    // The name is taken now, also where it is written otherwise.
    let again = manager.plan(new, None).await.expect("can be planned");
    assert_eq!(manager.plan_findings(&again).await.expect_err("is taken").code(), "machine_name_taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused_and_what_might_do_damage_wants_a_yes() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let user = |user: &str| FirstStartOptions { user: Some(user.into()), ..FirstStartOptions::default() };
    let small = || smallest("one", NewDisk::None);
    for (new, code) in [
        (NewMachine { first_start: user("ada"), ..small() }, "no_way_in"),
        (NewMachine { first_start: user("ada"), preset: Some(Preset::Windows11), ..small() }, "cloud_unfit"),
        (NewMachine { arch: Some(sampan_config::Arch::Aarch64), ..small() }, "preset_unfit"),
        (NewMachine { cd: Some(Source::Medium("none.iso".into())), ..small() }, "no_medium"),
        (NewMachine { entry: Some("no-such-system".into()), ..small() }, "no_catalogue_entry"),
        (NewMachine { entry: Some("windows-10".into()), ..small() }, "bring_your_own"),
    ] {
        assert_eq!(refusal(&manager, new).await, code);
    }
    let bad = FirstStartOptions { password: Some(Secret::new("a\nb")), ..user("ada") };
    assert_eq!(refusal(&manager, NewMachine { first_start: bad, ..small() }).await, "bad_password");

    // More than any host has, and a file that no guest could read in a CD drive.
    let notes = home.path().join("notes.iso");
    std::fs::write(&notes, "not a CD").expect("writes");
    let doubtful = NewMachine { cd: Some(Source::File(notes)), ..small() };
    let plan = manager.plan(doubtful, None).await.expect("can be planned");
    let findings = manager.plan_findings(&plan).await.expect("is looked at");
    assert!(
        findings.iter().any(|f| f.field == "drives.cd0" && f.severity == Severity::Confirm),
        "{findings:?}"
    );
    let nothing = manager.create(plan.clone(), &Confirmed::Nothing, &Reporter::new()).await;
    assert_eq!(nothing.expect_err("wants a yes").code(), "needs_confirm");
    let yes = Confirmed::Codes(["not_a_cd".to_owned()].into());
    let arrived = manager.create(plan, &yes, &Reporter::new()).await.expect("was confirmed");
    assert!(arrived.notes.iter().any(|note| note.code == "not_a_cd"), "{:?}", arrived.notes);
    let huge = NewMachine { name: "two".into(), memory_mib: Some(1 << 20), ..small() };
    let plan = manager.plan(huge, None).await.expect("can be planned");
    let refused =
        manager.create(plan, &Confirmed::Everything, &Reporter::new()).await.expect_err("no yes helps");
    assert_eq!(refused.message().code, "no_memory");
    assert_eq!(
        manager.list(crate::common::PATIENCE).await.expect("is listed").len(),
        1,
        "nothing is left of it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_choice_is_changed_before_its_machine_is_made() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let change = |field: &str, value: &str| Change { field: field.into(), value: value.into() };
    let chosen = |changes: &[Change]| NewMachine {
        preset: Some(Preset::Linux),
        changes: changes.to_vec(),
        ..smallest("one", NewDisk::New { size: Some(8 * MIB), fixed: false })
    };
    // Each that cannot be is told under its field, the others are looked at all the same.
    let bad = [
        change("displays.devise", "std"),
        change("system.preset", "old"),
        change("name", "two"),
        change("drives.drives", "[]"),
        change("cdrom", "none.iso"),
        change("memory.mib", "1048576"),
        change("drives.drives.0.bus", "floppy"),
        change("cpu.count", "0"),
    ];
    let plan = manager.plan(chosen(&bad), None).await.expect("can be planned");
    let findings = manager.plan_findings(&plan).await.expect("is looked at");
    let refused: Vec<(&str, &str)> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refuse)
        .map(|finding| (finding.field.as_str(), &*finding.message.code))
        .collect();
    for expected in [
        ("displays.devise", "bad_field"),
        ("system.preset", "bad_field"),
        ("name", "bad_field"),
        ("drives.drives", "bad_field"),
        ("cdrom", "no_medium"),
        ("memory.mib", "no_memory"),
    ] {
        assert!(refused.contains(&expected), "{expected:?}: {refused:?}");
    }
    for field in ["drives.drives.0.bus", "cpu.count"] {
        assert!(refused.iter().any(|(found, _)| *found == field), "{field}: {refused:?}");
    }
    let nothing = manager.create(plan, &Confirmed::Everything, &Reporter::new()).await;
    assert_eq!(nothing.expect_err("no yes helps").message().code, "bad_field");
    assert!(manager.list(crate::common::PATIENCE).await.expect("is listed").is_empty());

    // A change counts more than the choice that it follows, and the firmware's files are those of the changed one.
    let good = [
        change("memory.mib", "96"),
        change("firmware.kind", "bios"),
        change("drives.drives.0.bus", "sata"),
        change("displays.device", "std"),
        change("system.notes", "made so"),
    ];
    let plan = manager.plan(chosen(&good), None).await.expect("can be planned");
    let findings = manager.plan_findings(&plan).await.expect("is looked at");
    assert!(findings.iter().all(|finding| finding.severity != Severity::Refuse), "{findings:?}");
    let id = manager.create(plan, &Confirmed::Nothing, &Reporter::new()).await.expect("is made").id;
    let document = manager.machine(id).await.expect("a handle").document().expect("is read");
    assert_eq!((document.memory.mib, document.cpu.count), (96, 1));
    assert_eq!((document.firmware.kind, document.displays.device), (FirmwareKind::Bios, DisplayKind::Std));
    assert_eq!((document.drives.drives[0].bus, document.system.notes.as_str()), (Bus::Sata, "made so"));
    let disks = manager.disks(id).await.expect("is told").drives;
    assert!(disks.len() == 1 && disks[0].size == Some(8 * MIB), "no variables of UEFI: {disks:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_leaves_no_machine() {
    let home = tempfile::tempdir().expect("a folder");
    let manager = manager(home.path());
    let image = home.path().join("disk.raw");
    std::fs::write(&image, vec![7; 256 << 20]).expect("a disk");
    let disk = NewDisk::Image { image: Source::File(image), format: Some(SourceFormat::Raw), size: None };
    let plan = manager.plan(smallest("one", disk.clone()), None).await.expect("can be made");
    let job = manager.create_job(plan, Confirmed::Nothing);
    assert!(manager.job_list().iter().any(|job| job.kind == "create" && job.name.as_deref() == Some("one")));
    // As soon as anything is done.
    let (mut progress, stop) = (job.reporter().watch(), job.reporter().clone());
    progress.changed().await.expect("begins");
    stop.cancel();
    let error = job.wait().await.expect_err("is cancelled");
    assert!(error.is_cancelled(), "{error}");
    assert!(manager.job_list().is_empty(), "who cancels a job knows of it");
    assert!(manager.list(crate::common::PATIENCE).await.expect("is listed").is_empty());
    // The next one is made.
    let id = made(&manager, smallest("one", disk)).await;
    assert_eq!(manager.disks(id).await.expect("is told").drives[0].size, Some(256 * MIB));
}
