//! `sampan set`: any field of a machine's description.

use super::Answer;
use super::place::shell_word;
use crate::app::App;
use crate::args::SetArgs;
use crate::args::size::memory;
use anyhow::{Context, Result, anyhow, bail};
use sampan_manager::edit::Change;
use serde_json::json;
use std::path::Path;

/// `sampan set VM FIELD=VALUE…`. Of a running machine the name and the CD change at once, most else at its next start.
pub fn set(args: &SetArgs) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(&args.vm.vm)?;
    let changes = args.changes.iter().map(|change| parsed(&app, change)).collect::<Result<_>>()?;
    let changed = app.wait(app.manager.change(id, changes))?;
    let warnings: Vec<String> = changed.warnings.iter().map(ToString::to_string).collect();
    let mut text = warnings.join("\n");
    let runs = app.wait(app.manager.machine(id))?.runs();
    if runs && !changed.next_start.is_empty() {
        let waits = format!("from the next start on: {}", changed.next_start.join(", "));
        text = if text.is_empty() { waits } else { format!("{text}\n{waits}") };
    }
    let json = json!({ "warnings": warnings, "now": changed.now, "next_start": changed.next_start });
    Ok(Answer::new(json, text))
}

/// One change as it is written on a command line: with sizes as people write them, and `-` for nothing.
fn parsed(app: &App, change: &str) -> Result<Change> {
    let (field, value) = change
        .split_once('=')
        .with_context(|| format!("{change:?} is not a change: write it as memory=4G"))?;
    let (field, value) = match (field, value) {
        ("memory" | "memory.mib", size) => {
            let mib = memory(size).map_err(|e| anyhow!(e)).with_context(|| change.to_owned())?;
            ("memory.mib", mib.to_string())
        }
        ("cpus", count) => {
            let count: u32 = count.parse().context("a number of CPUs").with_context(|| change.to_owned())?;
            ("cpu.count", count.to_string())
        }
        ("cdrom" | "seed", "-") => (field, "null".to_owned()),
        ("cdrom", file) if app.manager.library().medium(file).is_err() && Path::new(file).is_file() => {
            bail!("{change}: take the file into the library first: `sampan images add {}`", shell_word(file))
        }
        (field, value) => (field, value.to_owned()),
    };
    Ok(Change { field: field.to_owned(), value })
}
