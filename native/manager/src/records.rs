//! What is kept of a machine's runs, for its owner to read and to pass on.

use crate::error::{Error, Result};
use crate::run::{self, logs};
use crate::{Manager, blocking};
use sampan_library::{Bundle, VmId};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

/// The most bytes of a log that are read at a time.
const MAX_PIECE: u32 = 1 << 20;

/// The log of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLog {
    /// Its file's name.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
}

/// Bytes of one log or report that are passed on: more than any of ours has.
const MAX_FILE: u64 = 2 * logs::MAX_LOG;

/// Writes all logs and reports of a machine, each under a line with its name.
pub(crate) fn write_all(bundle: &Bundle, mut to: impl Write) -> io::Result<()> {
    writeln!(to, "{} ({})", bundle.name(), bundle.id())?;
    for path in logs::reports(bundle.path()).into_iter().chain(logs::runs(bundle.path())) {
        // A bundle comes from other people: what is no plain file is left out.
        let Ok(Some(file)) = logs::open_plain(&path) else { continue };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(to, "\n==== {name} ====\n")?;
        io::copy(&mut file.take(MAX_FILE), &mut to)?;
    }
    to.flush()
}

impl Manager {
    /// A person has seen how the machine's last run ended: lists do not tell it any more. The report stays.
    ///
    /// # Errors
    /// The bundle cannot be read. Of a machine that runs, nothing changes.
    pub async fn dismiss_report(&self, id: VmId) -> Result<()> {
        let library = self.library().clone();
        blocking(move || match library.lock(id) {
            Ok(locked) => {
                run::dismiss(locked.path());
                Ok(())
            }
            // What its last run was like nobody asks then.
            Err(sampan_library::Error::InUse { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        })
        .await?;
        self.changed();
        Ok(())
    }

    /// The report of a machine's last crash; `None` where there is none.
    ///
    /// # Errors
    /// The bundle, or the report, cannot be read.
    pub async fn crash_report(&self, id: VmId) -> Result<Option<String>> {
        let bundle = self.bundle(id).await?;
        blocking(move || logs::newest_report(bundle.path()).map_err(Error::io("the report"))).await
    }

    /// The logs of a machine's last runs, the oldest first.
    ///
    /// # Errors
    /// The bundle cannot be read.
    pub async fn run_logs(&self, id: VmId) -> Result<Vec<RunLog>> {
        let bundle = self.bundle(id).await?;
        blocking(move || {
            let all = logs::runs(bundle.path()).into_iter().filter_map(|path| {
                let size = path.symlink_metadata().ok().filter(|meta| meta.is_file())?.len();
                Some(RunLog { name: path.file_name()?.to_str()?.to_owned(), size })
            });
            Ok(all.collect())
        })
        .await
    }

    /// A piece of a log, of at most so many bytes from the byte `from` on. What is no Unicode in it is replaced.
    ///
    /// # Errors
    /// `file_missing`: there is no such log.
    pub async fn read_log(&self, id: VmId, name: &str, from: u64, most: u32) -> Result<String> {
        let (bundle, name) = (self.bundle(id).await?, name.to_owned());
        blocking(move || {
            let found = logs::runs(bundle.path());
            let path = found.iter().find(|path| path.file_name().is_some_and(|file| file == name.as_str()));
            let missing = || Error::Io { what: name.clone(), source: io::ErrorKind::NotFound.into() };
            let path = path.ok_or_else(missing)?;
            let file = logs::open_plain(path).map_err(Error::io(name.clone()))?.ok_or_else(missing)?;
            let mut piece = vec![0; most.min(MAX_PIECE) as usize];
            let mut read = 0;
            while let Some(rest) = piece.get_mut(read..).filter(|rest| !rest.is_empty()) {
                match file.read_at(rest, from.saturating_add(read as u64)).map_err(Error::io(name.clone()))? {
                    0 => break,
                    more => read += more,
                }
            }
            piece.truncate(read);
            Ok(String::from_utf8_lossy(&piece).into_owned())
        })
        .await
    }
}
