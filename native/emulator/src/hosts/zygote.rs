//! The process that forked hosts are made by: a *zygote*, itself a fork of this program, made early.
//!
//! A fork copies one thread. What other threads had locked at that moment stays locked in the copy for ever, so the child of a process with
//! threads may make async-signal-safe calls alone (fork(2), signal-safety(7)). The zygote keeps to that: what this file does after the fork is system calls on
//! memory of its stack. It has one thread, so what it forks in turn is the fork of a process without threads, which may allocate, load and start
//! threads once it has settled. What remains is the moment of the first fork. libc takes its own locks around it (glibc `sysdeps/nptl/fork.c`, musl
//! `src/process/fork.c`); of ours none is held when the zygote is made before there are machines. Whoever starts a host waits for its word with a limit all the same.
//!
//! No call that OpenHarmony's filter ends a process for is made: `close_range`, `clone3`, `pidfd_open`, `signalfd`. Ends are waited for by `ppoll` and SIGCHLD.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use libc::{c_int, pid_t};
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};
use parking_lot::Mutex;

use super::inside;
use super::wire::{receive, send};
use crate::descriptor::forget_descriptors;

/// Hosts at once: as many as HarmonyOS allows native child processes.
const MOST: usize = 50;

/// How long the zygote may take to fork; it does nothing else.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the zygote is asked, and what it answers: four numbers. Which they are says the first.
type Numbers = [i32; 4];
const BYTES: usize = size_of::<Numbers>();

/// `[FORK, number of the request, 0, 0]`, with the descriptor of the host's end of a socket.
const FORK: i32 = 1;
/// `[KILL, 0, pid, signal]`.
const KILL: i32 = 2;
/// `[FORKED, number of the request, pid, 0]`.
const FORKED: i32 = 3;
/// `[REFUSED, number of the request, 0, errno]`.
const REFUSED: i32 = 4;
/// `[ENDED, 0, pid, status]`, the status as wait(2) gives it.
const ENDED: i32 = 5;

fn to_bytes(numbers: Numbers) -> [u8; BYTES] {
    // SAFETY: both are plain numbers of the same size.
    unsafe { mem::transmute(numbers) }
}

fn to_numbers(bytes: [u8; BYTES]) -> Numbers {
    // SAFETY: as above.
    unsafe { mem::transmute(bytes) }
}

/// A process that was forked.
pub(super) struct Forked {
    /// Its id, as long as it has not ended.
    pub(super) pid: i32,
    /// Gives its wait status in four bytes when it ends; none, when the zygote did.
    pub(super) ended: UnixStream,
}

/// This process's side. Dropped, it takes the zygote and all its children along.
pub(super) struct Zygote {
    pid: pid_t,
    socket: OwnedFd,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    last: i32,
    waiting: HashMap<i32, Waiting>,
    running: HashMap<pid_t, UnixStream>,
    /// The zygote has ended, and with it all its children.
    gone: bool,
}

struct Waiting {
    reply: SyncSender<Result<pid_t, i32>>,
    ended: UnixStream,
}

impl Zygote {
    /// Makes it. The earlier the better: see above.
    pub(super) fn start() -> io::Result<Arc<Self>> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let reader = ours.try_clone()?;
        let (told, made) = sync_channel(1);
        // The zygote's parent, to PR_SET_PDEATHSIG, is the thread that made it; so that is the one that stays.
        thread::Builder::new().name("sampan-zygote".into()).spawn(move || {
            let forked = fork_zygote(&theirs);
            drop(theirs);
            match forked {
                Ok(pid) => {
                    let zygote = Arc::new(Self { pid, socket: ours, table: Mutex::default() });
                    let listener = Arc::downgrade(&zygote);
                    let _ = told.send(Ok(zygote));
                    listen(&reader, &listener);
                    reap(pid);
                }
                Err(error) => drop(told.send(Err(error))),
            }
        })?;
        made.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?
    }

    /// The zygote's process.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it can make no process any more.
    pub(super) fn is_gone(&self) -> bool {
        self.table.lock().gone
    }

    /// A new process, which goes on in [`inside::forked`] with this end of a socket.
    pub(super) fn fork(&self, control: &OwnedFd) -> io::Result<Forked> {
        let (ours, theirs) = UnixStream::pair()?;
        let (reply, answer) = sync_channel(1);
        let number = {
            let mut table = self.table.lock();
            if table.gone {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            table.last = table.last.wrapping_add(1);
            let number = table.last;
            table.waiting.insert(number, Waiting { reply, ended: theirs });
            number
        };
        let asked = send(self.socket.as_raw_fd(), &to_bytes([FORK, number, 0, 0]), &[control.as_raw_fd()]);
        if let Err(error) = asked {
            self.table.lock().waiting.remove(&number);
            return Err(error);
        }
        match answer.recv_timeout(PATIENCE) {
            Ok(Ok(pid)) => Ok(Forked { pid, ended: ours }),
            Ok(Err(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Err(_) => {
                self.table.lock().waiting.remove(&number);
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// Sends a signal to a child that has not ended; does nothing otherwise.
    pub(super) fn kill(&self, pid: pid_t, signal: c_int) {
        let _ = send(self.socket.as_raw_fd(), &to_bytes([KILL, 0, pid, signal]), &[]);
    }

    fn heard(&self, [what, number, pid, value]: Numbers) {
        let mut table = self.table.lock();
        match what {
            FORKED => {
                let asked = table.waiting.remove(&number);
                let wanted = asked.is_some_and(|Waiting { reply, ended }| {
                    table.running.insert(pid, ended);
                    reply.send(Ok(pid)).is_ok()
                });
                drop(table);
                if !wanted {
                    self.kill(pid, libc::SIGKILL);
                }
            }
            REFUSED => {
                if let Some(asked) = table.waiting.remove(&number) {
                    let _ = asked.reply.send(Err(value));
                }
            }
            ENDED => {
                if let Some(mut ended) = table.running.remove(&pid) {
                    // Four bytes fit into an empty socket.
                    let _ = io::Write::write_all(&mut ended, &value.to_ne_bytes());
                }
            }
            _ => {}
        }
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // The listener has a descriptor of its own for the same socket.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
    }
}

/// Hears the zygote until one of the two is gone.
fn listen(socket: &OwnedFd, zygote: &Weak<Zygote>) {
    let mut bytes = [0; BYTES];
    while let Ok((BYTES, _)) = receive(socket.as_raw_fd(), &mut bytes, 0) {
        match zygote.upgrade() {
            Some(zygote) => zygote.heard(to_numbers(bytes)),
            None => break,
        }
    }
    if let Some(zygote) = zygote.upgrade() {
        let mut table = zygote.table.lock();
        table.gone = true;
        // Whoever waits for an answer or an end hears that there will be none.
        table.waiting.clear();
        table.running.clear();
    }
}

/// Leaves no zombie; a program that waits for all its children may have been first.
fn reap(pid: pid_t) {
    let mut status = 0;
    // SAFETY: it is our child and not reaped yet, or nobody's, and then these are errors.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        while libc::waitpid(pid, &mut status, 0) < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
}

fn fork_zygote(socket: &OwnedFd) -> io::Result<pid_t> {
    // SAFETY: the child calls nothing that is not async-signal-safe and never returns; the masks are written before they are read.
    unsafe {
        let parent = libc::getpid();
        let (mut all, mut before) = (mem::zeroed(), mem::zeroed());
        libc::sigfillset(&mut all);
        // No handler of this program runs in the child.
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let pid = libc::fork();
        if pid == 0 {
            zygote(socket.as_raw_fd(), parent);
        }
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        if pid < 0 { Err(error) } else { Ok(pid) }
    }
}

extern "C" fn ignore(_: c_int) {}

/// The zygote's life. System calls alone.
///
/// # Safety
/// In the child of a fork, which ends here.
unsafe fn zygote(socket: RawFd, parent: pid_t) -> ! {
    // SAFETY: calls with numbers, constant texts, and variables of this stack.
    unsafe {
        die_with(parent);
        libc::prctl(libc::PR_SET_NAME, c"sampan-zygote".as_ptr());
        // Ctrl-C in a terminal is for this program, which then asks its VMs to end.
        libc::setpgid(0, 0);
        // Handlers are the program's; those of its crashes would report ours as its own.
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::signal(libc::SIGCHLD, ignore as extern "C" fn(c_int) as libc::sighandler_t);
        forget_descriptors(socket);
        serve(socket)
    }
}

/// However the parent dies, so does this process.
///
/// # Safety
/// None of its own; it ends a process whose parent is gone.
unsafe fn die_with(parent: pid_t) {
    // SAFETY: no pointers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // It may have died before the call.
        if libc::getppid() != parent {
            libc::_exit(1);
        }
    }
}

/// Forks, kills and reaps until the parent hangs up.
///
/// # Safety
/// See [`zygote`].
unsafe fn serve(socket: RawFd) -> ! {
    // SAFETY: calls with numbers and variables of this stack; SIGCHLD is open to `ppoll` alone, so that none is missed before it.
    unsafe {
        let mut children = [0; MOST];
        let (mut masked, mut open) = (mem::zeroed(), mem::zeroed());
        libc::sigemptyset(&mut open);
        libc::sigemptyset(&mut masked);
        libc::sigaddset(&mut masked, libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_SETMASK, &masked, ptr::null_mut());
        loop {
            report_ends(socket, &mut children);
            let mut fds = libc::pollfd { fd: socket, events: libc::POLLIN, revents: 0 };
            if libc::ppoll(&mut fds, 1, ptr::null(), &open) <= 0 {
                continue;
            }
            let mut bytes = [0; BYTES];
            match receive(socket, &mut bytes, 1) {
                Ok((BYTES, mut passed)) => {
                    let control = passed.take();
                    obey(socket, to_numbers(bytes), control, &mut children);
                }
                // Children end with this process.
                _ => libc::_exit(0),
            }
        }
    }
}

/// # Safety
/// See [`zygote`].
unsafe fn obey(
    socket: RawFd,
    [what, number, pid, signal]: Numbers,
    control: Option<RawFd>,
    children: &mut [pid_t; MOST],
) {
    let answer = |numbers: Numbers| drop(send(socket, &to_bytes(numbers), &[]));
    // SAFETY: calls with numbers; the child of the fork goes its own way.
    unsafe {
        match (what, control) {
            (FORK, Some(control)) => {
                let place = children.iter().position(|child| *child == 0);
                match place {
                    None => answer([REFUSED, number, 0, libc::EAGAIN]),
                    Some(place) => {
                        let itself = libc::getpid();
                        let pid = libc::fork();
                        if pid == 0 {
                            settle(socket, itself);
                            inside::forked(OwnedFd::from_raw_fd(control));
                        }
                        // Of the last call, or 0 and not looked at.
                        let errno = *errno();
                        if pid < 0 {
                            answer([REFUSED, number, 0, errno]);
                        } else {
                            children[place] = pid;
                            answer([FORKED, number, pid, 0]);
                        }
                    }
                }
            }
            (KILL, _) if pid > 0 && children.contains(&pid) => {
                libc::kill(pid, signal);
            }
            _ => {}
        }
        if let Some(control) = control {
            libc::syscall(libc::SYS_close, control);
        }
    }
}

/// What a new child does before it is a process like any other.
///
/// # Safety
/// In the child of the zygote's fork.
unsafe fn settle(socket: RawFd, parent: pid_t) {
    // SAFETY: calls with numbers and variables of this stack.
    unsafe {
        die_with(parent);
        libc::syscall(libc::SYS_close, socket);
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        // A peer that hangs up is an error of write().
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        let mut open = mem::zeroed();
        libc::sigemptyset(&mut open);
        libc::pthread_sigmask(libc::SIG_SETMASK, &open, ptr::null_mut());
    }
}

/// # Safety
/// See [`zygote`].
unsafe fn report_ends(socket: RawFd, children: &mut [pid_t; MOST]) {
    loop {
        let mut status = 0;
        // SAFETY: the status is written where a child has ended.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid <= 0 {
            return;
        }
        if let Some(place) = children.iter_mut().find(|child| **child == pid) {
            *place = 0;
            let _ = send(socket, &to_bytes([ENDED, 0, pid, status]), &[]);
        }
    }
}

fn errno() -> *mut c_int {
    // SAFETY: it is this thread's own variable.
    #[cfg(any(target_env = "gnu", target_env = "musl", target_env = "ohos"))]
    unsafe {
        libc::__errno_location()
    }
}
