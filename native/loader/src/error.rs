//! Why a library is not loaded.

use std::io;
use std::path::{Path, PathBuf};

use sampan_message::{Message, Params, io_code, samples as samples_of};

/// A library that is not loaded: nothing of it has run, and nothing of it stays mapped.
#[derive(Debug, thiserror::Error)]
#[error("{} {kind}", .path.display())]
pub struct LoadError {
    /// The library.
    pub path: PathBuf,
    /// What is wrong. Its text is the rest of a sentence that begins with the path.
    pub kind: LoadErrorKind,
}

/// What is wrong with a library, or with the process that it was to be loaded into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// There is no ELF header in it.
    #[error("is no ELF file: build it again")]
    NotElf,
    /// It ends within its ELF header.
    #[error("is too short for a library: build it again")]
    TooShort,
    /// It is for a machine of another word size or byte order.
    #[error("is not for a 64-bit little-endian machine")]
    WrongClass,
    /// It is a program, an object file or a core.
    #[error("is no shared library")]
    NotALibrary,
    /// It is for another processor.
    #[error("is built for {found}, this program for {ours}")]
    WrongProcessor {
        /// That processor.
        found: String,
        /// This program's.
        ours: &'static str,
    },
    /// Its headers or tables do not hold together.
    #[error("{0}")]
    Damaged(&'static str),
    /// It asks for what only the dynamic linker does, or for what could not be taken back after a run.
    #[error("{0}")]
    Unsupported(String),
    /// A library that it needs is not in this process.
    #[error("needs {name}, which is not loaded")]
    MissingLibrary {
        /// The library's name.
        name: String,
    },
    /// A symbol that it needs is nowhere in this process.
    #[error("needs {name}, which this system's libc has not")]
    MissingSymbol {
        /// The symbol's name.
        name: String,
    },
    /// A run needs address space for its heap.
    #[error("cannot be given a heap: there is no address space left")]
    NoAddressSpace,
    /// Runs need a signal and a key of thread-specific data, once for all.
    #[error("cannot be run: no signal or thread-specific key is free")]
    NoSignalOrKey,
    /// The system refused it.
    #[error("cannot be {what}: {source}")]
    System {
        /// What was tried, as a participle.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What is found while a library is looked at whose path only the caller knows.
pub(crate) type Checked<T> = Result<T, LoadErrorKind>;

impl LoadErrorKind {
    pub(crate) fn unsupported<T>(what: impl Into<String>) -> Checked<T> {
        Err(Self::Unsupported(what.into()))
    }

    /// For `map_err` on a call to the system.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// For `map_err` where the path is known.
    pub(crate) fn of(path: &Path) -> impl FnOnce(Self) -> LoadError {
        move |kind| LoadError { path: path.to_owned(), kind }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoAddressSpace | Self::NoSignalOrKey => "restart_needed",
            Self::System { source, .. } => io_code(source),
            _ => "bad_libqemu",
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::NotElf => Self::TooShort,
            Self::TooShort => Self::WrongClass,
            Self::WrongClass => Self::NotALibrary,
            Self::NotALibrary => Self::WrongProcessor { found: "aarch64".into(), ours: "x86_64" },
            Self::WrongProcessor { .. } => Self::Damaged("has broken program headers"),
            Self::Damaged(_) => Self::Unsupported("wants an executable stack".into()),
            Self::Unsupported(_) => Self::MissingLibrary { name: "libz.so.1".into() },
            Self::MissingLibrary { .. } => Self::MissingSymbol { name: "statx".into() },
            Self::MissingSymbol { .. } => Self::NoAddressSpace,
            Self::NoAddressSpace => Self::NoSignalOrKey,
            Self::NoSignalOrKey => {
                Self::System { what: "opened", source: io::ErrorKind::PermissionDenied.into() }
            }
            Self::System { .. } => return None,
        })
    }
}

impl LoadErrorKind {
    /// It as the reason of another error. What is damaged or unsupported is told in English as `why`: few can do anything about it but
    /// get another library.
    pub fn reason(&self) -> Message {
        let (code, params) = match self {
            Self::NotElf => ("not_elf", Params::new()),
            Self::TooShort => ("too_short", Params::new()),
            Self::WrongClass => ("wrong_class", Params::new()),
            Self::NotALibrary => ("not_a_library", Params::new()),
            Self::WrongProcessor { found, ours } => {
                ("wrong_processor", Params::of("found", &**found).with("ours", *ours))
            }
            Self::Damaged(why) => ("damaged", Params::of("why", *why)),
            Self::Unsupported(why) => ("unsupported", Params::of("why", &**why)),
            Self::MissingLibrary { name } => ("missing_library", Params::of("name", &**name)),
            Self::MissingSymbol { name } => ("missing_symbol", Params::of("name", &**name)),
            Self::NoAddressSpace => ("no_address_space", Params::new()),
            Self::NoSignalOrKey => ("no_signal_or_key", Params::new()),
            Self::System { what, source } => {
                ("system", Params::of("doing", *what).with("why", source.to_string()))
            }
        };
        Message { code: code.into(), params, message: self.to_string() }
    }
}

impl LoadError {
    fn parts(&self) -> (&'static str, Params) {
        (self.kind.code(), self.kind.reason().as_reason().with("path", self.path.as_path()))
    }
}

sampan_message::coded!(LoadError);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let sample = |kind| LoadError { path: "/usr/lib/sampan/libqemu-x86_64.so".into(), kind };
    samples_of(sample(LoadErrorKind::NotElf), |error| error.kind.after().map(sample))
}
