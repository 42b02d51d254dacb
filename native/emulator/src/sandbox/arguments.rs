//! seccomp: which system calls are refused for what they are told.

use std::collections::BTreeMap;

use sampan_config::ShareSecurity;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{self, Eq, Gt, MaskedEq, Ne};
use seccompiler::{BackendError, SeccompCondition, SeccompRule};

use super::{Access, Confinement};

/// A call is refused when one of its rules holds, and without any always.
pub type Calls = BTreeMap<i64, Vec<SeccompRule>>;

type Rules = Result<Vec<SeccompRule>, BackendError>;

/// The bits of a socket's type that are no flags (`SOCK_TYPE_MASK` of `linux/net.h`).
const SOCKET_TYPE: u64 = 0xF;
/// The bit of `O_TMPFILE` that is its own (`__O_TMPFILE` of `asm-generic/fcntl.h`).
const TEMPORARY: u32 = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;
const TIOCLINUX: u32 = 0x541C;
/// `asm-generic/sockios.h`
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;
/// `asm-generic/ioctls.h`
const FIOASYNC: u32 = 0x5452;
/// `asm-generic/fcntl.h`
const F_SETSIG: u32 = 10;
const F_SETOWN_EX: u32 = 15;
/// `linux/prctl.h`
const PR_SCHED_CORE: u32 = 62;
/// The longest attribute that QEMU keeps for a file: `user.virtfs.rdev`, a `uint64_t` (`local_set_xattrat` of `hw/9pfs/9p-local.c`). An access
/// control list has 28 bytes at least (`linux/posix_acl_xattr.h`).
const LONGEST_ATTRIBUTE: u64 = 8;

/// What is refused besides the calls that always are.
pub fn refused(confinement: &Confinement) -> Result<Calls, BackendError> {
    let me = std::process::id();
    let mut calls = Calls::new();
    let mut refuse = |call: i64, rules: Vec<SeccompRule>| drop(calls.insert(call, rules));

    // Threads, but no processes.
    refuse(libc::SYS_clone, vec![when(&[(0, MaskedEq(libc::CLONE_THREAD as u64), 0)])?]);
    refuse(libc::SYS_socket, if confinement.network { internet()? } else { Vec::new() });
    // One of a pair of datagram sockets could be connected elsewhere, and a raw one of this family is one of these (`unix_create`).
    let mut pairs = other_types(&[libc::SOCK_STREAM, libc::SOCK_SEQPACKET])?;
    pairs.push(when(&[(0, Ne, number(libc::AF_UNIX))])?);
    refuse(libc::SYS_socketpair, pairs);
    // Signals to itself.
    refuse(libc::SYS_kill, vec![when(&[(0, Ne, me)])?]);
    refuse(libc::SYS_tgkill, vec![when(&[(0, Ne, me)])?]);
    // And none by way of a file that is ready, or wanted by another program (a lease): Landlock stops these only from Linux 6.12 on.
    let owners =
        [number(libc::F_SETOWN), F_SETOWN_EX, F_SETSIG, number(libc::F_SETLEASE), number(libc::F_NOTIFY)];
    let mut controls = any(1, &owners)?;
    let asynchronous = number(libc::O_ASYNC);
    controls.push(when(&[(1, Eq, number(libc::F_SETFL)), (2, MaskedEq(asynchronous.into()), asynchronous)])?);
    refuse(libc::SYS_fcntl, controls);
    // The same by other orders; and words put into a terminal as if they were typed.
    refuse(libc::SYS_ioctl, any(1, &[FIOSETOWN, SIOCSPGRP, FIOASYNC, libc::TIOCSTI as u32, TIOCLINUX])?);
    refuse(libc::SYS_prlimit64, vec![when(&[(0, Ne, 0), (0, Ne, me)])?]);
    // It dies with its parent, and shares its cores as the others do.
    refuse(libc::SYS_prctl, any(0, &[number(libc::PR_SET_PDEATHSIG), PR_SCHED_CORE])?);
    calls.extend(modes()?);
    calls.extend(by_name(confinement)?);
    Ok(calls)
}

/// The internet, but not the machine's own services, its network's set-up, or packets with forged senders. ICMP's datagrams are echoes
/// (`ping`), which slirp makes for the guest.
fn internet() -> Rules {
    let mut rules = other_types(&[libc::SOCK_STREAM, libc::SOCK_DGRAM])?;
    rules.push(when(&[(0, Ne, number(libc::AF_INET)), (0, Ne, number(libc::AF_INET6))])?);
    let protocols = [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_ICMP, libc::IPPROTO_ICMPV6];
    rules.push(when(&protocols.map(|protocol| (2, Ne, number(protocol))))?);
    Ok(rules)
}

/// What no file may come to by being opened: a mode with which it runs as whoever made it; to be emptied by who may read it, which Landlock limits only
/// from Linux 6.2 on.
fn modes() -> Result<Calls, BackendError> {
    const BITS: [libc::mode_t; 2] = [libc::S_ISUID, libc::S_ISGID];
    let set = |mode: u8, making: Option<(u8, u32)>| -> Rules {
        let making = making.map(|(flags, bit)| (flags, MaskedEq(bit.into()), bit));
        let rule = |bit: u32| [Some((mode, MaskedEq(bit.into()), bit)), making.clone()];
        BITS.iter().map(|bit| when(&rule(*bit).into_iter().flatten().collect::<Vec<_>>())).collect()
    };
    let opened = |flags: u8, mode: u8| -> Rules {
        let truncated = number(libc::O_ACCMODE | libc::O_TRUNC);
        let emptied = when(&[(flags, MaskedEq(truncated.into()), number(libc::O_RDONLY | libc::O_TRUNC))])?;
        let made = set(mode, Some((flags, number(libc::O_CREAT))))?;
        let temporary = set(mode, Some((flags, TEMPORARY)))?;
        Ok([made, temporary, vec![emptied]].concat())
    };
    let mut calls = Calls::from([
        (libc::SYS_openat, opened(2, 3)?),
        (libc::SYS_mkdirat, set(2, None)?),
        (libc::SYS_mknodat, set(2, None)?),
        (libc::SYS_fchmodat, set(2, None)?),
    ]);
    #[cfg(target_arch = "x86_64")]
    calls.extend([
        (libc::SYS_open, opened(1, 2)?),
        (libc::SYS_creat, set(1, None)?),
        (libc::SYS_mkdir, set(1, None)?),
        (libc::SYS_mknod, set(1, None)?),
        (libc::SYS_chmod, set(1, None)?),
    ]);
    Ok(calls)
}

/// What changes a file by its name without opening it, which Landlock does not limit. QEMU's 9p server does some of it, by the share's model.
fn by_name(confinement: &Confinement) -> Result<Calls, BackendError> {
    let shared = |security| confinement.files.iter().any(|file| file.access() == Access::Share(security));
    let (plain, mapped) = (shared(ShareSecurity::None), shared(ShareSecurity::MappedXattr));
    let mut calls = Calls::new();
    if !plain {
        calls.insert(libc::SYS_fchmodat, Vec::new());
        #[cfg(target_arch = "x86_64")]
        calls.insert(libc::SYS_chmod, Vec::new());
    }
    let longer = SeccompCondition::new(3, Qword, Gt, LONGEST_ATTRIBUTE)?;
    let attributes = if mapped { vec![SeccompRule::new(vec![longer])?] } else { Vec::new() };
    calls.insert(libc::SYS_lsetxattr, attributes);
    if !(plain || mapped) {
        calls.extend([libc::SYS_lgetxattr, libc::SYS_llistxattr].map(|call| (call, Vec::new())));
        // futimens is this call without a name.
        let named = SeccompCondition::new(1, Qword, Ne, 0)?;
        calls.insert(libc::SYS_utimensat, vec![SeccompRule::new(vec![named])?]);
    }
    Ok(calls)
}

/// All conditions hold; each is of an argument, by its number, in 32 bits.
fn when(conditions: &[(u8, SeccompCmpOp, u32)]) -> Result<SeccompRule, BackendError> {
    let conditions = conditions
        .iter()
        .map(|(argument, op, value)| SeccompCondition::new(*argument, Dword, op.clone(), (*value).into()))
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}

/// The argument is one of these.
fn any(argument: u8, values: &[u32]) -> Rules {
    values.iter().map(|value| when(&[(argument, Eq, *value)])).collect()
}

/// A socket's type, without its flags, is none of these.
fn other_types(allowed: &[libc::c_int]) -> Rules {
    let allowed: Vec<u32> = allowed.iter().map(|kind| number(*kind)).collect();
    let others = (0..=SOCKET_TYPE as u32).filter(|kind| !allowed.contains(kind));
    others.map(|kind| when(&[(1, MaskedEq(SOCKET_TYPE), kind)])).collect()
}

fn number(constant: libc::c_int) -> u32 {
    constant.unsigned_abs()
}
