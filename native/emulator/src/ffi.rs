//! The two foreign sides: libqemu's entry points, looked up in a loaded copy, and the C thread that calls
//! them (`c/host.c`).

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::NonNull;

use crate::LaunchError;
use crate::copies::Loaded;

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
}

/// `struct sampan_state` of `c/host.h`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawState {
    phase: c_int,
    exited: c_int,
    status: c_int,
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
}

/// A copy of libqemu, ready for its one run.
pub(crate) struct Qemu {
    entries: Entries,
    set_log_fd: unsafe extern "C" fn(c_int),
}

/// Looks one name up, as a function of type `T`.
///
/// # Safety
/// The library's symbol must be a function of that type.
unsafe fn symbol<T: Copy>(loaded: &Loaded, name: &CStr) -> Result<T, LaunchError> {
    // SAFETY: the caller's.
    let found = unsafe { loaded.library.get::<T>(name.to_bytes_with_nul()) };
    found.map(|s| *s).map_err(|_| LaunchError::BadLibrary {
        path: loaded.origin.clone(),
        reason: format!("has no {}: build it again with this version's scripts/qemu", name.to_string_lossy()),
    })
}

impl Qemu {
    /// Finds the entry points.
    pub(crate) fn of(loaded: &Loaded) -> Result<Self, LaunchError> {
        // SAFETY: the types are those of QEMU's system/system.h and main-loop.h, and of the sources in
        // scripts/qemu. The library is never unloaded, so the pointers stay good.
        unsafe {
            Ok(Self {
                entries: Entries {
                    init: symbol(loaded, c"qemu_init")?,
                    main_loop: symbol(loaded, c"qemu_main_loop")?,
                    cleanup: symbol(loaded, c"qemu_cleanup")?,
                    bql_unlock: symbol(loaded, c"bql_unlock")?,
                    system_killed: symbol(loaded, c"qemu_system_killed")?,
                    set_exit_hook: symbol(loaded, c"sampan_set_exit_hook")?,
                },
                set_log_fd: symbol(loaded, c"sampan_set_log_fd")?,
            })
        }
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
        let (argc, argv) = for_ever(args);
        let name = CString::new(name.replace('\0', " ")).unwrap_or_default();
        let mut error: c_int = 0;
        // SAFETY: every pointer is valid for the call, argv for ever, event_fd until Vm is dropped; this
        // copy has not run, as Qemu is not Clone and is consumed.
        let raw = unsafe {
            (self.set_log_fd)(log.as_raw_fd());
            sampan_vm_start(&self.entries, argc, argv, name.as_ptr(), STACK, event.as_raw_fd(), &mut error)
        };
        let raw = NonNull::new(raw).ok_or_else(|| LaunchError::System {
            what: "starting QEMU's thread",
            source: io::Error::from_raw_os_error(error),
        })?;
        Ok(Vm { raw, event, set_log_fd: self.set_log_fd })
    }
}

/// QEMU keeps pointers into argv, and its threads outlive any owner.
fn for_ever(args: Vec<CString>) -> (c_int, *mut *mut c_char) {
    let argc = c_int::try_from(args.len()).unwrap_or(c_int::MAX);
    let mut argv: Vec<*mut c_char> = args.into_iter().map(CString::into_raw).collect();
    argv.push(std::ptr::null_mut());
    (argc, argv.leak().as_mut_ptr())
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
}

/// A started VM. What C holds of it is never freed, so that a late thread of QEMU's finds it.
pub(crate) struct Vm {
    raw: NonNull<RawVm>,
    event: OwnedFd,
    set_log_fd: unsafe extern "C" fn(c_int),
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
        // SAFETY: the VM is never freed.
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
        }
    }

    pub(crate) fn terminate(&self) {
        // SAFETY: the VM is never freed; QEMU's own signal handler makes the same call.
        unsafe { sampan_vm_terminate(self.raw.as_ptr()) }
    }
}

impl Drop for Vm {
    /// Before the event's fd is closed: nobody writes to its number afterwards.
    fn drop(&mut self) {
        const NOWHERE: RawFd = -1;
        // SAFETY: the VM is never freed; this is the only call of release, which joins or detaches its thread.
        unsafe {
            sampan_vm_terminate(self.raw.as_ptr());
            (self.set_log_fd)(NOWHERE);
            sampan_vm_release(self.raw.as_ptr());
        }
    }
}
