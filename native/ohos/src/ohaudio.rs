//! `libohaudio.so`, loaded at run time: streams that play and record.
//!
//! Signatures and numbers are those of OpenHarmony's headers `ohaudio/native_audiostreambuilder.h`, `native_audiostream_base.h`,
//! `native_audiorenderer.h` and `native_audiocapturer.h`, where they have been since API 10, and
//! `OH_AudioStreamBuilder_SetRendererWriteDataCallback` since 12. A callback is told a number and no pointer: one that is still on its
//! way when a stream is released finds nobody.

use crate::error::OhosError;
use crate::library::{SystemLibrary, on_device};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

// `OH_AudioStream_Type`.
const RENDERER: i32 = 1;
const CAPTURER: i32 = 2;
/// `AUDIOSTREAM_SAMPLE_S16LE`.
const S16LE: i32 = 1;
/// `AUDIOSTREAM_ENCODING_TYPE_RAW`.
const RAW: i32 = 0;
/// `AUDIOSTREAM_USAGE_MOVIE`: what a guest plays is anything, and goes with a picture.
const USAGE_MOVIE: i32 = 10;
/// `AUDIOSTREAM_SOURCE_TYPE_MIC`.
const SOURCE_MIC: i32 = 0;
/// `AUDIO_DATA_CALLBACK_RESULT_VALID`.
const VALID: i32 = 0;
// `OH_AudioInterrupt_Hint`.
const HINT_RESUME: i32 = 1;
const HINT_STOP: i32 = 3;

/// What the system says of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// What had interrupted it is over.
    Resume,
    /// Something else has taken its place.
    Stopped,
    /// An `OH_AudioStream_Result`.
    Failed(i32),
}

/// Whose stream it is. Called on the system's threads; must not block.
pub(crate) trait Client: Send + Sync {
    /// Writes or reads samples: 16 bits, two channels, 48000 frames a second.
    fn data(&self, bytes: &mut [u8]);

    /// Hears what the system says.
    fn event(&self, event: Event);
}

/// A type of which only pointers exist.
type Builder = *mut c_void;
type Handle = *mut c_void;

type OnWrite = extern "C" fn(Handle, *mut c_void, *mut c_void, i32) -> i32;

/// `OH_AudioRenderer_Callbacks` and `OH_AudioCapturer_Callbacks`, which have the same members.
#[repr(C)]
#[derive(Clone, Copy)]
struct Callbacks {
    data: Option<extern "C" fn(Handle, *mut c_void, *mut c_void, i32) -> i32>,
    stream_event: Option<extern "C" fn(Handle, *mut c_void, i32) -> i32>,
    interrupt: Option<extern "C" fn(Handle, *mut c_void, i32, i32) -> i32>,
    error: Option<extern "C" fn(Handle, *mut c_void, i32) -> i32>,
}

type Set = unsafe extern "C" fn(Builder, i32) -> i32;
type Control = unsafe extern "C" fn(Handle) -> i32;
type Generate = unsafe extern "C" fn(Builder, *mut Handle) -> i32;
type SetCallbacks = unsafe extern "C" fn(Builder, Callbacks, *mut c_void) -> i32;

/// The functions on streams of one direction.
struct Direction {
    set_info: Set,
    set_callbacks: SetCallbacks,
    generate: Generate,
    start: Control,
    stop: Control,
    release: Control,
}

struct Table {
    create: unsafe extern "C" fn(*mut Builder, i32) -> i32,
    destroy: unsafe extern "C" fn(Builder) -> i32,
    set_rate: Set,
    set_channels: Set,
    set_format: Set,
    set_encoding: Set,
    set_write: unsafe extern "C" fn(Builder, OnWrite, *mut c_void) -> i32,
    renderer: Direction,
    capturer: Direction,
}

/// The system's library for sound, loaded. It stays loaded for the life of the process, since its threads may run.
#[derive(Clone)]
pub struct OhAudio(Arc<Table>);

impl fmt::Debug for OhAudio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OhAudio")
    }
}

impl OhAudio {
    /// The library of the device, or what stands in for it.
    ///
    /// # Errors
    /// [`OhosError::NoLibrary`].
    pub fn load() -> Result<Self, OhosError> {
        Self::load_from(&on_device("libohaudio.so"))
    }

    /// A library of another name, for tests.
    ///
    /// # Errors
    /// As [`OhAudio::load`].
    pub fn load_from(path: &Path) -> Result<Self, OhosError> {
        let library = SystemLibrary::open(path)?;
        // SAFETY: each field has the signature of the header.
        let table = unsafe {
            Table {
                create: library.function(c"OH_AudioStreamBuilder_Create")?,
                destroy: library.function(c"OH_AudioStreamBuilder_Destroy")?,
                set_rate: library.function(c"OH_AudioStreamBuilder_SetSamplingRate")?,
                set_channels: library.function(c"OH_AudioStreamBuilder_SetChannelCount")?,
                set_format: library.function(c"OH_AudioStreamBuilder_SetSampleFormat")?,
                set_encoding: library.function(c"OH_AudioStreamBuilder_SetEncodingType")?,
                set_write: library.function(c"OH_AudioStreamBuilder_SetRendererWriteDataCallback")?,
                renderer: Direction {
                    set_info: library.function(c"OH_AudioStreamBuilder_SetRendererInfo")?,
                    set_callbacks: library.function(c"OH_AudioStreamBuilder_SetRendererCallback")?,
                    generate: library.function(c"OH_AudioStreamBuilder_GenerateRenderer")?,
                    start: library.function(c"OH_AudioRenderer_Start")?,
                    stop: library.function(c"OH_AudioRenderer_Stop")?,
                    release: library.function(c"OH_AudioRenderer_Release")?,
                },
                capturer: Direction {
                    set_info: library.function(c"OH_AudioStreamBuilder_SetCapturerInfo")?,
                    set_callbacks: library.function(c"OH_AudioStreamBuilder_SetCapturerCallback")?,
                    generate: library.function(c"OH_AudioStreamBuilder_GenerateCapturer")?,
                    start: library.function(c"OH_AudioCapturer_Start")?,
                    stop: library.function(c"OH_AudioCapturer_Stop")?,
                    release: library.function(c"OH_AudioCapturer_Release")?,
                },
            }
        };
        Ok(Self(Arc::new(table)))
    }
}

/// Which way a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Play,
    Record,
}

/// Clients by the number that their callbacks are told.
static CLIENTS: Mutex<BTreeMap<usize, Arc<dyn Client>>> = Mutex::new(BTreeMap::new());
static LAST: AtomicUsize = AtomicUsize::new(0);

/// A stream. Its calls may take tens of milliseconds.
pub(crate) struct Stream {
    audio: OhAudio,
    way: Way,
    raw: NonNull<c_void>,
    id: usize,
}

// SAFETY: the header binds a stream to no thread, and this value is the only one that uses it.
unsafe impl Send for Stream {}

impl Stream {
    /// Makes one that is not started. The error is an `OH_AudioStream_Result`.
    pub(crate) fn new(audio: &OhAudio, way: Way, client: Arc<dyn Client>) -> Result<Self, i32> {
        let table = &*audio.0;
        let mut builder: Builder = std::ptr::null_mut();
        let kind = if way == Way::Play { RENDERER } else { CAPTURER };
        // SAFETY: the function writes one pointer.
        checked(unsafe { (table.create)(&raw mut builder, kind) })?;
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        CLIENTS.lock().insert(id, client);
        let mut raw: Handle = std::ptr::null_mut();
        // SAFETY: the builder is alive, the callbacks live for ever, and what they are told is a number.
        let made = unsafe { build(table, way, builder, id, &raw mut raw) };
        // SAFETY: it was created above and is destroyed only here; streams outlive it.
        unsafe { (table.destroy)(builder) };
        match (made, NonNull::new(raw)) {
            (Ok(()), Some(raw)) => Ok(Self { audio: audio.clone(), way, raw, id }),
            (made, _) => {
                CLIENTS.lock().remove(&id);
                // What succeeds and gives nothing is our -1.
                Err(made.err().unwrap_or(-1))
            }
        }
    }

    fn direction(&self) -> &Direction {
        self.audio.0.direction(self.way)
    }

    /// Lets the system call.
    pub(crate) fn start(&self) -> Result<(), i32> {
        // SAFETY: the stream is alive.
        checked(unsafe { (self.direction().start)(self.raw.as_ptr()) })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the stream is alive, and nobody uses it after this.
        unsafe {
            (self.direction().stop)(self.raw.as_ptr());
            (self.direction().release)(self.raw.as_ptr());
        }
        CLIENTS.lock().remove(&self.id);
    }
}

impl Table {
    fn direction(&self, way: Way) -> &Direction {
        match way {
            Way::Play => &self.renderer,
            Way::Record => &self.capturer,
        }
    }
}

/// Says how the stream is to be, and has it made.
///
/// # Safety
/// The builder is alive, and `raw` may be written.
unsafe fn build(table: &Table, way: Way, builder: Builder, id: usize, raw: *mut Handle) -> Result<(), i32> {
    let direction = table.direction(way);
    let user = std::ptr::without_provenance_mut(id);
    let callbacks = Callbacks {
        data: (way == Way::Record).then_some(on_read as OnWrite),
        stream_event: None,
        interrupt: Some(on_interrupt),
        error: Some(on_error),
    };
    // SAFETY: the caller's; each function takes what its type says.
    unsafe {
        checked((table.set_rate)(builder, sampan_audio::RATE as i32))?;
        checked((table.set_channels)(builder, 2))?;
        checked((table.set_format)(builder, S16LE))?;
        checked((table.set_encoding)(builder, RAW))?;
        let info = if way == Way::Play { USAGE_MOVIE } else { SOURCE_MIC };
        checked((direction.set_info)(builder, info))?;
        checked((direction.set_callbacks)(builder, callbacks, user))?;
        if way == Way::Play {
            checked((table.set_write)(builder, on_write, user))?;
        }
        checked((direction.generate)(builder, raw))
    }
}

fn checked(code: i32) -> Result<(), i32> {
    if code == 0 { Ok(()) } else { Err(code) }
}

fn client(user: *mut c_void) -> Option<Arc<dyn Client>> {
    CLIENTS.lock().get(&user.addr()).cloned()
}

/// The system's buffer, which is filled or read; silence where nobody does.
fn with_data(user: *mut c_void, data: *mut c_void, length: i32, silence: bool) {
    let (Some(data), Ok(length)) = (NonNull::new(data.cast::<u8>()), usize::try_from(length)) else { return };
    // SAFETY: the system lends so many bytes for this call.
    let bytes = unsafe { std::slice::from_raw_parts_mut(data.as_ptr(), length) };
    if silence {
        bytes.fill(0);
    }
    let called = catch_unwind(AssertUnwindSafe(|| {
        if let Some(client) = client(user) {
            client.data(bytes);
        }
    }));
    if called.is_err() && silence {
        bytes.fill(0);
    }
}

extern "C" fn on_write(_: Handle, user: *mut c_void, data: *mut c_void, length: i32) -> i32 {
    with_data(user, data, length, true);
    // Also what is silent: for what is invalid the system calls again at once.
    VALID
}

extern "C" fn on_read(_: Handle, user: *mut c_void, data: *mut c_void, length: i32) -> i32 {
    with_data(user, data, length, false);
    0
}

fn tell(user: *mut c_void, event: Event) {
    let told = catch_unwind(AssertUnwindSafe(|| {
        if let Some(client) = client(user) {
            client.event(event);
        }
    }));
    // There is nobody to tell of a panic but the log, which the panic itself was told.
    drop(told);
}

extern "C" fn on_interrupt(_: Handle, user: *mut c_void, _force: i32, hint: i32) -> i32 {
    match hint {
        HINT_RESUME => tell(user, Event::Resume),
        HINT_STOP => tell(user, Event::Stopped),
        // The system has paused it, or made it softer, and says when that is over.
        _ => {}
    }
    0
}

extern "C" fn on_error(_: Handle, user: *mut c_void, code: i32) -> i32 {
    tell(user, Event::Failed(code));
    0
}
