//! Where results go that a person names a file for: a picture, a file of the guest's, an exported machine.
//!
//! A regular file gets its content whole or not at all: a new one takes its place. What is none, a device or a FIFO, is
//! written to; to put a file in its place would take it from all others. A link is followed: what it leads to is meant.
//! `-` is stdout.

use crate::words;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The most links on the way to a file, as the kernel has it (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// stdout.
    Stdout,
    /// A regular file, by its own name and not by a link's, whether it is there or not.
    File(PathBuf),
    /// A device, a FIFO or whatever else takes bytes.
    Stream(PathBuf),
}

impl Target {
    /// What a name stands for.
    ///
    /// # Errors
    /// It is a folder, or leads nowhere.
    pub fn of(name: &Path) -> Result<Self> {
        let shown = name.display();
        if name == Path::new("-") {
            if words::is_stdout_watched() {
                bail!(
                    "what would be written is no text, and stdout is a terminal: name a file, or pipe it to a program"
                );
            }
            return Ok(Self::Stdout);
        }
        match name.metadata() {
            Ok(there) if there.is_dir() => bail!("{shown} is a folder: name a file in it"),
            Ok(there) if there.is_file() => {
                Ok(Self::File(name.canonicalize().with_context(|| format!("{shown} cannot be written"))?))
            }
            // `write` connects to no socket.
            Ok(there) if there.file_type().is_socket() => bail!("{shown} is a socket: name a file"),
            Ok(_) => Ok(Self::Stream(name.to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::File(end_of_links(name)?)),
            Err(e) => Err(e).with_context(|| format!("{shown} cannot be written")),
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// What the system says. A file that was there is as before.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Stdout => words::pass(bytes),
            Self::Stream(name) => {
                let mut stream = open(name)?;
                written(stream.write_all(bytes).and_then(|()| stream.flush()), name)?;
            }
            Self::File(name) => {
                let cannot = || format!("{} cannot be written", name.display());
                let mut temporary = tempfile::NamedTempFile::new_in(folder_of(name)).with_context(cannot)?;
                temporary.write_all(bytes).with_context(cannot)?;
                temporary.persist(name).map_err(|e| e.error).with_context(cannot)?;
            }
        }
        Ok(())
    }

    /// Has a file made and writes what is in it: for results that others make, which know regular files alone.
    ///
    /// # Errors
    /// Those of `make`, and what the system says.
    pub fn fill<T>(&self, make: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        if let Self::File(name) = self {
            return make(name);
        }
        // Its owner's alone, as what is in it may be secret.
        let folder = tempfile::Builder::new()
            .prefix("sampan-")
            .tempdir()
            .context("there is no place for a temporary file (TMPDIR names one)")?;
        let file = folder.path().join("result");
        let made = make(&file)?;
        let mut from = File::open(&file).context("the temporary file")?;
        let mut piece = vec![0; 1 << 20];
        let mut stream = match self {
            Self::Stream(name) => Some((open(name)?, name)),
            _ => None,
        };
        loop {
            let read = from.read(&mut piece).context("the temporary file")?;
            let bytes = piece.get(..read).unwrap_or_default();
            match &mut stream {
                _ if bytes.is_empty() => return Ok(made),
                Some((stream, name)) => written(stream.write_all(bytes), name)?,
                None => words::pass(bytes),
            }
        }
    }

    /// Whether what is told of it would be in the way of what is in it.
    pub fn is_stdout(&self) -> bool {
        *self == Self::Stdout
    }
}

fn open(name: &Path) -> Result<File> {
    // A FIFO waits for its reader here, as it does for every program.
    OpenOptions::new().write(true).open(name).with_context(|| format!("{} cannot be written", name.display()))
}

/// A reader who has gone has read what it wanted.
fn written(done: io::Result<()>, name: &Path) -> Result<()> {
    match done {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.with_context(|| format!("{} cannot be written", name.display())),
    }
}

fn folder_of(name: &Path) -> &Path {
    name.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name of a file that is not there, at the end of all links.
fn end_of_links(name: &Path) -> Result<PathBuf> {
    let mut name = name.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&name) {
            Ok(next) => name = folder_of(&name).join(next),
            Err(_) => {
                // `new/` is no file's name, though a path has none such.
                let slash = OsString::from("/");
                let ends = name.as_os_str().as_encoded_bytes().ends_with(slash.as_encoded_bytes());
                if ends || name.file_name().is_none() {
                    bail!("{} is no name of a file", name.display());
                }
                return Ok(name);
            }
        }
    }
    bail!("{} is a link that leads to itself", name.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn write(name: &Path, bytes: &[u8]) -> Result<()> {
        Target::of(name)?.write(bytes)
    }

    #[test]
    fn files_are_replaced_and_everything_else_is_written_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        write(&at("new"), b"one").expect("a new file");
        let before = at("new").metadata().expect("is there").ino();
        write(&at("new"), b"two").expect("in its place");
        assert_eq!(std::fs::read(at("new")).expect("reads"), b"two");
        assert_ne!(at("new").metadata().expect("is there").ino(), before, "a new file took its place");
        // Through links, also those that lead nowhere yet.
        symlink("new", at("link")).expect("a link");
        symlink("later", at("dangling")).expect("a link");
        for (link, end) in [("link", "new"), ("dangling", "later")] {
            write(&at(link), b"three").expect("is written");
            assert!(at(link).is_symlink(), "{link}");
            assert_eq!(std::fs::read(at(end)).expect("reads"), b"three");
        }
        symlink("circle", at("circle")).expect("a link");
        for bad in [at("circle"), at(""), at("none/x"), at("none/")] {
            assert!(write(&bad, b"").is_err(), "{}", bad.display());
        }
        // What is left of it: nothing else.
        assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 5);
    }

    #[test]
    fn a_device_and_a_fifo_stay_what_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || std::fs::read(fifo)
        });
        write(&fifo, b"picture").expect("is written");
        assert_eq!(reader.join().expect("ends").expect("reads"), b"picture");
        assert!(fifo.metadata().expect("is there").file_type().is_fifo());
        write(Path::new("/dev/null"), b"picture").expect("is written");
        assert!(Path::new("/dev/null").metadata().expect("is there").file_type().is_char_device());
        let words = format!("{:#}", write(Path::new("/dev/full"), b"picture").expect_err("is full"));
        assert!(words.contains("/dev/full cannot be written"), "{words}");
        // What others make goes there, too.
        let made = Target::of(Path::new("/dev/null"))
            .expect("a target")
            .fill(|file| Ok(std::fs::write(file, b"x")?));
        made.expect("is filled");
    }
}
