//! `delete`, `restore` and `empty-trash`.

use super::Answer;
use super::answer::{date, table};
use crate::app::App;
use crate::args::{DeleteArgs, RestoreArgs};
use anyhow::{Result, bail};
use serde_json::json;

/// `sampan delete VM`.
pub fn delete(args: &DeleteArgs) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(&args.vm.vm)?;
    app.wait(app.manager.delete(id))?;
    if args.purge {
        app.wait(app.manager.purge(id))?;
        return Ok(Answer::new(json!({ "purged": id.to_string() }), "removed for ever"));
    }
    let text = format!("in the trash; take it back with `sampan restore {id}`");
    Ok(Answer::new(json!({ "trashed": id.to_string() }), text))
}

/// `sampan restore VM`.
pub fn restore(args: &RestoreArgs) -> Result<Answer> {
    let Some(vm) = args.vm.as_ref().filter(|_| !args.list) else {
        let trash = match App::open_if_there()? {
            Some(app) => app.wait(app.manager.trash())?,
            None => Vec::new(),
        };
        let mut rows = vec![["NAME", "DELETED", "ID"].map(String::from).to_vec()];
        for one in &trash {
            rows.push(vec![one.name.clone(), one.deleted.map_or("-".into(), date), one.id.clone()]);
        }
        let text = if trash.is_empty() { "the trash is empty".into() } else { table(&rows) };
        return Ok(Answer::new(json!(trash), text));
    };
    let app = App::open()?;
    let (id, name) = app.wait(app.manager.restore(vm, args.name.as_deref()))?;
    Ok(Answer::new(json!({ "id": id.to_string(), "name": name }), format!("{name} is back")))
}

/// `sampan empty-trash`.
pub fn empty_trash() -> Result<Answer> {
    let app = App::open()?;
    let emptied = app.wait(app.manager.empty_trash())?;
    let removed = emptied.removed;
    if let Some((id, error)) = emptied.failed.first() {
        let failed = emptied.failed.len();
        bail!("{removed} machine(s) removed, {failed} not, the first of them {id}: {error}");
    }
    Ok(Answer::new(json!({ "removed": removed }), format!("{removed} machine(s) removed for ever")))
}
