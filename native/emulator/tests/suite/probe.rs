//! The probe on this machine as it is, and with executable memory refused for real.

use std::env;
use std::path::Path;

use sampan_emulator::{AcceleratorName, HostReport, Isolation, Probe, probe_in};

fn helper() -> Isolation {
    Isolation::Helper(env!("CARGO_BIN_EXE_sampan-vmhost").into())
}

fn find(probe: &Probe, name: AcceleratorName) -> &sampan_emulator::Accelerator {
    probe.accelerators.iter().find(|a| a.name == name).unwrap()
}

#[test]
fn helper_and_fork_find_the_same() {
    let by_helper = probe_in(&helper(), None);
    let by_fork = probe_in(&Isolation::Fork, None);
    println!("{by_helper:#?}");
    let essence = |p: &Probe| p.accelerators.iter().map(|a| (a.name, a.usable, a.jit)).collect::<Vec<_>>();
    assert_eq!(essence(&by_helper), essence(&by_fork));
    for a in by_helper.accelerators.iter().chain(&by_fork.accelerators) {
        assert!(!a.reason.is_empty());
    }
}

/// As where no other program can be started.
#[test]
fn a_forked_child_finds_how_to_translate() {
    let probe = probe_in(&Isolation::Fork, None);
    let tcg = find(&probe, AcceleratorName::Tcg);
    assert!(tcg.usable && tcg.jit.is_some(), "{tcg:?}");
}

/// A processor without virtualization of its own cannot run a guest at its speed, whatever `/dev/kvm` says.
#[test]
#[cfg(target_arch = "x86_64")]
fn kvm_without_hardware_is_refused() {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let flags = info.lines().find(|l| l.starts_with("flags")).unwrap();
    let hardware = flags.split_whitespace().any(|f| f == "vmx" || f == "svm");
    let probe = probe_in(&helper(), None);
    let kvm = find(&probe, AcceleratorName::Kvm);
    if !hardware {
        assert!(!kvm.usable, "{kvm:?}");
    }
    if !Path::new("/dev/kvm").exists() {
        assert_eq!(kvm.reason, "there is no /dev/kvm");
    }
}

#[test]
fn the_report_is_complete_for_machines_and_people() {
    // SAFETY: no other thread of this program reads or writes this variable.
    unsafe { env::set_var("SAMPAN_VMHOST", env!("CARGO_BIN_EXE_sampan-vmhost")) };
    let report = HostReport::gather(Path::new("/"));
    println!("{report}");
    let json = serde_json::to_value(&report).unwrap();
    println!("{json:#}");
    assert_eq!(json["accelerators"][0]["name"], "kvm");
    assert!(json["gpu"]["devices"].is_array());
    assert!(report.gpu.devices.is_empty() == report.gpu.reason.is_some());
    assert!(report.cpu.cores > 0 && report.memory.total > report.memory.available);
    assert!(report.disk.total > 0 && !report.libqemu.builds.is_empty());
}
