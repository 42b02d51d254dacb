//! The media of a running machine.

use super::{Vm, VmError, on_thread};
use sampan_config::DriveKind;
use sampan_library::Medium;

impl Vm {
    /// Puts a medium of the library into a CD or floppy drive in the place of what is there, or takes that out; now and
    /// for later starts. A guest that holds what is there is asked to let go of it; with `force` it is not.
    ///
    /// # Errors
    /// [`VmError`], among others [`CommandError::MediumHeld`](crate::CommandError::MediumHeld); nothing changes.
    pub async fn change_medium(&self, drive: &str, medium: Option<&str>, force: bool) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        let document = self.document();
        let is_wanted = |kind| matches!(kind, DriveKind::Cdrom | DriveKind::Floppy);
        let found =
            document.drives.drives.iter().find(|section| section.id == drive && is_wanted(section.kind));
        let section = found.ok_or_else(|| VmError::NoMediaDrive(drive.to_owned()))?;
        let new = self.medium(medium).await?;
        self.session.change_medium(drive, new.as_ref().map(|medium| medium.path.as_path()), force).await?;
        // As it is written in the library: names that look alike are one.
        let name = new.map(|medium| medium.name);
        let written = self
            .edit(|document| {
                for section in document.drives.drives.iter_mut().filter(|section| section.id == drive) {
                    section.media.clone_from(&name);
                }
            })
            .await;
        if written.is_err() {
            self.put_back(drive, section.media.as_deref()).await;
        }
        written
    }

    async fn put_back(&self, drive: &str, medium: Option<&str>) {
        let back = async {
            let old = self.medium(medium).await?;
            let path = old.as_ref().map(|medium| medium.path.as_path());
            Ok::<_, VmError>(self.session.change_medium(drive, path, true).await?)
        };
        if let Err(error) = back.await {
            self.log.warn(format_args!("what was in {drive} is not put back: {error}"));
        }
    }

    async fn medium(&self, name: Option<&str>) -> Result<Option<Medium>, VmError> {
        let Some(name) = name.map(str::to_owned) else { return Ok(None) };
        let library = self.library.clone();
        Ok(Some(on_thread(move || library.medium(&name)).await??))
    }
}
