//! The system's log as a sink of the crate `log`.
//!
//! Signature and numbers are those of OpenHarmony's `hilog/log.h` (API 8).

use crate::error::OhosError;
use crate::library::SystemLibrary;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::ffi::{CString, c_char, c_int, c_uint};
use std::fmt::Write;
use std::path::Path;

/// `LOG_APP`.
const LOG_APP: c_int = 0;

/// Our domain, of those up to 0xffff that applications choose.
const DOMAIN: c_uint = 0x5a50;

/// Bytes of one entry at most. The system cuts off what is beyond some 3500 to 4096, depending on its version.
const MAX_ENTRY: usize = 3000;

/// Entries of one message at most, so that one that is a whole file's contents does not push everything else out of the log.
const MAX_ENTRIES: usize = 16;

type Print = unsafe extern "C" fn(c_int, c_int, c_uint, *const c_char, *const c_char, ...) -> c_int;

/// Writes to the system's log, under the tag `Sampan`.
pub struct Hilog {
    print: Print,
}

impl std::fmt::Debug for Hilog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hilog")
    }
}

impl Hilog {
    /// The log of the device.
    ///
    /// # Errors
    /// [`OhosError::NoLibrary`].
    pub fn load() -> Result<Self, OhosError> {
        Self::load_from(Path::new("libhilog_ndk.z.so"))
    }

    /// A library of another name, for tests.
    ///
    /// # Errors
    /// [`OhosError::NoLibrary`].
    pub fn load_from(path: &Path) -> Result<Self, OhosError> {
        // SAFETY: the type is the header's.
        let print = unsafe { SystemLibrary::open(path)?.function::<Print>(c"OH_LOG_Print")? };
        Ok(Self { print })
    }

    /// Makes it the sink of this process for records up to `level`. Nothing happens if there is a sink already.
    pub fn install(self, level: LevelFilter) {
        if log::set_logger(Box::leak(Box::new(self))).is_ok() {
            log::set_max_level(level);
        }
    }

    fn entry(&self, level: c_int, text: &str) {
        // A zero byte would end the text in C.
        let text = CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
        // `public`, or else the system shows `<private>` for it.
        let (tag, format) = (c"Sampan".as_ptr(), c"%{public}s".as_ptr());
        // SAFETY: all are strings that end with a zero and live through the call; the format has one `%s` and gets one string.
        unsafe { (self.print)(LOG_APP, level, DOMAIN, tag, format, text.as_ptr()) };
    }
}

impl Log for Hilog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // `LogLevel` knows none below DEBUG.
        let level = match record.level() {
            Level::Error => 6,
            Level::Warn => 5,
            Level::Info => 4,
            Level::Debug | Level::Trace => 3,
        };
        let mut text = String::new();
        // Only a value's own formatting could fail, and what it has written so far is shown.
        let _ = write!(text, "{}: {}", record.target(), record.args());
        for entry in entries(&text).take(MAX_ENTRIES) {
            self.entry(level, entry);
        }
    }

    fn flush(&self) {}
}

/// The lines of a text, and each of them in pieces that fit.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        let mut rest = Some(line);
        std::iter::from_fn(move || {
            let line = rest?;
            let end = line.floor_char_boundary(MAX_ENTRY);
            let (piece, after) = line.split_at(end);
            rest = (!after.is_empty()).then_some(after);
            Some(piece)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sampan_ohos_stand_in as stand_in;

    /// One test, since the stand-in keeps what the process wrote.
    #[test]
    fn records_arrive_as_public_entries_with_their_level() {
        let hilog = Hilog::load_from(Path::new(stand_in::LIBRARY)).expect("the stand-in");
        let record = |level, text: &str| {
            hilog.log(&Record::builder().level(level).target("ohos").args(format_args!("{text}")).build());
        };
        record(Level::Warn, "two\nlines with %s and \0");
        record(Level::Trace, "");
        let want =
            ["5 5a50 Sampan %{public}s ohos: two", "5 5a50 Sampan %{public}s lines with %s and \u{fffd}"];
        assert_eq!(stand_in::logged(), [want[0], want[1], "3 5a50 Sampan %{public}s ohos: "]);
        record(Level::Error, &"é".repeat(100_000));
        let long = stand_in::logged();
        assert_eq!(long.len(), 3 + MAX_ENTRIES);
        assert!(long.iter().all(|entry| entry.len() <= MAX_ENTRY + 30));
        assert!(Hilog::load_from(Path::new("libmissing.so")).is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_lost(text in "[a-zé€\u{1f600} ]{0,40}", times in 0usize..300) {
            let line = text.repeat(times);
            prop_assert_eq!(&entries(&line).collect::<String>(), &line);
            prop_assert!(entries(&line).all(|entry| entry.len() <= MAX_ENTRY));
        }
    }
}
