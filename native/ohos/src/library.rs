//! The system's libraries, loaded at run time: what an API level does not have is missing and not an error of the loader's.

use crate::error::OhosError;
use libloading::Library;
use std::ffi::CStr;
use std::path::{Path, PathBuf};

/// Where a library of the device is. Elsewhere there is none, but the one that `SAMPAN_NDK` names stands in for each: tests and the
/// preview of the app see and hear what a guest does.
pub(crate) fn on_device(name: &str) -> PathBuf {
    #[cfg(not(target_env = "ohos"))]
    if let Some(path) = std::env::var_os("SAMPAN_NDK") {
        return path.into();
    }
    name.into()
}

/// A library of the system's, or what stands in for it in a test. It stays loaded for the life of the process, also when this
/// value is gone: a thread of its own may be on its way into it.
pub(crate) struct SystemLibrary {
    library: &'static Library,
    path: PathBuf,
}

impl SystemLibrary {
    /// Loads it.
    ///
    /// # Errors
    /// [`OhosError::NoLibrary`].
    pub(crate) fn open(path: &Path) -> Result<Self, OhosError> {
        // SAFETY: these are the system's libraries, which an app may load at any time; a test's stand-in has no constructors.
        let library = unsafe { Library::new(path) }.map_err(|e| missing(path, &e))?;
        Ok(Self { library: Box::leak(Box::new(library)), path: path.to_owned() })
    }

    /// A function of it.
    ///
    /// # Errors
    /// [`OhosError::NoLibrary`], which names the function.
    ///
    /// # Safety
    /// `F` must be a type of function pointers with the signature of the header.
    pub(crate) unsafe fn function<F: Copy>(&self, name: &CStr) -> Result<F, OhosError> {
        // SAFETY: as the caller promises.
        let symbol = unsafe { self.library.get::<F>(name.to_bytes_with_nul()) };
        symbol.map(|symbol| *symbol).map_err(|e| missing(&self.path, &e))
    }
}

fn missing(path: &Path, error: &libloading::Error) -> OhosError {
    OhosError::NoLibrary { library: path.display().to_string(), reason: error.to_string() }
}
