//! `clone`, `export` and `import`.

use super::images::Images;
use super::place::library_to_fill;
use super::{Answer, library, now};
use crate::args::size::human;
use crate::args::{CloneArgs, ExportArgs, ImportArgs};
use crate::target::Target;
use crate::words::one_line;
use anyhow::{Context, Result};
use sampan_emulator::LibqemuDir;
use sampan_library::{NewClone, Sections};
use sampan_session::vm::{Foreign, Identity, Imported, import_archive};
use serde_json::json;
use std::path::Path;

/// `sampan clone VM NAME`.
pub fn clone(args: &CloneArgs) -> Result<Answer> {
    let library = library()?;
    let mut original = library.lock(library.find(&args.vm.vm)?)?;
    let mut images = Images::new()?;
    let layer = images.layer.clone();
    let name = args.name.as_str();
    let identity = Identity::of_copy(&library, &original);
    let mut change = |sections: &mut Sections| identity.give(Some(name), sections);
    let copy = NewClone { name, time: now(), change: &mut change, medium: identity.seed() };
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
    let target = Target::of(&args.file)?;
    let machine = library.lock(library.find(&args.vm.vm)?)?;
    let mut images = Images::new()?;
    let layer = images.layer.clone();
    let file = std::path::absolute(&args.file).context("the file's name")?;
    let done = target.fill(|file| {
        let file = std::path::absolute(file).context("the file's name")?;
        Ok(machine.export(&layer, None, &file, &mut images.bar.progress())?)
    })?;
    if target.is_stdout() {
        return Ok(Answer::nothing());
    }
    let text = format!("{}: {}", file.display(), human(done.bytes));
    Ok(Answer::new(json!({ "file": file, "bytes": done.bytes }), text))
}

/// Whether it is another program's machine: UTM's are folders.
fn is_foreign(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    file.is_dir() || extension == "ova" || extension == "ovf"
}

/// `sampan import FILE`.
pub fn import(args: &ImportArgs) -> Result<Answer> {
    let library = library_to_fill()?;
    let mut images = Images::new()?;
    let layer = images.layer.clone();
    let (name, progress) = (args.name.as_deref(), &mut images.bar.progress());
    let Imported { machine, notes } = if is_foreign(&args.file) {
        let foreign = Foreign::read(&args.file)?;
        let firmware = LibqemuDir::find()?.firmware()?;
        foreign.import(&library, &layer, &firmware, name, now(), progress)?
    } else {
        import_archive(&library, &args.file, name, now(), progress)?
    };
    let mut text = format!("{} is here", machine.name());
    for note in &notes {
        text += &format!("\nnote: {}", one_line(note));
    }
    let json = json!({ "id": machine.id().to_string(), "name": machine.name(), "notes": notes });
    Ok(Answer::new(json, text))
}
