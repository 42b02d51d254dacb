//! What a process that is locked in tries, each time in vain.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket, socketpair};
use sampan_config::ShareSecurity;
use sampan_emulator::sandbox::lock_in;
use sampan_emulator::{Access, Allowed, Confinement};

fn refused<T>(what: &str, tried: Result<T, impl Into<io::Error>>) {
    let error = tried.map(drop).map_err(Into::into).expect_err(what);
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}: {error}");
}

/// Locks this process in, with the VM's folder `own` in `folder` and perhaps a shared one, and panics when it gets out.
pub fn lock_in_and_try(folder: &Path, shares: bool) {
    let at = |path: &str| folder.join(path);
    let open = |path: &str, access| Allowed::open(at(path), access).unwrap();
    let parent = nix::unistd::getppid();
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut allowed = vec![open("own/readme", Access::Read), open("own/disk", Access::Write)];
    if shares {
        allowed.push(open("share", Access::Share(ShareSecurity::MappedXattr)));
    }
    let locked = lock_in(&at("own"), &Confinement { files: allowed, network: true }).unwrap();
    assert_eq!(locked.missing, Vec::<String>::new());

    // What is its own.
    assert_eq!(fs::read_to_string(at("own/readme")).unwrap(), "for reading");
    OpenOptions::new().read(true).write(true).open(at("own/disk")).unwrap().write_all(b"x").unwrap();
    TcpStream::connect(outside.local_addr().unwrap()).unwrap();
    TcpListener::bind("127.0.0.1:0").unwrap();
    UnixStream::pair().unwrap();
    thread::spawn(|| ()).join().unwrap();
    File::open("/dev/urandom").unwrap();
    nix::sys::signal::kill(nix::unistd::getpid(), None).unwrap();

    // Files.
    refused("reading what is everyone's", File::open("/etc/passwd"));
    refused("reading a sibling's disk", File::open(at("sibling/disk")));
    refused("writing a sibling's disk", OpenOptions::new().write(true).open(at("sibling/disk")));
    refused("truncating a sibling's disk", nix::unistd::truncate(&at("sibling/disk"), 0));
    refused("deleting a sibling's disk", fs::remove_file(at("sibling/disk")));
    refused("taking a sibling's disk", fs::rename(at("sibling/disk"), at("own/taken")));
    refused("by a link", std::os::unix::fs::symlink(at("sibling/disk"), at("own/link")));
    refused("by ..", File::open(at("own/../sibling/disk")));
    refused("making a file", File::create(at("own/new")));
    refused("writing what is for reading", OpenOptions::new().write(true).open(at("own/readme")));
    refused("listing a folder", fs::read_dir(at("sibling")));
    refused("another process's memory", File::open(format!("/proc/{parent}/mem")));
    refused("its own memory", OpenOptions::new().write(true).open("/proc/self/mem"));
    refused("the terminal", File::open("/dev/tty"));
    if shares {
        File::create(at("share/new")).unwrap();
        fs::remove_file(at("share/new")).unwrap();
    } else {
        for file in ["own/disk", "sibling/disk"] {
            refused("permissions by name", fs::set_permissions(at(file), Permissions::from_mode(0o777)));
            let name = std::ffi::CString::new(at(file).into_os_string().into_encoded_bytes()).unwrap();
            // SAFETY: the name ends with a NUL and lives. 452 is fchmodat2, which some C libraries do not know yet.
            let changed = unsafe { libc::syscall(452, libc::AT_FDCWD, name.as_ptr(), 0o777, 0) };
            refused("permissions by name, the new way", Errno::result(changed));
            refused("owner by name", nix::unistd::chown(&at(file), None, None));
        }
        refused(
            "permissions by descriptor",
            File::open(at("own/disk")).unwrap().set_permissions(Permissions::from_mode(0o600)),
        );
        File::options()
            .write(true)
            .open(at("own/disk"))
            .unwrap()
            .set_modified(std::time::SystemTime::now())
            .unwrap();
    }

    // Programs and processes.
    let program = c"/bin/true".to_owned();
    refused("becoming a program", nix::unistd::execv(&program, &[&program]));
    refused("starting a program", Command::new("/bin/true").spawn());
    // SAFETY: the filter refuses it; were it to succeed, the new process would end at once.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        // SAFETY: no pointers.
        unsafe { libc::_exit(1) };
    }
    refused("forking", Errno::result(forked));
    // SAFETY: no pointers are followed, and the call is refused.
    let watched = unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_ATTACH, parent.as_raw(), 0, 0) };
    refused("watching another process", Errno::result(watched));
    refused("signalling another process", nix::sys::signal::kill(parent, None));
    refused("outliving the parent", nix::sys::prctl::set_pdeathsig(None));
    // SAFETY: no pointers.
    refused("a namespace", Errno::result(unsafe { libc::unshare(libc::CLONE_NEWUSER) }));
    // SAFETY: the pointers are null, and the call is refused before they are looked at.
    let bpf = unsafe { libc::syscall(libc::SYS_bpf, 0, std::ptr::null::<u8>(), 0) };
    refused("a program for the kernel", Errno::result(bpf));
    // SAFETY: as above.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<u8>()) };
    assert_eq!(Errno::result(ring), Err(Errno::ENOSYS), "the ring would go round the filter");
    // SAFETY: no pointers, and the call is refused.
    let shared = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, 0o600) };
    refused("memory shared by number", Errno::result(shared));
    // SAFETY: the strings end with a NUL and live; the other pointers may be null.
    let mounted = unsafe {
        libc::mount(c"/".as_ptr(), c"/tmp".as_ptr(), std::ptr::null(), libc::MS_BIND, std::ptr::null())
    };
    refused("a mount", Errno::result(mounted));

    // Sockets.
    refused("a local service", UnixStream::connect(at("service")));
    let flags = SockFlag::empty();
    for (family, kind) in [
        (AddressFamily::Unix, SockType::Stream),
        (AddressFamily::Unix, SockType::Datagram),
        (AddressFamily::Netlink, SockType::Raw),
        (AddressFamily::Packet, SockType::Raw),
        (AddressFamily::Inet, SockType::Raw),
        (AddressFamily::Vsock, SockType::Stream),
    ] {
        refused(&format!("a socket {family:?} {kind:?}"), socket(family, kind, flags, None));
    }
    let pair = socketpair(AddressFamily::Unix, SockType::Datagram, None::<SockProtocol>, flags);
    refused("a socket that could be connected elsewhere", pair);

    // A thread is as locked in as the one that made it.
    thread::spawn(move || refused("by a thread", File::open("/etc/passwd"))).join().unwrap();
}
