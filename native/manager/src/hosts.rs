//! In what kind of process a machine of this app runs: in HarmonyOS's native child process, in a fork, or in this process itself. Each kind is tried, and what
//! guests can be run with is asked anew in each, since a system grants to one what it refuses to another.

use crate::error::{Error, Result};
use crate::sentences::Sentence;
use parking_lot::Mutex;
use sampan_config::{Arch, HostKind};
use sampan_emulator::{
    Choice, Engine, ForkHost, InProcess, LaunchError, Launcher, LibqemuDir, NativeChildHost, NativeChildren,
    Probe,
};
use sampan_message::{Coded, Message};
use std::collections::HashMap;
use std::sync::Arc;

/// The kinds of processes that this app has. Clones are the same ones.
#[derive(Clone)]
pub struct Hosts(Arc<Shared>);

struct Shared {
    libqemu: LibqemuDir,
    in_process: Arc<InProcess>,
    fork: Result<Arc<ForkHost>, Message>,
    native_child: Result<Arc<NativeChildHost>, Message>,
    /// What each kind can run; whatever else it was is tried again.
    probes: Mutex<HashMap<HostKind, Probe>>,
    /// What machines run in that have no choice of their own.
    usual: Mutex<Option<HostKind>>,
}

/// What a kind of process offers.
#[derive(Clone, Debug, PartialEq)]
pub struct HostOffer {
    /// The kind.
    pub kind: HostKind,
    /// Whether machines can run in it.
    pub usable: bool,
    /// Why, or why not and what helps.
    pub why: Message,
    /// What guests can be run with there; nothing where there is no such process.
    pub probe: Option<Probe>,
}

/// Where a machine is run, and by what.
pub struct HostChoice {
    /// The kind.
    pub kind: HostKind,
    /// What starts it.
    pub launcher: Arc<dyn Launcher>,
    /// How its CPUs are run there.
    pub choice: Choice,
}

impl Hosts {
    /// The kinds that there are. It makes the process that later forks are made by (see [`ForkHost`]), so it comes early: before machines, and before many
    /// threads. `children` are the system's, or why it has none.
    pub fn new(libqemu: LibqemuDir, children: Result<Arc<dyn NativeChildren>, Message>) -> Self {
        let message = |error: LaunchError| error.message();
        let fork = ForkHost::new(libqemu.clone()).map(Arc::new).map_err(message);
        let native_child = children
            .and_then(|system| NativeChildHost::new(libqemu.clone(), system).map_err(message))
            .map(Arc::new);
        let in_process = Arc::new(InProcess::new(libqemu.clone()));
        let (probes, usual) = Default::default();
        Self(Arc::new(Shared { libqemu, in_process, fork, native_child, probes, usual }))
    }

    /// Sets what machines run in that have no choice of their own; `None`: the best kind that there is.
    pub fn set_usual(&self, kind: Option<HostKind>) {
        *self.0.usual.lock() = kind;
    }

    /// What was set so.
    pub fn usual(&self) -> Option<HostKind> {
        *self.0.usual.lock()
    }

    fn launcher(&self, kind: HostKind) -> Result<Arc<dyn Launcher>, Message> {
        match kind {
            HostKind::NativeChild => self.0.native_child.clone().map(|host| host as Arc<dyn Launcher>),
            HostKind::Fork => self.0.fork.clone().map(|host| host as Arc<dyn Launcher>),
            HostKind::InProcess => Ok(Arc::clone(&self.0.in_process) as Arc<dyn Launcher>),
        }
    }

    /// Makes a process of the kind that does nothing.
    fn try_out(&self, kind: HostKind) -> Result<(), Message> {
        let tried = match kind {
            HostKind::NativeChild => self.0.native_child.as_ref().map_err(Clone::clone)?.try_out(),
            HostKind::Fork => self.0.fork.as_ref().map_err(Clone::clone)?.try_out(),
            HostKind::InProcess => Ok(()),
        };
        // The reason alone: that the machine was not started is not what was asked.
        tried.map_err(|error| match error {
            LaunchError::Host { reason, .. } => reason,
            other => other.message(),
        })
    }

    /// What guests can be run with in a process of the kind. It blocks; what was found stays. That there can be a process now is tried each time: the system
    /// may have no more of them.
    fn probe(&self, kind: HostKind) -> Result<Probe, Message> {
        self.try_out(kind)?;
        if let Some(known) = self.0.probes.lock().get(&kind) {
            return Ok(known.clone());
        }
        let probe = self.launcher(kind)?.probe(Some(&self.0.libqemu));
        if probe.accelerators.iter().any(|accelerator| accelerator.usable) {
            self.0.probes.lock().insert(kind, probe.clone());
        }
        Ok(probe)
    }

    /// Every kind, as it was found by trying. It blocks, for some 100 ms, and longer where a probe hangs.
    pub fn offers(&self) -> Vec<HostOffer> {
        HostKind::ALL.into_iter().map(|kind| self.offer(kind)).collect()
    }

    fn offer(&self, kind: HostKind) -> HostOffer {
        let unusable = |why| HostOffer { kind, usable: false, why, probe: None };
        let probe = match self.probe(kind) {
            Ok(probe) => probe,
            Err(why) => return unusable(why),
        };
        let best = Arch::ALL.into_iter().find_map(|arch| probe.choose(arch));
        let why = match &best {
            Some(choice) => {
                let by = crate::host::speed(choice).to_owned();
                Message::saying(&match kind.is_isolated() {
                    true => Sentence::RunsApart { by },
                    false => Sentence::RunsWithin { by },
                })
            }
            None => {
                let reasons = probe.accelerators.iter().map(|a| (a.name, a.why()));
                Error::NoAccelerator { reasons: reasons.collect() }.message()
            }
        };
        HostOffer { kind, usable: best.is_some(), why, probe: Some(probe) }
    }

    /// Where a machine with guests of this processor runs: in the kind that its owner or the whole app chose, else in the first that translates or does better,
    /// else in the first that can run it at all. A kind that keeps accidents apart comes before one that does not. It blocks.
    ///
    /// # Errors
    /// [`Error::NoHost`]: a kind was chosen that cannot be had here; a choice is not replaced by one that is less isolated. [`Error::NoAccelerator`].
    pub fn choose(&self, arch: Arch, chosen: Option<HostKind>) -> Result<HostChoice> {
        if let Some(kind) = chosen.or(self.usual()) {
            let probe = self.probe(kind).map_err(|why| Error::NoHost { kind, why })?;
            return self.in_host(kind, &probe, arch);
        }
        let mut best: Option<(HostKind, Probe)> = None;
        let mut last = None;
        for kind in HostKind::ALL {
            let probe = match self.probe(kind) {
                Ok(probe) => probe,
                Err(why) => {
                    log::info!("machines do not run in processes of the kind {kind}: {why}");
                    continue;
                }
            };
            match probe.choose(arch) {
                Some(choice) if choice.engine == Engine::Native => return self.in_host(kind, &probe, arch),
                Some(_) if best.is_none() => best = Some((kind, probe)),
                _ => last = Some((kind, probe)),
            }
        }
        // This process is always there.
        let (kind, probe) = best.or(last).ok_or(Error::Thread)?;
        self.in_host(kind, &probe, arch)
    }

    fn in_host(&self, kind: HostKind, probe: &Probe, arch: Arch) -> Result<HostChoice> {
        let launcher = self.launcher(kind).map_err(|why| Error::NoHost { kind, why })?;
        let choice = crate::host::chosen(probe, arch)?;
        Ok(HostChoice { kind, launcher, choice })
    }

    /// For work on images, whose formats are a stranger's: in a process of its own where there is one. It blocks.
    pub(crate) fn for_images(&self) -> Arc<dyn Launcher> {
        let isolated = [HostKind::Fork, HostKind::NativeChild].into_iter();
        let wanted = match self.usual() {
            Some(HostKind::InProcess) => None,
            _ => {
                isolated.filter(|kind| self.try_out(*kind).is_ok()).find_map(|kind| self.launcher(kind).ok())
            }
        };
        wanted.unwrap_or_else(|| Arc::clone(&self.0.in_process) as Arc<dyn Launcher>)
    }
}
