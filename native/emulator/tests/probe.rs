//! The probe on this machine as it is, and with executable memory refused for real.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::env;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use common::{child, in_process, machine, start, try_start};
use sampan_emulator::{
    AcceleratorName, Arch, Exit, HostReport, Isolation, Jit, Launcher, LibqemuDir, Probe, probe_in,
};

fn helper() -> Isolation {
    Isolation::Helper(env!("CARGO_BIN_EXE_sampan-vmhost").into())
}

fn find(probe: &Probe, name: AcceleratorName) -> &sampan_emulator::Accelerator {
    probe.accelerators.iter().find(|a| a.name == name).unwrap()
}

#[test]
fn helper_and_fork_find_the_same() {
    let by_helper = probe_in(&helper(), None);
    let by_fork = probe_in(&Isolation::Fork, None);
    println!("{by_helper:#?}");
    let essence = |p: &Probe| p.accelerators.iter().map(|a| (a.name, a.usable, a.jit)).collect::<Vec<_>>();
    assert_eq!(essence(&by_helper), essence(&by_fork));
    for a in by_helper.accelerators.iter().chain(&by_fork.accelerators) {
        assert!(!a.reason.is_empty());
    }
}

/// A processor without virtualization of its own cannot run a guest at its speed, whatever `/dev/kvm` says.
#[test]
#[cfg(target_arch = "x86_64")]
fn kvm_without_hardware_is_refused() {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let flags = info.lines().find(|l| l.starts_with("flags")).unwrap();
    let hardware = flags.split_whitespace().any(|f| f == "vmx" || f == "svm");
    let probe = probe_in(&helper(), None);
    let kvm = find(&probe, AcceleratorName::Kvm);
    if !hardware {
        assert!(!kvm.usable, "{kvm:?}");
    }
    if !Path::new("/dev/kvm").exists() {
        assert_eq!(kvm.reason, "there is no /dev/kvm");
    }
}

#[test]
fn the_report_is_complete_for_machines_and_people() {
    // SAFETY: no other thread of this program reads or writes this variable.
    unsafe { env::set_var("SAMPAN_VMHOST", env!("CARGO_BIN_EXE_sampan-vmhost")) };
    let report = HostReport::gather(Path::new("/"));
    println!("{report}");
    let json = serde_json::to_value(&report).unwrap();
    println!("{json:#}");
    assert_eq!(json["accelerators"][0]["name"], "kvm");
    assert!(json["gpu"]["devices"].is_array());
    assert!(report.gpu.devices.is_empty() == report.gpu.reason.is_some());
    assert!(report.cpu.cores > 0 && report.memory.total > report.memory.available);
    assert!(report.disk.total > 0 && !report.libqemu.builds.is_empty());
}

/// What is refused to the process in which the probe runs.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// PR_SET_MDWE: no memory becomes executable, none is writable and executable.
    Mdwe,
    /// A seccomp filter with EACCES for memory that is writable and executable.
    WriteAndExecute,
    /// A seccomp filter with EACCES for all executable memory.
    Execute,
}

const PR_SET_MDWE: libc::c_int = 65;
const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;

impl Refusal {
    /// For the calling thread and its children, for ever. System calls only.
    fn impose(self) -> std::io::Result<()> {
        let mask = match self {
            Self::Mdwe => {
                // SAFETY: no pointers.
                let result = unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) };
                return if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) };
            }
            Self::WriteAndExecute => libc::PROT_WRITE | libc::PROT_EXEC,
            Self::Execute => libc::PROT_EXEC,
        };
        filter_protections(mask.unsigned_abs())
    }
}

/// EACCES for an mmap or mprotect that asks for all rights of `mask`. Source: Linux's
/// Documentation/userspace-api/seccomp_filter.rst, include/uapi/linux/{bpf_common,seccomp}.h.
fn filter_protections(mask: u32) -> std::io::Result<()> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const NUMBER: u32 = 0; // offsetof(struct seccomp_data, nr)
    const PROT: u32 = 16 + 2 * 8; // offsetof(struct seccomp_data, args[2]), low half
    let op = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let call = |number: libc::c_long| u32::try_from(number).unwrap_or(u32::MAX);
    let mut program = [
        op(LOAD, NUMBER, 0, 0),
        op(JUMP_EQUAL, call(libc::SYS_mmap), 1, 0),
        op(JUMP_EQUAL, call(libc::SYS_mprotect), 0, 3),
        op(LOAD, PROT, 0, 0),
        op(AND, mask, 0, 0),
        op(JUMP_EQUAL, mask, 1, 0),
        op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
        op(RETURN, libc::SECCOMP_RET_ERRNO | libc::EACCES.unsigned_abs(), 0, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program outlives the call, which copies it.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// The probe's answer about `tcg` where that is refused: in a forked child of a thread that is refused it.
fn tcg_under(refusal: Refusal) -> (bool, Option<Jit>, String) {
    let thread = std::thread::spawn(move || {
        // All code this thread needs is mapped before: nothing is loaded later.
        let _warm = probe_in(&Isolation::Fork, None);
        refusal.impose().unwrap();
        let probe = probe_in(&Isolation::Fork, None);
        let tcg = find(&probe, AcceleratorName::Tcg);
        (tcg.usable, tcg.jit, tcg.reason.clone())
    });
    let answer = thread.join().unwrap();
    println!("{refusal:?}: {answer:?}");
    answer
}

#[test]
fn with_write_and_execute_refused_the_split_way_is_chosen() {
    let (usable, jit, reason) = tcg_under(Refusal::WriteAndExecute);
    assert_eq!((usable, jit), (true, Some(Jit::Split)));
    assert!(
        reason.contains("refused: rwx: memory could not be mapped executable (Permission denied)"),
        "{reason}"
    );
}

#[test]
fn with_all_executable_memory_refused_there_is_none() {
    let (usable, jit, reason) = tcg_under(Refusal::Execute);
    assert_eq!((usable, jit), (false, None));
    for way in ["rwx: ", "split: ", "bracketed: "] {
        assert!(reason.contains(way), "{reason}");
    }
}

/// Not a test by itself: the program that the next test restricts, as MDWE is for a whole process.
#[test]
fn restricted_process() {
    if env::var_os("SAMPAN_TEST_RESTRICTED").is_none() {
        return;
    }
    let probe = probe_in(&helper(), LibqemuDir::find().ok().as_ref());
    println!("\nprobe={}", serde_json::to_string(&probe).unwrap());
    // And QEMU agrees, in this process and in a child, about what it can use and what it cannot.
    let launchers: [&dyn Launcher; 2] = [&in_process(), &child()];
    for launcher in launchers {
        let mut chosen = machine("chosen");
        chosen.args(["-accel", &probe.choose(Arch::X86_64).unwrap().accelerator]);
        assert_eq!(start(launcher, chosen).quit(), Exit::Clean);

        let mut refused = machine("refused");
        refused.args(["-accel", "tcg,split-wx=off"]);
        let exit = try_start(launcher, refused).unwrap().wait();
        assert!(exit.to_string().contains("mprotect of jit buffer"), "{exit}");
    }
}

#[test]
fn under_mdwe_the_helper_chooses_the_split_way() {
    let mut program = Command::new(env::current_exe().unwrap());
    program.args(["--exact", "restricted_process", "--nocapture"]).env("SAMPAN_TEST_RESTRICTED", "1");
    // SAFETY: system calls only.
    unsafe { program.pre_exec(|| Refusal::Mdwe.impose()) };
    let output = match program.output() {
        Ok(output) => output,
        // Linux before 6.3.
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => return,
        Err(e) => panic!("{e}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let json = text.lines().find_map(|l| l.strip_prefix("probe=")).unwrap_or_else(|| panic!("{output:?}"));
    let probe: Probe = serde_json::from_str(json).unwrap();
    let tcg = find(&probe, AcceleratorName::Tcg);
    assert_eq!(tcg.jit, Some(Jit::Split), "{tcg:?}");
    assert!(probe.choose(Arch::X86_64).unwrap().accelerator.contains("split-wx=on"));
}
