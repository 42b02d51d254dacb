//! A guest's screen on its way to a viewer: encoders, HTTP and WebRTC.

mod codec;
mod common;
mod exchange;
mod http;
mod memory;
mod share;
mod stream;
