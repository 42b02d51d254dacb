//! This host: the beginning of everything, and what it can run.

use super::logs::EndReport;
use crate::core::{Places, hub, id, initialise};
use crate::events::Figures;
use crate::promise::{free_promise, promise};
use crate::types::{Arch, Message};
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_emulator::{AcceleratorName, HostKind, Probe};
use sampan_manager::Error;

/// One way to run guests.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct Accelerator {
    /// `kvm`, `tcg` or `tci`: the processor itself, translation, interpretation.
    pub name: String,
    /// Whether it works here. Each was tried.
    pub usable: bool,
    /// Why, or why not.
    pub why: Message,
    /// For `tcg`, how memory for translated code is had.
    pub jit: Option<String>,
}

/// What runs the guests of a processor.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct GuestKind {
    /// The processor.
    pub arch: Arch,
    /// The fastest way; none if there is none.
    pub by: Option<String>,
}

/// A kind of process that machines run in.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProcessKind {
    /// One of its own, which HarmonyOS makes: on tablets and PCs.
    NativeChild,
    /// One of its own, a fork of the app.
    Fork,
    /// The app's own.
    InProcess,
}

impl From<HostKind> for ProcessKind {
    fn from(kind: HostKind) -> Self {
        match kind {
            HostKind::NativeChild => Self::NativeChild,
            HostKind::Fork => Self::Fork,
            HostKind::InProcess => Self::InProcess,
        }
    }
}

impl From<ProcessKind> for HostKind {
    fn from(kind: ProcessKind) -> Self {
        match kind {
            ProcessKind::NativeChild => Self::NativeChild,
            ProcessKind::Fork => Self::Fork,
            ProcessKind::InProcess => Self::InProcess,
        }
    }
}

/// What a kind of process offers, as it was found by trying.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct ProcessOffer {
    /// The kind.
    pub kind: ProcessKind,
    /// Whether machines can run in it.
    pub usable: bool,
    /// Why, or why not and what helps.
    pub why: Message,
    /// The ways to run guests there, the best first; a system may refuse to one kind what it grants to another. None without such a process.
    pub accelerators: Vec<Accelerator>,
}

/// What this host offers.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct Capabilities {
    /// Each processor that guests may have.
    pub guests: Vec<GuestKind>,
    /// The ways, the best first, in the kind of process that machines run in if none is chosen for them.
    pub accelerators: Vec<Accelerator>,
    /// The kinds of processes, in the order in which they are preferred.
    pub processes: Vec<ProcessOffer>,
    /// The kind that was chosen for all machines; none: the best for each.
    pub process: Option<ProcessKind>,
}

/// Opens the library of machines in the folder `home`, with QEMU's libraries in `libraries` and its firmware in `firmware`, or
/// beside them. Tells of machines that were cut off when the app or the device last ended. The first call of an app; another one
/// with the same folders has no effect.
#[napi(namespace = "host", catch_unwind)]
pub fn init(
    env: &Env,
    home: String,
    libraries: String,
    firmware: Option<String>,
) -> napi::Result<PromiseRaw<'_, Vec<EndReport>>> {
    free_promise(env, async move {
        let places =
            Places { home: home.into(), libraries: libraries.into(), firmware: firmware.map(Into::into) };
        let core = tokio::task::spawn_blocking(|| initialise(places)).await.map_err(|_| Error::Thread)??;
        let cut_off = core.manager.recover().await?;
        hub().look_again();
        Ok(cut_off.iter().map(|(id, record)| EndReport::of(&id.to_string(), record)).collect())
    })
}

/// This host's figures now.
#[napi(namespace = "host", catch_unwind)]
pub fn figures(env: &Env) -> napi::Result<PromiseRaw<'_, Figures>> {
    promise(env, |core| async move {
        let home = core.manager.library().home().to_owned();
        let figures = tokio::task::spawn_blocking(move || sampan_manager::host::figures(&home)).await;
        Ok(Figures::from(&figures.map_err(|_| Error::Thread)??))
    })
}

/// What this host can run, found by trying: some 100 ms, more for the first time.
#[napi(namespace = "host", catch_unwind)]
pub fn capabilities(env: &Env) -> napi::Result<PromiseRaw<'_, Capabilities>> {
    promise(env, |core| async move {
        let builds = core.manager.libqemu()?.builds();
        let manager = core.manager.clone();
        let asked = move || {
            let hosts = manager.hosts()?;
            Some((hosts.offers(), hosts.usual()))
        };
        let asked = tokio::task::spawn_blocking(asked).await.map_err(|_| Error::Thread)?;
        let (offers, process) = asked.unwrap_or_default();
        let usual = offers
            .iter()
            .filter(|offer| process.is_none_or(|kind| kind == offer.kind))
            .find_map(|offer| offer.probe.clone().filter(|_| offer.usable));
        let probed = usual.unwrap_or(Probe { accelerators: Vec::new() });
        let guests = [sampan_config::Arch::Aarch64, sampan_config::Arch::X86_64];
        Ok(Capabilities {
            guests: guests
                .into_iter()
                .map(|arch| GuestKind {
                    arch: Arch::from(arch),
                    by: probed
                        .choose(arch)
                        // An accelerator without a library for the guest runs none.
                        .filter(|choice| {
                            builds.iter().any(|(of, engine, _)| (*of, *engine) == (arch, choice.engine))
                        })
                        .map(|choice| match (choice.name, choice.engine) {
                            (AcceleratorName::Tcg, sampan_emulator::Engine::Interpreter) => "tci".to_owned(),
                            (name, _) => name.to_string(),
                        }),
                })
                .collect(),
            accelerators: accelerators(&probed),
            processes: offers
                .iter()
                .map(|offer| ProcessOffer {
                    kind: offer.kind.into(),
                    usable: offer.usable,
                    why: Message::from(&offer.why),
                    accelerators: offer.probe.as_ref().map(accelerators).unwrap_or_default(),
                })
                .collect(),
            process: process.map(ProcessKind::from),
        })
    })
}

fn accelerators(probed: &Probe) -> Vec<Accelerator> {
    let one = |found: &sampan_emulator::Accelerator| Accelerator {
        name: found.name.to_string(),
        usable: found.usable,
        why: Message::from(&found.why()),
        jit: found.jit.map(|jit| jit.name().to_owned()),
    };
    probed.accelerators.iter().map(one).collect()
}

/// Chooses the kind of process for machines that have no choice of their own, from their next start on; none: the best for each. The page keeps the
/// choice and tells it after `host.init`.
#[napi(namespace = "host", catch_unwind)]
pub fn set_process(env: &Env, kind: Option<ProcessKind>) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        if let Some(hosts) = core.manager.hosts() {
            hosts.set_usual(kind.map(HostKind::from));
        }
        Ok(())
    })
}

/// The kind of process that was chosen for a machine; none: what is chosen for all.
#[napi(namespace = "host", catch_unwind)]
pub fn process_of(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Option<ProcessKind>>> {
    promise(
        env,
        move |core| async move { Ok(core.manager.process(id(&machine)?).await?.map(ProcessKind::from)) },
    )
}

/// Chooses it, from the machine's next start on. It is kept on this host and goes with no copy of the machine.
#[napi(namespace = "host", catch_unwind)]
pub fn set_process_of(
    env: &Env,
    machine: String,
    kind: Option<ProcessKind>,
) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        Ok(core.manager.set_process(id(&machine)?, kind.map(HostKind::from)).await?)
    })
}
