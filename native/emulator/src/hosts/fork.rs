//! VMs in forked processes, without another program: for phones, which refuse native child processes.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use sampan_config::HostKind;
use sampan_message::Message;

use super::inside::{Lock, Order, Word, send_order};
use super::remote::{Heard, LOADING, Sockets, Words, order, wait};
use super::zygote::{Forked, Zygote};
use crate::child::exit_of;
use crate::fault::HostFault;
use crate::launch::{KillError, Stop};
use crate::probe::{Probe, Question, Silence, probe_by};
use crate::{Control, Exit, LaunchError, LaunchSpec, Launcher, LibqemuDir, OnExit, Running};

/// How long a process that has hung up may take until its end is told.
const DYING: Duration = Duration::from_secs(5);

/// Runs each VM in a process that is a fork of this program. It dies alone of whatever QEMU does, and with this process.
///
/// The forks are made by a helper process that is itself a fork of this program, made by [`ForkHost::new`]: do that early, before there are
/// machines and many threads (`hosts/zygote.rs` tells why). It keeps the memory that the program had then, as far as that changes later.
pub struct ForkHost {
    dir: LibqemuDir,
    zygote: Mutex<Arc<Zygote>>,
}

impl std::fmt::Debug for ForkHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForkHost").field("dir", &self.dir).field("helper", &self.helper()).finish()
    }
}

impl ForkHost {
    /// Makes the helper process.
    ///
    /// # Errors
    /// [`LaunchError::System`]: this system lets the program make no process.
    pub fn new(dir: LibqemuDir) -> Result<Self, LaunchError> {
        let zygote = Zygote::start().map_err(LaunchError::system("forking a process"))?;
        Ok(Self { dir, zygote: Mutex::new(zygote) })
    }

    /// Makes a process that only answers: whether there can be one, and whether it settles. It blocks, for some milliseconds where all is well.
    ///
    /// # Errors
    /// [`LaunchError::Host`], [`LaunchError::System`].
    pub fn try_out(&self) -> Result<(), LaunchError> {
        let mut host = self.order(&Order::Greet, &[]).map_err(LaunchError::system("forking a process"))?;
        host.word(|word| matches!(word, Word::Answer(_)))
            .map_err(|reason| LaunchError::Host { host: HostKind::Fork, reason })
    }

    /// The helper process.
    pub fn helper(&self) -> i32 {
        self.zygote.lock().pid()
    }

    /// A new one where it was ended, by a system that wants memory for example.
    fn zygote(&self) -> io::Result<Arc<Zygote>> {
        let mut zygote = self.zygote.lock();
        if zygote.is_gone() {
            log::warn!("the process that makes forks has ended: another one is made");
            *zygote = Zygote::start()?;
        }
        Ok(Arc::clone(&zygote))
    }

    /// A process that was given this order, and its control socket.
    fn order(&self, order: &Order, fds: &[RawFd]) -> io::Result<Host> {
        let zygote = self.zygote()?;
        let (control, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        let forked = zygote.fork(&theirs)?;
        drop(theirs);
        let host = Host { zygote, forked, control };
        // A host that reads nothing does not keep us.
        host.control.set_write_timeout(Some(LOADING))?;
        match send_order(&host.control, order, fds) {
            Ok(()) => Ok(host),
            Err(error) => {
                host.kill();
                Err(error)
            }
        }
    }

    fn ask(&self, question: Question, patience: Duration) -> Result<Vec<u8>, Silence> {
        if question.by_system_calls().is_none() {
            return Err(Silence("needs a program of its own, which cannot be started here".into()));
        }
        let mut host = self
            .order(&Order::Ask(question.name().to_owned()), &[])
            .map_err(|e| Silence(format!("could not be forked: {e}")))?;
        let mut words = Words::of(&host.control).map_err(|e| Silence(format!("could not be heard: {e}")))?;
        let heard = words.next(patience);
        if let Heard::Word(Word::Answer(bytes)) = heard {
            return Ok(bytes);
        }
        let silent = matches!(heard, Heard::Fault(_));
        host.kill();
        Err(Silence(match host.end() {
            _ if silent => format!("gave no answer within {} s", patience.as_secs()),
            Some(status) => format!("died: {status}"),
            None => "did not end".to_owned(),
        }))
    }
}

/// A forked process that has its order.
struct Host {
    zygote: Arc<Zygote>,
    forked: Forked,
    control: UnixStream,
}

impl Host {
    fn kill(&self) {
        self.zygote.kill(self.forked.pid, libc::SIGKILL);
    }

    /// How it has ended, where it does so in time.
    fn end(&mut self) -> Option<ExitStatus> {
        if wait(&self.forked.ended, DYING) { status_of(&mut self.forked.ended) } else { None }
    }

    /// Waits for such a word. The process is ended where another one comes, or none.
    fn word(&mut self, wanted: impl FnOnce(&Word) -> bool) -> Result<(), Message> {
        let fault = |fault: HostFault| Message::saying(&fault);
        let mut words =
            Words::of(&self.control).map_err(|e| fault(HostFault::NotHeard { why: e.to_string() }))?;
        let why = match words.next(LOADING) {
            Heard::Word(word) if wanted(&word) => return Ok(()),
            Heard::Word(Word::Refused(why)) => why,
            Heard::Word(_) => fault(HostFault::Misunderstood),
            Heard::Fault(why) => fault(why),
            Heard::End => fault(HostFault::Died {
                how: self.end().map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string()),
            }),
        };
        self.kill();
        Err(why)
    }
}

/// `None`: the zygote ended, and took it along.
fn status_of(ended: &mut UnixStream) -> Option<ExitStatus> {
    let mut status = [0; 4];
    ended.read_exact(&mut status).ok()?;
    Some(ExitStatus::from_raw(i32::from_ne_bytes(status)))
}

impl Launcher for ForkHost {
    fn launch(&self, spec: LaunchSpec, on_exit: OnExit) -> Result<Running, LaunchError> {
        spec.check()?;
        let lock = spec.confinement.as_ref().map(|confinement| Lock {
            network: confinement.network,
            files: confinement.files.iter().map(|file| file.access().option().to_owned()).collect(),
        });
        let mut run = order(&self.dir, &spec, Vec::new(), lock)?;
        let sockets = Sockets::new(spec.extra_fds)?;
        run.fds = sockets.names();
        let mut numbers: Vec<RawFd> = sockets.theirs.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
        let files = spec.confinement.iter().flat_map(|confinement| &confinement.files);
        numbers.extend(files.map(|file| file.number()));
        let mut host = self
            .order(&Order::Run(Box::new(run)), &numbers)
            .map_err(LaunchError::system("forking a process"))?;
        let Sockets { qmp, serial, log, mut tee, theirs } = sockets;
        drop((theirs, spec.confinement));
        let started = host.word(|word| *word == Word::Started);
        started.map_err(|reason| LaunchError::Host { host: HostKind::Fork, reason })?;

        let Host { zygote, forked, control } = host;
        let Forked { pid, mut ended } = forked;
        let process = Arc::new(Process { zygote, pid, control: Mutex::new(Some(control)) });
        let watched = Arc::clone(&process);
        let watch = move || {
            tee.wait(std::os::fd::AsFd::as_fd(&ended), None);
            let status = status_of(&mut ended);
            // From here on the pid may be somebody else's.
            watched.control.lock().take();
            let message = tee.words();
            on_exit(match status {
                Some(status) => exit_of(status, message),
                // With the zygote, which does not outlive what killed it.
                None => Exit::Killed { signal: libc::SIGKILL, message },
            });
        };
        let spawned = thread::Builder::new().name(format!("vm:{}", spec.name)).spawn(watch);
        if let Err(error) = spawned {
            let _ = process.kill();
            return Err(LaunchError::system("starting a thread")(error));
        }
        Ok(Running { qmp, serial, log, control: Control(process) })
    }

    fn probe(&self, dir: Option<&LibqemuDir>) -> Probe {
        probe_by(|question, patience| self.ask(question, patience), dir)
    }
}

struct Process {
    zygote: Arc<Zygote>,
    pid: i32,
    /// `None` once it has ended.
    control: Mutex<Option<UnixStream>>,
}

impl Stop for Process {
    fn pid(&self) -> Option<u32> {
        u32::try_from(self.pid).ok()
    }

    fn terminate(&self) {
        if let Some(control) = &mut *self.control.lock() {
            let _ = control.write(b"t");
        }
    }

    fn kill(&self) -> Result<(), KillError> {
        if self.control.lock().is_some() {
            self.zygote.kill(self.pid, libc::SIGKILL);
        }
        Ok(())
    }
}
