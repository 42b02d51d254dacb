//! seccomp: which system calls are refused. A list of what a VM has no use for rather than of what it has: QEMU's, GLib's and
//! the C library's calls differ by version and processor, and one that is forgotten would end a VM in the midst of its work.

use std::io;

use seccompiler::{BackendError, Error, SeccompAction, SeccompFilter, TargetArch, sock_filter};

use super::arguments;
use super::{Confinement, LockInError};

// Calls that are newer than some C libraries' headers. Their numbers are the same on all processors (`scripts/syscall.tbl`).
const QUOTACTL_FD: i64 = 443;
const PROCESS_MRELEASE: i64 = 448;
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const GETXATTRAT: i64 = 464;
const LISTXATTRAT: i64 = 465;
const REMOVEXATTRAT: i64 = 466;
const OPEN_TREE_ATTR: i64 = 467;
const FILE_SETATTR: i64 = 469;

/// Refused whatever their arguments are.
const NEVER: &[i64] = &[
    // programs
    libc::SYS_execve,
    libc::SYS_execveat,
    // by name; Landlock limits it only from Linux 6.2 on, and QEMU does it to open files
    libc::SYS_truncate,
    // owners, which mapped-xattr keeps in attributes and none forgets (`local_set_cred_passthrough` of `hw/9pfs/9p-local.c`)
    libc::SYS_fchown,
    libc::SYS_fchownat,
    // attributes, other than the one way of QEMU's 9p server, which `arguments` leaves. Those by a descriptor do not need one for writing.
    libc::SYS_setxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_getxattr,
    libc::SYS_listxattr,
    SETXATTRAT,
    GETXATTRAT,
    LISTXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
    // modes, in ways of which QEMU's 9p server needs neither. A descriptor for reading is enough for the first.
    libc::SYS_fchmod,
    FCHMODAT2,
    // what happens in folders that it may not even list
    libc::SYS_inotify_add_watch,
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    PROCESS_MRELEASE,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    // who gets the processor and the disk. QEMU leaves it as it is; GLib asks, and does without. The supervisor sets it from outside.
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setaffinity,
    libc::SYS_ioprio_set,
    // groups that signals and terminals are for
    libc::SYS_setpgid,
    libc::SYS_setsid,
    // mounts and namespaces
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    OPEN_TREE_ATTR,
    // the kernel itself
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_fanotify_init,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // the whole machine
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // memory, queues and semaphores that processes share by number or name
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // keys
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
];

/// The same on PCs, whose kernel has older ways too.
#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    // what others of this list do
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
// kexec_file_load, whose name not every C library's headers have.
const NEVER_HERE: &[i64] = &[294];

/// Said not to exist: the C library then goes an older way, which the filter can look into. (The flags of `clone3` and the mode of `openat2` lie
/// in memory.)
const UNKNOWN: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_openat2,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Refuses them to the calling thread; what is not refused, in words.
pub fn refuse(confinement: &Confinement) -> Result<Option<String>, LockInError> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(Some("its system calls are not filtered, as this processor's are not known".to_owned()));
    };
    if !available() {
        return Ok(Some(
            "its system calls are not filtered, as the kernel has no seccomp filters".to_owned(),
        ));
    }
    let refused = |e: Error| LockInError::Refused(format!("seccomp: {e}"));
    let invalid = |e: BackendError| LockInError::Refused(format!("seccomp: {e}"));
    let unknown = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    let mut calls = arguments::refused(confinement).map_err(invalid)?;
    // Whatever was said of their arguments.
    calls.extend(NEVER.iter().chain(NEVER_HERE).map(|call| (*call, Vec::new())));
    let filters = [(unknown, libc::ENOSYS), (calls, libc::EPERM)].map(|(calls, error)| {
        SeccompFilter::new(calls, SeccompAction::Allow, SeccompAction::Errno(error.unsigned_abs()), arch)
    });
    for filter in filters {
        let program = filter.and_then(seccompiler::BpfProgram::try_from).map_err(invalid)?;
        seccompiler::apply_filter(&program).map_err(refused)?;
    }
    if cfg!(target_arch = "x86_64") {
        seccompiler::apply_filter(&NO_X32).map_err(refused)?;
    }
    Ok(None)
}

/// A PC's kernel may know every call by a second number, that of the x32 interface, for the same architecture (`asm/unistd.h`,
/// `__X32_SYSCALL_BIT`): they do not exist. (Those of 32-bit programs are of another architecture, for which the other filters end the
/// process.) The instructions are those of `linux/filter.h`: load the number, jump if it is that big, return one or the other.
const NO_X32: [sock_filter; 4] = [
    sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: 0 },
    sock_filter { code: (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16, jt: 0, jf: 1, k: 0x4000_0000 },
    sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
    },
    sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
];

/// Whether the kernel filters system calls.
pub fn available() -> bool {
    // SECCOMP_GET_ACTION_AVAIL (linux/seccomp.h)
    const ACTION_AVAILABLE: libc::c_uint = 2;
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the call reads the number that the pointer leads to, and changes nothing.
    let known = unsafe { libc::syscall(libc::SYS_seccomp, ACTION_AVAILABLE, 0, &raw const action) };
    known == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
}
