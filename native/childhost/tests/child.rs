//! VMs in native child processes, with a real libqemu. The system is a stand-in, whose launcher loads the library that is built here, and passes
//! descriptors in another order and under other numbers.
#![cfg(target_os = "linux")]
#![cfg(not(target_env = "ohos"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../emulator/tests/suite/common/vm.rs"]
mod vm;

use sampan_emulator::{
    AcceleratorName, ChildRefused, Exit, HOST_LIBRARY, LaunchError, Launcher, NativeChildHost, NativeChildren,
};
use sampan_ohos::ChildProcesses;
use sampan_ohos_stand_in as stand_in;
use std::ffi::CString;
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vm::{PATIENCE, libqemu, spec, start, try_start};

/// As the module joins the two crates.
struct System(ChildProcesses);

impl NativeChildren for System {
    fn supported(&self) -> Result<(), ChildRefused> {
        if self.0.supported() == Some(false) { Err(ChildRefused::NotSupported) } else { Ok(()) }
    }

    fn start(&self, entry: &str, text: &CString, fds: &[(CString, RawFd)]) -> Result<i32, ChildRefused> {
        let entry = CString::new(entry).unwrap();
        self.0.start(&entry, text, fds).map_err(ChildRefused::Code)
    }

    fn kill(&self, pid: i32) {
        self.0.kill(pid);
    }
}

fn system() -> Arc<dyn NativeChildren> {
    // Cargo puts the library beside this program.
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    assert!(folder.join(HOST_LIBRARY).is_file(), "{} has no {HOST_LIBRARY}", folder.display());
    stand_in::set_libraries(folder);
    Arc::new(System(ChildProcesses::load_from(Path::new(stand_in::LIBRARY)).unwrap()))
}

fn host() -> NativeChildHost {
    NativeChildHost::new(libqemu(), system()).unwrap()
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_vm_starts_answers_and_quits() {
    let host = host();
    let mut spec = spec("one");
    let (ours, theirs) = UnixStream::pair().unwrap();
    spec.extra_fds.push(("guest".into(), theirs.into()));
    let mut vm = start(&host, spec);
    assert!(vm.execute(r#"{"execute":"query-status"}"#).contains("running"));
    let chardevs = vm.execute(r#"{"execute":"query-chardev"}"#);
    assert!(chardevs.contains("guest") && chardevs.contains("serial"), "{chardevs}");
    let pid = vm.running.control.pid().unwrap();
    assert_ne!(pid, std::process::id());
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    assert!(maps.contains(HOST_LIBRARY) && maps.contains("libqemu-system-"));
    assert_eq!(vm.quit(), Exit::Clean);
    drop(ours);
}

#[test]
fn a_wrong_option_is_told_in_qemus_words_and_termination_is_a_clean_end() {
    let host = host();
    let mut wrong = spec("wrong");
    wrong.args(["-device", "no-such-device"]);
    let exit = try_start(&host, wrong).unwrap().wait();
    let Exit::Failed { status: 1, message } = &exit else { panic!("{exit}") };
    assert!(message.contains("no-such-device"), "{message}");
    let vm = start(&host, spec("running"));
    vm.running.control.terminate();
    assert_eq!(vm.wait(), Exit::Clean);
}

#[test]
fn one_of_two_dies_alone() {
    let host = host();
    let victim = start(&host, spec("victim"));
    let mut other = start(&host, spec("other"));
    victim.running.control.kill().unwrap();
    let exit = victim.wait();
    assert!(matches!(exit, Exit::Vanished { .. }), "{exit}");
    assert!(other.execute(r#"{"execute":"query-status"}"#).contains("running"));
    assert_eq!(other.quit(), Exit::Clean);
}

#[test]
fn what_keeps_it_from_starting_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libqemu-system-x86_64.so");
    // A library, and not QEMU.
    fs::copy(stand_in::LIBRARY, &library).unwrap();
    fs::create_dir(folder.path().join("firmware")).unwrap();
    let broken = NativeChildHost::new(sampan_emulator::LibqemuDir::at(folder.path()), system()).unwrap();
    let error = try_start(&broken, spec("broken")).err().unwrap();
    assert!(matches!(error, LaunchError::Host { .. }), "{error}");
    assert!(error.to_string().contains("has no qemu_init"), "{error}");

    let host = host();
    let mut many = spec("many");
    for number in 0..13 {
        many.extra_fds.push((format!("port{number}"), UnixStream::pair().unwrap().0.into()));
    }
    let error = try_start(&host, many).err().unwrap();
    assert!(error.to_string().contains("17 sockets"), "{error}");
    let mut long = spec("long");
    long.args(["-append".to_owned(), "a".repeat(160 << 10)]);
    let error = try_start(&host, long).err().unwrap();
    assert!(error.to_string().contains("the system passes 153600"), "{error}");

    for (code, words) in
        [(801, "lets apps have no native child processes"), (16_010_006, "end another"), (7, "error 7")]
    {
        stand_in::set_children(stand_in::Children { supported: true, refusal: code });
        let error = try_start(&host, spec("refused")).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
    stand_in::set_children(stand_in::Children { supported: false, refusal: 0 });
    let error = NativeChildHost::new(libqemu(), system()).err().unwrap();
    assert!(error.to_string().contains("lets apps have no native child processes"), "{error}");
}

#[test]
fn memory_is_tried_in_such_a_process() {
    let probe = host().probe(Some(&libqemu()));
    let tcg = probe.accelerators.iter().find(|a| a.name == AcceleratorName::Tcg).unwrap();
    assert!(tcg.usable && tcg.jit.is_some(), "{tcg:?}");
    stand_in::set_children(stand_in::Children { supported: true, refusal: 801 });
    let probe = host().probe(Some(&libqemu()));
    let tcg = probe.accelerators.iter().find(|a| a.name == AcceleratorName::Tcg).unwrap();
    assert!(!tcg.usable && tcg.reason.contains("lets apps have no native child"), "{tcg:?}");
}

#[test]
fn starts_leave_no_descriptor() {
    let host = host();
    let once = || {
        let vm = start(&host, spec("again"));
        assert_eq!(vm.quit(), Exit::Clean);
    };
    // None yet; the thread that told of an end lets go of its own a moment later.
    let before = open_descriptors();
    for _ in 0..5 {
        once();
    }
    let deadline = Instant::now() + PATIENCE;
    while open_descriptors() != before {
        assert!(Instant::now() < deadline, "{} descriptors, {before} before", open_descriptors());
        std::thread::sleep(Duration::from_millis(5));
    }
}
