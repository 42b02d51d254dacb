//! Where machines are.

use anyhow::{Context, Result, bail};
pub use sampan_library::shell_word;
use sampan_library::{Error as LibraryError, Library};
use std::path::PathBuf;

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
