//! The memory map changes under the feet of other CPUs: what an emulator with a thread for each CPU must stand.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A virtio network card (Virtual I/O Device 1.2, 4.1.2.1). Nobody drives it here, and it has many parts in the memory map, so
/// that without it the places of all that follows are others.
const CARD: (&str, &str) = ("0x1af4", "0x1000");
/// The command register in a device's configuration, and its bit that puts the device's memory into the map (PCI 3.0, 6.2.2).
const COMMAND: u64 = 4;
const MEMORY_SPACE: u8 = 2;
/// Where the kernel's clock is chosen, and a clock that is a device in memory: its place in the map comes after the card's.
const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const HPET: &str = "hpet";

/// Out and in, so many times.
///
/// # Errors
/// There is no such device or no HPET, or the device's configuration cannot be written.
pub fn remap(rounds: u32) -> io::Result<()> {
    let config = card()?;
    let clock = fs::read_to_string(CLOCK)?;
    fs::write(CLOCK, HPET)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _ = std::time::Instant::now();
                }
            });
        }
        let outcome = (0..rounds).try_for_each(|_| {
            config.write_all_at(&[0], COMMAND)?;
            config.write_all_at(&[MEMORY_SPACE], COMMAND)
        });
        done.store(true, Ordering::Relaxed);
        outcome.and(fs::write(CLOCK, clock.trim()))
    })
}

fn card() -> io::Result<File> {
    for device in fs::read_dir("/sys/bus/pci/devices")?.flatten() {
        let says = |name: &str| fs::read_to_string(device.path().join(name)).unwrap_or_default();
        if (says("vendor").trim(), says("device").trim()) == CARD {
            return OpenOptions::new().read(true).write(true).open(device.path().join("config"));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "there is no virtio network card"))
}
