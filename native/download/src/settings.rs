//! What holds for all downloads of a queue.

use std::path::PathBuf;
use std::time::Duration;

/// How long silence may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For name, TCP, proxy and TLS together.
    pub connect: Duration,
    /// From the request to the head of the answer.
    pub answer: Duration,
    /// Between two pieces of a body.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let (connect, answer, read) = (20, 30, 30);
        let [connect, answer, read] = [connect, answer, read].map(Duration::from_secs);
        Self { connect, answer, read }
    }
}

/// How failures are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries in a row without one new byte until a download fails; 0 fails at once.
    pub tries: u32,
    /// The wait before the second try. It doubles with each one, and varies by half so that not all come back at once.
    pub first_wait: Duration,
    /// The longest of those waits.
    pub longest_wait: Duration,
    /// The longest `Retry-After` that is waited for; a server that wants more gets no other try.
    pub longest_retry_after: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 8,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            longest_retry_after: Duration::from_secs(600),
        }
    }
}

/// Through which proxy downloads go. Proxies speak HTTP (`http://host:port`, with `user:password@` if they want it).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// What `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy` say when the queue starts, as curl reads them.
    #[default]
    Environment,
    /// No proxy.
    Direct,
    /// This one for everything.
    Fixed(String),
}

/// Settings of a [`Queue`](crate::Queue).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Files at the same time; at least 1, at most 16.
    pub parallel: usize,
    /// Connections for one file; at least 1, at most 16. More than one needs a server that sends ranges of a file
    /// that it can name.
    pub connections: usize,
    /// Bytes that one request of one connection asks for.
    pub piece: u64,
    /// Bytes that downloads leave free on the disk.
    pub reserve: u64,
    /// Loaded bytes after which the journal is written; at latest it is after two seconds.
    pub checkpoint: u64,
    /// How long silence may last.
    pub timeouts: Timeouts,
    /// How failures are taken.
    pub retry: Retry,
    /// Through which proxy to go.
    pub proxy: Proxy,
    /// A PEM file with certificates that are trusted besides Mozilla's.
    pub extra_roots: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel: 2,
            connections: 4,
            piece: 16 << 20,
            reserve: 512 << 20,
            checkpoint: 16 << 20,
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            proxy: Proxy::default(),
            extra_roots: None,
        }
    }
}

impl Settings {
    /// Brought into their ranges.
    pub(crate) fn bounded(mut self) -> Self {
        self.parallel = self.parallel.clamp(1, 16);
        self.connections = self.connections.clamp(1, 16);
        self.piece = self.piece.clamp(1, 1 << 30);
        self.checkpoint = self.checkpoint.max(1);
        self
    }
}
