//! A connection that has become the machine's serial port.

use sampan_session::Serial;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::error::RecvError;

/// Bytes of what was written before that a console begins with, for the terminal's own scroll-back: the last few screens,
/// the prompt among them.
const BEFORE: usize = 16 << 10;

/// Passes bytes both ways until one side ends.
pub async fn bridge(
    mut from: BufReader<OwnedReadHalf>,
    mut to: OwnedWriteHalf,
    serial: &Serial,
) -> std::io::Result<()> {
    let (before, mut output) = serial.console(BEFORE);
    to.write_all(&before).await?;
    let typing = async {
        let mut bytes = [0; 1024];
        loop {
            match from.read(&mut bytes).await? {
                0 => return Ok(()),
                read => serial.write(&bytes[..read]).await?,
            }
        }
    };
    let showing = async {
        loop {
            match output.recv().await {
                Ok(piece) => to.write_all(&piece).await?,
                Err(RecvError::Lagged(_)) => to.write_all(b"\r\n[some output was lost]\r\n").await?,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    };
    tokio::select! {
        shown = showing => shown,
        typed = typing => typed,
    }
}
