//! This host: the beginning of everything, and what it can run.

use super::logs::EndReport;
use crate::core::{Places, hub, initialise};
use crate::events::Figures;
use crate::promise::{free_promise, promise};
use crate::types::{Arch, Message};
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_emulator::{AcceleratorName, probe};
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

/// What this host offers.
#[napi(object, object_from_js = false)]
#[derive(Clone, PartialEq)]
pub struct Capabilities {
    /// Each processor that guests may have.
    pub guests: Vec<GuestKind>,
    /// The ways, the best first.
    pub accelerators: Vec<Accelerator>,
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

/// What this host can run, found by trying. It takes some 100 ms.
#[napi(namespace = "host", catch_unwind)]
pub fn capabilities(env: &Env) -> napi::Result<PromiseRaw<'_, Capabilities>> {
    promise(env, |core| async move {
        let libqemu = core.manager.libqemu()?;
        let builds = libqemu.builds();
        let probed =
            tokio::task::spawn_blocking(move || probe(Some(&libqemu))).await.map_err(|_| Error::Thread)?;
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
            accelerators: probed
                .accelerators
                .iter()
                .map(|found| Accelerator {
                    name: found.name.to_string(),
                    usable: found.usable,
                    why: Message::from(&found.why()),
                    jit: found
                        .jit
                        .and_then(|jit| serde_json::to_value(jit).ok()?.as_str().map(str::to_owned)),
                })
                .collect(),
        })
    })
}
