//! Processes for one VM each, where no other program may be started: forks, and HarmonyOS's native child processes.
//!
//! Both keep the contract of [`Launcher`](crate::Launcher): argv and named fds go in, sockets come out, one [`Exit`](crate::Exit) is reported. Beside the named fds
//! a host has a control socket: see [`inside`].

mod fork;
mod inside;
mod native_child;
mod remote;
mod wire;
mod zygote;

pub use fork::ForkHost;
pub use native_child::{ChildRefused, HOST_LIBRARY, NativeChildHost, NativeChildren, run_native_child};
