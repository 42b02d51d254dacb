//! What is locked in cannot leave: by hand from a locked process, and by QEMU itself, told over QMP to try.
#![cfg(all(target_os = "linux", not(target_env = "ohos")))]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use crate::common::{child, machine, start, tiny_guest, try_start};
use crate::example::example;
use nix::errno::Errno;
use sampan_config::ShareSecurity;
use sampan_emulator::sandbox::report;
use sampan_emulator::{Access, Allowed, Confinement, Exit};

/// The world of the tests: a folder of one VM, and beside it what is not that VM's.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["own", "sibling", "share"] {
            fs::create_dir(world.at(folder)).unwrap();
        }
        for disk in ["own/disk", "sibling/disk"] {
            File::create(world.at(disk)).unwrap().set_len(1 << 20).unwrap();
        }
        fs::write(world.at("own/readme"), "for reading").unwrap();
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }
}

fn read(path: impl Into<PathBuf>) -> Allowed {
    Allowed::open(path, Access::Read).unwrap()
}

fn write(path: impl Into<PathBuf>) -> Allowed {
    Allowed::open(path, Access::Write).unwrap()
}

fn confined(files: Vec<Allowed>) -> Option<Confinement> {
    Some(Confinement { files, network: true })
}

fn leaves_nothing(shares: bool) {
    let world = World::new();
    let service = UnixListener::bind(world.at("service")).unwrap();
    let mut program = Command::new(example("locked_in"));
    let done =
        program.arg(world.folder.path()).arg(if shares { "shares" } else { "alone" }).output().unwrap();
    let words = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && words.contains("stayed inside"),
        "{:?}\n{words}\n{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(fs::metadata(world.at("sibling/disk")).unwrap().len(), 1 << 20);
    service.set_nonblocking(true).unwrap();
    assert_eq!(service.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody came");
}

#[test]
fn a_locked_process_cannot_leave() {
    let here = report();
    assert!(here.landlock > 0 && here.seccomp, "this test needs Landlock and seccomp: {}", here.summary);
    leaves_nothing(false);
}

#[test]
fn a_locked_process_with_a_shared_folder_cannot_leave() {
    leaves_nothing(true);
}

/// Between the check of a file and the start of the VM another one takes its name.
#[test]
fn what_was_opened_is_allowed_and_not_its_name() {
    let world = World::new();
    let disk = write(world.at("own/disk"));
    fs::rename(world.at("own/disk"), world.at("own/checked")).unwrap();
    std::os::unix::fs::symlink(world.at("sibling/disk"), world.at("own/disk")).unwrap();
    let drive = |file: &str| {
        let mut spec = machine("swapped");
        spec.args(["-accel", "tcg", "-drive"]);
        spec.args([format!("if=virtio,format=raw,file={}", world.at(file).display())]);
        spec.confinement = confined(vec![disk.clone(), disk.clone()]);
        spec
    };
    let exit = try_start(&child(), drive("own/disk")).unwrap().wait();
    assert!(matches!(&exit, Exit::Failed { message, .. } if message.contains("denied")), "{exit}");
    let mut vm = start(&child(), drive("own/checked"));
    // What the rules were made of is not QEMU's.
    let fds = fs::read_dir(format!("/proc/{}/fdinfo", vm.running.control.pid().unwrap())).unwrap().flatten();
    let flags = fds.filter_map(|fd| fs::read_to_string(fd.path()).ok()).filter_map(|info| {
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim().to_owned();
        i32::from_str_radix(&flags, 8).ok()
    });
    assert_eq!(flags.filter(|flags| flags & libc::O_PATH != 0).count(), 0);
    assert!(vm.execute(r#"{"execute":"query-status"}"#).contains("running"));
    assert_eq!(vm.quit(), Exit::Clean);
}

/// Images are made by whoever starts QEMU, which fills them: it needs no folder for that, and no network.
#[test]
fn a_process_for_images_has_its_files_and_no_network() {
    let world = World::new();
    for name in ["own/new.raw", "own/new.qcow2"] {
        File::create(world.at(name)).unwrap();
    }
    let mut spec = sampan_emulator::LaunchSpec::new("images", sampan_emulator::Arch::X86_64);
    spec.args(["-nodefaults", "-no-user-config", "-machine", "none", "-display", "none"]);
    let files =
        vec![read(world.at("own/disk")), write(world.at("own/new.raw")), write(world.at("own/new.qcow2"))];
    spec.confinement = Some(Confinement { files, network: false });
    let mut vm = start(&child(), spec);
    let mut tell = |command: serde_json::Value| vm.execute(&command.to_string());
    let name = |file: &str| world.at(file).display().to_string();
    let create = |id: &str, options: serde_json::Value| serde_json::json!({ "execute": "blockdev-create", "arguments": { "job-id": id, "options": options } });
    let add = |node: &str, file: &str, read_only: bool| {
        serde_json::json!({ "execute": "blockdev-add", "arguments":
            { "driver": "file", "node-name": node, "filename": name(file), "read-only": read_only } })
    };
    let settled = |tell: &mut dyn FnMut(serde_json::Value) -> String, id: &str| {
        let deadline = std::time::Instant::now() + crate::common::PATIENCE;
        loop {
            let jobs: serde_json::Value =
                serde_json::from_str(&tell(serde_json::json!({ "execute": "query-jobs" }))).unwrap();
            let job = jobs["return"].as_array().unwrap().iter().find(|job| job["id"] == id).unwrap().clone();
            if job["status"] == "concluded" {
                return job["error"].as_str().map(str::to_owned);
            }
            assert!(std::time::Instant::now() < deadline, "{job}");
            thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    for (id, file, preallocation) in [("a", "own/new.raw", "falloc"), ("b", "own/new.qcow2", "off")] {
        let options = serde_json::json!(
            { "driver": "file", "filename": name(file), "size": 1 << 20, "preallocation": preallocation });
        tell(create(id, options));
        assert_eq!(settled(&mut tell, id), None);
    }
    assert!(tell(add("plain", "own/new.qcow2", false)).contains("return"));
    tell(create("c", serde_json::json!({ "driver": "qcow2", "file": "plain", "size": 8 << 20 })));
    assert_eq!(settled(&mut tell, "c"), None);
    assert!(fs::read(world.at("own/new.qcow2")).unwrap().starts_with(b"QFI"));
    assert!(tell(add("source", "own/disk", true)).contains("return"));
    // A file that was not made for it is not made by it.
    tell(create("d", serde_json::json!({ "driver": "file", "filename": name("own/other"), "size": 512 })));
    assert!(settled(&mut tell, "d").is_some_and(|error| error.contains("denied")));
    assert!(tell(add("write", "own/disk", false)).contains("denied"));
    let answer = tell(serde_json::json!({ "execute": "nbd-server-start", "arguments": { "addr":
        { "type": "inet", "data": { "host": "127.0.0.1", "port": "0" } } } }));
    assert!(answer.contains("ermitted"), "{answer}");
    assert_eq!(vm.quit(), Exit::Clean);
}

/// Status of each of a process's threads, as `Seccomp:` and `NoNewPrivs:` lines.
fn threads(pid: u32, line: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .filter_map(|status| status.lines().find_map(|l| l.strip_prefix(line)).map(|l| l.trim().to_owned()))
        .collect()
}

#[test]
fn a_vm_told_to_leave_stays_and_runs_on() {
    let world = World::new();
    let service = UnixListener::bind(world.at("service")).unwrap();
    let mut spec = machine("locked");
    spec.args(["-accel", "tcg,thread=multi", "-drive"]);
    spec.args([format!("if=virtio,format=raw,file={}", world.at("own/disk").display())]);
    spec.confinement = confined(vec![write(world.at("own"))]);
    let mut vm = start(&child(), spec);
    let pid = vm.running.control.pid().unwrap();
    for line in ["NoNewPrivs:", "Seccomp:"] {
        let wanted = if line == "Seccomp:" { "2" } else { "1" };
        let found = threads(pid, line);
        assert!(found.len() > 2 && found.iter().all(|value| value == wanted), "{line} {found:?}");
    }

    let mut tell = |command: String| vm.execute(&command);
    let add = |name: &str, file: PathBuf| {
        format!(
            r#"{{"execute":"blockdev-add","arguments":{{"driver":"file","node-name":"{name}","filename":"{}"}}}}"#,
            file.display()
        )
    };
    let denied =
        |answer: String| assert!(answer.contains("ermitted") || answer.contains("denied"), "{answer}");
    denied(tell(add("a", world.at("sibling/disk"))));
    denied(tell(add("b", "/etc/passwd".into())));
    let shot = world.at("sibling/shot");
    denied(tell(format!(
        r#"{{"execute":"pmemsave","arguments":{{"val":0,"size":16,"filename":"{}"}}}}"#,
        shot.display()
    )));
    let path = world.at("service");
    denied(tell(format!(
        r#"{{"execute":"chardev-add","arguments":{{"id":"out","backend":{{"type":"socket","data":{{"server":false,"addr":{{"type":"unix","data":{{"path":"{}"}}}}}}}}}}}}"#,
        path.display()
    )));
    let started = world.at("own/started");
    let exec = format!("exec:echo >{}", started.display());
    let answer = tell(format!(r#"{{"execute":"migrate","arguments":{{"uri":"{exec}"}}}}"#));
    assert!(answer.contains("error") && !started.exists(), "{answer}");
    service.set_nonblocking(true).unwrap();
    assert!(service.accept().is_err(), "somebody came");

    // Its own folder is its own.
    fs::write(world.at("own/second"), [0; 512]).unwrap();
    let answer = tell(add("c", world.at("own/second")));
    assert!(answer.contains("return"), "{answer}");
    let saved = world.at("own/saved");
    let answer = tell(format!(
        r#"{{"execute":"pmemsave","arguments":{{"val":0,"size":16,"filename":"{}"}}}}"#,
        saved.display()
    ));
    assert!(answer.contains("return") && saved.exists(), "{answer}");
    assert!(tell(r#"{"execute":"query-status"}"#.into()).contains("running"));
    assert_eq!(vm.quit(), Exit::Clean);
}

#[test]
fn a_file_that_was_not_allowed_is_told_in_qemus_words() {
    let world = World::new();
    let mut spec = machine("refused");
    spec.args(["-accel", "tcg", "-drive"]);
    spec.args([format!("if=virtio,format=raw,file={}", world.at("sibling/disk").display())]);
    spec.confinement = confined(vec![write(world.at("own"))]);
    let exit = try_start(&child(), spec).unwrap().wait();
    let Exit::Failed { status: 1, message } = &exit else { panic!("{exit}") };
    assert!(message.contains("sibling/disk") && message.contains("denied"), "{message}");
}

#[test]
fn a_guest_with_disk_network_and_screen_boots_and_writes_a_mapped_share_inside() {
    let world = World::new();
    boots_inside(&world, ShareSecurity::MappedXattr);
    // Whatever the guest asked for, on the host it is a plain file of its user's alone; its owner and mode are beside it.
    let file = world.at("share/from-guest");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let name = std::ffi::CString::new(file.into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: the texts end with a NUL and live; no value is written, as there is room for none.
    let length =
        unsafe { libc::getxattr(name.as_ptr(), c"user.virtfs.mode".as_ptr(), std::ptr::null_mut(), 0) };
    assert_eq!(Errno::result(length), Ok(4));
}

#[test]
fn a_guest_writes_a_plain_share_inside() {
    let world = World::new();
    boots_inside(&world, ShareSecurity::None);
    let mode = fs::metadata(world.at("share/from-guest")).unwrap().permissions().mode();
    assert_eq!(mode & 0o6000, 0);
}

/// Boots, has the guest copy a file within a shared folder, and quits.
fn boots_inside(world: &World, security: ShareSecurity) {
    fs::write(world.at("share/to-guest"), "a question").unwrap();
    let guest = tiny_guest(sampan_emulator::Arch::X86_64);
    // Taken, so that QEMU listens on one that is free.
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    let mut spec = sampan_emulator::LaunchSpec::new("inside", sampan_emulator::Arch::X86_64);
    spec.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-m", "512", "-smp", "2"]);
    spec.args([
        "-accel",
        "tcg,thread=multi",
        "-display",
        "none",
        "-serial",
        "chardev:serial",
        "-vga",
        "none",
    ]);
    spec.args(["-rtc", "base=localtime", "-device", "virtio-vga", "-device", "virtio-rng-pci"]);
    spec.args(["-object", "memory-backend-memfd,id=memory,size=512M", "-machine", "memory-backend=memory"]);
    spec.args(["-kernel".into(), guest.join("kernel"), "-initrd".into(), guest.join("initrd")]);
    spec.args(["-append", "console=ttyS0 quiet no_timer_check", "-vnc", "127.0.0.1:0,to=99", "-nic"]);
    spec.args([format!("user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22")]);
    spec.args(["-drive".to_owned(), format!("if=virtio,format=raw,file={}", world.at("own/disk").display())]);
    spec.args(["-virtfs".to_owned()]);
    spec.args([format!(
        "local,path={},mount_tag=share,security_model={}",
        world.at("share").display(),
        security.qemu_name()
    )]);
    spec.args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=guest,name=sampan.guest"]);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    spec.extra_fds.push(("guest".into(), theirs.into()));
    let share = Allowed::open(world.at("share"), Access::Share(security)).unwrap();
    spec.confinement = confined(vec![read(guest), write(world.at("own/disk")), share]);
    let vm = start(&child(), spec);
    vm.serial_until("sampan-guest ready");
    // slirp takes the connection before the guest is asked.
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    ours.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    writeln!(ours, r#"{{"cmd":"share","tag":"share"}}"#).unwrap();
    let told = BufReader::new(ours).lines().map(Result::unwrap);
    let told = told.inspect(|line| assert!(!line.contains("\"error\""), "{line}"));
    assert!(told.into_iter().any(|line| line.contains(r#""done":"share""#)));
    assert_eq!(fs::read(world.at("share/from-guest")).unwrap(), b"a question");
    assert_eq!(vm.quit(), Exit::Clean);
}
