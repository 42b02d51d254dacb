//! A stand-in for OpenHarmony's `libnative_window.so`, `libnative_vsync.so`, `libhilog_ndk.z.so` and `libchild_process.so`, with the compositor's side of a surface, for
//! tests.
//!
//! It is a shared library in C ([`LIBRARY`]), because the NDK has a variadic function, and is loaded as the system's are.
//! Buffers are memfds that rotate; a test sets how a surface behaves ([`Surface::set`]) and sees what it shows.
//!
//! Invariant: nothing that a test has seen is freed, so that a use after the end is counted ([`faults`]) and never undefined.

use libloading::{Library, Symbol};
use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::sync::OnceLock;

/// Where the library is.
pub const LIBRARY: &str = env!("STAND_IN_LIBRARY");

/// The program that a native child process begins as: it loads a library and calls a function of it.
pub const LAUNCHER: &str = env!("STAND_IN_LAUNCHER");

/// Never unloaded, as its threads may run.
fn library() -> &'static Library {
    static LOADED: OnceLock<Library> = OnceLock::new();
    LOADED.get_or_init(|| {
        // SAFETY: the library is ours and does nothing when it is loaded.
        unsafe { Library::new(Path::new(LIBRARY)) }.expect("the build script has made it")
    })
}

fn symbol<T>(name: &CStr) -> Symbol<'static, T> {
    // SAFETY: each caller names the type that the function has in `c/`.
    unsafe { library().get(name.to_bytes_with_nul()) }.expect("`c/` defines it")
}

/// One surface, as the compositor sees it. It is left alive when this is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface(u64);

impl Surface {
    /// A surface with three buffers that behaves well.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        let make = symbol::<extern "C" fn() -> u64>(c"stand_in_surface");
        Self(make())
    }

    /// Its id.
    pub fn id(self) -> u64 {
        self.0
    }

    /// Ends it, whoever holds a window of it.
    pub fn destroy(self) {
        symbol::<extern "C" fn(u64)>(c"stand_in_destroy")(self.0);
    }

    /// Changes how it behaves:
    ///
    /// - `buffers`: how many there are at most;
    /// - `padding`: bytes between the rows of the next buffers;
    /// - `hold`: 1, the compositor takes nothing, until it is 0;
    /// - `opens_after`: so many windows are refused first;
    /// - `refusals`, `refusal`: so many requests are answered with this code;
    /// - `fence`, `fence_ms`: 0 none, 1 after so many milliseconds, 2 never;
    /// - `odd`: the next buffer's handle is wrong: 1 a stride too small, 2 a size too large, 3 no descriptor, 4 another width,
    ///   5 another format, 6 none at all.
    pub fn set(self, what: &str, value: i32) {
        let what = CString::new(what).expect("a name");
        let set = symbol::<extern "C" fn(u64, *const c_char, i32) -> i32>(c"stand_in_set");
        assert_eq!(set(self.0, what.as_ptr(), value), 0, "{what:?} is known");
    }

    /// What happened, or what is so now: `requested`, `flushed`, `aborted` and `outstanding` buffers, `windows`; `scaling`,
    /// `format`, `usage` and `timeout` as they were set; `width` and `height` of what is shown.
    pub fn get(self, what: &str) -> i64 {
        let what = CString::new(what).expect("a name");
        symbol::<extern "C" fn(u64, *const c_char) -> i64>(c"stand_in_get")(self.0, what.as_ptr())
    }

    /// The pixels that are shown, row by row without padding: four bytes each. Empty while nothing is.
    pub fn shown(self) -> Vec<u8> {
        let shown = symbol::<extern "C" fn(u64, *mut u8, i64) -> i64>(c"stand_in_shown");
        loop {
            let bytes = self.get("width") * self.get("height") * 4;
            let mut pixels = vec![0; usize::try_from(bytes).expect("a size")];
            let got = shown(self.0, pixels.as_mut_ptr(), bytes);
            assert!(got >= 0, "the shown buffer can be read");
            // Another size since we asked: once more.
            if got == bytes {
                return pixels;
            }
        }
    }
}

/// How often a rule of the NDK was broken in this process: 0.
pub fn faults() -> i32 {
    symbol::<extern "C" fn() -> i32>(c"stand_in_faults")()
}

/// How the vsync of this process behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vsync {
    /// It calls back after each period.
    Ticks,
    /// There is none.
    Missing,
    /// Every request is refused.
    Refuses,
    /// Requests are taken, and never answered.
    Silent,
}

/// Changes it, for all surfaces. A period is in microseconds.
pub fn set_vsync(period: i32, behaviour: Vsync) {
    symbol::<extern "C" fn(i32, i32)>(c"stand_in_vsync")(period, behaviour as i32);
}

/// How often a vsync was requested.
pub fn vsync_requests() -> i64 {
    symbol::<extern "C" fn() -> i64>(c"stand_in_vsync_requests")()
}

/// What the system says of native child processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Children {
    /// What it says before one is tried.
    pub supported: bool,
    /// The code that every start is answered with; 0: they are started.
    pub refusal: i32,
}

/// Changes it, for this process.
pub fn set_children(Children { supported, refusal }: Children) {
    symbol::<extern "C" fn(i32, i32)>(c"stand_in_children")(i32::from(supported), refusal);
}

/// The folder in which this app's libraries are.
pub fn set_libraries(folder: &Path) {
    let text = |path: &Path| {
        // Once or twice in a process, and the stand-in keeps it.
        CString::new(path.as_os_str().as_encoded_bytes()).expect("a path").into_raw().cast_const()
    };
    symbol::<extern "C" fn(*const c_char, *const c_char)>(c"stand_in_child_program")(
        text(folder),
        text(Path::new(LAUNCHER)),
    );
}

/// What was logged in this process, each entry as `LEVEL DOMAIN TAG FORMAT TEXT`.
pub fn logged() -> Vec<String> {
    let entry = symbol::<extern "C" fn(i32) -> *const c_char>(c"stand_in_logged");
    let text = |number| {
        let text = entry(number);
        // SAFETY: an entry is a string that is written once and stays.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    };
    (0..).map_while(text).collect()
}

/// What the loudspeaker was given so far, in this process: left and right.
pub fn played() -> Vec<[i16; 2]> {
    let played = symbol::<extern "C" fn(*mut i16, i64) -> i64>(c"stand_in_played");
    let frames = played(std::ptr::null_mut(), 0);
    let mut samples = vec![[0; 2]; usize::try_from(frames).expect("a number")];
    played(samples.as_mut_ptr().cast(), frames);
    samples
}

/// Streams of sound that there are now.
pub fn sound_streams() -> i32 {
    symbol::<extern "C" fn(i32) -> i32>(c"stand_in_sound")(0)
}

/// How often a rule of OHAudio was broken in this process: 0.
pub fn sound_faults() -> i32 {
    symbol::<extern "C" fn(i32) -> i32>(c"stand_in_sound")(1)
}

/// The next so many streams are refused.
pub fn refuse_sound(times: i32) {
    symbol::<extern "C" fn(i32)>(c"stand_in_refuse_sound")(times);
}

/// What happens to a loudspeaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// It may be heard again.
    Resume = 1,
    /// Another app is heard for a while.
    Pause = 2,
    /// Another app has taken its place.
    Stop = 3,
}

/// Has it happen to the newest one.
pub fn interrupt_speaker(how: Interrupt) {
    symbol::<extern "C" fn(i32, i32)>(c"stand_in_interrupt")(1, how as i32);
}

/// The window that holds the mouse pointer; 0 if none does.
pub fn cursor_holder() -> i32 {
    symbol::<extern "C" fn() -> i32>(c"stand_in_cursor_holder")()
}
