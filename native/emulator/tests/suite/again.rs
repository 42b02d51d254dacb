//! One libqemu file run again and again in one process, and what stays behind: our own loader's work, so under
//! musl alone (`scripts/toolchain/cargo x86_64-unknown-linux-ohos test`). `SAMPAN_TEST_RUNS` sets how often.
#![cfg(any(target_env = "musl", target_env = "ohos"))]

use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, Usage, Vm, start, try_start};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use sampan_emulator::{Arch, Copies, Engine, Exit, InProcess, LaunchError, LibqemuDir, LibraryCopy, OneFile};

const AT_ONCE: usize = 3;

/// Nobody's copies: what is run is run from the one file.
struct NoCopies;

impl Copies for NoCopies {
    fn take(&self, arch: Arch, _: Engine) -> Result<LibraryCopy, LaunchError> {
        Err(LaunchError::NoCopyLeft { arch, limit: 0 })
    }
}

fn libqemu() -> LibqemuDir {
    let built = std::env::var_os("SAMPAN_QEMU_DIR").map(Into::into).unwrap_or_else(|| {
        let built = format!("qemu-ohos/{}-linux-ohos/current", std::env::consts::ARCH);
        sampan_emulator::cache_dir().unwrap().join(built)
    });
    LibqemuDir::at(built.canonicalize().expect("scripts/qemu/build --target makes it"))
}

fn launcher() -> InProcess {
    let file = OneFile::new(libqemu(), Box::new(NoCopies));
    assert_eq!(file.refusal(Arch::X86_64, Engine::Native), None);
    InProcess::with_copies(libqemu(), Box::new(file))
}

fn machine(name: &str) -> sampan_emulator::LaunchSpec {
    let mut spec = sampan_emulator::LaunchSpec::new(name, Arch::X86_64);
    spec.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-m", "64", "-serial", "chardev:serial"]);
    spec.args([
        "-accel",
        "tcg,thread=multi",
        "-smp",
        "2",
        "-display",
        "dbus,p2p=on",
        "-device",
        "virtio-gpu-pci",
    ]);
    spec
}

/// A client of the display, as far as GLib's part of it goes; it stays until it is dropped.
fn open_display(vm: &mut Vm) -> UnixStream {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    send_fd(&vm.running.qmp, r#"{"execute":"getfd","arguments":{"fdname":"bus"}}"#, theirs.as_raw_fd());
    assert_eq!(vm.answer(), "{\"return\": {}}\r\n");
    let add = r#"{"execute":"add_client","arguments":{"protocol":"@dbus-display","fdname":"bus"}}"#;
    vm.ask(add);
    let uid = nix::unistd::getuid().to_string();
    let uid: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
    ours.write_all(format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n").as_bytes()).unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = [0; 3];
    ours.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"OK ");
    assert_eq!(vm.answer(), "{\"return\": {}}\r\n");
    ours
}

fn send_fd(to: &UnixStream, line: &str, fd: RawFd) {
    let line = format!("{line}\n");
    let (bytes, fds) = ([IoSlice::new(line.as_bytes())], [fd]);
    let sent =
        sendmsg::<()>(to.as_raw_fd(), &bytes, &[ControlMessage::ScmRights(&fds)], MsgFlags::empty(), None);
    assert_eq!(sent, Ok(line.len()));
}

/// When threads that are at their end have gone.
fn settled(at_most: usize) -> Usage {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let usage = Usage::now();
        if usage.threads <= at_most || Instant::now() > deadline {
            return usage;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The only test of its program, so that what it counts is its own.
#[test]
fn one_file_runs_again_and_again() {
    let runs = std::env::var("SAMPAN_TEST_RUNS").map_or(10, |n| n.parse().unwrap());
    let warm = (runs / 10).max(5);
    let launcher = launcher();
    let threads = Usage::now().threads;
    let mut early = None;
    for run in 1..=runs {
        let mut vm = start(&launcher, machine(&format!("run {run}")));
        let display = open_display(&mut vm);
        assert_eq!(vm.quit(), Exit::Clean);
        drop(display);
        let after = settled(threads);
        if run == warm {
            early = Some(after);
        }
        if run % warm == 0 {
            println!("after run {run}: {after:?}");
        }
    }
    let (early, late) = (early.unwrap(), settled(threads));
    assert_eq!((late.threads, late.fds, late.free_keys), (threads, early.fds, early.free_keys));
    assert!(late.mappings <= early.mappings + 4, "{early:?}, {late:?}");
    let grown = late.anonymous_kib.saturating_sub(early.anonymous_kib);
    println!("{} KiB more after {} more runs", grown, runs - warm);
    assert!(grown < 512 + 4 * (runs - warm), "{early:?}, {late:?}");

    three_at_once(&launcher, threads, runs.div_ceil(AT_ONCE), late);
    ended_at_any_moment(&launcher, threads, 2 * runs, late);
    failures(&launcher, threads, late);
}

/// Each at its own pace, so that one starts while another ends.
fn three_at_once(launcher: &InProcess, threads: usize, rounds: usize, before: Usage) {
    std::thread::scope(|scope| {
        for i in 0..AT_ONCE {
            scope.spawn(move || {
                for round in 0..rounds {
                    let mut vm = start(launcher, machine(&format!("{round}.{i}")));
                    let display = open_display(&mut vm);
                    assert_eq!(vm.quit(), Exit::Clean);
                    drop(display);
                }
            });
        }
    });
    let after = settled(threads);
    println!("three at once, {rounds} times: {after:?}");
    assert_eq!((after.threads, after.fds, after.free_keys), (threads, before.fds, before.free_keys));
    assert!(after.mappings <= before.mappings + 16, "{before:?}, {after:?}");
}

fn ended_at_any_moment(launcher: &InProcess, threads: usize, times: usize, before: Usage) {
    for i in 0..times {
        let vm = try_start(launcher, machine(&format!("short {i}"))).unwrap();
        std::thread::sleep(Duration::from_millis((i * 7 % 61) as u64));
        vm.running.control.terminate();
        assert_eq!(vm.wait(), Exit::Clean);
    }
    let after = settled(threads);
    println!("ended at any moment, {times} times: {after:?}");
    assert_eq!((after.threads, after.fds, after.free_keys), (threads, before.fds, before.free_keys));
    assert!(after.mappings <= before.mappings + 16, "{before:?}, {after:?}");
}

/// QEMU that gives up cleans nothing up; what it leaves is taken back all the same.
fn failures(launcher: &InProcess, threads: usize, before: Usage) {
    for i in 0..5 {
        let mut wrong = machine(&format!("wrong {i}"));
        wrong.args(["-device", "no-such-device"]);
        let exit = try_start(launcher, wrong).unwrap().wait();
        assert!(
            matches!(&exit, Exit::Failed { message, .. } if message.contains("no-such-device")),
            "{exit}"
        );
    }
    let after = settled(threads);
    println!("five failures: {after:?}");
    assert_eq!((after.threads, after.fds, after.free_keys), (threads, before.fds, before.free_keys));
    assert!(after.mappings <= before.mappings + 16, "{before:?}, {after:?}");
}
