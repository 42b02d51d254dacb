//! libqemu as if it were the distribution's `qemu-system-…`: the arguments are QEMU's, and it runs in this process until it
//! ends. For comparing the two with the very same machine (`tests/bench/guest`).
//! `cargo run --package sampan-emulator --example qemu x86_64 -machine q35 …`

use sampan_emulator::{Arch, InProcess, LaunchSpec, Launcher, LibqemuDir};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let arch: Arch = args.next().ok_or("say x86_64 or aarch64, then QEMU's arguments")?.parse()?;
    let mut spec = LaunchSpec::new("qemu", arch);
    spec.args(args);
    let (ended, end) = std::sync::mpsc::channel();
    let running =
        InProcess::new(LibqemuDir::find()?).launch(spec, Box::new(move |exit| drop(ended.send(exit))))?;
    // QMP's socket is there whether somebody speaks or not.
    BufReader::new(&running.qmp).read_line(&mut String::new())?;
    (&running.qmp).write_all(b"{\"execute\":\"qmp_capabilities\"}\n")?;
    let exit = loop {
        match end.recv_timeout(Duration::from_secs(1)) {
            Ok(exit) => break exit,
            // Its caller is gone: nobody looks at it any more.
            Err(_) if std::os::unix::process::parent_id() == 1 => {
                running.control.terminate();
            }
            Err(_) => {}
        }
    };
    println!("{exit:?}");
    Ok(())
}
