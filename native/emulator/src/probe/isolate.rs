//! Runs a probe where it may crash, hang or be killed: in the helper program where there is one, else in a
//! forked copy of this process.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe2};

use super::Question;
use crate::descriptor::forget_descriptors;
use crate::environment;

/// Where a probe runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// In the `sampan-vmhost` program, started for it.
    Helper(PathBuf),
    /// In a forked child, where no other program may be started. Probes that need more than system calls
    /// are not asked there.
    Fork,
}

/// What a probe found: plain numbers, so that a forked child of a process with threads, which must not
/// allocate, can tell them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// 0: it works. Else the probe's number for the step that failed.
    pub(crate) failed_step: u32,
    /// Of that step; 0 when the system gave none.
    pub(crate) errno: i32,
    /// Two measurements of the probe's own.
    pub(crate) values: [u64; 2],
}

impl Answer {
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn failed(step: u32) -> Self {
        Self { failed_step: step, ..Self::default() }
    }

    pub(crate) fn failed_with(step: u32, errno: Errno) -> Self {
        Self { failed_step: step, errno: errno as i32, values: [0; 2] }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.failed_step.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.errno.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.values[0].to_le_bytes());
        bytes[16..].copy_from_slice(&self.values[1].to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let quad = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        if bytes.len() != Self::BYTES {
            return None;
        }
        let first = quad(0)?.to_le_bytes();
        Some(Self {
            failed_step: u32::from_le_bytes([first[0], first[1], first[2], first[3]]),
            errno: i32::from_le_bytes([first[4], first[5], first[6], first[7]]),
            values: [quad(8)?, quad(16)?],
        })
    }
}

/// A probe that gave no answer; in words that go after "the probe".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Silence(pub(crate) String);

/// More than any probe says.
const MOST: usize = 64 << 10;

/// How long a killed process may take to go; one that is stuck in the kernel is left behind.
const DYING: Duration = Duration::from_secs(2);

/// Asks and waits, at most until the deadline.
pub(crate) fn ask(isolation: &Isolation, question: Question, patience: Duration) -> Result<Vec<u8>, Silence> {
    let (from, to) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| Silence(format!("had no pipe: {e}")))?;
    let pid = match isolation {
        Isolation::Helper(program) => spawn(program, question, to)?,
        Isolation::Fork => fork_and_answer(question, &to).inspect(|_| drop(to))?,
    };
    let deadline = Instant::now() + patience;
    let mut said = Vec::new();
    let in_time = read_until(&mut File::from(from), &mut said, deadline);
    // It has said all it had to say or is too late, and owns nothing that is worth an orderly end.
    let end = reap(pid, if in_time { deadline } else { Instant::now() });
    match end {
        _ if !in_time => Err(Silence(format!("gave no answer within {} s", patience.as_secs()))),
        Some(WaitStatus::Exited(_, 0)) => Ok(said),
        Some(WaitStatus::Exited(_, status)) => Err(Silence(format!("ended with status {status}"))),
        Some(WaitStatus::Signaled(_, signal, _)) => Err(Silence(format!("died of {signal}"))),
        _ => Err(Silence("did not end".into())),
    }
}

fn spawn(program: &Path, question: Question, to: OwnedFd) -> Result<Pid, Silence> {
    let mut command = Command::new(program);
    command.arg("--probe").arg(question.name()).process_group(0);
    match question {
        Question::Gpu => environment::clear_but_for_gpus(&mut command),
        _ => environment::clear(&mut command),
    }
    command.stdin(Stdio::null()).stdout(to).stderr(Stdio::null());
    let child =
        command.spawn().map_err(|e| Silence(format!("could not start {}: {e}", program.display())))?;
    // Reaped by `reap`: Child's own Drop does not wait.
    Ok(Pid::from_raw(child.id().cast_signed()))
}

fn fork_and_answer(question: Question, to: &OwnedFd) -> Result<Pid, Silence> {
    let answer = question
        .by_system_calls()
        .ok_or_else(|| Silence("needs a process of its own, which cannot be started here".into()))?;
    // SAFETY: the child makes system calls only: no allocation, no lock, no destructor, and _exit at the end.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => Ok(child),
        Ok(ForkResult::Child) => {
            // Its locks are the open files': with copies of ours, an image would stay locked for as long as the probe takes.
            // SAFETY: nothing else runs in the child.
            unsafe { forget_descriptors(to.as_raw_fd()) };
            let bytes = answer().to_bytes();
            // SAFETY: valid for its length; a short write is seen by the parent as an answer too short.
            unsafe { libc::write(to.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
            // SAFETY: ends this process, which is the child.
            unsafe { libc::_exit(0) }
        }
        Err(e) => Err(Silence(format!("could not be forked: {e}"))),
    }
}

/// Reads to the end of file. False: the deadline came first, or there was too much.
fn read_until(from: &mut File, said: &mut Vec<u8>, deadline: Instant) -> bool {
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) => return false,
            Err(Errno::EINTR) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        match from.read(&mut buffer) {
            Ok(0) => return true,
            Ok(n) if said.len() + n <= MOST => said.extend_from_slice(&buffer[..n]),
            _ => return false,
        }
    }
}

/// Waits until `deadline`, then kills. `None`: not even that ended it.
fn reap(pid: Pid, deadline: Instant) -> Option<WaitStatus> {
    let mut killed = false;
    loop {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
            Ok(status) => return Some(status),
            Err(_) => return None,
        }
        let now = Instant::now();
        if now > deadline && !killed {
            let _ = kill(pid, Signal::SIGKILL);
            killed = true;
        }
        if now > deadline + DYING {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_the_pipe() {
        let answer = Answer { failed_step: 3, errno: -1, values: [u64::MAX, 7] };
        assert_eq!(Answer::from_bytes(&answer.to_bytes()), Some(answer));
        assert_eq!(Answer::from_bytes(&[0; 23]), None);
        assert_eq!(Answer::from_bytes(&[0; 25]), None);
    }

    #[test]
    fn a_forked_probe_may_crash_or_hang() {
        let ask = |question, patience| ask(&Isolation::Fork, question, patience);
        let crash = ask(Question::Crash, Duration::from_secs(60));
        assert_eq!(crash, Err(Silence("died of SIGSEGV".into())));
        let hang = ask(Question::Hang, Duration::from_millis(300));
        assert!(hang.is_err_and(|s| s.0.contains("no answer within")));
    }

    #[test]
    fn a_forked_probe_holds_no_lock_of_ours() {
        let lock = |file: &File| {
            let whole = libc::flock {
                l_type: libc::F_WRLCK as libc::c_short,
                l_whence: libc::SEEK_SET as libc::c_short,
                l_start: 0,
                l_len: 0,
                l_pid: 0,
            };
            nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole))
        };
        let image = tempfile::NamedTempFile::new().unwrap();
        let ours = image.reopen().unwrap();
        lock(&ours).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let probe = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid()).unwrap();
            ask(&Isolation::Fork, Question::Hang, Duration::from_secs(60))
        });
        let children = format!("/proc/self/task/{}/children", told.recv().unwrap());
        let forked = loop {
            let all = std::fs::read_to_string(&children).unwrap();
            match all.split_whitespace().next() {
                Some(pid) => break Pid::from_raw(pid.parse().unwrap()),
                None => std::thread::yield_now(),
            }
        };
        drop(ours);
        let other = image.reopen().unwrap();
        while lock(&other).is_err() {
            assert!(!probe.is_finished(), "the probe held the lock to its end");
            std::thread::sleep(Duration::from_millis(5));
        }
        kill(forked, Signal::SIGKILL).unwrap();
        assert_eq!(probe.join().unwrap(), Err(Silence("died of SIGKILL".into())));
    }

    #[test]
    fn a_helper_does_not_know_our_environment() {
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("helper");
        std::fs::write(&helper, "#!/bin/sh\nenv\n").unwrap();
        std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        for question in [Question::Kvm, Question::Gpu] {
            let said = ask(&Isolation::Helper(helper.clone()), question, Duration::from_secs(20)).unwrap();
            let said = String::from_utf8(said).unwrap();
            assert!(!said.contains("CARGO"), "{said}");
        }
    }

    #[test]
    fn a_missing_helper_is_told() {
        let nowhere = Isolation::Helper("/nonexistent/sampan-vmhost".into());
        let silence = ask(&nowhere, Question::Kvm, Duration::from_secs(1)).unwrap_err();
        assert!(silence.0.contains("could not start /nonexistent"), "{silence:?}");
    }
}
