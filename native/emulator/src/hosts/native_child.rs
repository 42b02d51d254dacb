//! VMs in HarmonyOS's native child processes: the system makes a process of a library of the app's package, and passes it a text and named
//! descriptors (`AbilityKit/native_child_process.h`, API 13).
//!
//! What calls the system is behind [`NativeChildren`], which `ohos` serves: this crate knows no NDK.

use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::stat::fstat;
use parking_lot::Mutex;
use sampan_config::HostKind;
use sampan_message::Message;

use super::inside::{self, CONTROL, Order, Word};
use super::remote::{Heard, LOADING, Sockets, Words, order};
use crate::fault::HostFault;
use crate::launch::{KillError, Stop};
use crate::probe::{Probe, Question, Silence, probe_by};
use crate::{Control, Exit, LaunchError, LaunchSpec, Launcher, LibqemuDir, OnExit, Running};

/// The library of the package that such a process is made of; its entry is `Main`.
pub const HOST_LIBRARY: &str = "libsampanhost.so";
const ENTRY: &str = "libsampanhost.so:Main";

/// What the system takes at most: bytes of text, and descriptors.
const MOST_TEXT: usize = 150 << 10;
const MOST_FDS: usize = 16;

/// The system's native child processes.
pub trait NativeChildren: Send + Sync {
    /// Whether this app may have some, as far as the system tells before one is tried.
    ///
    /// # Errors
    /// Why not.
    fn supported(&self) -> Result<(), ChildRefused>;

    /// Starts one with this text and these descriptors by name; its process id. The numbers stay the caller's where the system does not take
    /// them for its own. It blocks.
    ///
    /// # Errors
    /// What the system said.
    fn start(&self, entry: &str, text: &CString, fds: &[(CString, RawFd)]) -> Result<i32, ChildRefused>;

    /// Ends one, if the system does that.
    fn kill(&self, pid: i32);
}

/// Why there is no native child process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildRefused {
    /// The system has no such function: it is older than API 13, or no HarmonyOS.
    Missing(String),
    /// It says that this device offers none.
    NotSupported,
    /// Its error code.
    Code(i32),
}

impl ChildRefused {
    fn fault(&self) -> HostFault {
        // `Ability_NativeChildProcess_ErrCode`.
        match self {
            Self::Missing(why) => HostFault::NoNativeChildren { why: why.clone() },
            Self::NotSupported | Self::Code(801) => HostFault::NotOnThisDevice,
            Self::Code(16_010_004) => HostFault::SeveralProcessesOff,
            Self::Code(16_010_005) => HostFault::WithinAChild,
            Self::Code(16_010_006) => HostFault::TooManyChildren,
            Self::Code(16_010_007) => HostFault::NoHostLibrary { library: HOST_LIBRARY.into() },
            Self::Code(code) => HostFault::RefusedWith { code: code.unsigned_abs() },
        }
    }

    fn of(self) -> LaunchError {
        LaunchError::Host { host: HostKind::NativeChild, reason: Message::saying(&self.fault()) }
    }
}

/// Runs each VM in a native child process. The system confines it, and ends it with the app.
pub struct NativeChildHost {
    dir: LibqemuDir,
    system: Arc<dyn NativeChildren>,
}

impl std::fmt::Debug for NativeChildHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeChildHost").field("dir", &self.dir).finish()
    }
}

impl NativeChildHost {
    /// Asks first whether the app may have such processes.
    ///
    /// # Errors
    /// [`LaunchError::Host`]: it may not. Where the system cannot be asked, which is so below API 26, the first start tells.
    pub fn new(dir: LibqemuDir, system: Arc<dyn NativeChildren>) -> Result<Self, LaunchError> {
        system.supported().map_err(ChildRefused::of)?;
        Ok(Self { dir, system })
    }

    /// Makes a process that only answers: whether there can be one. It blocks, for as long as the system takes.
    ///
    /// # Errors
    /// [`LaunchError::Host`].
    pub fn try_out(&self) -> Result<(), LaunchError> {
        let mut host = self.order(&Order::Greet, Vec::new()).map_err(refused)?;
        let answered = host.word(|word| matches!(word, Word::Answer(_)));
        answered.map_err(|why| self.give_up(&host, why))
    }

    /// A process that did not what it was told.
    fn give_up(&self, host: &Host, why: Message) -> LaunchError {
        self.system.kill(host.pid);
        refused(why)
    }

    /// A process that was given this order and these descriptors.
    fn order(&self, order: &Order, fds: Vec<(String, OwnedFd)>) -> Result<Host, Message> {
        let fault = |fault: HostFault| Message::saying(&fault);
        let no_socket = |e: std::io::Error| fault(HostFault::NotHeard { why: e.to_string() });
        let text = serde_json::to_vec(order).map_err(|_| fault(HostFault::Misunderstood))?;
        if text.len() > MOST_TEXT {
            return Err(fault(HostFault::TooLong { bytes: text.len(), most: MOST_TEXT }));
        }
        if fds.len() >= MOST_FDS {
            return Err(fault(HostFault::TooManyFds { count: fds.len() + 1, most: MOST_FDS }));
        }
        // JSON has no NUL, and names are checked (`LaunchSpec::check`).
        let text = CString::new(text).map_err(|_| fault(HostFault::Misunderstood))?;
        let (control, theirs) = UnixStream::pair().map_err(no_socket)?;
        let mut passed = Vec::new();
        for (name, fd) in std::iter::once((CONTROL.to_owned(), theirs.into())).chain(fds) {
            let name = CString::new(name).map_err(|_| fault(HostFault::Misunderstood))?;
            passed.push((name, Lent::of(fd).map_err(no_socket)?));
        }
        let numbers: Vec<_> = passed.iter().map(|(name, lent)| (name.clone(), lent.number)).collect();
        let started = self.system.start(ENTRY, &text, &numbers);
        drop(passed);
        let pid = started.map_err(|refused| fault(refused.fault()))?;
        let words = Words::of(&control).map_err(no_socket)?;
        Ok(Host { pid, control, words })
    }

    fn ask(&self, question: Question, patience: Duration) -> Result<Vec<u8>, Silence> {
        let order = Order::Ask(question.name().to_owned());
        let mut host = self
            .order(&order, Vec::new())
            .map_err(|why| Silence(format!("had no process: {}", why.message)))?;
        // The process is new: it has an app's start before it.
        match host.words.next(LOADING.max(patience)) {
            Heard::Word(Word::Answer(bytes)) => Ok(bytes),
            Heard::Word(Word::Refused(why)) => Err(Silence(why.message)),
            Heard::Word(_) => Err(Silence("gave another answer".into())),
            Heard::End => Err(Silence("died".into())),
            Heard::Fault(why) => {
                self.system.kill(host.pid);
                Err(Silence(why.to_string()))
            }
        }
    }
}

fn refused(reason: Message) -> LaunchError {
    LaunchError::Host { host: HostKind::NativeChild, reason }
}

/// A descriptor under a number that the system may take for its own: whether it closes it is not written anywhere.
struct Lent {
    number: RawFd,
    ours: OwnedFd,
}

impl Lent {
    fn of(fd: OwnedFd) -> std::io::Result<Self> {
        Ok(Self { ours: fd.try_clone()?, number: fd.into_raw_fd() })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: borrowed for fstat alone, which answers EBADF for a number that is not open.
        let theirs = unsafe { BorrowedFd::borrow_raw(self.number) };
        // A socket's inode is its own.
        let same = match (fstat(theirs), fstat(&self.ours)) {
            (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
            _ => false,
        };
        if same {
            // SAFETY: it is open, it is the socket that we made it for, and nobody else owns it.
            drop(unsafe { OwnedFd::from_raw_fd(self.number) });
        }
    }
}

struct Host {
    pid: i32,
    control: UnixStream,
    words: Words,
}

impl Host {
    /// Waits for such a word.
    fn word(&mut self, wanted: impl FnOnce(&Word) -> bool) -> Result<(), Message> {
        let fault = |fault: HostFault| Err(Message::saying(&fault));
        match self.words.next(LOADING) {
            Heard::Word(word) if wanted(&word) => Ok(()),
            Heard::Word(Word::Refused(why)) => Err(why),
            Heard::Word(_) => fault(HostFault::Misunderstood),
            Heard::Fault(why) => fault(why),
            Heard::End => fault(HostFault::Died { how: "the system does not tell how".into() }),
        }
    }
}

impl Launcher for NativeChildHost {
    fn launch(&self, spec: LaunchSpec, on_exit: OnExit) -> Result<Running, LaunchError> {
        spec.check()?;
        // The system has confined it; a rule of ours would need privileges that it has not.
        let mut run = order(&self.dir, &spec, Vec::new(), None)?;
        let sockets = Sockets::new(spec.extra_fds)?;
        run.fds = sockets.names();
        let Sockets { qmp, serial, log, mut tee, theirs } = sockets;
        let mut host = self.order(&Order::Run(Box::new(run)), theirs).map_err(refused)?;
        let started = host.word(|word| *word == Word::Started);
        started.map_err(|why| self.give_up(&host, why))?;

        let Host { pid, control, mut words } = host;
        let system = Arc::clone(&self.system);
        let process = Arc::new(Process { system, pid, control: Mutex::new(Some(control)) });
        let watched = Arc::clone(&process);
        let watch = move || {
            let exit = loop {
                tee.wait(words.fd(), None);
                match words.next(Duration::from_secs(1)) {
                    Heard::Word(Word::Ended(0)) => break Exit::Clean,
                    Heard::Word(Word::Ended(status)) => {
                        break Exit::Failed { status, message: tee.words() };
                    }
                    // The callbacks for ends are not to be relied on: the end of the socket is the end.
                    Heard::End => break Exit::Vanished { message: tee.words() },
                    Heard::Word(_) | Heard::Fault(_) => {}
                }
            };
            watched.control.lock().take();
            on_exit(exit);
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
    system: Arc<dyn NativeChildren>,
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
        let control = self.control.lock();
        if let Some(control) = &*control {
            self.system.kill(self.pid);
            // Below API 22 the system ends none: the process ends itself when it is hung up on.
            let _ = nix::sys::socket::shutdown(control.as_raw_fd(), nix::sys::socket::Shutdown::Write);
        }
        Ok(())
    }
}

/// What the library's `Main` does with what it was passed: runs what it was told to, and ends the process.
pub fn run_native_child(parameters: &[u8], fds: Vec<(String, OwnedFd)>) -> ! {
    // SAFETY: no handler is installed; a peer that hangs up is an error of write() from now on.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    inside::native(parameters, fds)
}
