//! `sampan set`: any field of a machine's document.

use super::Answer;
use super::place::shell_word;
use crate::app::App;
use crate::args::SetArgs;
use crate::args::size::memory;
use anyhow::{Context, Result, anyhow, bail};
use sampan_config::{Document, DriveKind, DriveSection};
use sampan_control::{Reply, Reporter, Request};
use sampan_library::{Library, Sections};
use sampan_session::vm::{SEED_DRIVE, remove_seeds, seeds_of};
use serde_json::{Value, json};
use std::path::Path;

/// `sampan set VM FIELD=VALUE…`. Of a running machine the name and the CD change at once, most else at its next start.
pub fn set(args: &SetArgs) -> Result<Answer> {
    let app = App::open()?;
    let library = app.manager.library();
    let machine = app.machine(&args.vm.vm)?;
    if !machine.runs() && machine.bundle().manifest().suspended.is_some() {
        bail!("{} is suspended, and its saved state fits it as it is: start it first", machine.name());
    }
    let before = machine.document()?;
    let mut document = before.clone();
    let mut name = None;
    for change in &args.changes {
        let (field, value) = change
            .split_once('=')
            .with_context(|| format!("{change:?} is not a change: write it as memory=4G"))?;
        let done = match field {
            "name" => {
                name = Some(value.to_owned());
                value.clone_into(&mut document.system.name);
                Ok(())
            }
            "memory" | "memory.mib" => {
                memory(value).map_err(|e| anyhow!(e)).map(|mib| document.memory.mib = mib)
            }
            "cpus" => value.parse().context("a number of CPUs").map(|count| document.cpu.count = count),
            "cdrom" => cdrom(library, &mut document, value),
            "seed" => no_seed(&mut document, value),
            _ => field_of(&mut document, field, value),
        };
        done.with_context(|| change.clone())?;
    }
    // Before anything is written.
    if let Some(fault) = document.check().into_iter().next() {
        bail!("{fault}");
    }
    let seeds = seeds_of(machine.bundle());
    if let Some(name) = name {
        app.wait(machine.tell(Request::Rename { name }))?;
    }
    if machine.runs() {
        for drive in changed_media(&before, &document) {
            let (drive, medium) = (drive.id.clone(), drive.media.clone());
            app.wait(machine.tell(Request::Insert { drive, medium, force: false }))?;
        }
    }
    let configure = Request::Configure { sections: document.to_files() };
    let Reply::Applied(applied) = app.wait(machine.call(configure, &Reporter::new()))? else {
        bail!("the machine does not tell what has changed");
    };
    remove_seeds(library, &seeds);
    let warnings: Vec<String> = document.warnings().iter().map(ToString::to_string).collect();
    let mut text = warnings.join("\n");
    if machine.runs() && !applied.next_start.is_empty() {
        let waits = format!("from the next start on: {}", applied.next_start.join(", "));
        text = if text.is_empty() { waits } else { format!("{text}\n{waits}") };
    }
    let json = json!({ "warnings": warnings, "now": applied.now, "next_start": applied.next_start });
    Ok(Answer::new(json, text))
}

/// CD and floppy drives that have something else in them than before.
fn changed_media<'a>(before: &'a Document, now: &'a Document) -> impl Iterator<Item = &'a DriveSection> {
    let was = |id: &str| before.drives.drives.iter().find(|drive| drive.id == id);
    now.drives.drives.iter().filter(move |drive| {
        matches!(drive.kind, DriveKind::Cdrom | DriveKind::Floppy)
            && was(&drive.id).is_some_and(|was| was.media != drive.media)
    })
}

fn cdrom(library: &Library, document: &mut Document, value: &str) -> Result<()> {
    // As it is written in the library: names that look alike are one.
    let medium = match (value, library.medium(value)) {
        ("-", _) => None,
        (_, Ok(medium)) => Some(medium.name),
        (_, Err(_)) => match Path::new(value).is_file() {
            true => bail!("take the file into the library first: `sampan images add {}`", shell_word(value)),
            false => bail!(
                "the library has no medium called {value}: `sampan images` lists what it has, `sampan images add FILE` takes a file in"
            ),
        },
    };
    let cd = document.drives.drives.iter_mut().find(|drive| drive.kind == DriveKind::Cdrom);
    cd.context("the machine has no CD drive")?.media = medium;
    Ok(())
}

/// Takes the drive with the seed out.
fn no_seed(document: &mut Document, value: &str) -> Result<()> {
    if value != "-" {
        bail!("a seed is given when a machine is made; seed=- takes it out");
    }
    document.drives.drives.retain(|drive| drive.id != SEED_DRIVE);
    Ok(())
}

/// `section.field`, `section.list.0.field`: as `sampan show --json` shows them under `document`.
fn field_of(document: &mut Document, field: &str, text: &str) -> Result<()> {
    let mut sections: Sections = document.to_files();
    let mut path = field.split('.');
    let section = path.next().unwrap_or_default();
    let file = sections
        .get_mut(&format!("{section}.json"))
        .with_context(|| format!("there is no section {section:?}: see `sampan show --json`"))?;
    let mut root: Value = serde_json::from_str(file)?;
    let mut at = &mut root;
    let mut steps = 0;
    for step in path {
        steps += 1;
        at = match at {
            Value::Array(items) => {
                let count = items.len();
                let index = step.parse::<usize>().ok().and_then(|index| items.get_mut(index));
                index.with_context(|| format!("{step:?} is no number below {count}"))?
            }
            // A field that has its default may not be there yet; one that is unknown is refused below.
            Value::Object(members) => members.entry(step).or_insert(Value::Null),
            _ => bail!("there is nothing below {step:?}"),
        };
    }
    if steps == 0 {
        bail!("name a field of {section}, as {section}.FIELD");
    }
    *at = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    *file = serde_json::to_string(&root)?;
    *document = Document::from_files(&sections)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_config::{Arch, Preset};

    #[test]
    fn fields_are_set_by_their_path_and_unknown_ones_refused() {
        let mut document = Document::new("x", Preset::Linux, Arch::X86_64);
        field_of(&mut document, "displays.device", "std").expect("is set");
        assert_eq!(document.displays.device, sampan_config::DisplayKind::Std);
        field_of(&mut document, "network.cards.0.isolated", "true").expect("is set");
        assert!(document.network.cards[0].isolated);
        field_of(&mut document, "cpu.model", "qemu64").expect("is set");
        assert_eq!(document.cpu.model.as_deref(), Some("qemu64"));
        let before = document.clone();
        for (field, value) in [
            ("displays.devise", "std"),
            ("nothing.device", "std"),
            ("displays", "std"),
            ("displays.device", "holographic"),
            ("network.cards.7.isolated", "true"),
            ("memory.mib.more", "1"),
        ] {
            assert!(field_of(&mut document, field, value).is_err(), "{field}");
            assert_eq!(document, before, "{field}");
        }
    }
}
