//! Where machines are, and where a running one is reached.

use crate::control::{Client, Request};
use anyhow::{Context, Result, bail};
pub use sampan_library::shell_word;
use sampan_library::{Bundle, Error as LibraryError, Library};
use serde_json::Value;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// `$SAMPAN_HOME`, else `$XDG_DATA_HOME/sampan`, else `~/.local/share/sampan`.
pub fn home() -> Result<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = named("SAMPAN_HOME")
        .or_else(|| named("XDG_DATA_HOME").map(|data| data.join("sampan")))
        .or_else(|| named("HOME").map(|home| home.join(".local/share/sampan")))
        .context("there is no place for machines: set SAMPAN_HOME")?;
    if !home.is_absolute() {
        bail!("{}: the library's folder must be a full name (check SAMPAN_HOME)", home.display());
    }
    Ok(home)
}

/// The library. Where none is none is made: its place may have been mistyped.
pub fn library() -> Result<Library> {
    Ok(Library::open_existing(home()?)?)
}

/// The same for whoever lists what is in it: where none is that is nothing.
pub fn library_if_there() -> Result<Option<Library>> {
    match Library::open_existing(home()?) {
        Err(LibraryError::NoLibrary(_)) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// The library, made if it is not there: for what puts something into it.
pub fn library_to_fill() -> Result<Library> {
    Ok(Library::open(home()?)?)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Where a bundle's supervisor keeps what lasts as long as the run.
pub fn run_folder(bundle: &Path) -> PathBuf {
    bundle.join("run")
}

/// A socket's name has at most 107 bytes, a library's folder any number: the way there is through the open folder.
pub struct SocketName {
    pub path: PathBuf,
    _folder: File,
}

/// The control socket of a bundle, by a name that is short enough.
pub fn control_socket(bundle: &Path) -> std::io::Result<SocketName> {
    let folder = File::open(run_folder(bundle))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/control", folder.as_raw_fd()));
    Ok(SocketName { path, _folder: folder })
}

/// A connection to a machine's supervisor; `None` where it does not run.
pub fn connect(bundle: &Bundle) -> Result<Option<Client>> {
    match control_socket(bundle.path()) {
        Ok(socket) => Client::connect_if_there(&socket.path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("the folder {}", run_folder(bundle.path()).display())),
    }
}

/// What a machine's supervisor says of it; `None` where it does not run, or ended while it was asked.
pub fn condition(bundle: &Bundle) -> Result<Option<Value>> {
    let Some(mut client) = connect(bundle)? else { return Ok(None) };
    match client.ask(&Request::Status) {
        Err(_) if connect(bundle)?.is_none() => Ok(None),
        answer => answer.map(Some),
    }
}

/// The same, for commands that need it to run.
pub fn connect_running(bundle: &Bundle) -> Result<Client> {
    connect(bundle)?.with_context(|| {
        format!("{} does not run: start it with `sampan start {}`", bundle.name(), shell_word(bundle.name()))
    })
}
