//! A folder, a queue with short waits, and what the tests ask of them.

use crate::server::Stored;
use sampan_download::{
    Digest, Download, DownloadError, Hasher, Proxy, Queue, Request, Retry, Settings, Timeouts,
};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Long enough for a slow machine; nothing should take it.
pub const LIMIT: Duration = Duration::from_secs(60);

pub struct Bench {
    pub folder: TempDir,
    pub queue: Queue,
}

pub fn settings() -> Settings {
    Settings {
        piece: 1000,
        checkpoint: 1,
        reserve: 0,
        timeouts: Timeouts {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            read: Duration::from_secs(10),
        },
        retry: Retry {
            tries: 4,
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
            longest_retry_after: Duration::from_secs(5),
        },
        proxy: Proxy::Direct,
        ..Settings::default()
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), queue: Queue::start(settings).unwrap() }
    }

    pub fn one_connection() -> Self {
        Self::with(Settings { connections: 1, ..settings() })
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("disk.img")
    }

    pub fn request(&self, url: &str) -> Request {
        Request::new(url, self.file()).allow_http()
    }

    pub fn add(&self, url: &str) -> Download {
        self.queue.add(self.request(url)).unwrap()
    }

    pub fn run(&self, request: Request) -> Result<Vec<u8>, DownloadError> {
        let download = self.queue.add(request)?;
        let path = download.wait(LIMIT)?.expect("a download ends in time");
        assert_eq!(path, self.file());
        assert_eq!(self.names(), ["disk.img"], "nothing but the file is left");
        Ok(std::fs::read(path).unwrap())
    }

    pub fn fetch(&self, url: &str) -> Result<Vec<u8>, DownloadError> {
        self.run(self.request(url))
    }

    pub fn names(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::like(&Digest::Sha256([0; 32]));
    hasher.update(bytes);
    hasher.finish()
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !so() {
        assert!(start.elapsed() < LIMIT, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn stored(length: usize) -> Stored {
    Stored::new(length, 7)
}
