//! The guest's serial port: read always, so that the guest never waits for us; written by whoever is at the console.

use crate::log_ring::LogRing;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex, broadcast};

/// Pieces that a slow console may lag behind by, of at most [`PIECE`] bytes; then it loses some.
const PIECES: usize = 256;

const PIECE: usize = 4 << 10;

/// One machine's serial port.
#[derive(Clone)]
pub struct Serial {
    tail: LogRing,
    output: broadcast::Sender<Arc<[u8]>>,
    input: Arc<Mutex<OwnedWriteHalf>>,
}

impl Serial {
    pub(crate) fn new(stream: std::os::unix::net::UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (mut read, write) = UnixStream::from_std(stream)?.into_split();
        let serial = Self {
            tail: LogRing::default(),
            output: broadcast::Sender::new(PIECES),
            input: Arc::new(Mutex::new(write)),
        };
        let (tail, output) = (serial.tail.clone(), serial.output.clone());
        tokio::spawn(async move {
            let mut bytes = vec![0; PIECE];
            // An error is an end as well: the other side is gone.
            while let Ok(read @ 1..) = read.read(&mut bytes).await {
                tail.push(&bytes[..read]);
                // Nobody may be at a console.
                let _ = output.send(bytes[..read].into());
            }
        });
        Ok(serial)
    }

    /// The last 64 KiB that the guest wrote, as text.
    pub fn tail(&self) -> String {
        self.tail.text()
    }

    /// What the guest writes from now on, after the last `bytes` of what it wrote before.
    pub fn console(&self, bytes: usize) -> (Vec<u8>, broadcast::Receiver<Arc<[u8]>>) {
        // In this order a piece may come twice, but none is lost.
        let output = self.output.subscribe();
        (self.tail.last(bytes), output)
    }

    /// Types at the console. Waits while the guest reads nothing; giving up loses nothing but what was not read yet.
    ///
    /// # Errors
    /// The machine has ended.
    pub async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.input.lock().await.write_all(bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream as StdStream;

    #[tokio::test]
    async fn what_both_sides_write_arrives() {
        let (ours, mut guest) = StdStream::pair().expect("socketpair");
        let serial = Serial::new(ours).expect("a port");
        guest.write_all(b"login: ").expect("writes");
        while serial.tail() != "login: " {
            tokio::task::yield_now().await;
        }
        let (before, mut after) = serial.console(4);
        assert_eq!(before, b"in: ");
        serial.write(b"root\n").await.expect("is typed");
        let mut typed = [0; 5];
        guest.read_exact(&mut typed).expect("reads");
        assert_eq!(&typed, b"root\n");
        guest.write_all(b"# ").expect("writes");
        assert_eq!(&*after.recv().await.expect("is open"), b"# ");
    }
}
