//! Real VMs for tests and for the programs that tests start: a libqemu must have been built (`scripts/qemu/build`).
#![allow(dead_code, reason = "each program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use sampan_emulator::{Arch, Exit, InProcess, LaunchError, LaunchSpec, Launcher, LibqemuDir, Running};

/// Far beyond what anything takes here, so that a hang fails the test instead of the whole run.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn libqemu() -> LibqemuDir {
    LibqemuDir::find().unwrap()
}

pub fn in_process() -> InProcess {
    InProcess::new(libqemu())
}

/// The folder of the tiny guest's `kernel` and `initrd` (`scripts/guest/build` makes it).
pub fn tiny_guest(arch: Arch) -> PathBuf {
    tiny_guest_named(&arch.to_string())
}

/// The same by the folder's name: `i586` is the one for a PC of 32 bits.
pub fn tiny_guest_named(arch: &str) -> PathBuf {
    let guest = env::var_os("SAMPAN_GUEST_DIR").map(PathBuf::from);
    let guest = guest.unwrap_or_else(|| sampan_emulator::cache_dir().unwrap().join("guest/current"));
    guest.join(arch).canonicalize().expect("scripts/guest/build makes it")
}

/// A machine that runs its firmware and nothing else.
pub fn spec(name: &str) -> LaunchSpec {
    let mut spec = machine(name);
    spec.args(["-accel", "tcg,thread=multi"]);
    spec
}

/// The same, its accelerator yet to be chosen.
pub fn machine(name: &str) -> LaunchSpec {
    let mut spec = LaunchSpec::new(name, Arch::X86_64);
    spec.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-m", "64", "-display", "none"]);
    spec.args(["-serial", "chardev:serial"]);
    spec
}

/// For tests with `arm_machine` in their names: `scripts/ohos/test` leaves them out where there is no libqemu for Arm guests.
///
/// Arm's semihosting call SYS_EXIT: QEMU calls `exit()` on the thread of the CPU that asked, another goes on. The program
/// lies in the folder.
pub fn exiting_on_a_cpu(status: u64) -> (tempfile::TempDir, LaunchSpec) {
    // mov x0, #0x18 (SYS_EXIT); adr x1, block; hlt #0xf000; nop; block: .quad ApplicationExit, status
    let mut guest: Vec<u8> = [0xd280_0300_u32, 0x1000_0061, 0xd45e_0000, 0xd503_201f]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    guest.extend([0x2_0026, status].into_iter().flat_map(u64::to_le_bytes));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guest.bin");
    std::fs::write(&file, guest).unwrap();
    let mut spec = LaunchSpec::new("exit", Arch::Aarch64);
    spec.args(["-nodefaults", "-no-user-config", "-machine", "virt", "-cpu", "cortex-a57", "-smp", "2"]);
    spec.args(["-display", "none", "-m", "64", "-serial", "chardev:serial", "-semihosting", "-device"]);
    spec.args([format!("loader,file={},addr=0x40200000,cpu-num=0", file.display())]);
    (folder, spec)
}

/// Keys of thread-specific data, kept from others.
pub struct Keys(pub Vec<libc::pthread_key_t>);

impl Keys {
    /// As many as there are, at most `most`.
    pub fn take(most: usize) -> Self {
        let (mut keys, mut key) = (Vec::new(), 0);
        // SAFETY: the key is written when the call succeeds; it has no destructor.
        while keys.len() < most && unsafe { libc::pthread_key_create(&mut key, None) } == 0 {
            keys.push(key);
        }
        Self(keys)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        for key in &self.0 {
            // SAFETY: made by `take`, and nobody else knows it.
            unsafe { libc::pthread_key_delete(*key) };
        }
    }
}

/// What this process has at the moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub threads: usize,
    pub fds: usize,
    pub mappings: usize,
    /// Memory that is nobody's but the process's.
    pub anonymous_kib: usize,
    /// Files in memory, copies of libqemu among them: the kernel takes it back when it needs it.
    pub file_kib: usize,
    /// Keys that it could still make.
    pub free_keys: usize,
}

impl Usage {
    pub fn now() -> Self {
        let count = |folder| std::fs::read_dir(folder).unwrap().count();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let kib = |key| {
            let line = status.lines().find_map(|l| l.strip_prefix(key)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Self {
            threads: count("/proc/self/task"),
            fds: count("/proc/self/fd"),
            mappings: std::fs::read_to_string("/proc/self/maps").unwrap().lines().count(),
            anonymous_kib: kib("RssAnon:"),
            file_kib: kib("RssFile:"),
            free_keys: Keys::take(usize::MAX).0.len(),
        }
    }
}

pub struct Vm {
    pub running: Running,
    pub exit: Receiver<Exit>,
    qmp: BufReader<UnixStream>,
}

pub fn try_start(launcher: &dyn Launcher, spec: LaunchSpec) -> Result<Vm, LaunchError> {
    let (ended, exit) = channel();
    let running = launcher.launch(spec, Box::new(move |exit| ended.send(exit).unwrap_or_default()))?;
    running.qmp.set_read_timeout(Some(PATIENCE)).unwrap();
    let qmp = BufReader::new(running.qmp.try_clone().unwrap());
    Ok(Vm { running, exit, qmp })
}

/// Starts a VM and speaks to it, so that its main loop is known to run.
pub fn start(launcher: &dyn Launcher, spec: LaunchSpec) -> Vm {
    let mut vm = try_start(launcher, spec).unwrap();
    assert!(vm.read_qmp().contains("\"QMP\""));
    vm.execute(r#"{"execute":"qmp_capabilities"}"#);
    vm
}

impl Vm {
    /// One line; empty at the end.
    pub fn read_qmp(&mut self) -> String {
        let mut line = String::new();
        if let Err(e) = self.qmp.read_line(&mut line) {
            // QEMU ended with something of ours unread.
            assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{e}");
        }
        line
    }

    /// Waits until QEMU hangs up; it may have greeted before.
    pub fn read_qmp_to_end(&mut self) {
        while !self.read_qmp().is_empty() {}
    }

    /// The answer to a command; events are skipped.
    pub fn execute(&mut self, command: &str) -> String {
        self.ask(command);
        self.answer()
    }

    pub fn ask(&mut self, command: &str) {
        // One write: QEMU acts on the closing brace, and may be gone before a second one.
        self.running.qmp.write_all(format!("{command}\n").as_bytes()).unwrap();
    }

    pub fn answer(&mut self) -> String {
        loop {
            let line = self.read_qmp();
            assert!(!line.is_empty(), "QEMU hung up instead of answering");
            if !line.contains("\"event\"") {
                return line;
            }
        }
    }

    /// Reads the serial line until the guest has said this.
    pub fn serial_until(&self, words: &str) {
        let mut serial = &self.running.serial;
        serial.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&said).contains(words) {
            match serial.read(&mut buffer) {
                Ok(read @ 1..) => said.extend_from_slice(&buffer[..read]),
                end => {
                    let exit = self.exit.recv_timeout(Duration::from_secs(5));
                    panic!("{end:?}, QEMU: {exit:?}, the guest said {:?}", String::from_utf8_lossy(&said));
                }
            }
        }
    }

    pub fn wait(self) -> Exit {
        self.exit.recv_timeout(PATIENCE).expect("the VM did not end")
    }

    /// Asks for something, closes all sockets without reading the answer, and keeps the end to be told.
    pub fn hang_up(mut self) -> Receiver<Exit> {
        self.running.qmp.write_all(b"{\"execute\":\"query-qmp-schema\"}\n").unwrap();
        self.exit
    }

    pub fn quit(mut self) -> Exit {
        self.execute(r#"{"execute":"quit"}"#);
        self.wait()
    }
}
