//! A libqemu that somebody has taken over, in the real helper: it makes the system calls that it is told to.

use std::env;
use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use nix::errno::Errno;
use sampan_emulator::{Arch, Child, Confinement, LaunchSpec, Launcher, LibqemuDir, Running};

/// An argument of a system call.
#[derive(Clone, Debug)]
pub enum Argument {
    Number(i64),
    /// A pointer to a copy of these, which the call may write to.
    Memory(Vec<u8>),
    /// What the call before returned.
    Last,
}

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        impl From<$kind> for Argument {
            fn from(number: $kind) -> Self {
                Self::Number(number.into())
            }
        }
    )*};
}
numbers!(i32 u32 i64);

impl From<usize> for Argument {
    fn from(length: usize) -> Self {
        Self::Number(length as i64)
    }
}

impl From<&CStr> for Argument {
    fn from(text: &CStr) -> Self {
        Self::Memory(text.to_bytes_with_nul().to_owned())
    }
}

impl From<&PathBuf> for Argument {
    fn from(path: &PathBuf) -> Self {
        Self::Memory([path.as_os_str().as_bytes(), b"\0"].concat())
    }
}

impl From<&[u8]> for Argument {
    fn from(bytes: &[u8]) -> Self {
        Self::Memory(bytes.to_owned())
    }
}

/// A system call.
#[derive(Clone, Debug)]
pub struct Call {
    number: i64,
    arguments: Vec<Argument>,
}

impl Call {
    pub fn new(number: i64, arguments: Vec<Argument>) -> Self {
        Self { number, arguments }
    }
}

/// `call!(NUMBER, argument…)`
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::double::Call::new($number, vec![$($crate::double::Argument::from($argument)),*])
    };
}
pub(crate) use call;

/// The folders of a test: what the process is given, and beside it what it is not.
pub struct World {
    folder: tempfile::TempDir,
    /// Another process of the same user.
    victim: process::Child,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for name in ["own", "sibling", "share", "library/firmware"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for disk in ["own/disk", "own/renamed", "own/deleted", "sibling/disk", "share/file"] {
            File::create(at(disk)).unwrap().set_len(4096).unwrap();
        }
        fs::write(at("own/readme"), "for reading").unwrap();
        let double = at("library/libqemu-system-x86_64.so");
        let compiled = Command::new(env::var_os("SAMPAN_TEST_CC").unwrap_or("cc".into()))
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&double)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/double/double.c"))
            .status();
        assert!(compiled.unwrap().success());
        fs::copy(double, at("library/libqemu-system-aarch64.so")).unwrap();
        let victim = Command::new("sleep").arg("1000").spawn().unwrap();
        Self { folder, victim }
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn victim(&self) -> u32 {
        self.victim.id()
    }

    pub fn launch(&self, confinement: Option<Confinement>) -> Double {
        let dir = LibqemuDir::at(self.at("library"));
        let child = Child::with_program(dir, env!("CARGO_BIN_EXE_sampan-vmhost"));
        let mut spec = LaunchSpec::new("double", Arch::X86_64);
        spec.confinement = confinement;
        let running = child.launch(spec, Box::new(drop)).unwrap();
        running.qmp.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
        Double { running }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

/// A process that does what it is told.
pub struct Double {
    running: Running,
}

impl Double {
    pub fn pid(&self) -> u32 {
        self.running.control.pid().unwrap()
    }

    /// What the kernel said.
    pub fn does(&mut self, call: &Call) -> Result<i64, Errno> {
        let (mut values, mut kinds, mut memory) = ([0; 6], [0_u64; 6], Vec::new());
        for (i, argument) in call.arguments.iter().enumerate() {
            match argument {
                Argument::Number(number) => values[i] = *number,
                Argument::Memory(bytes) => {
                    // As C aligns what a call reads.
                    memory.resize(memory.len().next_multiple_of(16), 0);
                    (values[i], kinds[i]) = (memory.len() as i64, 1);
                    memory.extend(bytes);
                }
                Argument::Last => kinds[i] = 2,
            }
        }
        let mut order = call.number.to_ne_bytes().to_vec();
        values.iter().for_each(|value| order.extend(value.to_ne_bytes()));
        kinds.iter().for_each(|kind| order.extend(kind.to_ne_bytes()));
        order.extend((memory.len() as u64).to_ne_bytes());
        order.extend(&memory);
        let qmp = &mut self.running.qmp;
        qmp.write_all(&order).unwrap();
        let mut result = [0; 8];
        qmp.read_exact(&mut result).unwrap_or_else(|e| panic!("{call:?} ended the process: {e}"));
        qmp.read_exact(&mut memory).unwrap();
        match i64::from_ne_bytes(result) {
            error @ -4095..0 => Err(Errno::from_raw(-error as i32)),
            value => Ok(value),
        }
    }

    /// All but the last are made first, and succeed.
    pub fn tries(&mut self, what: &str, calls: &[Call]) -> Result<i64, Errno> {
        let (last, before) = calls.split_last().unwrap();
        for call in before {
            self.does(call).unwrap_or_else(|e| panic!("before {what}: {call:?}: {e}"));
        }
        self.does(last)
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        let _ = self.running.control.kill();
    }
}

/// A variable's names in a process's environment.
pub fn variables(pid: u32) -> Vec<String> {
    let bytes = fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap();
    let entries = bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    entries.map(|entry| String::from_utf8_lossy(entry).split('=').next().unwrap().to_owned()).collect()
}
