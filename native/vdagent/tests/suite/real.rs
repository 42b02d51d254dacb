//! Our end against Debian's agent (the packages spice-vdagent, xvfb and xclip), run on this machine as ordinary programs: the
//! daemon connects to a socket in the place of its virtio port, and its session's agent to an X server without a screen.

use crate::guest::picture;
use sampan_vdagent::{
    ClipboardError, Content, FileError, FileSource, Kind, Kinds, Monitor, Peer, Policy, Port, Selection,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

const LONG: Duration = Duration::from_secs(30);

struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_owned();
        let started = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(started.unwrap_or_else(|e| {
            panic!(
                "{}: {e}: install the packages of scripts/packages.txt, as scripts/bootstrap does",
                name.display()
            )
        }))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A guest without a machine.
struct Guest {
    display: String,
    folder: tempfile::TempDir,
    listener: UnixListener,
    daemon: Option<Program>,
    agent: Option<Program>,
    _server: Program,
}

impl Guest {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("port")).expect("listens");
        let mut server = Program::start(
            Command::new("Xvfb")
                .args(["-displayfd", "1", "-screen", "0", "1600x1200x24", "-nolisten", "tcp"])
                .stdout(Stdio::piped()),
        );
        let mut number = String::new();
        let told = server.0.stdout.take().expect("is piped");
        BufReader::new(told).read_line(&mut number).expect("tells its number");
        let display = format!(":{}", number.trim());
        let mut guest = Self { display, folder, listener, daemon: None, agent: None, _server: server };
        guest.boot();
        guest
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Starts both of its programs anew.
    fn boot(&mut self) {
        (self.agent, self.daemon) = (None, None);
        // Whatever the former daemon still wanted goes with the socket.
        for socket in ["port", "session"] {
            let _ = std::fs::remove_file(self.at(socket));
        }
        self.listener = UnixListener::bind(self.at("port")).expect("listens");
        std::fs::write(self.at("uinput"), b"").expect("a file");
        let program = ["/usr/sbin/spice-vdagentd", "/usr/bin/spice-vdagentd"]
            .into_iter()
            .find(|p| Path::new(p).exists());
        let sockets = |command: &mut Command| {
            command.arg("-s").arg(self.at("port")).arg("-S").arg(self.at("session")).stdout(Stdio::null());
        };
        // In the foreground, without logind, with a file in the place of its input device.
        let mut daemon = Command::new(program.unwrap_or("spice-vdagentd"));
        daemon.args(["-x", "-X", "-f", "-u"]).arg(self.at("uinput"));
        sockets(&mut daemon);
        let daemon = Program::start(&mut daemon);
        let begun = Instant::now();
        while !self.at("session").exists() {
            assert!(begun.elapsed() < LONG, "the daemon does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut agent = Command::new("spice-vdagent");
        // What it is given it puts there, and opens no window with it.
        std::fs::create_dir_all(self.at("downloads")).expect("a folder");
        agent
            .arg("-x")
            .arg("-f")
            .arg(self.at("downloads"))
            .args(["-o", "0"])
            .env("DISPLAY", &self.display)
            .env_remove("WAYLAND_DISPLAY");
        sockets(&mut agent);
        let agent = Program::start(&mut agent);
        (self.agent, self.daemon) = (Some(agent), Some(daemon));
    }

    /// The daemon's end of its port.
    async fn port(&self) -> UnixStream {
        let listener = self.listener.try_clone().expect("a copy");
        let accepted = tokio::task::spawn_blocking(move || listener.accept());
        timeout(LONG, accepted).await.expect("connects in time").expect("no panic").expect("is accepted").0
    }

    fn xclip(&self) -> Command {
        let mut command = Command::new("xclip");
        command.env("DISPLAY", &self.display).stderr(Stdio::null());
        command
    }

    /// Copies something with a program of its own.
    fn copy(&self, target: &str, bytes: &[u8]) {
        let mut command = self.xclip();
        command
            .args(["-selection", "clipboard", "-t", target, "-i"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut xclip = command.spawn().expect("xclip: install the packages of scripts/packages.txt");
        xclip.stdin.take().expect("is piped").write_all(bytes).expect("reads");
        assert!(xclip.wait().expect("goes to the background").success());
    }

    /// How large its screen is, as its X server tells each client (X11's protocol, section 8, "Connection Setup").
    fn size(&self) -> (u16, u16) {
        let mut server =
            UnixStream::connect(format!("/tmp/.X11-unix/X{}", &self.display[1..])).expect("listens");
        server.write_all(&[b'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]).expect("is read");
        let number = |bytes: &[u8], at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let mut head = [0; 8];
        server.read_exact(&mut head).expect("answers");
        assert_eq!(head[0], 1, "the server lets us in");
        let mut rest = vec![0; usize::from(number(&head, 6)) * 4];
        server.read_exact(&mut rest).expect("answers");
        // The vendor's name and the formats of pixels come before the first screen.
        let screen = 32 + usize::from(number(&rest, 16)).next_multiple_of(4) + usize::from(rest[21]) * 8;
        (number(&rest, screen + 20), number(&rest, screen + 22))
    }

    /// Pastes with a program of its own.
    async fn paste(&self, selection: &str, target: &str) -> Vec<u8> {
        let mut command = self.xclip();
        command.args(["-selection", selection, "-t", target, "-o"]).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output());
        timeout(LONG, output).await.expect("in time").expect("no panic").expect("xclip").stdout
    }
}

fn share(port: UnixStream) -> (Peer, watch::Sender<Port>) {
    let (sender, told) = watch::channel(Port { open: true, changes: 1 });
    (Peer::start(port, told, Policy::BOTH).expect("starts"), sender)
}

async fn answers(peer: &Peer) {
    let mut state = peer.state();
    timeout(LONG, state.wait_for(|state| state.agent)).await.expect("answers in time").expect("lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debians_agent_shares_its_clipboard_both_ways() {
    let mut guest = Guest::new();
    let (peer, port) = share(guest.port().await);
    answers(&peer).await;

    // To the guest.
    let text = format!("中文 😀\n{}", "0123456789".repeat(20_000));
    peer.set(Selection::Clipboard, Content::text(&text).expect("a text").into()).await.expect("is offered");
    let begun = Instant::now();
    while guest.paste("clipboard", "UTF8_STRING").await != text.as_bytes() {
        // The agent takes the clipboard a moment later.
        assert!(begun.elapsed() < LONG);
        sleep(Duration::from_millis(50)).await;
    }
    assert!(peer.state().borrow().asked > 0);
    let png = picture(3 << 20);
    let content = Content::new(Kind::Png, &png).expect("a picture");
    peer.set(Selection::Clipboard, content.into()).await.expect("is offered");
    let begun = Instant::now();
    while guest.paste("clipboard", "image/png").await != png {
        assert!(begun.elapsed() < LONG);
        sleep(Duration::from_millis(50)).await;
    }
    // A terminal pastes what is marked.
    peer.set(Selection::Primary, Content::text("marked").expect("a text").into()).await.expect("is offered");
    let begun = Instant::now();
    while guest.paste("primary", "UTF8_STRING").await != b"marked" {
        assert!(begun.elapsed() < LONG);
        sleep(Duration::from_millis(50)).await;
    }

    // From the guest.
    let mut state = peer.state();
    for (target, kind, bytes) in [
        ("UTF8_STRING", Kind::Text, text.as_bytes()),
        ("image/png", Kind::Png, &png[..]),
        ("UTF8_STRING", Kind::Text, b"x"),
    ] {
        let before = state.borrow_and_update().grabs;
        guest.copy(target, bytes);
        let copied =
            timeout(LONG, state.wait_for(|state| state.grabs > before && state.kinds.has(kind))).await;
        let kinds = copied.expect("is told in time").expect("lives").kinds;
        assert_eq!(kinds, Kinds { text: kind == Kind::Text, png: kind == Kind::Png });
        let got = peer.get(Selection::Clipboard, kind).await.expect("is given");
        assert!(**got.bytes() == *bytes, "{} bytes of {}", got.bytes().len(), bytes.len());
    }
    assert_eq!(
        peer.get(Selection::Clipboard, Kind::Png).await,
        Err(ClipboardError::Nothing(Kind::Png)),
        "it has copied a text last"
    );

    // The guest is started anew: what it is offered is offered to the new agent.
    peer.set(Selection::Clipboard, Content::text("after").expect("a text").into()).await.expect("is offered");
    drop((peer, port));
    guest.boot();
    let (peer, _port) = share(guest.port().await);
    answers(&peer).await;
    peer.set(Selection::Clipboard, Content::text("after").expect("a text").into()).await.expect("is offered");
    let begun = Instant::now();
    while guest.paste("clipboard", "UTF8_STRING").await != b"after" {
        assert!(begun.elapsed() < LONG);
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debians_daemon_opens_its_port_anew_after_what_it_does_not_understand() {
    let guest = Guest::new();
    let mut port = guest.port().await;
    // What is left of a message that was cut.
    port.write_all(&[0xee; 64]).expect("is written");
    let (peer, _port) = share(guest.port().await);
    answers(&peer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debians_agent_takes_files() {
    let guest = Guest::new();
    let (peer, _port) = share(guest.port().await);
    answers(&peer).await;
    let give = async |name: &str, bytes: &[u8]| {
        let (send, pieces) = mpsc::channel(1);
        let file = FileSource { name: name.into(), size: bytes.len() as u64, pieces };
        let pieces: Vec<Vec<u8>> = bytes.chunks(100_000).map(<[u8]>::to_vec).collect();
        tokio::spawn(async move {
            for piece in pieces {
                if send.send(Ok(piece)).await.is_err() {
                    return;
                }
            }
        });
        timeout(LONG, peer.send_file(file, watch::Sender::new(0))).await.expect("in time")
    };
    let large: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    for (name, bytes) in [("empty", &b""[..]), ("报告 [1] = #.txt", b"x"), ("  large.bin", &large)] {
        assert_eq!(give(name, bytes).await, Ok(()), "{name}");
        let there = std::fs::read(guest.at("downloads").join(name)).expect("is there");
        assert!(there == bytes, "{name}: {} bytes of {}", there.len(), bytes.len());
    }
    // One of a name that is there already gets another, and what was there stays.
    assert_eq!(give("empty", b"not empty").await, Ok(()));
    assert_eq!(std::fs::read(guest.at("downloads/empty")).expect("is there"), b"");
    let names: Vec<_> = std::fs::read_dir(guest.at("downloads")).expect("a folder").collect();
    assert_eq!(names.len(), 4, "{names:?}");
    // More than any disk has.
    let (_send, pieces) = mpsc::channel(1);
    let file = FileSource { name: "vast".into(), size: 1 << 60, pieces };
    let outcome = timeout(LONG, peer.send_file(file, watch::Sender::new(0))).await.expect("in time");
    assert!(matches!(outcome, Err(FileError::NoSpace { free: Some(1..) })), "{outcome:?}");
    // One that is given up leaves nothing.
    let (send, pieces) = mpsc::channel(1);
    let file = FileSource { name: "half".into(), size: 10 << 20, pieces };
    let (progress, mut seen) = watch::channel(0);
    let sending = tokio::spawn({
        let peer = peer.clone();
        async move { peer.send_file(file, progress).await }
    });
    send.send(Ok(vec![7; 1 << 20])).await.expect("is wanted");
    timeout(LONG, seen.wait_for(|sent| *sent >= 1 << 20)).await.expect("in time").expect("lives");
    let half = guest.at("downloads/half");
    let begun = Instant::now();
    while !half.exists() {
        assert!(begun.elapsed() < LONG);
        sleep(Duration::from_millis(20)).await;
    }
    sending.abort();
    let begun = Instant::now();
    while half.exists() {
        assert!(begun.elapsed() < LONG, "what the guest has of it stays");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debians_agent_sets_the_size_of_the_screen() {
    let guest = Guest::new();
    let (peer, _port) = share(guest.port().await);
    peer.set_monitors(Monitor::row([(1024, 700)])).await;
    answers(&peer).await;
    // Its modes are of whole characters, eight pixels wide (cvt's).
    for (asked, set) in [((1024, 700), (1024, 700)), ((801, 603), (800, 603)), ((1280, 720), (1280, 720))] {
        peer.set_monitors(Monitor::row([asked])).await;
        let begun = Instant::now();
        while guest.size() != set {
            assert!(begun.elapsed() < LONG, "the screen has {:?}, not {set:?}", guest.size());
            sleep(Duration::from_millis(50)).await;
        }
    }
}
