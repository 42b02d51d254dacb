//! VMs in processes of their own, with a real libqemu.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, VMHOST, child, libqemu, spec, start, try_start};
use crate::example::example;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sampan_emulator::{Child, Exit, LaunchError};

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

#[test]
fn a_vm_starts_answers_and_quits() {
    let mut vm = start(&child(), spec("one"));
    assert!(vm.execute(r#"{"execute":"query-status"}"#).contains("running"));
    assert_ne!(vm.running.control.pid(), Some(std::process::id()));
    assert_eq!(vm.quit(), Exit::Clean);
}

#[test]
fn a_wrong_option_is_told_in_qemus_words() {
    let mut wrong = spec("wrong");
    wrong.args(["-device", "no-such-device"]);
    let mut vm = try_start(&child(), wrong).unwrap();
    let exit = vm.exit.recv_timeout(PATIENCE).unwrap();
    let Exit::Failed { status: 1, message } = &exit else { panic!("{exit}") };
    assert!(message.contains("'no-such-device' is not a valid device model name"), "{message}");
    vm.read_qmp_to_end();
    let mut log = String::new();
    vm.running.log.read_to_string(&mut log).unwrap();
    assert!(log.contains("no-such-device"), "{log}");
}

#[test]
fn one_of_two_dies_alone() {
    for how in [Signal::SIGKILL, Signal::SIGABRT] {
        let victim = start(&child(), spec("victim"));
        let mut other = start(&child(), spec("other"));
        if how == Signal::SIGKILL {
            victim.running.control.kill().unwrap();
        } else {
            signal(victim.running.control.pid().unwrap(), how);
        }
        let exit = victim.wait();
        assert!(matches!(exit, Exit::Killed { signal, .. } if signal == how as i32), "{exit}");
        assert!(other.execute(r#"{"execute":"query-status"}"#).contains("running"));
        assert_eq!(other.quit(), Exit::Clean);
    }
}

#[test]
fn termination_is_a_clean_end() {
    let vm = start(&child(), spec("running"));
    let control = vm.running.control.clone();
    control.terminate();
    assert_eq!(vm.wait(), Exit::Clean);
    control.terminate();
    assert!(control.kill().is_ok(), "what has ended needs no killing");
}

#[test]
fn the_child_has_its_fds_and_no_others() {
    // As a C library leaves one: without close-on-exec.
    let stray = fs::File::open("/dev/zero").unwrap();
    nix::fcntl::fcntl(&stray, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let mut spec = spec("fds");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    spec.extra_fds.push(("guest".into(), theirs.into()));
    let vm = start(&child(), spec);
    let pid = vm.running.control.pid().unwrap();
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .filter_map(|fd| fs::read_link(fd.path()).ok())
        .map(|link| link.display().to_string())
        .collect();
    assert!(!open.iter().any(|link| link == "/dev/zero"), "{open:?}");
    // qmp, serial, guest, log and what QEMU prints to: the log as stderr, and its own duplicates.
    let sockets = open.iter().filter(|link| link.starts_with("socket:")).count();
    assert!((5..=7).contains(&sockets), "{open:?}");
    // A group of its own: Ctrl-C in the terminal does not reach it.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group = stat.rsplit(')').next().unwrap().split_whitespace().nth(2).unwrap();
    assert_eq!(group, pid.to_string());
    assert_eq!(vm.quit(), Exit::Clean);
    drop((ours, stray));
}

#[test]
fn a_child_dies_with_its_parent() {
    let mut parent = Command::new(example("vm_parent"))
        .arg(VMHOST)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let pid = lines.filter_map(|l| l.strip_prefix("pid=").map(str::to_owned)).next().expect("it has a child");
    let alive = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().unwrap().split_whitespace().next().is_some_and(|state| state != "Z")
    };
    assert!(alive());
    parent.kill().unwrap();
    parent.wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while alive() {
        assert!(Instant::now() < deadline, "process {pid} outlives its parent");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_helper_that_cannot_be_started_is_told() {
    let launcher = Child::with_program(libqemu(), "/nonexistent/sampan-vmhost");
    let error = try_start(&launcher, spec("none")).err().unwrap();
    assert!(matches!(error, LaunchError::System { what: "starting sampan-vmhost", .. }), "{error}");
}
