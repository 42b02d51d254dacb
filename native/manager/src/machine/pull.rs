//! Copying a file out of a guest. The guest decides where the file ends, and may never end it.

use crate::Sentence;
use sampan_control::Reporter;
use sampan_library::RESERVE;
use sampan_message::{Coded, Message};
use sampan_session::agent::Agent;
use sampan_session::vm::VmError;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// The longest file in bytes; it could be `/dev/zero`.
const MAX: u64 = 64 << 30;

/// Writes the guest's file `from` to `to`, which is there whole or not at all, and says how many bytes it has. `free` tells
/// how much room a file system has.
///
/// # Errors
/// `to` exists, less than [`RESERVE`] would be left of its file system, the agent refuses, or it was cancelled.
pub async fn pull(
    agent: &Agent,
    from: &str,
    to: &Path,
    free: impl Fn(&Path) -> sampan_library::Result<u64> + Unpin,
    reporter: &Reporter,
) -> Result<u64, Message> {
    if to.symlink_metadata().is_ok() {
        return Err(Message::saying(&Sentence::FileExists { path: to.display().to_string() }));
    }
    let folder = to.parent().unwrap_or(Path::new("/"));
    // It is removed with this function unless it gets its name.
    let temporary = tempfile::NamedTempFile::new_in(folder).map_err(at(folder))?;
    let file = temporary.reopen().map_err(at(folder))?;
    let bytes = pull_file(agent, from, file, folder, free, reporter).await?;
    temporary.persist_noclobber(to).map_err(|e| at(to)(e.error))?;
    Ok(bytes)
}

/// Writes the guest's file `from` to a file in `folder`, and says how many bytes it has.
///
/// # Errors
/// As [`pull`].
pub async fn pull_file(
    agent: &Agent,
    from: &str,
    to: std::fs::File,
    folder: &Path,
    free: impl Fn(&Path) -> sampan_library::Result<u64> + Unpin,
    reporter: &Reporter,
) -> Result<u64, Message> {
    let mut sink = WithRoom { file: tokio::fs::File::from_std(to), folder, free };
    let told = |done: u64| {
        let _ = reporter.report("copy", done, 0);
    };
    let bytes = tokio::select! {
        bytes = agent.pull(from, &mut sink, MAX, told) => bytes.map_err(|e| e.message())?,
        () = reporter.cancelled() => return Err(crate::Error::Cancelled.message()),
    };
    sink.file.sync_all().await.map_err(at(folder))?;
    Ok(bytes)
}

/// A file that grows only while its file system has room for others. It is asked before each piece, since others write
/// there too.
struct WithRoom<'a, F> {
    file: tokio::fs::File,
    folder: &'a Path,
    free: F,
}

impl<F: Fn(&Path) -> sampan_library::Result<u64> + Unpin> AsyncWrite for WithRoom<'_, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let free = (self.free)(self.folder).map_err(io::Error::other)?;
        if free < RESERVE.saturating_add(bytes.len() as u64) {
            let words = format!(
                "the file system of {} has {} MiB left, of which {} MiB are kept for others: free some space there, or name another folder",
                self.folder.display(),
                free >> 20,
                RESERVE >> 20
            );
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::StorageFull, words)));
        }
        Pin::new(&mut self.file).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(context)
    }
}

/// For `map_err`: the file that it was about.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Message + '_ {
    |source| VmError::Io { path: path.to_owned(), source }.message()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::cell::Cell;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    /// A guest's agent whose file has `pieces` pieces of three bytes.
    fn agent(pieces: usize) -> Agent {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        std::thread::spawn(move || {
            let reader = BufReader::new(theirs.try_clone().expect("a clone"));
            let mut read = 0;
            for line in reader.split(b'\n').map_while(Result::ok) {
                let text: Vec<u8> = line.into_iter().filter(|byte| *byte != 0xFF).collect();
                let command: Value = serde_json::from_slice(&text).expect("a command");
                let value = match command["execute"].as_str() {
                    Some("guest-sync-delimited") => command["arguments"]["id"].clone(),
                    Some("guest-file-open") => json!(7),
                    Some("guest-file-read") => {
                        read += 1;
                        json!({ "count": 3, "buf-b64": "YWJj", "eof": read == pieces })
                    }
                    _ => json!({}),
                };
                let answer = json!({ "return": value, "id": command["id"] });
                if writeln!(theirs, "{answer}").is_err() {
                    return;
                }
            }
        });
        Agent::connect(ours).expect("a link")
    }

    #[tokio::test]
    async fn a_file_that_never_ends_stops_where_room_for_others_begins_and_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let to = folder.path().join("pulled");
        // As if each piece took a MiB.
        let free = Cell::new(RESERVE + (20 << 20));
        let falling = |_: &Path| {
            free.set(free.get() - (1 << 20));
            Ok(free.get())
        };
        let pulled = pull(&agent(usize::MAX), "/dev/zero", &to, falling, &Reporter::new()).await;
        let words = pulled.expect_err("there is no room").to_string();
        assert!(words.contains("64 MiB are kept for others"), "{words}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[tokio::test]
    async fn a_file_that_ends_is_there_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let to = folder.path().join("pulled");
        assert_eq!(
            pull(&agent(3), "/x", &to, |_| Ok(u64::MAX), &Reporter::new()).await.expect("is pulled"),
            9
        );
        assert_eq!(std::fs::read(&to).expect("is there"), b"abcabcabc");
        assert!(
            pull(&agent(3), "/x", &to, |_| Ok(u64::MAX), &Reporter::new()).await.is_err(),
            "there is one of that name"
        );
    }
}
