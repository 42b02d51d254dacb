//! Asking supervisors that may hang: every question can be broken off, and none holds a thread.

use super::protocol::{Request, Response, line};
use crate::vm::control_socket;
use serde_json::{Value, json};
use std::io::{Error, ErrorKind, Result as IoResult};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

/// The longest answer, bytes: a picture of 8192×4320 pixels in base64, if it compresses to half.
const MAX_ANSWER: usize = 72 << 20;

/// A pause before a supervisor with too many clients is tried again.
const BREATHER: Duration = Duration::from_millis(200);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It hangs, or is busy.
    #[error(
        "the machine's supervisor does not answer: look at `sampan logs`, or end it by force if it stays so"
    )]
    Silent,
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

/// What became of a question: `None` where nobody runs the machine, or not any more.
pub type Told = Result<Option<Value>, AskError>;

/// Asks the supervisor of the bundle in `folder`.
///
/// # Errors
/// [`AskError`]; it is [`AskError::Silent`] when nothing was heard for so long. That does not limit what takes long: a
/// supervisor that works on an answer says so.
pub async fn ask(folder: &Path, request: &Request, patience: Duration) -> Told {
    told(exchange(folder, request, Some(patience)).await, request)
}

/// The same without end, for whoever breaks it off.
pub async fn ask_patiently(folder: &Path, request: &Request) -> Told {
    told(exchange(folder, request, None).await, request)
}

fn told(exchanged: Result<Option<Vec<u8>>, AskError>, request: &Request) -> Told {
    match exchanged? {
        Some(bytes) => match serde_json::from_slice(&bytes) {
            Ok(Response::Ok(value)) => Ok(Some(value)),
            Ok(Response::Error(words)) => Err(AskError::Refused(words)),
            Err(error) => Err(AskError::Nonsense(error.to_string())),
        },
        // It may be gone before its answer: that is what was asked for.
        None if *request == Request::Quit => Ok(Some(json!({}))),
        None => Ok(None),
    }
}

async fn within<T>(
    patience: Option<Duration>,
    step: impl Future<Output = IoResult<T>>,
) -> Result<T, AskError> {
    match patience {
        Some(patience) => Ok(timeout(patience, step).await.map_err(|_| AskError::Silent)??),
        None => Ok(step.await?),
    }
}

async fn exchange(
    folder: &Path,
    request: &Request,
    patience: Option<Duration>,
) -> Result<Option<Vec<u8>>, AskError> {
    let Some(mut stream) = within(patience, connect(folder)).await? else { return Ok(None) };
    let exchanged = async {
        within(patience, stream.write_all(&line(request))).await?;
        let (mut reader, mut bytes) = (BufReader::new(stream), Vec::new());
        loop {
            let piece = within(patience, reader.fill_buf()).await?;
            let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let taken = end.unwrap_or(piece.len());
            bytes.extend_from_slice(piece.get(..taken).unwrap_or_default());
            reader.consume(taken);
            match end {
                _ if bytes.len() > MAX_ANSWER => return Err(Error::other("its answer is too long").into()),
                Some(_) => return Ok(Some(bytes)),
                None if taken == 0 => return Ok(None),
                None => {}
            }
        }
    };
    match exchanged.await {
        Err(AskError::Unreachable(e))
            if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
        {
            Ok(None)
        }
        other => other,
    }
}

/// A connection to the supervisor, if there is one.
async fn connect(folder: &Path) -> IoResult<Option<UnixStream>> {
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
