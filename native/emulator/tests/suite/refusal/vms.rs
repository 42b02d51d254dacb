//! What the probe and libqemu make of a refusal. Filters stay for ever, so this is for a process of its own.

use sampan_emulator::{AcceleratorName, Arch, Choice, Engine, Exit, Isolation, Jit, LaunchSpec, probe_in};

use super::Refusal;
use crate::common::{in_process, libqemu, machine, start, tiny_guest, try_start};

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

pub fn under(refusal: Refusal) {
    let libqemu = libqemu();
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
        if let Some(words) = refusal.of_flip() {
            let flip = tcg.reason.split("; ").find(|refused| refused.contains("flip: ")).unwrap();
            assert!(flip.contains(words), "{tcg:?}");
        }
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
        for way in refused.filter(|way| way.serves()) {
            let mut spec = machine("refused");
            spec.args(["-accel".to_owned(), format!("tcg,jit={}", way.name())]);
            let exit = try_start(&in_process(), spec).unwrap().wait();
            let Exit::Failed { status: 1, message } = &exit else { panic!("{way:?}: {exit}") };
            assert!(message.contains("jit buffer") || message.contains("for execute"), "{way:?}: {message}");
        }
    });
    restricted.unwrap();
}
