//! `list`, `show` and `status`.

use super::answer::{date, short, table};
use super::force::remedy;
use super::place::{condition, home, library_if_there, shell_word};
use super::{Answer, library};
use crate::args::size::human;
use crate::control::Request;
use crate::control::ask::{AskError, Told, ask};
use crate::ctl::human_status;
use crate::run::raise_file_limit;
use crate::supervisor::{death_before, last_end};
use crate::words::one_line;
use anyhow::{Context, Result};
use sampan_library::{Bundle, Entry, VmId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// How long nothing may be heard of a supervisor, all of which are asked at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// `sampan list`.
pub fn list() -> Result<Answer> {
    let Some(library) = library_if_there()? else {
        let text = format!(
            "no machines yet: `sampan new` makes one (there is no library in {} yet)",
            home()?.display()
        );
        return Ok(Answer::new(json!([]), text));
    };
    let entries = library.list()?;
    let conditions = conditions(entries.iter().filter_map(|entry| entry.bundle.as_ref().ok()))?;
    let machines: Vec<Value> = entries.iter().map(|entry| listed(entry, &conditions)).collect();
    if machines.is_empty() {
        return Ok(Answer::new(json!([]), "no machines yet: `sampan new` makes one"));
    }
    let text = |machine: &Value, name: &str| machine[name].as_str().unwrap_or("-").to_owned();
    let mut rows = vec![["NAME", "STATE", "ARCH", "MEMORY", "DISK", "ID"].map(String::from).to_vec()];
    for machine in &machines {
        let memory = machine["memory_mib"].as_u64().map_or("-".into(), |mib| human(mib << 20));
        let disk = machine["usage"].as_u64().map_or("-".into(), human);
        let id = text(machine, "id").chars().take(8).collect();
        rows.push(vec![
            short(&text(machine, "name")),
            in_words(&text(machine, "state")).to_owned(),
            text(machine, "arch"),
            memory,
            disk,
            id,
        ]);
    }
    let mut text = table(&rows);
    for machine in machines.iter().filter(|machine| machine["error"].is_string()) {
        let error = one_line(machine["error"].as_str().unwrap_or_default());
        let _ = write!(text, "\n{}: {error}", machine["id"].as_str().unwrap_or_default());
    }
    for bundle in entries.iter().filter_map(|entry| entry.bundle.as_ref().ok()) {
        if matches!(conditions.get(&bundle.id()), Some(Err(AskError::Silent))) {
            let _ = write!(text, "\n{}'s supervisor does not answer: {}", bundle.name(), remedy(bundle));
        }
    }
    Ok(Answer::new(machines.into(), text))
}

/// A state as people read it.
fn in_words(state: &str) -> &str {
    if state == "silent" { "does not answer" } else { state }
}

fn listed(entry: &Entry, conditions: &BTreeMap<VmId, Told>) -> Value {
    let id = entry.id.to_string();
    match &entry.bundle {
        Ok(bundle) => {
            let mut summary = described(bundle);
            summary["state"] = state(bundle, conditions.get(&entry.id)).into();
            summary
        }
        Err(error) => json!({ "id": id, "name": null, "state": "broken", "error": error.to_string() }),
    }
}

/// What is told of a machine in a line.
pub fn summary(bundle: &Bundle) -> Value {
    let mut summary = described(bundle);
    let conditions = conditions(std::iter::once(bundle)).unwrap_or_default();
    summary["state"] = state(bundle, conditions.get(&bundle.id())).into();
    summary
}

/// What the supervisors of machines say, all asked at once: those that hang take no longer than one.
fn conditions<'a>(bundles: impl Iterator<Item = &'a Bundle>) -> Result<BTreeMap<VmId, Told>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    // Each may need two files.
    raise_file_limit();
    Ok(runtime.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for bundle in bundles {
            let (id, folder) = (bundle.id(), bundle.path().to_owned());
            asked.spawn(async move { (id, ask(&folder, &Request::Status, PATIENCE).await) });
        }
        let mut told = BTreeMap::new();
        while let Some(one) = asked.join_next().await {
            told.extend(one.ok());
        }
        told
    }))
}

/// The same as far as it is on disk: without asking the supervisor.
pub fn described(bundle: &Bundle) -> Value {
    let document = crate::vm::document::of(bundle).ok();
    json!({
        "id": bundle.id().to_string(),
        "name": bundle.name(),
        "arch": document.as_ref().map(|d| d.system.arch.qemu_name()),
        "memory_mib": document.as_ref().map(|d| d.memory.mib),
        "cpus": document.as_ref().map(|d| d.cpu.count),
        "usage": bundle.usage().ok(),
        "created": bundle.manifest().created,
    })
}

/// In a word: what its supervisor says, else what is on disk.
fn state(bundle: &Bundle, told: Option<&Told>) -> String {
    match told {
        Some(Ok(Some(status))) if status["state"] == "ended" => "ending".into(),
        Some(Ok(Some(status))) => status["state"].as_str().unwrap_or("running").to_owned(),
        Some(Err(AskError::Silent)) => "silent".into(),
        // It is there, and cannot be understood.
        Some(Err(AskError::Refused(_) | AskError::Nonsense(_))) => "running".into(),
        _ if bundle.manifest().suspended.is_some() => "suspended".into(),
        _ => "stopped".into(),
    }
}

/// `sampan show VM`.
pub fn show(vm: &str) -> Result<Answer> {
    let library = library()?;
    let bundle = library.read(library.find(vm)?)?;
    let mut all = summary(&bundle);
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
    let mut text = format!("{} ({})\n", bundle.name(), in_words(all["state"].as_str().unwrap_or_default()));
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
pub fn death(bundle: &Bundle, last: &Value) -> String {
    let time = date(last["time"].as_u64().unwrap_or_default());
    let words = one_line(last["words"].as_str().unwrap_or_default().lines().next().unwrap_or_default());
    let again = if last["again"] == true { ", and it was started again by itself" } else { "" };
    let name = shell_word(bundle.name());
    format!("QEMU died on {time}{again}: {words}\n  the report: sampan logs {name} --crash")
}

/// `sampan status VM`.
pub fn status(vm: &str) -> Result<Answer> {
    let library = library()?;
    let bundle = library.read(library.find(vm)?)?;
    match condition(&bundle)? {
        Some(mut status) => {
            let mut text = human_status(&status);
            if let Some(last) = death_before(bundle.path()) {
                let _ = write!(text, "\n  {}", death(&bundle, &last));
                status["last_run"] = last;
            }
            Ok(Answer::new(status, text))
        }
        None => {
            let mut summary = summary(&bundle);
            let mut text = format!("{}: {}", bundle.name(), summary["state"].as_str().unwrap_or_default());
            if let Some(last) = last_end(bundle.path()) {
                if last["how"] == "died" {
                    let name = shell_word(bundle.name());
                    let _ = write!(text, "\n  {}", death(&bundle, &last));
                    let _ = write!(text, "\n  start it again with: sampan start {name}");
                } else {
                    let _ = write!(text, " ({})", one_line(last["words"].as_str().unwrap_or_default()));
                }
                summary["last_run"] = last;
            }
            Ok(Answer::new(summary, text))
        }
    }
}
