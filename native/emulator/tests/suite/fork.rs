//! VMs in forked processes, with a real libqemu.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, libqemu, machine, spec, start, tiny_guest, try_start};
use crate::refusal::Refusal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sampan_emulator::{
    AcceleratorName, Allowed, Arch, Confinement, Exit, ForkHost, LaunchError, Launcher, LibqemuDir,
};

/// What is counted is the whole process's, where its tests share one.
static ALONE: Mutex<()> = Mutex::new(());

fn host() -> ForkHost {
    ForkHost::new(libqemu()).unwrap()
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// The children of a process, zombies among them.
fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Where the descriptors of a process lead to.
fn descriptors(pid: i32) -> Vec<PathBuf> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    folder.flatten().filter_map(|file| fs::read_link(file.path()).ok()).collect()
}

/// It runs, and is no zombie.
fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().unwrap_or_default().split_whitespace().next().is_some_and(|state| state != "Z")
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_guest_boots_in_a_fork_and_powers_off() {
    let host = host();
    let probe = host.probe(Some(&libqemu()));
    let choice = probe.choose(Arch::X86_64).unwrap();
    let guest = tiny_guest(Arch::X86_64);
    let mut spec = machine("guest");
    spec.engine = choice.engine;
    spec.args(["-accel", &choice.accelerator, "-m", "192", "-device", "virtio-vga"]);
    spec.args(["-append", "console=ttyS0 quiet no_timer_check"]);
    spec.args(["-kernel".into(), guest.join("kernel"), "-initrd".into(), guest.join("initrd")]);
    let mut vm = start(&host, spec);
    let pid = i32::try_from(vm.running.control.pid().unwrap()).unwrap();
    assert_eq!(children(host.helper()), [pid]);
    assert_eq!(children(std::process::id().cast_signed()).iter().filter(|child| **child == pid).count(), 0);
    vm.serial_until("sampan-guest ready");
    assert!(vm.execute(r#"{"execute":"query-status"}"#).contains("running"));
    assert_eq!(vm.quit(), Exit::Clean);
    until("it is reaped", || children(host.helper()).is_empty());
}

#[test]
fn termination_is_a_clean_end() {
    let vm = start(&host(), spec("running"));
    let control = vm.running.control.clone();
    control.terminate();
    assert_eq!(vm.wait(), Exit::Clean);
    control.terminate();
    assert!(control.kill().is_ok(), "what has ended needs no killing");
}

#[test]
fn several_at_once_die_alone() {
    let host = host();
    let mut survivor = start(&host, spec("survivor"));
    for how in [Signal::SIGKILL, Signal::SIGABRT, Signal::SIGSEGV] {
        let victim = start(&host, spec("victim"));
        let other = start(&host, spec("other"));
        match how {
            Signal::SIGKILL => victim.running.control.kill().unwrap(),
            _ => signal(victim.running.control.pid().unwrap().cast_signed(), how),
        }
        let exit = victim.wait();
        assert!(matches!(exit, Exit::Killed { signal, .. } if signal == how as i32), "{exit}");
        assert_eq!(other.quit(), Exit::Clean);
    }
    assert!(survivor.execute(r#"{"execute":"query-status"}"#).contains("running"));
    assert_eq!(survivor.quit(), Exit::Clean);
}

#[test]
fn what_qemu_says_of_a_wrong_option_is_told() {
    let mut wrong = spec("wrong");
    wrong.args(["-device", "no-such-device"]);
    let mut vm = try_start(&host(), wrong).unwrap();
    let exit = vm.exit.recv_timeout(PATIENCE).unwrap();
    let Exit::Failed { status: 1, message } = &exit else { panic!("{exit}") };
    assert!(message.contains("'no-such-device' is not a valid device model name"), "{message}");
    vm.read_qmp_to_end();
    let mut log = String::new();
    vm.running.log.read_to_string(&mut log).unwrap();
    assert!(log.contains("no-such-device"), "{log}");
}

#[test]
fn a_library_that_is_not_qemu_is_an_error_with_a_code() {
    use sampan_message::Coded;
    let folder = tempfile::tempdir().unwrap();
    // A library all the same, which this program has loaded.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps
        .split_whitespace()
        .find(|word| word.starts_with('/') && (word.ends_with(".so") || word.contains(".so.")))
        .unwrap();
    fs::copy(library, folder.path().join("libqemu-system-x86_64.so")).unwrap();
    fs::create_dir(folder.path().join("firmware")).unwrap();
    let host = ForkHost::new(LibqemuDir::at(folder.path())).unwrap();
    let error = try_start(&host, spec("broken")).err().unwrap();
    assert!(matches!(error, LaunchError::Host { .. }), "{error}");
    assert_eq!(error.code(), "host_failed");
    assert!(error.params().get("reason").is_some() && error.to_string().contains("(fork)"), "{error}");
    until("it is reaped", || children(host.helper()).is_empty());
    // What can be seen before is seen before.
    fs::remove_file(folder.path().join("libqemu-system-x86_64.so")).unwrap();
    assert!(matches!(try_start(&host, spec("none")), Err(LaunchError::NoLibrary { .. })));
}

#[test]
fn it_has_its_own_descriptors_and_none_of_this_process() {
    let stray = fs::File::open("/dev/zero").unwrap();
    nix::fcntl::fcntl(&stray, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let host = host();
    let mut spec = spec("fds");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    spec.extra_fds.push(("guest".into(), theirs.into()));
    let vm = start(&host, spec);
    for pid in [host.helper(), vm.running.control.pid().unwrap().cast_signed()] {
        let open = descriptors(pid);
        let strange = open.iter().map(|path| path.display().to_string()).filter(|path| {
            path != "/dev/null"
                && !["socket:", "anon_inode:", "/memfd:"].iter().any(|known| path.starts_with(known))
        });
        assert_eq!(strange.collect::<Vec<_>>(), [""; 0]);
    }
    // The socket by which it is asked, and nothing of a VM's.
    let sockets =
        |pid| descriptors(pid).iter().filter(|path| path.to_string_lossy().starts_with("socket:")).count();
    assert_eq!(sockets(host.helper()), 1);
    assert_eq!(vm.quit(), Exit::Clean);
    drop((ours, stray));
}

#[test]
fn fifty_starts_leave_nothing_behind() {
    let _alone = ALONE.lock().unwrap();
    let host = host();
    let once = || {
        // Halted, so that it is the start that is looked at.
        let mut spec = spec("again");
        spec.args(["-S"]);
        assert_eq!(start(&host, spec).quit(), Exit::Clean);
    };
    let itself = std::process::id().cast_signed();
    let count = || (descriptors(itself).len(), descriptors(host.helper()).len());
    // What is made once is there after the first, and threads may still be letting go of something: fewer is no leak.
    once();
    let before = count();
    for _ in 0..50 {
        once();
    }
    until("all are reaped", || children(host.helper()).is_empty());
    until("the threads have let go", || {
        let now = count();
        now.0 <= before.0 && now.1 <= before.1
    });
}

#[test]
fn the_helper_may_be_killed_and_is_made_anew() {
    let host = host();
    let vm = start(&host, spec("first"));
    let (helper, pid) = (host.helper(), vm.running.control.pid().unwrap().cast_signed());
    signal(helper, Signal::SIGKILL);
    let exit = vm.wait();
    assert!(matches!(exit, Exit::Killed { .. }), "{exit}");
    until("its child goes with it", || !lives(pid));
    until("it is no zombie", || !fs::exists(format!("/proc/{helper}")).unwrap());
    let vm = start(&host, spec("second"));
    assert_ne!(host.helper(), helper);
    assert_eq!(vm.quit(), Exit::Clean);
}

#[test]
fn it_ends_with_the_host_that_made_it() {
    let host = host();
    let helper = host.helper();
    let vm = start(&host, spec("held"));
    drop(host);
    assert!(lives(helper), "a machine runs");
    assert_eq!(vm.quit(), Exit::Clean);
    until("nobody holds it any more", || !fs::exists(format!("/proc/{helper}")).unwrap());
}

#[test]
#[cfg(not(target_env = "ohos"))]
fn it_dies_with_this_process() {
    let mut parent = Command::new(crate::example::example("vm_parent"))
        .arg("--fork")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let pid = lines.filter_map(|l| l.strip_prefix("pid=").map(str::to_owned)).next().expect("it has a child");
    let pid = pid.parse().unwrap();
    assert!(lives(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("it dies with its parent", || !lives(pid));
}

#[test]
#[cfg(not(target_env = "ohos"))]
fn it_locks_itself_in() {
    let folder = tempfile::tempdir().unwrap();
    let (allowed, other) = (folder.path().join("allowed"), folder.path().join("other"));
    for file in [&allowed, &other] {
        fs::write(file, vec![0; 1 << 20]).unwrap();
    }
    let mut spec = spec("locked");
    let files = vec![Allowed::open(&allowed, sampan_emulator::Access::Read).unwrap()];
    spec.confinement = Some(Confinement { files, network: false });
    let mut vm = start(&host(), spec);
    let mut open = |file: &std::path::Path| {
        let node = file.file_name().unwrap().display();
        vm.execute(&format!(
            r#"{{"execute":"blockdev-add","arguments":{{"driver":"file","node-name":"{node}","filename":"{}","read-only":true}}}}"#,
            file.display()
        ))
    };
    let answer = open(&allowed);
    assert!(answer.contains("return"), "{answer}");
    let answer = open(&other);
    assert!(answer.contains("Permission denied"), "{answer}");
    assert_eq!(vm.quit(), Exit::Clean);
}

/// A system may refuse to a fork what it grants to the app.
#[test]
#[cfg(target_arch = "x86_64")]
fn memory_is_tried_in_the_fork_itself() {
    let tcg = |host: &ForkHost| {
        let probe = host.probe(None);
        probe.accelerators.into_iter().find(|a| a.name == AcceleratorName::Tcg).unwrap()
    };
    let found = tcg(&host());
    assert!(found.usable, "{found:?}");
    // What its maker is refused, it is: this process has been refused nothing.
    Refusal::MappedExecutableAndDeadlyMprotect
        .impose_on(move || {
            let refused = tcg(&host());
            assert!(!refused.usable && refused.reason.contains("flip: the probe died"), "{refused:?}");
        })
        .unwrap();
    assert!(tcg(&host()).usable);
}
