//! What the system does with the app, told by its ability, and what becomes of the machines then.

use super::life::span;
use crate::core::id;
use crate::promise::promise;
use crate::types::Message;
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_manager::app as core_app;

/// What becomes of machines while nobody looks at the app.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WhileAway {
    /// They run on and take less, where the system lets the app run.
    RunOn,
    /// They are paused.
    Pause,
    /// They are paused at once, then saved one after the other as far as the time suffices.
    Save,
}

/// What was done with a machine.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Did {
    /// It goes on as it was.
    Nothing,
    /// It takes less of the host.
    Slowed,
    /// It takes as much as before.
    Restored,
    /// It was paused.
    Paused,
    /// It goes on where it was.
    Resumed,
    /// It was started, and goes on where it was saved.
    Started,
    /// It was saved and ended.
    Suspended,
    /// It was ended, its disks flushed.
    ShutDown,
}

/// What became of one machine.
#[napi(object, object_from_js = false)]
pub struct Done {
    /// The machine.
    pub machine: String,
    /// What was done.
    pub did: Did,
    /// Why no more was done.
    pub refused: Option<Message>,
}

fn done(all: Vec<core_app::Done>) -> Vec<Done> {
    let one = |done: core_app::Done| Done {
        machine: done.machine,
        did: match done.did {
            core_app::Did::Nothing => Did::Nothing,
            core_app::Did::Slowed => Did::Slowed,
            core_app::Did::Restored => Did::Restored,
            core_app::Did::Paused => Did::Paused,
            core_app::Did::Resumed => Did::Resumed,
            core_app::Did::Started => Did::Started,
            core_app::Did::Suspended => Did::Suspended,
            core_app::Did::ShutDown => Did::ShutDown,
        },
        refused: done.refused.as_ref().map(Message::from),
    };
    all.into_iter().map(one).collect()
}

/// Nobody looks at the app, and the system halts it in `grace` milliseconds unless machines run on. Comes back when all is done, the time is over
/// or somebody looks again.
#[napi(namespace = "app", catch_unwind)]
pub fn to_background(env: &Env, policy: WhileAway, grace: f64) -> napi::Result<PromiseRaw<'_, Vec<Done>>> {
    let policy = match policy {
        WhileAway::RunOn => core_app::WhileAway::RunOn,
        WhileAway::Pause => core_app::WhileAway::Pause,
        WhileAway::Save => core_app::WhileAway::Save,
    };
    promise(env, move |core| async move {
        // Whoever leaves has looked at these until now.
        core.screens.machines().into_iter().for_each(|machine| core.manager.looked_at(machine));
        Ok(done(core.manager.to_background(policy, span(grace)).await))
    })
}

/// Somebody looks at the app again: what ran goes on. Of the machines that were saved that is `in_front` alone, whose screen is shown.
#[napi(namespace = "app", catch_unwind)]
pub fn to_foreground(env: &Env, in_front: Option<String>) -> napi::Result<PromiseRaw<'_, Vec<Done>>> {
    promise(env, move |core| async move {
        let front = in_front.as_deref().map(id).transpose()?;
        Ok(done(core.manager.to_foreground(front).await))
    })
}

/// The system wants memory back: of the machines that nobody looks at, the one that was looked at longest ago is saved. While memory is
/// short the system says so again.
#[napi(namespace = "app", catch_unwind)]
pub fn low_memory(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Done>>> {
    promise(env, |core| async move { Ok(done(core.manager.low_memory().await)) })
}

/// The system ends the app in so many milliseconds: machines are saved.
#[napi(namespace = "app", catch_unwind)]
pub fn about_to_end(env: &Env, grace: f64) -> napi::Result<PromiseRaw<'_, Vec<Done>>> {
    promise(env, move |core| async move { Ok(done(core.manager.about_to_end(span(grace)).await)) })
}
