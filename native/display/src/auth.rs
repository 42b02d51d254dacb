//! The client's side of D-Bus authentication (D-Bus specification, "Authentication Protocol").
//!
//! Done here, and not by zbus, since its handshake waits for a line of any length and indexes before the start of
//! an empty one: what the peer sends first is as hostile as the rest.

use crate::error::DisplayError;
use rustix::process::geteuid;
use tokio::io::Interest;
use tokio::net::UnixStream;
use zbus::OwnedGuid;

/// More than the longest line that a server answers with: `OK` and 32 digits, or `REJECTED` and its mechanisms.
const LONGEST_LINE: usize = 256;

/// Authenticates by our user, asks for file descriptors, and returns the server's identity.
///
/// All is sent at once, since nothing of it depends on the answers; QEMU's main loop waits for us.
pub(crate) async fn authenticate(socket: &UnixStream) -> Result<OwnedGuid, DisplayError> {
    // The user's number in decimal, each digit in hexadecimal.
    let user: String = geteuid().as_raw().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
    let words = format!("\0AUTH EXTERNAL {user}\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n");
    let mut left = words.as_bytes();
    while !left.is_empty() {
        let sent = socket.async_io(Interest::WRITABLE, || socket.try_write(left)).await.map_err(broken)?;
        left = &left[sent..];
    }
    let answer = line(socket).await?;
    let guid = answer.strip_prefix("OK ").and_then(|guid| zbus::Guid::try_from(guid.trim()).ok());
    let guid = guid.map(|guid| guid.to_owned().into()).ok_or(DisplayError::NotADisplay(answer))?;
    let answer = line(socket).await?;
    if answer == "AGREE_UNIX_FD" { Ok(guid) } else { Err(DisplayError::NotADisplay(answer)) }
}

fn broken(error: std::io::Error) -> DisplayError {
    DisplayError::NotADisplay(error.to_string())
}

/// One line, byte by byte, so that nothing of the first message is taken, and without file descriptors, which the
/// kernel closes.
async fn line(socket: &UnixStream) -> Result<String, DisplayError> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        let read =
            socket.async_io(Interest::READABLE, || socket.try_read(&mut byte)).await.map_err(broken)?;
        if read == 0 {
            return Err(DisplayError::NotADisplay("it hung up".into()));
        }
        line.push(byte[0]);
        if line.ends_with(b"\r\n") || line.len() == LONGEST_LINE {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            // For people to read: what a server says is printable.
            return Ok(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect());
        }
    }
}
