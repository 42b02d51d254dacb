//! `sampan new`: by flags, or by questions.

use super::chosen::chosen;
use super::fetch::fetch;
use super::place::shell_word;
use super::{Answer, wizard};
use crate::app::{App, confirmed};
use crate::args::NewArgs;
use crate::hints::with_hint;
use anyhow::{Result, bail};
use sampan_manager::{Arrived, NewMachine, confirm};
use serde_json::json;
use std::io::IsTerminal;

/// `sampan new`.
pub fn new(args: NewArgs) -> Result<Answer> {
    let app = App::open_to_fill()?;
    let mut yes = args.yes;
    let mut plan = match &args.name {
        Some(name) => {
            let chosen = NewMachine { name: name.clone(), ..chosen(&app, &args)? };
            app.wait(app.manager.plan(chosen, args.catalogue.catalogue.clone()))?
        }
        None if std::io::stdin().is_terminal() => {
            // Doubts were told, and were answered by a yes.
            yes = true;
            wizard::ask(&app, &args)?
        }
        None => {
            bail!("give the machine a name: `sampan new NAME`, or run `sampan new` in a terminal to be asked")
        }
    };
    let confirmed = confirmed(yes);
    // Before hours of loading.
    app.told_of(confirm(app.wait(app.manager.plan_findings(&plan))?, &confirmed))?;
    if let Some(request) = app.told_of(plan.download(app.manager.library()))? {
        for fetched in fetch(&app, vec![request])? {
            plan.place(&fetched.medium);
        }
    }
    let Arrived { id, name, notes } =
        app.watch(async |reporter| app.manager.create(plan, &confirmed, reporter).await)?;
    let mut text = format!("{name} is made; start it with `sampan start {}`", shell_word(&name));
    // Doubts that the questions told were answered there.
    for note in &notes {
        text += &format!("\nnote: {}", with_hint(note, Some(&name)));
    }
    Ok(Answer::new(json!({ "id": id.to_string(), "name": name, "notes": notes }), text))
}
