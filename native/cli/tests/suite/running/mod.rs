//! Machines that run: their end, their logs, their console. A real QEMU runs a guest of one sector.

mod console;
mod crash;
mod licenses;
mod logs;
mod manners;
mod silent;
mod sound;
mod tuning;

use crate::common::{Home, Said, said};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::time::{Duration, Instant};

/// An emulated machine on a busy computer.
const LIMIT: Duration = Duration::from_secs(120);

/// A PC's first sector: writes `ready` to the serial port, then writes back whatever comes.
const ECHO: [u8; 42] = [
    0x31, 0xc0, // xor ax, ax
    0x8e, 0xd8, // mov ds, ax
    0xfc, // cld
    0xbe, 0x22, 0x7c, // mov si, the text
    0xac, // next: lodsb
    0x84, 0xc0, // test al, al
    0x74, 0x06, // jz echo
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xee, // out dx, al
    0xeb, 0xf5, // jmp next
    0xba, 0xfd, 0x03, // echo: mov dx, 0x3fd
    0xec, // in al, dx
    0xa8, 0x01, // test al, 1
    0x74, 0xf8, // jz echo
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xec, // in al, dx
    0xee, // out dx, al
    0xeb, 0xf1, // jmp echo
    b'r', b'e', b'a', b'd', b'y', b'\r', b'\n', 0,
];

/// A library with the machine `vm`, which is stopped at the end whatever happens.
struct Machine(Home);

impl Machine {
    fn new() -> Self {
        let home = Home::new();
        let mut disk = vec![0; 1 << 20];
        disk[..ECHO.len()].copy_from_slice(&ECHO);
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        let image = home.path("echo.img");
        std::fs::write(&image, disk).expect("writes");
        let image = image.display().to_string();
        home.json(&[
            "new", "vm", "--preset", "old", "--arch", "x86_64", "--memory", "64M", "--image", &image,
        ]);
        Self(home)
    }

    fn start(&self) -> Value {
        self.0.json(&["start", "vm"])
    }

    fn status(&self) -> Value {
        self.0.json(&["status", "vm"])
    }

    /// Waits for a condition that `is` the one that is meant.
    fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + LIMIT;
        loop {
            // One that is being started does not answer yet.
            let said = self.0.run(&["--json", "status", "vm"]);
            let status = serde_json::from_str(&said.out).unwrap_or(Value::Null);
            if is(&status) {
                return status;
            }
            assert!(Instant::now() < until, "waited in vain for {what}: {said:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills its QEMU.
    fn crash(&self) -> Value {
        let status = self.status();
        tell(number(&status["pid"]), Signal::SIGKILL);
        status
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.0.run(&["stop", "vm", "--force"]);
    }
}

fn number(value: &Value) -> i32 {
    value.as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or_else(|| panic!("no process: {value}"))
}

fn tell(process: i32, signal: Signal) {
    kill(Pid::from_raw(process), signal).expect("is told");
}
