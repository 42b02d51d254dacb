//! Drives that are taken off a machine, and put back: as with machines and the trash, the first thought is not always the best.

use crate::bundle::Sections;
use crate::error::{Error, Result};
use crate::id::DriveId;
use crate::locked::Locked;
use crate::manifest::{MAX_DRIVES, Removed};

impl Locked {
    /// Takes a drive off the machine and keeps its image. `document` is the machine's without the drive and `description` what it said
    /// of it; `now` is in seconds since 1970. All of that happens or nothing. The machine is stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NoDrive`], [`Error::Suspended`], [`Error::Limit`] where too many are kept.
    pub fn set_aside(
        &mut self,
        drive: &DriveId,
        description: &str,
        document: &Sections,
        now: u64,
    ) -> Result<()> {
        self.check_idle()?;
        self.current(drive)?;
        if self.manifest().removed.len() >= MAX_DRIVES {
            return Err(Error::Limit { what: "removed drives", limit: MAX_DRIVES });
        }
        let next = self.next_generation(document)?;
        self.commit(|m| {
            m.document = next;
            if let Some(image) = m.drives.remove(drive) {
                let (drive, description) = (drive.clone(), description.to_owned());
                m.removed.push(Removed { drive, image, time: now, description });
            }
            Ok(())
        })?;
        self.collect();
        Ok(())
    }

    /// What was removed under this name, the latest.
    ///
    /// # Errors
    ///
    /// [`Error::NoRemoved`].
    pub fn removed(&self, drive: &DriveId) -> Result<&Removed> {
        let all = &self.manifest().removed;
        all.iter()
            .rev()
            .find(|removed| removed.drive == *drive)
            .ok_or_else(|| Error::NoRemoved(drive.to_string()))
    }

    /// Puts the latest drive back that was removed under this name, as the drive `new`, which `document` names. The machine is
    /// stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NoRemoved`], [`Error::DriveExists`], [`Error::Suspended`].
    pub fn put_back(&mut self, drive: &DriveId, new: &DriveId, document: &Sections) -> Result<()> {
        self.check_new_drive(new)?;
        let image = self.removed(drive)?.image.clone();
        let next = self.next_generation(document)?;
        self.commit(|m| {
            m.document = next;
            m.removed.retain(|removed| removed.image != image);
            m.drives.insert(new.clone(), image);
            Ok(())
        })?;
        self.collect();
        Ok(())
    }

    /// Forgets what was removed under this name, or all that was removed: their images go, unless snapshots have them. How many that
    /// were. The machine is stopped.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn forget_removed(&mut self, drive: Option<&DriveId>) -> Result<usize> {
        let goes = |removed: &Removed| drive.is_none_or(|drive| removed.drive == *drive);
        let images: Vec<_> =
            self.manifest().removed.iter().filter(|r| goes(r)).map(|r| r.image.clone()).collect();
        if images.is_empty() {
            return Ok(0);
        }
        self.commit(|m| {
            m.removed.retain(|removed| !goes(removed));
            Ok(())
        })?;
        self.collect();
        Ok(images.len())
    }
}
