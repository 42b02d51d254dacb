//! Asking a supervisor that may hang: every question can be broken off, and none holds a thread.

use crate::control::{Request, Response, line};
use crate::vm::control_socket;
use serde_json::{Value, json};
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

/// The longest answer, bytes: a picture of 8192×4320 pixels in base64, if it compresses to half.
const MAX_ANSWER: u64 = 72 << 20;

/// A pause before a supervisor with too many clients is tried again.
const BREATHER: Duration = Duration::from_millis(200);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It hangs, or is busy.
    #[error(
        "the machine's supervisor has not answered within {0} s: wait if it is just starting, else look at `sampan logs`"
    )]
    Silent(u64),
    /// It said no.
    #[error("{0}")]
    Refused(String),
    /// It said something else.
    #[error("the machine's supervisor cannot be understood ({0}): is it of another version of Sampan?")]
    Nonsense(String),
    /// The system refused.
    #[error("the machine's supervisor cannot be reached: {0}")]
    Unreachable(#[from] Error),
}

/// Asks the supervisor of the bundle in `folder`; `None` where nobody runs it, or not any more.
///
/// # Errors
/// [`AskError`]; after `patience` it is [`AskError::Silent`].
pub async fn ask(folder: &Path, request: &Request, patience: Duration) -> Result<Option<Value>, AskError> {
    let answer = timeout(patience, ask_patiently(folder, request)).await;
    answer.unwrap_or(Err(AskError::Silent(patience.as_secs())))
}

/// The same without end, for whoever breaks it off.
pub async fn ask_patiently(folder: &Path, request: &Request) -> Result<Option<Value>, AskError> {
    match exchange(folder, request).await {
        Ok(Some(bytes)) => match serde_json::from_slice(&bytes) {
            Ok(Response::Ok(value)) => Ok(Some(value)),
            Ok(Response::Error(words)) => Err(AskError::Refused(words)),
            Err(error) => Err(AskError::Nonsense(error.to_string())),
        },
        // It may be gone before its answer: that is what was asked for.
        Ok(None) if *request == Request::Quit => Ok(Some(json!({}))),
        Ok(None) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn exchange(folder: &Path, request: &Request) -> std::io::Result<Option<Vec<u8>>> {
    let Some(mut stream) = connect(folder).await? else { return Ok(None) };
    let mut bytes = Vec::new();
    let exchanged = async {
        stream.write_all(&line(request)).await?;
        BufReader::new(stream).take(MAX_ANSWER).read_until(b'\n', &mut bytes).await
    };
    match exchanged.await {
        Ok(_) if bytes.ends_with(b"\n") => Ok(Some(bytes)),
        Ok(_) if bytes.len() as u64 >= MAX_ANSWER => Err(Error::other("its answer is too long")),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A connection to the supervisor, if there is one.
async fn connect(folder: &Path) -> std::io::Result<Option<UnixStream>> {
    loop {
        let connected = match control_socket(folder) {
            Ok(socket) => UnixStream::connect(&socket.path).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => return Ok(Some(stream)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            // So many wait to be taken already that no more may: it hangs, or has a lot to do.
            Err(e) if e.kind() == ErrorKind::WouldBlock => sleep(BREATHER).await,
            Err(e) => return Err(e),
        }
    }
}

/// Whether somebody runs the bundle in `folder`, as far as a connection tells.
pub async fn runs(folder: &Path) -> bool {
    timeout(BREATHER, connect(folder)).await.is_ok_and(|connected| matches!(connected, Ok(Some(_))))
}
