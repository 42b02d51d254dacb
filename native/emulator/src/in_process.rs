//! VMs as threads of this process.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::stat::fstat;

use crate::copies::{Copies, FreshCopies};
use crate::ffi::{Exited, Phase, Qemu, State, Vm};
use crate::launch::{KillError, Stop};
use crate::log_tee::{LogTee, Woken};
use crate::spec::{c_args, host_args};
use crate::{Control, Exit, LaunchError, LaunchSpec, Launcher, LibqemuDir, OnExit, OneFile, Running};

/// How long the main loop may take to end after another thread of QEMU's called `exit()`. It may never end,
/// as that thread may have held anything.
const LAST_ACT: Duration = Duration::from_secs(2);

/// Runs each VM in this process, on a fresh copy of libqemu.
///
/// QEMU's `exit()` ends its VM alone. Its `abort()` and failed assertions end this process: see
/// [`Child`](crate::Child) for VMs that are worth protecting from each other.
pub struct InProcess {
    dir: LibqemuDir,
    copies: Box<dyn Copies>,
}

impl InProcess {
    /// With one file for all runs where that can be, else with copies made on the spot.
    pub fn new(dir: LibqemuDir) -> Self {
        let copies = FreshCopies::new(dir.clone());
        let file = OneFile::new(dir.clone(), Box::new(copies));
        Self::with_copies(dir, Box::new(file))
    }

    /// With copies from elsewhere; `dir` gives the firmware.
    pub fn with_copies(dir: LibqemuDir, copies: Box<dyn Copies>) -> Self {
        Self { dir, copies }
    }
}

impl Launcher for InProcess {
    fn launch(&self, spec: LaunchSpec, on_exit: OnExit) -> Result<Running, LaunchError> {
        spec.check()?;
        let firmware = self.dir.firmware()?;
        let socket = || UnixStream::pair().map_err(LaunchError::system("making a socket"));
        let (qmp, qemu_qmp) = socket()?;
        let (serial, qemu_serial) = socket()?;
        let (tee, qemu_log, log) = LogTee::new().map_err(LaunchError::system("making a socket"))?;
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(LaunchError::system("making an eventfd"))?;

        let mut chardevs: Vec<(String, OwnedFd)> =
            vec![("qmp".into(), qemu_qmp.into()), ("serial".into(), qemu_serial.into())];
        chardevs.extend(spec.extra_fds);
        let numbers = chardevs.iter().map(|(name, fd)| (name.as_str(), fd.as_raw_fd()));
        let args = c_args(host_args(&spec.args, &firmware, numbers))?;
        let lent = chardevs
            .iter()
            .map(|(_, fd)| Ok(Lent { number: fd.as_raw_fd(), ours: fd.try_clone()? }))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(LaunchError::system("duplicating a socket"))?;

        // From here on a copy is used up.
        let loaded = self.copies.take(spec.arch, spec.engine)?.load()?;
        let qemu = Qemu::of(loaded)?;
        let vm =
            Arc::new(qemu.start(args, &format!("qemu:{}", spec.name), event.into(), qemu_log.as_fd())?);
        for (_, fd) in chardevs {
            let _closed_by_qemu = fd.into_raw_fd();
        }

        let control = Control(Arc::new(InThread(Arc::downgrade(&vm))));
        let supervisor = Supervisor { vm, tee, lent };
        thread::Builder::new()
            .name(format!("vm:{}", spec.name))
            .spawn(move || on_exit(supervisor.run()))
            .map_err(LaunchError::system("starting a thread"))?;
        Ok(Running { qmp, serial, log, control })
    }
}

/// A socket that QEMU was given by number, and our own fd for the same socket.
struct Lent {
    number: RawFd,
    ours: OwnedFd,
}

impl Lent {
    fn hang_up(&self) {
        let _ = shutdown(self.ours.as_raw_fd(), Shutdown::Both);
    }

    /// QEMU that ended in `exit()` closes nothing: closes its number if it is still the same socket.
    ///
    /// # Safety
    /// No thread of that QEMU's uses the number any more, or closes it.
    unsafe fn close(self) {
        // SAFETY: borrowed for fstat alone, which answers EBADF for a number that is not open.
        let theirs = unsafe { BorrowedFd::borrow_raw(self.number) };
        let same = match (fstat(theirs), fstat(&self.ours)) {
            (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
            _ => false,
        };
        if same {
            // SAFETY: the number is open and is the socket that was handed over to QEMU; the rest is the caller's.
            drop(unsafe { OwnedFd::from_raw_fd(self.number) });
        }
    }
}

/// Waits for the VM's end on a thread of its own.
struct Supervisor {
    vm: Arc<Vm>,
    tee: LogTee,
    lent: Vec<Lent>,
}

impl Supervisor {
    fn run(mut self) -> Exit {
        let exit = self.wait();
        let State { phase, exited, ran, .. } = self.vm.state();
        if phase != Phase::Ended {
            log::warn!("a thread of QEMU's stays behind: {exit}");
        }
        for lent in &self.lent {
            lent.hang_up();
        }
        // SAFETY: see where it is called.
        let close = move || self.lent.into_iter().for_each(|lent| unsafe { lent.close() });
        match (phase, exited) {
            (Phase::Ended, Exited::No) => close(),
            // A start that failed: no CPU has run, and `exit()` has stopped the thread that serves the monitors
            // (`scripts/qemu/patches/0007-failed-start.patch`).
            (Phase::Ended, Exited::MainLoop) if !ran => close(),
            // Its CPUs go on, and write to these numbers: nobody else may get them before all have ended.
            (Phase::Ended, Exited::MainLoop) => self.vm.at_last(close),
            // They may go on for ever.
            _ => (),
        }
        exit
    }

    fn wait(&mut self) -> Exit {
        loop {
            self.wait_for_event(None);
            let state = self.vm.state();
            if state.exited != Exited::No {
                // Before QEMU says anything about its end.
                let message = self.tee.words();
                self.wait_for_end();
                return match state.status {
                    0 if state.exited == Exited::MainLoop => Exit::Clean,
                    status => Exit::Failed { status, message },
                };
            }
            if state.phase == Phase::Ended {
                return match state.status {
                    0 => Exit::Clean,
                    status => Exit::Failed { status, message: self.tee.words() },
                };
            }
        }
    }

    fn wait_for_end(&mut self) {
        let deadline = Instant::now() + LAST_ACT;
        self.vm.terminate();
        while self.vm.state().phase != Phase::Ended && self.wait_for_event(Some(deadline)) == Woken::Event {}
    }

    fn wait_for_event(&mut self, deadline: Option<Instant>) -> Woken {
        let woken = self.tee.wait(self.vm.event().as_fd(), deadline);
        let mut count = [0; 8];
        let _ = nix::unistd::read(self.vm.event(), &mut count);
        woken
    }
}

/// Stops a VM in this process, while there is one.
struct InThread(Weak<Vm>);

impl Stop for InThread {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn terminate(&self) {
        if let Some(vm) = self.0.upgrade() {
            vm.terminate();
        }
    }

    fn kill(&self) -> Result<(), KillError> {
        if self.0.strong_count() == 0 { Ok(()) } else { Err(KillError) }
    }
}
