//! `clone`, `export` and `import`.

use super::images::Images;
use super::{Answer, library, now};
use crate::args::size::human;
use crate::args::{CloneArgs, ExportArgs, ImportArgs};
use anyhow::{Context, Result};
use sampan_config::{Document, MacAddress};
use sampan_emulator::LibqemuDir;
use sampan_library::{NewClone, Sections, VmId};
use sampan_session::vm::{Foreign, Imported, SEED_DRIVE, seed_of_copy};
use serde_json::json;
use std::path::Path;

/// What must not be twice in one network, or on one licence server: addresses and the machine's own number.
fn new_identity(name: Option<&str>, number: &str, sections: &mut Sections) {
    // One that cannot be read is copied as it is, and says so when it is started.
    let Ok(mut document) = Document::from_files(sections) else { return };
    for card in &mut document.network.cards {
        if card.mac.is_some() {
            card.mac = Some(random_mac());
        }
    }
    if document.system.uuid.is_some() {
        document.system.uuid = Some(number.to_owned());
    }
    if let Some(name) = name {
        name.clone_into(&mut document.system.name);
    }
    *sections = document.to_files();
}

/// An address in QEMU's range.
pub fn random_mac() -> MacAddress {
    let random = VmId::random().to_string();
    let byte =
        |at: usize| random.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(1);
    MacAddress::of([byte(0), byte(2), byte(4)])
}

/// `sampan clone VM NAME`.
pub fn clone(args: &CloneArgs) -> Result<Answer> {
    let library = library()?;
    let mut original = library.lock(library.find(&args.vm.vm)?)?;
    let mut images = Images::new()?;
    let layer = images.layer.clone();
    let name = args.name.as_str();
    let number = VmId::random().to_string();
    // One that cannot be read has no seed that could be told.
    let mut document = super::document::of(&original).ok();
    let medium = document.as_mut().and_then(|document| seed_of_copy(&library, document, &number));
    let seed = medium.as_ref().map(|(name, _)| name.clone());
    let mut change = |sections: &mut Sections| {
        new_identity(Some(name), &number, sections);
        if let (Some(seed), Ok(mut document)) = (&seed, Document::from_files(sections)) {
            document.drives.drives.iter_mut().filter(|drive| drive.id == SEED_DRIVE).for_each(|drive| {
                drive.media = Some(seed.clone());
            });
            *sections = document.to_files();
        }
    };
    let copy = NewClone { name, time: now(), change: &mut change, medium };
    let made = if args.linked {
        original.clone_linked(&layer, None, copy)?
    } else {
        original.clone_full(&layer, None, copy, &mut images.bar.progress())?
    };
    let text = format!("{name} is a copy of {}", original.name());
    Ok(Answer::new(json!({ "id": made.id().to_string(), "name": name }), text))
}

/// `sampan export VM FILE`.
pub fn export(args: &ExportArgs) -> Result<Answer> {
    let library = library()?;
    let machine = library.lock(library.find(&args.vm.vm)?)?;
    let mut images = Images::new()?;
    let layer = images.layer.clone();
    let file = std::path::absolute(&args.file).context("the file's name")?;
    let done = machine.export(&layer, None, &file, &mut images.bar.progress())?;
    let text = format!("{}: {}", file.display(), human(done.bytes));
    Ok(Answer::new(json!({ "file": file, "bytes": done.bytes }), text))
}

/// Whether it is another program's machine: UTM's are folders.
fn is_foreign(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    file.is_dir() || extension == "ova" || extension == "ovf"
}

fn import_foreign(args: &ImportArgs) -> Result<Answer> {
    let library = library()?;
    let mut images = Images::new()?;
    let layer = images.layer.clone();
    let foreign = Foreign::read(&args.file)?;
    let firmware = LibqemuDir::find()?.firmware()?;
    let progress = &mut images.bar.progress();
    let Imported { machine, notes } =
        foreign.import(&library, &layer, &firmware, args.name.as_deref(), now(), progress)?;
    let mut text = format!("{} is here", machine.name());
    for note in &notes {
        text += &format!("\nnote: {note}");
    }
    let json = json!({ "id": machine.id().to_string(), "name": machine.name(), "notes": notes });
    Ok(Answer::new(json, text))
}

/// `sampan import FILE`.
pub fn import(args: &ImportArgs) -> Result<Answer> {
    if is_foreign(&args.file) {
        return import_foreign(args);
    }
    let library = library()?;
    let mut images = Images::new()?;
    let name = args.name.as_deref();
    // Arguments for QEMU in a machine from elsewhere could name any file of this host.
    let mut dropped = Vec::new();
    let mut change = |sections: &mut Sections| {
        new_identity(name, &VmId::random().to_string(), sections);
        if let Ok(mut document) = Document::from_files(sections) {
            dropped = std::mem::take(&mut document.extra.arguments);
            *sections = document.to_files();
        }
    };
    let made = library.import(&args.file, name, now(), &mut change, &mut images.bar.progress())?;
    let mut text = format!("{} is here", made.name());
    if !dropped.is_empty() {
        text += &format!("; its own arguments for QEMU were left out: {}", dropped.join(" "));
    }
    let json = json!({ "id": made.id().to_string(), "name": made.name(), "left_out": dropped });
    Ok(Answer::new(json, text))
}
