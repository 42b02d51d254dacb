//! `sampan disk …`.

use super::Answer;
use super::answer::{date, table};
use super::place::shell_word;
use crate::app::{App, confirmed};
use crate::args::DiskAction;
use crate::args::size::{Change, human};
use crate::hints::with_hint;
use anyhow::{Result, bail};
use sampan_library::{DriveId, SourceFormat};
use sampan_manager::edit::{Compacted, DiskInfo, Disks, NewSize};
use serde_json::{Value, json};

/// `sampan disk …`.
pub fn disk(action: &DiskAction) -> Result<Answer> {
    let app = App::open()?;
    match action {
        DiskAction::Info { vm } => info(&app, &vm.vm),
        DiskAction::Create { vm, size, fixed, yes } => {
            let id = app.id(&vm.vm)?;
            let (size, fixed, confirmed) = (*size, *fixed, confirmed(*yes));
            let drive = app
                .watch(async |reporter| app.manager.add_disk(id, size, fixed, &confirmed, reporter).await)?;
            Ok(Answer::new(json!({ "drive": drive, "size": size }), format!("{drive}: {}", human(size))))
        }
        DiskAction::Import { file, to, format, yes } => {
            let (id, path) = (app.id(to)?, file.clone());
            let format = format.as_deref().map(source_format).transpose()?;
            let confirmed = confirmed(*yes);
            let (drive, notes) = app.watch(async |reporter| {
                app.manager.import_disk(id, path, format, &confirmed, reporter).await
            })?;
            let mut text = format!("{} is {drive} now", file.display());
            for note in &notes {
                text += &format!("\nnote: {}", with_hint(note, Some(to)));
            }
            Ok(Answer::new(json!({ "drive": drive, "notes": notes }), text))
        }
        DiskAction::Grow { vm, drive, size, yes } => {
            let (id, drive) = (app.id(&vm.vm)?, drive.parse::<DriveId>()?);
            let size = match *size {
                Change::To(size) => NewSize::To(size),
                Change::By(more) => NewSize::By(more),
            };
            let confirmed = confirmed(*yes);
            let size = app.watch(async |reporter| {
                app.manager.grow_disk(id, &drive, size, &confirmed, reporter).await
            })?;
            let text = format!(
                "{drive}: {}; the guest still has to grow its partition and file system",
                human(size)
            );
            Ok(Answer::new(json!({ "drive": drive, "size": size }), text))
        }
        DiskAction::Remove { vm, drive, purge } => {
            let (id, drive) = (app.id(&vm.vm)?, drive.parse::<DriveId>()?);
            app.wait(app.manager.remove_disk(id, drive.clone(), *purge))?;
            if *purge {
                return Ok(Answer::new(json!({ "purged": drive }), "removed for ever"));
            }
            let name = shell_word(&vm.vm);
            let text =
                format!("{drive} is off the machine; put it back with `sampan disk restore {name} {drive}`");
            Ok(Answer::new(json!({ "removed": drive }), text))
        }
        DiskAction::Restore { vm, drive } => {
            let (id, drive) = (app.id(&vm.vm)?, drive.parse::<DriveId>()?);
            let new = app.wait(app.manager.restore_disk(id, drive.clone()))?;
            let text =
                if drive == new { format!("{drive} is back") } else { format!("{drive} is back, as {new}") };
            Ok(Answer::new(json!({ "drive": new }), text))
        }
        DiskAction::Flatten { vm, drive } => flatten(&app, &vm.vm, drive.as_deref()),
        DiskAction::Compact { vm, drive } => compact(&app, &vm.vm, drive.as_deref()),
    }
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

fn info(app: &App, vm: &str) -> Result<Answer> {
    let Disks { drives, removed, reclaimable } = app.wait(app.manager.disks(app.id(vm)?))?;
    let mut rows = vec![["DRIVE", "SIZE", "TAKES", "FORMAT", "FILE"].map(String::from).to_vec()];
    let mut list = Vec::new();
    for DiskInfo { drive, size, used, format, file, inside } in &drives {
        let format = format.unwrap_or("-");
        let state = match inside {
            Some(inside) if inside.corrupt => " (damaged)",
            Some(inside) if inside.dirty => " (was not closed)",
            _ => "",
        };
        let inside = inside.as_ref();
        list.push(json!({
            "drive": drive, "size": size, "used": used, "format": format, "file": file,
            "chain": inside.map(|inside| &inside.chain).unwrap_or(&Vec::new()),
            "dirty": inside.map(|inside| inside.dirty), "corrupt": inside.map(|inside| inside.corrupt),
        }));
        rows.push(vec![
            drive.to_string(),
            size.map_or("-".into(), human),
            used.map_or("-".into(), human),
            format!("{format}{state}"),
            file.display().to_string(),
        ]);
    }
    let (mut text, name) = (table(&rows), shell_word(vm));
    for removed in &removed {
        let (drive, size) = (&removed.drive, removed.size.map_or(String::new(), human));
        text += &format!(
            "\n{drive} ({size}) was removed on {}: `sampan disk restore {name} {drive}` puts it back, `disk remove --purge` gives its space back",
            date(removed.time)
        );
    }
    if let Some(bytes) = reclaimable {
        text += &format!("\n`sampan disk compact {name}` may give back {}", human(bytes));
    }
    let removed: Vec<Value> = removed.iter().map(|r| json!({ "drive": r.drive, "time": r.time })).collect();
    Ok(Answer::new(json!({ "drives": list, "reclaimable": reclaimable, "removed": removed }), text))
}

/// Makes a linked clone's drives independent.
fn flatten(app: &App, vm: &str, drive: Option<&str>) -> Result<Answer> {
    let id = app.id(vm)?;
    let drive = drive.map(str::parse::<DriveId>).transpose()?;
    let flattened = app.watch(async |reporter| app.manager.detach(id, drive, reporter).await)?;
    let text = match flattened {
        0 => "it is built on no other machine's disks: nothing was to be done".to_owned(),
        _ => format!(
            "{} needs no other machine any more: {flattened} image(s) were filled",
            app.wait(app.manager.bundle(id))?.name()
        ),
    };
    Ok(Answer::new(json!({ "flattened": flattened }), text))
}

fn compact(app: &App, vm: &str, drive: Option<&str>) -> Result<Answer> {
    let id = app.id(vm)?;
    let drive = drive.map(str::parse::<DriveId>).transpose()?;
    let (merged, done) = app.watch(async |reporter| app.manager.compact_disks(id, drive, reporter).await)?;
    let line = |Compacted { drive, before, after }: &Compacted| {
        format!("{drive}: {} before, {} now", human(*before), human(*after))
    };
    let text = done.iter().map(line).collect::<Vec<_>>().join("\n");
    let list: Vec<Value> = done
        .iter()
        .map(|Compacted { drive, before, after }| json!({ "drive": drive, "before": before, "after": after }))
        .collect();
    Ok(Answer::new(json!({ "merged": merged, "drives": list }), text))
}
