//! The NDK's functions, loaded at run time, and owners of what they give.
//!
//! Signatures, structures and numbers are those of OpenHarmony's headers `native_window/external_window.h`,
//! `native_window/buffer_handle.h`, `native_buffer/buffer_common.h`, `native_window/graphic_error_code.h` and
//! `native_vsync/native_vsync.h`, where they have been since API 12 or longer. Newer functions are looked up and may be missing.

use crate::error::OhosError;
use crate::library::{SystemLibrary, on_device};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_longlong, c_uint, c_void};
use std::fmt;
use std::marker::{PhantomData, PhantomPinned};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

// `NativeWindowOperation`.
const SET_BUFFER_GEOMETRY: c_int = 0;
const SET_FORMAT: c_int = 3;
const SET_USAGE: c_int = 5;
const SET_TIMEOUT: c_int = 10;

/// `NATIVEBUFFER_PIXEL_FMT_BGRA_8888`: bytes B, G, R, A.
pub(crate) const FORMAT_BGRA_8888: i32 = 20;
/// `NATIVEBUFFER_USAGE_CPU_WRITE`: the system cleans the caches when such a buffer is flushed.
const USAGE_CPU_WRITE: u64 = 1 << 1;
/// `NATIVEBUFFER_USAGE_MEM_DMA`.
const USAGE_MEM_DMA: u64 = 1 << 3;
/// `OH_SCALING_MODE_SCALE_FIT_V2`: proportionally, all of the buffer, bars around it.
const SCALE_FIT: c_int = 4;

/// `NATIVE_ERROR_INVALID_ARGUMENTS`, and our word for a call that succeeds and gives nothing.
pub(crate) const INVALID_ARGUMENTS: i32 = 40_001_000;
/// `NATIVE_ERROR_NO_CONSUMER`.
const NO_CONSUMER: i32 = 41_202_000;
/// `NATIVE_ERROR_CONSUMER_DISCONNECTED`.
const CONSUMER_DISCONNECTED: i32 = 41_211_000;

/// Whether a code says that nobody is on the other side of the window any more.
pub(crate) fn is_lost(code: i32) -> bool {
    matches!(code, NO_CONSUMER | CONSUMER_DISCONNECTED)
}

/// A type of which only pointers exist.
#[repr(C)]
struct Opaque {
    _bytes: [u8; 0],
    _not_ours: PhantomData<(*mut u8, PhantomPinned)>,
}

/// `BufferHandle`; an array of integers follows it.
#[repr(C)]
struct BufferHandle {
    fd: i32,
    width: i32,
    stride: i32,
    height: i32,
    size: i32,
    format: i32,
    usage: u64,
    address: *mut c_void,
    key: i32,
    physical_address: u64,
    reserved_fds: u32,
    reserved_integers: u32,
}

#[repr(C)]
struct RegionRect {
    x: i32,
    y: i32,
    width: u32,
    height: u32,
}

/// `Region`, by value.
#[repr(C)]
struct Region {
    rects: *mut RegionRect,
    count: i32,
}

type Window = *mut Opaque;
type Buffer = *mut Opaque;
type VsyncPointer = *mut Opaque;
type FrameCallback = extern "C" fn(c_longlong, *mut c_void);

/// The functions.
struct Table {
    create_window: unsafe extern "C" fn(u64, *mut Window) -> i32,
    destroy_window: unsafe extern "C" fn(Window),
    handle_opt: unsafe extern "C" fn(Window, c_int, ...) -> i32,
    request_buffer: unsafe extern "C" fn(Window, *mut Buffer, *mut c_int) -> i32,
    flush_buffer: unsafe extern "C" fn(Window, Buffer, c_int, Region) -> i32,
    abort_buffer: unsafe extern "C" fn(Window, Buffer) -> i32,
    buffer_handle: unsafe extern "C" fn(Buffer) -> *mut BufferHandle,
    reference: unsafe extern "C" fn(*mut Opaque) -> i32,
    unreference: unsafe extern "C" fn(*mut Opaque) -> i32,
    set_scaling: Option<unsafe extern "C" fn(Window, c_int) -> i32>,
    vsync: Option<VsyncTable>,
}

struct VsyncTable {
    create: unsafe extern "C" fn(*const c_char, c_uint) -> VsyncPointer,
    destroy: unsafe extern "C" fn(VsyncPointer),
    request: unsafe extern "C" fn(VsyncPointer, FrameCallback, *mut c_void) -> c_int,
}

/// The system's libraries, loaded. They stay loaded for the life of the process, since their threads may run.
#[derive(Clone)]
pub struct Ndk(Arc<Table>);

impl fmt::Debug for Ndk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ndk")
            .field("scaling", &self.0.set_scaling.is_some())
            .field("vsync", &self.0.vsync.is_some())
            .finish()
    }
}

impl Ndk {
    /// The libraries of the device, or what stands in for them.
    ///
    /// # Errors
    /// [`OhosError::NoLibrary`] if there are no windows here. Vsync may be missing: frames are paced by a timer then.
    pub fn load() -> Result<Self, OhosError> {
        Self::load_from(&on_device("libnative_window.so"), &on_device("libnative_vsync.so"))
    }

    /// Libraries of other names, for tests.
    ///
    /// # Errors
    /// As [`Ndk::load`].
    pub fn load_from(windows: &Path, vsync: &Path) -> Result<Self, OhosError> {
        let library = SystemLibrary::open(windows)?;
        // SAFETY: each field has the signature of the header.
        let table = unsafe {
            Table {
                create_window: library.function(c"OH_NativeWindow_CreateNativeWindowFromSurfaceId")?,
                destroy_window: library.function(c"OH_NativeWindow_DestroyNativeWindow")?,
                handle_opt: library.function(c"OH_NativeWindow_NativeWindowHandleOpt")?,
                request_buffer: library.function(c"OH_NativeWindow_NativeWindowRequestBuffer")?,
                flush_buffer: library.function(c"OH_NativeWindow_NativeWindowFlushBuffer")?,
                abort_buffer: library.function(c"OH_NativeWindow_NativeWindowAbortBuffer")?,
                buffer_handle: library.function(c"OH_NativeWindow_GetBufferHandleFromNative")?,
                reference: library.function(c"OH_NativeWindow_NativeObjectReference")?,
                unreference: library.function(c"OH_NativeWindow_NativeObjectUnreference")?,
                set_scaling: library.function(c"OH_NativeWindow_NativeWindowSetScalingModeV2").ok(),
                vsync: VsyncTable::load(vsync)
                    .inspect_err(|e| log::warn!("frames are paced by a timer: {e}"))
                    .ok(),
            }
        };
        Ok(Self(Arc::new(table)))
    }
}

impl VsyncTable {
    fn load(path: &Path) -> Result<Self, OhosError> {
        let library = SystemLibrary::open(path)?;
        // SAFETY: each field has the signature of the header.
        unsafe {
            Ok(Self {
                create: library.function(c"OH_NativeVSync_Create")?,
                destroy: library.function(c"OH_NativeVSync_Destroy")?,
                request: library.function(c"OH_NativeVSync_RequestFrame")?,
            })
        }
    }
}

/// `Ok` for 0, else the code.
fn checked(code: i32) -> Result<(), i32> {
    if code == 0 { Ok(()) } else { Err(code) }
}

/// An open window. Its pointer keeps it on the thread that opened it, as the NDK demands.
pub(crate) struct NativeWindow {
    ndk: Ndk,
    raw: NonNull<Opaque>,
}

impl NativeWindow {
    /// Opens the window of a surface. The error is the NDK's code.
    pub(crate) fn open(ndk: &Ndk, surface: u64) -> Result<Self, i32> {
        let mut raw: Window = std::ptr::null_mut();
        // SAFETY: the function takes any number for an id, and writes one pointer.
        checked(unsafe { (ndk.0.create_window)(surface, &raw mut raw) })?;
        NonNull::new(raw).map(|raw| Self { ndk: ndk.clone(), raw }).ok_or(INVALID_ARGUMENTS)
    }

    /// The width and height of the buffers requested from now on, in pixels.
    pub(crate) fn set_geometry(&self, width: i32, height: i32) -> Result<(), i32> {
        // SAFETY: the window is open, and this operation takes two `int32_t`.
        checked(unsafe { (self.ndk.0.handle_opt)(self.raw.as_ptr(), SET_BUFFER_GEOMETRY, width, height) })
    }

    /// The format of the buffers.
    pub(crate) fn set_format(&self, format: i32) -> Result<(), i32> {
        // SAFETY: the window is open, and this operation takes one `int32_t`.
        checked(unsafe { (self.ndk.0.handle_opt)(self.raw.as_ptr(), SET_FORMAT, format) })
    }

    /// Says that a CPU writes the buffers.
    pub(crate) fn set_usage(&self) -> Result<(), i32> {
        let usage = USAGE_CPU_WRITE | USAGE_MEM_DMA;
        // SAFETY: the window is open, and this operation takes one `uint64_t`.
        checked(unsafe { (self.ndk.0.handle_opt)(self.raw.as_ptr(), SET_USAGE, usage) })
    }

    /// How long a request may wait for a buffer, in milliseconds.
    pub(crate) fn set_timeout(&self, ms: i32) -> Result<(), i32> {
        // SAFETY: the window is open, and this operation takes one `int32_t`.
        checked(unsafe { (self.ndk.0.handle_opt)(self.raw.as_ptr(), SET_TIMEOUT, ms) })
    }

    /// Has the system fit the buffer into the surface. Returns whether it does.
    pub(crate) fn fit(&self) -> bool {
        // SAFETY: the window is open.
        self.ndk.0.set_scaling.is_some_and(|set| unsafe { set(self.raw.as_ptr(), SCALE_FIT) } == 0)
    }

    /// Requests a buffer, with the fence that tells when it may be written; none: at once.
    pub(crate) fn request(&self) -> Result<(NativeBuffer, Option<OwnedFd>), i32> {
        let (mut raw, mut fence): (Buffer, c_int) = (std::ptr::null_mut(), -1);
        // SAFETY: the window is open; the function writes one pointer and one number.
        checked(unsafe { (self.ndk.0.request_buffer)(self.raw.as_ptr(), &raw mut raw, &raw mut fence) })?;
        // SAFETY: the header says that whoever requested it owns the fence and closes it.
        let fence = (fence >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fence) });
        let raw = NonNull::new(raw).ok_or(INVALID_ARGUMENTS)?;
        // SAFETY: the buffer is alive, since it was just requested; the reference is given back on drop.
        unsafe { (self.ndk.0.reference)(raw.as_ptr()) };
        Ok((NativeBuffer { ndk: self.ndk.clone(), raw }, fence))
    }

    /// Has a requested buffer shown.
    pub(crate) fn flush(&self, buffer: &NativeBuffer) -> Result<(), i32> {
        // Which corner the rectangles of a region count from is not agreed on between the header and devices: none means
        // the whole buffer.
        let region = Region { rects: std::ptr::null_mut(), count: 0 };
        // SAFETY: window and buffer are alive; -1 is no fence, as a CPU has drawn.
        checked(unsafe { (self.ndk.0.flush_buffer)(self.raw.as_ptr(), buffer.raw.as_ptr(), -1, region) })
    }

    /// Gives a requested buffer back without showing it.
    pub(crate) fn abort(&self, buffer: &NativeBuffer) -> Result<(), i32> {
        // SAFETY: window and buffer are alive.
        checked(unsafe { (self.ndk.0.abort_buffer)(self.raw.as_ptr(), buffer.raw.as_ptr()) })
    }
}

impl Drop for NativeWindow {
    fn drop(&mut self) {
        // SAFETY: it was opened by us and is destroyed only here.
        unsafe { (self.ndk.0.destroy_window)(self.raw.as_ptr()) };
    }
}

/// A reference to a buffer. While it is held, no other buffer has its address.
pub(crate) struct NativeBuffer {
    ndk: Ndk,
    raw: NonNull<Opaque>,
}

impl NativeBuffer {
    /// Whether both are references to one buffer.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.raw == other.raw
    }

    /// What the buffer is like. Only while it is requested.
    pub(crate) fn handle(&self) -> Option<Handle<'_>> {
        // SAFETY: the buffer is alive, as we hold a reference.
        let raw = NonNull::new(unsafe { (self.ndk.0.buffer_handle)(self.raw.as_ptr()) })?;
        // SAFETY: the handle belongs to the buffer and lives as long; nobody changes it while the buffer is ours.
        let raw = unsafe { raw.as_ref() };
        // SAFETY: the descriptor belongs to the buffer, too.
        let fd = (raw.fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(raw.fd) });
        let &BufferHandle { width, height, stride, size, format, .. } = raw;
        Some(Handle { fd, width, height, stride, size, format })
    }
}

impl Clone for NativeBuffer {
    fn clone(&self) -> Self {
        // SAFETY: the buffer is alive; the new reference is given back when the clone is dropped.
        unsafe { (self.ndk.0.reference)(self.raw.as_ptr()) };
        Self { ndk: self.ndk.clone(), raw: self.raw }
    }
}

impl Drop for NativeBuffer {
    fn drop(&mut self) {
        // SAFETY: gives back the reference that was taken in `request`.
        unsafe { (self.ndk.0.unreference)(self.raw.as_ptr()) };
    }
}

/// What a buffer is like, by its own words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle<'b> {
    /// Its memory.
    pub(crate) fd: Option<BorrowedFd<'b>>,
    /// In pixels.
    pub(crate) width: i32,
    /// In rows.
    pub(crate) height: i32,
    /// Bytes from row to row.
    pub(crate) stride: i32,
    /// Bytes in all.
    pub(crate) size: i32,
    /// An `OH_NativeBuffer_Format`.
    pub(crate) format: i32,
}

type Tick = Arc<dyn Fn() + Send + Sync>;

/// Who is called back, by the number that C carries as its pointer. A callback that comes after its vsync's end finds nothing here,
/// and a request that is never answered leaves nothing behind.
static TICKS: Mutex<BTreeMap<usize, Tick>> = Mutex::new(BTreeMap::new());

extern "C" fn ticked(_timestamp: c_longlong, data: *mut c_void) {
    // A panic would end the process at the border to C.
    let _ = std::panic::catch_unwind(|| {
        let tick = TICKS.lock().get(&data.addr()).cloned();
        if let Some(tick) = tick {
            tick();
        }
    });
}

/// The display's vsync.
pub(crate) struct NativeVsync {
    ndk: Ndk,
    raw: NonNull<Opaque>,
    id: usize,
}

impl NativeVsync {
    /// `tick` is called on a thread of the system's, once for each request. `None` if there is no vsync.
    pub(crate) fn new(ndk: &Ndk, tick: Tick) -> Option<Self> {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        const NAME: &[u8] = b"sampan";
        let table = ndk.0.vsync.as_ref()?;
        // SAFETY: the function reads as many bytes of the name as we say.
        let raw = NonNull::new(unsafe { (table.create)(NAME.as_ptr().cast(), NAME.len() as c_uint) })?;
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        TICKS.lock().insert(id, tick);
        Some(Self { ndk: ndk.clone(), raw, id })
    }

    /// Asks for one tick, at the next vsync. Returns whether it will come.
    pub(crate) fn request(&self) -> bool {
        let data = std::ptr::without_provenance_mut(self.id);
        // SAFETY: the vsync is alive. The callback takes its data for a number, so it may come at any time.
        self.ndk
            .0
            .vsync
            .as_ref()
            .is_some_and(|v| unsafe { (v.request)(self.raw.as_ptr(), ticked, data) } == 0)
    }
}

impl Drop for NativeVsync {
    fn drop(&mut self) {
        TICKS.lock().remove(&self.id);
        if let Some(table) = &self.ndk.0.vsync {
            // SAFETY: it was created by us and is destroyed only here.
            unsafe { (table.destroy)(self.raw.as_ptr()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    /// On 64 bits, as the C compiler lays it out.
    #[test]
    fn the_structures_are_laid_out_as_in_the_headers() {
        assert_eq!(offset_of!(BufferHandle, stride), 8);
        assert_eq!(offset_of!(BufferHandle, usage), 24);
        assert_eq!(offset_of!(BufferHandle, physical_address), 48);
        assert_eq!(size_of::<BufferHandle>(), 64);
        assert_eq!((size_of::<RegionRect>(), size_of::<Region>()), (16, 16));
    }

    #[test]
    fn a_panic_and_a_late_call_stay_on_this_side() {
        TICKS.lock().insert(usize::MAX, Arc::new(|| panic!("in a callback")));
        ticked(0, std::ptr::without_provenance_mut(usize::MAX));
        TICKS.lock().remove(&usize::MAX);
        ticked(0, std::ptr::without_provenance_mut(usize::MAX));
    }

    #[test]
    fn a_library_that_is_missing_is_named() {
        let error =
            Ndk::load_from(Path::new("libmissing.so"), Path::new("libmissing.so")).expect_err("missing");
        assert!(error.to_string().contains("libmissing.so"), "{error}");
    }
}
