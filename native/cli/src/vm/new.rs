//! `sampan new`: by flags, or by questions.

use super::images::Images;
use super::place::{library_to_fill, shell_word};
use super::plan::Plan;
use super::{Answer, fetch, now, wizard};
use crate::args::NewArgs;
use crate::confirm::confirm;
use anyhow::{Result, bail};
use sampan_download::Settings;
use sampan_emulator::LibqemuDir;
use serde_json::json;
use std::io::IsTerminal;

/// `sampan new`.
pub fn new(args: NewArgs) -> Result<Answer> {
    let library = library_to_fill()?;
    let (mut plan, doubts) = match &args.name {
        Some(name) => {
            let plan = Plan::of(&args, name, &library)?;
            let doubts = confirm(plan.findings(&library)?, args.yes)?;
            (plan, doubts)
        }
        // Doubts were told, and were answered by a yes.
        None if std::io::stdin().is_terminal() => (wizard::ask(&library, &args)?, Vec::new()),
        None => {
            bail!("give the machine a name: `sampan new NAME`, or run `sampan new` in a terminal to be asked")
        }
    };
    if let Some(request) = plan.request(&library)? {
        for fetched in fetch::fetch(&library, vec![request], Settings::default())? {
            plan.place(&fetched.medium);
        }
        // What came tells more than the catalogue did.
        confirm(plan.findings_of_image(&library)?, args.yes || args.name.is_none())?;
    }
    let mut images = Images::new()?;
    let firmware = LibqemuDir::find()?.firmware()?;
    let layer = images.layer.clone();
    let recipe = &plan.recipe;
    let made = recipe.create(&library, &layer, &firmware, now(), &mut images.bar.progress())?;
    let mut notes: Vec<String> = recipe.preset.notes(recipe.arch).into_iter().map(str::to_owned).collect();
    notes.extend(plan.notes());
    notes.extend(doubts);
    let mut text =
        format!("{} is made; start it with `sampan start {}`", made.name(), shell_word(made.name()));
    for note in &notes {
        text += &format!("\nnote: {note}");
    }
    Ok(Answer::new(json!({ "id": made.id().to_string(), "name": made.name(), "notes": notes }), text))
}
