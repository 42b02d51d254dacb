//! seccomp: which system calls are refused. A list of what a VM has no use for rather than of what it has: QEMU's, GLib's and
//! the C library's calls differ by version and processor, and one that is forgotten would end a VM in the midst of its work.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BackendError, Error, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};

use super::LockInError;

type Calls = BTreeMap<i64, Vec<SeccompRule>>;

// Calls that are newer than some C libraries' headers. Their numbers are the same on all processors (`scripts/syscall.tbl`).
const QUOTACTL_FD: i64 = 443;
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
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
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
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
];
#[cfg(not(target_arch = "x86_64"))]
// kexec_file_load, whose name not every C library's headers have.
const NEVER_HERE: &[i64] = &[294];

/// What changes a file by its name without opening it, which Landlock does not limit. By a file descriptor it stays possible.
const BY_NAME: &[i64] = &[
    libc::SYS_fchmodat,
    FCHMODAT2,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
];
#[cfg(target_arch = "x86_64")]
const BY_NAME_HERE: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const BY_NAME_HERE: &[i64] = &[];

/// Said not to exist: the C library then goes an older way, which the filter can look into.
const UNKNOWN: &[i64] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Refuses them to the calling thread; what is not refused, in words. `shares` leaves what changes files by name, `network` the
/// internet's sockets.
pub fn refuse(shares: bool, network: bool) -> Result<Option<String>, LockInError> {
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
    let filters = [(unknown, libc::ENOSYS), (by_argument(shares, network).map_err(invalid)?, libc::EPERM)]
        .map(|(calls, error)| {
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

fn when(conditions: &[(u8, SeccompCmpOp, u32)]) -> Result<SeccompRule, BackendError> {
    let conditions = conditions
        .iter()
        .map(|(argument, op, value)| SeccompCondition::new(*argument, Dword, op.clone(), (*value).into()))
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}

fn by_argument(shares: bool, network: bool) -> Result<Calls, BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    const SOCKET_TYPE: u64 = 0xF;
    const SOCK_PACKET: u32 = 10;
    const TIOCLINUX: u32 = 0x541C;
    let me = std::process::id();
    let number = |constant: libc::c_int| constant.unsigned_abs();
    let socket_type = |wanted: u32| (1, MaskedEq(SOCKET_TYPE), wanted);

    let always = NEVER.iter().chain(NEVER_HERE);
    let by_name = BY_NAME.iter().chain(BY_NAME_HERE).filter(|_| !shares);
    let mut calls: Calls = always.chain(by_name).map(|call| (*call, Vec::new())).collect();
    let mut refuse = |call: i64, rules: Vec<SeccompRule>| drop(calls.insert(call, rules));

    // Threads, but no processes.
    refuse(libc::SYS_clone, vec![when(&[(0, MaskedEq(libc::CLONE_THREAD.unsigned_abs().into()), 0)])?]);
    // The internet, but not the machine's own services, its network's set-up, or packets with forged senders.
    let sockets = vec![
        when(&[(0, Ne, number(libc::AF_INET)), (0, Ne, number(libc::AF_INET6))])?,
        when(&[socket_type(number(libc::SOCK_RAW))])?,
        when(&[socket_type(SOCK_PACKET)])?,
    ];
    refuse(libc::SYS_socket, if network { sockets } else { Vec::new() });
    // One of a pair of datagram sockets could be connected elsewhere.
    refuse(libc::SYS_socketpair, vec![when(&[socket_type(number(libc::SOCK_DGRAM))])?]);
    // Signals to itself.
    refuse(libc::SYS_kill, vec![when(&[(0, Ne, me)])?]);
    refuse(libc::SYS_tgkill, vec![when(&[(0, Ne, me)])?]);
    refuse(libc::SYS_prlimit64, vec![when(&[(0, Ne, 0), (0, Ne, me)])?]);
    // It dies with its parent.
    refuse(libc::SYS_prctl, vec![when(&[(0, Eq, number(libc::PR_SET_PDEATHSIG))])?]);
    // Words put into a terminal as if they were typed.
    let typing = [libc::TIOCSTI as u32, TIOCLINUX];
    refuse(libc::SYS_ioctl, typing.iter().map(|order| when(&[(1, Eq, *order)])).collect::<Result<_, _>>()?);
    if !shares {
        // futimens is this call without a name.
        refuse(
            libc::SYS_utimensat,
            vec![SeccompRule::new(vec![SeccompCondition::new(
                1,
                seccompiler::SeccompCmpArgLen::Qword,
                Ne,
                0,
            )?])?],
        );
    }
    Ok(calls)
}

/// Whether the kernel filters system calls.
pub fn available() -> bool {
    // SECCOMP_GET_ACTION_AVAIL (linux/seccomp.h)
    const ACTION_AVAILABLE: libc::c_uint = 2;
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the call reads the number that the pointer leads to, and changes nothing.
    let known = unsafe { libc::syscall(libc::SYS_seccomp, ACTION_AVAILABLE, 0, &raw const action) };
    known == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
}
