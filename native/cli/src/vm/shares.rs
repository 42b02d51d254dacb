//! `sampan share …`.

use super::Answer;
use super::answer::table;
use crate::app::{App, confirmed};
use crate::args::ShareAction;
use anyhow::Result;
use sampan_manager::edit::NewShare;
use serde_json::json;

/// `sampan share …`.
pub fn share(action: &ShareAction) -> Result<Answer> {
    let app = App::open()?;
    match action {
        ShareAction::List { vm } => {
            let mut rows = vec![["TAG", "ACCESS", "FOLDER"].map(String::from).to_vec()];
            let mut list = Vec::new();
            for info in app.wait(app.manager.shares(app.id(&vm.vm)?))? {
                let (share, folder) = (info.share, info.folder);
                let access = if share.read_only { "read" } else { "write" };
                list.push(json!({ "tag": share.tag, "access": access, "folder": folder }));
                let folder = folder.map_or("(not on this host)".into(), |f| f.display().to_string());
                rows.push(vec![share.tag, access.into(), folder]);
            }
            let text = if list.is_empty() { "no shared folders".into() } else { table(&rows) };
            Ok(Answer::new(list.into(), text))
        }
        ShareAction::Add { vm, folder, tag, writable, security, yes } => {
            let new = NewShare {
                folder: folder.clone(),
                tag: tag.clone(),
                writable: *writable,
                security: *security,
            };
            let id = app.id(&vm.vm)?;
            let info = app.wait(app.manager.add_share(id, new, &confirmed(*yes)))?;
            let warning = info.share.warning().map_or(String::new(), |words| format!("{words}\n"));
            let text = format!("{warning}in the guest: {}", info.mount());
            Ok(Answer::new(json!({ "tag": info.share.tag }), text))
        }
        ShareAction::Remove { vm, tag } => {
            let id = app.id(&vm.vm)?;
            app.wait(app.manager.remove_share(id, tag.clone()))?;
            Ok(Answer::done())
        }
    }
}
