//! The default CPU model where guests are translated (TCG): what is left out of it because translation makes it slow.
//!
//! Which properties those are has a number, as a guest's CPU must not change by an update of the program: a machine
//! keeps the number it was made with, and a saved state needs the CPU that it was saved with.

use crate::finding::{Concern, Finding, Severity};
use crate::{Arch, VmConfig};

/// The tuning of new machines.
pub const CURRENT_TUNING: u32 = 2;

/// The bits that tell x86 guests that `rep movs` and `rep stos` are the fastest way to copy and fill memory (Intel SDM
/// volume 1, 7.3.9.3). TCG carries them out one element at a time (`do_gen_rep` in `target/i386/tcg/translate.c`),
/// while the loops that libc and kernels have for other CPUs move 16 or 32 bytes at once. All five go together: each is
/// looked for by somebody.
const NO_FAST_STRINGS: &str = ",erms=off,fsrm=off,fzrm=off,fsrs=off,fsrc=off";

/// That the time stamp counter runs at one rate and never stops, which is true of QEMU's: it counts the host's time. Without
/// it Linux does not trust the counters of several CPUs (`unsynchronized_tsc`) and reads the time from a device, by a system
/// call and under QEMU's one lock. libqemu alone has it for TCG (scripts/qemu/patches).
const STEADY_COUNTER: &str = ",invtsc=on";

/// What Arm guests use at once where it is there, and TCG carries out slowly: pointer authentication, whose signs are made and
/// looked at in each function of a guest that is built for it, and the scalable vectors that libc then copies with. A guest
/// without them does the same by plain instructions (those of pointer authentication do nothing then, as on older CPUs), and
/// boots in two thirds of the time (docs/performance.md, "Guests").
const NO_SLOW_ARM: &str = "max,pauth=off,sve=off,sme=off";

/// The model that a machine has when nobody chose one.
pub(crate) fn default_model(arch: Arch, tuning: u32, kvm: bool) -> String {
    match arch {
        Arch::X86_64 => {
            // Five-level paging makes each of TCG's page walks longer, for memory sizes no device has.
            let mut model = "max,la57=off".to_owned();
            // With KVM the host's own CPU carries them out, fast.
            if tuning >= 1 && !kvm {
                model.push_str(NO_FAST_STRINGS);
                model.push_str(STEADY_COUNTER);
            }
            model
        }
        // With KVM the host decides, and the property below is not there (`aarch64_add_pauth_properties`).
        Arch::Aarch64 if kvm => "max".to_owned(),
        Arch::Aarch64 if tuning >= 2 => NO_SLOW_ARM.to_owned(),
        // The architected pointer authentication is the slowest thing TCG emulates; this one is as safe here.
        Arch::Aarch64 => "max,pauth-impdef=on".to_owned(),
    }
}

impl VmConfig {
    /// How the guest would run faster where it is translated, with the fix. `None` where there is nothing to gain, or where
    /// somebody chose the CPU's model.
    pub fn tuning_hint(&self) -> Option<Finding> {
        let arch = self.system.arch;
        let ours = |tuning| default_model(arch, tuning, false);
        let better = self.cpu.model.is_none() && ours(self.cpu.tuning) != ours(CURRENT_TUNING);
        let hint = || Concern::OldTuning { newest: CURRENT_TUNING }.at(Severity::Note, "cpu.tuning");
        better.then(|| hint().fixed_by(CURRENT_TUNING))
    }
}
