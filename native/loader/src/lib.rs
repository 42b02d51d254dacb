//! An ELF loader: it maps one file of libqemu afresh for every run, and takes all back after it.
//!
//! The dynamic linker hands out a library once, and QEMU can be run once; so without this every run takes a
//! copy of the file. A library qualifies that is made for it (`scripts/qemu/build --target`): everything inside
//! but libc, and thread-local storage that the compiler emulates.
//!
//! A run owns what it uses because the library gets functions of ours in place of some of libc's: its heap is
//! its own, its thread-local storage and signal handlers too, and of threads, descriptors, streams and mappings
//! it is known which are its own (`c/*.c`). When QEMU has ended, the threads that are left are ended where they
//! wait, and all goes. If a thread does not stop, nothing goes: a library is never unmapped under a living
//! thread.
//!
//! A file may be damaged or hostile: whatever in its headers and tables does not hold together is an error. What
//! its code does is the caller's concern.
//!
//! `docs/emulator.md`, "Running one file again and again", tells what is not taken back.

mod dynamic;
mod elf;
mod error;
mod heap;
mod interpose;
mod lock;
mod mapping;
mod program;
mod relocate;
mod run_context;
mod run_resources;
#[cfg(test)]
mod sample;
mod tables;
#[cfg(test)]
mod tests;

use std::ffi::{CStr, CString, c_void};
use std::fs::File;
use std::io::Read;
use std::mem::ManuallyDrop;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use dynamic::Dynamic;
pub use elf::check_shared_library;
use error::Checked;
#[doc(hidden)]
pub use error::samples;
pub use error::{LoadError, LoadErrorKind};
use interpose::Owner;
use mapping::Mapping;
use program::Program;
use run_context::Inside;
pub use run_context::RawInside;
use tables::Tables;

/// Threads that are left wait for something; one that is at work may finish it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Functions by which a library would leave something behind that we do not see, or that is called later.
const UNFIT: [&[u8]; 10] = [
    b"putenv",
    b"timer_create",
    b"thrd_create",
    b"tss_create",
    b"pthread_cancel",
    b"at_quick_exit",
    b"on_exit",
    b"__cxa_thread_atexit_impl",
    b"malloc_usable_size",
    b"mremap",
];

/// A library mapped for one run. Dropped, it is given back as far as can be, as by [`Instance::end`].
pub struct Instance {
    /// `None` once given back or given up.
    parts: Option<Parts>,
    dynamic: Dynamic,
    path: String,
}

struct Parts {
    mapping: Mapping,
    owner: *const Owner,
    inside: Inside,
}

// SAFETY: the owner is shared by locks; it is a raw pointer as it is C's too.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

/// Would [`Instance::load`] take this file, on this system? Maps it to see, and runs nothing.
///
/// # Errors
/// The [`LoadError`] that loading would end in.
pub fn check(path: &Path) -> Result<(), LoadError> {
    mapped(path).map(drop).map_err(LoadErrorKind::of(path))
}

/// Mapped and linked; nothing has run.
fn mapped(path: &Path) -> Checked<(Parts, Dynamic)> {
    elf::check(path)?;
    let system = || LoadErrorKind::system("mapped");
    let mut file = File::open(path).map_err(system())?;
    let length = file.metadata().map_err(system())?.len();
    let length = usize::try_from(length).map_err(|_| LoadErrorKind::Damaged("is too large"))?;
    let mut headers = Vec::new();
    file.by_ref().take(program::HEADERS as u64).read_to_end(&mut headers).map_err(system())?;
    let page = mapping::page_size();
    let program = Program::parse(&headers, length, page)?;
    let mut section = vec![0; program.dynamic.len()];
    file.read_exact_at(&mut section, program.dynamic.start as u64).map_err(system())?;
    let dynamic = Dynamic::parse(&section)?;
    let mapping = Mapping::new(&file, program, page).map_err(system())?;
    check_needed(&Tables::new(mapping.view(), &dynamic)?)?;
    // SAFETY: nothing of it has run.
    unsafe { relocate::link(&mapping, &dynamic, &resolve)? };
    mapping.protect().map_err(system())?;

    let owner = Owner::new_raw().ok_or(LoadErrorKind::NoAddressSpace)?;
    let (base, size) = (mapping.base(), mapping.program().size);
    // SAFETY: both stay until `Parts` is dropped.
    match unsafe { Inside::new(owner.cast::<c_void>(), base, size) } {
        Some(inside) => Ok((Parts { mapping, owner, inside }, dynamic)),
        None => {
            // SAFETY: nobody has been told of it.
            unsafe { Owner::drop_raw(owner) };
            Err(LoadErrorKind::NoSignalOrKey)
        }
    }
}

/// All that it asks for is here already, as libc is.
fn check_needed(tables: &Tables<'_>) -> Checked<()> {
    for name in tables.needed() {
        let name =
            CString::new(name?).map_err(|_| LoadErrorKind::Damaged("needs a library without a name"))?;
        // SAFETY: a string; nothing is loaded.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) };
        if handle.is_null() {
            return Err(LoadErrorKind::MissingLibrary { name: name.to_string_lossy().into() });
        }
        // SAFETY: what was opened just now; it was loaded before.
        unsafe { libc::dlclose(handle) };
    }
    Ok(())
}

fn resolve(name: &CString) -> Checked<Option<usize>> {
    if UNFIT.contains(&name.to_bytes()) {
        let name = name.to_string_lossy();
        return LoadErrorKind::unsupported(format!("uses {name}, which our loader cannot take back"));
    }
    let ours = interpose::heap_function(name).or_else(|| run_context::name(name));
    Ok(ours.or_else(|| {
        // SAFETY: a string.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        (!address.is_null()).then(|| address.expose_provenance())
    }))
}

impl Instance {
    /// Maps and links it, and runs its constructors.
    ///
    /// # Safety
    /// Its constructors may be run on this thread, and leave nothing behind that we do not see.
    ///
    /// # Errors
    /// What is wrong with the library, or with this process. None of its code has run then.
    pub unsafe fn load(path: &Path) -> Result<Self, LoadError> {
        let (parts, dynamic) = mapped(path).map_err(LoadErrorKind::of(path))?;
        // SAFETY: linked.
        let constructors = unsafe { relocate::constructors(&parts.mapping, &dynamic) };
        let constructors = constructors.map_err(LoadErrorKind::of(path))?;
        parts.inside.visit(|| {
            for constructor in constructors {
                // SAFETY: code of the library; what it does is the caller's.
                unsafe { std::mem::transmute::<*const (), extern "C" fn()>(constructor)() };
            }
        });
        Ok(Self { parts: Some(parts), dynamic, path: path.display().to_string() })
    }

    /// The address of an exported function, good until the run is given back. `None`: the library exports no code
    /// of this name.
    pub fn function(&self, name: &CStr) -> Option<*const ()> {
        let mapping = &self.parts.as_ref()?.mapping;
        let at = Tables::new(mapping.view(), &self.dynamic).ok()?.find(name.to_bytes())?;
        mapping.code(at)
    }

    /// For C (`c/inside.h`), which enters it on QEMU's main thread. As long as this is not given back.
    pub fn raw(&self) -> *mut RawInside {
        self.parts.as_ref().map_or(std::ptr::null_mut(), |parts| parts.inside.raw())
    }

    /// Calls the library's functions on this thread: as long as the call lasts, the thread is one of the run's.
    pub fn visit<T>(&self, call: impl FnOnce() -> T) -> T {
        match &self.parts {
            Some(parts) => parts.inside.visit(call),
            None => call(),
        }
    }

    /// Keeps everything for ever: QEMU is not at its end.
    pub fn abandon(mut self) {
        self.give_up("its machine did not end");
    }

    fn give_up(&mut self, why: &str) {
        if let Some(parts) = self.parts.take() {
            log::warn!("{}: a run's memory, threads and descriptors stay: {why}", self.path);
            let _for_ever = ManuallyDrop::new(parts);
        }
    }

    /// Takes everything back; false, and a word in the log, if a thread does not stop within 5 seconds, and then
    /// everything stays for ever. Nobody may be in the library but threads that it made.
    pub fn end(mut self) -> bool {
        self.try_end()
    }

    fn try_end(&mut self) -> bool {
        let Some(parts) = &self.parts else { return false };
        if !parts.inside.end(PATIENCE) {
            self.give_up("one of its threads does not stop");
            return false;
        }
        // Dropped in order.
        self.parts = None;
        true
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.try_end();
    }
}

impl Drop for Parts {
    /// Only when no thread is in the library. Its code is still needed for what its streams have to write.
    fn drop(&mut self) {
        // SAFETY: it is dropped at the end of this function only.
        let mut resources = unsafe { &*self.owner }.resources();
        // Streams first: what they write goes to descriptors.
        let streams = resources.close();
        let (descriptors, mappings) = (self.inside.take_back(), resources.unmap());
        drop(resources);
        log::debug!("taken back: {descriptors} descriptors, {streams} streams, {mappings} mappings");
        // SAFETY: nobody is in the run, as its threads have ended, and neither C's part nor the owner is used
        // again; the library itself is unmapped after this.
        unsafe {
            self.inside.free();
            Owner::drop_raw(self.owner);
        }
    }
}
