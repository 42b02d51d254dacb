//! One libqemu file for all runs, as far as our own loader can.

use std::collections::HashSet;
use std::path::PathBuf;

use parking_lot::Mutex;

use crate::{Arch, Copies, Engine, LaunchError, LibqemuDir, LibraryCopy};

/// One file for every run, mapped afresh by a loader of our own; copies from elsewhere where that cannot be: a
/// library that does not qualify, or a system that does not let a program map its own code.
pub struct OneFile {
    dir: LibqemuDir,
    otherwise: Box<dyn Copies>,
    /// Files that qualify. What keeps one from it may be the process's (descriptors, memory) and pass.
    fit: Mutex<HashSet<PathBuf>>,
}

impl OneFile {
    /// The libraries in `dir`.
    pub fn new(dir: LibqemuDir, otherwise: Box<dyn Copies>) -> Self {
        Self { dir, otherwise, fit: Mutex::default() }
    }

    /// Why this library cannot be run again and again: the rest of a sentence that begins with the file's name.
    /// `None`: it can.
    pub fn refusal(&self, arch: Arch, engine: Engine) -> Option<String> {
        self.library(arch, engine).err()
    }

    fn library(&self, arch: Arch, engine: Engine) -> Result<PathBuf, String> {
        if cfg!(not(any(target_env = "musl", target_env = "ohos"))) {
            return Err("is for a libc whose workings our loader does not know".into());
        }
        let path = self.dir.library(arch, engine).map_err(|e| e.to_string())?;
        let mut fit = self.fit.lock();
        if !fit.contains(&path) {
            sampan_loader::check(&path).map_err(|error| {
                log::info!("{error}: this run takes a copy");
                error.kind.to_string()
            })?;
            fit.insert(path.clone());
        }
        Ok(path)
    }
}

impl Copies for OneFile {
    fn take(&self, arch: Arch, engine: Engine) -> Result<LibraryCopy, LaunchError> {
        match self.library(arch, engine) {
            Ok(origin) => Ok(LibraryCopy::afresh(origin)),
            Err(_) => self.otherwise.take(arch, engine),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FixedCopies;

    #[test]
    fn copies_are_taken_where_the_file_does_not_qualify() {
        let tmp = tempfile::tempdir().unwrap();
        let elsewhere = std::env::current_exe().unwrap();
        std::fs::write(tmp.path().join("libqemu-system-x86_64.so"), "no library").unwrap();
        let copies = FixedCopies::new([(Arch::X86_64, Engine::Native, elsewhere)]);
        let file = OneFile::new(LibqemuDir::at(tmp.path()), Box::new(copies));
        for arch in Arch::ALL {
            assert!(file.refusal(arch, Engine::Native).is_some());
        }
        // What it says is the copies' word.
        assert!(file.take(Arch::X86_64, Engine::Native).is_ok());
        let none_left = file.take(Arch::X86_64, Engine::Native);
        assert!(matches!(none_left, Err(LaunchError::NoCopyLeft { limit: 1, .. })));
    }
}
