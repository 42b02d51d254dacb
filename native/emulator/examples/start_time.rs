//! How long a VM takes to start, each way, ten times: until `launch` returns, and until QEMU greets.
//! `cargo run --package sampan-emulator --example start_time`

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use sampan_emulator::{Arch, Child, InProcess, LaunchSpec, Launcher, LibqemuDir};

const RUNS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = LibqemuDir::find()?;
    let ways: [(&str, Box<dyn Launcher>); 2] =
        [("in process", Box::new(InProcess::new(dir.clone()))), ("child", Box::new(Child::new(dir)?))];
    for (name, launcher) in ways {
        let mut times = (0..RUNS).map(|_| start(&*launcher)).collect::<Result<Vec<_>, _>>()?;
        times.sort();
        let (launched, greeted) = times[RUNS / 2];
        println!(
            "{name}: launch returns after {launched:.1?}, QEMU greets after {greeted:.1?} (median of {RUNS})"
        );
    }
    Ok(())
}

fn start(launcher: &dyn Launcher) -> Result<(Duration, Duration), Box<dyn Error>> {
    let mut spec = LaunchSpec::new("start", Arch::X86_64);
    spec.args(["-nodefaults", "-machine", "q35", "-accel", "tcg", "-display", "none", "-m", "64"]);
    let (ended, end) = std::sync::mpsc::channel();
    let begin = Instant::now();
    let running = launcher.launch(spec, Box::new(move |exit| drop(ended.send(exit))))?;
    let launched = begin.elapsed();
    BufReader::new(&running.qmp).read_line(&mut String::new())?;
    let greeted = begin.elapsed();
    running.control.terminate();
    end.recv()?;
    Ok((launched, greeted))
}
