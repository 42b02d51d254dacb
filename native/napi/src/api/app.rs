//! What the system does with the app, told by its ability, and what becomes of the machines then.

use super::life::span;
use crate::promise::promise;
use crate::types::Message;
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_manager::app as core_app;

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
            core_app::Did::Suspended => Did::Suspended,
            core_app::Did::ShutDown => Did::ShutDown,
        },
        refused: done.refused.as_ref().map(Message::from),
    };
    all.into_iter().map(one).collect()
}

/// Nobody looks at the app.
#[napi(namespace = "app", catch_unwind)]
pub fn to_background(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Done>>> {
    promise(env, |core| async move { Ok(done(core.manager.to_background().await)) })
}

/// Somebody looks at the app again.
#[napi(namespace = "app", catch_unwind)]
pub fn to_foreground(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Done>>> {
    promise(env, |core| async move { Ok(done(core.manager.to_foreground().await)) })
}

/// The system wants memory back.
#[napi(namespace = "app", catch_unwind)]
pub fn low_memory(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Done>>> {
    promise(env, |core| async move { Ok(done(core.manager.low_memory().await)) })
}

/// The system ends the app in so many milliseconds: machines are saved.
#[napi(namespace = "app", catch_unwind)]
pub fn about_to_end(env: &Env, grace: f64) -> napi::Result<PromiseRaw<'_, Vec<Done>>> {
    promise(env, move |core| async move { Ok(done(core.manager.about_to_end(span(grace)).await)) })
}
