//! Removing what nothing refers to.

use crate::bundle::{DISKS, DOCUMENT, MANIFEST, STATE, THUMBS, TMP};
use crate::error::Result;
use crate::fs;
use crate::host::HOST;
use crate::library::{CLAIM, is_draft};
use crate::locked::Locked;

/// Whether this crate could have made the name: `<stem>-<12 hexadecimal digits>.<extension>`. What a person put into a
/// bundle is left alone.
fn is_ours(name: &str) -> bool {
    let Some((rest, extension)) = name.rsplit_once('.') else { return false };
    let Some((_, random)) = rest.rsplit_once('-') else { return false };
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    !extension.is_empty() && random.len() == 12 && random.bytes().all(hex)
}

impl Locked {
    /// Removes files that the manifest does not name: what was made and never came to be, or was replaced. A failure
    /// does no harm: the next one tries again.
    pub(crate) fn collect(&self) {
        if let Err(e) = self.try_collect() {
            log::warn!("cannot clean up {}: {e}", self.path().display());
        }
    }

    fn try_collect(&self) -> Result<()> {
        let m = self.manifest();
        for replaced in [MANIFEST, HOST] {
            self.fs_unlink_if_there(&format!(".{replaced}.new"))?;
        }
        // Once it is a machine's, its medium is looked after by its document.
        if !is_draft(self.path()) {
            self.fs_unlink_if_there(CLAIM)?;
        }
        let (memories, thumbnails, generations) = (m.memories(), m.thumbnails(), m.generations());
        self.sweep(STATE, |name| memories.iter().any(|f| f.as_str() == name))?;
        self.sweep(THUMBS, |name| thumbnails.iter().any(|f| f.as_str() == name))?;
        self.sweep(TMP, |_| false)?;
        let documents = self.path().join(DOCUMENT);
        for name in fs::names(&documents, 1 << 16)? {
            if let Ok(n) = name.parse::<u64>()
                && !generations.contains(&n)
            {
                self.fs().remove_tree(&documents.join(name))?;
            }
        }
        let needed = m.needed_images();
        let garbage = |name: &str| is_ours(name) && !needed.iter().any(|i| i.as_str() == name);
        let found = fs::names(&self.path().join(DISKS), 1 << 16)?;
        if !found.iter().any(|n| garbage(n)) {
            return Ok(());
        }
        // Deleting is refused while others depend on an image; this holds the line if that was got round.
        let foreign = self.library.images_used_by_others(self.id())?;
        self.sweep(DISKS, |name| !garbage(name) || foreign.iter().any(|i| i.as_str() == name))
    }

    fn fs_unlink_if_there(&self, name: &str) -> Result<()> {
        let path = self.path().join(name);
        match path.symlink_metadata() {
            Ok(_) => self.fs().unlink(&path),
            Err(_) => Ok(()),
        }
    }

    fn sweep(&self, folder: &str, keep: impl Fn(&str) -> bool) -> Result<()> {
        let folder = self.path().join(folder);
        for name in fs::names(&folder, 1 << 16)? {
            let scratch = self.scratch.iter().any(|f| f.as_str() == name);
            if is_ours(&name) && !scratch && !keep(&name) {
                self.fs().unlink(&folder.join(name))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_files_are_not_garbage() {
        for theirs in ["notes.txt", "disk.qcow2", "my-disk.qcow2", "x-0123456789AB.raw", "x-0123456789ab"] {
            assert!(!is_ours(theirs), "{theirs}");
        }
        assert!(is_ours(crate::FileName::fresh("root", "qcow2").as_str()));
    }
}
