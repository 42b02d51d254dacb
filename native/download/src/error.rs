//! What can go wrong with a download.

use crate::checksums::ChecksumError;
use crate::fault::{BadAddress, BadAnswer, NoConnection};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a download ended without its file. Every message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The address cannot be used.
    #[error("{url:?} is no address to download from: {why}")]
    Url {
        /// As it was given.
        url: String,
        /// What does not fit.
        why: BadAddress,
    },
    /// Plain http where nothing proves the content.
    #[error(
        "{url} is plain http, and nothing proves what comes from there; use an https address, or allow http for this download"
    )]
    PlainHttp {
        /// The address.
        url: String,
    },
    /// A redirect that is not followed.
    #[error("{url} leads to where a download may not go: {why}")]
    Redirect {
        /// The address that redirects.
        url: String,
        /// Why not.
        why: BadRedirect,
    },
    /// The server refused.
    #[error("{url} answered with HTTP {status}: {hint}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// What it means for the user.
        hint: &'static str,
        /// When the server wants to be asked again (RFC 9110 section 10.2.3).
        retry_after: Option<Duration>,
    },
    /// No connection, or one that broke.
    #[error(
        "the connection to {host} failed: {why}; check the network, the download goes on from where it was"
    )]
    Network {
        /// Host name.
        host: String,
        /// How it ended, or the system's words.
        why: NoConnection,
    },
    /// The server's certificate does not prove its name.
    #[error(
        "{host} could not prove that it is {host}: {why}; check this machine's clock, or add your proxy's certificate if it reads your traffic"
    )]
    Certificate {
        /// Host name.
        host: String,
        /// The verifier's words.
        why: String,
    },
    /// Silence.
    #[error(
        "{host} was silent for {seconds} s while {doing}; check the network, the download goes on from where it was"
    )]
    Timeout {
        /// Host name.
        host: String,
        /// How long was waited.
        seconds: u64,
        /// What was waited for.
        doing: &'static str,
    },
    /// The server breaks HTTP's rules.
    #[error("{url} does not answer as HTTP demands: {why}; try another mirror")]
    Protocol {
        /// The address.
        url: String,
        /// What is wrong.
        why: BadAnswer,
    },
    /// A file that comes compressed (`Content-Encoding`) although that was not asked for.
    #[error("{url} sends the file compressed although it was asked not to; try another mirror")]
    Encoded {
        /// The address.
        url: String,
    },
    /// Parts that were not asked for.
    #[error(
        "{url} sends other parts of the file than it is asked for, and no whole file; try another mirror"
    )]
    Parts {
        /// The address.
        url: String,
    },
    /// A larger file than wanted.
    #[error(
        "{url} has {size} bytes or more, and at most {limit} are wanted; check the address, or raise the limit"
    )]
    TooLarge {
        /// The address.
        url: String,
        /// What the server promised or sent so far, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file on the server is another one each time.
    #[error("{url} changed {times} times while it was downloaded; try again later, or another mirror")]
    Changed {
        /// The address.
        url: String,
        /// How often.
        times: u32,
    },
    /// Not enough room.
    #[error(
        "{} has {free} bytes free, and {needed} are needed ({reserve} of them stay free for the system); make room, then resume",
        .folder.display()
    )]
    Space {
        /// The folder to download to.
        folder: PathBuf,
        /// Bytes that are still needed, with the reserve.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// Bytes that a download leaves free.
        reserve: u64,
    },
    /// A file cannot be written or read.
    #[error("cannot {doing} {}: {why}; check the folder's rights and its free space", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The name is taken.
    #[error("{} exists already; move it away or choose another name", .path.display())]
    Exists {
        /// The finished file's name.
        path: PathBuf,
    },
    /// Somebody else is at it.
    #[error("{} is being downloaded already; wait for that download or choose another name", .path.display())]
    Busy {
        /// The finished file's name.
        path: PathBuf,
    },
    /// The content is not what was promised.
    #[error(
        "what {url} sent is not the expected file: its checksum is {found} instead of {expected}. It was kept as {} and nothing uses it; try again or another mirror",
        .kept.display()
    )]
    Checksum {
        /// The address.
        url: String,
        /// The expected digest.
        expected: String,
        /// The file's digest.
        found: String,
        /// Where the file is now.
        kept: PathBuf,
    },
    /// The checksum file does not tell the sum.
    #[error("the checksum file {url} does not help: {why}; without it the download cannot be verified")]
    Checksums {
        /// Its address.
        url: String,
        /// What is wrong.
        why: ChecksumError,
    },
    /// There is no such download in this queue.
    #[error("there is no such download; list the queue")]
    Unknown,
    /// The queue holds as many downloads as it can.
    #[error("the queue is full with {limit} downloads; remove finished ones")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The user's wish.
    #[error("the download was cancelled")]
    Cancelled,
    /// The queue has ended.
    #[error("downloads have been shut down; what was loaded is kept and is resumed next time")]
    Closed,
    /// The queue cannot start.
    #[error("downloads cannot be started: {why}")]
    Start {
        /// What is missing.
        why: String,
    },
}

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRedirect {
    /// Too many follow each other.
    #[error("more than {0} redirects follow each other")]
    TooMany(usize),
    /// It has no target.
    #[error("it does not say where")]
    Nowhere,
    /// Its target is no text.
    #[error("its target is not readable")]
    Unreadable,
    /// Its target has more bytes than an address may have.
    #[error("its target is longer than {0} bytes")]
    TooLong(usize),
    /// Its target is no address, in the parser's words.
    #[error("{0}")]
    NoAddress(String),
    /// What was protected would not be any more.
    #[error("from https to an unprotected address")]
    Unprotected,
}

impl BadRedirect {
    /// Its name for programs, which never changes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooMany(_) => "too_many",
            Self::Nowhere => "nowhere",
            Self::Unreadable => "unreadable",
            Self::TooLong(_) => "too_long",
            Self::NoAddress(_) => "no_address",
            Self::Unprotected => "unprotected",
        }
    }
}

impl DownloadError {
    /// Whether another try may succeed by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Network { .. } | Self::Timeout { .. } => true,
            // RFC 9110 sections 15.5.9, 15.6; RFC 8470 (425), RFC 6585 (429).
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            // A broken answer is often a broken proxy on the way or one bad server behind a name.
            Self::Protocol { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn file(doing: &'static str, path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self::File { doing, path: path.to_owned(), why: why.to_string() }
    }
}
