//! The machine's side of the control socket.

use super::places::{LONG, NoPlace, Place, Places};
use super::protocol::{self, MAX_LINE, Request, Response};
use super::{console, kept};
use crate::words::with_hint;
use base64::Engine as _;
use sampan_config::Arch;
use sampan_frame::Size;
use sampan_input::{Button, Key};
use sampan_message::Coded;
use sampan_session::vm::Vm;
use sampan_session::{Command, Reply, Session};
use sampan_stream::Stats;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a client may take for its first request, and for each further one.
const FIRST: Duration = Duration::from_secs(30);
const NEXT: Duration = Duration::from_secs(300);

/// How long it may take to read an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a client that waits for its answer hears that it is being worked on.
const BEAT: Duration = Duration::from_secs(2);

const GIVEN_AWAY: &str = "too many others want to ask something: connect again";

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

/// What the clients' tasks know.
struct Desk {
    name: String,
    /// The machine, once it has been started.
    machine: OnceLock<Shared>,
    /// It was to be ended before.
    quit: Notify,
}

/// The listening control socket.
pub struct Service {
    task: JoinHandle<()>,
    path: PathBuf,
    desk: Arc<Desk>,
}

impl Service {
    /// Serves the machine that is called `name` on a socket of [`super::bind`]. Until [`Service::ready`] it says that it is
    /// being started.
    pub fn start(listener: std::os::unix::net::UnixListener, path: PathBuf, name: String) -> Service {
        let desk = Arc::new(Desk { name, machine: OnceLock::new(), quit: Notify::new() });
        let serving = Arc::clone(&desk);
        let task = tokio::spawn(async move {
            match UnixListener::from_std(listener) {
                Ok(listener) => accept(listener, serving).await,
                Err(e) => log::error!("the control socket cannot be served: {e}"),
            }
        });
        Service { task, path, desk }
    }

    /// The machine runs; `vm` is the machine of the library that it is, if it is one.
    pub fn ready(&self, session: Arc<Session>, stats: StatsSource, facts: Facts, vm: Option<Arc<Vm>>) {
        let shared = Shared { session, stats, facts, vm, since: Instant::now() };
        // Said once.
        let _ = self.desk.machine.set(shared);
    }

    /// Returns when somebody ends the machine before it has been started.
    pub async fn told_to_quit(&self) {
        self.desk.quit.notified().await;
    }

    /// Ends it and removes the socket. Clients that wait for an answer get it within a moment or not at all.
    pub async fn stop(self) {
        // `quit` answers its client when the machine has ended, which is when we get here.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, desk: Arc<Desk>) {
    let places = Arc::new(Places::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let place = places.enter().await;
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    if let Err(e) = serve(stream, &desk, &place).await {
                        log::debug!("a control client: {e}");
                    }
                });
            }
            Err(e) => {
                log::warn!("a control client could not be taken: {e}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, desk: &Desk, place: &Place) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    let mut line = Vec::new();
    let mut patience = FIRST;
    loop {
        line.clear();
        let mut limited = (&mut reader).take(MAX_LINE as u64 + 1);
        let refused = tokio::select! {
            read = limited.read_until(b'\n', &mut line) => read.map(|_| None)?,
            () = tokio::time::sleep(patience) => {
                Some(format!("nothing was asked for {} s: connect again", patience.as_secs()))
            }
            () = place.given_away() => Some(GIVEN_AWAY.to_owned()),
        };
        if let Some(words) = refused {
            // Whoever does not read it need not.
            let _ = write.try_write(&bytes_of(&Response::Error(words))?);
            return Ok(());
        }
        if line.is_empty() {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let parsed = match protocol::parse(&line) {
            _ if line.len() > MAX_LINE => Err(format!("a request has at most {MAX_LINE} bytes")),
            parsed => parsed,
        };
        let long = parsed.as_ref().is_ok_and(Request::takes_long);
        let parsed = match place.begin(long) {
            Ok(()) => parsed,
            Err(NoPlace::TooMany) => Err(format!(
                "{LONG} consoles and requests that take long are under way: end one of them, or try again later"
            )),
            Err(NoPlace::GivenAway) => Err(GIVEN_AWAY.to_owned()),
        };
        if whole
            && parsed == Ok(Request::Console)
            && let Some(machine) = desk.machine.get()
        {
            write.write_all(b"{\"ok\":{}}\n").await?;
            return console::bridge(reader, write, machine.session.serial()).await;
        }
        let response = match parsed {
            Ok(request) => {
                match kept_alive(request.ends_with_its_client(), answer(request, desk), &write).await {
                    Some(Ok(value)) => Response::Ok(value),
                    Some(Err(words)) => Response::Error(words),
                    None => return Ok(()),
                }
            }
            Err(words) => Response::Error(words),
        };
        let written = timeout(PATIENCE, write.write_all(&bytes_of(&response)?)).await;
        written.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        if !whole {
            return Ok(());
        }
        place.rest();
        patience = NEXT;
    }
}

fn bytes_of(response: &Response) -> std::io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(response)?;
    text.push(b'\n');
    Ok(text)
}

/// Waits for an answer, and lets the client hear all the while that it is being done: JSON may begin with spaces. `None`
/// where the client has gone and the request `ends` with it.
async fn kept_alive<T>(ends: bool, answer: impl Future<Output = T>, write: &OwnedWriteHalf) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + BEAT, BEAT);
    loop {
        tokio::select! {
            answered = &mut answer => return Some(answered),
            _ = beat.tick() => match write.try_write(b" ") {
                // One that does not read is there nevertheless.
                Err(e) if ends && e.kind() != std::io::ErrorKind::WouldBlock => return None,
                _ => {}
            },
        }
    }
}

/// What is answered while the machine is being started.
async fn of_a_start(request: &Request, desk: &Desk) -> Result<Value, String> {
    match request {
        Request::Status => Ok(json!({ "name": desk.name, "state": "starting", "detail": "" })),
        Request::Quit => {
            desk.quit.notify_one();
            // The end of this process ends the connection.
            std::future::pending().await
        }
        _ => Err(format!("{} is being started: try again in a moment", desk.name)),
    }
}

async fn answer(request: Request, desk: &Desk) -> Result<Value, String> {
    let Some(shared) = desk.machine.get() else { return of_a_start(&request, desk).await };
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
                let asked = vm.shut_down().await;
                return asked.map(|()| json!({})).map_err(|e| with_hint(&e.message(), &desk.name));
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
            // What is wrong with a new forward is not mended by taking one away.
            let is_new = matches!(kept, Request::ForwardAdd { .. });
            return kept::answer(kept, vm).await.map_err(|e| match is_new {
                true => e.to_string(),
                false => e.words(&desk.name),
            });
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
        Err(e) => Err(with_hint(&e.message(), &desk.name)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncBufRead;

    async fn line_of(reader: &mut (impl AsyncBufRead + Unpin)) -> String {
        let mut line = String::new();
        reader.read_line(&mut line).await.expect("is read");
        line
    }

    #[tokio::test]
    async fn a_machine_that_is_being_started_says_so_and_can_be_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control");
        let service =
            Service::start(super::super::bind(&path).expect("binds"), path.clone(), "one".to_owned());
        let stream = UnixStream::connect(&path).await.expect("connects");
        let mut stream = BufReader::new(stream);
        for (request, answer) in [
            (Request::Status, r#"{"ok":{"detail":"","name":"one","state":"starting"}}"#),
            (Request::Pause, r#"{"error":"one is being started: try again in a moment"}"#),
            (Request::Console, r#"{"error":"one is being started: try again in a moment"}"#),
        ] {
            stream.write_all(&protocol::line(&request)).await.expect("is asked");
            assert_eq!(line_of(&mut stream).await.trim(), answer);
        }
        stream.write_all(&protocol::line(&Request::Quit)).await.expect("is asked");
        service.told_to_quit().await;
        service.stop().await;
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn work_is_heard_of_while_it_lasts_and_ends_with_its_client_where_it_may() {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let (_read, write) = ours.into_split();
        let work = tokio::time::sleep(BEAT + BEAT / 2);
        assert_eq!(kept_alive(true, work, &write).await, Some(()));
        let mut heard = [0; 8];
        assert_eq!((theirs.try_read(&mut heard).expect("a sign"), heard[0]), (1, b' '));
        drop(theirs);
        assert_eq!(kept_alive(true, std::future::pending::<()>(), &write).await, None);
        let goes_on = kept_alive(false, tokio::time::sleep(BEAT + BEAT / 2), &write);
        assert_eq!(goes_on.await, Some(()), "a memory that is being saved");
    }
}
