//! `delete`, `restore` and `empty-trash`.

use super::answer::{date, table};
use super::place::{library_if_there, shell_word};
use super::{Answer, library, now};
use crate::app::App;
use crate::args::{DeleteArgs, RestoreArgs};
use anyhow::{Result, bail};
use sampan_session::vm::{remove_seeds, seeds_of};
use serde_json::json;

/// `sampan delete VM`.
pub fn delete(args: &DeleteArgs) -> Result<Answer> {
    let library = library()?;
    let id = library.find(&args.vm.vm)?;
    if let Ok(bundle) = library.read(id)
        && App::open()?.machine(&args.vm.vm)?.runs()
    {
        bail!("{} runs: stop it first with `sampan stop {}`", bundle.name(), shell_word(bundle.name()));
    }
    let seeds = library.read(id).map(|bundle| seeds_of(&bundle)).unwrap_or_default();
    library.delete(id, now())?;
    if args.purge {
        library.purge(id)?;
        remove_seeds(&library, &seeds);
        return Ok(Answer::new(json!({ "purged": id.to_string() }), "removed for ever"));
    }
    let text = format!("in the trash; take it back with `sampan restore {id}`");
    Ok(Answer::new(json!({ "trashed": id.to_string() }), text))
}

/// `sampan restore VM`.
pub fn restore(args: &RestoreArgs) -> Result<Answer> {
    let Some(vm) = args.vm.as_ref().filter(|_| !args.list) else {
        let trash = library_if_there()?.map(|library| library.trash()).transpose()?.unwrap_or_default();
        let mut rows = vec![["NAME", "DELETED", "ID"].map(String::from).to_vec()];
        let mut list = Vec::new();
        for entry in &trash {
            let (name, deleted) = match &entry.bundle {
                Ok(bundle) => (bundle.name().to_owned(), bundle.manifest().trashed),
                Err(error) => (error.to_string(), None),
            };
            list.push(json!({ "id": entry.id.to_string(), "name": name, "deleted": deleted }));
            rows.push(vec![name, deleted.map_or("-".into(), date), entry.id.to_string()]);
        }
        let text = if list.is_empty() { "the trash is empty".into() } else { table(&rows) };
        return Ok(Answer::new(list.into(), text));
    };
    let library = library()?;
    let id = library.find_in_trash(vm)?;
    let machine = library.undelete(id, args.name.as_deref())?;
    let text = format!("{} is back", machine.name());
    Ok(Answer::new(json!({ "id": id.to_string(), "name": machine.name() }), text))
}

/// `sampan empty-trash`.
pub fn empty_trash() -> Result<Answer> {
    let library = library()?;
    let trash = library.trash()?;
    let seeds: Vec<String> = trash.iter().filter_map(|e| e.bundle.as_ref().ok()).flat_map(seeds_of).collect();
    let (removed, failed) = library.empty_trash()?;
    remove_seeds(&library, &seeds);
    if let Some((id, error)) = failed.first() {
        bail!("{removed} machine(s) removed, {} not, the first of them {id}: {error}", failed.len());
    }
    Ok(Answer::new(json!({ "removed": removed }), format!("{removed} machine(s) removed for ever")))
}
