//! How long a start of the tiny guest takes: `first_picture GUEST WAY` prints the seconds since the launch, as JSON.
//!
//! GUEST is `x86_64`, `aarch64` or `i586` (a PC of 32 bits on the x86_64 library); WAY how libqemu gets into the process: `loader`
//! (our own, where it can), `linker` (a copy, by the dynamic linker) or `interpreter` (by our own loader). One start
//! in each process, so that none has the warm memory of another; `tests/bench/start` compares.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement fails by panicking")]

#[path = "../tests/suite/common/mod.rs"]
mod common;

use common::{Watcher, counter, start, tiny_guest};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use sampan_emulator::{Arch, Engine, Exit, FreshCopies, InProcess, LaunchSpec, LibqemuDir};
use sampan_frame::Staging;
use serde_json::json;
use std::time::Instant;

fn machine(guest: &str) -> Option<LaunchSpec> {
    let (arch, machine, append): (_, &[&str], _) = match guest {
        "x86_64" => (
            Arch::X86_64,
            &["-machine", "q35", "-device", "virtio-vga"],
            "console=ttyS0 quiet no_timer_check",
        ),
        "i586" => {
            let pc = &["-machine", "pc", "-cpu", "pentium3", "-device", "virtio-vga"];
            (Arch::X86_64, pc, "console=ttyS0 quiet no_timer_check")
        }
        "aarch64" => (
            Arch::Aarch64,
            &["-machine", "virt", "-cpu", "max,pauth-impdef=on", "-device", "virtio-gpu-pci"],
            "console=ttyAMA0 quiet",
        ),
        _ => return None,
    };
    let folder = tiny_guest(guest);
    let mut spec = LaunchSpec::new("start", arch);
    spec.args(["-nodefaults", "-no-user-config", "-accel", "tcg", "-m", "512", "-display", "dbus,p2p=on"]);
    spec.args(machine).args(["-append", append, "-kernel"]).args([folder.join("kernel")]);
    spec.args(["-initrd"]).args([folder.join("initrd")]);
    Some(spec)
}

/// Something else than the black of a screen that nobody has drawn on.
fn is_drawn_on(picture: &Staging) -> bool {
    (0..picture.size.height).any(|y| picture.row(y).as_chunks::<4>().0.iter().any(|p| p[..3] != [0, 0, 0]))
}

fn processor_time() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let seconds = |t: TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [guest, way] = arguments.as_slice() else { panic!("first_picture GUEST WAY") };
    let mut spec = machine(guest).expect("x86_64, aarch64 or i586");
    let dir = LibqemuDir::find().unwrap();
    let launcher = match way.as_str() {
        "loader" => InProcess::new(dir),
        "interpreter" => {
            spec.engine = Engine::Interpreter;
            InProcess::new(dir)
        }
        "linker" => InProcess::with_copies(dir.clone(), Box::new(FreshCopies::new(dir))),
        _ => panic!("{way} is none of loader, linker, interpreter"),
    };
    let begin = Instant::now();
    let since = || begin.elapsed().as_secs_f64();
    let mut qemu = start(&launcher, spec);
    let greeting = since();
    let display = qemu.display().await;
    let mut watcher = Watcher::new(&display.consoles()[0]);
    watcher.until("the first picture", is_drawn_on).await;
    let picture = since();
    watcher.until("the guest's picture", |picture| counter(picture).is_some()).await;
    let guest = since();
    let processor = processor_time();
    qemu.quit();
    assert_eq!(qemu.wait(), Exit::Clean);
    println!(
        "{}",
        json!({ "greeting": greeting, "picture": picture, "guest": guest, "processor": processor })
    );
}
