//! A connection that has become the machine's sound.

use crate::console::hung_up;
use crate::server::READING;
use async_trait::async_trait;
use std::io::Result;
use std::os::fd::AsFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// A machine's sound for one client. On the wire are, both ways and after the answer to the request, samples of 16 bits, signed, least
/// significant byte first, two to a frame (left, right), 48000 frames a second, in real time: what the guest plays comes as it is
/// played, with silence where it plays nothing, and what the guest is to hear is sent as it is to be heard. A client that reads too
/// slowly loses some of it, and one that sends too fast is heard in part. One that has sent all shuts its side down.
pub struct SoundStream {
    /// What the guest plays, for a client that hears it.
    pub play: Option<Box<dyn Playing>>,
    /// What the guest hears, from a client that is heard.
    pub record: Option<Box<dyn Recording>>,
}

/// What a guest plays.
#[async_trait]
pub trait Playing: Send {
    /// Waits for a moment and appends what was played in it; the moments follow one another without a gap. `false` once the machine
    /// has ended.
    async fn next(&mut self, bytes: &mut Vec<u8>) -> bool;
}

/// What a guest hears.
pub trait Recording: Send {
    /// Takes bytes, which may end within a frame. Never blocks.
    fn push(&mut self, bytes: &[u8]);
}

/// Passes sound both ways until the client goes, or has sent all and hears nothing.
pub(crate) async fn bridge(
    from: &mut BufReader<OwnedReadHalf>,
    to: &mut OwnedWriteHalf,
    SoundStream { play, record }: SoundStream,
) -> Result<()> {
    let socket = to.as_ref().as_fd().try_clone_to_owned()?;
    let hears = play.is_some();
    let playing = async {
        let Some(mut play) = play else { return std::future::pending().await };
        let mut bytes = Vec::new();
        while play.next(&mut bytes).await {
            // One that reads nothing is gone.
            timeout(READING, to.write_all(&bytes)).await??;
            bytes.clear();
        }
        Ok(())
    };
    let recording = async {
        if let Some(mut record) = record {
            let mut bytes = [0; 4096];
            loop {
                match from.read(&mut bytes).await? {
                    0 => break,
                    read => record.push(&bytes[..read]),
                }
            }
            if !hears {
                return Ok(());
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        played = playing => played,
        recorded = recording => recorded,
        () = hung_up(&socket) => Ok(()),
    }
}
