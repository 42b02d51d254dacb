//! A file for whoever sits in front of the guest: dropped on its screen, say. It goes the first way that is open: to the desktop's
//! agent, or to the guest agent, which knows no desktop.

use super::pull::at;
use sampan_control::{GivenTo, Reply, Reporter};
use sampan_message::{Coded, Message};
use sampan_session::agent::{Agent, AgentError, types};
use sampan_session::vdagent::{FileError, FileSource};
use sampan_session::vm::Vm;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{mpsc, watch};

/// Read at once, in bytes.
const PIECE: usize = 256 << 10;

/// How many names are tried where one is taken.
const NAMES: usize = 100;

/// Gives the guest a file, under the file's own name or another.
///
/// # Errors
/// The file cannot be read; no way is open, as [`FileError::NoAgent`] says; the guest refuses.
pub async fn give(
    vm: &Arc<Vm>,
    from: &Path,
    name: Option<String>,
    reporter: &Reporter,
) -> Result<Reply, Message> {
    let own = || from.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.or_else(own).unwrap_or_default();
    let (file, size) = open(from)?;
    give_file(vm, &file, size, &name, reporter).await
}

/// Gives the guest an open file of so many bytes, under a name.
///
/// # Errors
/// As [`give`].
pub async fn give_file(
    vm: &Arc<Vm>,
    file: &File,
    size: u64,
    name: &str,
    reporter: &Reporter,
) -> Result<Reply, Message> {
    tokio::select! {
        given = by_first_way(vm, file, size, name, reporter) => given,
        () = reporter.cancelled() => Err(crate::Error::Cancelled.message()),
    }
}

async fn by_first_way(
    vm: &Arc<Vm>,
    file: &File,
    size: u64,
    name: &str,
    reporter: &Reporter,
) -> Result<Reply, Message> {
    let desktop = match to_desktop(vm, file, size, name, reporter).await {
        // What a guest without somebody at its desktop says; its other agent may take the file.
        Err(Refused::Way(error)) => error,
        Err(Refused::File(error)) => return Err(error),
        Ok(bytes) => return Ok(Reply::Copied { bytes, to: Some(GivenTo::Downloads) }),
    };
    if let Some(agent) = vm.listening_agent().await {
        return to_agent(agent, file, size, name, reporter).await;
    }
    Err(desktop.message())
}

/// Why a way does not do.
enum Refused {
    /// It is not open.
    Way(FileError),
    /// It is, and the file does not go.
    File(Message),
}

/// By the agent of the guest's desktop session.
async fn to_desktop(
    vm: &Vm,
    file: &File,
    size: u64,
    name: &str,
    reporter: &Reporter,
) -> Result<u64, Refused> {
    let clipboard = vm.session().clipboard().ok_or(Refused::Way(FileError::NoAgent))?;
    let mut file = from_its_beginning(file).await.map_err(Refused::File)?;
    let (give, pieces) = mpsc::channel(1);
    let reading = tokio::spawn(async move {
        loop {
            let mut piece = vec![0; PIECE];
            let read = match file.read(&mut piece).await {
                Ok(0) => return,
                Ok(read) => {
                    piece.truncate(read);
                    Ok(piece)
                }
                Err(error) => Err(error),
            };
            let is_last = read.is_err();
            // Nobody waits for it where the guest has refused.
            if give.send(read).await.is_err() || is_last {
                return;
            }
        }
    });
    let (progress, mut seen) = watch::channel(0);
    let sending = clipboard.send_file(FileSource { name: name.into(), size, pieces }, progress);
    tokio::pin!(sending);
    let outcome = loop {
        tokio::select! {
            outcome = &mut sending => break outcome,
            Ok(()) = seen.changed() => {
                let _ = reporter.report("copy", *seen.borrow_and_update(), size);
            }
        }
    };
    reading.abort();
    match outcome {
        Ok(()) => Ok(size),
        Err(error @ (FileError::NoAgent | FileError::Disabled | FileError::Locked)) => {
            Err(Refused::Way(error))
        }
        Err(error) => Err(Refused::File(error.message())),
    }
}

/// By the guest agent, which runs as the system's own user: where everybody may read it.
async fn to_agent(
    agent: &Agent,
    file: &File,
    size: u64,
    name: &str,
    reporter: &Reporter,
) -> Result<Reply, Message> {
    // The same names are refused on every way.
    sampan_session::vdagent::files::announcement(0, name, 0).map_err(|e| e.message())?;
    let is_windows = agent.os_info().await.is_ok_and(|system| system.id.as_deref() == Some("mswindows"));
    let folder = if is_windows { r"C:\Users\Public\Downloads\" } else { "/var/tmp/" };
    let to = free_name(agent, folder, name).await?;
    let mut file = from_its_beginning(file).await?;
    let told = |done: u64| {
        let _ = reporter.report("copy", done, size.max(done));
    };
    let bytes = agent.push(&mut file, &to, told).await.map_err(|e| e.message())?;
    Ok(Reply::Copied { bytes, to: Some(GivenTo::Path(to)) })
}

/// A name in a folder of the guest's that no file has yet.
async fn free_name(agent: &Agent, folder: &str, name: &str) -> Result<String, Message> {
    for number in 1..=NAMES {
        let path = format!("{folder}{}", numbered(name, number));
        let open = types::guest_file_open { path: path.clone(), mode: Some("rb".to_owned()) };
        match agent.execute(open).await {
            Ok(handle) => {
                let _ = agent.execute(types::guest_file_close { handle }).await;
            }
            Err(AgentError::Refused { .. }) => return Ok(path),
            Err(error) => return Err(error.message()),
        }
    }
    let path = format!("{folder}{name}");
    Err(Message::saying(&crate::Sentence::FileExists { path }))
}

/// A name, or the same with a number in front of its ending.
fn numbered(name: &str, number: usize) -> String {
    if number == 1 {
        return name.to_owned();
    }
    let dot = name.rfind('.').filter(|dot| *dot > 0).unwrap_or(name.len());
    let (stem, ending) = name.split_at(dot);
    format!("{stem} ({number}){ending}")
}

fn open(from: &Path) -> Result<(File, u64), Message> {
    let file = File::open(from).map_err(at(from))?;
    let known = file.metadata().map_err(at(from))?;
    if known.is_dir() {
        return Err(at(from)(std::io::ErrorKind::IsADirectory.into()));
    }
    Ok((file, known.len()))
}

/// The same file, to be read from its beginning. One that cannot be wound back, such as a pipe, is read where it is.
async fn from_its_beginning(file: &File) -> Result<tokio::fs::File, Message> {
    let lost = |source| FileError::Source { why: std::io::Error::to_string(&source) }.message();
    let mut file = tokio::fs::File::from_std(file.try_clone().map_err(lost)?);
    match file.rewind().await {
        Err(error) if error.kind() != std::io::ErrorKind::NotSeekable => Err(lost(error)),
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_goes_in_front_of_the_ending() {
        for (name, second) in [
            ("a.txt", "a (2).txt"),
            ("a", "a (2)"),
            (".profile", ".profile (2)"),
            ("a.tar.gz", "a.tar (2).gz"),
        ] {
            assert_eq!((numbered(name, 1), numbered(name, 2)), (name.to_owned(), second.to_owned()));
        }
    }
}
