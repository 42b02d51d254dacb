//! Who has taken QEMU over tries to leave: a library in QEMU's place makes each attempt in the real helper and its real sandbox. The same attempts are made
//! by one that is not confined, where each must come to something else: so a row tells of its filter and of nothing else.
#![cfg(all(target_os = "linux", not(target_env = "ohos")))]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::double::{Argument, Call, World, call, variables};
use libc::{AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, O_TMPFILE, O_WRONLY};
use nix::errno::Errno::{self, EACCES, ENOSYS, EPERM, EXDEV};
use sampan_config::ShareSecurity;
use sampan_emulator::sandbox::report;
use sampan_emulator::{Access, Allowed, Confinement};

/// What it tries and how the kernel is to answer.
struct Row {
    what: &'static str,
    calls: Vec<Call>,
    answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    /// Here; outside it is another.
    Refused(Errno),
    /// Here too: the machine needs it.
    Done,
}

fn refused(what: &'static str, errno: Errno, calls: impl Into<Vec<Call>>) -> Row {
    Row { what, calls: calls.into(), answer: Answer::Refused(errno) }
}

fn done(what: &'static str, calls: impl Into<Vec<Call>>) -> Row {
    Row { what, calls: calls.into(), answer: Answer::Done }
}

/// What a machine is given: a disk to write, a file to read; of a shared folder, if it has one, all.
fn confinement(world: &World, share: Option<ShareSecurity>, network: bool) -> Confinement {
    let open = |path, access| Allowed::open(world.at(path), access).unwrap();
    let mut files = vec![open("own/readme", Access::Read), open("own/disk", Access::Write)];
    files.extend(share.map(|security| open("share", Access::Share(security))));
    Confinement { files, network }
}

/// In the sandbox each row is answered as it says, and outside otherwise.
fn tried(share: Option<ShareSecurity>, network: bool, rows: impl Fn(&World) -> Vec<Row>) {
    let here = report();
    assert!(here.landlock > 0 && here.seccomp, "this test needs Landlock and seccomp: {}", here.summary);
    if here.landlock < 6 {
        println!(
            "not seen here, as Landlock {} does not know it: scopes, a second barrier to signals",
            here.landlock
        );
    }
    let mut wrong = Vec::new();
    for inside in [true, false] {
        let world = World::new();
        let mut double = world.launch(inside.then(|| confinement(&world, share, network)));
        for Row { what, calls, answer } in rows(&world) {
            let said = double.tries(what, &calls);
            if !inside && (said, answer) == (Err(ENOSYS), Answer::Refused(ENOSYS)) {
                println!("not seen here, as the kernel does not know it: {what}");
                continue;
            }
            let as_told = match answer {
                Answer::Refused(errno) => (said == Err(errno)) == inside,
                Answer::Done => said.is_ok(),
            };
            if !as_told {
                wrong.push(format!(
                    "{} {what}: {said:?}, {answer:?}",
                    if inside { "inside" } else { "outside" }
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{share:?} {network}\n{}", wrong.join("\n"));
}

fn open(world: &World, path: &str, flags: libc::c_int, mode: u32) -> Call {
    call!(libc::SYS_openat, AT_FDCWD, &world.at(path), flags, mode)
}

/// In every machine.
fn always(world: &World) -> Vec<Row> {
    let at = |path: &str| world.at(path);
    let (victim, parent) = (world.victim(), std::process::id());
    let environment = |pid: u32| {
        call!(libc::SYS_openat, AT_FDCWD, &PathBuf::from(format!("/proc/{pid}/environ")), O_RDONLY, 0)
    };
    let mut rows = vec![
        done("its disk", [open(world, "own/disk", O_RDWR, 0)]),
        done(
            "its disk, as QEMU makes an image in it",
            [open(world, "own/disk", O_RDWR | O_CREAT | libc::O_TRUNC, 0o644)],
        ),
        done("what it may read", [open(world, "own/readme", O_RDONLY, 0)]),
        done(
            "a time by descriptor",
            [open(world, "own/disk", O_RDWR, 0), call!(libc::SYS_utimensat, Argument::Last, 0, 0, 0)],
        ),
        refused(
            "what everybody may read",
            EACCES,
            [call!(libc::SYS_openat, AT_FDCWD, c"/etc/passwd", O_RDONLY, 0)],
        ),
        refused("another's disk", EACCES, [open(world, "sibling/disk", O_RDWR, 0)]),
        refused("another's disk by ..", EACCES, [open(world, "own/../sibling/disk", O_RDONLY, 0)]),
        refused("writing what it may read", EACCES, [open(world, "own/readme", O_WRONLY, 0)]),
        refused("emptying what it may read", EPERM, [open(world, "own/readme", libc::O_TRUNC, 0)]),
        refused("a file beside its own", EACCES, [open(world, "own/new", O_WRONLY | O_CREAT, 0o600)]),
        refused("a nameless file beside its own", EACCES, [open(world, "own", O_WRONLY | O_TMPFILE, 0o600)]),
        refused("a list of names", EACCES, [open(world, "sibling", O_RDONLY | libc::O_DIRECTORY, 0)]),
        refused("another process's environment", EACCES, [environment(victim)]),
        refused("its parent's environment", EACCES, [environment(parent)]),
        refused(
            "another name",
            EACCES,
            [call!(libc::SYS_renameat2, AT_FDCWD, &at("own/renamed"), AT_FDCWD, &at("own/other"), 0)],
        ),
        refused(
            "a second name for another's disk",
            EACCES,
            [call!(libc::SYS_linkat, AT_FDCWD, &at("sibling/disk"), AT_FDCWD, &at("sibling/second"), 0)],
        ),
        refused(
            "a link",
            EACCES,
            [call!(libc::SYS_symlinkat, &at("sibling/disk"), AT_FDCWD, &at("own/link"))],
        ),
        refused("a folder", EACCES, [call!(libc::SYS_mkdirat, AT_FDCWD, &at("own/folder"), 0o700)]),
        refused(
            "a FIFO",
            EACCES,
            [call!(libc::SYS_mknodat, AT_FDCWD, &at("own/fifo"), libc::S_IFIFO | 0o600, 0)],
        ),
        refused("emptying by name", EPERM, [call!(libc::SYS_truncate, &at("sibling/disk"), 0)]),
        refused("deleting", EACCES, [call!(libc::SYS_unlinkat, AT_FDCWD, &at("own/deleted"), 0)]),
        refused(
            "watching a folder",
            EPERM,
            [
                call!(libc::SYS_inotify_init1, 0),
                call!(libc::SYS_inotify_add_watch, Argument::Last, &at("sibling"), libc::IN_CREATE),
            ],
        ),
    ];
    rows.extend(programs(victim, parent));
    rows.extend(signals(world, victim));
    rows.extend(turns(victim));
    rows.extend(set_ids(world));
    rows.extend(owners_and_attributes(world));
    rows.extend(never_sockets());
    rows
}

fn programs(victim: u32, parent: u32) -> Vec<Row> {
    let nowhere = c"/nonexistent";
    // struct iovec and the like: nothing is read of them.
    let zeros: &[u8] = &[0; 128];
    vec![
        refused("a program", EPERM, [call!(libc::SYS_execve, nowhere, 0, 0)]),
        refused("a program by descriptor", EPERM, [call!(libc::SYS_execveat, AT_FDCWD, nowhere, 0, 0, 0)]),
        // Of flags that do not go together, so that none comes of it outside.
        refused(
            "a process",
            EPERM,
            [call!(libc::SYS_clone, libc::CLONE_SIGHAND | libc::SIGCHLD, 0, 0, 0, 0)],
        ),
        refused("a process, the new way", ENOSYS, [call!(libc::SYS_clone3, 0, 0)]),
        refused("a namespace", EPERM, [call!(libc::SYS_setns, -1, 0)]),
        refused("watching a process", EPERM, [call!(libc::SYS_ptrace, 0x9999, victim, 0, 0)]),
        refused(
            "reading a process",
            EPERM,
            [call!(libc::SYS_process_vm_readv, victim, zeros, 0, zeros, 0, 0)],
        ),
        refused(
            "writing a process",
            EPERM,
            [call!(libc::SYS_process_vm_writev, victim, zeros, 0, zeros, 0, 0)],
        ),
        refused("moving a process's memory", EPERM, [call!(libc::SYS_move_pages, victim, 0, 0, 0, 0, 0)]),
        refused("moving a process elsewhere", EPERM, [call!(libc::SYS_migrate_pages, victim, 0, 0, 0)]),
        refused("a handle of a process", EPERM, [call!(libc::SYS_pidfd_open, parent, 0)]),
        refused("a descriptor of a process", EPERM, [call!(libc::SYS_pidfd_getfd, -1, 0, 0)]),
        refused("a ring for calls", ENOSYS, [call!(libc::SYS_io_uring_register, -1, 99, 0, 0)]),
        refused("memory by number", EPERM, [call!(libc::SYS_shmget, libc::IPC_PRIVATE, 4096, 0o600)]),
        refused("outliving its parent", EPERM, [call!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, 0)]),
    ]
}

fn signals(world: &World, victim: u32) -> Vec<Row> {
    let file = || open(world, "own/disk", O_RDONLY, 0);
    let socket = || call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0);
    let pid = victim.to_ne_bytes();
    // struct f_owner_ex { F_OWNER_PID, pid }
    let owner = [1_u32.to_ne_bytes(), pid].concat();
    // siginfo_t of SI_QUEUE
    let mut information = [0_u8; 128];
    information[8..12].copy_from_slice(&(-1_i32).to_ne_bytes());
    let information: &[u8] = &information;
    let to = |what, call, more: &dyn Fn(Argument) -> Vec<Argument>| {
        refused(what, EPERM, [socket(), Call::new(call, more(Argument::Last))])
    };
    let pid: &[u8] = &pid;
    let order = |order: i64| move |fd| vec![fd, order.into(), Argument::from(pid)];
    vec![
        done("a signal to itself", [call!(libc::SYS_getpid)]),
        refused("a signal to another", EPERM, [call!(libc::SYS_kill, victim, 0)]),
        refused("a signal to its parent", EPERM, [call!(libc::SYS_kill, std::process::id(), 0)]),
        refused("a signal to its group", EPERM, [call!(libc::SYS_kill, 0, 0)]),
        refused("a signal to a thread", EPERM, [call!(libc::SYS_tgkill, victim, victim, 0)]),
        refused("a signal to a thread, the old way", EPERM, [call!(libc::SYS_tkill, victim, 0)]),
        refused("a signal with a value", EPERM, [call!(libc::SYS_rt_sigqueueinfo, victim, 0, information)]),
        refused("a signal by handle", EPERM, [call!(libc::SYS_pidfd_send_signal, -1, 0, 0, 0)]),
        refused(
            "a file's owner",
            EPERM,
            [file(), call!(libc::SYS_fcntl, Argument::Last, libc::F_SETOWN, victim)],
        ),
        refused(
            "a file's owner, the new way",
            EPERM,
            [file(), call!(libc::SYS_fcntl, Argument::Last, 15, &owner[..])],
        ),
        refused(
            "a file's signal",
            EPERM,
            [file(), call!(libc::SYS_fcntl, Argument::Last, 10, libc::SIGUSR1)],
        ),
        refused(
            "a lease",
            EPERM,
            [
                open(world, "own/readme", O_RDONLY, 0),
                call!(libc::SYS_fcntl, Argument::Last, libc::F_SETLEASE, libc::F_RDLCK),
            ],
        ),
        refused(
            "a signal when a folder changes",
            EPERM,
            [file(), call!(libc::SYS_fcntl, Argument::Last, libc::F_NOTIFY, 4)],
        ),
        to("a signal when a socket is ready", libc::SYS_fcntl, &|fd| {
            vec![fd, libc::F_SETFL.into(), libc::O_ASYNC.into()]
        }),
        to("the same by an order", libc::SYS_ioctl, &order(0x5452)),
        to("a socket's owner", libc::SYS_ioctl, &order(0x8901)),
        to("a socket's group", libc::SYS_ioctl, &order(0x8902)),
    ]
}

/// Whose turn it is.
fn turns(victim: u32) -> Vec<Row> {
    let one = 1_u64.to_ne_bytes();
    // struct sched_param; struct sched_attr of SCHED_OTHER, whose size comes first.
    let parameters: &[u8] = &[0; 4];
    let mut attributes = [0_u8; 56];
    attributes[..4].copy_from_slice(&56_u32.to_ne_bytes());
    // The lowest priority: nobody may raise it again.
    attributes[16] = 19;
    let attributes: &[u8] = &attributes;
    vec![
        refused("another's priority", EPERM, [call!(libc::SYS_setpriority, libc::PRIO_PROCESS, victim, 1)]),
        refused("its own priority", EPERM, [call!(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, 1)]),
        refused("another's scheduler", EPERM, [call!(libc::SYS_sched_setscheduler, victim, 0, parameters)]),
        refused("another's parameters", EPERM, [call!(libc::SYS_sched_setparam, victim, parameters)]),
        refused("another's attributes", EPERM, [call!(libc::SYS_sched_setattr, 0, attributes, 0)]),
        refused("another's cores", EPERM, [call!(libc::SYS_sched_setaffinity, victim, 8, &one[..])]),
        refused("another's disk turns", EPERM, [call!(libc::SYS_ioprio_set, 1, victim, 2 << 13 | 7)]),
        refused(
            "another's limits",
            EPERM,
            [call!(libc::SYS_prlimit64, victim, libc::RLIMIT_CORE, 0, &[0_u8; 16][..])],
        ),
        done("its own limits", [call!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, 0, &[0_u8; 16][..])]),
        refused("a group", EPERM, [call!(libc::SYS_setpgid, 0, 0)]),
    ]
}

/// By each call that sets a mode.
fn set_ids(world: &World) -> Vec<Row> {
    const MODE: u32 = 0o4755;
    const GROUP: u32 = 0o2755;
    let at = |path: &str| world.at(path);
    let held = || open(world, "own/disk", O_RDWR, 0);
    // struct open_how { flags, mode, resolve }
    let how = |mode: u64| [(O_RDWR | O_CREAT) as u64, mode, 0].map(u64::to_ne_bytes).concat();
    let mut rows = vec![
        refused("a mode by descriptor", EPERM, [held(), call!(libc::SYS_fchmod, Argument::Last, 0o600)]),
        refused("fchmod", EPERM, [held(), call!(libc::SYS_fchmod, Argument::Last, MODE)]),
        refused("fchmod of the group", EPERM, [held(), call!(libc::SYS_fchmod, Argument::Last, GROUP)]),
        refused("fchmodat", EPERM, [call!(libc::SYS_fchmodat, AT_FDCWD, &at("own/disk"), MODE)]),
        refused("fchmodat2", EPERM, [call!(452, AT_FDCWD, &at("own/disk"), 0o600, 0)]),
        refused("openat", EPERM, [open(world, "share/openat", O_RDWR | O_CREAT, MODE)]),
        refused("openat of the group", EPERM, [open(world, "share/openat-group", O_RDWR | O_CREAT, GROUP)]),
        refused("openat without a name", EPERM, [open(world, "share", O_RDWR | O_TMPFILE, MODE)]),
        refused(
            "openat2",
            ENOSYS,
            [call!(libc::SYS_openat2, AT_FDCWD, &at("share/openat2"), &how(0o600)[..], 24)],
        ),
        refused("mkdirat", EPERM, [call!(libc::SYS_mkdirat, AT_FDCWD, &at("share/mkdirat"), GROUP)]),
        refused(
            "mknodat",
            EPERM,
            [call!(libc::SYS_mknodat, AT_FDCWD, &at("share/mknodat"), libc::S_IFREG | MODE, 0)],
        ),
    ];
    #[cfg(target_arch = "x86_64")]
    rows.extend([
        refused("chmod", EPERM, [call!(libc::SYS_chmod, &at("own/disk"), MODE)]),
        refused("open", EPERM, [call!(libc::SYS_open, &at("share/open"), O_RDWR | O_CREAT, MODE)]),
        refused("creat", EPERM, [call!(libc::SYS_creat, &at("share/creat"), GROUP)]),
        refused("mkdir", EPERM, [call!(libc::SYS_mkdir, &at("share/mkdir"), GROUP)]),
        refused("mknod", EPERM, [call!(libc::SYS_mknod, &at("share/mknod"), libc::S_IFREG | MODE, 0)]),
    ]);
    rows
}

/// An access control list that lets everybody read and write (`linux/posix_acl_xattr.h`): user, group, others.
fn everybody() -> Vec<u8> {
    let mut list = 2_u32.to_ne_bytes().to_vec();
    for tag in [0x01_u16, 0x04, 0x20] {
        list.extend(tag.to_ne_bytes());
        list.extend(6_u16.to_ne_bytes());
        list.extend(u32::MAX.to_ne_bytes());
    }
    list
}

fn owners_and_attributes(world: &World) -> Vec<Row> {
    let at = |path: &str| world.at(path);
    let held = || open(world, "own/readme", O_RDONLY, 0);
    let (name, value, keep) = (c"user.virtfs.uid", &[0_u8; 4][..], u32::MAX);
    let list = everybody();
    let mut rows = vec![
        refused("fchown", EPERM, [held(), call!(libc::SYS_fchown, Argument::Last, keep, keep)]),
        refused("fchownat", EPERM, [call!(libc::SYS_fchownat, AT_FDCWD, &at("own/disk"), keep, keep, 0)]),
        refused("setxattr", EPERM, [call!(libc::SYS_setxattr, &at("own/disk"), name, value, 4, 0)]),
        refused(
            "fsetxattr of what is open for reading",
            EPERM,
            [held(), call!(libc::SYS_fsetxattr, Argument::Last, name, value, 4, 0)],
        ),
        refused(
            "an access control list",
            EPERM,
            [call!(
                libc::SYS_lsetxattr,
                &at("sibling/disk"),
                c"system.posix_acl_access",
                &list[..],
                list.len(),
                0
            )],
        ),
        refused("setxattrat", EPERM, [call!(463, AT_FDCWD, &at("own/disk"), 0, name, value, 16)]),
        refused("removexattr", EPERM, [call!(libc::SYS_removexattr, &at("own/disk"), name)]),
        refused("lremovexattr", EPERM, [call!(libc::SYS_lremovexattr, &at("own/disk"), name)]),
        refused("fremovexattr", EPERM, [held(), call!(libc::SYS_fremovexattr, Argument::Last, name)]),
        refused("getxattr", EPERM, [call!(libc::SYS_getxattr, &at("sibling/disk"), name, value, 4)]),
        refused("listxattr", EPERM, [call!(libc::SYS_listxattr, &at("sibling/disk"), 0, 0)]),
    ];
    #[cfg(target_arch = "x86_64")]
    rows.extend([
        refused("chown", EPERM, [call!(libc::SYS_chown, &at("own/disk"), keep, keep)]),
        refused("lchown", EPERM, [call!(libc::SYS_lchown, &at("own/disk"), keep, keep)]),
        refused("utime", EPERM, [call!(libc::SYS_utime, &at("sibling/disk"), 0)]),
        refused("utimes", EPERM, [call!(libc::SYS_utimes, &at("sibling/disk"), 0)]),
        refused("futimesat", EPERM, [call!(libc::SYS_futimesat, AT_FDCWD, &at("sibling/disk"), 0)]),
    ]);
    rows
}

/// Neither with a network nor without.
fn never_sockets() -> Vec<Row> {
    let out: &[u8] = &[0; 8];
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let socket = |family: i32, kind: i32, protocol: i32| [call!(libc::SYS_socket, family, kind, protocol)];
    let pair = |kind: i32| [call!(libc::SYS_socketpair, libc::AF_UNIX, kind, 0, out)];
    vec![
        done("a pair of streams", pair(libc::SOCK_STREAM | flags)),
        done("a pair of packets", pair(libc::SOCK_SEQPACKET)),
        refused("a pair of datagrams", EPERM, pair(libc::SOCK_DGRAM | flags)),
        refused("a pair of datagrams by another name", EPERM, pair(libc::SOCK_RAW)),
        refused("the same with flags", EPERM, pair(libc::SOCK_RAW | flags)),
        refused("a local stream", EPERM, socket(libc::AF_UNIX, libc::SOCK_STREAM | flags, 0)),
        refused(
            "local datagrams, for names without files",
            EPERM,
            socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0),
        ),
        refused("the network's set-up", EPERM, socket(libc::AF_NETLINK, libc::SOCK_RAW, 0)),
        refused("the kernel's ciphers", EPERM, socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
        refused("other machines' hosts", EPERM, socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
        refused("packets of SCTP", EPERM, socket(libc::AF_INET, libc::SOCK_SEQPACKET, 132)),
        refused("streams of MPTCP", EPERM, socket(libc::AF_INET, libc::SOCK_STREAM, 262)),
    ]
}

fn with_network(world: &World) -> Vec<Row> {
    let mut rows = always(world);
    rows.extend([
        done("TCP", [call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0)]),
        done("UDP", [call!(libc::SYS_socket, libc::AF_INET6, libc::SOCK_DGRAM, 0)]),
        done("names of hosts", [call!(libc::SYS_openat, AT_FDCWD, c"/etc/hosts", O_RDONLY, 0)]),
    ]);
    rows
}

/// Without a shared folder nothing is changed or asked by name.
fn without_share(world: &World) -> Vec<Row> {
    let at = |path: &str| world.at(path);
    let (name, value) = (c"user.virtfs.uid", &[0_u8; 4][..]);
    vec![
        refused("a mode by name", EPERM, [call!(libc::SYS_fchmodat, AT_FDCWD, &at("own/disk"), 0o600)]),
        refused("a time by name", EPERM, [call!(libc::SYS_utimensat, AT_FDCWD, &at("sibling/disk"), 0, 0)]),
        refused("lsetxattr", EPERM, [call!(libc::SYS_lsetxattr, &at("own/disk"), name, value, 4, 0)]),
        refused("lgetxattr", EPERM, [call!(libc::SYS_lgetxattr, &at("sibling/disk"), name, value, 4)]),
        refused("llistxattr", EPERM, [call!(libc::SYS_llistxattr, &at("sibling/disk"), 0, 0)]),
    ]
}

/// What a guest does in its shared folder, and where that ends.
fn in_a_share(world: &World) -> Vec<Row> {
    let at = |path: &str| world.at(path);
    vec![
        done("a file", [open(world, "share/made", O_RDWR | O_CREAT, 0o666)]),
        done("a folder", [call!(libc::SYS_mkdirat, AT_FDCWD, &at("share/folder"), 0o700)]),
        done("a time", [call!(libc::SYS_utimensat, AT_FDCWD, &at("share/file"), 0, 0)]),
        done("a link", [call!(libc::SYS_symlinkat, &at("sibling/disk"), AT_FDCWD, &at("share/link"))]),
        refused("what a link leads to", EACCES, [open(world, "share/link", O_RDONLY, 0)]),
        refused(
            "a second name for another's disk",
            EXDEV,
            [call!(libc::SYS_linkat, AT_FDCWD, &at("sibling/disk"), AT_FDCWD, &at("share/second"), 0)],
        ),
        refused(
            "a device",
            EACCES,
            [call!(libc::SYS_mknodat, AT_FDCWD, &at("share/device"), libc::S_IFCHR | 0o600, 0x103)],
        ),
    ]
}

#[test]
fn a_machine_stays_inside() {
    tried(None, true, |world| with_network(world).into_iter().chain(without_share(world)).collect());
}

#[test]
fn a_machine_with_a_mapped_share_stays_inside() {
    tried(Some(ShareSecurity::MappedXattr), true, |world| {
        let (name, value) = (c"user.virtfs.uid", &[0_u8; 9][..]);
        let file = world.at("share/file");
        let mut rows = with_network(world);
        rows.extend(in_a_share(world));
        rows.extend([
            refused("a mode by name", EPERM, [call!(libc::SYS_fchmodat, AT_FDCWD, &file, 0o644)]),
            done(
                "an owner that is kept beside the file",
                [
                    call!(libc::SYS_lsetxattr, &file, name, value, 4, 0),
                    call!(libc::SYS_lgetxattr, &file, name, value, 4),
                ],
            ),
            refused("a long attribute", EPERM, [call!(libc::SYS_lsetxattr, &file, name, value, 9, 0)]),
        ]);
        rows
    });
}

#[test]
fn a_machine_with_a_plain_share_stays_inside() {
    tried(Some(ShareSecurity::None), true, |world| {
        let file = world.at("share/file");
        let mut rows = with_network(world);
        rows.extend(in_a_share(world));
        rows.extend([
            done("a mode by name", [call!(libc::SYS_fchmodat, AT_FDCWD, &file, 0o644)]),
            refused("a program of another's", EPERM, [call!(libc::SYS_fchmodat, AT_FDCWD, &file, 0o4755)]),
            refused(
                "an attribute",
                EPERM,
                [call!(libc::SYS_lsetxattr, &file, c"user.virtfs.uid", &[0_u8; 4][..], 4, 0)],
            ),
        ]);
        rows
    });
}

#[test]
fn a_process_for_images_has_no_sockets() {
    tried(None, false, |world| {
        let mut rows = never_sockets();
        rows.extend(without_share(world));
        rows.extend([
            done("its disk", [open(world, "own/disk", O_RDWR | O_CREAT, 0o644)]),
            refused("TCP", EPERM, [call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0)]),
            refused("UDP", EPERM, [call!(libc::SYS_socket, libc::AF_INET6, libc::SOCK_DGRAM, 0)]),
            refused(
                "names of hosts",
                EACCES,
                [call!(libc::SYS_openat, AT_FDCWD, c"/etc/hosts", O_RDONLY, 0)],
            ),
        ]);
        rows
    });
}

#[test]
fn what_it_makes_is_its_users_alone() {
    let world = World::new();
    let mut double = world.launch(Some(confinement(&world, Some(ShareSecurity::None), false)));
    double.does(&open(&world, "share/made", O_RDWR | O_CREAT, 0o666)).unwrap();
    double.does(&call!(libc::SYS_mkdirat, AT_FDCWD, &world.at("share/folder"), 0o777)).unwrap();
    let mode = |path: &str| fs::metadata(world.at(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("share/made"), mode("share/folder")), (0o600, 0o700));
}

#[test]
fn it_does_not_know_its_parents_environment() {
    let world = World::new();
    let mut double = world.launch(None);
    double.does(&call!(libc::SYS_getpid)).unwrap();
    let ours = variables(std::process::id());
    assert!(ours.iter().any(|name| name == "PATH" || name.starts_with("CARGO")), "{ours:?}");
    let kept = [
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LLVM_PROFILE_FILE",
        "RUST_BACKTRACE",
        "TMPDIR",
        "TZ",
        "TZDIR",
    ];
    let theirs = variables(double.pid());
    let more: Vec<_> =
        theirs.iter().filter(|name| !kept.contains(&name.as_str()) && !name.starts_with("LC_")).collect();
    assert!(more.is_empty(), "{more:?}");
}
