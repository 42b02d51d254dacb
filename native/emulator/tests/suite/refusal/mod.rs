//! Kernels that refuse executable memory, made of this one: by its own switch, by seccomp filters, and by a filter that asks
//! another thread, which remembers what HarmonyOS's `prctl` was told. Sources: Linux's Documentation/userspace-api/seccomp_filter.rst,
//! seccomp_unotify(2), include/uapi/linux/{bpf_common,seccomp}.h. Files mapped privately stay executable, as the signed
//! libraries of a package do.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod vms;

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;
use std::thread;

use libc::{c_int, c_long};
use sampan_emulator::Jit;

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Nothing,
    /// `PR_SET_MDWE`: no memory becomes executable, none is writable and executable.
    Mdwe,
    /// Memory that is both writable and executable.
    WriteAndExecute,
    /// Shared mappings, which a memfd's are, that are executable.
    SharedExecute,
    /// mprotect for executing: it returns 0 and does nothing.
    LyingMprotect,
    /// Anonymous memory outside of the bracket of `prctl(0x6a6974, 0, 0)` and `(…, 0, 1)`, a memfd's everywhere.
    OutsideOfTheBracket,
    /// A memfd's memory outside of the bracket, anonymous memory everywhere.
    AnonymousAndOutsideOfTheBracket,
    /// Anonymous memory until `prctl(0x6a6974, 1)`, a memfd's for ever.
    BeforeItIsEnabled,
    /// Mappings that are executable from the first: memory may become so later.
    MappedExecutable,
    /// The same, and `mprotect` for executing returns 0 and does nothing.
    MappedExecutableAndLyingMprotect,
    /// The same, and `mprotect` for executing ends the process.
    MappedExecutableAndDeadlyMprotect,
    /// All.
    Execute,
}

const PR_SET_MDWE: c_int = 65;
const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;
const PR_JIT: u64 = 0x6a_6974;

impl Refusal {
    pub const ALL: [Self; 12] = [
        Self::Nothing,
        Self::Mdwe,
        Self::WriteAndExecute,
        Self::SharedExecute,
        Self::LyingMprotect,
        Self::OutsideOfTheBracket,
        Self::AnonymousAndOutsideOfTheBracket,
        Self::BeforeItIsEnabled,
        Self::MappedExecutable,
        Self::MappedExecutableAndLyingMprotect,
        Self::MappedExecutableAndDeadlyMprotect,
        Self::Execute,
    ];

    /// The first way that stays open.
    pub fn leaves(self) -> Option<Jit> {
        match self {
            Self::Nothing | Self::SharedExecute | Self::LyingMprotect => Some(Jit::Rwx),
            Self::Mdwe | Self::WriteAndExecute => Some(Jit::Split),
            Self::OutsideOfTheBracket => Some(Jit::Bracketed),
            Self::AnonymousAndOutsideOfTheBracket => Some(Jit::BracketedSplit),
            Self::BeforeItIsEnabled => Some(Jit::Enabled),
            Self::MappedExecutable
            | Self::MappedExecutableAndLyingMprotect
            | Self::MappedExecutableAndDeadlyMprotect
            | Self::Execute => None,
        }
    }

    /// What is said of memory that is writable and executable in turns, where that is asked.
    pub fn of_flip(self) -> Option<&'static str> {
        match self {
            Self::WriteAndExecute | Self::MappedExecutable => Some("granted, but of no use to QEMU"),
            Self::MappedExecutableAndLyingMprotect => {
                Some("the system agreed, but the mapping is not executable")
            }
            Self::MappedExecutableAndDeadlyMprotect => Some("died"),
            Self::Mdwe | Self::Execute => Some("could not be made executable"),
            _ => None,
        }
    }

    /// Runs `work` on a thread to which this is refused, and to all that it starts.
    pub fn impose_on(self, work: impl FnOnce() + Send + 'static) -> thread::Result<()> {
        let (told, listener) = mpsc::channel();
        let worker = thread::spawn(move || {
            told.send(self.impose()).unwrap();
            work();
        });
        if let Some(listener) = listener.recv().unwrap() {
            thread::spawn(move || self.decide(&listener));
        }
        worker.join()
    }

    /// The fd by which the kernel asks, if it does.
    fn impose(self) -> Option<OwnedFd> {
        const WRITE_EXECUTE: u32 = (libc::PROT_WRITE | libc::PROT_EXEC) as u32;
        const EXECUTE: u32 = libc::PROT_EXEC as u32;
        const DENIED: u32 = libc::SECCOMP_RET_ERRNO | libc::EACCES as u32;
        const LIE: u32 = libc::SECCOMP_RET_ERRNO;
        const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;
        let anonymous = Some(libc::MAP_ANONYMOUS as u32);
        let shared = Some(libc::MAP_SHARED as u32);
        let (mmap, mprotect, prctl) = (libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_prctl);
        match self {
            Self::Nothing => return None,
            Self::Mdwe => {
                // SAFETY: no pointers.
                let set = unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) };
                assert_eq!(set, 0, "Linux before 6.3: {}", io::Error::last_os_error());
            }
            Self::WriteAndExecute => {
                filter(mmap, WRITE_EXECUTE, None, DENIED);
                filter(mprotect, WRITE_EXECUTE, None, DENIED);
            }
            Self::SharedExecute => drop(filter(mmap, EXECUTE, shared, DENIED)),
            Self::LyingMprotect => drop(filter(mprotect, EXECUTE, None, LIE)),
            Self::MappedExecutable
            | Self::MappedExecutableAndLyingMprotect
            | Self::MappedExecutableAndDeadlyMprotect
            | Self::Execute => {
                filter(mmap, EXECUTE, anonymous, DENIED);
                filter(mmap, EXECUTE, shared, DENIED);
                match self {
                    Self::Execute => drop(filter(mprotect, EXECUTE, None, DENIED)),
                    Self::MappedExecutableAndLyingMprotect => drop(filter(mprotect, EXECUTE, None, LIE)),
                    Self::MappedExecutableAndDeadlyMprotect => {
                        filter(mprotect, EXECUTE, None, libc::SECCOMP_RET_KILL_PROCESS);
                    }
                    _ => {}
                }
            }
            Self::OutsideOfTheBracket | Self::AnonymousAndOutsideOfTheBracket | Self::BeforeItIsEnabled => {
                filter(mprotect, EXECUTE, None, DENIED);
                // A filter has one fd, and a process one such filter.
                return Some(ask(&[
                    (mmap, EXECUTE, anonymous, ASK),
                    (mmap, EXECUTE, shared, ASK),
                    (prctl, 0, None, ASK),
                ]));
            }
        }
        None
    }

    /// Answers for the kernel, until all threads that ask are gone.
    fn decide(self, listener: &OwnedFd) {
        // Threads that asked for it.
        let (mut bracketed, mut enabled) = (HashSet::new(), HashSet::new());
        loop {
            // SAFETY: plain data, and zero as the kernel wants it.
            let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
            // SAFETY: the kernel fills the structure whose address it is given.
            let received =
                unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) };
            if received < 0 {
                match io::Error::last_os_error().raw_os_error() {
                    // The asker was killed before it was heard.
                    Some(libc::ENOENT | libc::EINTR) => continue,
                    _ => return,
                }
            }
            let [first, second, third, flags, ..] = asked.data.args;
            let allowed = if c_long::from(asked.data.nr) == libc::SYS_prctl {
                if first as u32 == PR_JIT as u32 {
                    match (second as u32, third as u32) {
                        (0, 0) => drop(bracketed.insert(asked.pid)),
                        (0, 1) => drop(bracketed.remove(&asked.pid)),
                        (1, _) => drop(enabled.insert(asked.pid)),
                        other => panic!("prctl(0x6a6974, {other:?})"),
                    }
                }
                true
            } else {
                let anonymous = flags & libc::MAP_ANONYMOUS as u64 != 0;
                let bracket = bracketed.contains(&asked.pid);
                match self {
                    Self::OutsideOfTheBracket => bracket && anonymous,
                    Self::AnonymousAndOutsideOfTheBracket => bracket && !anonymous,
                    _ => enabled.contains(&asked.pid) && anonymous,
                }
            };
            let mut answer = libc::seccomp_notif_resp {
                id: asked.id,
                val: 0,
                error: if allowed { 0 } else { -libc::EACCES },
                flags: if allowed { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 } else { 0 },
            };
            // SAFETY: the kernel reads the structure. An asker that is gone needs no answer.
            unsafe { libc::ioctl(listener.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
        }
    }
}

// _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp) of include/uapi/linux/seccomp.h.
const SECCOMP_IOCTL_NOTIF_RECV: libc::Ioctl =
    (0xC000_2100 | (size_of::<libc::seccomp_notif>() as u32) << 16) as libc::Ioctl;
const SECCOMP_IOCTL_NOTIF_SEND: libc::Ioctl =
    (0xC000_2101 | (size_of::<libc::seccomp_notif_resp>() as u32) << 16) as libc::Ioctl;

/// A call, the rights of which it must ask for all, the flag of a mapping that it must have, and what is then done.
type Rule = (c_long, u32, Option<u32>, u32);

/// What is done with a call that asks for all of these rights and has this flag.
pub fn filter(call: c_long, rights: u32, flag: Option<u32>, action: u32) -> c_int {
    install(&[(call, rights, flag, action)], 0)
}

fn ask(rules: &[Rule]) -> OwnedFd {
    const NEW_LISTENER: libc::c_ulong = 1 << 3;
    let fd = install(rules, NEW_LISTENER);
    // SAFETY: the kernel just made it, for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// For the calling thread and all that it starts, for ever.
fn install(rules: &[Rule], flags: libc::c_ulong) -> c_int {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const NUMBER: u32 = 0; // offsetof(struct seccomp_data, nr)
    const RIGHTS: u32 = 16 + 2 * 8; // offsetof(struct seccomp_data, args[2]), low half
    const FLAGS: u32 = 16 + 3 * 8;
    const SECCOMP_SET_MODE_FILTER: c_long = 1;
    let op = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut program = Vec::new();
    for &(call, rights, flag, action) in rules {
        let flag = flag.unwrap_or(0);
        program.extend([
            op(LOAD, NUMBER, 0, 0),
            op(JUMP_EQUAL, call as u32, 0, 7),
            op(LOAD, RIGHTS, 0, 0),
            op(AND, rights, 0, 0),
            op(JUMP_EQUAL, rights, 0, 4),
            op(LOAD, FLAGS, 0, 0),
            op(AND, flag, 0, 0),
            op(JUMP_EQUAL, flag, 0, 1),
            op(RETURN, action, 0, 0),
        ]);
    }
    program.push(op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program outlives the call, which copies it.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    assert!(result >= 0, "seccomp: {}", io::Error::last_os_error());
    result as c_int
}
