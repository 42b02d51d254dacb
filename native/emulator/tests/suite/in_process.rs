//! VMs inside this test's own process, with a real libqemu.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::common::{Keys, exiting_on_a_cpu, in_process, libqemu, spec, start, try_start};
use sampan_emulator::{Arch, Engine, Exit, FixedCopies, FreshCopies, InProcess, LaunchError, Launcher};

#[test]
fn a_vm_starts_answers_and_quits() {
    let mut vm = start(&in_process(), spec("one"));
    assert!(vm.execute(r#"{"execute":"query-status"}"#).contains("running"));
    assert_eq!(vm.running.control.pid(), None);
    assert!(vm.running.control.kill().is_err());
    assert_eq!(vm.quit(), Exit::Clean);
}

#[test]
fn a_wrong_option_is_told_in_qemus_words_and_the_process_lives() {
    let mut wrong = spec("wrong");
    wrong.args(["-device", "no-such-device"]);
    let mut vm = try_start(&in_process(), wrong).unwrap();
    let exit = vm.exit.recv_timeout(crate::common::PATIENCE).unwrap();
    let Exit::Failed { status: 1, message } = &exit else { panic!("{exit}") };
    assert!(message.contains("'no-such-device' is not a valid device model name"), "{message}");
    // Whoever waits for QMP is not left waiting, and the log has the same words.
    vm.read_qmp_to_end();
    let mut log = String::new();
    vm.running.log.read_to_string(&mut log).unwrap();
    assert!(log.contains("no-such-device"), "{log}");

    assert_eq!(start(&in_process(), spec("next")).quit(), Exit::Clean);
}

/// Numbers that QEMU still meant to close would by then be somebody else's.
#[test]
fn a_failed_start_closes_nothing_that_is_not_its_own() {
    let launcher = in_process();
    for _ in 0..20 {
        let mut wrong = spec("wrong");
        wrong.args(["-device", "no-such-device"]);
        let vm = try_start(&launcher, wrong).unwrap();
        vm.exit.recv_timeout(crate::common::PATIENCE).unwrap();
        // The numbers that are free now, while the VM's remains may still be at work.
        let ours: Vec<_> =
            (0..16).flat_map(|_| <[UnixStream; 2]>::from(UnixStream::pair().unwrap())).collect();
        let inodes =
            || -> Vec<_> { ours.iter().map(|s| nix::sys::stat::fstat(s).map(|s| s.st_ino)).collect() };
        let before = inodes();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(inodes(), before);
    }
}

/// A failed start with an image, then one that uses it.
fn an_image_after_a_failed_start(next: &dyn Launcher) {
    let tmp = tempfile::tempdir().unwrap();
    let image = tmp.path().join("disk.raw");
    std::fs::File::create(&image).unwrap().set_len(1 << 20).unwrap();
    let with_disk = |name| {
        let mut spec = spec(name);
        spec.args(["-drive", &format!("if=none,id=d,format=raw,file={}", image.display())]);
        spec.args(["-device", "virtio-blk-pci,drive=d"]);
        spec
    };
    let launcher = in_process();
    let mut wrong = with_disk("wrong");
    wrong.args(["-device", "no-such-device"]);
    let exit = try_start(&launcher, wrong).unwrap().wait();
    assert!(matches!(&exit, Exit::Failed { message, .. } if message.contains("no-such-device")), "{exit}");

    assert_eq!(start(next, with_disk("next")).quit(), Exit::Clean);
    // The lock is there while a VM runs.
    let running = start(next, with_disk("first"));
    let exit = try_start(&launcher, with_disk("second")).unwrap().wait();
    assert!(matches!(&exit, Exit::Failed { message, .. } if message.contains("lock")), "{exit}");
    assert_eq!(running.quit(), Exit::Clean);
}

#[test]
fn a_failed_start_leaves_its_images_unlocked() {
    an_image_after_a_failed_start(&in_process());
}

#[test]
fn a_failed_start_leaves_its_images_unlocked_for_other_processes() {
    an_image_after_a_failed_start(&crate::common::child());
}

#[test]
fn termination_is_a_clean_end_at_any_moment() {
    let vm = start(&in_process(), spec("running"));
    vm.running.control.terminate();
    assert_eq!(vm.wait(), Exit::Clean);

    let vm = try_start(&in_process(), spec("starting")).unwrap();
    vm.running.control.terminate();
    let control = vm.running.control.clone();
    assert_eq!(vm.wait(), Exit::Clean);
    control.terminate();
    assert!(control.kill().is_ok(), "what has ended needs no killing");
}

#[test]
fn the_guests_serial_line_is_ours() {
    let mut spec = spec("serial");
    // The firmware's debug port, as a chardev of the caller's own.
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    spec.extra_fds.push(("debug".into(), theirs.into()));
    spec.args(["-device", "isa-debugcon,iobase=0x402,chardev=debug"]);
    let vm = start(&in_process(), spec);
    ours.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    let mut said = Vec::new();
    while !said.windows(7).any(|w| w == b"SeaBIOS") {
        let mut byte = [0];
        ours.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    assert_eq!(vm.quit(), Exit::Clean);
}

#[test]
fn a_guest_chooses_a_status_and_the_process_lives() {
    let mut spec = spec("status");
    spec.args(["-device", "isa-debug-exit,iobase=0x402,iosize=1"]);
    let exit = try_start(&in_process(), spec).unwrap().wait();
    assert!(matches!(exit, Exit::Failed { status, .. } if status & 1 == 1), "{exit}");
}

#[test]
fn exit_on_a_thread_of_an_arm_machines_cpu_ends_the_vm_and_not_the_process() {
    let launcher = in_process();
    let mut other = start(&launcher, spec("other"));
    let (_folder, spec) = exiting_on_a_cpu(7);
    let vm = try_start(&launcher, spec).unwrap();
    assert_eq!(vm.wait(), Exit::Failed { status: 7, message: String::new() });
    assert!(other.execute(r#"{"execute":"query-status"}"#).contains("running"));
    assert_eq!(other.quit(), Exit::Clean);
}

#[test]
fn a_fixed_number_of_copies_runs_out_with_advice() {
    let tmp = tempfile::tempdir().unwrap();
    let library = libqemu().library(Arch::X86_64, Engine::Native).unwrap();
    let copy = tmp.path().join("libqemu-1.so");
    std::fs::copy(library, &copy).unwrap();
    let copies = FixedCopies::new([(Arch::X86_64, Engine::Native, copy)]);
    let launcher = InProcess::with_copies(libqemu(), Box::new(copies));

    // Refused before a copy is taken.
    let mut bad = spec("bad");
    bad.args(["-daemonize"]);
    assert!(matches!(try_start(&launcher, bad), Err(LaunchError::BadArgument { .. })));

    assert_eq!(start(&launcher, spec("only")).quit(), Exit::Clean);
    let error = try_start(&launcher, spec("too many")).err().unwrap();
    assert!(error.to_string().contains("restart the program"), "{error}");
}

/// QEMU would end the process.
#[test]
fn a_process_without_keys_is_told_before_a_copy_is_taken() {
    // Of what a copy and others may need some are missing, but never all: this program's other threads take one now and then.
    const LEFT: usize = 20;
    let mut taken = Vec::new();
    loop {
        let mut few = Keys::take(LEFT + 1);
        if few.0.len() <= LEFT {
            break;
        }
        taken.push(Keys(few.0.split_off(LEFT)));
    }
    // What our own loader maps needs none.
    let launcher = InProcess::with_copies(libqemu(), Box::new(FreshCopies::new(libqemu())));
    let error = try_start(&launcher, spec("full")).err().unwrap();
    assert!(matches!(error, LaunchError::NoKeyLeft), "{error}");
    drop(taken);
    assert_eq!(start(&launcher, spec("next")).quit(), Exit::Clean);
}

#[test]
fn the_program_may_exit_while_a_vm_runs() {
    let output = std::process::Command::new(crate::example::example("exit_while_running")).output().unwrap();
    assert_eq!(output.status.code(), Some(42), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "paused\n", "nothing of the machine was taken apart");
}

#[test]
fn a_missing_file_is_told_before_qemu_is_called() {
    let mut spec = spec("kernel");
    spec.args(["-kernel", "/nonexistent/vmlinuz"]);
    let error = try_start(&in_process(), spec).err().unwrap();
    assert!(error.to_string().starts_with("-kernel: /nonexistent/vmlinuz cannot be read"), "{error}");
}
