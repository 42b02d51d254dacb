//! VMs as processes of their own: the `sampan-vmhost` program with the same argv and named fds.

use parking_lot::Mutex;
use std::env;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use crate::environment;
use crate::launch::{KillError, Stop};
use crate::log_tee::LogTee;
use crate::{Control, Exit, LaunchError, LaunchSpec, Launcher, LibqemuDir, OnExit, Running};

/// Runs each VM in a child process, which dies alone of whatever QEMU does, and with this process.
#[derive(Clone, Debug)]
pub struct Child {
    dir: LibqemuDir,
    vmhost: PathBuf,
}

impl Child {
    /// With the `sampan-vmhost` of [`vmhost_program`].
    ///
    /// # Errors
    /// [`LaunchError::NoVmhost`].
    pub fn new(dir: LibqemuDir) -> Result<Self, LaunchError> {
        Ok(Self::with_program(dir, vmhost_program()?))
    }

    /// With that program for `sampan-vmhost`.
    pub fn with_program(dir: LibqemuDir, vmhost: impl Into<PathBuf>) -> Self {
        Self { dir, vmhost: vmhost.into() }
    }
}

/// `$SAMPAN_VMHOST`, else `sampan-vmhost` beside this program or (for a test's program) one directory up.
///
/// # Errors
/// [`LaunchError::NoVmhost`] with the places that were looked at.
pub fn vmhost_program() -> Result<PathBuf, LaunchError> {
    let searched = match env::var_os("SAMPAN_VMHOST") {
        Some(path) => vec![path.into()],
        None => {
            let exe = env::current_exe().map_err(LaunchError::system("finding this program's own path"))?;
            exe.ancestors().skip(1).take(2).map(|dir| dir.join("sampan-vmhost")).collect()
        }
    };
    searched.iter().find(|p| p.is_file()).cloned().ok_or(LaunchError::NoVmhost { searched })
}

impl Launcher for Child {
    fn launch(&self, spec: LaunchSpec, on_exit: OnExit) -> Result<Running, LaunchError> {
        spec.check()?;
        let library = self.dir.library(spec.arch, spec.engine)?;
        let firmware = self.dir.firmware()?;
        let socket = || UnixStream::pair().map_err(LaunchError::system("making a socket"));
        let (qmp, qemu_qmp) = socket()?;
        let (serial, qemu_serial) = socket()?;
        let (tee, qemu_log, log) = LogTee::new().map_err(LaunchError::system("making a socket"))?;
        let stderr = qemu_log.try_clone().map_err(LaunchError::system("duplicating a socket"))?;

        let mut fds: Vec<(String, OwnedFd)> =
            vec![("qmp".into(), qemu_qmp.into()), ("serial".into(), qemu_serial.into())];
        fds.extend(spec.extra_fds);
        fds.push(("log".into(), qemu_log));

        let mut command = Command::new(&self.vmhost);
        environment::clear(&mut command);
        command.arg("--parent").arg(process::id().to_string());
        command.arg("--library").arg(&library).arg("--firmware").arg(&firmware);
        for (name, fd) in &fds {
            command.arg("--fd").arg(format!("{name}={}", fd.as_raw_fd()));
        }
        let mut inherited: Vec<RawFd> = fds.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
        if let Some(confinement) = &spec.confinement {
            command.arg("--lock").arg(if confinement.network { "network" } else { "offline" });
            for allowed in &confinement.files {
                // Clones have one number, which the helper takes once.
                if !inherited.contains(&allowed.number()) {
                    inherited.push(allowed.number());
                    command.arg(allowed.access().option()).arg(allowed.number().to_string());
                }
            }
        }
        command.arg("--").args(&spec.args);
        // Ctrl-C in a terminal is for this program, which then asks its VMs to end.
        command.process_group(0);
        // A failed assertion is printed to stderr: those are QEMU's words too.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        inherit(&mut command, inherited);

        // The child's parent, to PR_SET_PDEATHSIG, is the thread that made it; so that is the one that stays.
        let (started, start) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name(format!("vm:{}", spec.name))
            .spawn(move || {
                let spawned = spawn(command);
                drop((fds, spec.confinement));
                match spawned {
                    Ok((process, pidfd)) => {
                        let _ = started.send(Ok(Arc::clone(&process)));
                        on_exit(supervise(&process, &pidfd, tee));
                    }
                    Err(e) => drop(started.send(Err(e))),
                }
            })
            .map_err(LaunchError::system("starting a thread"))?;
        let process = start
            .recv()
            .map_err(|_| LaunchError::system("starting sampan-vmhost")(io::ErrorKind::BrokenPipe))?
            .map_err(LaunchError::system("starting sampan-vmhost"))?;
        Ok(Running { qmp, serial, log, control: Control(process) })
    }
}

/// Lets the child have `fds`, under their numbers. Between fork and exec, so that no other child started at
/// the same time has them too.
fn inherit(command: &mut Command, fds: Vec<RawFd>) {
    let keep = move || {
        for &fd in &fds {
            // SAFETY: fcntl is async-signal-safe; the fds are open, as the caller holds them until the spawn.
            if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure allocates nothing, takes no lock and makes only async-signal-safe calls.
    unsafe { command.pre_exec(keep) };
}

fn spawn(mut command: Command) -> io::Result<(Arc<Process>, OwnedFd)> {
    let mut child = command.spawn()?;
    let pid = child.id();
    match pidfd_open(pid) {
        Ok(pidfd) => Ok((Arc::new(Process { pid, child: Mutex::new(Some(child)) }), pidfd)),
        Err(e) => {
            child.kill()?;
            child.wait()?;
            Err(e)
        }
    }
}

/// Linux 5.3. The fd is close-on-exec by itself.
fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(pid), 0) };
    match RawFd::try_from(fd) {
        // SAFETY: the kernel just made it, for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn supervise(process: &Process, pidfd: &OwnedFd, mut tee: LogTee) -> Exit {
    tee.wait(pidfd.as_fd(), None);
    let status = process.reap();
    let message = tee.words();
    match status {
        Ok(status) => exit_of(status, message),
        // Reaped by somebody else: the program ignores SIGCHLD, or waits for any child.
        Err(e) => Exit::Failed { status: -1, message: format!("its exit status was lost: {e}\n{message}") },
    }
}

pub(crate) fn exit_of(status: ExitStatus, message: String) -> Exit {
    match (status.code(), status.signal()) {
        (Some(0), _) => Exit::Clean,
        (Some(status), _) => Exit::Failed { status, message },
        (None, signal) => Exit::Killed { signal: signal.unwrap_or_default(), message },
    }
}

struct Process {
    pid: u32,
    /// `None` once reaped: from then on the pid may be somebody else's.
    child: Mutex<Option<process::Child>>,
}

impl Process {
    fn child(&self) -> parking_lot::MutexGuard<'_, Option<process::Child>> {
        self.child.lock()
    }

    /// Called when the process has ended, so it does not wait with the lock held.
    fn reap(&self) -> io::Result<ExitStatus> {
        let mut child = self.child().take().ok_or(io::ErrorKind::NotFound)?;
        child.wait()
    }

    fn signal(&self, signal: libc::c_int) {
        if self.child().is_some() {
            // SAFETY: a system call without pointers, on a child that is not reaped while the lock is held.
            unsafe { libc::kill(self.pid.cast_signed(), signal) };
        }
    }
}

impl Stop for Process {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn terminate(&self) {
        self.signal(libc::SIGTERM);
    }

    fn kill(&self) -> Result<(), KillError> {
        self.signal(libc::SIGKILL);
        Ok(())
    }
}
