//! One libqemu file mapped afresh by our own loader against copies given to the dynamic linker, alternating: until
//! `launch` returns, until QEMU greets, until the tiny guest is up, and the processor time of the whole run.
//! `scripts/toolchain/cargo x86_64-unknown-linux-ohos run --package sampan-emulator --example boot_time`

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use sampan_emulator::{
    Arch, Engine, Exit, FixedCopies, InProcess, LaunchSpec, Launcher, LibqemuDir, OneFile, cache_dir,
};

const RUNS: usize = 7;
const READY: &str = "sampan-guest ready";

fn main() -> Result<(), Box<dyn Error>> {
    let dir = LibqemuDir::find()?;
    let guest = cache_dir().ok_or("no home")?.join("guest/current/x86_64");
    let library = dir.library(Arch::X86_64, Engine::Native)?;
    let tmp = tempfile::tempdir()?;
    let mut files = Vec::new();
    for run in 0..RUNS {
        let file = tmp.path().join(format!("{run}.so"));
        std::fs::copy(&library, &file)?;
        files.push((Arch::X86_64, Engine::Native, file));
    }
    let file = OneFile::new(dir.clone(), Box::new(FixedCopies::default()));
    if let Some(reason) = file.refusal(Arch::X86_64, Engine::Native) {
        return Err(format!("{} {reason}", library.display()).into());
    }
    let ways = [
        ("our own loader", InProcess::with_copies(dir.clone(), Box::new(file))),
        ("the dynamic linker", InProcess::with_copies(dir, Box::new(FixedCopies::new(files)))),
    ];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for ((_, launcher), times) in ways.iter().zip(&mut times) {
            times.push(boot(launcher, &guest)?);
        }
    }
    for ((name, _), times) in ways.iter().zip(times) {
        let median = |which: usize| {
            let mut all: Vec<_> = times.iter().map(|run| run[which]).collect();
            all.sort();
            (all[0], all[RUNS / 2])
        };
        println!("{name}, least and median of {RUNS}:");
        for (which, what) in ["launch", "greeting", "guest", "processor time"].into_iter().enumerate() {
            let (least, median) = median(which);
            println!("  {what} {least:.1?} {median:.1?}");
        }
    }
    Ok(())
}

fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let of = |t: nix::sys::time::TimeVal| {
        Duration::new(t.tv_sec().unsigned_abs(), 0) + Duration::from_micros(t.tv_usec().unsigned_abs())
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

fn boot(launcher: &InProcess, guest: &Path) -> Result<[Duration; 4], Box<dyn Error>> {
    let mut spec = LaunchSpec::new("boot", Arch::X86_64);
    spec.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "tcg", "-m", "512"]);
    spec.args(["-display", "none", "-device", "virtio-vga", "-serial", "chardev:serial"]);
    spec.args(["-append", "console=ttyS0 quiet", "-kernel"]);
    spec.args([guest.join("kernel")]).args(["-initrd"]).args([guest.join("initrd")]);
    let (ended, end) = std::sync::mpsc::channel();
    let (begin, used) = (Instant::now(), processor_time()?);
    let mut running = launcher.launch(spec, Box::new(move |exit| drop(ended.send(exit))))?;
    let launched = begin.elapsed();
    BufReader::new(&running.qmp).read_line(&mut String::new())?;
    let greeted = begin.elapsed();
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&said).contains(READY) {
        match running.serial.read(&mut buffer)? {
            0 => return Err("the guest did not come up".into()),
            read => said.extend_from_slice(&buffer[..read]),
        }
    }
    let up = begin.elapsed();
    running.control.terminate();
    match end.recv()? {
        Exit::Clean => Ok([launched, greeted, up, processor_time()? - used]),
        exit => Err(exit.to_string().into()),
    }
}
