//! Why a way to run guests works here, or does not.

use sampan_message::{Message, Params, samples as samples_of};

/// What a probe came to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("a test guest ran {guest} million loops a second, the processor itself {host}")]
    KvmRuns { guest: String, host: String },
    #[error("there is no /dev/kvm")]
    NoKvm,
    #[error("/dev/kvm may not be opened: add this user to the group kvm")]
    KvmNotAllowed,
    #[error(
        "a test guest ran {guest} million loops a second where the processor itself runs {host}: \
         its instructions are emulated, which is slower than QEMU's translator"
    )]
    KvmEmulated { guest: String, host: String },
    #[error("{0}")]
    KvmFails(String),
    #[error(
        "code that was written into memory ran ({way}){}",
        if .refused.is_empty() { String::new() } else { format!("; refused: {}", .refused) }
    )]
    JitRuns { way: &'static str, refused: String },
    #[error("no memory can be both written and executed: {refused}")]
    NoJit { refused: String },
    #[error("runs {archs} guests anywhere, 16 to 19 times slower than translation")]
    InterpreterRuns { archs: String },
    #[error("libqemu was not built with the interpreter")]
    NoInterpreter,
}

impl Reason {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::KvmRuns { guest, host } => {
                ("kvm_runs", Params::of("guest", &**guest).with("host", &**host))
            }
            Self::NoKvm => ("no_kvm", Params::new()),
            Self::KvmNotAllowed => ("kvm_not_allowed", Params::new()),
            Self::KvmEmulated { guest, host } => {
                ("kvm_emulated", Params::of("guest", &**guest).with("host", &**host))
            }
            Self::KvmFails(why) => ("kvm_fails", Params::of("why", &**why)),
            Self::JitRuns { way, refused } => {
                ("jit_runs", Params::of("way", *way).with("refused", &**refused))
            }
            Self::NoJit { refused } => ("no_jit", Params::of("refused", &**refused)),
            Self::InterpreterRuns { archs } => ("interpreter_runs", Params::of("archs", &**archs)),
            Self::NoInterpreter => ("no_interpreter", Params::new()),
        }
    }

    fn after(&self) -> Option<Self> {
        let (guest, host) = ("0.8".to_owned(), "2900.0".to_owned());
        let refused = || "rwx: permission denied".to_owned();
        Some(match self {
            Self::KvmRuns { .. } => Self::NoKvm,
            Self::NoKvm => Self::KvmNotAllowed,
            Self::KvmNotAllowed => Self::KvmEmulated { guest, host },
            Self::KvmEmulated { .. } => Self::KvmFails("KVM makes no virtual machine: busy".into()),
            Self::KvmFails(_) => Self::JitRuns { way: "split", refused: refused() },
            Self::JitRuns { .. } => Self::NoJit { refused: refused() },
            Self::NoJit { .. } => Self::InterpreterRuns { archs: "x86_64 and aarch64".into() },
            Self::InterpreterRuns { .. } => Self::NoInterpreter,
            Self::NoInterpreter => return None,
        })
    }

    pub(crate) fn samples() -> Vec<Message> {
        let (guest, host) = ("2000.0".to_owned(), "2900.0".to_owned());
        samples_of(Self::KvmRuns { guest, host }, Self::after)
    }
}

sampan_message::coded!(Reason);
