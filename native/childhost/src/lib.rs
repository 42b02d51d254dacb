//! `libsampanhost.so`: HarmonyOS makes a native child process of it, in which one virtual machine runs.
//!
//! A library of its own rather than one more export of the module: see `docs/decisions/0031-three-kinds-of-processes.md`. It knows neither ArkTS nor the
//! application core.
//!
//! **Invariant:** one export, `Main`, which never returns; no panic crosses it.

use std::ffi::{CStr, c_char};
use std::os::fd::{FromRawFd, OwnedFd};

/// `NativeChildProcess_Fd` of `AbilityKit/native_child_process.h`: one of a linked list.
#[repr(C)]
struct Fd {
    name: *mut c_char,
    number: i32,
    next: *mut Fd,
}

/// `NativeChildProcess_Args`, by value.
#[repr(C)]
pub struct Args {
    parameters: *mut c_char,
    fds: *mut Fd,
}

/// More than the system passes. A list that is longer is none.
const MOST: usize = 64;

/// The entry that the parent names.
///
/// # Safety
/// What the system passes: texts that end with NUL, a list that ends with a null pointer, descriptors that are this process's.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the name is what the system is told")]
pub unsafe extern "C" fn Main(args: Args) {
    let mut fds = Vec::new();
    let mut next = args.fds;
    // SAFETY: the list is the system's and lives through the call.
    while let Some(fd) = unsafe { next.as_ref() }
        && fds.len() < MOST
    {
        if !fd.name.is_null() && fd.number >= 0 {
            // SAFETY: a text that ends with NUL; a descriptor that was made for this process.
            let (name, fd) = unsafe { (CStr::from_ptr(fd.name), OwnedFd::from_raw_fd(fd.number)) };
            fds.push((name.to_string_lossy().into_owned(), fd));
        }
        next = fd.next;
    }
    let parameters = match args.parameters.is_null() {
        true => &[][..],
        // SAFETY: as above.
        false => unsafe { CStr::from_ptr(args.parameters) }.to_bytes(),
    };
    // It catches every panic, and ends the process.
    sampan_emulator::run_native_child(parameters, fds)
}
