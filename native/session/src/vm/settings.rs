//! The document of a running machine. There are two of it: the one that it runs with, and the one that its bundle keeps
//! for its next start. Memory that is saved belongs to the first.

use super::{UEFI_VARIABLES, Vm, VmError, lock, on_thread};
use crate::{Command, SoundSettings};
use sampan_config::{DriveKind, FirmwareKind, Input, Section, SoundDevice, VmConfig};
use sampan_library::{Locked, Sections};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Both documents.
#[derive(Clone)]
pub(super) struct VmConfigs {
    pub(super) running: VmConfig,
    pub(super) kept: VmConfig,
}

impl VmConfigs {
    /// The one that the machine runs with, where it is not the one that is kept.
    pub(super) fn of_run(&self) -> Option<Sections> {
        (self.running != self.kept).then(|| self.running.to_files())
    }
}

/// A machine that goes on from a saved state runs as it was saved, and may have been changed since.
pub(super) async fn at_start(locked: &Arc<Mutex<Locked>>, running: VmConfig) -> VmConfigs {
    let (locked, run) = (Arc::clone(locked), running.clone());
    let read = move || {
        let mut locked = lock(&locked);
        // One that cannot be read is told at the next start.
        let mut kept = VmConfig::from_files(&locked.document().ok()?).ok()?;
        locked.name().clone_into(&mut kept.system.name);
        let documents = VmConfigs { running: run, kept };
        locked.set_run_document(documents.of_run());
        Some(documents)
    };
    let documents = on_thread(read).await.ok().flatten();
    documents.unwrap_or_else(|| VmConfigs { kept: running.clone(), running })
}

/// When changed settings take effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Sections whose changes have taken effect.
    pub now: Vec<Section>,
    /// Sections in which something waits for the machine's next start, by this change or an earlier one.
    pub next_start: Vec<Section>,
}

impl Applied {
    fn of(before: &VmConfig, kept: &VmConfig, running: &VmConfig) -> Self {
        let (before, kept, running) = (before.to_files(), kept.to_files(), running.to_files());
        let mut applied = Self::default();
        for section in Section::ALL {
            let file = section.file();
            if kept.get(file) != running.get(file) {
                applied.next_start.push(section);
            } else if kept.get(file) != before.get(file) {
                applied.now.push(section);
            }
        }
        applied
    }
}

impl Vm {
    /// The document that it runs with.
    pub fn document(&self) -> VmConfig {
        self.documents().running
    }

    /// The document that it will be started with next.
    pub fn next_document(&self) -> VmConfig {
        self.documents().kept
    }

    /// Takes an edited [`Vm::next_document`], and says what of it takes effect when. Notes, the restart after a crash, the
    /// keyboard's layout, the clipboard's settings, and volume, mute and the microphone do at once. All else waits for the next start, also what can be changed while the machine runs: that have
    /// [`Vm::add_forward`], [`Vm::change_medium`], [`Vm::set_mode`] and [`Vm::rename`], and the name stays as it is here.
    ///
    /// # Errors
    /// [`VmError`]: it has a fault, or names a disk or a medium that is not there; nothing changes.
    pub async fn change_settings(&self, mut edited: VmConfig) -> Result<Applied, VmError> {
        let _turn = self.turn.lock().await;
        let VmConfigs { mut running, kept } = self.documents();
        edited.system.name.clone_from(&kept.system.name);
        if let Some(fault) = edited.check().into_iter().next() {
            return Err(VmError::Fault(fault));
        }
        self.check_files(&edited).await?;
        running.system.notes.clone_from(&edited.system.notes);
        running.system.restart_after_crash = edited.system.restart_after_crash;
        running.input.clipboard = edited.input.clipboard;
        running.input.paste = edited.input.paste;
        running.input.layout = edited.input.layout;
        follow_sound(&mut running, SoundSettings::of(&edited.sound));
        let sound = SoundSettings::of(&edited.sound);
        let applied = Applied::of(&kept, &edited, &running);
        let Input { clipboard: policy, paste, layout, .. } = running.input;
        self.set_documents(VmConfigs { running, kept: edited }).await?;
        self.session.set_keyboard_layout(layout);
        if let Some(clipboard) = self.session.clipboard() {
            clipboard.configure(policy, paste).await;
        }
        if self.session.sound().is_some() {
            self.session.execute(Command::Sound(sound)).await?;
        }
        Ok(applied)
    }

    /// Changes how loud it is, and whether the guest may listen to the microphone, now and for later starts.
    ///
    /// # Errors
    /// [`VmError`]: it has no sound card, or no such volume; nothing changes.
    pub async fn set_sound(&self, settings: SoundSettings) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        let VmConfigs { mut running, mut kept } = self.documents();
        follow_sound(&mut running, settings);
        let SoundSettings { volume, muted, microphone } = settings;
        (kept.sound.volume, kept.sound.muted) = (volume, muted);
        // Its next start may be without a sound card.
        kept.sound.microphone = microphone && kept.sound.device != SoundDevice::None;
        if let Some(fault) = kept.check().into_iter().next() {
            return Err(VmError::Fault(fault));
        }
        self.session.execute(Command::Sound(settings)).await?;
        self.set_documents(VmConfigs { running, kept }).await
    }

    /// Gives the machine another name in the library. Viewers that are connected see the old one until its next start.
    ///
    /// # Errors
    /// [`VmError`]: the name cannot be, or is taken; it keeps the old one.
    pub async fn rename(&self, name: &str) -> Result<(), VmError> {
        let _turn = self.turn.lock().await;
        let mut document = self.document();
        name.clone_into(&mut document.system.name);
        if let Some(fault) = document.check().into_iter().next() {
            return Err(VmError::Fault(fault));
        }
        let new = name.to_owned();
        self.with_locked(move |locked| locked.rename(&new)).await?;
        // The library's word counts; the document's is a copy of it.
        if let Err(error) = self.edit(|document| name.clone_into(&mut document.system.name)).await {
            self.log.warn(format_args!("the document keeps the machine's old name for now: {error}"));
        }
        Ok(())
    }

    /// Refuses a document that the machine could not be started with for want of a file.
    async fn check_files(&self, document: &VmConfig) -> Result<(), VmError> {
        let drives: BTreeSet<String> = self
            .with_locked(|locked| Ok(locked.manifest().drives.keys().map(ToString::to_string).collect()))
            .await?;
        let sections = &document.drives.drives;
        let disks = sections.iter().filter(|drive| drive.kind == DriveKind::Disk && drive.media.is_none());
        let variables = (document.firmware.kind == FirmwareKind::Uefi).then_some(UEFI_VARIABLES);
        let mut wanted = disks.map(|drive| drive.id.as_str()).chain(variables);
        if let Some(missing) = wanted.find(|id| !drives.contains(*id)) {
            return Err(VmError::NoImage(missing.to_owned()));
        }
        let kernel = document.firmware.kernel.iter();
        let kernel = kernel.flat_map(|kernel| [Some(&kernel.kernel), kernel.initrd.as_ref()]).flatten();
        let media: Vec<String> =
            sections.iter().filter_map(|drive| drive.media.as_ref()).chain(kernel).cloned().collect();
        let library = self.library.clone();
        let known = move || media.iter().try_for_each(|name| library.medium(name).map(drop));
        Ok(on_thread(known).await??)
    }

    pub(super) fn documents(&self) -> VmConfigs {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a change that has taken effect in both documents; in the one that is kept only where it fits that.
    pub(super) async fn edit(&self, change: impl Fn(&mut VmConfig)) -> Result<(), VmError> {
        let VmConfigs { mut running, kept } = self.documents();
        change(&mut running);
        let mut next = kept.clone();
        change(&mut next);
        let kept = if next.check().is_empty() { next } else { kept };
        self.set_documents(VmConfigs { running, kept }).await
    }

    async fn set_documents(&self, documents: VmConfigs) -> Result<(), VmError> {
        let (kept, of_run, log) = (documents.kept.to_files(), documents.of_run(), self.log.clone());
        let write = move |locked: &mut Locked| {
            let before = locked.manifest().document;
            locked.set_document(&kept).or_else(|error| {
                if locked.manifest().document == before {
                    return Err(error);
                }
                // The new one is in its place: what is read from now on.
                log.warn(format_args!(
                    "a power failure may undo a change of the machine's document: {error}"
                ));
                Ok(())
            })?;
            locked.set_run_document(of_run);
            Ok(())
        };
        self.with_locked(write).await?;
        *self.documents.lock().unwrap_or_else(PoisonError::into_inner) = documents;
        Ok(())
    }
}

/// What changes while the machine runs. A card without an input gets one with `microphone` at the next start only, and until then a
/// saved state belongs to the card as it is.
fn follow_sound(running: &mut VmConfig, SoundSettings { volume, muted, microphone }: SoundSettings) {
    (running.sound.volume, running.sound.muted) = (volume, muted);
    if running.sound.input {
        running.sound.microphone = microphone;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_config::{Arch, Preset};

    #[test]
    fn what_waits_for_the_next_start_is_told() {
        let before = VmConfig::new("x", Preset::Linux, Arch::X86_64);
        let mut running = before.clone();
        assert_eq!(Applied::of(&before, &before, &running), Applied::default());
        let mut kept = before.clone();
        kept.system.notes = "mine".into();
        kept.memory.mib += 1024;
        running.system.notes.clone_from(&kept.system.notes);
        let applied = Applied::of(&before, &kept, &running);
        assert_eq!(applied, Applied { now: vec![Section::System], next_start: vec![Section::Memory] });
        // It goes on waiting whatever else is changed.
        let again = Applied::of(&kept, &kept, &running);
        assert_eq!(again, Applied { now: Vec::new(), next_start: vec![Section::Memory] });
    }
}
