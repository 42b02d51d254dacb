//! `disk remove` and `disk restore`: a disk that is taken off a machine can be put back.

use super::answer::date;
use super::disk::free_id;
use super::place::shell_word;
use super::{Answer, document, now};
use crate::args::size::human;
use anyhow::{Context, Result, bail};
use sampan_config::{DriveKind, DriveSection};
use sampan_library::{Bundle, DriveId, Library, Removed};
use serde_json::json;

/// `sampan disk remove VM DRIVE`.
pub fn remove(library: &Library, vm: &str, drive: &str, purge: bool) -> Result<Answer> {
    let mut locked = library.lock(library.find(vm)?)?;
    let id: DriveId = drive.parse()?;
    let mut document = document::of(&locked)?;
    let drives = &mut document.drives.drives;
    let at = drives.iter().position(|section| section.id == drive);
    let name = shell_word(locked.name());
    match at.and_then(|at| drives.get(at)) {
        Some(section) if section.kind != DriveKind::Disk => {
            bail!("{drive} is a CD drive: `sampan set {name} cdrom=-` empties it")
        }
        None if purge => {
            if locked.forget_removed(Some(&id))? == 0 {
                locked.removed(&id)?;
            }
            return Ok(Answer::new(json!({ "purged": drive }), "removed for ever"));
        }
        _ => {}
    }
    let at = at.with_context(|| {
        format!("{} has no disk {drive}: `sampan disk info {name}` lists them", locked.name())
    })?;
    let section = drives.remove(at);
    if let Some(fault) = document.check().into_iter().next() {
        bail!("{fault}");
    }
    if purge {
        // A drive without a place in the document does no harm.
        locked.set_document(&document.to_files())?;
        locked.remove_drive(&id)?;
        return Ok(Answer::new(json!({ "purged": drive }), "removed for ever"));
    }
    locked.set_aside(&id, &serde_json::to_string(&section)?, &document.to_files(), now())?;
    let text = format!("{drive} is off the machine; put it back with `sampan disk restore {name} {drive}`");
    Ok(Answer::new(json!({ "removed": drive }), text))
}

/// `sampan disk restore VM DRIVE`.
pub fn restore(library: &Library, vm: &str, drive: &str) -> Result<Answer> {
    let mut locked = library.lock(library.find(vm)?)?;
    let id: DriveId = drive.parse()?;
    let mut document = document::of(&locked)?;
    let mut section: DriveSection = serde_json::from_str(&locked.removed(&id)?.description)
        .context("what is noted of the removed disk is damaged")?;
    let drives = &mut document.drives.drives;
    if drives.iter().any(|there| there.id == section.id) {
        section.id = free_id(drives)?;
    }
    if section.boot.is_some() && drives.iter().any(|there| there.boot == section.boot) {
        // Another one starts the machine now.
        section.boot = drives.iter().filter_map(|there| there.boot).max().map(|last| last + 1);
    }
    let new: DriveId = section.id.parse()?;
    // Guests count disks in this order.
    let behind = |there: &DriveSection| there.kind == DriveKind::Disk && there.id > section.id;
    let at = drives.iter().position(behind).unwrap_or(drives.len());
    drives.insert(at, section);
    if let Some(fault) = document.check().into_iter().next() {
        bail!("{fault}");
    }
    locked.put_back(&id, &new, &document.to_files())?;
    let text = if id == new { format!("{drive} is back") } else { format!("{drive} is back, as {new}") };
    Ok(Answer::new(json!({ "drive": new }), text))
}

/// What is told of a removed disk.
pub fn words(bundle: &Bundle, removed: &Removed) -> String {
    let size = bundle.manifest().images.get(&removed.image).map_or(String::new(), |image| human(image.size));
    let (drive, name) = (&removed.drive, shell_word(bundle.name()));
    format!(
        "{drive} ({size}) was removed on {}: `sampan disk restore {name} {drive}` puts it back, `disk remove --purge` gives its space back",
        date(removed.time)
    )
}
