//! A machine that is played, behind a real socket.

use async_trait::async_trait;
use sampan_config::Arch;
use sampan_control::{
    Address, Client, ClientError, Console, Facts, Handler, Picture, Playing, Recording, Reply, Reporter,
    Request, Server, SoundStream, State, Status, listens, wire,
};
use sampan_message::Message;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

/// A machine that does what a test says.
struct Played {
    state: Mutex<State>,
    changes: watch::Sender<()>,
    output: broadcast::Sender<Arc<[u8]>>,
    typed: Arc<Mutex<Vec<u8>>>,
    dropped: Arc<AtomicBool>,
}

impl Played {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::Running),
            changes: watch::Sender::new(()),
            output: broadcast::Sender::new(16),
            typed: Arc::default(),
            dropped: Arc::default(),
        })
    }

    fn set(&self, state: State) {
        *self.state.lock().expect("whole") = state;
        self.changes.send_replace(());
    }
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Handler for Played {
    async fn call(&self, request: Request, reporter: &Reporter) -> Result<Reply, Message> {
        match request {
            Request::Status => Ok(Reply::Status(Box::new(self.status()))),
            Request::Screenshot { .. } => {
                Ok(Reply::Picture(Picture { width: 2, height: 1, png: vec![0, 255, 10] }))
            }
            // A memory that is saved until somebody cancels it.
            Request::Suspend => {
                for done in 0.. {
                    if reporter.report("memory", done, 100).is_break() {
                        return Err(Message::new("cancelled", "cancelled; the machine runs on"));
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(Reply::Done)
            }
            // A program that runs for ever.
            Request::Exec { .. } => {
                let _dropped = Dropped(Arc::clone(&self.dropped));
                std::future::pending().await
            }
            Request::Reset => {
                Err(Message::new("wrong_state", "it cannot be reset: wait").with("seconds", 3_u32))
            }
            _ => Ok(Reply::Done),
        }
    }

    fn status(&self) -> Status {
        let facts = Facts {
            arch: Arch::X86_64,
            memory_mib: 512,
            cpus: 2,
            accelerator: "tcg".into(),
            qemu: "10.0.13".into(),
            pid: None,
            seconds: 1,
            size: Some([800, 600]),
            displays: vec![Some([640, 480]), None],
            absolute_pointer: true,
            slowed: false,
            paused_by: None,
            throw_away: false,
            agent: None,
            mode: None,
            mode_refused: None,
            background: None,
            state_blockers: Vec::new(),
            clipboard: None,
            sound: None,
            features: Vec::new(),
            progress: None,
            viewer: None,
            stream: None,
            sharing: None,
            viewers: Vec::new(),
            publishing: None,
            display_faults: [].into(),
        };
        let state = *self.state.lock().expect("whole");
        Status { name: "one".into(), state, detail: String::new(), facts: Some(facts) }
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn console(&self) -> Arc<dyn Console> {
        Arc::new(PlayedConsole(self.output.clone(), Arc::clone(&self.typed)))
    }

    fn sound(&self, play: bool, record: bool) -> Result<SoundStream, Message> {
        if !play && !record {
            return Err(Message::new("no_sound", "it has no sound card"));
        }
        let heard = || -> Box<dyn Recording> { Box::new(Heard(Arc::clone(&self.typed))) };
        let played = || -> Box<dyn Playing> { Box::new(Tick(0, Dropped(Arc::clone(&self.dropped)))) };
        Ok(SoundStream { play: play.then(played), record: record.then(heard) })
    }
}

/// Counts for ever.
struct Tick(u8, #[expect(dead_code, reason = "says when it is dropped")] Dropped);

#[async_trait]
impl Playing for Tick {
    async fn next(&mut self, bytes: &mut Vec<u8>) -> bool {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.0 = self.0.wrapping_add(1);
        bytes.push(self.0);
        true
    }
}

struct Heard(Arc<Mutex<Vec<u8>>>);

impl Recording for Heard {
    fn push(&mut self, bytes: &[u8]) {
        self.0.lock().expect("whole").extend(bytes);
    }
}

struct PlayedConsole(broadcast::Sender<Arc<[u8]>>, Arc<Mutex<Vec<u8>>>);

#[async_trait]
impl Console for PlayedConsole {
    fn output(&self, _bytes: usize) -> (Vec<u8>, broadcast::Receiver<Arc<[u8]>>) {
        (b"login: ".to_vec(), self.0.subscribe())
    }

    async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.1.lock().expect("whole").extend(bytes);
        let _ = self.0.send(bytes.into());
        Ok(())
    }
}

struct Site {
    _folder: tempfile::TempDir,
    address: Address,
    server: Server,
    machine: Arc<Played>,
}

impl Site {
    fn starting() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = Address::Folder(folder.path().to_owned());
        let server = Server::start(&address, "one".into()).expect("listens");
        Self { _folder: folder, address, server, machine: Played::new() }
    }

    fn new() -> Self {
        let site = Self::starting();
        site.server.ready(site.machine.clone());
        site
    }

    async fn client(&self) -> Client {
        Client::connect(&self.address, Some(SOON)).await.expect("connects").expect("is there")
    }

    async fn raw(&self) -> BufReader<UnixStream> {
        let path = self._folder.path().join("control");
        BufReader::new(UnixStream::connect(path).await.expect("connects"))
    }
}

async fn line_of(reader: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    timeout(SOON, reader.read_line(&mut line)).await.expect("in time").expect("is read");
    line.trim().to_owned()
}

#[tokio::test]
async fn requests_are_answered_and_refusals_have_codes() {
    let site = Site::new();
    let mut client = site.client().await;
    assert_eq!(client.pid(), Some(std::process::id()));
    let Reply::Status(status) = client.call(&Request::Status).await.expect("is answered") else {
        panic!("another answer");
    };
    assert_eq!(*status, site.machine.status());
    let picture = client.call(&Request::Screenshot { display: None }).await.expect("is answered");
    assert_eq!(picture, Reply::Picture(Picture { width: 2, height: 1, png: vec![0, 255, 10] }));
    let Err(ClientError::Refused(message)) = client.call(&Request::Reset).await else { panic!("is refused") };
    assert_eq!(message, Message::new("wrong_state", "it cannot be reset: wait").with("seconds", 3_u32));
    assert_eq!(client.call(&Request::Pause).await.expect("goes on"), Reply::Done);
}

#[tokio::test]
async fn a_machine_that_is_being_started_says_so_and_can_be_ended() {
    let site = Site::starting();
    let mut client = site.client().await;
    let Reply::Status(status) = client.call(&Request::Status).await.expect("is answered") else {
        panic!("another answer");
    };
    assert_eq!((status.name.as_str(), status.state, status.facts), ("one", State::Starting, None));
    for request in [Request::Pause, Request::Console] {
        let Err(ClientError::Refused(message)) = client.call(&request).await else { panic!("is refused") };
        assert_eq!(message.code, "starting");
    }
    let mut stream = site.raw().await;
    stream.write_all(&wire::request_line(&Request::Quit).expect("a line")).await.expect("is asked");
    timeout(SOON, site.server.told_to_quit()).await.expect("is told");
    site.server.stop().await;
    assert!(!listens(&site.address).await);
    assert!(Client::connect(&site.address, None).await.expect("looks").is_none());
}

#[tokio::test]
async fn work_tells_how_far_it_is_and_can_be_cancelled() {
    let site = Site::new();
    let mut client = site.client().await;
    let mut seen = Vec::new();
    let called = client.call_with(&Request::Suspend, |progress| {
        seen.extend(progress.map(|progress| (progress.phase.into_owned(), progress.done, progress.total)));
        if seen.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let Err(ClientError::Refused(message)) = timeout(SOON, called).await.expect("ends") else {
        panic!("was cancelled");
    };
    assert_eq!(message.code, "cancelled");
    assert!(seen.windows(2).all(|pair| pair[0].1 < pair[1].1), "{seen:?}");
    assert_eq!(client.call(&Request::Pause).await.expect("the connection goes on"), Reply::Done);
}

#[tokio::test]
async fn what_only_its_client_wants_ends_with_it() {
    let site = Site::new();
    let mut stream = site.raw().await;
    let exec = Request::Exec { argv: vec!["sleep".into()], stdin: String::new(), timeout: 1000 };
    stream.write_all(&wire::request_line(&exec).expect("a line")).await.expect("is asked");
    // It hears that it is being worked on.
    let mut heard = [0; 1];
    timeout(SOON, stream.read_exact(&mut heard)).await.expect("in time").expect("a sign");
    assert_eq!(&heard, b" ");
    drop(stream);
    timeout(SOON, async {
        while !site.machine.dropped.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("is given up");
}

#[tokio::test]
async fn a_watcher_hears_the_newest_condition_and_the_end() {
    let site = Site::new();
    let mut watcher = site.client().await.watch().await.expect("is watched");
    let next = async |watcher: &mut sampan_control::Watcher| {
        timeout(SOON, watcher.next()).await.expect("in time").expect("is understood")
    };
    assert_eq!(next(&mut watcher).await.map(|status| status.state), Some(State::Running));
    // Of what changes in a burst the last counts.
    for _ in 0..100 {
        site.machine.set(State::Running);
        site.machine.set(State::Paused);
    }
    assert_eq!(next(&mut watcher).await.map(|status| status.state), Some(State::Paused));
    site.server.stop().await;
    drop(site.machine);
    assert!(timeout(SOON, watcher.next()).await.is_ok(), "the end is heard");
}

/// A machine that hung and goes on unchanged says nothing but that it lives: nobody would tell that it hangs no more.
#[tokio::test]
async fn a_watcher_hears_again_of_a_machine_that_was_silent() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("control");
    let address = Address::Socket(socket.clone());
    let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
    let client = Client::connect(&address, Some(Duration::from_millis(200))).await;
    let client = client.expect("connects").expect("is there");
    let (mut machine, _) = listener.accept().await.expect("a client");
    let mut watcher = client.watch().await.expect("is watched");
    let status = wire::ServerLine::Status(Box::new(Played::new().status()));
    machine.write_all(&status.to_line()).await.expect("a status");
    let told = watcher.next().await.expect("is understood").expect("goes on");
    for _ in 0..2 {
        let error = watcher.next().await.expect_err("is silent");
        assert!(matches!(error, ClientError::Silent { .. }), "{error}");
    }
    machine.write_all(b" ").await.expect("a sign of life");
    assert_eq!(watcher.next().await.expect("is understood"), Some(told));
    // Once is enough.
    machine.write_all(b" ").await.expect("a sign of life");
    assert!(timeout(Duration::from_millis(100), watcher.next()).await.is_err());
}

#[tokio::test]
async fn a_watcher_follows_a_machine_through_its_start() {
    let site = Site::starting();
    let mut watcher = site.client().await.watch().await.expect("is watched");
    let mut states = Vec::new();
    for _ in 0..2 {
        let status = timeout(SOON, watcher.next()).await.expect("in time").expect("is understood");
        states.push(status.expect("goes on").state);
        site.server.ready(site.machine.clone());
    }
    assert_eq!(states, [State::Starting, State::Running]);
}

#[tokio::test]
async fn a_console_takes_the_connection_and_ends_when_its_client_hangs_up() {
    let site = Site::new();
    let (mut stream, before) = site.client().await.console().await.expect("a console");
    let mut shown = before;
    stream.write_all(b"ls\n").await.expect("types");
    while !shown.ends_with(b"ls\n") {
        let mut bytes = [0; 64];
        let read = timeout(SOON, stream.read(&mut bytes)).await.expect("in time").expect("reads");
        shown.extend(&bytes[..read]);
    }
    assert_eq!(shown, b"login: ls\n");
    assert_eq!(*site.machine.typed.lock().expect("whole"), b"ls\n");
    drop(stream);
    timeout(SOON, async {
        while site.machine.output.receiver_count() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it ends");
}

#[tokio::test]
async fn sound_takes_the_connection_both_ways_and_ends_with_its_client() {
    let site = Site::new();
    let refused = site.client().await.sound(false, false).await.expect_err("there is none");
    assert!(matches!(refused, ClientError::Refused(message) if message.code == "no_sound"));
    // One that hears goes on after it has sent all.
    let (mut stream, mut heard) = site.client().await.sound(true, true).await.expect("sound");
    stream.write_all(&[9; 10]).await.expect("is sent");
    stream.shutdown().await.expect("that was all");
    while heard.len() < 50 {
        let mut bytes = [0; 64];
        let read = timeout(SOON, stream.read(&mut bytes)).await.expect("in time").expect("reads");
        heard.extend(&bytes[..read]);
    }
    assert!(heard.iter().zip(1..).all(|(byte, n)| *byte == n), "{heard:?}");
    assert_eq!(*site.machine.typed.lock().expect("whole"), [9; 10]);
    drop(stream);
    timeout(SOON, async {
        while !site.machine.dropped.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("nobody plays to a client that is gone");
    // One that hears nothing is disconnected once it has sent all.
    let (mut stream, _) = site.client().await.sound(false, true).await.expect("sound");
    stream.write_all(&[8; 3]).await.expect("is sent");
    stream.shutdown().await.expect("that was all");
    let mut bytes = [0; 8];
    assert_eq!(timeout(SOON, stream.read(&mut bytes)).await.expect("in time").expect("an end"), 0);
    assert!(site.machine.typed.lock().expect("whole").ends_with(&[8; 3]));
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_first_version_hears_it_in_its_words() {
    let site = Site::new();
    let mut stream = site.raw().await;
    for (line, code) in [
        ("hello", "invalid_request"),
        (r#"{"command":"status"}"#, "invalid_request"),
        (r#"{"version":2,"command":"fly"}"#, "invalid_request"),
        (r#"{"version":2,"command":"quit","force":true}"#, "invalid_request"),
        (r#"{"version":2,"command":"cancel"}"#, "invalid_request"),
        (r#"{"version":2,"command":"mode","mode":"fast"}"#, "invalid_request"),
        (r#"{"version":3,"command":"status"}"#, "protocol_version"),
    ] {
        stream.write_all(format!("{line}\n").as_bytes()).await.expect("is asked");
        let answer: serde_json::Value = serde_json::from_str(&line_of(&mut stream).await).expect("JSON");
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
    }
    stream.write_all(b"{\"version\":1,\"command\":\"status\"}\n").await.expect("is asked");
    let answer: serde_json::Value = serde_json::from_str(&line_of(&mut stream).await).expect("JSON");
    assert!(answer["error"].as_str().is_some_and(|text| text.contains("version 1")), "{answer}");
    let mut stream = site.raw().await;
    stream.write_all(&vec![b' '; wire::MAX_REQUEST + 1]).await.expect("is asked");
    stream.shutdown().await.expect("ends");
    assert!(line_of(&mut stream).await.contains("more than"), "a line without end");
}

#[tokio::test]
async fn a_machine_that_says_nothing_is_silent_and_one_that_speaks_the_first_version_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control");
    let listener = tokio::net::UnixListener::bind(&path).expect("listens");
    let address = Address::Socket(path);
    let patience = Some(Duration::from_millis(200));
    let mut client = Client::connect(&address, patience).await.expect("connects").expect("is there");
    let silent = client.call(&Request::Status).await.expect_err("hears nothing");
    assert!(
        matches!(silent, ClientError::Silent { pid: Some(pid) } if pid == std::process::id()),
        "{silent}"
    );
    let (_hung, _) = listener.accept().await.expect("the first one");
    let answering = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("the second one");
        let mut stream = BufReader::new(stream);
        line_of(&mut stream).await;
        stream.write_all(b"  {\"error\":\"version 2 is not spoken here\"}\n").await.expect("answers");
    });
    let mut client = Client::connect(&address, Some(SOON)).await.expect("connects").expect("is there");
    let Err(ClientError::Refused(message)) = client.call(&Request::Status).await else {
        panic!("is refused")
    };
    assert_eq!(
        (&*message.code, message.message.as_str()),
        ("protocol_version", "version 2 is not spoken here")
    );
    answering.await.expect("has answered");
    assert_eq!(
        client.call(&Request::Quit).await.expect("it has ended: that is what was asked for"),
        Reply::Done
    );
}

#[tokio::test]
async fn the_socket_is_its_owners_and_never_taken_from_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control");
    let start = |path: &std::path::Path| Server::start(&Address::Socket(path.to_owned()), "one".into());
    let first = start(&path).expect("listens");
    let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let code = |path: &std::path::Path| {
        use sampan_message::Coded;
        start(path).err().map(|error| error.code())
    };
    assert_eq!(code(&path), Some("socket_in_use"));
    first.stop().await;
    assert!(!path.exists());
    // One that was left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
    drop(start(&path).expect("takes its place"));
    std::fs::write(&path, "precious").expect("writes");
    assert_eq!(code(&path), Some("file_exists"));
    assert_eq!(std::fs::read_to_string(&path).expect("is untouched"), "precious");
    assert_eq!(code(&folder.path().join("no/control")), Some("folder_missing"));
    assert_eq!(code(&folder.path().join("x".repeat(200))), Some("socket_name_too_long"));
}
