//! Copies of libqemu. QEMU's option lists and its threads make a loaded library good for one run, and
//! unloading it crashes in thread-local destructors; so each run has a copy of its own, never unloaded.
//! The type says it: a [`LibraryCopy`] cannot be cloned, and loading consumes it. Where our own loader serves
//! (`one_file.rs`) it is the one file, mapped afresh.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::mem::{self, ManuallyDrop};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use parking_lot::Mutex;
use sampan_loader::{Instance, check_shared_library};
use sampan_message::Message;

use crate::fault::NotLoaded;
use crate::{Arch, Engine, LaunchError, LibqemuDir, tls_keys};

/// Where copies come from: made on the spot ([`FreshCopies`]), or shipped ([`FixedCopies`]).
pub trait Copies: Send + Sync {
    /// A copy that has never been loaded.
    ///
    /// # Errors
    /// [`LaunchError::NoCopyLeft`] when all have run, or what is wrong with the library.
    fn take(&self, arch: Arch, engine: Engine) -> Result<LibraryCopy, LaunchError>;
}

/// A file that is loaded once, or afresh.
#[derive(Debug)]
pub struct LibraryCopy {
    way: Way,
    /// What a message calls it.
    origin: PathBuf,
}

#[derive(Debug)]
enum Way {
    /// By the dynamic linker, once: what it is given, and what keeps `/proc/self/fd/N` valid until it has mapped it.
    Linker { path: PathBuf, file: Option<File> },
    /// By our own loader (`native/loader`), as often as wanted.
    Afresh,
}

/// A copy that has been loaded and not yet run.
pub(crate) struct Loaded {
    pub(crate) code: Code,
    pub(crate) origin: PathBuf,
}

/// By whom it was loaded.
pub(crate) enum Code {
    /// Never unloaded: QEMU's threads outlive its main loop.
    Linker(ManuallyDrop<Library>),
    Afresh(Box<Instance>),
}

impl Code {
    /// An exported function.
    ///
    /// # Safety
    /// The symbol is a function of this type.
    pub(crate) unsafe fn function<T: Copy>(&self, name: &CStr) -> Option<T> {
        const { assert!(size_of::<T>() == size_of::<*const ()>(), "a function is a pointer") };
        match self {
            // SAFETY: the caller's.
            Self::Linker(library) => unsafe { library.get::<T>(name.to_bytes_with_nul()) }.ok().map(|s| *s),
            // SAFETY: the caller's; T has a pointer's size.
            Self::Afresh(instance) => instance.function(name).map(|f| unsafe { mem::transmute_copy(&f) }),
        }
    }

    pub(crate) fn into_instance(self) -> Option<Instance> {
        match self {
            Self::Linker(_) => None,
            Self::Afresh(instance) => Some(*instance),
        }
    }
}

/// Device and inode of all that was loaded. The dynamic linker would hand out the same library again.
static LOADED: LazyLock<Mutex<HashSet<(u64, u64)>>> = LazyLock::new(Mutex::default);

impl LibraryCopy {
    /// A file as it is, for a program that runs one VM and ends.
    pub fn the_file_itself(path: PathBuf) -> Self {
        Self { way: Way::Linker { path: path.clone(), file: None }, origin: path }
    }

    /// A file that our own loader takes.
    pub(crate) fn afresh(origin: PathBuf) -> Self {
        Self { way: Way::Afresh, origin }
    }

    fn of_file(file: File, origin: PathBuf) -> Self {
        Self { way: Way::Linker { path: linker_path(&file), file: Some(file) }, origin }
    }

    /// Maps it into this process; by the dynamic linker for ever.
    pub(crate) fn load(self) -> Result<Loaded, LaunchError> {
        let origin = self.origin;
        let code = match self.way {
            Way::Linker { path, file } => linked(&path, file),
            Way::Afresh => {
                // SAFETY: libqemu's constructors, see `linked`. What it uses of libc, its list of names says
                // (`scripts/ohos/libc.txt`), and what cannot be taken back the loader refuses.
                let loaded = unsafe { Instance::load(&origin) };
                loaded.map(|instance| Code::Afresh(Box::new(instance))).map_err(|e| {
                    let reason = e.kind.reason();
                    Message { message: format!("it {}", reason.message), ..reason }
                })
            }
        };
        match code {
            Ok(code) => Ok(Loaded { code, origin }),
            Err(reason) => Err(LaunchError::Load { path: origin, reason }),
        }
    }
}

fn linked(path: &Path, file: Option<File>) -> Result<Code, Message> {
    let refused = |why: String| Message::saying(&NotLoaded::Linker { why });
    let meta = fs::metadata(path).map_err(|e| refused(e.to_string()))?;
    if !LOADED.lock().insert((meta.dev(), meta.ino())) {
        return Err(Message::saying(&NotLoaded::Twice));
    }
    // SAFETY: libqemu's constructors register QEMU's modules in the library's own memory; they start no
    // thread and install no handler. Symbols stay local, so copies do not see each other's.
    let library =
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|e| refused(e.to_string()))?;
    drop(file);
    Ok(Code::Linker(ManuallyDrop::new(library)))
}

/// What the dynamic linker loads keeps its keys for ever.
fn keys_left() -> Result<(), LaunchError> {
    if tls_keys::enough() { Ok(()) } else { Err(LaunchError::NoKeyLeft) }
}

/// A new copy of the file for each run: 28 MB of disk (shared where the file system can) that no name
/// leads to, given back when the process ends.
#[derive(Clone, Debug)]
pub struct FreshCopies {
    dir: LibqemuDir,
}

impl FreshCopies {
    /// Copies of the libraries in `dir`.
    pub fn new(dir: LibqemuDir) -> Self {
        Self { dir }
    }
}

impl Copies for FreshCopies {
    fn take(&self, arch: Arch, engine: Engine) -> Result<LibraryCopy, LaunchError> {
        keys_left()?;
        let origin = self.dir.library(arch, engine)?;
        let file =
            nameless_copy(&origin).map_err(|source| LaunchError::Copy { path: origin.clone(), source })?;
        Ok(LibraryCopy::of_file(file, origin))
    }
}

/// Beside the original, where libraries may be mapped executable and the file system may share the blocks;
/// in memory where that directory is not ours to write in.
fn nameless_copy(original: &Path) -> io::Result<File> {
    let mut from = File::open(original)?;
    let beside = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o500)
        .custom_flags(libc::O_TMPFILE)
        .open(original.parent().unwrap_or(Path::new("/")))
        .and_then(|mut to| io::copy(&mut from, &mut to).map(|_| to));
    if let Ok(file) = beside {
        return Ok(file);
    }
    let mut from = File::open(original)?;
    let mut memory: File =
        memfd_create(c"libqemu", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?.into();
    io::copy(&mut from, &mut memory)?;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK))?;
    Ok(memory)
}

/// `/proc/self/fd/N` in a spelling used once: glibc takes a path that it has seen for the library it loaded
/// from there, and N comes again when the file is closed. The binary digits of a counter become `./` and `/`.
fn linker_path(file: &File) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let digits: String =
        (0..32 - count.leading_zeros()).map(|bit| if count >> bit & 1 == 1 { "./" } else { "/" }).collect();
    format!("/proc/self/fd/{digits}{}", file.as_raw_fd()).into()
}

/// A list of files, each for one run: what a device has, which loads nothing but its signed package.
#[derive(Debug, Default)]
pub struct FixedCopies {
    left: Mutex<HashMap<(Arch, Engine), Vec<PathBuf>>>,
    given: HashMap<(Arch, Engine), usize>,
}

impl FixedCopies {
    /// Takes the files in the order given.
    pub fn new(files: impl IntoIterator<Item = (Arch, Engine, PathBuf)>) -> Self {
        let mut left: HashMap<_, Vec<_>> = HashMap::new();
        for (arch, engine, path) in files {
            left.entry((arch, engine)).or_default().insert(0, path);
        }
        let given = left.iter().map(|(key, paths)| (*key, paths.len())).collect();
        Self { left: Mutex::new(left), given }
    }

    /// How many more VMs of this kind can be started before the program must be.
    pub fn left(&self, arch: Arch, engine: Engine) -> usize {
        self.left.lock().get(&(arch, engine)).map_or(0, Vec::len)
    }
}

impl Copies for FixedCopies {
    fn take(&self, arch: Arch, engine: Engine) -> Result<LibraryCopy, LaunchError> {
        keys_left()?;
        let limit = self.given.get(&(arch, engine)).copied().unwrap_or(0);
        let mut left = self.left.lock();
        let path = left
            .get_mut(&(arch, engine))
            .and_then(Vec::pop)
            .ok_or(LaunchError::NoCopyLeft { arch, limit })?;
        check_shared_library(&path)?;
        Ok(LibraryCopy::the_file_itself(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any of them serves to see what the linker makes of copies. The system's own do not: musl has one library, and
    /// two of it are none.
    fn some_library() -> PathBuf {
        LibqemuDir::find().unwrap().builds()[0].2.clone()
    }

    fn copy_of(path: &Path) -> LibraryCopy {
        let file = nameless_copy(path).unwrap();
        LibraryCopy::of_file(file, path.into())
    }

    #[test]
    fn each_copy_is_loaded_anew_though_its_fd_has_the_same_number() {
        let path = some_library();
        let count = || {
            let maps = fs::read_to_string("/proc/self/maps").unwrap();
            let copies = maps.lines().filter(|l| l.contains("(deleted)") && l.contains(" r-xp "));
            copies
                .filter_map(|l| l.split_whitespace().nth(4).map(str::to_owned))
                .collect::<HashSet<_>>()
                .len()
        };
        let before = count();
        for _ in 0..5 {
            copy_of(&path).load().unwrap();
        }
        assert_eq!(count() - before, 5);
    }

    #[test]
    fn the_same_file_is_not_loaded_twice() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("libonce.so");
        fs::copy(some_library(), &path).unwrap();
        let link = tmp.path().join("libother.so");
        fs::hard_link(&path, &link).unwrap();
        LibraryCopy::the_file_itself(path).load().unwrap();
        let again = LibraryCopy::the_file_itself(link).load();
        assert!(again.is_err_and(|e| e.to_string().contains("a copy runs once")));
    }

    #[test]
    fn a_fixed_list_comes_to_its_end() {
        let copies = FixedCopies::new([
            (Arch::Aarch64, Engine::Native, some_library()),
            (Arch::Aarch64, Engine::Native, some_library()),
        ]);
        assert!(copies.take(Arch::Aarch64, Engine::Native).is_ok());
        assert!(copies.take(Arch::Aarch64, Engine::Native).is_ok());
        let error = copies.take(Arch::Aarch64, Engine::Native).unwrap_err();
        assert!(matches!(error, LaunchError::NoCopyLeft { limit: 2, .. }), "{error}");
        assert!(error.to_string().contains("restart the program"), "{error}");
        assert!(matches!(copies.take(Arch::X86_64, Engine::Native), Err(LaunchError::NoCopyLeft { .. })));
    }
}
