//! A connection that has become the machine's serial port.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sampan_session::Serial;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::error::RecvError;

/// Bytes of what was written before that a console begins with, for the terminal's own scroll-back: the last few screens,
/// the prompt among them.
const BEFORE: usize = 16 << 10;

/// How often it is looked whether the client is still there.
const PACE: Duration = Duration::from_secs(1);

/// Passes bytes both ways until one side ends.
pub async fn bridge(
    mut from: BufReader<OwnedReadHalf>,
    mut to: OwnedWriteHalf,
    serial: &Serial,
) -> std::io::Result<()> {
    let socket = to.as_ref().as_fd().try_clone_to_owned()?;
    let (before, mut output) = serial.console(BEFORE);
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
        to.write_all(&before).await?;
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
        () = gone(&socket) => Ok(()),
    }
}

/// Waits until the client has gone. Neither direction tells it while the guest reads nothing and writes nothing: what was
/// typed waits, and its end stands behind it. That the client has only finished typing is no hang-up.
async fn gone(socket: &OwnedFd) {
    loop {
        let mut asked = [PollFd::new(socket.as_fd(), PollFlags::empty())];
        let hung_up = PollFlags::POLLHUP | PollFlags::POLLERR;
        if poll(&mut asked, PollTimeout::ZERO).is_ok()
            && asked[0].revents().is_some_and(|told| told.intersects(hung_up))
        {
            return;
        }
        tokio::time::sleep(PACE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn a_client_that_has_gone_is_told_from_one_that_has_finished_typing() {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        let socket = ours.as_fd().try_clone_to_owned().expect("a copy");
        theirs.write_all(&[b'x'; 100]).await.expect("is typed");
        let mut waiting = std::pin::pin!(gone(&socket));
        let soon = Duration::from_millis(100);
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err());
        theirs.shutdown().await.expect("finishes");
        assert!(tokio::time::timeout(2 * PACE, &mut waiting).await.is_err());
        drop(theirs);
        waiting.await;
    }
}
