//! `sampan snapshot …`.

use super::answer::date;
use super::{Answer, library};
use crate::app::{App, confirmed};
use crate::args::SnapshotAction;
use crate::target::Target;
use crate::words::one_line;
use anyhow::{Context, Result, bail};
use sampan_control::{Reply, Request};
use sampan_library::{Bundle, Manifest, SnapshotId};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// `sampan snapshot …`.
pub fn snapshot(action: &SnapshotAction) -> Result<Answer> {
    let library = library()?;
    match action {
        SnapshotAction::List { vm } => Ok(list(&library.read(library.find(&vm.vm)?)?)),
        SnapshotAction::Create { vm, name, note, disks_only } => {
            let app = App::open()?;
            let machine = app.machine(&vm.vm)?;
            let request =
                Request::Snapshot { name: name.clone(), note: note.clone(), disks_only: *disks_only };
            let reply = app.watch(async |reporter| machine.call(request, reporter).await)?;
            let Reply::Snapshot { id } = reply else { bail!("the machine does not tell its snapshot") };
            let text = format!("{name}: {id}");
            Ok(Answer::new(json!({ "id": id }), text))
        }
        SnapshotAction::Restore { vm, snapshot, keep, yes } => {
            let app = App::open()?;
            let id = app.id(&vm.vm)?;
            let snapshot = app.wait(app.manager.bundle(id))?.find_snapshot(snapshot)?;
            let (old, keep, confirmed) = (snapshot.clone(), keep.clone(), confirmed(*yes));
            let memory = app.watch(async |reporter| {
                app.manager.restore_snapshot(id, old, keep, &confirmed, reporter).await
            })?;
            let text = if memory { "restored; start resumes it where it was" } else { "restored" };
            Ok(Answer::new(json!({ "id": snapshot.as_str(), "memory": memory }), text))
        }
        SnapshotAction::Delete { vm, snapshot } => {
            let app = App::open()?;
            let machine = app.machine(&vm.vm)?;
            let id = machine.bundle().find_snapshot(snapshot)?;
            app.wait(machine.tell(Request::SnapshotDelete { snapshot: id.to_string() }))?;
            // Of a running machine nothing can be given back yet.
            let reclaimable = match machine.runs() {
                true => 0,
                false => library.lock(machine.bundle().id())?.reclaimable()?,
            };
            let text = if reclaimable > 0 {
                format!("forgotten; `sampan disk compact {}` gives back more of its space", vm.vm)
            } else {
                "forgotten".into()
            };
            Ok(Answer::new(json!({ "reclaimable": reclaimable }), text))
        }
        SnapshotAction::Picture { vm, snapshot, file } => {
            let bundle = library.read(library.find(&vm.vm)?)?;
            let id = bundle.find_snapshot(snapshot)?;
            let png = bundle.thumbnail(&id)?.context("this snapshot has no picture: the machine was off")?;
            let target = Target::of(file)?;
            target.write(&png)?;
            if target.is_stdout() {
                return Ok(Answer::nothing());
            }
            Ok(Answer::new(json!({ "file": file }), format!("{}", file.display())))
        }
    }
}

fn list(bundle: &Bundle) -> Answer {
    let manifest = bundle.manifest();
    let mut list = Vec::new();
    let mut text = String::new();
    tree(manifest, None, 0, &mut list, &mut text);
    if list.is_empty() {
        text = "no snapshots".into();
    }
    let current = manifest.parent.as_ref().map(SnapshotId::as_str);
    Answer::new(json!({ "snapshots": list, "current": current }), text.trim_end())
}

/// Depth is bounded: a manifest's tree has no circles and at most so many snapshots as are allowed.
fn tree(
    manifest: &Manifest,
    parent: Option<&SnapshotId>,
    depth: usize,
    list: &mut Vec<Value>,
    text: &mut String,
) {
    let mut children: Vec<_> =
        manifest.snapshots.iter().filter(|(_, s)| s.parent.as_ref() == parent).collect();
    children.sort_by_key(|(_, snapshot)| snapshot.time);
    for (id, snapshot) in children {
        list.push(json!({
            "id": id.as_str(), "name": snapshot.name, "note": snapshot.note, "time": snapshot.time,
            "parent": snapshot.parent.as_ref().map(SnapshotId::as_str),
            "memory": snapshot.memory.is_some(), "picture": snapshot.thumbnail.is_some(),
        }));
        let here = if manifest.parent.as_ref() == Some(id) { "  ← you are here" } else { "" };
        let memory = if snapshot.memory.is_some() { ", with memory" } else { "" };
        let note =
            if snapshot.note.is_empty() { String::new() } else { format!(": {}", one_line(&snapshot.note)) };
        let indent = "  ".repeat(depth);
        let _ =
            writeln!(text, "{indent}{} ({id}, {}{memory}){note}{here}", snapshot.name, date(snapshot.time));
        tree(manifest, Some(id), depth + 1, list, text);
    }
}
