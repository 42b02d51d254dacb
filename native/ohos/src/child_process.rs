//! Native child processes of HarmonyOS, by functions that are looked up when they are needed.
//!
//! Signatures, structures and numbers are those of OpenHarmony's `AbilityKit/native_child_process.h`: `OH_Ability_StartNativeChildProcess` since API 13,
//! `OH_Ability_KillChildProcess` since 22, `OH_Ability_IsNativeChildProcessSupported` since 26.

use crate::error::OhosError;
use crate::library::{SystemLibrary, on_device};
use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::path::Path;

/// `NativeChildProcess_Fd`.
#[repr(C)]
struct Fd {
    name: *mut c_char,
    number: i32,
    next: *mut Fd,
}

/// `NativeChildProcess_Args`: the text, and `NativeChildProcess_FdList`.
#[repr(C)]
struct Args {
    parameters: *mut c_char,
    fds: *mut Fd,
}

/// `NativeChildProcess_Options`.
#[repr(C)]
struct Options {
    isolation: c_int,
    reserved: i64,
}

/// `NCP_ISOLATION_MODE_NORMAL`: the files and the network of the app.
const NORMAL: c_int = 0;

/// `NCP_ERR_INTERNAL`, for a success without a process.
const INTERNAL: i32 = 16_000_050;

type Start = unsafe extern "C" fn(*const c_char, Args, Options, *mut i32) -> c_int;
type Kill = unsafe extern "C" fn(i32) -> c_int;
type Supported = unsafe extern "C" fn() -> bool;

/// The system's functions.
pub struct ChildProcesses {
    start: Start,
    kill: Option<Kill>,
    supported: Option<Supported>,
}

impl fmt::Debug for ChildProcesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildProcesses")
            .field("kill", &self.kill.is_some())
            .field("supported", &self.supported.is_some())
            .finish()
    }
}

impl ChildProcesses {
    /// Those of the device, or what stands in for them.
    ///
    /// # Errors
    /// [`OhosError::NoLibrary`].
    pub fn load() -> Result<Self, OhosError> {
        Self::load_from(&on_device("libchild_process.so"))
    }

    /// A library of another name, for tests.
    ///
    /// # Errors
    /// As [`ChildProcesses::load`]; so below API 13, which has the library and not the function.
    pub fn load_from(path: &Path) -> Result<Self, OhosError> {
        let library = SystemLibrary::open(path)?;
        // SAFETY: each type is the header's.
        unsafe {
            Ok(Self {
                start: library.function::<Start>(c"OH_Ability_StartNativeChildProcess")?,
                kill: library.function::<Kill>(c"OH_Ability_KillChildProcess").ok(),
                supported: library.function::<Supported>(c"OH_Ability_IsNativeChildProcessSupported").ok(),
            })
        }
    }

    /// Whether this app may have such processes; `None` where the system cannot be asked: one is to be tried then, and 801 says no.
    pub fn supported(&self) -> Option<bool> {
        // SAFETY: no arguments.
        self.supported.map(|supported| unsafe { supported() })
    }

    /// Starts a process of `entry` (`libNAME.so:FUNCTION`, of the app's package) with this text and these descriptors by name. It blocks.
    ///
    /// # Errors
    /// `Ability_NativeChildProcess_ErrCode`.
    pub fn start(&self, entry: &CStr, text: &CStr, fds: &[(CString, i32)]) -> Result<i32, i32> {
        // What the system is given it may write to, as far as its types tell.
        let mut text = text.to_owned().into_bytes_with_nul();
        let mut names: Vec<Vec<u8>> =
            fds.iter().map(|(name, _)| name.clone().into_bytes_with_nul()).collect();
        let mut list: Vec<Fd> = names
            .iter_mut()
            .zip(fds)
            .map(|(name, (_, number))| Fd {
                name: name.as_mut_ptr().cast(),
                number: *number,
                next: std::ptr::null_mut(),
            })
            .collect();
        let mut next = std::ptr::null_mut();
        for fd in list.iter_mut().rev() {
            fd.next = next;
            next = fd;
        }
        let args = Args { parameters: text.as_mut_ptr().cast(), fds: next };
        let options = Options { isolation: NORMAL, reserved: 0 };
        let mut pid = -1;
        // SAFETY: texts end with NUL, the list ends with a null pointer, and all live through the call, which copies them.
        let code = unsafe { (self.start)(entry.as_ptr(), args, options, &raw mut pid) };
        match code {
            0 if pid > 0 => Ok(pid),
            0 => Err(INTERNAL),
            code => Err(code),
        }
    }

    /// Ends one of this app's child processes; whether the system has.
    pub fn kill(&self, pid: i32) -> bool {
        // SAFETY: a number.
        self.kill.is_some_and(|kill| unsafe { kill(pid) } == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_ohos_stand_in as stand_in;

    /// One test, since the stand-in's behaviour is the process's.
    #[test]
    fn the_system_is_asked_and_its_codes_are_given_back() {
        let children = ChildProcesses::load_from(Path::new(stand_in::LIBRARY)).expect("the stand-in");
        assert_eq!(children.supported(), Some(true));
        stand_in::set_children(stand_in::Children { supported: false, refusal: 801 });
        assert_eq!(children.supported(), Some(false));
        assert_eq!(children.start(c"libx.so:Main", c"", &[]), Err(801));
        stand_in::set_children(stand_in::Children { supported: true, refusal: 0 });
        for wrong in [c"libx.so", c"", c":Main"] {
            assert_eq!(children.start(wrong, c"", &[]), Err(401), "{wrong:?}");
        }
        let long = CString::new("a".repeat(21)).expect("no NUL");
        assert_eq!(children.start(c"libx.so:Main", c"", &[(long, 0)]), Err(401), "a name of 21 characters");
        let many: Vec<_> = (0..17).map(|n| (CString::new(format!("n{n}")).expect("no NUL"), 0)).collect();
        assert_eq!(children.start(c"libx.so:Main", c"", &many), Err(401), "17 descriptors");
        let long = CString::new("a".repeat((150 << 10) + 1)).expect("no NUL");
        assert_eq!(children.start(c"libx.so:Main", &long, &[]), Err(401), "a text of more than 150 KiB");
        assert!(!children.kill(1), "not one of ours");
        assert!(ChildProcesses::load_from(Path::new("libmissing.so")).is_err());
    }
}
