//! `list`, `show` and `status`.

use super::answer::{date, short, table};
use super::place::{home, shell_word};
use super::{Answer, library};
use crate::app::App;
use crate::args::size::human;
use crate::ctl::human_status;
use crate::exit::Code;
use crate::run::Signals;
use crate::words::{is_stdout_gone, is_stdout_watched, one_line, say, say_anew, say_json};
use anyhow::Result;
use sampan_library::Bundle;
use sampan_manager::run::{EndRecord, How};
use sampan_manager::{Condition, Event, MachineState, Summary};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// How long nothing may be heard of a supervisor, all of which are asked at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// `sampan list`.
pub fn list() -> Result<Answer> {
    let Some(app) = App::open_if_there()? else {
        let text = format!(
            "no machines yet: `sampan new` makes one (there is no library in {} yet)",
            home()?.display()
        );
        return Ok(Answer::new(json!([]), text));
    };
    let machines = app.wait(app.manager.list(PATIENCE))?;
    Ok(Answer::new(machines.iter().map(listed).collect(), listing(&machines)))
}

/// `sampan list --watch`: the list whenever it changes, until a signal comes or nobody reads it any more.
pub fn watch_list(as_json: bool) -> Result<Code> {
    let app = App::open()?;
    app.block_on(async {
        let mut signals = Signals::new()?;
        let mut events = app.manager.events();
        loop {
            let event = tokio::select! {
                event = events.next() => event?,
                code = signals.first() => return Ok(code),
            };
            let Event::Machines(machines) = event else { continue };
            match as_json {
                true => say_json(&Value::from_iter(machines.iter().map(listed))),
                false if is_stdout_watched() => say_anew(&listing(&machines)),
                false => say(&format!("{}\n", listing(&machines))),
            }
            if is_stdout_gone() {
                return Ok(Code::Done);
            }
        }
    })
}

/// Machines as people read them.
fn listing(machines: &[Summary]) -> String {
    if machines.is_empty() {
        return "no machines yet: `sampan new` makes one".into();
    }
    let mut rows = vec![["NAME", "STATE", "ARCH", "MEMORY", "DISK", "ID"].map(String::from).to_vec()];
    for machine in machines {
        rows.push(vec![
            machine.name.as_deref().map_or("-".into(), short),
            in_words(machine.state).to_owned(),
            machine.arch.map_or("-".into(), |arch| arch.to_string()),
            machine.memory_mib.map_or("-".into(), |mib| human(u64::from(mib) << 20)),
            machine.usage.map_or("-".into(), human),
            machine.id.chars().take(8).collect(),
        ]);
    }
    let mut text = table(&rows);
    for machine in machines {
        let _ = match (machine.state, &machine.name) {
            (MachineState::Broken, _) => write!(text, "\n{}: {}", machine.id, one_line(&machine.detail)),
            (MachineState::Silent, Some(name)) => {
                write!(text, "\n{name}'s supervisor does not answer: {}", remedy(name))
            }
            _ => Ok(()),
        };
    }
    text
}

/// A state as people read it.
fn in_words(state: MachineState) -> &'static str {
    if state == MachineState::Silent { "does not answer" } else { state.name() }
}

/// What to do about a machine whose supervisor does not answer.
fn remedy(name: &str) -> String {
    format!("`sampan stop {} --force` ends it", shell_word(name))
}

/// A machine of the list for programs.
fn listed(machine: &Summary) -> Value {
    if machine.state == MachineState::Broken {
        return json!({ "id": machine.id, "name": null, "state": "broken", "error": machine.detail });
    }
    json!({
        "id": machine.id,
        "name": machine.name,
        "arch": machine.arch,
        "memory_mib": machine.memory_mib,
        "cpus": machine.cpus,
        "usage": machine.usage,
        "created": machine.created,
        "state": machine.state,
    })
}

/// The same of one machine, and what its process says.
fn summary(app: &App, bundle: &Bundle) -> Result<(Value, Condition)> {
    let condition = app.wait(async { Ok(app.manager.condition(bundle, PATIENCE).await) })?;
    Ok((listed(&Summary::at_rest(bundle).with(condition.clone())), condition))
}

/// `sampan show VM`.
pub fn show(vm: &str) -> Result<Answer> {
    let library = library()?;
    let bundle = library.read(library.find(vm)?)?;
    let (mut all, _) = summary(&App::open()?, &bundle)?;
    let sections = bundle.document()?;
    let parsed = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
    let document: serde_json::Map<String, Value> = sections
        .iter()
        .map(|(name, text)| (name.trim_end_matches(".json").to_owned(), parsed(text)))
        .collect();
    let manifest = bundle.manifest();
    let disks: Vec<Value> = manifest
        .drives
        .iter()
        .map(|(drive, image)| {
            let record = manifest.images.get(image);
            json!({
                "drive": drive, "file": bundle.image_path(image),
                "size": record.map(|record| record.size),
                "format": record.map(|record| record.format.driver()),
            })
        })
        .collect();
    let mut text = format!(
        "{} ({})\n",
        bundle.name(),
        all["state"].as_str().unwrap_or_default().replace("silent", "does not answer")
    );
    let _ = writeln!(text, "  id         {}", bundle.id());
    let _ = writeln!(text, "  created    {}", date(manifest.created));
    let _ = writeln!(text, "  folder     {}", bundle.path().display());
    let _ = writeln!(text, "  takes      {}", bundle.usage().map_or("-".into(), human));
    for disk in &disks {
        let size = disk["size"].as_u64().map_or("-".into(), human);
        let _ = writeln!(text, "  {:10} {size}, {}", disk["drive"].as_str().unwrap_or(""), disk["format"]);
    }
    let _ = writeln!(text, "  snapshots  {}", manifest.snapshots.len());
    for (section, value) in &document {
        let _ = writeln!(text, "  {section:10} {value}");
    }
    all["document"] = document.into();
    all["disks"] = disks.into();
    all["folder"] = json!(bundle.path());
    all["snapshots"] = json!(manifest.snapshots.len());
    Ok(Answer::new(all, text.trim_end()))
}

/// That QEMU died in the last run, and where more is told.
pub fn death(bundle: &Bundle, last: &EndRecord) -> String {
    let (time, words) = (date(last.time), one_line(last.words.lines().next().unwrap_or_default()));
    let again = if last.again { ", and it was started again by itself" } else { "" };
    let name = shell_word(bundle.name());
    format!("QEMU died on {time}{again}: {words}\n  the report: sampan logs {name} --crash")
}

/// `sampan status VM`.
pub fn status(vm: &str) -> Result<Answer> {
    let library = library()?;
    let bundle = library.read(library.find(vm)?)?;
    let app = App::open()?;
    if let Some(status) = app.wait(app.machine(vm)?.status())? {
        let (mut text, mut json) = (human_status(&status), serde_json::to_value(&status)?);
        if let Some(last) = EndRecord::death_before(bundle.path()) {
            let _ = write!(text, "\n  {}", death(&bundle, &last));
            json["last_run"] = json!(last);
        }
        return Ok(Answer::new(json, text));
    }
    let (mut json, _) = summary(&app, &bundle)?;
    if let Ok(document) = sampan_manager::machine::document(&bundle) {
        json["features"] = json!(sampan_manager::features::features(&document, None));
    }
    let mut text = format!("{}: {}", bundle.name(), json["state"].as_str().unwrap_or_default());
    if let Some(last) = EndRecord::last(bundle.path()) {
        if last.how == How::Died {
            let name = shell_word(bundle.name());
            let _ = write!(text, "\n  {}", death(&bundle, &last));
            let _ = write!(text, "\n  start it again with: sampan start {name}");
        } else {
            let _ = write!(text, " ({})", one_line(&last.words));
        }
        json["last_run"] = json!(last);
    }
    Ok(Answer::new(json, text))
}
