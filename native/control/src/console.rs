//! A connection that has become the machine's serial port.

use async_trait::async_trait;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::Result;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Bytes of earlier output that a console begins with: the last few screens, the prompt among them, for the terminal's own
/// scroll-back.
pub const EARLIER_OUTPUT: usize = 16 << 10;

/// How often it is checked whether the client is still there.
const HANGUP_CHECK: Duration = Duration::from_secs(1);

/// A machine's serial port.
#[async_trait]
pub trait Console: Send + Sync {
    /// The last `bytes` of what the guest wrote, and what it writes from now on. A slow reader loses pieces.
    fn output(&self, bytes: usize) -> (Vec<u8>, broadcast::Receiver<Arc<[u8]>>);

    /// Types. Waits while the guest reads nothing.
    async fn write(&self, bytes: &[u8]) -> Result<()>;
}

/// Passes bytes both ways until one side ends.
pub(crate) async fn bridge(
    from: &mut BufReader<OwnedReadHalf>,
    to: &mut OwnedWriteHalf,
    console: &dyn Console,
) -> Result<()> {
    let socket = to.as_ref().as_fd().try_clone_to_owned()?;
    let (before, mut output) = console.output(EARLIER_OUTPUT);
    let typing = async {
        let mut bytes = [0; 1024];
        loop {
            match from.read(&mut bytes).await? {
                0 => return Ok(()),
                read => console.write(&bytes[..read]).await?,
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
        () = hung_up(&socket) => Ok(()),
    }
}

/// Waits until the client has closed its socket. Neither direction shows that while the guest reads and writes nothing: the
/// end of the input stands behind what was typed. A client that has only finished typing has not hung up.
pub(crate) async fn hung_up(socket: &OwnedFd) {
    loop {
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::empty())];
        let closed = PollFlags::POLLHUP | PollFlags::POLLERR;
        if poll(&mut polled, PollTimeout::ZERO).is_ok()
            && polled[0].revents().is_some_and(|events| events.intersects(closed))
        {
            return;
        }
        tokio::time::sleep(HANGUP_CHECK).await;
    }
}
