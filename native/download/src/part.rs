//! The part file of one download, and its way to the final name.
//!
//! No byte is trusted that was not written: the journal names a range only after the part file was synced with that
//! range in it, and it is emptied, synced, before bytes of another version of the file are written over old ones.

use crate::digest::{Digest, Hasher};
use crate::error::DownloadError;
use crate::journal::{BAD, Identity, JOURNAL, Journal, PART, folder, nofollow, sync_folder};
use crate::ranges::Ranges;
use crate::request::Request;
use parking_lot::Mutex;
use rustix::fs::{CWD, RenameFlags, renameat_with, statvfs};
use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The part file of one download; locked, so that no other process writes it.
pub(crate) struct Part {
    request: Request,
    path: PathBuf,
    file: Arc<File>,
    identity: RefCell<Option<Identity>>,
    ranges: RefCell<Ranges>,
    unsaved: Cell<u64>,
    next: Cell<u64>,
    /// The number of the last journal that was written: one that was overtaken is dropped.
    written: Arc<Mutex<u64>>,
}

/// A journal that waits to be written; writing blocks.
pub(crate) struct Checkpoint {
    number: u64,
    journal: Journal,
    path: PathBuf,
    part: PathBuf,
    file: Arc<File>,
    written: Arc<Mutex<u64>>,
}

impl Checkpoint {
    /// Syncs the data, then replaces the journal.
    pub fn save(self) -> Result<(), DownloadError> {
        self.file.sync_data().map_err(|e| unwritten(&self.part, 0, &e))?;
        let mut written = self.written.lock();
        if *written < self.number {
            self.journal.write(&self.path).map_err(|e| unwritten(&self.path, JOURNAL_ROOM, &e))?;
            *written = self.number;
        }
        Ok(())
    }
}

fn failed(doing: &'static str, path: &Path, error: &io::Error) -> DownloadError {
    DownloadError::file(doing, path, error)
}

/// What a journal takes on a disk, in bytes.
const JOURNAL_ROOM: usize = 4096;

/// A write that failed, for want of room or anything else.
fn unwritten(path: &Path, bytes: usize, error: &io::Error) -> DownloadError {
    match error.kind() {
        io::ErrorKind::StorageFull => space_error(path, bytes as u64, 0, 0),
        _ => failed("write", path, error),
    }
}

impl Part {
    /// Opens or creates the part file; it blocks. `Ok(None)` when the file was finished by an earlier run that died
    /// before it removed its journal.
    pub fn open(request: &Request) -> Result<Option<Self>, DownloadError> {
        let (path, journal) = (request.beside(PART), request.beside(JOURNAL));
        let old = Journal::read(&journal).filter(|j| j.source == request.source);
        if request.to.symlink_metadata().is_ok() {
            // The rename took the part file away, verified: the journal is all that is left.
            if old.is_some() && path.symlink_metadata().is_err() {
                std::fs::remove_file(&journal).map_err(|e| failed("remove", &journal, &e))?;
                return Ok(None);
            }
            return Err(DownloadError::Exists { path: request.to.clone() });
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(nofollow())
            .open(&path)
            .map_err(|e| failed("open", &path, &e))?;
        let busy = || DownloadError::Busy { path: request.to.clone() };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy()),
            Err(TryLockError::Error(e)) => return Err(failed("lock", &path, &e)),
        }
        let meta = file.metadata().map_err(|e| failed("open", &path, &e))?;
        // Between opening and locking another process may have finished and renamed it.
        let same = path.symlink_metadata().is_ok_and(|m| m.ino() == meta.ino() && m.dev() == meta.dev());
        if !same || !meta.is_file() {
            return Err(busy());
        }
        let part = Self {
            request: request.clone(),
            path,
            file: Arc::new(file),
            identity: RefCell::default(),
            ranges: RefCell::default(),
            unsaved: Cell::new(0),
            next: Cell::new(1),
            written: Arc::default(),
        };
        match old {
            // What was synced is there; a shorter file is another one.
            Some(journal) if journal.ranges().end() <= meta.len() => {
                part.ranges.replace(journal.ranges());
                part.identity.replace(journal.identity);
            }
            _ => part.reset(None)?,
        }
        Ok(Some(part))
    }

    pub fn identity(&self) -> Option<Identity> {
        self.identity.borrow().clone()
    }

    pub fn loaded(&self) -> u64 {
        self.ranges.borrow().bytes()
    }

    pub fn missing(&self, length: u64) -> Vec<Range<u64>> {
        self.ranges.borrow().missing(length)
    }

    /// Forgets what was loaded; what comes now belongs to `identity`. It blocks, briefly: nothing else may be
    /// written before the journal says so.
    pub fn reset(&self, identity: Option<Identity>) -> Result<(), DownloadError> {
        self.ranges.replace(Ranges::default());
        self.identity.replace(identity);
        self.unsaved.set(0);
        self.checkpoint().save()?;
        self.file.set_len(0).map_err(|e| failed("truncate", &self.path, &e))
    }

    /// Writes loaded bytes.
    pub fn write(&self, at: u64, bytes: &[u8]) -> Result<(), DownloadError> {
        self.file.write_all_at(bytes, at).map_err(|e| unwritten(&self.path, bytes.len(), &e))?;
        self.ranges.borrow_mut().insert(at..at + bytes.len() as u64);
        self.unsaved.set(self.unsaved.get() + bytes.len() as u64);
        Ok(())
    }

    /// Bytes that were written since the last [`Part::checkpoint`].
    pub fn unsaved(&self) -> u64 {
        self.unsaved.get()
    }

    /// The journal of this moment. Of a file that cannot be joined to later bytes, nothing is claimed.
    pub fn checkpoint(&self) -> Checkpoint {
        self.unsaved.set(0);
        let number = self.next.replace(self.next.get() + 1);
        let identity = self.identity();
        let joins = identity.as_ref().is_some_and(|i| i.validator.is_some() && i.length.is_some());
        let ranges = if joins { self.ranges.borrow().clone() } else { Ranges::default() };
        Checkpoint {
            number,
            journal: Journal::new(&self.request, identity, &ranges),
            path: self.request.beside(JOURNAL),
            part: self.path.clone(),
            file: self.file.clone(),
            written: self.written.clone(),
        }
    }

    /// Whether a checkpoint or a finisher still has the file open.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.file) > 1
    }

    /// The open file with what its end needs, for a thread that may block.
    pub fn finisher(&self) -> Finisher {
        let (part, file, written) = (self.path.clone(), self.file.clone(), self.written.clone());
        Finisher { request: self.request.clone(), part, file, written }
    }
}

/// What blocks at the end of a download.
pub(crate) struct Finisher {
    request: Request,
    part: PathBuf,
    file: Arc<File>,
    written: Arc<Mutex<u64>>,
}

impl Finisher {
    /// Reads the file back from the disk's side of the cache and computes its digest. `progress` is told the bytes so
    /// far and says whether to go on; `Ok(None)` if not.
    pub fn hash(
        &self,
        like: &Digest,
        progress: impl Fn(u64) -> bool,
    ) -> Result<Option<Digest>, DownloadError> {
        let read = |e: io::Error| failed("read", &self.part, &e);
        let mut file = &*self.file;
        file.rewind().map_err(read)?;
        let mut hasher = Hasher::like(like);
        let mut buffer = vec![0; 1 << 20];
        let mut done = 0;
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => return Ok(Some(hasher.finish())),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(read(e)),
            };
            hasher.update(buffer.get(..count).unwrap_or_default());
            done += count as u64;
            if !progress(done) {
                return Ok(None);
            }
        }
    }

    /// Checks the length, makes everything last, and gives the file its final name in one step.
    pub fn publish(&self, length: u64) -> Result<(), DownloadError> {
        let is = self.file.metadata().map_err(|e| failed("read", &self.part, &e))?.len();
        if is != length {
            let why = format!("it has {is} bytes instead of {length}: something else wrote to it");
            return Err(DownloadError::file("finish", &self.part, &why));
        }
        self.file.sync_all().map_err(|e| failed("sync", &self.part, &e))?;
        match rename_new(&self.part, &self.request.to) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(DownloadError::Exists { path: self.request.to.clone() });
            }
            renamed => renamed.map_err(|e| failed("rename", &self.part, &e))?,
        }
        sync_folder(&self.request.to).map_err(|e| failed("sync", folder(&self.request.to), &e))?;
        // Whatever stays behind from here on is litter, not a loss.
        self.forget();
        let _ = std::fs::remove_file(self.request.beside(BAD));
        Ok(())
    }

    /// Moves a file with a wrong digest out of the way, where it replaces an earlier one.
    pub fn set_aside(&self) -> Result<PathBuf, DownloadError> {
        let bad = self.request.beside(BAD);
        self.forget();
        std::fs::rename(&self.part, &bad).map_err(|e| failed("rename", &self.part, &e))?;
        Ok(bad)
    }

    /// Removes what was loaded.
    pub fn discard(&self) -> Result<(), DownloadError> {
        self.forget();
        std::fs::remove_file(&self.part).map_err(|e| failed("remove", &self.part, &e))
    }

    /// Removes the journal, and sees to it that no late checkpoint brings it back.
    fn forget(&self) {
        let mut written = self.written.lock();
        *written = u64::MAX;
        let _ = std::fs::remove_file(self.request.beside(JOURNAL));
    }
}

/// Renames without replacing.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems and sandboxes do not know it.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
        renamed => renamed.map_err(io::Error::from),
    }
}

/// Refuses when fewer than `needed` and `reserve` bytes are free beside `target`.
pub(crate) fn check_space(target: &Path, needed: u64, reserve: u64) -> Result<(), DownloadError> {
    let folder = folder(target);
    let stat = statvfs(folder).map_err(|e| failed("look at", folder, &e.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < needed.saturating_add(reserve) {
        Err(space_error(target, needed, free, reserve))
    } else {
        Ok(())
    }
}

fn space_error(target: &Path, needed: u64, free: u64, reserve: u64) -> DownloadError {
    let needed = needed.saturating_add(reserve);
    DownloadError::Space { folder: folder(target).to_owned(), needed, free, reserve }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Validator;

    fn request(folder: &tempfile::TempDir) -> Request {
        Request::new("https://example.org/a", folder.path().join("a.iso"))
    }

    fn identity() -> Option<Identity> {
        let validator = Some(Validator::Etag("\"a\"".into()));
        Some(Identity { url: "https://example.org/a".into(), validator, length: Some(6), digest: None })
    }

    #[test]
    fn only_saved_ranges_are_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let part = Part::open(&request(&folder)).unwrap().unwrap();
        part.reset(identity()).unwrap();
        part.write(0, b"ab").unwrap();
        let late = part.checkpoint();
        part.write(4, b"ef").unwrap();
        part.checkpoint().save().unwrap();
        late.save().unwrap();
        part.write(2, b"c").unwrap();
        drop(part);
        let part = Part::open(&request(&folder)).unwrap().unwrap();
        assert_eq!(
            format!("{:?}", part.missing(6)),
            "[2..4]",
            "an overtaken journal is dropped, an unsaved range is not trusted"
        );
        part.write(2, b"cd").unwrap();
        part.finisher().publish(6).unwrap();
        assert_eq!(std::fs::read(folder.path().join("a.iso")).unwrap(), b"abcdef");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn two_do_not_load_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let _part = Part::open(&request(&folder)).unwrap();
        assert!(matches!(Part::open(&request(&folder)), Err(DownloadError::Busy { .. })));
    }

    #[test]
    fn a_shorter_part_file_or_another_source_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let load = || {
            let part = Part::open(&request(&folder)).unwrap().unwrap();
            part.reset(identity()).unwrap();
            part.write(0, b"abcd").unwrap();
            part.checkpoint().save().unwrap();
        };
        load();
        let file = OpenOptions::new().write(true).open(folder.path().join("a.iso.part")).unwrap();
        file.set_len(3).unwrap();
        assert_eq!(Part::open(&request(&folder)).unwrap().unwrap().loaded(), 0);
        load();
        let other = Request::new("https://example.org/b", folder.path().join("a.iso"));
        assert_eq!(Part::open(&other).unwrap().unwrap().loaded(), 0);
    }

    #[test]
    fn links_and_existing_files_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join("a.iso.part")).unwrap();
        assert!(matches!(Part::open(&request(&folder)), Err(DownloadError::File { .. })));
        std::fs::remove_file(folder.path().join("a.iso.part")).unwrap();
        let part = Part::open(&request(&folder)).unwrap().unwrap();
        std::fs::rename(&victim, folder.path().join("a.iso")).unwrap();
        assert!(matches!(part.finisher().publish(0), Err(DownloadError::Exists { .. })));
        drop(part);
        assert!(matches!(Part::open(&request(&folder)), Err(DownloadError::Exists { .. })));
        assert_eq!(std::fs::read(folder.path().join("a.iso")).unwrap(), b"precious");
    }

    #[test]
    fn a_file_finished_before_its_journal_was_removed_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let part = Part::open(&request(&folder)).unwrap().unwrap();
        drop(part);
        std::fs::rename(folder.path().join("a.iso.part"), folder.path().join("a.iso")).unwrap();
        assert!(Part::open(&request(&folder)).unwrap().is_none());
        assert!(matches!(Part::open(&request(&folder)), Err(DownloadError::Exists { .. })));
    }

    #[test]
    fn too_little_space_is_said_with_figures() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        assert!(check_space(&target, 1, 0).is_ok());
        let error = check_space(&target, u64::MAX - 1, 1).unwrap_err();
        assert!(matches!(error, DownloadError::Space { free, .. } if free > 0), "{error}");
    }
}
