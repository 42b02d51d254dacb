//! `libsampan.so`: the application core as the app's pages call it.
//!
//! One source serves two engines. On OpenHarmony `napi-ohos` speaks to ArkTS; elsewhere `napi` speaks to Node.js, where the
//! same module is tested, and from where a browser's preview of the pages calls it.
//!
//! The whole interface is made of four things, so that it can be carried over a socket: functions that return a `Promise`,
//! [`Job`](job::Job)s, subscriptions ([`on`](events::on)), and input calls that return nothing. `cargo xtask check` sees to it.
//!
//! **Invariants:** conversion alone: every function is a call of `sampan-manager`. Nothing waits on the thread that calls.
//! No panic reaches the engine. What is told of changes is bounded, and the newest state replaces an older one.

// What the engine calls is not registered in a test program.
#![cfg_attr(
    test,
    allow(dead_code, unused_imports, reason = "the macros leave out what the engine would call")
)]

// The macros of both crates name the crate `napi`.
#[cfg(target_env = "ohos")]
extern crate napi_derive_ohos as napi_derive;
#[cfg(target_env = "ohos")]
extern crate napi_ohos as napi;

mod api;
mod children;
mod core;
mod events;
mod features;
mod job;
mod promise;
mod sound_devices;
mod types;
