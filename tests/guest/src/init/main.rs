//! The init of the tiny guest: sets up the machine, then paints, listens to input devices, and speaks with the host.
//!
//! Invariant: it is process 1 and never returns. Whatever goes wrong is printed on the console, and the machine
//! powers off: a guest that failed must not look like one that is idle.
#![deny(unsafe_code)]

mod app;
mod console;
mod display;
mod drm;
mod framebuffer;
mod further;
mod input;
mod machine;
mod modules;
mod picture;
mod port;
mod remap;
mod share;
mod sound;
mod uevent;

use std::convert::Infallible;

/// What init gives up over: a sentence that says what was tried, and the cause.
type Failure = Box<dyn std::error::Error>;

fn main() {
    std::panic::set_hook(Box::new(|panic| {
        console::say(&format!("sampan-guest: {panic}"));
        machine::stop(machine::End::PowerOff);
    }));
    let Err(failure) = run();
    console::say(&format!("sampan-guest: {failure}"));
    machine::stop(machine::End::PowerOff);
}

fn run() -> Result<Infallible, Failure> {
    machine::mount_file_systems()?;
    // Before the first scan, so that no device slips between both.
    let uevents = uevent::Uevents::listen()?;
    let mut modules = modules::Modules::read()?;
    modules.load_for_all_devices();
    app::run(modules, uevents)
}
