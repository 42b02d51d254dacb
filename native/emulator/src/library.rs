//! Where libqemu is: one directory with the libraries, `qemu-img`, the firmware and a note on the build.

use std::env;
use std::path::{Path, PathBuf};

use sampan_loader::check_shared_library;

use crate::launch::LaunchError;
use crate::{Arch, Engine};

/// A directory that `scripts/qemu/build` made: `libqemu-system-ARCH[-tci].so`, `qemu-img`, `firmware/`,
/// `LICENSES.txt`, `BUILDINFO.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibqemuDir {
    path: PathBuf,
    /// Where the firmware is, if not in `firmware` beside the libraries.
    firmware: Option<PathBuf>,
}

/// Where scripts keep what takes long to build: `${XDG_CACHE_HOME:-~/.cache}/sampan`. `None` without a home.
pub fn cache_dir() -> Option<PathBuf> {
    let named = |name| env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("sampan"))
}

impl LibqemuDir {
    /// Takes a directory by name; what is in it is checked when it is asked for.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), firmware: None }
    }

    /// The same with the firmware in a folder of its own: an app's package holds nothing but libraries beside its libraries.
    #[must_use]
    pub fn with_firmware(self, firmware: impl Into<PathBuf>) -> Self {
        Self { firmware: Some(firmware.into()), ..self }
    }

    /// The first of these that holds a libqemu: `$SAMPAN_QEMU_DIR` (which ends the search, found or not),
    /// `qemu` beside this program, `../lib/sampan/qemu` from it, and
    /// `${XDG_CACHE_HOME:-~/.cache}/sampan/qemu/current`. A symbolic link is followed now, so that a build which
    /// moves it later does not mix two versions in one program.
    ///
    /// # Errors
    /// [`LaunchError::NoLibqemu`] with the places that were looked at.
    pub fn find() -> Result<Self, LaunchError> {
        let searched = Self::places();
        searched
            .iter()
            .filter_map(|dir| dir.canonicalize().ok())
            .map(Self::at)
            .find(|dir| !dir.builds().is_empty())
            .ok_or(LaunchError::NoLibqemu { searched })
    }

    fn places() -> Vec<PathBuf> {
        if let Some(dir) = env::var_os("SAMPAN_QEMU_DIR") {
            return vec![dir.into()];
        }
        let mut places = Vec::new();
        if let Some(exe_dir) = env::current_exe().ok().as_deref().and_then(Path::parent) {
            places.push(exe_dir.join("qemu"));
            places.push(exe_dir.join("../lib/sampan/qemu"));
        }
        places.extend(cache_dir().map(|dir| dir.join("qemu/current")));
        places
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The library for `arch`, checked to be one that this process can load.
    ///
    /// # Errors
    /// [`LaunchError::NoLibrary`] when there is none, [`LaunchError::BadLibrary`] when it is not for this machine.
    pub fn library(&self, arch: Arch, engine: Engine) -> Result<PathBuf, LaunchError> {
        let path = self.library_path(arch, engine);
        if !path.is_file() {
            return Err(LaunchError::NoLibrary { arch, engine, path });
        }
        check_shared_library(&path)?;
        Ok(path)
    }

    fn library_path(&self, arch: Arch, engine: Engine) -> PathBuf {
        self.path.join(format!("libqemu-system-{arch}{}.so", engine.suffix()))
    }

    /// The directory for QEMU's `-L`.
    ///
    /// # Errors
    /// [`LaunchError::NoFirmware`] when it is missing.
    pub fn firmware(&self) -> Result<PathBuf, LaunchError> {
        let path = self.firmware.clone().unwrap_or_else(|| self.path.join("firmware"));
        if path.is_dir() { Ok(path) } else { Err(LaunchError::NoFirmware { path }) }
    }

    /// The disk tool of the same build.
    ///
    /// # Errors
    /// [`LaunchError::NoTool`] when it is missing.
    pub fn qemu_img(&self) -> Result<PathBuf, LaunchError> {
        let path = self.path.join("qemu-img");
        if path.is_file() { Ok(path) } else { Err(LaunchError::NoTool { path }) }
    }

    /// The libraries that are there, whether they can be loaded or not.
    pub fn builds(&self) -> Vec<(Arch, Engine, PathBuf)> {
        let mut found = Vec::new();
        for arch in Arch::ALL {
            for engine in [Engine::Native, Engine::Interpreter] {
                let path = self.library_path(arch, engine);
                if path.is_file() {
                    found.push((arch, engine, path));
                }
            }
        }
        found
    }

    /// Under which licences QEMU, what is linked into it, and its firmware are: the text of `LICENSES.txt`.
    ///
    /// # Errors
    /// [`LaunchError::NoLicenses`] when it is missing or cannot be read.
    pub fn licenses(&self) -> Result<String, LaunchError> {
        let path = self.path.join("LICENSES.txt");
        std::fs::read_to_string(&path).map_err(|source| LaunchError::NoLicenses { path, source })
    }

    /// The text of `BUILDINFO.json`, if there is one.
    pub fn build_info(&self) -> Option<String> {
        std::fs::read_to_string(self.path.join("BUILDINFO.json")).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn says_what_is_missing() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = LibqemuDir::at(tmp.path());
        assert!(dir.builds().is_empty());
        assert!(matches!(dir.library(Arch::X86_64, Engine::Native), Err(LaunchError::NoLibrary { .. })));
        assert!(matches!(dir.firmware(), Err(LaunchError::NoFirmware { .. })));
        assert!(matches!(dir.qemu_img(), Err(LaunchError::NoTool { .. })));
        assert!(matches!(dir.licenses(), Err(LaunchError::NoLicenses { .. })));

        fs::write(tmp.path().join("libqemu-system-x86_64.so"), "a script, not a library").unwrap();
        assert_eq!(dir.builds().len(), 1);
        let error = dir.library(Arch::X86_64, Engine::Native).unwrap_err();
        assert!(error.to_string().contains("is no ELF file"), "{error}");
    }
}
