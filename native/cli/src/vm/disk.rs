//! `sampan disk …`.

use super::answer::table;
use super::aside;
use super::images::Images;
use super::{Answer, document, library};
use crate::app::App;
use crate::args::DiskAction;
use crate::args::size::{Change, human};
use crate::confirm::confirm;
use crate::interrupt::Interrupted;
use anyhow::{Context, Result, bail};
use sampan_config::{Bus, Document, DriveSection, Finding, HostFigures, Limits};
use sampan_control::Request;
use sampan_library::{
    DriveId, Error as LibraryError, ImageFormat, Library, Locked, Preallocation, SourceFormat, Target,
};
use sampan_manager::host::figures;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// `sampan disk …`.
pub fn disk(action: &DiskAction) -> Result<Answer> {
    let library = library()?;
    match action {
        DiskAction::Info { vm } => info(&library, &vm.vm),
        DiskAction::Create { vm, size, fixed, yes } => {
            confirm(Limits::check_disk("disk", *size, *fixed, &figures(library.home())?), *yes)?;
            let mut locked = library.lock(library.find(&vm.vm)?)?;
            let images = Images::new()?;
            let preallocation = if *fixed { Preallocation::Fixed } else { Preallocation::Dynamic };
            let drive = with_new_drive(&mut locked, |locked, id| {
                let target = Target { format: ImageFormat::Qcow2, preallocation };
                Ok(locked.create_drive(&images.layer, id, *size, target)?)
            })?;
            Ok(Answer::new(json!({ "drive": drive, "size": size }), format!("{drive}: {}", human(*size))))
        }
        DiskAction::Import { file, to, format, yes } => {
            let said = format.as_deref().map(source_format).transpose()?;
            confirm(image_findings(file, said, None, &figures(library.home())?)?, *yes)?;
            let mut locked = library.lock(library.find(to)?)?;
            let mut images = Images::new()?;
            let mut note = None;
            let drive = with_new_drive(&mut locked, |locked, id| {
                note = import(locked, id, file, said, &mut images)?;
                Ok(())
            })?;
            let mut text = format!("{} is {drive} now", file.display());
            if let Some(note) = &note {
                text += &format!("\nnote: {note}");
            }
            Ok(Answer::new(json!({ "drive": drive, "notes": Vec::from_iter(note) }), text))
        }
        DiskAction::Grow { vm, drive, size, yes } => grow(&library, &vm.vm, drive, *size, *yes),
        DiskAction::Remove { vm, drive, purge } => aside::remove(&library, &vm.vm, drive, *purge),
        DiskAction::Restore { vm, drive } => aside::restore(&library, &vm.vm, drive),
        DiskAction::Flatten { vm, drive } => flatten(&library, &vm.vm, drive.as_deref()),
        DiskAction::Compact { vm, drive } => compact(&library, &vm.vm, drive.as_deref()),
    }
}

/// What the copy of an image, grown to `size`, would do to this host: what it holds is written at once.
pub fn image_findings(
    file: &Path,
    said: Option<SourceFormat>,
    size: Option<u64>,
    host: &HostFigures,
) -> Result<Vec<Finding>> {
    let header = sampan_library::probe_import(file, said)?;
    let blocks = std::fs::metadata(file).with_context(|| file.display().to_string())?.blocks();
    let at_once = Limits::check_disk("disk0", blocks.saturating_mul(512), true, host);
    if !at_once.is_empty() {
        return Ok(at_once);
    }
    Ok(Limits::check_disk("disk0", size.unwrap_or(0).max(header.virtual_size), false, host))
}

/// Brings an image into a machine as a drive; what of it was left out.
fn import(
    locked: &mut Locked,
    id: &DriveId,
    file: &Path,
    said: Option<SourceFormat>,
    images: &mut Images,
) -> Result<Option<String>> {
    let layer = images.layer.clone();
    let mut progress = images.bar.progress();
    let header = locked
        .import_drive(&layer, id, file, said, Target::default(), &mut progress)
        .with_context(|| format!("{} cannot be imported", file.display()))?;
    Ok(header.snapshots_left_out(&file.file_name().unwrap_or_default().to_string_lossy()))
}

/// The format of a name on the command line.
pub fn source_format(name: &str) -> Result<SourceFormat> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "qcow2" => SourceFormat::Qcow2,
        "raw" => SourceFormat::Raw,
        "vmdk" => SourceFormat::Vmdk,
        "vdi" => SourceFormat::Vdi,
        "vhdx" => SourceFormat::Vhdx,
        "vhd" | "vpc" => SourceFormat::Vpc,
        _ => bail!("{name:?} is no format: use qcow2, raw, vmdk, vdi, vhdx or vhd"),
    })
}

/// Makes a drive by `make` and a place for it in the document, or neither.
pub fn with_new_drive(
    locked: &mut Locked,
    make: impl FnOnce(&mut Locked, &DriveId) -> Result<()>,
) -> Result<DriveId> {
    let mut document = document::of(locked)?;
    let id = add_drive(&mut document)?;
    make(locked, &id)?;
    if let Err(error) = locked.set_document(&document.to_files()) {
        locked.remove_drive(&id)?;
        return Err(error.into());
    }
    Ok(id)
}

/// A name that no drive has.
pub fn free_id(drives: &[DriveSection]) -> Result<String> {
    let free = |id: &String| drives.iter().all(|drive| drive.id != *id);
    (0..100).map(|n| format!("disk{n}")).find(free).context("the machine has too many disks")
}

/// A new disk in the document, on the bus that its other disks have.
pub fn add_drive(document: &mut Document) -> Result<DriveId> {
    let drives = &mut document.drives.drives;
    let id = free_id(drives)?;
    let disks = || drives.iter().filter(|drive| drive.kind == sampan_config::DriveKind::Disk);
    let bus = disks().next().map_or(Bus::VirtioBlk, |drive| drive.bus);
    let boot = drives.iter().filter_map(|drive| drive.boot).max().map_or(0, |last| last + 1);
    drives.push(DriveSection::disk(id.clone(), bus, Some(boot)));
    if let Some(fault) = document.check().into_iter().next() {
        bail!("{fault}");
    }
    Ok(id.parse()?)
}

fn info(library: &Library, vm: &str) -> Result<Answer> {
    let bundle = library.read(library.find(vm)?)?;
    // A running machine's images are not looked into: what is noted of them must do.
    let locked = library.lock(bundle.id()).ok();
    let mut rows = vec![["DRIVE", "SIZE", "TAKES", "FORMAT", "FILE"].map(String::from).to_vec()];
    let mut list = Vec::new();
    for (drive, image) in &bundle.manifest().drives {
        let record = bundle.manifest().images.get(image);
        let path = bundle.image_path(image);
        let info = locked.as_ref().map(|locked| locked.drive_info(drive)).transpose()?;
        let size = info.as_ref().map(|i| i.size).or(record.map(|r| r.size));
        let used = std::fs::metadata(&path).map(|m| m.blocks() * 512).ok();
        let format = record.map_or("-", |r| r.format.driver());
        let state = match &info {
            Some(info) if info.corrupt => " (damaged)",
            Some(info) if info.dirty => " (was not closed)",
            _ => "",
        };
        let chain: Vec<Value> = info.iter().flat_map(|i| &i.chain).map(|layer| json!(layer.path)).collect();
        list.push(json!({
            "drive": drive, "size": size, "used": used, "format": format, "file": path, "chain": chain,
            "dirty": info.as_ref().map(|i| i.dirty), "corrupt": info.as_ref().map(|i| i.corrupt),
        }));
        rows.push(vec![
            drive.to_string(),
            size.map_or("-".into(), human),
            used.map_or("-".into(), human),
            format!("{format}{state}"),
            path.display().to_string(),
        ]);
    }
    let reclaimable = locked.as_ref().and_then(|locked| locked.reclaimable().ok()).filter(|bytes| *bytes > 0);
    let mut text = table(&rows);
    for removed in &bundle.manifest().removed {
        text += &format!("\n{}", aside::words(&bundle, removed));
    }
    if let Some(bytes) = reclaimable {
        text += &format!("\n`sampan disk compact {vm}` may give back {}", human(bytes));
    }
    let removed = &bundle.manifest().removed;
    let removed: Vec<Value> = removed.iter().map(|r| json!({ "drive": r.drive, "time": r.time })).collect();
    Ok(Answer::new(json!({ "drives": list, "reclaimable": reclaimable, "removed": removed }), text))
}

fn grow(library: &Library, vm: &str, drive: &str, change: Change, yes: bool) -> Result<Answer> {
    let bundle = library.read(library.find(vm)?)?;
    let id: DriveId = drive.parse()?;
    let image = bundle.manifest().drives.get(&id);
    let record = image.and_then(|image| bundle.manifest().images.get(image));
    let now = record.with_context(|| format!("{} has no drive {drive}", bundle.name()))?.size;
    let size = match change {
        Change::To(size) => size,
        Change::By(more) => now.checked_add(more).context("that is too much")?,
    };
    // Whole sectors.
    let size = size.checked_next_multiple_of(512).context("that is too much")?;
    // What it has now may have been written already: it is the growth that needs room.
    confirm(Limits::check_disk(drive, size.saturating_sub(now), false, &figures(library.home())?), yes)?;
    let app = App::open()?;
    let machine = app.machine(vm)?;
    app.watch(async |reporter| machine.call(Request::Grow { drive: id.to_string(), size }, reporter).await)?;
    let text = format!("{drive}: {}; the guest still has to grow its partition and file system", human(size));
    Ok(Answer::new(json!({ "drive": drive, "size": size }), text))
}

/// Makes a linked clone's drives independent.
fn flatten(library: &Library, vm: &str, drive: Option<&str>) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    let drive = drive.map(str::parse::<DriveId>).transpose()?;
    let flattened = app.watch(async |reporter| app.manager.detach(id, drive, reporter).await)?;
    let text = match flattened {
        0 => "it is built on no other machine's disks: nothing was to be done".to_owned(),
        _ => format!(
            "{} needs no other machine any more: {flattened} image(s) were filled",
            library.read(id)?.name()
        ),
    };
    Ok(Answer::new(json!({ "flattened": flattened }), text))
}

fn compact(library: &Library, vm: &str, drive: Option<&str>) -> Result<Answer> {
    let mut locked = library.lock(library.find(vm)?)?;
    let drives: Vec<DriveId> = match drive {
        Some(drive) => vec![drive.parse()?],
        None => locked.manifest().drives.keys().cloned().collect(),
    };
    let mut images = Images::new()?;
    let layer = images.layer.clone();
    let merged = locked.reclaim(&layer, &mut images.bar.progress())?;
    let mut list = Vec::new();
    let mut text = String::new();
    for id in drives {
        let (before, after) = match locked.compact_drive(&layer, &id, &mut images.bar.progress()) {
            // What was done before it stays done.
            Err(LibraryError::Cancelled) if !list.is_empty() => {
                let words = format!("cancelled; {id} is as it was\n{}", text.trim_end());
                return Err(Interrupted(words).into());
            }
            other => other?,
        };
        list.push(json!({ "drive": id, "before": before, "after": after }));
        text += &format!("{id}: {} before, {} now\n", human(before), human(after));
    }
    Ok(Answer::new(json!({ "merged": merged, "drives": list }), text.trim_end()))
}
