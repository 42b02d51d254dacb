//! Files to and from the guest, a chunk at a time.

use super::{Agent, AgentError, COMMAND_TIMEOUT, types};
use qapi_spec::Command;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes sent or asked for at once. The port is a pipe of small pages, so bigger ones bring little.
pub const CHUNK: usize = 192 << 10;

/// The longest answer that carries a chunk: base64, and the words around.
const MAX_CHUNK_ANSWER: usize = CHUNK / 3 * 4 + (4 << 10);

/// A file that is open in the guest. Dropped without [`Open::close`] it is closed later, by a task of its own.
struct Open {
    agent: Agent,
    handle: Option<i64>,
}

impl Open {
    async fn new(agent: &Agent, path: &str, mode: &str) -> Result<Self, AgentError> {
        let command = types::guest_file_open { path: path.to_owned(), mode: Some(mode.to_owned()) };
        let handle = agent.execute(command).await?;
        Ok(Self { agent: agent.clone(), handle: Some(handle) })
    }

    fn handle(&self) -> i64 {
        self.handle.unwrap_or_default()
    }

    async fn close(mut self) -> Result<(), AgentError> {
        let closed = self.agent.execute(types::guest_file_close { handle: self.handle() }).await;
        self.handle = None;
        closed.map(drop)
    }

    async fn write_all(&self, bytes: &[u8]) -> Result<(), AgentError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let command =
                types::guest_file_write { handle: self.handle(), buf_b64: rest.to_vec(), count: None };
            let answer = self.agent.execute(command).await?;
            rest = usize::try_from(answer.count)
                .ok()
                .filter(|written| *written > 0)
                .and_then(|written| rest.get(written..))
                .ok_or_else(|| AgentError::Malformed {
                    command: types::guest_file_write::NAME,
                    message: format!("{} bytes written of {}", answer.count, rest.len()),
                })?;
        }
        Ok(())
    }

    /// The next bytes, and whether they are the last.
    async fn read(&self) -> Result<(Vec<u8>, bool), AgentError> {
        const ASKED: i64 = CHUNK as i64;
        let command = types::guest_file_read { handle: self.handle(), count: Some(ASKED) };
        let answer = self.agent.execute_limited(command, COMMAND_TIMEOUT, MAX_CHUNK_ANSWER).await?;
        let bytes = answer.buf_b64;
        let whole = usize::try_from(answer.count) == Ok(bytes.len()) && bytes.len() <= CHUNK;
        // An empty part that is not the last would be followed by another for ever.
        if !whole || (bytes.is_empty() && !answer.eof) {
            return Err(AgentError::Malformed {
                command: types::guest_file_read::NAME,
                message: format!(
                    "{} bytes that are said to be {}, of {CHUNK} at most",
                    bytes.len(),
                    answer.count
                ),
            });
        }
        Ok((bytes, answer.eof))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let (Some(handle), Ok(runtime)) = (self.handle, tokio::runtime::Handle::try_current()) else {
            return;
        };
        let agent = self.agent.clone();
        runtime.spawn(async move {
            if let Err(e) = agent.execute(types::guest_file_close { handle }).await {
                log::debug!("a file stays open in the guest: {e}");
            }
        });
    }
}

impl Agent {
    /// Writes all of `source` to a file in the guest, which is replaced if it is there; `progress` gets the bytes written so far.
    /// Returns how many there were. It is written in place: after an error the guest has a part of it.
    ///
    /// # Errors
    /// [`AgentError::Io`] for `source`, and others of [`AgentError`].
    pub async fn push(
        &self,
        source: &mut (impl AsyncRead + Unpin),
        path: &str,
        mut progress: impl FnMut(u64),
    ) -> Result<u64, AgentError> {
        let open = Open::new(self, path, "wb").await?;
        let mut chunk = vec![0; CHUNK];
        let mut total = 0;
        loop {
            let mut filled = 0;
            // Chunks are filled, as each costs a turn with the agent.
            while let Some(space) = chunk.get_mut(filled..).filter(|space| !space.is_empty()) {
                match source.read(space).await.map_err(AgentError::io("reading what is sent to the guest"))? {
                    0 => break,
                    read => filled += read,
                }
            }
            let bytes = chunk.get(..filled).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            open.write_all(bytes).await?;
            total += bytes.len() as u64;
            progress(total);
        }
        self.execute(types::guest_file_flush { handle: open.handle() }).await?;
        open.close().await?;
        Ok(total)
    }

    /// Writes a file of the guest's to `sink`, if it has no more than `limit` bytes; `progress` gets the bytes read so far. Returns how
    /// many there were. After an error `sink` has got a part of them.
    ///
    /// # Errors
    /// [`AgentError::TooBig`], [`AgentError::Io`] for `sink`, and others of [`AgentError`].
    pub async fn pull(
        &self,
        path: &str,
        sink: &mut (impl AsyncWrite + Unpin),
        limit: u64,
        mut progress: impl FnMut(u64),
    ) -> Result<u64, AgentError> {
        let open = Open::new(self, path, "rb").await?;
        let mut total = 0;
        loop {
            let (bytes, last) = open.read().await?;
            total += bytes.len() as u64;
            if total > limit {
                return Err(AgentError::TooBig { path: path.to_owned(), limit });
            }
            let io = AgentError::io("writing what came from the guest");
            sink.write_all(&bytes).await.map_err(io)?;
            progress(total);
            if last {
                break;
            }
        }
        sink.flush().await.map_err(AgentError::io("writing what came from the guest"))?;
        open.close().await?;
        Ok(total)
    }
}
