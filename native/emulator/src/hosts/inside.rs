//! The inside of a process that was made for one VM, or for one probe, and runs no program of its own: a fork, or a native child of HarmonyOS.
//!
//! What it is to do it learns from an [`Order`], what it has to say goes out as [`Word`]s over its control socket, a line of JSON each. A byte that
//! comes in asks for the VM's end; when the socket is hung up, its parent is gone, and it ends at once.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::stat::Mode;
use sampan_message::{Coded, Message};
use serde::{Deserialize, Serialize};

use super::wire;
use crate::LaunchError;
use crate::copies::LibraryCopy;
use crate::fault::HostFault;
use crate::ffi::{Exited, Phase, Qemu};
use crate::probe::Question;
use crate::sandbox::{Access, Allowed, Confinement, LockInError, lock_in};
use crate::spec::{c_args, host_args};

/// The name of the socket that orders and words go over.
pub(super) const CONTROL: &str = "control";
/// The name of the socket that QEMU prints to.
pub(super) const LOG: &str = "log";

/// An order as bytes: more than any machine's arguments.
const LONGEST_ORDER: usize = 4 << 20;

/// The exit status of a process whose parent is gone: nobody reads it.
const ORPHANED: i32 = 3;
/// Of one whose order could not be obeyed; the word says why.
const REFUSED: i32 = 4;
/// Of one that panicked.
const PANICKED: i32 = 101;

/// What is to be done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// Answer, with nothing.
    Greet,
    /// Answer a probe's question.
    Ask(String),
    /// Run a VM.
    Run(Box<Run>),
}

/// A VM.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) library: Text,
    pub(super) firmware: Text,
    /// QEMU's arguments.
    pub(super) args: Vec<Text>,
    /// The names of the descriptors that come with it, in their order.
    pub(super) fds: Vec<String>,
    /// What the process locks itself in to.
    pub(super) lock: Option<Lock>,
}

/// The files come after the named descriptors.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lock {
    pub(super) network: bool,
    /// What may be done with each, as [`Access::option`] names it.
    pub(super) files: Vec<String>,
}

/// A path or an argument, which need not be UTF-8.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl<T: AsRef<std::ffi::OsStr>> From<T> for Text {
    fn from(text: T) -> Self {
        match text.as_ref().to_str() {
            Some(text) => Self::Utf8(text.to_owned()),
            None => Self::Bytes(text.as_ref().as_bytes().to_vec()),
        }
    }
}

impl From<Text> for OsString {
    fn from(text: Text) -> Self {
        match text {
            Text::Utf8(text) => text.into(),
            Text::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

/// What is said.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    /// The answer to a question, as bytes.
    Answer(Vec<u8>),
    /// QEMU has been called.
    Started,
    /// It has not, and why.
    Refused(Message),
    /// QEMU has ended with this status.
    Ended(i32),
}

/// An order and what came with it.
struct Given {
    fds: Vec<(String, OwnedFd)>,
    files: Vec<OwnedFd>,
}

/// The rest of a forked child's life. It has settled: one thread, nobody else's locks.
pub(super) fn forked(control: OwnedFd) -> ! {
    // Where the program's log goes is not this process's.
    log::set_max_level(log::LevelFilter::Off);
    let control = UnixStream::from(control);
    let status = catch_unwind(AssertUnwindSafe(|| match read_order(&control) {
        Ok((order, given)) => obey(order, given, &control),
        // The parent went away, or is another version: then it hears nothing from here, and says so.
        Err(_) => ORPHANED,
    }));
    end(status.unwrap_or(PANICKED))
}

/// The life of a native child: `parameters` are an order, the descriptors have their names. Returns never.
pub(super) fn native(parameters: &[u8], mut fds: Vec<(String, OwnedFd)>) -> ! {
    let status = catch_unwind(AssertUnwindSafe(|| {
        let Some(at) = fds.iter().position(|(name, _)| name == CONTROL) else { return ORPHANED };
        let control = UnixStream::from(fds.swap_remove(at).1);
        let Ok(order) = serde_json::from_slice::<Order>(parameters) else {
            say(&control, &Word::Refused(Message::saying(&HostFault::Misunderstood)));
            return REFUSED;
        };
        obey(order, Given { fds, files: Vec::new() }, &control)
    }));
    end(status.unwrap_or(PANICKED))
}

fn end(status: i32) -> ! {
    // SAFETY: no pointers. Nothing is left to be flushed, and the exit handlers of libraries that QEMU's remaining threads still use must not run.
    unsafe { libc::_exit(status) }
}

/// What [`send_order`] sends.
fn read_order(control: &UnixStream) -> io::Result<(Order, Given)> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut length = [0; 4];
    (&*control).read_exact(&mut length)?;
    let length = u32::from_ne_bytes(length) as usize;
    if length > LONGEST_ORDER {
        return Err(invalid());
    }
    let mut bytes = vec![0; length];
    (&*control).read_exact(&mut bytes)?;
    let order: Order = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    let (names, files) = match &order {
        Order::Greet | Order::Ask(_) => (Vec::new(), 0),
        Order::Run(run) => (run.fds.clone(), run.lock.as_ref().map_or(0, |lock| lock.files.len())),
    };
    let mut arrived = Vec::new();
    while arrived.len() < names.len() + files {
        let (got, mut passed) = wire::receive(control.as_raw_fd(), &mut [0], wire::MOST)?;
        // SAFETY: the kernel made each for this process.
        let new = std::iter::from_fn(|| passed.take()).map(|number| unsafe { OwnedFd::from_raw_fd(number) });
        let before = arrived.len();
        arrived.extend(new);
        if got == 0 || arrived.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let files = arrived.split_off(names.len());
    let fds = names.into_iter().zip(arrived).collect();
    Ok((order, Given { fds, files }))
}

/// The order, then its descriptors, as many in a message as fit.
pub(super) fn send_order(control: &UnixStream, order: &Order, fds: &[RawFd]) -> io::Result<()> {
    let bytes = serde_json::to_vec(order)?;
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    if bytes.len() > LONGEST_ORDER {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    (&*control).write_all(&length.to_ne_bytes())?;
    (&*control).write_all(&bytes)?;
    for some in fds.chunks(wire::MOST) {
        wire::send(control.as_raw_fd(), &[0], some)?;
    }
    Ok(())
}

fn say(control: &UnixStream, word: &Word) {
    let mut line = serde_json::to_vec(word).unwrap_or_default();
    line.push(b'\n');
    // Nobody is there to hear that nobody is there.
    let _ = (&*control).write_all(&line);
}

/// Returns the process's exit status.
fn obey(order: Order, given: Given, control: &UnixStream) -> i32 {
    match order {
        Order::Greet => {
            say(control, &Word::Answer(Vec::new()));
            0
        }
        Order::Ask(name) => {
            let answer = Question::named(&name).and_then(Question::by_system_calls);
            let word = match answer {
                Some(answer) => Word::Answer(answer().to_bytes().to_vec()),
                None => Word::Refused(Message::saying(&HostFault::Misunderstood)),
            };
            say(control, &word);
            0
        }
        Order::Run(run) => match run.begin(given) {
            Ok((vm, _log)) => {
                // Its threads are not waited for: the process ends.
                let vm = ManuallyDrop::new(vm);
                say(control, &Word::Started);
                let status = follow(&vm, control);
                say(control, &Word::Ended(status));
                status
            }
            Err(why) => {
                say(control, &Word::Refused(why));
                REFUSED
            }
        },
    }
}

impl Run {
    /// Starts QEMU; gives its log back, which is this process's stderr too.
    fn begin(self, Given { fds, files }: Given) -> Result<(crate::ffi::Vm, OwnedFd), Message> {
        let launch = |error: LaunchError| error.message();
        let system = |what| move |error: Errno| LaunchError::system(what)(error).message();
        // What QEMU makes is its user's alone.
        nix::sys::stat::umask(Mode::S_IRWXG | Mode::S_IRWXO);
        let mut log = None;
        let mut chardevs = Vec::new();
        for (name, fd) in fds {
            match &*name {
                LOG => log = Some(fd),
                _ => chardevs.push((name, fd)),
            }
        }
        let log = log.ok_or_else(|| Message::saying(&HostFault::Misunderstood))?;
        // A failed assertion is printed to stderr: those are QEMU's words too.
        nix::unistd::dup2_stderr(&log).map_err(system("duplicating a socket"))?;
        let firmware = PathBuf::from(OsString::from(self.firmware));
        let args: Vec<OsString> = self.args.into_iter().map(OsString::from).collect();
        let numbers = chardevs.iter().map(|(name, fd)| (name.as_str(), fd.as_raw_fd()));
        let args = c_args(host_args(&args, &firmware, numbers)).map_err(launch)?;
        let library = only_run(PathBuf::from(OsString::from(self.library)));
        let qemu = Qemu::of(library.load().map_err(launch)?).map_err(launch)?;
        for (_, fd) in chardevs {
            let _closed_by_qemu = fd.into_raw_fd();
        }
        // Loaded before, as the library's own file is not QEMU's business; every thread of QEMU's comes after.
        if let Some(lock) = self.lock {
            lock.lock_in(&firmware, files)?;
        }
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(system("making an eventfd"))?;
        let vm = qemu.start(args, "qemu", event.into(), log.as_fd()).map_err(launch)?;
        Ok((vm, log))
    }
}

impl Lock {
    fn lock_in(self, firmware: &Path, files: Vec<OwnedFd>) -> Result<(), Message> {
        let files = self.files.iter().zip(files).map(|(option, fd)| {
            let path = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default();
            let access =
                Access::of_option(option).ok_or_else(|| Message::saying(&HostFault::Misunderstood))?;
            Allowed::of(fd, &path, access)
                .map_err(|e| LockInError::Path { path, reason: e.to_string() }.message())
        });
        let confinement = Confinement { files: files.collect::<Result<_, _>>()?, network: self.network };
        let locked = lock_in(firmware, &confinement).map_err(|e| e.message())?;
        for missing in locked.missing {
            // The log, where QEMU's own words go.
            let _ = writeln!(io::stderr(), "sampan: {missing}");
        }
        Ok(())
    }
}

/// The library for a process that runs it once. Our own loader asks nothing of the dynamic linker, so it comes first where it serves.
fn only_run(path: PathBuf) -> LibraryCopy {
    let ours = cfg!(any(target_env = "musl", target_env = "ohos")) && sampan_loader::check(&path).is_ok();
    if ours { LibraryCopy::afresh(path) } else { LibraryCopy::the_file_itself(path) }
}

/// Waits for QEMU's end; its status.
fn follow(vm: &crate::ffi::Vm, control: &UnixStream) -> i32 {
    loop {
        let mut fds = [
            PollFd::new(control.as_fd(), PollFlags::POLLIN),
            PollFd::new(vm.event().as_fd(), PollFlags::POLLIN),
        ];
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            continue; // EINTR
        }
        if fds[0].any() == Some(true) {
            match (&*control).read(&mut [0; 16]) {
                Ok(1..) => vm.terminate(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A VM that nobody holds would keep its disks locked.
                _ => end(ORPHANED),
            }
        }
        if fds[1].any() == Some(true) {
            let _ = nix::unistd::read(vm.event(), &mut [0; 8]);
            let state = vm.state();
            if state.exited != Exited::No || state.phase == Phase::Ended {
                return state.status;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_arrives_with_its_descriptors_in_their_order() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let files: Vec<_> = (0..150).map(|_| tempfile::tempfile().unwrap()).collect();
        let run = Run {
            library: "/l.so".into(),
            firmware: OsString::from_vec(b"/fw\xff".to_vec()).into(),
            args: vec!["-m".into(), "64".into()],
            fds: vec!["qmp".into(), "log".into()],
            lock: Some(Lock { network: false, files: vec!["--read".into(); 148] }),
        };
        let order = Order::Run(Box::new(run));
        let numbers: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
        send_order(&ours, &order, &numbers).unwrap();
        let (arrived, given) = read_order(&theirs).unwrap();
        assert_eq!(arrived, order);
        let names: Vec<_> = given.fds.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, given.files.len()), (vec!["qmp", "log"], 148));
        let inode = |fd: &dyn AsFd| nix::sys::stat::fstat(fd.as_fd()).unwrap().st_ino;
        let all = given.fds.iter().map(|(_, fd)| fd).chain(&given.files);
        assert!(all.zip(&files).all(|(there, here)| inode(there) == inode(here)));
    }

    #[test]
    fn half_an_order_and_one_that_is_too_long_are_errors() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(&u32::MAX.to_ne_bytes()).unwrap();
        assert_eq!(read_order(&theirs).err().unwrap().kind(), io::ErrorKind::InvalidData);
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(&[9, 0, 0, 0, b'{']).unwrap();
        drop(ours);
        assert_eq!(read_order(&theirs).err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }
}
