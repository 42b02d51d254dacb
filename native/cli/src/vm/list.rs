//! `list`, `show` and `status`.

use super::answer::{date, short, table};
use super::place::{condition, connect, home, library_if_there, shell_word};
use super::{Answer, library};
use crate::args::size::human;
use crate::control::Request;
use crate::ctl::human_status;
use crate::supervisor::{death_before, last_end};
use crate::words::one_line;
use anyhow::Result;
use sampan_library::{Bundle, Entry};
use serde_json::{Value, json};
use std::fmt::Write as _;

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
    let machines: Vec<Value> = entries.iter().map(listed).collect();
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
            text(machine, "state"),
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
    Ok(Answer::new(machines.into(), text))
}

fn listed(entry: &Entry) -> Value {
    let id = entry.id.to_string();
    match &entry.bundle {
        Ok(bundle) => summary(bundle),
        Err(error) => json!({ "id": id, "name": null, "state": "broken", "error": error.to_string() }),
    }
}

/// What is told of a machine in a line.
pub fn summary(bundle: &Bundle) -> Value {
    let mut summary = described(bundle);
    summary["state"] = state(bundle).into();
    summary
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
fn state(bundle: &Bundle) -> String {
    let running = connect(bundle).ok().flatten().and_then(|mut client| client.ask(&Request::Status).ok());
    match running {
        Some(status) if status["state"] == "ended" => "ending".into(),
        Some(status) => status["state"].as_str().unwrap_or("running").to_owned(),
        None if bundle.manifest().suspended.is_some() => "suspended".into(),
        None => "stopped".into(),
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
    let mut text = format!("{} ({})\n", bundle.name(), all["state"].as_str().unwrap_or_default());
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
