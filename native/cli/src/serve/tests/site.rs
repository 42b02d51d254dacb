//! A console on a library of its own, a client that can lie, and supervisors that are played.

use crate::app::placement;
use crate::serve::Console;
use async_trait::async_trait;
use sampan_config::{Arch, Preset, VmConfig};
use sampan_control::{
    Address, Console as Serial, Handler, Reply as Answer, Reporter, Request, Server, State, Status,
};
use sampan_library::{Library, VmId};
use sampan_manager::{FRESH, Manager};
use sampan_message::Message;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::watch;

pub struct Site {
    console: Console,
    library: Library,
    /// Stands until it is moved on.
    clock: Arc<Mutex<Instant>>,
    _home: TempDir,
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().expect("words").to_owned()
    }
}

impl Site {
    pub async fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let library = Library::open(home.path()).expect("a library");
        let listen = "127.0.0.1:0".parse().expect("an address");
        let clock = Arc::new(Mutex::new(Instant::now()));
        let now = Arc::clone(&clock);
        let now = Arc::new(move || *now.lock().expect("whole"));
        let manager = Manager::with_clock(library.clone(), placement(), now);
        let console = Console::start(listen, manager).await.expect("starts");
        Self { console, library, clock, _home: home }
    }

    /// What is kept for all who ask has got old.
    pub fn later(&self) {
        *self.clock.lock().expect("whole") += FRESH;
    }

    pub fn vm(&self, name: &str) -> VmId {
        let document = VmConfig::new(name, Preset::Old, Arch::X86_64).to_files();
        self.library.create(name, &document, 1).expect("is made").id()
    }

    pub fn folder(&self, id: VmId) -> std::path::PathBuf {
        self.library.read(id).expect("is there").path().to_owned()
    }

    pub fn parts(&self) -> (&str, &str) {
        self.console
            .url
            .strip_prefix("http://")
            .and_then(|url| url.split_once("/#token="))
            .expect("as printed")
    }

    /// A request with exactly these headers.
    pub async fn raw(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (address, _) = self.parts();
        let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(address).await.expect("connects");
        // It may be refused before all of it is sent.
        let _ = stream.write_all(format!("{text}\r\n{body}").as_bytes()).await;
        let mut all = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut all))
            .await
            .expect("an answer");
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Reply { status, head, body: all[end + 4..].to_vec() }
    }

    /// A request as the page makes it.
    pub async fn ask(&self, line: &str, body: &str) -> Reply {
        let (host, token) = self.parts();
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Host", host), ("Authorization", &bearer)];
        if !body.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        self.raw(line, &headers, body).await
    }

    pub async fn act(&self, id: VmId, action: &str) -> Reply {
        self.ask(&format!("POST /api/vms/{id}"), &json!({ "action": action }).to_string()).await
    }

    pub async fn list(&self) -> Vec<Value> {
        let reply = self.ask("GET /api/vms", "").await;
        assert_eq!(reply.status, 200);
        reply.json().as_array().expect("a list").clone()
    }

    pub async fn listed(&self, id: VmId) -> Value {
        let id = id.to_string();
        self.list().await.into_iter().find(|vm| vm["id"] == *id).expect("is listed")
    }

    /// Asks until the answer is as it should be.
    pub async fn until(&self, id: VmId, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            self.later();
            let vm = self.listed(id).await;
            if fits(&vm) {
                return vm;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not happen: {vm}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub fn bind(folder: &Path) -> UnixListener {
    std::fs::create_dir_all(folder.join("run")).expect("a folder");
    let _ = std::fs::remove_file(folder.join("run/control"));
    UnixListener::bind(folder.join("run/control")).expect("binds")
}

/// What a played machine does when it is told something else than to tell its condition.
type Act = Box<dyn Fn(&Request) -> Result<Answer, Message> + Send + Sync>;

/// A machine that is played, behind a real control socket, until this is dropped.
pub struct Played {
    _server: Server,
    machine: Arc<Machine>,
}

pub struct Machine {
    state: Mutex<State>,
    heard: Mutex<Vec<String>>,
    changes: watch::Sender<()>,
    act: Act,
}

impl Played {
    pub fn new(
        folder: &Path,
        act: impl Fn(&Request) -> Result<Answer, Message> + Send + Sync + 'static,
    ) -> Self {
        std::fs::create_dir_all(folder.join("run")).expect("a folder");
        let server = Server::start(&Address::of_bundle(folder), "played".into()).expect("listens");
        let machine = Arc::new(Machine {
            state: Mutex::new(State::Running),
            heard: Mutex::default(),
            changes: watch::Sender::new(()),
            act: Box::new(act),
        });
        server.ready(machine.clone());
        Self { _server: server, machine }
    }

    pub fn set(&self, state: State) {
        *self.machine.state.lock().expect("whole") = state;
        self.machine.changes.send_replace(());
    }

    /// How often it was told so.
    pub fn count(&self, command: &str) -> usize {
        self.machine.heard.lock().expect("whole").iter().filter(|heard| *heard == command).count()
    }
}

#[async_trait]
impl Handler for Machine {
    async fn call(&self, request: Request, _reporter: &Reporter) -> Result<Answer, Message> {
        let value = serde_json::to_value(&request).expect("JSON");
        self.heard.lock().expect("whole").push(value["command"].as_str().expect("a command").to_owned());
        match request {
            Request::Status => Ok(Answer::Status(Box::new(self.status()))),
            request => (self.act)(&request),
        }
    }

    fn status(&self) -> Status {
        let facts = json!({
            "arch": "x86_64", "memory_mib": 64, "cpus": 1, "accelerator": "tcg", "qemu": "10.0", "pid": null,
            "seconds": 1, "size": null, "absolute_pointer": true, "slowed": false, "mode": null,
            "mode_refused": null, "background": null, "viewer": "http://127.0.0.1:9/#token=v", "stream": null,
            "display_faults": {},
        });
        let facts = serde_json::from_value(facts).expect("facts");
        let state = *self.state.lock().expect("whole");
        Status { name: "played".into(), state, detail: String::new(), facts: Some(facts) }
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn console(&self) -> Arc<dyn Serial> {
        panic!("nobody opens its console")
    }
}
