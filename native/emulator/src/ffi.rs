//! The two foreign sides: libqemu's entry points, looked up in a loaded copy, and the C thread that calls
//! them (`c/host.c`).

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

use parking_lot::Mutex;
use sampan_loader::{Instance, RawInside};
use sampan_message::Message;

use crate::LaunchError;
use crate::copies::Loaded;
use crate::fault::NotLoaded;

/// QEMU's main thread runs device models and, before the main loop, all of its start: what a main thread
/// has on Linux.
const STACK: usize = 8 << 20;

type ExitHook = unsafe extern "C" fn(status: c_int);

/// `struct sampan_entries` of `c/host.h`, which see.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entries {
    init: unsafe extern "C" fn(c_int, *mut *mut c_char),
    main_loop: unsafe extern "C" fn() -> c_int,
    cleanup: unsafe extern "C" fn(c_int),
    bql_unlock: unsafe extern "C" fn(),
    system_killed: unsafe extern "C" fn(c_int, libc::pid_t),
    set_exit_hook: unsafe extern "C" fn(Option<ExitHook>),
    inside: *mut RawInside,
}

/// `struct sampan_state` of `c/host.h`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawState {
    phase: c_int,
    exited: c_int,
    status: c_int,
    ran: c_int,
}

#[repr(C)]
struct RawVm {
    _opaque: [u8; 0],
}

// SAFETY: the declarations mirror c/host.h.
unsafe extern "C" {
    fn sampan_vm_start(
        qemu: *const Entries,
        argc: c_int,
        argv: *mut *mut c_char,
        name: *const c_char,
        stack: usize,
        event_fd: c_int,
        error: *mut c_int,
    ) -> *mut RawVm;
    fn sampan_vm_state(vm: *mut RawVm) -> RawState;
    fn sampan_vm_terminate(vm: *mut RawVm);
    fn sampan_vm_release(vm: *mut RawVm);
    fn sampan_vm_free(vm: *mut RawVm);
}

/// A copy of libqemu, ready for its one run.
pub(crate) struct Qemu {
    entries: Entries,
    set_log_fd: unsafe extern "C" fn(c_int),
    /// Of a copy that our own loader mapped.
    instance: Option<Instance>,
}

// SAFETY: functions, and a run's threads, which lock what they change.
unsafe impl Send for Qemu {}

/// Looks one name up, as a function of type `T`.
///
/// # Safety
/// The library's symbol must be a function of that type.
unsafe fn symbol<T: Copy>(loaded: &Loaded, name: &CStr) -> Result<T, LaunchError> {
    // SAFETY: the caller's.
    unsafe { loaded.code.function(name) }.ok_or_else(|| LaunchError::BadLibrary {
        path: loaded.origin.clone(),
        reason: Message::saying(&NotLoaded::NoFunction { name: name.to_string_lossy().into_owned() }),
    })
}

impl Qemu {
    /// Finds the entry points.
    pub(crate) fn of(loaded: Loaded) -> Result<Self, LaunchError> {
        // SAFETY: the types are those of QEMU's system/system.h and main-loop.h, and of the sources in
        // scripts/qemu. The library is not unloaded before `Vm` is dropped, so the pointers stay good.
        let (mut entries, set_log_fd) = unsafe {
            let entries = Entries {
                init: symbol(&loaded, c"qemu_init")?,
                main_loop: symbol(&loaded, c"qemu_main_loop")?,
                cleanup: symbol(&loaded, c"qemu_cleanup")?,
                bql_unlock: symbol(&loaded, c"bql_unlock")?,
                system_killed: symbol(&loaded, c"qemu_system_killed")?,
                set_exit_hook: symbol(&loaded, c"sampan_set_exit_hook")?,
                inside: ptr::null_mut(),
            };
            (entries, symbol(&loaded, c"sampan_set_log_fd")?)
        };
        let instance = loaded.code.into_instance();
        if let Some(instance) = &instance {
            entries.inside = instance.raw();
        }
        Ok(Self { entries, set_log_fd, instance })
    }

    /// Starts QEMU on a thread of C's. `event` (an eventfd) tells of each change of [`Vm::state`]; QEMU prints
    /// to a duplicate of `log`.
    pub(crate) fn start(
        self,
        args: Vec<CString>,
        name: &str,
        event: OwnedFd,
        log: BorrowedFd<'_>,
    ) -> Result<Vm, LaunchError> {
        let mut argv = Argv::new(args);
        let name = CString::new(name.replace('\0', " ")).unwrap_or_default();
        let mut error: c_int = 0;
        set_log(self.set_log_fd, self.instance.as_ref(), log.as_raw_fd());
        let (argc, pointers) = argv.pointers();
        // SAFETY: every pointer is valid for the call, argv as long as QEMU's threads, event_fd until Vm is
        // dropped; this copy has not run, as Qemu is not Clone and is consumed.
        let raw = unsafe {
            sampan_vm_start(
                &self.entries,
                argc,
                pointers,
                name.as_ptr(),
                STACK,
                event.as_raw_fd(),
                &mut error,
            )
        };
        let raw = NonNull::new(raw).ok_or_else(|| LaunchError::System {
            what: "starting QEMU's thread",
            source: io::Error::from_raw_os_error(error),
        })?;
        Ok(Vm {
            raw,
            event,
            set_log_fd: self.set_log_fd,
            instance: self.instance,
            argv,
            last: Mutex::default(),
        })
    }
}

fn set_log(set_log_fd: unsafe extern "C" fn(c_int), instance: Option<&Instance>, fd: RawFd) {
    // SAFETY: an entry point of a loaded library, for any thread.
    let call = || unsafe { set_log_fd(fd) };
    match instance {
        Some(instance) => instance.visit(call),
        None => call(),
    }
}

/// QEMU keeps pointers into argv, and its threads may outlive any owner: dropped, it stays.
struct Argv(ManuallyDrop<(Vec<CString>, Vec<*mut c_char>)>);

impl Argv {
    fn new(args: Vec<CString>) -> Self {
        // QEMU takes `char **` and writes to none.
        let mut pointers: Vec<_> = args.iter().map(|arg| arg.as_ptr().cast_mut()).collect();
        pointers.push(ptr::null_mut());
        Self(ManuallyDrop::new((args, pointers)))
    }

    fn pointers(&mut self) -> (c_int, *mut *mut c_char) {
        (c_int::try_from(self.0.0.len()).unwrap_or(c_int::MAX), self.0.1.as_mut_ptr())
    }

    /// Nobody is left who has pointers into it.
    fn free(&mut self) {
        self.0.0.clear();
        self.0.0.shrink_to_fit();
        self.0.1 = Vec::new();
    }
}

/// How far the main loop's thread has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Running,
    Ending,
    Ended,
}

/// Which thread called `exit()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exited {
    No,
    MainLoop,
    Elsewhere,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) exited: Exited,
    pub(crate) status: i32,
    /// Whether the main loop was reached, and with it the CPUs.
    pub(crate) ran: bool,
}

/// A started VM. What C holds of it is freed only when no thread of QEMU's is left to ask for it: after a run of
/// a library that our own loader mapped, and if its threads could be ended.
pub(crate) struct Vm {
    raw: NonNull<RawVm>,
    event: OwnedFd,
    set_log_fd: unsafe extern "C" fn(c_int),
    instance: Option<Instance>,
    argv: Argv,
    last: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

// SAFETY: every function on the VM locks its mutex.
unsafe impl Send for Vm {}
// SAFETY: as above.
unsafe impl Sync for Vm {}

impl Vm {
    pub(crate) fn event(&self) -> &OwnedFd {
        &self.event
    }

    pub(crate) fn state(&self) -> State {
        // SAFETY: the VM is not freed before this is dropped.
        let raw = unsafe { sampan_vm_state(self.raw.as_ptr()) };
        State {
            phase: match raw.phase {
                0 => Phase::Starting,
                1 => Phase::Running,
                2 => Phase::Ending,
                _ => Phase::Ended,
            },
            exited: match raw.exited {
                0 => Exited::No,
                1 => Exited::MainLoop,
                _ => Exited::Elsewhere,
            },
            status: raw.status,
            ran: raw.ran != 0,
        }
    }

    /// Called when no thread of this QEMU's is left; never if that cannot be known.
    pub(crate) fn at_last(&self, act: impl FnOnce() + Send + 'static) {
        *self.last.lock() = Some(Box::new(act));
    }

    pub(crate) fn terminate(&self) {
        // SAFETY: as above; QEMU's own signal handler makes the same call.
        unsafe { sampan_vm_terminate(self.raw.as_ptr()) }
    }
}

impl Drop for Vm {
    /// Before the event's fd is closed: nobody writes to its number afterwards.
    fn drop(&mut self) {
        const NOWHERE: RawFd = -1;
        // SAFETY: the VM is not freed yet.
        unsafe { sampan_vm_terminate(self.raw.as_ptr()) };
        set_log(self.set_log_fd, self.instance.as_ref(), NOWHERE);
        let State { phase, exited, .. } = self.state();
        // SAFETY: as above; this is the only call of release, which joins or detaches its thread.
        unsafe { sampan_vm_release(self.raw.as_ptr()) };
        let Some(instance) = self.instance.take() else { return };
        // After an exit() elsewhere CPUs may still be at work, and the main loop's cleanup was left out.
        if phase != Phase::Ended || exited == Exited::Elsewhere {
            instance.abandon();
        } else if instance.end() {
            self.argv.free();
            // SAFETY: released, its thread has been joined, and no other thread of its QEMU is left.
            unsafe { sampan_vm_free(self.raw.as_ptr()) };
            let last = self.last.lock().take();
            if let Some(act) = last {
                act();
            }
        }
    }
}
