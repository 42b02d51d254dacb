//! May this process write code and run it? By doing so, in each of the ways a device may grant, and never in
//! this process itself: `mprotect` may return 0 and change nothing, and the answer to a jump into such
//! memory is a signal.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::isolate::{Answer, Silence};

/// A way to have executable memory that one can write, in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jit {
    /// One anonymous mapping, readable, writable and executable from the first.
    Rwx,
    /// One anonymous mapping that is writable and executable in turns, by `mprotect`. It is tried so that a person learns of it; QEMU's translator
    /// cannot use it ([`Jit::serves`]).
    Flip,
    /// A memfd mapped twice, once writable, once executable: QEMU's `split-wx=on`.
    Split,
    /// As `Rwx`, with HarmonyOS's `prctl(0x6a6974, …)` around the mapping.
    Bracketed,
    /// As `Split`, with the same around the executable mapping.
    BracketedSplit,
    /// As `Rwx`, after the older form of that `prctl`, which is called once.
    Enabled,
}

impl Jit {
    /// All ways, the best first.
    pub const ALL: [Self; 6] =
        [Self::Rwx, Self::Flip, Self::Split, Self::Bracketed, Self::BracketedSplit, Self::Enabled];

    /// Whether QEMU's translator can use it. Its code buffer is one for all of a machine's CPUs, each a thread: while one translates, others run what lies in the
    /// same pages. With one thread for all CPUs (`thread=single`) it is no better: translated code is also rewritten where it jumps on to other code
    /// (`tb_set_jmp_target`), and by threads that write to the guest's memory (`tb_phys_invalidate`), while a CPU runs it (`accel/tcg/tb-maint.c`).
    pub fn serves(self) -> bool {
        self != Self::Flip
    }

    /// Its name in answers and logs, and in QEMU's `-accel tcg,jit=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rwx => "rwx",
            Self::Flip => "flip",
            Self::Split => "split",
            Self::Bracketed => "bracketed",
            Self::BracketedSplit => "bracketed-split",
            Self::Enabled => "enabled",
        }
    }
}

/// Said of a way that is granted and does not serve ([`Jit::serves`]).
pub(super) const DOES_NOT_SERVE: &str =
    "granted, but of no use to QEMU, whose translated code is rewritten while other threads run it";

/// The translator's buffer, in MiB; it takes memory as it fills. What is tried is as large, as systems set limits: one
/// device grants 256 MiB.
pub(crate) const BUFFER_MIB: usize = 256;

const LENGTH: usize = BUFFER_MIB << 20;

/// HarmonyOS's prctl: `(JIT, 0, 0)` opens the bracket, `(JIT, 0, 1)` closes it, `(JIT, 1)` is the older form.
const PR_JIT: libc::c_int = 0x6a_6974;

/// The steps that can fail, as [`Answer`] numbers them.
mod step {
    pub(super) const MEMFD: u32 = 1;
    pub(super) const MAP: u32 = 2;
    pub(super) const MAP_EXECUTABLE: u32 = 3;
    pub(super) const NOT_EXECUTABLE: u32 = 4;
    pub(super) const WRONG_RESULT: u32 = 5;
    pub(super) const ARCHITECTURE: u32 = 6;
    pub(super) const CHANGE: u32 = 7;
}

/// The reason in words, when the way is not open.
pub(crate) fn refusal(answer: Result<Answer, Silence>) -> Option<String> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(Silence(words)) => return Some(format!("the probe {words}")),
    };
    let words = match answer.failed_step {
        0 => return None,
        step::MEMFD => "no memfd could be made",
        step::MAP => "memory could not be mapped writable",
        step::MAP_EXECUTABLE => "memory could not be mapped executable",
        step::NOT_EXECUTABLE => "the system agreed, but the mapping is not executable",
        step::CHANGE => "memory that was written could not be made executable",
        step::WRONG_RESULT => "code that was rewritten ran as if it were not",
        _ => "there is no test code for this processor",
    };
    Some(match answer.errno {
        0 => words.to_owned(),
        errno => format!("{words} ({})", Errno::from_raw(errno).desc()),
    })
}

/// Tries one way as libqemu goes it (`scripts/qemu/patches/0009-executable-memory.patch`), by system calls only.
pub(crate) fn try_way(way: Jit) -> Answer {
    let mapped = match way {
        Jit::Flip => return flip(),
        Jit::Rwx => map_rwx(),
        Jit::Split => map_twice(),
        Jit::Bracketed => in_bracket(map_rwx),
        Jit::BracketedSplit => in_bracket(map_twice),
        Jit::Enabled => {
            // SAFETY: no pointers. Elsewhere than on HarmonyOS this is an unknown option and does nothing.
            unsafe { libc::prctl(PR_JIT, 1) };
            map_rwx()
        }
    };
    match mapped {
        Ok((write, run)) => run_code(write, run),
        Err(answer) => answer,
    }
}

/// Where to write and where to run.
type Mapped = (*mut u8, *mut u8);

fn map(prot: libc::c_int, flags: libc::c_int, fd: libc::c_int, step: u32) -> Result<*mut u8, Answer> {
    // SAFETY: a new mapping at an address that the kernel chooses.
    let at = unsafe { libc::mmap(ptr::null_mut(), LENGTH, prot, flags, fd, 0) };
    if at == libc::MAP_FAILED { Err(Answer::failed_with(step, Errno::last())) } else { Ok(at.cast()) }
}

const RWX: libc::c_int = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;

fn map_rwx() -> Result<Mapped, Answer> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_EXECUTABLE;
    let at = map(RWX, flags, -1, step::MAP_EXECUTABLE)?;
    Ok((at, at))
}

fn map_twice() -> Result<Mapped, Answer> {
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"sampan-probe".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(Answer::failed_with(step::MEMFD, Errno::last()));
    }
    // SAFETY: the kernel just made it, for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: no pointers.
    if unsafe { libc::ftruncate(fd.as_raw_fd(), LENGTH as libc::off_t) } < 0 {
        return Err(Answer::failed_with(step::MEMFD, Errno::last()));
    }
    let fd = fd.as_raw_fd();
    let write = map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd, step::MAP)?;
    let run = map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_SHARED, fd, step::MAP_EXECUTABLE)?;
    Ok((write, run))
}

fn in_bracket(map: fn() -> Result<Mapped, Answer>) -> Result<Mapped, Answer> {
    // SAFETY: no pointers. Elsewhere than on HarmonyOS this is an unknown option and does nothing.
    unsafe { libc::prctl(PR_JIT, 0, 0) };
    let mapped = map();
    // SAFETY: as above.
    unsafe { libc::prctl(PR_JIT, 0, 1) };
    mapped
}

/// Without the bracket, then within it: one device wants it for `mprotect` too.
fn flip() -> Answer {
    let at =
        match map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, step::MAP)
        {
            Ok(at) => at,
            Err(answer) => return answer,
        };
    let plain = flip_at(at, false);
    if plain.failed_step == step::CHANGE { flip_at(at, true) } else { plain }
}

/// Twice, as in [`run_code`]: writable, then executable.
fn flip_at(at: *mut u8, bracketed: bool) -> Answer {
    let change = |rights| {
        // SAFETY: our own mapping, as long as that; without pointers otherwise. Elsewhere than on HarmonyOS the option is unknown and does nothing.
        let (changed, errno) = unsafe {
            if bracketed {
                libc::prctl(PR_JIT, 0, 0);
            }
            let changed = libc::mprotect(at.cast(), LENGTH, rights);
            let errno = Errno::last();
            if bracketed {
                libc::prctl(PR_JIT, 0, 1);
            }
            (changed, errno)
        };
        if changed == 0 { Ok(()) } else { Err(Answer::failed_with(step::CHANGE, errno)) }
    };
    for value in [0x1234_u16, 0x4321] {
        let Some(code) = code_returning(value) else { return Answer::failed(step::ARCHITECTURE) };
        if let Err(answer) = change(libc::PROT_READ | libc::PROT_WRITE) {
            return answer;
        }
        // SAFETY: a mapping of that length, which was just made writable; a kernel that lied ends the process.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), at, code.len()) };
        if let Err(answer) = change(libc::PROT_READ | libc::PROT_EXEC) {
            return answer;
        }
        if !maps::is_executable(at as usize) {
            return Answer::failed(step::NOT_EXECUTABLE);
        }
        synchronize(at, at);
        // SAFETY: a whole function of the C calling convention, in memory that is executable.
        let result = unsafe { std::mem::transmute::<*mut u8, extern "C" fn() -> u32>(at)() };
        if result != u32::from(value) {
            return Answer::failed(step::WRONG_RESULT);
        }
    }
    Answer::default()
}

/// Code that was written at `write` is what is fetched at `run` from now on. It lies in one cache line, as it
/// begins a page. A PC does this by itself.
fn synchronize(write: *mut u8, run: *mut u8) {
    // SAFETY: cache maintenance by addresses that are mapped. Source: Arm Architecture Reference Manual, B2.4.4.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "dc cvau, {write}",
            "dsb ish",
            "ic ivau, {run}",
            "dsb ish",
            "isb",
            write = in(reg) write,
            run = in(reg) run,
            options(nostack)
        );
    }
    let _ = (write, run);
}

/// A function that returns `value`; `None` on a processor that nobody wrote it for.
fn code_returning(value: u16) -> Option<[u8; 8]> {
    let mut code = [0; 8];
    if cfg!(target_arch = "x86_64") {
        // mov eax, imm32; ret
        code[0] = 0xb8;
        code[1..3].copy_from_slice(&value.to_le_bytes());
        code[5] = 0xc3;
    } else if cfg!(target_arch = "aarch64") {
        // movz w0, #imm16; ret
        code[..4].copy_from_slice(&(0x5280_0000 | u32::from(value) << 5).to_le_bytes());
        code[4..].copy_from_slice(&0xd65f_03c0_u32.to_le_bytes());
    } else {
        return None;
    }
    Some(code)
}

/// Twice, as a translator that rewrites its buffer does: an old answer is a failure too.
fn run_code(write: *mut u8, run: *mut u8) -> Answer {
    if !maps::is_executable(run as usize) {
        return Answer::failed(step::NOT_EXECUTABLE);
    }
    for value in [0x1234_u16, 0x4321] {
        let Some(code) = code_returning(value) else { return Answer::failed(step::ARCHITECTURE) };
        // SAFETY: `write` is a writable mapping of LENGTH bytes and `run` the same memory; what is there is a
        // whole function of the C calling convention. Where the kernel lied the process dies, as it may.
        let result = unsafe {
            ptr::copy_nonoverlapping(code.as_ptr(), write, code.len());
            synchronize(write, run);
            let function: extern "C" fn() -> u32 = std::mem::transmute(run);
            function()
        };
        if result != u32::from(value) {
            return Answer::failed(step::WRONG_RESULT);
        }
    }
    Answer::default()
}

/// Reads `/proc/self/maps` without allocating.
mod maps {
    use std::os::fd::{FromRawFd, OwnedFd};

    /// Does the mapping at `address` have the right to execute? True where nobody can tell.
    pub(super) fn is_executable(address: usize) -> bool {
        // SAFETY: the path is a C string.
        let fd = unsafe { libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        if fd < 0 {
            return true;
        }
        // SAFETY: the kernel just made it, for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut line = Line::default();
        let mut buffer = [0_u8; 4096];
        while let Ok(n @ 1..) = nix::unistd::read(&fd, &mut buffer) {
            for &byte in &buffer[..n] {
                if byte == b'\n' {
                    if let Some(executable) = line.says(address) {
                        return executable;
                    }
                    line = Line::default();
                } else {
                    line.push(byte);
                }
            }
        }
        false
    }

    /// The beginning of a line: `BEGIN-END PERMS …`.
    struct Line {
        bytes: [u8; 64],
        len: usize,
    }

    impl Default for Line {
        fn default() -> Self {
            Self { bytes: [0; 64], len: 0 }
        }
    }

    impl Line {
        pub(super) fn push(&mut self, byte: u8) {
            if self.len < self.bytes.len() {
                self.bytes[self.len] = byte;
                self.len += 1;
            }
        }

        /// `None`: the line is about another address.
        pub(super) fn says(&self, address: usize) -> Option<bool> {
            let text = std::str::from_utf8(&self.bytes[..self.len]).ok()?;
            let (range, rest) = text.split_once(' ')?;
            let (begin, end) = range.split_once('-')?;
            let begin = usize::from_str_radix(begin, 16).ok()?;
            let end = usize::from_str_radix(end, 16).ok()?;
            (begin..end).contains(&address).then(|| rest.as_bytes().get(2) == Some(&b'x'))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_line_is_read() {
            let mut line = Line::default();
            "7f0000001000-7f0000002000 rwxp 00000000 00:00 0 /a/long/name/that/is/cut/off"
                .bytes()
                .for_each(|b| line.push(b));
            assert_eq!(line.says(0x7f00_0000_1000), Some(true));
            assert_eq!(line.says(0x7f00_0000_1fff), Some(true));
            assert_eq!(line.says(0x7f00_0000_2000), None);
        }

        #[test]
        fn code_is_executable_and_data_is_not() {
            let data = Box::new(0_u8);
            assert!(is_executable(is_executable as *const () as usize));
            assert!(!is_executable(&raw const *data as usize));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_words() {
        assert_eq!(refusal(Ok(Answer::default())), None);
        let denied = refusal(Ok(Answer::failed_with(step::MAP_EXECUTABLE, Errno::EACCES)));
        assert_eq!(denied.as_deref(), Some("memory could not be mapped executable (Permission denied)"));
        let died = refusal(Err(Silence("died of SIGSEGV".into())));
        assert_eq!(died.as_deref(), Some("the probe died of SIGSEGV"));
    }

    #[test]
    fn memory_is_writable_and_executable_in_turns_here() {
        // This kernel grants it; where it does not, a test of refused memory tells.
        assert_eq!(flip(), Answer::default());
    }

    #[test]
    fn memory_that_only_claims_to_be_executable_is_found_out() {
        // What a device does whose mprotect returns 0 and changes nothing.
        let at =
            map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, step::MAP)
                .unwrap();
        assert_eq!(run_code(at, at), Answer::failed(step::NOT_EXECUTABLE));
    }
}
