//! `libnative_window_manager.so`, loaded at run time: holds the mouse pointer where it is, for guests whose mouse knows no places.
//!
//! Signatures and numbers are those of OpenHarmony's header `window_manager/oh_window.h`, where `OH_WindowManager_LockCursor` and
//! `OH_WindowManager_UnlockCursor` have been since API 22. The app needs `ohos.permission.LOCK_WINDOW_CURSOR`, and the window the focus: when it
//! loses that the system lets the pointer go. How far the mouse moves is told to the window all the same.

use crate::error::OhosError;
use crate::library::{SystemLibrary, on_device};
use std::path::Path;

type Lock = unsafe extern "C" fn(i32, bool) -> i32;
type Unlock = unsafe extern "C" fn(i32) -> i32;

/// The system's functions. Their library stays loaded.
#[derive(Clone, Copy, Debug)]
pub struct CursorLock {
    lock: Lock,
    unlock: Unlock,
}

impl CursorLock {
    /// Those of the device, or what stands in for them.
    ///
    /// # Errors
    /// [`OhosError::NoCursorLock`].
    pub fn load() -> Result<Self, OhosError> {
        Self::load_from(&on_device("libnative_window_manager.so"))
    }

    /// Those of a library of another name, for tests.
    ///
    /// # Errors
    /// As [`CursorLock::load`].
    pub fn load_from(path: &Path) -> Result<Self, OhosError> {
        let functions = |library: SystemLibrary| {
            // SAFETY: the types are the signatures of the header.
            unsafe {
                Ok(Self {
                    lock: library.function::<Lock>(c"OH_WindowManager_LockCursor")?,
                    unlock: library.function::<Unlock>(c"OH_WindowManager_UnlockCursor")?,
                })
            }
        };
        SystemLibrary::open(path).and_then(functions).map_err(|_: OhosError| OhosError::NoCursorLock)
    }

    /// Holds the pointer where it is in a window of this app, or lets it go. `window` is the id that the system gives the window. Waits for
    /// the system's main thread, so it must not be called there.
    ///
    /// # Errors
    /// [`OhosError::CursorNotLocked`] with a `WindowManager_ErrorCode`: 201 without the permission.
    pub fn set(&self, window: i32, locked: bool) -> Result<(), OhosError> {
        let code = if locked {
            // The pointer itself stands still.
            let follows = false;
            // SAFETY: the function takes any number for a window.
            unsafe { (self.lock)(window, follows) }
        } else {
            // SAFETY: as above.
            unsafe { (self.unlock)(window) }
        };
        if code == 0 { Ok(()) } else { Err(OhosError::CursorNotLocked(code)) }
    }
}
