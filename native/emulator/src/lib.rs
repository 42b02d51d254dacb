//! Runs QEMU: as a thread of this process, from a shared library, or as a child process. One contract for
//! both: argv and named fds go in, sockets come out, and one [`Exit`] is reported, in QEMU's own words.
//!
//! Invariant: one QEMU per loaded copy of libqemu. A [`LibraryCopy`] cannot be cloned, is consumed by being
//! run, and no file is loaded twice; what can be checked is checked before one is used up.
//!
//! ```no_run
//! use sampan_emulator::{Arch, Exit, InProcess, LaunchSpec, Launcher, LibqemuDir};
//!
//! let launcher = InProcess::new(LibqemuDir::find()?);
//! let mut spec = LaunchSpec::new("demo", Arch::X86_64);
//! spec.args(["-machine", "q35", "-accel", "tcg", "-display", "none", "-nodefaults"]);
//! let (ended, exit) = std::sync::mpsc::channel();
//! let running = launcher.launch(spec, Box::new(move |exit| drop(ended.send(exit))))?;
//! running.control.terminate();
//! assert_eq!(exit.recv()?, Exit::Clean);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `docs/emulator.md` tells what stays shared between VMs in one process, and what stays behind after one.

mod arch;
mod attributes;
mod child;
mod codes;
mod copies;
mod descriptor;
pub mod environment;
mod fault;
mod ffi;
mod hosts;
mod in_process;
mod launch;
mod library;
mod log_tee;
mod one_file;
mod probe;
mod report;
pub mod sandbox;
mod spec;
mod tls_keys;
pub mod vmhost;

pub use arch::{Arch, Engine, UnknownArch};
pub use attributes::keeps_attributes;
pub use child::{Child, vmhost_program};
#[doc(hidden)]
pub use codes::samples;
pub use copies::{Copies, FixedCopies, FreshCopies, LibraryCopy};
pub use descriptor::duplicate;
pub use hosts::{ChildRefused, ForkHost, HOST_LIBRARY, NativeChildHost, NativeChildren, run_native_child};
pub use in_process::InProcess;
pub use launch::{Control, Exit, KillError, LaunchError, Launcher, OnExit, Running};
pub use library::{LibqemuDir, cache_dir};
pub use one_file::OneFile;
pub use probe::{
    Accelerator, AcceleratorName, Choice, Gpu, GpuKind, Isolation, Jit, Probe, gpus, probe, probe_in,
};
pub use report::{BuildReport, CpuReport, DiskReport, GpuReport, HostReport, LibqemuReport, MemoryReport};
pub use sampan_config::HostKind;
pub use sandbox::{Access, Allowed, Confinement};
pub use spec::LaunchSpec;
