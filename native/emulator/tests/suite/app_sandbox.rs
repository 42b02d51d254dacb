//! What a guest does in the sandbox of a HarmonyOS app, made of this kernel: calls that end the process, no programs, no
//! symbolic links, `/tmp` for reading alone, no home. glibc makes such calls by itself, so this is for musl's programs.
#![cfg(target_env = "ohos")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::common::{Vm, in_process, start, tiny_guest};
use crate::refusal::filter;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use sampan_emulator::{Arch, Exit, LaunchSpec};

/// Calls that a kernel of HarmonyOS answers with SIGSYS.
const DEADLY: [libc::c_long; 5] =
    [libc::SYS_close_range, libc::SYS_get_mempolicy, libc::SYS_mbind, libc::SYS_rseq, libc::SYS_clone3];

/// Calls that it refuses.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_symlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
];

/// Where a package's own files would be; writable even if the checkout lies in /tmp.
const PACKAGE: &str = env!("CARGO_TARGET_TMPDIR");

#[test]
fn a_guest_boots_takes_a_snapshot_shares_a_folder_and_shuts_down() {
    let folder = tempfile::tempdir_in(PACKAGE).unwrap();
    let (guest, libqemu) = (tiny_guest(Arch::X86_64), crate::common::libqemu());
    // SAFETY: no other thread of this process reads its environment meanwhile.
    unsafe {
        env::set_var("SAMPAN_QEMU_DIR", libqemu.path());
        for name in ["HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "TMPDIR"] {
            env::remove_var(name);
        }
    }
    enter_sandbox();

    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("to-guest"), "a question").unwrap();
    let (port, theirs) = UnixStream::pair().unwrap();
    let mut spec = spec(folder.path(), &shared, &guest);
    spec.extra_fds.push(("guest".into(), theirs.into()));
    make_disk(&folder.path().join("disk"));

    let mut vm = start(&in_process(), spec);
    vm.serial_until("sampan-guest ready");
    take_snapshot(&mut vm, folder.path());
    let mut guest = Guest::new(port);
    guest.ask(r#"{"cmd":"share","tag":"home"}"#, r#""done":"share""#);
    assert_eq!(fs::read(shared.join("from-guest")).unwrap(), b"a question");
    guest.ask(r#"{"cmd":"poweroff"}"#, r#""done":"poweroff""#);
    assert_eq!(vm.wait(), Exit::Clean);
}

/// For this thread and all that it starts, for ever; and it is tried.
fn enter_sandbox() {
    read_only("/tmp");
    assert_eq!(fs::write("/tmp/sampan", "").unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    for call in DEADLY {
        filter(call, 0, None, libc::SECCOMP_RET_TRAP);
    }
    for call in REFUSED {
        filter(*call, 0, None, libc::SECCOMP_RET_ERRNO | libc::EACCES as u32);
    }
    let link = std::os::unix::fs::symlink("/", Path::new(PACKAGE).join("link"));
    assert_eq!(link.unwrap_err().kind(), ErrorKind::PermissionDenied);
    for call in DEADLY {
        // SAFETY: the child makes one call, which ends it; were it to survive, it would end at once.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => unsafe {
                libc::syscall(call, 0, 0, 0, 0, 0, 0);
                libc::_exit(0);
            },
            ForkResult::Parent { child } => {
                let end = waitpid(child, None).unwrap();
                assert!(matches!(end, WaitStatus::Signaled(_, Signal::SIGSYS, _)), "call {call}: {end:?}");
            }
        }
    }
}

/// For this thread and all that it starts.
fn read_only(folder: &str) {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)
        .or_else(|_| unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS))
        .expect("root, or a kernel that lets everybody have namespaces");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some(folder), folder, none, MsFlags::MS_BIND, none).unwrap();
    mount(Some(PACKAGE), PACKAGE, none, MsFlags::MS_BIND, none).unwrap();
    mount(none, folder, none, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, none).unwrap();
}

fn spec(folder: &Path, shared: &Path, guest: &Path) -> LaunchSpec {
    let mut spec = LaunchSpec::new("app", Arch::X86_64);
    let at = |name: &str| folder.join(name).display().to_string();
    spec.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "tcg,thread=multi"]);
    spec.args(["-m", "192", "-smp", "2", "-display", "none", "-serial", "chardev:serial"]);
    spec.args(["-device", "virtio-vga", "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"]);
    spec.args(["-blockdev".to_owned(), format!("driver=file,node-name=disk,filename={}", at("disk"))]);
    spec.args(["-device", "virtio-blk-pci,drive=disk"]);
    spec.args(["-fsdev".to_owned(), format!("local,id=home,path={},security_model=none", shared.display())]);
    spec.args(["-device", "virtio-9p-pci,fsdev=home,mount_tag=home", "-device", "virtio-serial-pci"]);
    spec.args(["-device", "virtserialport,chardev=guest,name=sampan.guest"]);
    spec.args(["-append", "console=ttyS0 quiet no_timer_check"]);
    spec.args(["-kernel".into(), guest.join("kernel"), "-initrd".into(), guest.join("initrd")]);
    spec
}

fn make_disk(path: &Path) {
    fs::File::create(path).unwrap().set_len(64 << 20).unwrap();
}

/// As the product does it: from here on the disk is written to an overlay, and the memory is in a file.
fn take_snapshot(vm: &mut Vm, folder: &Path) {
    let (overlay, state) = (folder.join("overlay"), folder.join("state"));
    fs::write(&overlay, "").unwrap();
    execute(vm, "stop", "{}");
    let node = format!(r#""driver":"file","node-name":"overlay-file","filename":"{}""#, overlay.display());
    execute(vm, "blockdev-add", &format!("{{{node}}}"));
    let image = r#"{"job-id":"make","options":{"driver":"qcow2","file":"overlay-file","size":67108864}}"#;
    execute(vm, "blockdev-create", image);
    until(vm, "query-jobs", "concluded");
    execute(vm, "job-dismiss", r#"{"id":"make"}"#);
    let image = r#"{"driver":"qcow2","node-name":"overlay","file":"overlay-file","backing":null}"#;
    execute(vm, "blockdev-add", image);
    execute(vm, "blockdev-snapshot", r#"{"node":"disk","overlay":"overlay"}"#);
    execute(vm, "migrate", &format!(r#"{{"uri":"file:{}"}}"#, state.display()));
    until(vm, "query-migrate", "completed");
    execute(vm, "cont", "{}");
    assert!(fs::metadata(&overlay).unwrap().len() > 0);
    assert!(fs::metadata(&state).unwrap().len() > 1 << 20, "the guest's memory is in it");
}

fn execute(vm: &mut Vm, command: &str, arguments: &str) -> String {
    let answer = vm.execute(&format!(r#"{{"execute":"{command}","arguments":{arguments}}}"#));
    assert!(answer.contains("\"return\""), "{command}: {answer}");
    answer
}

fn until(vm: &mut Vm, command: &str, word: &str) {
    loop {
        let answer = execute(vm, command, "{}");
        assert!(!answer.contains("failed") && !answer.contains("\"error\""), "{answer}");
        if answer.contains(word) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The guest's own port.
struct Guest {
    port: BufReader<UnixStream>,
}

impl Guest {
    fn new(port: UnixStream) -> Self {
        port.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
        Self { port: BufReader::new(port) }
    }

    /// Sends a command and waits for the line that holds `answer`.
    fn ask(&mut self, command: &str, answer: &str) {
        self.port.get_mut().write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut line = String::new();
        while !line.contains(answer) {
            line.clear();
            assert_ne!(self.port.read_line(&mut line).unwrap(), 0, "the guest hung up");
            assert!(!line.contains("\"error\""), "{line}");
        }
    }
}
