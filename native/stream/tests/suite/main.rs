//! A guest's screen on its way to a viewer: encoders, HTTP and WebRTC.

mod codec;
mod common;
mod exchange;
mod http;
// It asks glibc how much is in use.
#[cfg(target_env = "gnu")]
mod memory;
#[cfg(not(target_env = "ohos"))]
mod publish;
mod share;
mod sound;
// It looks at decoded pictures, see `common::decoder`.
#[cfg(not(target_env = "ohos"))]
mod stream;
