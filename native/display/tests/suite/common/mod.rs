//! A real QEMU with its D-Bus display, for tests: a libqemu must have been built (`scripts/qemu/build`).
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub mod double;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use sampan_display::{Console, Display};
use sampan_emulator::{Arch, Exit, InProcess, LaunchSpec, Launcher, LibqemuDir, Running, cache_dir};
use sampan_frame::{Consumer, Staging};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::sync::Notify;

/// Far beyond what anything takes here, so that a hang fails the test instead of the whole run.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A machine in this process; it quits when dropped.
pub struct Qemu {
    qmp: BufReader<UnixStream>,
    running: Running,
    exit: Receiver<Exit>,
}

/// Starts a machine without devices but those of `args`, with a D-Bus display.
pub fn start_qemu(args: &[&str]) -> Qemu {
    let mut spec = LaunchSpec::new("display-test", Arch::X86_64);
    spec.args(["-nodefaults", "-no-user-config", "-machine", "q35", "-m", "64", "-accel", "tcg"]);
    spec.args(["-name", "display test", "-display", "dbus,p2p=on"]).args(args);
    start(&InProcess::new(LibqemuDir::find().unwrap()), spec)
}

/// Starts it and speaks to it, so that its main loop is known to run.
pub fn start(launcher: &InProcess, spec: LaunchSpec) -> Qemu {
    let (ended, exit) = channel();
    // Most tests do not wait for it.
    let running = launcher.launch(spec, Box::new(move |exit| drop(ended.send(exit)))).unwrap();
    running.qmp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut qemu = Qemu { qmp: BufReader::new(running.qmp.try_clone().unwrap()), running, exit };
    assert!(qemu.line().get("QMP").is_some());
    qemu.execute("qmp_capabilities", json!({}));
    qemu
}

impl Qemu {
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.qmp.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("QEMU said {line:?}: {e}"))
    }

    fn answer(&mut self) -> Value {
        loop {
            let line = self.line();
            if line.get("event").is_none() {
                assert!(line.get("return").is_some(), "{line}");
                return line["return"].clone();
            }
        }
    }

    pub fn execute(&mut self, command: &str, arguments: Value) -> Value {
        let command = json!({ "execute": command, "arguments": arguments }).to_string();
        self.running.qmp.write_all(command.as_bytes()).unwrap();
        self.answer()
    }

    pub fn hmp(&mut self, line: &str) -> String {
        let answer = self.execute("human-monitor-command", json!({ "command-line": line }));
        answer.as_str().unwrap_or_default().to_owned()
    }

    /// Hands QEMU one end of a socket pair as a D-Bus client; the other end is ours.
    pub fn display_socket(&mut self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let command = json!({ "execute": "getfd", "arguments": { "fdname": "display" } }).to_string();
        let fds = [theirs.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&fds)];
        let data = [IoSlice::new(command.as_bytes())];
        sendmsg::<()>(self.running.qmp.as_raw_fd(), &data, &rights, MsgFlags::empty(), None).unwrap();
        self.answer();
        self.execute("add_client", json!({ "protocol": "@dbus-display", "fdname": "display" }));
        ours
    }

    pub async fn display(&mut self) -> Display {
        Display::connect(self.display_socket()).await.unwrap()
    }

    pub fn quit(&mut self) {
        let _ = self.running.qmp.write_all(br#"{"execute":"quit"}"#);
    }

    /// After `quit`.
    pub fn wait(&self) -> Exit {
        self.exit.recv_timeout(PATIENCE).expect("the machine did not end")
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.quit();
    }
}

/// The folder of the tiny guest's `kernel` and `initrd` (`scripts/guest/build` makes it).
pub fn tiny_guest(name: &str) -> PathBuf {
    let folder = std::env::var_os("SAMPAN_GUEST_DIR").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| cache_dir().unwrap().join("guest/current"));
    folder.join(name).canonicalize().expect("scripts/guest/build makes it")
}

/// The number of the frame that the tiny guest painted; `None`: it is not there, or not whole.
pub fn counter(picture: &Staging) -> Option<u32> {
    // Black and white: green tells them apart.
    let luma = |x: u32, y: u32| picture.row(y).as_chunks::<4>().0[x as usize][1];
    tiny_guest::counter::decode(luma, picture.size.width, picture.size.height)
}

/// A consumer with its staging, that can wait for pictures.
pub struct Watcher {
    pub consumer: Consumer,
    pub staging: Staging,
    changed: Arc<Notify>,
}

impl Watcher {
    pub fn new(console: &Console) -> Self {
        let changed = Arc::new(Notify::new());
        let notify = changed.clone();
        let consumer = console.screen().attach(Box::new(move || notify.notify_one()));
        Self { consumer, staging: Staging::new(), changed }
    }

    /// Takes pictures until one is as wanted.
    pub async fn until(&mut self, what: &str, mut wanted: impl FnMut(&Staging) -> bool) {
        let waiting = async {
            loop {
                if self.consumer.take(&mut self.staging).unwrap().is_some() && wanted(&self.staging) {
                    return;
                }
                self.changed.notified().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{what} did not come; the last picture was {}", self.staging.size);
    }
}

/// Waits until something holds that nothing tells us about.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what} did not come");
}
