//! Does KVM run a guest at this processor's speed? By running two small loops in one and comparing them with
//! the same loop outside. A `/dev/kvm` that opens, creates VMs and then interprets their instructions is
//! slower than QEMU's translator, and stock kernels do not even start in it.

use std::hint::black_box;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::isolate::{Answer, Silence};
use super::kvm_abi::{self as abi, Guest, MemoryRegion};
use super::reason::Reason;

/// The steps that can fail, as [`Answer`] numbers them.
mod step {
    pub(super) const OPEN: u32 = 1;
    pub(super) const VERSION: u32 = 2;
    pub(super) const CREATE_VM: u32 = 3;
    pub(super) const MEMORY: u32 = 4;
    pub(super) const CREATE_VCPU: u32 = 5;
    pub(super) const REGISTERS: u32 = 6;
    pub(super) const RUN: u32 = 7;
    pub(super) const EXIT: u32 = 8;
    pub(super) const SLOW: u32 = 9;
}

/// Loop iterations, of two instructions, of the first look: microseconds on a processor, 5 to 10 ms where each
/// instruction is emulated.
const FIRST: u32 = 5_000;
/// Of the measurement: 5 to 20 ms.
const MEASURED: u32 = 20_000_000;
/// A guest that is this many times slower than the host's own loop is no help. QEMU's translator reaches a
/// fifth to a half on such a loop; a busy machine may halve what either gets.
const SLOWEST: u32 = 4;
/// At the first look.
const SLOWEST_FIRST: u32 = 100;
/// What entering the guest and its first page faults may take besides. On a host that is a guest itself each costs some 0.1 ms.
const ENTERING: Duration = Duration::from_millis(1);

/// The only version there has been since 2007.
const API_VERSION: i32 = 12;

/// `Ok` when KVM is to be used.
pub(crate) fn verdict(answer: Result<Answer, Silence>) -> Result<Reason, Reason> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(Silence(words)) => {
            return Err(Reason::KvmFails(format!("a test guest did not run: the probe {words}")));
        }
    };
    let errno = Errno::from_raw(answer.errno);
    let [guest, host] = answer.values.map(|thousands| format!("{:.1}", thousands as f64 / 1e3));
    Err(Reason::KvmFails(match answer.failed_step {
        0 => return Ok(Reason::KvmRuns { guest, host }),
        step::OPEN if errno == Errno::ENOENT => return Err(Reason::NoKvm),
        step::OPEN if errno == Errno::EACCES => return Err(Reason::KvmNotAllowed),
        step::OPEN => format!("/dev/kvm cannot be opened: {}", errno.desc()),
        step::VERSION => format!("/dev/kvm speaks version {} instead of {API_VERSION}", answer.values[0]),
        step::CREATE_VM => format!("KVM makes no virtual machine: {}", errno.desc()),
        step::MEMORY => format!("KVM takes no memory for a guest: {}", errno.desc()),
        step::CREATE_VCPU => format!("KVM makes no virtual processor: {}", errno.desc()),
        step::REGISTERS => format!("KVM does not set a processor's registers: {}", errno.desc()),
        step::RUN => format!("KVM did not run a test guest: {}", errno.desc()),
        step::EXIT => format!("a test guest did not end its loop (KVM exit reason {})", answer.values[0]),
        _ => return Err(Reason::KvmEmulated { guest, host }),
    }))
}

/// Runs the guests, by system calls only. A kernel that hangs in one hangs this process.
pub(crate) fn try_guests() -> Answer {
    match guests() {
        Ok(answer) | Err(answer) => answer,
    }
}

fn guests() -> Result<Answer, Answer> {
    let vm = Vm::new()?;
    let mut slowest = u64::MAX;
    for guest in Guest::ALL {
        let first = vm.run(guest, FIRST)?.min(vm.run(guest, FIRST)?);
        let host_first = on_host(FIRST);
        if first > host_first * SLOWEST_FIRST + ENTERING {
            return Ok(Answer {
                failed_step: step::SLOW,
                errno: 0,
                values: speeds(FIRST, first, host_first),
            });
        }
        // The best of three: whatever else the machine does only ever makes a run longer.
        let mut best = Duration::MAX;
        for _ in 0..3 {
            best = best.min(vm.run(guest, MEASURED)?);
        }
        let host = (0..3).map(|_| on_host(MEASURED)).min().unwrap_or(Duration::MAX);
        let values = speeds(MEASURED, best, host);
        if best > host * SLOWEST {
            return Ok(Answer { failed_step: step::SLOW, errno: 0, values });
        }
        slowest = slowest.min(values[0]);
    }
    let host = speeds(MEASURED, Duration::MAX, on_host(MEASURED))[1];
    Ok(Answer { failed_step: 0, errno: 0, values: [slowest, host] })
}

/// In thousands of loops a second.
fn speeds(loops: u32, guest: Duration, host: Duration) -> [u64; 2] {
    [guest, host].map(|time| (f64::from(loops) / time.as_secs_f64().max(1e-9) / 1e3) as u64)
}

/// The guest's loop, by this processor.
fn on_host(loops: u32) -> Duration {
    let mut left = u64::from(black_box(loops));
    let begin = Instant::now();
    // SAFETY: counts a register down; touches neither memory nor stack.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("2: dec {0}", "jnz 2b", inout(reg) left, options(nomem, nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("2: subs {0}, {0}, #1", "b.ne 2b", inout(reg) left, options(nomem, nostack));
    }
    black_box(left);
    begin.elapsed()
}

/// A VM with one page-aligned piece of memory and one vCPU.
struct Vm {
    vcpu: OwnedFd,
    run: *mut u8,
    memory: *mut u8,
    vm: OwnedFd,
}

impl Vm {
    fn new() -> Result<Self, Answer> {
        // SAFETY: the path is a C string.
        let kvm =
            owned(unsafe { libc::open(c"/dev/kvm".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) }, step::OPEN)?;
        let version = ioctl(&kvm, abi::GET_API_VERSION, 0, step::VERSION)?;
        if version != API_VERSION {
            return Err(Answer {
                values: [u64::from(version.unsigned_abs()), 0],
                ..Answer::failed(step::VERSION)
            });
        }
        let vm = owned(ioctl(&kvm, abi::CREATE_VM, 0, step::CREATE_VM)?, step::CREATE_VM)?;
        if cfg!(target_arch = "x86_64") {
            // Intel's real mode needs three pages of the guest's that it does not use otherwise. Refused elsewhere.
            let _ = ioctl(&vm, abi::SET_TSS_ADDR, 0xfffb_d000, step::CREATE_VM);
        }
        let memory = map(abi::MEMORY_BYTES, -1, step::MEMORY)?;
        let region = MemoryRegion::new(memory as u64);
        ioctl(&vm, abi::SET_USER_MEMORY_REGION, &raw const region as usize, step::MEMORY)?;
        let vcpu = owned(ioctl(&vm, abi::CREATE_VCPU, 0, step::CREATE_VCPU)?, step::CREATE_VCPU)?;
        let bytes = ioctl(&kvm, abi::GET_VCPU_MMAP_SIZE, 0, step::CREATE_VCPU)?;
        let run = map(usize::try_from(bytes).unwrap_or(0), vcpu.as_raw_fd(), step::CREATE_VCPU)?;
        Ok(Self { vcpu, run, memory, vm })
    }

    /// How long the guest took for its loop.
    fn run(&self, guest: Guest, loops: u32) -> Result<Duration, Answer> {
        let mut code = [0; abi::CODE_BYTES];
        let length = guest.code(loops, &mut code);
        // SAFETY: the guest's memory is larger than any code, and no vCPU runs.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), self.memory.add(abi::CODE_OFFSET), length) };
        let registers = guest.set_registers(&self.vm, &self.vcpu);
        registers.map_err(|errno| Answer::failed_with(step::REGISTERS, errno))?;
        let begin = Instant::now();
        ioctl(&self.vcpu, abi::RUN, 0, step::RUN)?;
        let time = begin.elapsed();
        // SAFETY: the shared page of the vCPU holds its exit reason there (struct kvm_run); it does not run.
        let reason = unsafe { ptr::read_volatile(self.run.add(8).cast::<u32>()) };
        if reason == abi::EXIT_AT_END {
            Ok(time)
        } else {
            Err(Answer { values: [reason.into(), 0], ..Answer::failed(step::EXIT) })
        }
    }
}

fn owned(fd: RawFd, step: u32) -> Result<OwnedFd, Answer> {
    if fd < 0 {
        return Err(Answer::failed_with(step, Errno::last()));
    }
    // SAFETY: the kernel just made it, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn ioctl(fd: &OwnedFd, request: u32, argument: usize, step: u32) -> Result<i32, Answer> {
    abi::ioctl(fd, request, argument).map_err(|errno| Answer::failed_with(step, errno))
}

/// For the life of this process, which is short.
fn map(length: usize, fd: RawFd, step: u32) -> Result<*mut u8, Answer> {
    let flags = if fd < 0 { libc::MAP_SHARED | libc::MAP_ANONYMOUS } else { libc::MAP_SHARED };
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses.
    let at = unsafe { libc::mmap(ptr::null_mut(), length, prot, flags, fd, 0) };
    if at == libc::MAP_FAILED { Err(Answer::failed_with(step, Errno::last())) } else { Ok(at.cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_words() {
        let words = |answer| verdict(answer).unwrap_err().to_string();
        assert_eq!(words(Ok(Answer::failed_with(step::OPEN, Errno::ENOENT))), "there is no /dev/kvm");
        let slow = Answer { failed_step: step::SLOW, errno: 0, values: [800, 2_900_000] };
        assert!(words(Ok(slow)).starts_with(
            "a test guest ran 0.8 million loops a second where the processor itself runs 2900.0"
        ));
        let hung = words(Err(Silence("gave no answer within 5 s".into())));
        assert_eq!(hung, "a test guest did not run: the probe gave no answer within 5 s");
        assert!(verdict(Ok(Answer { values: [2_000_000, 2_900_000], ..Answer::default() })).is_ok());
    }

    #[test]
    fn the_host_runs_its_loop_at_a_processors_speed() {
        let best = (0..5).map(|_| on_host(MEASURED)).min().unwrap();
        // Emulated, this takes seconds; the unit is wrong if it takes no time at all.
        assert!(best > Duration::from_micros(10), "{best:?}");
    }
}
