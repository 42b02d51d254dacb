//! Executable memory refused for real, in each of the ways systems do: what the probe chooses, that a guest boots with it, that
//! libqemu takes no other way, and that the process lives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;
mod refusal;

use std::env;
#[cfg(not(target_env = "ohos"))]
use std::process::Command;

use common::{in_process, machine, start, tiny_guest, try_start};
use refusal::Refusal;
use sampan_emulator::{AcceleratorName, Arch, Choice, Engine, Exit, Isolation, Jit, LaunchSpec, probe_in};

/// A machine with the tiny guest.
fn guest(choice: &Choice) -> LaunchSpec {
    let guest = tiny_guest(Arch::X86_64);
    let mut spec = LaunchSpec::new("guest", Arch::X86_64);
    spec.engine = choice.engine;
    spec.args(["-accel", &choice.accelerator, "-nodefaults", "-no-user-config", "-machine", "q35"]);
    spec.args(["-m", "256", "-smp", "2", "-display", "none", "-serial", "chardev:serial", "-vga", "none"]);
    spec.args(["-device", "virtio-vga", "-append", "console=ttyS0 quiet no_timer_check"]);
    spec.args(["-kernel".into(), guest.join("kernel"), "-initrd".into(), guest.join("initrd")]);
    spec
}

/// Not a test by itself: the process to which something is refused.
#[test]
fn restricted() {
    let Some(name) = env::var_os("SAMPAN_TEST_REFUSAL") else { return };
    let refusal = Refusal::ALL.into_iter().find(|r| format!("{r:?}").as_str() == name).unwrap();
    restrict(refusal);
    println!("\nthe process lives");
}

fn restrict(refusal: Refusal) {
    let libqemu = common::libqemu();
    // Filters hold for a thread and what it starts; this one can then answer for the kernel.
    let restricted = refusal.impose_on(move || {
        let probe = probe_in(&Isolation::Fork, Some(&libqemu));
        for accelerator in &probe.accelerators {
            println!("\n{}: {} ({})", accelerator.name, accelerator.usable, accelerator.reason);
        }
        // KVM is not the question here.
        let tcg = probe.accelerators.iter().find(|a| a.name == AcceleratorName::Tcg).unwrap();
        let without_kvm = sampan_emulator::Probe {
            accelerators: probe
                .accelerators
                .iter()
                .filter(|a| a.name != AcceleratorName::Kvm)
                .cloned()
                .collect(),
        };
        assert_eq!(tcg.jit, refusal.leaves(), "{tcg:?}");
        match without_kvm.choose(Arch::X86_64) {
            Some(choice) => {
                assert_eq!(choice.engine == Engine::Interpreter, refusal.leaves().is_none(), "{choice:?}");
                let vm = start(&in_process(), guest(&choice));
                vm.serial_until("sampan-guest ready");
                assert_eq!(vm.quit(), Exit::Clean);
            }
            // The interpreter is a build of its own (`scripts/qemu/build --interpreter`).
            None => {
                assert_eq!(refusal.leaves(), None);
                assert!(libqemu.library(Arch::X86_64, Engine::Interpreter).is_err());
            }
        }

        // What was refused to the probe is refused to libqemu, which says so and goes no other way.
        let refused = Jit::ALL.into_iter().take_while(|way| Some(*way) != refusal.leaves());
        for way in refused {
            let mut spec = machine("refused");
            spec.args(["-accel".to_owned(), format!("tcg,jit={}", way.name())]);
            let exit = try_start(&in_process(), spec).unwrap().wait();
            let Exit::Failed { status: 1, message } = &exit else { panic!("{way:?}: {exit}") };
            assert!(message.contains("jit buffer") || message.contains("for execute"), "{way:?}: {message}");
        }
    });
    restricted.unwrap();
}

/// nextest gives each test a process, which under a loader called by hand could not start itself again.
#[cfg(target_env = "ohos")]
fn under(refusal: Refusal) {
    restrict(refusal);
}

#[cfg(not(target_env = "ohos"))]
fn under(refusal: Refusal) {
    let mut program = Command::new(env::current_exe().unwrap());
    program.args(["--exact", "restricted", "--nocapture"]);
    program.env("SAMPAN_TEST_REFUSAL", format!("{refusal:?}"));
    let output = program.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(
        output.status.success() && text.contains("the process lives"),
        "{:?}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn nothing_is_refused() {
    under(Refusal::Nothing);
}

#[test]
fn memory_deny_write_execute() {
    under(Refusal::Mdwe);
}

#[test]
fn memory_both_written_and_executed_is_refused() {
    under(Refusal::WriteAndExecute);
}

#[test]
fn files_of_memory_are_not_executed() {
    under(Refusal::SharedExecute);
}

#[test]
fn rights_are_never_changed_but_said_to_be() {
    under(Refusal::LyingMprotect);
}

#[test]
fn anonymous_memory_is_granted_in_the_bracket_alone() {
    under(Refusal::OutsideOfTheBracket);
}

#[test]
fn files_of_memory_are_granted_in_the_bracket_alone() {
    under(Refusal::AnonymousAndOutsideOfTheBracket);
}

#[test]
fn memory_is_granted_once_the_process_has_asked_for_it() {
    under(Refusal::BeforeItIsEnabled);
}

#[test]
fn no_memory_is_executed() {
    under(Refusal::Execute);
}
