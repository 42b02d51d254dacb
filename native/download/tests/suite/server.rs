//! An HTTP server that does as it is told, byte by byte.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Hit {
    /// How many came before.
    pub number: usize,
    pub method: String,
    pub path: String,
    pub range: Option<(u64, u64)>,
    pub if_range: Option<String>,
    pub headers: Vec<(String, String)>,
}

/// Where an answer goes to; counts what is sent of bodies.
pub struct Out<'a> {
    pub stream: &'a mut TcpStream,
    pub sent: &'a AtomicU64,
}

impl Out<'_> {
    /// Sends, as far as the other side takes it.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends body bytes, which are counted.
    pub fn body(&mut self, bytes: &[u8]) -> bool {
        let sent = self.send(bytes);
        if sent {
            self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        }
        sent
    }

    /// Waits for so long or until the client is gone.
    pub fn stall(&self, limit: Duration) {
        let _ = self.stream.set_read_timeout(Some(limit));
        let _ = self.stream.peek(&mut [0]);
        let _ = self.stream.set_read_timeout(None);
    }

    /// An RST instead of an end.
    pub fn reset(&self) {
        let _ = rustix::net::sockopt::set_socket_linger(&*self.stream, Some(Duration::ZERO));
    }
}

/// Whether the connection may be used again.
pub type Keep = bool;
pub type Answer = dyn Fn(&Hit, &mut Out<'_>) -> Keep + Send + Sync;

pub struct Server {
    port: u16,
    hits: Arc<Mutex<Vec<Hit>>>,
    sent: Arc<AtomicU64>,
    pub connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub fn start(answer: impl Fn(&Hit, &mut Out<'_>) -> Keep + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self {
            port,
            hits: Arc::default(),
            sent: Arc::default(),
            connections: Arc::default(),
            stop: Arc::default(),
        };
        let (hits, sent) = (server.hits.clone(), server.sent.clone());
        let (connections, stop) = (server.connections.clone(), server.stop.clone());
        let answer: Arc<Answer> = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                connections.fetch_add(1, Ordering::SeqCst);
                let (hits, sent, answer) = (hits.clone(), sent.clone(), answer.clone());
                thread::spawn(move || serve(stream, &hits, &sent, &*answer));
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }

    /// Body bytes that were sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(mut stream: TcpStream, hits: &Mutex<Vec<Hit>>, sent: &AtomicU64, answer: &Answer) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(mut hit) = read(&mut reader) {
        {
            let mut hits = hits.lock().unwrap();
            hit.number = hits.len();
            hits.push(hit.clone());
        }
        if !answer(&hit, &mut Out { stream: &mut stream, sent }) {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

fn read(reader: &mut impl BufRead) -> Option<Hit> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let mut hit = Hit { method: words.next()?.into(), path: words.next()?.into(), ..Hit::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Some(hit) };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
                hit.range = Some((first.parse().ok()?, last.parse::<u64>().ok()? + 1));
            }
            "if-range" => hit.if_range = Some(value.into()),
            _ => hit.headers.push((name.to_ascii_lowercase(), value.into())),
        }
    }
}

/// A file as a good server has it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub bytes: Vec<u8>,
    pub etag: Option<String>,
    pub ranges: bool,
}

impl Stored {
    /// Bytes that differ everywhere, so that misplaced ones are seen.
    pub fn new(length: usize, seed: u32) -> Self {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let bytes = (0..length).map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        });
        Self { bytes: bytes.collect(), etag: Some(format!("\"v{seed}\"")), ranges: true }
    }

    /// What a request gets: `None` for the whole file.
    pub fn range(&self, hit: &Hit) -> Option<(u64, u64)> {
        let matches = hit.if_range.is_none() || hit.if_range == self.etag;
        hit.range
            .filter(|_| self.ranges && matches)
            .map(|(first, end)| (first, end.min(self.bytes.len() as u64)))
    }

    pub fn head(&self, hit: &Hit) -> (String, std::ops::Range<usize>) {
        let total = self.bytes.len();
        let tag = self.etag.as_ref().map(|t| format!("ETag: {t}\r\n")).unwrap_or_default();
        match self.range(hit) {
            Some((first, _)) if first >= total as u64 => {
                let head =
                    format!("HTTP/1.1 416 No\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\n\r\n");
                (head, 0..0)
            }
            Some((first, end)) => {
                let head = format!(
                    "HTTP/1.1 206 Part\r\n{tag}Content-Range: bytes {first}-{}/{total}\r\nContent-Length: {}\r\n\r\n",
                    end - 1,
                    end - first
                );
                (head, first as usize..end as usize)
            }
            None => (format!("HTTP/1.1 200 OK\r\n{tag}Content-Length: {total}\r\n\r\n"), 0..total),
        }
    }

    /// Answers as RFC 9110 wants it.
    pub fn serve(&self, hit: &Hit, out: &mut Out<'_>) -> Keep {
        let (head, range) = self.head(hit);
        out.send(head.as_bytes()) && out.body(&self.bytes[range])
    }

    /// Answers, but stops after so many body bytes.
    pub fn serve_some(&self, hit: &Hit, out: &mut Out<'_>, most: usize) -> Keep {
        let (head, range) = self.head(hit);
        let end = range.end.min(range.start + most);
        out.send(head.as_bytes());
        out.body(&self.bytes[range.start..end]);
        false
    }
}

/// Answers with a status and nothing else.
pub fn status(out: &mut Out<'_>, status: &str, fields: &str) -> Keep {
    out.send(format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\n\r\n").as_bytes())
}
