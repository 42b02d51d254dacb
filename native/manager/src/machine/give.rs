//! A file for whoever sits in front of the guest: dropped on its screen, say. It goes the first way that is open: to the desktop's
//! agent; where the guest has a folder of the host's mounted that it may write, into that; to the guest agent, which knows no desktop;
//! and where no agent answers, into such a folder all the same.

use crate::lent;
use sampan_control::{GivenTo, Reply, Reporter};
use sampan_library::{RESERVE, open_named};
use sampan_message::{Coded, Message};
use sampan_session::agent::{Agent, AgentError, Exec, types};
use sampan_session::vdagent::{FileError, FileSource, files};
use sampan_session::vm::Vm;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, watch};

/// Read at once, in bytes.
const PIECE: usize = 256 << 10;

/// How many names are tried where one is taken.
const NAMES: usize = 100;

/// Below so many bytes of free space a guest that could not write is taken to be full.
const FULL: u64 = 1 << 20;

/// How long the guest may take to remove what it has of a file that was given up.
const REMOVING: Duration = Duration::from_secs(20);

/// What everybody in the guest may read, and its owner write.
const MODE: u32 = 0o644;

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
    let file = NamedFile::open(from).await?;
    give_file(vm, file, &name, reporter).await
}

/// Gives the guest a file that is open, under a name.
///
/// # Errors
/// As [`give`].
pub async fn give_file(
    vm: &Arc<Vm>,
    file: NamedFile,
    name: &str,
    reporter: &Reporter,
) -> Result<Reply, Message> {
    // The same names are refused on every way.
    files::announcement(0, name, 0).map_err(|e| e.message())?;
    tokio::select! {
        given = by_first_way(vm, file, name, reporter) => given,
        () = reporter.cancelled() => Err(crate::Error::Cancelled.message()),
    }
}

async fn by_first_way(
    vm: &Arc<Vm>,
    file: NamedFile,
    name: &str,
    reporter: &Reporter,
) -> Result<Reply, Message> {
    let bytes = file.size;
    let given = |to| Ok(Reply::Copied { bytes, to: Some(to) });
    let desktop = match to_desktop(vm, &file, name, reporter).await {
        Ok(()) => return given(GivenTo::Downloads),
        // What a guest without somebody at its desktop says; its other agent may take the file.
        Err(Refused::Way(error)) => error,
        Err(Refused::File(error)) => return Err(error),
    };
    let folders = vm.shared_folders().await.map_err(|e| e.message())?;
    let mut folders = folders.into_iter().filter(|(share, _)| !share.read_only);
    let Some(agent) = vm.listening_agent().await else {
        let Some((share, folder)) = folders.next() else { return Err(desktop.message()) };
        let name = file.copy_to(folder, name.to_owned(), reporter).await?;
        return given(GivenTo::Shared { tag: share.tag, name, path: None });
    };
    // Only Linux has such a table; and a folder of the host's is mounted by its tag.
    let mounts = agent.mounts().await.unwrap_or_default();
    let mounted = folders.find_map(|(share, folder)| {
        let mount = mounts.iter().find(|mount| mount.kind == "9p" && mount.source == share.tag)?;
        Some((share.tag, folder, mount.point.clone()))
    });
    if let Some((tag, folder, point)) = mounted {
        let name = file.copy_to(folder, name.to_owned(), reporter).await?;
        let path = Some(format!("{}/{name}", point.trim_end_matches('/')));
        return given(GivenTo::Shared { tag, name, path });
    }
    to_all(agent, file, name, reporter).await.and_then(|path| given(GivenTo::Path(path)))
}

/// Why a way does not do.
enum Refused {
    /// It is not open.
    Way(FileError),
    /// It is, and the file does not go.
    File(Message),
}

/// By the agent of the guest's desktop session.
async fn to_desktop(vm: &Vm, file: &NamedFile, name: &str, reporter: &Reporter) -> Result<(), Refused> {
    let clipboard = vm.session().clipboard().ok_or(Refused::Way(FileError::NoAgent))?;
    let (mut source, size) = (file.reader().await.map_err(Refused::File)?, file.size);
    let (give, pieces) = mpsc::channel(1);
    let reading = tokio::spawn(async move {
        loop {
            let mut piece = vec![0; PIECE];
            let read = match source.read(&mut piece).await {
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
        Ok(()) => Ok(()),
        Err(error @ (FileError::NoAgent | FileError::Disabled | FileError::Locked)) => {
            Err(Refused::Way(error))
        }
        Err(error) => Err(Refused::File(error.message())),
    }
}

/// By the guest agent, which runs as the system's own user: where everybody may read it. Its full name there.
async fn to_all(agent: &Agent, file: NamedFile, name: &str, reporter: &Reporter) -> Result<String, Message> {
    let is_windows = agent.os_info().await.is_ok_and(|system| system.id.as_deref() == Some("mswindows"));
    let folder = if is_windows { r"C:\Users\Public\Downloads\" } else { "/var/tmp/" };
    let path = free_name(agent, folder, name).await?;
    let mut part = Part { agent: agent.clone(), path: path.clone(), is_windows, is_kept: false };
    file.push_to(agent, &path, reporter).await?;
    part.is_kept = true;
    Ok(path)
}

/// What the guest has of a file. It is removed with this: where the file was given up, or has failed.
struct Part {
    agent: Agent,
    path: String,
    is_windows: bool,
    is_kept: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.is_kept {
            return;
        }
        let (agent, path) = (self.agent.clone(), std::mem::take(&mut self.path));
        let remove = match self.is_windows {
            true => Exec::new("cmd.exe").args(["/c", "del", "/f", path.as_str()]),
            false => Exec::new("rm").args(["-f", "--", path.as_str()]),
        };
        runtime.spawn(async move {
            if agent.exec(remove.timeout(REMOVING)).await.is_ok() {
                return;
            }
            // One that may start no programs can still make it empty.
            let empty = types::guest_file_open { path, mode: Some("wb".to_owned()) };
            if let Ok(handle) = agent.execute(empty).await {
                let _ = agent.execute(types::guest_file_close { handle }).await;
            }
        });
    }
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
    Err(taken(&format!("{folder}{name}")))
}

fn taken(path: &str) -> Message {
    Message::saying(&crate::Sentence::FileExists { path: path.to_owned() })
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

/// A file that a person named, or has sent: open, so that it is the same one on every way.
pub struct NamedFile {
    /// By which it is opened once more: readers share no position.
    path: PathBuf,
    file: File,
    size: u64,
}

impl NamedFile {
    /// Opens it.
    ///
    /// # Errors
    /// It is not there, may not be read, or is no file.
    pub async fn open(path: &Path) -> Result<Self, Message> {
        let path = path.to_owned();
        let opened = crate::blocking(move || {
            let file = open_named(&path)?;
            let size = file.metadata().map_err(crate::Error::io(path.display().to_string()))?.len();
            Ok(Self { path, file, size })
        });
        opened.await.map_err(|e| e.message())
    }

    /// A file without a name, of so many bytes.
    pub fn nameless(file: File, size: u64) -> Self {
        // As proc_pid_fd(5) tells: opening the link opens the file itself, wherever it was.
        Self { path: format!("/proc/self/fd/{}", file.as_raw_fd()).into(), file, size }
    }

    /// One that reads it from its beginning, whoever else reads it.
    async fn reader(&self) -> Result<tokio::fs::File, Message> {
        Ok(tokio::fs::File::from_std(Self::open(&self.path).await?.file))
    }

    /// Writes it to a file in the guest, in place; how many bytes it had.
    ///
    /// # Errors
    /// [`FileError::NoSpace`] before anything is written, where the guest tells how much is free; the agent refuses.
    pub async fn push_to(self, agent: &Agent, to: &str, reporter: &Reporter) -> Result<u64, Message> {
        // The agent tells no more than that a write has failed.
        let free = agent.free_space(to).await.ok().flatten();
        if free.is_some_and(|free| free < self.size) {
            return Err(FileError::NoSpace { free }.message());
        }
        let told = |done: u64| {
            let _ = reporter.report("copy", done, self.size.max(done));
        };
        match agent.push(&mut self.reader().await?, to, told).await {
            Ok(bytes) => Ok(bytes),
            Err(error @ AgentError::Refused { .. }) => {
                let free = agent.free_space(to).await.ok().flatten();
                let is_full = free.is_some_and(|free| free < FULL);
                Err(if is_full { FileError::NoSpace { free }.message() } else { error.message() })
            }
            Err(error) => Err(error.message()),
        }
    }

    /// Copies it to a folder of the host's, under this name or one with a number, which is given back. It is there whole or not at all.
    ///
    /// # Errors
    /// No space; the folder may not be written to.
    async fn copy_to(self, folder: PathBuf, name: String, reporter: &Reporter) -> Result<String, Message> {
        let reporter = reporter.clone();
        let copied = crate::blocking(move || {
            let shown = folder.display().to_string();
            let (free, needed) = (sampan_library::free(&folder)?, self.size.saturating_add(RESERVE));
            if free < needed {
                return Err(lent::no_space(needed, free));
            }
            // The guest can write there, too: nothing that it put there is followed or replaced.
            let mut part =
                tempfile::NamedTempFile::new_in(&folder).map_err(crate::Error::io(shown.clone()))?;
            lent::copy_bytes(&open_named(&self.path)?, self.size, &mut part, &reporter)
                .map_err(lent::at(&shown))?;
            part.as_file()
                .set_permissions(PermissionsExt::from_mode(MODE))
                .map_err(crate::Error::io(shown.clone()))?;
            part.as_file().sync_all().map_err(lent::at(&shown))?;
            for number in 1..=NAMES {
                let name = numbered(&name, number);
                match part.persist_noclobber(folder.join(&name)) {
                    Ok(_) => return Ok(name),
                    Err(failed) if failed.error.kind() == std::io::ErrorKind::AlreadyExists => {
                        part = failed.file
                    }
                    Err(failed) => return Err(lent::at(&shown)(failed.error)),
                }
            }
            Err(crate::Error::Told(taken(&folder.join(name).display().to_string())))
        });
        copied.await.map_err(|e| e.message())
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

    #[tokio::test]
    async fn a_file_is_copied_to_a_shared_folder_and_replaces_nothing_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let shared = folder.path().join("shared");
        std::fs::create_dir(&shared).expect("a folder");
        let from = folder.path().join("a.txt");
        std::fs::write(&from, "first").expect("is written");
        // What a guest could put in the way.
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), shared.join("a (2).txt"))
            .expect("a link");
        let give = async || {
            let file = NamedFile::open(&from).await.expect("opens");
            file.copy_to(shared.clone(), "a.txt".into(), &Reporter::new()).await
        };
        assert_eq!(give().await.expect("is copied"), "a.txt");
        assert_eq!(give().await.expect("is copied"), "a (3).txt");
        assert_eq!(std::fs::read(shared.join("a (3).txt")).expect("is there"), b"first");
        assert!(!folder.path().join("elsewhere").exists());
        let reporter = Reporter::new();
        reporter.cancel();
        let file = NamedFile::open(&from).await.expect("opens");
        let cancelled = file.copy_to(shared.clone(), "b".into(), &reporter).await.expect_err("is not wanted");
        assert_eq!(cancelled.code, "cancelled");
        let names = std::fs::read_dir(&shared).expect("is read").count();
        assert_eq!(names, 3, "nothing is left of what was given up");
    }

    #[tokio::test]
    async fn a_file_without_a_name_is_read_from_its_beginning_by_each() {
        use std::io::Write;
        let folder = tempfile::tempdir().expect("a folder");
        let mut spooled = tempfile::tempfile_in(folder.path()).expect("a file");
        spooled.write_all(b"sent").expect("is written");
        let file = NamedFile::nameless(spooled, 4);
        for _ in 0..2 {
            let mut read = String::new();
            file.reader().await.expect("opens").read_to_string(&mut read).await.expect("is read");
            assert_eq!(read, "sent");
        }
        let name = file.copy_to(folder.path().into(), "a".into(), &Reporter::new()).await.expect("is copied");
        assert_eq!(std::fs::read(folder.path().join(name)).expect("is there"), b"sent");
    }

    #[tokio::test]
    async fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        for path in [fifo.as_path(), &socket, Path::new("/dev/zero"), folder.path()] {
            let refused = NamedFile::open(path).await.err().expect("is refused");
            assert_eq!(refused.code, "not_a_file", "{}", path.display());
        }
        // A link of the person's own leads where it leads.
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "x").expect("is written");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        assert_eq!(NamedFile::open(&link).await.expect("opens").size, 1);
    }
}
