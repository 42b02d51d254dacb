//! `clone`, `export` and `import`.

use super::Answer;
use crate::app::App;
use crate::args::size::human;
use crate::args::{CloneArgs, ExportArgs, ImportArgs};
use crate::hints::with_hint;
use crate::target::Target;
use crate::words::one_line;
use anyhow::{Context, Result};
use sampan_manager::{Arrived, CloneOptions};
use serde_json::json;

/// `sampan clone VM NAME`.
pub fn clone(args: &CloneArgs) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(&args.vm.vm)?;
    let options = CloneOptions { name: args.name.clone(), linked: args.linked, snapshot: None };
    let Arrived { id: made, name, .. } =
        app.watch(async |reporter| app.manager.clone_machine(id, options, reporter).await)?;
    let original = app.manager.library().read(id)?;
    let text = format!("{name} is a copy of {}", original.name());
    Ok(Answer::new(json!({ "id": made.to_string(), "name": name }), text))
}

/// `sampan export VM FILE`.
pub fn export(args: &ExportArgs) -> Result<Answer> {
    let app = App::open()?;
    let target = Target::of(&args.file)?;
    let id = app.id(&args.vm.vm)?;
    let bytes = target.fill(|file| {
        let file = file.to_owned();
        app.watch(async |reporter| app.manager.export(id, file, reporter).await)
    })?;
    if target.is_stdout() {
        return Ok(Answer::nothing());
    }
    let file = std::path::absolute(&args.file).context("the file's name")?;
    let text = format!("{}: {}", file.display(), human(bytes));
    Ok(Answer::new(json!({ "file": file, "bytes": bytes }), text))
}

/// `sampan import FILE`.
pub fn import(args: &ImportArgs) -> Result<Answer> {
    let app = App::open_to_fill()?;
    let (file, name) = (args.file.clone(), args.name.clone());
    let Arrived { id, name, notes } =
        app.watch(async |reporter| app.manager.import(file, name, reporter).await)?;
    let mut text = format!("{name} is here");
    for note in &notes {
        text += &format!("\nnote: {}", one_line(&with_hint(note, Some(&name))));
    }
    Ok(Answer::new(json!({ "id": id.to_string(), "name": name, "notes": notes }), text))
}
