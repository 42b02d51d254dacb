//! A small HTTP server: files with a tag and ranges, as slow as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// First bytes of ranges that were asked for, with the path.
    asked: Mutex<Vec<(String, u64)>>,
    sent: AtomicU64,
    /// Milliseconds between pieces of 64 KiB.
    pause: AtomicU64,
}

pub struct Server {
    port: u16,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start(files: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        for (name, bytes) in files {
            shared.files.lock().expect("files").insert((*name).to_owned(), bytes.to_vec());
        }
        let serving = Arc::clone(&shared);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared }
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    pub fn pause(&self, milliseconds: u64) {
        self.shared.pause.store(milliseconds, Ordering::SeqCst);
    }

    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// First bytes that were asked for since the last call.
    pub fn asked(&self) -> Vec<u64> {
        let asked = std::mem::take(&mut *self.shared.asked.lock().expect("asked"));
        asked.into_iter().map(|(_, first)| first).collect()
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut out = stream;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let path = line.split_whitespace().nth(1)?.trim_start_matches('/').to_owned();
        let mut range = None;
        loop {
            let mut field = String::new();
            reader.read_line(&mut field).ok().filter(|read| *read > 0)?;
            if field.trim().is_empty() {
                break;
            }
            if let Some(value) = field.to_ascii_lowercase().trim().strip_prefix("range: bytes=") {
                let (first, last) = value.split_once('-')?;
                range = Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?));
            }
        }
        let file = shared.files.lock().ok()?.get(&path).cloned();
        let Some(file) = file else {
            out.write_all(b"HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n").ok()?;
            continue;
        };
        if file.is_empty() {
            // No range of it can be given (RFC 9110, 14.2).
            out.write_all(b"HTTP/1.1 200 Whole\r\nContent-Length: 0\r\n\r\n").ok()?;
            continue;
        }
        let (first, last) = range.unwrap_or((0, usize::MAX));
        shared.asked.lock().ok()?.push((path, first as u64));
        let last = last.min(file.len() - 1);
        let body = &file[first..=last];
        let head = format!(
            "HTTP/1.1 206 Part\r\nETag: \"one\"\r\nContent-Range: bytes {first}-{last}/{}\r\nContent-Length: {}\r\n\r\n",
            file.len(),
            body.len()
        );
        out.write_all(head.as_bytes()).ok()?;
        for piece in body.chunks(64 << 10) {
            out.write_all(piece).ok()?;
            shared.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(shared.pause.load(Ordering::SeqCst)));
        }
    }
}
