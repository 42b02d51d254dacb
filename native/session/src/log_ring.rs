//! What QEMU and its guest write: read always, so that neither ever waits for us.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// The last of what was written, in bytes kept.
#[derive(Clone, Debug, Default)]
pub struct LogRing(Arc<Mutex<VecDeque<u8>>>);

/// Enough for the messages of a boot; a guest that writes without end keeps no more.
const KEPT: usize = 64 << 10;

impl LogRing {
    /// The text that is kept.
    pub fn text(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }

    /// The last bytes of it, at most so many.
    pub fn last(&self, bytes: usize) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.range(kept.len().saturating_sub(bytes)..).copied().collect()
    }

    pub fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }
}

/// Reads a stream to its end, keeping its tail; `line` gets every whole line.
pub fn drain(
    stream: std::os::unix::net::UnixStream,
    mut line: impl FnMut(&str) + Send + 'static,
) -> std::io::Result<LogRing> {
    stream.set_nonblocking(true)?;
    let mut stream = UnixStream::from_std(stream)?;
    let tail = LogRing::default();
    let kept = tail.clone();
    tokio::spawn(async move {
        let mut bytes = vec![0; 16 << 10];
        let mut partial = Vec::new();
        // An error is an end as well: the other side is gone.
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            kept.push(&bytes[..read]);
            for byte in &bytes[..read] {
                if *byte == b'\n' || partial.len() >= 4096 {
                    line(String::from_utf8_lossy(&partial).trim_end());
                    partial.clear();
                }
                if *byte != b'\n' {
                    partial.push(*byte);
                }
            }
        }
        if !partial.is_empty() {
            line(String::from_utf8_lossy(&partial).trim_end());
        }
    });
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream as StdStream;

    #[tokio::test]
    async fn only_the_tail_is_kept_and_lines_come_whole() {
        let (ours, mut theirs) = StdStream::pair().expect("socketpair");
        let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
        let tail = drain(ours, move |line| drop(sender.send(line.to_owned()))).expect("drains");
        let writer = std::thread::spawn(move || {
            theirs.write_all(b"first\nsec").expect("writes");
            theirs.write_all(b"ond\r\n").expect("writes");
            for _ in 0..KEPT / 8 {
                theirs.write_all(b"0123456789\n").expect("writes");
            }
            theirs.write_all(b"unended").expect("writes");
        });
        let mut seen = Vec::new();
        while let Some(line) = lines.recv().await {
            seen.push(line);
        }
        writer.join().expect("ends");
        assert_eq!((seen[0].as_str(), seen[1].as_str()), ("first", "second"));
        assert_eq!(seen.last().map(String::as_str), Some("unended"));
        let text = tail.text();
        assert!(text.len() <= KEPT && text.ends_with("unended"), "{}", text.len());
    }
}
