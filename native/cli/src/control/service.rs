//! The machine's side of the control socket.

use super::protocol::{self, MAX_LINE, Request, Response};
use super::{console, kept};
use base64::Engine as _;
use sampan_config::Arch;
use sampan_frame::Size;
use sampan_input::{Button, Key};
use sampan_session::vm::Vm;
use sampan_session::{Command, CommandError, Reply, Session};
use sampan_stream::Stats;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Clients at a time; more wait to be taken.
const CLIENTS: usize = 16;

/// What is known of a machine from its start.
pub struct Facts {
    pub arch: Arch,
    pub memory_mib: u32,
    pub cpus: u32,
    pub accelerator: String,
    pub viewer: String,
}

/// Where the stream's figures come from; `None` once it has ended.
pub type StatsSource = Box<dyn Fn() -> Option<Stats> + Send + Sync>;

struct Shared {
    session: Arc<Session>,
    stats: StatsSource,
    facts: Facts,
    vm: Option<Arc<Vm>>,
    since: Instant,
}

/// The listening control socket.
pub struct Service {
    task: JoinHandle<()>,
    path: PathBuf,
}

impl Service {
    /// Serves `session` on a socket of [`super::bind`]; `vm` is the machine of the library that it is, if it is one.
    pub fn start(
        listener: std::os::unix::net::UnixListener,
        path: PathBuf,
        session: Arc<Session>,
        stats: StatsSource,
        facts: Facts,
        vm: Option<Arc<Vm>>,
    ) -> Service {
        let shared = Arc::new(Shared { session, stats, facts, vm, since: Instant::now() });
        let task = tokio::spawn(async move {
            match UnixListener::from_std(listener) {
                Ok(listener) => accept(listener, shared).await,
                Err(e) => log::error!("the control socket cannot be served: {e}"),
            }
        });
        Service { task, path }
    }

    /// Ends it and removes the socket. Clients that wait for an answer get it within a moment or not at all.
    pub async fn stop(self) {
        // `quit` answers its client when the machine has ended, which is when we get here.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    if let Err(e) = serve(stream, &shared).await {
                        log::debug!("a control client: {e}");
                    }
                    drop(place);
                });
            }
            Err(e) => {
                log::warn!("a control client could not be taken: {e}");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, shared: &Shared) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let parsed = protocol::parse(&line);
        if whole && line.len() <= MAX_LINE && parsed == Ok(Request::Console) {
            write.write_all(b"{\"ok\":{}}\n").await?;
            return console::bridge(reader, write, shared.session.serial()).await;
        }
        let response = match parsed {
            _ if line.len() > MAX_LINE => Response::Error(format!("a request has at most {MAX_LINE} bytes")),
            Ok(request) => match answer(request, shared).await {
                Ok(value) => Response::Ok(value),
                Err(words) => Response::Error(words),
            },
            Err(words) => Response::Error(words),
        };
        let mut text = serde_json::to_vec(&response)?;
        text.push(b'\n');
        write.write_all(&text).await?;
        if !whole {
            return Ok(());
        }
    }
}

async fn answer(request: Request, shared: &Shared) -> Result<Value, String> {
    let command = match request {
        Request::Status => return Ok(status(shared)),
        Request::Screenshot => Command::Screenshot,
        Request::Type { text } => Command::Type(text),
        Request::Key { names } => Command::Keys(
            names
                .iter()
                .map(|name| {
                    Key::from_name(name).ok_or_else(|| format!("{name:?} is no key: see `sampan ctl --help`"))
                })
                .collect::<Result<_, _>>()?,
        ),
        Request::Pointer { x, y } => Command::Pointer { x, y },
        Request::Click { button } => Command::Click(
            Button::from_name(&button)
                .ok_or_else(|| format!("{button:?} is no button: use left, middle, right, side or extra"))?,
        ),
        Request::Wheel { notches } => Command::Wheel(notches),
        Request::Resize { width, height } => {
            Command::Resize(Size::new(width, height).map_err(|e| e.to_string())?)
        }
        Request::Pause => Command::Pause,
        Request::Resume => Command::Resume,
        Request::Reset => Command::Reset,
        Request::Powerdown => {
            if let Some(vm) = &shared.vm {
                tokio::spawn(kept::ask_to_shut_down(Arc::clone(vm)));
            }
            Command::Powerdown
        }
        Request::Quit => Command::Quit,
        // Taken before it gets here.
        Request::Console => return Err("the console takes a connection of its own".into()),
        kept @ (Request::Suspend
        | Request::Snapshot { .. }
        | Request::Grow { .. }
        | Request::ForwardAdd { .. }
        | Request::ForwardRemove { .. }
        | Request::Mode { .. }
        | Request::Background { .. }
        | Request::VncPassword { .. }
        | Request::Exec { .. }
        | Request::Push { .. }
        | Request::Pull { .. }
        | Request::Agent) => {
            let vm = shared.vm.as_ref();
            let vm = vm.ok_or("this machine is not one of the library's: `sampan new` makes one that is")?;
            return kept::answer(kept, vm).await.map_err(|e| e.to_string());
        }
    };
    match shared.session.execute(command).await {
        Ok(Reply::Done) => Ok(json!({})),
        Ok(Reply::Screenshot(shot)) => {
            let size = shot.size;
            let png = tokio::task::spawn_blocking(move || shot.to_png()).await.map_err(|e| e.to_string())?;
            let png = base64::engine::general_purpose::STANDARD.encode(png);
            Ok(json!({ "width": size.width, "height": size.height, "png": png }))
        }
        Err(e) => Err(words(&e)),
    }
}

fn words(error: &CommandError) -> String {
    error.to_string()
}

fn status(shared: &Shared) -> Value {
    let Shared { session, stats, facts, since, vm } = shared;
    let status = session.status().borrow().clone();
    let faults: serde_json::Map<String, Value> =
        session.display_faults().into_iter().map(|(kind, count)| (kind, count.into())).collect();
    json!({
        "name": session.name(),
        "state": status.state,
        "detail": status.detail,
        "slowed": status.slowed,
        "mode": vm.as_ref().map(|vm| vm.document().performance.mode),
        "mode_refused": vm.as_ref().map(|vm| vm.mode_refused()),
        "background": vm.as_ref().map(|vm| vm.in_background()),
        "arch": facts.arch,
        "memory_mib": facts.memory_mib,
        "cpus": facts.cpus,
        "accelerator": facts.accelerator,
        "qemu": session.qemu_version(),
        "pid": session.pid(),
        "seconds": since.elapsed().as_secs(),
        "size": session.size().map(|size| [size.width, size.height]),
        "absolute_pointer": status.absolute,
        "viewer": facts.viewer,
        "stream": stats(),
        "display_faults": faults,
    })
}
