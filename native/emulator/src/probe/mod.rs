//! What this machine can run guests with: KVM, just-in-time translation, or the interpreter. Each is tried for
//! real, where it may crash or hang, and each answer says why in words.

mod gpu;
mod isolate;
mod jit;
mod kvm;
mod kvm_abi;
mod reason;

use std::borrow::Cow;
use std::time::Duration;

use sampan_message::{Coded, Message, Params};
use serde::{Deserialize, Serialize};

pub use gpu::{Gpu, GpuKind};
pub use isolate::Isolation;
pub use jit::Jit;
pub(crate) use reason::Reason;

use crate::{Arch, Engine, LibqemuDir, child};
pub(crate) use isolate::Silence;
use isolate::{Answer, ask};

/// Of a machine so busy that it is of no use, or a kernel that does not return.
const PATIENCE: Duration = Duration::from_secs(5);
/// Drivers are read from disk and compiled.
const GPU_PATIENCE: Duration = Duration::from_secs(20);

/// What a probe is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Kvm,
    Jit(Jit),
    Gpu,
    #[cfg(test)]
    Crash,
    #[cfg(test)]
    Hang,
}

impl Question {
    /// For the helper's command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Jit(way) => way.name(),
            Self::Gpu => "gpu",
            #[cfg(test)]
            Self::Crash | Self::Hang => "",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let ways = Jit::ALL.into_iter().map(Self::Jit);
        [Self::Kvm, Self::Gpu].into_iter().chain(ways).find(|q| q.name() == name)
    }

    /// How to answer in a forked child; `None` when it takes more than system calls.
    pub(crate) fn by_system_calls(self) -> Option<fn() -> Answer> {
        match self {
            Self::Kvm => Some(kvm::try_guests),
            Self::Jit(Jit::Rwx) => Some(|| jit::try_way(Jit::Rwx)),
            Self::Jit(Jit::Flip) => Some(|| jit::try_way(Jit::Flip)),
            Self::Jit(Jit::Split) => Some(|| jit::try_way(Jit::Split)),
            Self::Jit(Jit::Bracketed) => Some(|| jit::try_way(Jit::Bracketed)),
            Self::Jit(Jit::BracketedSplit) => Some(|| jit::try_way(Jit::BracketedSplit)),
            Self::Jit(Jit::Enabled) => Some(|| jit::try_way(Jit::Enabled)),
            Self::Gpu => None,
            #[cfg(test)]
            Self::Crash => Some(|| {
                // SAFETY: raises a signal in the forked child, after which nothing runs.
                unsafe {
                    libc::signal(libc::SIGSEGV, libc::SIG_DFL);
                    libc::raise(libc::SIGSEGV);
                }
                Answer::default()
            }),
            #[cfg(test)]
            Self::Hang => Some(|| {
                loop {
                    std::hint::spin_loop();
                }
            }),
        }
    }

    /// The helper's standard output.
    pub(crate) fn answer(self) -> Vec<u8> {
        match self.by_system_calls() {
            Some(answer) => answer().to_bytes().to_vec(),
            None => serde_json::to_vec(&gpu::find()).unwrap_or_default(),
        }
    }
}

/// A way to run a guest's code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accelerator {
    /// QEMU's name of it, but `tci` for the interpreter, which is a build of QEMU.
    pub name: AcceleratorName,
    /// Does it work here?
    pub usable: bool,
    /// Why, or why not, in words.
    pub reason: String,
    /// The code of the reason.
    #[serde(default)]
    pub code: Cow<'static, str>,
    /// What the reason is made of.
    #[serde(default)]
    pub params: Params,
    /// For `tcg`: how its code buffer is to be mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jit: Option<Jit>,
}

impl Accelerator {
    fn new(name: AcceleratorName, usable: bool, why: &Reason, jit: Option<Jit>) -> Self {
        let Message { code, params, message: reason } = why.message();
        Self { name, usable, reason, code, params, jit }
    }

    /// Why, or why not.
    pub fn why(&self) -> Message {
        Message { code: self.code.clone(), params: self.params.clone(), message: self.reason.clone() }
    }
}

/// The ways there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceleratorName {
    /// The processor itself; guests of its own architecture.
    Kvm,
    /// Just-in-time translation.
    Tcg,
    /// Interpretation, 16 to 19 times slower.
    Tci,
}

impl std::fmt::Display for AcceleratorName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
            Self::Tci => "tci",
        })
    }
}

/// What was found, the best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// One of each name.
    pub accelerators: Vec<Accelerator>,
}

/// How to run guests of one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The accelerator.
    pub name: AcceleratorName,
    /// The build of libqemu.
    pub engine: Engine,
    /// What follows QEMU's `-accel`.
    pub accelerator: String,
}

/// Tries everything, in the helper program if it is there, else in forked children. Takes some 100 ms;
/// where a probe hangs, up to 5 s for each.
pub fn probe(dir: Option<&LibqemuDir>) -> Probe {
    probe_in(&isolation(), dir)
}

/// The GPUs that Vulkan reports, or why it reports none.
///
/// # Errors
/// A reason in words: no loader, no driver, a driver that crashed, or no helper program to ask in.
pub fn gpus() -> Result<Vec<Gpu>, String> {
    gpu::understand(ask(&isolation(), Question::Gpu, GPU_PATIENCE))
}

fn isolation() -> Isolation {
    child::vmhost_program().map_or(Isolation::Fork, Isolation::Helper)
}

/// As [`probe`], with the place to do it given.
pub fn probe_in(isolation: &Isolation, dir: Option<&LibqemuDir>) -> Probe {
    probe_by(|question, patience| ask(isolation, question, patience), dir)
}

/// The same by whatever answers the questions within so long.
pub(crate) fn probe_by(
    ask: impl Fn(Question, Duration) -> Result<Vec<u8>, Silence>,
    dir: Option<&LibqemuDir>,
) -> Probe {
    let ask = |question| {
        ask(question, PATIENCE)
            .and_then(|bytes| Answer::from_bytes(&bytes).ok_or_else(|| Silence("gave half an answer".into())))
    };
    let kvm = kvm::verdict(ask(Question::Kvm));
    let tcg = first_open_way(|way| jit::refusal(ask(Question::Jit(way))));
    let usable = kvm.is_ok();
    let kvm = Accelerator::new(AcceleratorName::Kvm, usable, &kvm.unwrap_or_else(|reason| reason), None);
    Probe { accelerators: vec![kvm, tcg, interpreter(dir)] }
}

fn first_open_way(mut refusal: impl FnMut(Jit) -> Option<String>) -> Accelerator {
    let mut refused = Vec::new();
    for way in Jit::ALL {
        match refusal(way) {
            Some(reason) => refused.push(format!("{}: {reason}", way.name())),
            None if !way.serves() => refused.push(format!("{}: {}", way.name(), jit::DOES_NOT_SERVE)),
            None => {
                let why = Reason::JitRuns { way: way.name(), refused: refused.join("; ") };
                return Accelerator::new(AcceleratorName::Tcg, true, &why, Some(way));
            }
        }
    }
    let why = Reason::NoJit { refused: refused.join("; ") };
    Accelerator::new(AcceleratorName::Tcg, false, &why, None)
}

fn interpreter(dir: Option<&LibqemuDir>) -> Accelerator {
    let archs: Vec<String> = dir
        .map(LibqemuDir::builds)
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, engine, _)| *engine == Engine::Interpreter)
        .map(|(arch, ..)| arch.to_string())
        .collect();
    let why = match archs.is_empty() {
        true => Reason::NoInterpreter,
        false => Reason::InterpreterRuns { archs: archs.join(" and ") },
    };
    Accelerator::new(AcceleratorName::Tci, !archs.is_empty(), &why, None)
}

impl Probe {
    /// The best way to run guests of `arch`; `None` when there is none, and the reasons say why.
    pub fn choose(&self, arch: Arch) -> Option<Choice> {
        let usable =
            |a: &&Accelerator| a.usable && (a.name != AcceleratorName::Kvm || Arch::host() == Some(arch));
        let best = self.accelerators.iter().find(usable)?;
        let (engine, accelerator) = match best.name {
            AcceleratorName::Kvm => (Engine::Native, "kvm".to_owned()),
            AcceleratorName::Tcg => (Engine::Native, tcg_options(arch, best.jit)),
            AcceleratorName::Tci => (Engine::Interpreter, tcg_options(arch, None)),
        };
        Some(Choice { name: best.name, engine, accelerator })
    }
}

fn tcg_options(arch: Arch, jit: Option<Jit>) -> String {
    let mut options = "tcg".to_owned();
    // A PC guest counts on memory being ordered as on a PC: elsewhere QEMU itself must choose.
    if arch != Arch::X86_64 || Arch::host() == Some(Arch::X86_64) {
        options.push_str(",thread=multi");
    }
    if let Some(way) = jit {
        options.push_str(&format!(",jit={},tb-size={}", way.name(), jit::BUFFER_MIB));
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kvm: bool, jit: Option<Jit>, tci: bool) -> Probe {
        let accelerator = |name, usable, jit| Accelerator::new(name, usable, &Reason::NoKvm, jit);
        Probe {
            accelerators: vec![
                accelerator(AcceleratorName::Kvm, kvm, None),
                accelerator(AcceleratorName::Tcg, jit.is_some(), jit),
                accelerator(AcceleratorName::Tci, tci, None),
            ],
        }
    }

    #[test]
    fn the_best_usable_way_is_chosen() {
        let host = Arch::host().unwrap();
        let other = Arch::ALL.into_iter().find(|a| *a != host).unwrap();
        let all = found(true, Some(Jit::Rwx), true);
        assert_eq!(all.choose(host).unwrap().accelerator, "kvm");
        assert_eq!(all.choose(other).unwrap().name, AcceleratorName::Tcg);

        let split = found(false, Some(Jit::Split), true).choose(Arch::Aarch64).unwrap();
        assert_eq!(split.accelerator, "tcg,thread=multi,jit=split,tb-size=256");
        assert_eq!(found(false, None, true).choose(host).unwrap().engine, Engine::Interpreter);
        assert_eq!(found(false, None, false).choose(host), None);
    }

    #[test]
    fn ways_are_tried_in_order_and_refusals_are_told() {
        let mut tried = Vec::new();
        let tcg = first_open_way(|way| {
            tried.push(way);
            matches!(way, Jit::Rwx | Jit::Flip).then(|| "no".into())
        });
        assert_eq!(tried, [Jit::Rwx, Jit::Flip, Jit::Split]);
        assert_eq!(tcg.jit, Some(Jit::Split));
        assert_eq!(tcg.reason, "code that was written into memory ran (split); refused: rwx: no; flip: no");
        assert!(!first_open_way(|_| Some("no".into())).usable);
    }

    /// With one thread for all CPUs, too: see [`Jit::serves`].
    #[test]
    fn memory_that_is_writable_and_executable_in_turns_is_told_and_not_used() {
        let tcg = first_open_way(|way| (way != Jit::Flip).then(|| "no".into()));
        assert!(!tcg.usable && tcg.jit.is_none(), "{tcg:?}");
        assert!(tcg.reason.contains("flip: granted, but of no use to QEMU"), "{tcg:?}");
        let split = first_open_way(|way| (way == Jit::Rwx).then(|| "no".into()));
        assert_eq!(split.jit, Some(Jit::Split), "the next way is taken");
    }

    #[test]
    fn the_json_is_as_documented() {
        let json = serde_json::to_value(found(false, Some(Jit::Rwx), false)).unwrap();
        assert_eq!(json["accelerators"][0]["name"], "kvm");
        assert_eq!(json["accelerators"][1]["jit"], "rwx");
        assert_eq!(json["accelerators"][2].get("jit"), None);
    }
}
