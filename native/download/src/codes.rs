//! The codes of this crate's errors, and the values that their texts are made of.

use crate::catalogue::{CatalogueError, MAX_BYTES};
use crate::checksums::ChecksumError;
use crate::digest::NotADigest;
use crate::error::{BadRedirect, DownloadError};
use crate::fault::{BadAddress, BadAnswer, CatalogueFault, EntryFault, NoConnection};
use sampan_message::{Coded, Message, Params, Reason, samples as samples_of};

impl DownloadError {
    fn parts(&self) -> (&'static str, Params) {
        let of = |name, text: &str| Params::of(name, text);
        match self {
            Self::Url { url, why } => ("bad_address", why.params().with("url", &**url)),
            Self::PlainHttp { url } => ("plain_http", of("url", url)),
            Self::Redirect { url, why } => ("bad_redirect", of("url", url).with("reason", why.name())),
            Self::Status { url, status, retry_after, .. } => {
                let code = match status {
                    401 | 403 => "login_needed",
                    404 | 410 => "not_on_server",
                    407 => "proxy_login_needed",
                    451 => "other_mirror",
                    408 | 425 | 429 | 500 | 502 | 503 | 504 => "server_busy",
                    _ => "server_refused",
                };
                let params = of("url", url).with("status", *status);
                let params = if *status == 451 { params.with("reason", "withheld") } else { params };
                (
                    code,
                    retry_after.map_or(params.clone(), |wait| params.with("retry_seconds", wait.as_secs())),
                )
            }
            Self::Network { host, why } => ("no_connection", why.params().with("host", &**host)),
            Self::Certificate { host, why } => ("bad_certificate", of("host", host).with("why", &**why)),
            Self::Timeout { host, seconds, doing } => {
                ("server_silent", of("host", host).with("seconds", *seconds).with("doing", *doing))
            }
            Self::Protocol { url, why } => ("other_mirror", why.params().with("url", &**url)),
            Self::Encoded { url } => ("other_mirror", of("url", url).with("reason", "compressed")),
            Self::Parts { url } => ("other_mirror", of("url", url).with("reason", "other_parts")),
            Self::TooLarge { url, size, limit } => {
                ("download_too_large", of("url", url).with("size", *size).with("limit", *limit))
            }
            Self::Changed { url, times } => ("changed_on_server", of("url", url).with("times", *times)),
            Self::Space { folder, needed, free, reserve } => (
                "no_space",
                Params::of("path", folder.as_path())
                    .with("needed", *needed)
                    .with("free", *free)
                    .with("reserve", *reserve),
            ),
            Self::File { doing, path, why } => {
                ("io", Params::of("path", path.as_path()).with("doing", *doing).with("why", &**why))
            }
            Self::Exists { path } => ("exists", Params::of("path", path.as_path())),
            Self::Busy { path } => ("already_downloading", Params::of("path", path.as_path())),
            Self::Checksum { url, expected, found, kept } => (
                "checksum_mismatch",
                of("url", url)
                    .with("expected", &**expected)
                    .with("found", &**found)
                    .with("kept", kept.as_path()),
            ),
            Self::Checksums { url, why } => ("no_checksum", why.values().with("url", &**url)),
            Self::Unknown => ("no_download", Params::new()),
            Self::Full { limit } => ("queue_full", Params::of("limit", *limit)),
            Self::Cancelled => ("cancelled", Params::new()),
            Self::Closed => ("downloads_closed", Params::new()),
            Self::Start { why } => ("downloads_unavailable", of("why", why)),
        }
    }

    fn after(&self) -> Option<Self> {
        let url = || "https://example.org/debian.iso".to_owned();
        let host = || "example.org".to_owned();
        let path = || "/media/debian.iso".into();
        let status = |status, hint| Self::Status { url: url(), status, hint, retry_after: None };
        Some(match self {
            Self::Url { .. } => Self::PlainHttp { url: "http://example.org/debian.iso".into() },
            Self::PlainHttp { .. } => Self::Redirect { url: url(), why: BadRedirect::Unprotected },
            Self::Redirect { .. } => status(403, "a login is needed"),
            Self::Status { status: 403, .. } => status(404, "the file is not there"),
            Self::Status { status: 404, .. } => status(503, "the server is busy"),
            Self::Status { status: 503, .. } => status(451, "the server may not give it"),
            Self::Status { status: 451, .. } => status(400, "the server refuses"),
            Self::Status { .. } => Self::Network { host: host(), why: NoConnection::PieceMissing },
            Self::Network { .. } => Self::Certificate { host: host(), why: "it has expired".into() },
            Self::Certificate { .. } => Self::Timeout { host: host(), seconds: 30, doing: "connecting" },
            Self::Timeout { .. } => Self::Protocol { url: url(), why: BadAnswer::MoreThanSaid },
            Self::Protocol { .. } => Self::Encoded { url: url() },
            Self::Encoded { .. } => Self::Parts { url: url() },
            Self::Parts { .. } => Self::TooLarge { url: url(), size: 2 << 30, limit: 1 << 30 },
            Self::TooLarge { .. } => Self::Changed { url: url(), times: 3 },
            Self::Changed { .. } => {
                Self::Space { folder: "/media".into(), needed: 3 << 30, free: 1 << 30, reserve: 1 << 29 }
            }
            Self::Space { .. } => {
                Self::File { doing: "write", path: path(), why: "permission denied".into() }
            }
            Self::File { .. } => Self::Exists { path: path() },
            Self::Exists { .. } => Self::Busy { path: path() },
            Self::Busy { .. } => Self::Checksum {
                url: url(),
                expected: "0a".into(),
                found: "0b".into(),
                kept: "/media/debian.iso.bad".into(),
            },
            Self::Checksum { .. } => {
                Self::Checksums { url: url(), why: ChecksumError::Ambiguous { file: "debian.iso".into() } }
            }
            Self::Checksums { .. } => Self::Unknown,
            Self::Unknown => Self::Full { limit: 100 },
            Self::Full { .. } => Self::Cancelled,
            Self::Cancelled => Self::Closed,
            Self::Closed => Self::Start { why: "no thread could be started".into() },
            Self::Start { .. } => return None,
        })
    }
}

impl CatalogueError {
    fn parts(&self) -> (&'static str, Params) {
        match self {
            Self::TooLarge { bytes } => {
                ("catalogue_too_large", Params::of("bytes", *bytes).with("limit", MAX_BYTES))
            }
            Self::Malformed { why } => ("bad_catalogue", why.params()),
            Self::Version { found } if *found > crate::catalogue::VERSION => {
                ("too_new", Params::of("found", *found).with("known", crate::catalogue::VERSION))
            }
            Self::Version { found } => {
                ("too_old", Params::of("found", *found).with("known", crate::catalogue::VERSION))
            }
            Self::Entry { id, arch, why } => {
                ("bad_catalogue_entry", why.params().with("id", &**id).with("arch", *arch))
            }
        }
    }

    fn after(&self) -> Option<Self> {
        Some(match self {
            Self::TooLarge { .. } => {
                Self::Malformed { why: CatalogueFault::TooMany { entries: 2000, most: 1000 } }
            }
            Self::Malformed { .. } => Self::Version { found: 9 },
            Self::Version { found: 9 } => Self::Version { found: 0 },
            Self::Version { .. } => {
                Self::Entry { id: "debian".into(), arch: "aarch64", why: EntryFault::NoSource }
            }
            Self::Entry { .. } => return None,
        })
    }
}

impl ChecksumError {
    /// The values of its text, its reason among them.
    fn values(&self) -> Params {
        match self {
            Self::Missing { file, entries } => {
                Params::of("reason", "not_listed").with("file", &**file).with("entries", *entries)
            }
            Self::Ambiguous { file } => Params::of("reason", "two_checksums").with("file", &**file),
        }
    }

    fn parts(&self) -> (&'static str, Params) {
        ("no_checksum", self.values())
    }

    fn after(&self) -> Option<Self> {
        match self {
            Self::Missing { file, .. } => Some(Self::Ambiguous { file: file.clone() }),
            Self::Ambiguous { .. } => None,
        }
    }
}

impl NotADigest {
    fn parts(&self) -> (&'static str, Params) {
        ("bad_checksum", Params::new())
    }
}

sampan_message::coded!(DownloadError, CatalogueError, ChecksumError, NotADigest);

/// A message of every kind that this crate makes, for `docs/errors.md`.
pub fn samples() -> Vec<Message> {
    let bad_address = |why| DownloadError::Url { url: "debian".into(), why };
    let mut all = samples_of(bad_address(BadAddress::NoHost), DownloadError::after);
    all.extend(BadAddress::all().into_iter().map(|why| bad_address(why).message()));
    let no_connection = |why| DownloadError::Network { host: "example.org".into(), why }.message();
    all.extend(NoConnection::all().into_iter().map(no_connection));
    let bad_answer =
        |why| DownloadError::Protocol { url: "https://example.org/debian.iso".into(), why }.message();
    all.extend(BadAnswer::all().into_iter().map(bad_answer));
    all.extend(CatalogueFault::all().into_iter().map(|why| CatalogueError::Malformed { why }.message()));
    let entry = |why| CatalogueError::Entry { id: "debian".into(), arch: "aarch64", why }.message();
    all.extend(EntryFault::all().into_iter().map(entry));
    all.extend(samples_of(CatalogueError::TooLarge { bytes: MAX_BYTES + 1 }, CatalogueError::after));
    let missing = ChecksumError::Missing { file: "debian.iso".into(), entries: 7 };
    all.extend(samples_of(missing, ChecksumError::after));
    all.extend(samples_of(NotADigest, |_| None));
    all
}
