//! `sampan ctl`.

use crate::args::{Action, CtlArgs};
use crate::control::{Client, Request};
use crate::exit::Code;
use crate::target::Target;
use crate::words::{of_error, one_line, say, say_json};
use anyhow::{Context, Result};
use base64::Engine as _;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

pub fn ctl(args: &CtlArgs, json: bool) -> Result<Code> {
    match act(args, json) {
        Ok(text) => {
            match text.is_empty() {
                true => {}
                false if json => say_json(&text),
                false => say(&text),
            }
            Ok(Code::Done)
        }
        Err(error) if json => {
            say_json(&json!({ "error": of_error(&error) }));
            Ok(Code::CouldNotStart)
        }
        Err(error) => Err(error),
    }
}

fn act(args: &CtlArgs, json: bool) -> Result<String> {
    let mut client = Client::connect(&args.socket)?;
    // Looked at before the machine is asked.
    let target = match &args.action {
        Action::Screenshot { file } => Some((Target::of(file)?, file)),
        _ => None,
    };
    let mut answer = client.ask(&request(&args.action))?;
    if let Some((target, file)) = target {
        answer = save(&answer, file, &target)?;
        if target.is_stdout() {
            return Ok(String::new());
        }
    }
    if json {
        return Ok(answer.to_string());
    }
    Ok(match &args.action {
        Action::Status => human_status(&answer),
        Action::Screenshot { file } => {
            format!("{}: {} × {}", file.display(), answer["width"], answer["height"])
        }
        _ => String::new(),
    })
}

fn request(action: &Action) -> Request {
    match action {
        Action::Status => Request::Status,
        Action::Screenshot { .. } => Request::Screenshot,
        Action::Type { text } => Request::Type { text: text.clone() },
        Action::Key { names } => Request::Key { names: names.clone() },
        Action::Pointer { x, y } => Request::Pointer { x: *x, y: *y },
        Action::Click { button } => Request::Click { button: button.clone() },
        Action::Wheel { notches } => Request::Wheel { notches: *notches },
        Action::Resize { width, height } => Request::Resize { width: *width, height: *height },
        Action::Pause => Request::Pause,
        Action::Resume => Request::Resume,
        Action::Reset => Request::Reset,
        Action::Powerdown => Request::Powerdown,
        Action::Quit => Request::Quit,
    }
}

/// Writes the picture. What is told of it names the file instead of its bytes.
pub fn save(answer: &Value, file: &Path, target: &Target) -> Result<Value> {
    let text = answer["png"].as_str().context("the machine sent no picture")?;
    let png = base64::engine::general_purpose::STANDARD.decode(text).context("the picture is damaged")?;
    target.write(&png)?;
    Ok(json!({ "file": file, "width": answer["width"], "height": answer["height"] }))
}

pub fn human_status(status: &Value) -> String {
    let text = |name: &str| one_line(status[name].as_str().unwrap_or_default());
    let mut out = format!("{}: {}", text("name"), text("state"));
    if !text("detail").is_empty() {
        let _ = write!(out, " ({})", text("detail"));
    }
    let _ = write!(
        out,
        "\n  {} with {}, {} MiB, {} CPU(s), QEMU {}, up {} s",
        text("arch"),
        text("accelerator"),
        status["memory_mib"],
        status["cpus"],
        text("qemu"),
        status["seconds"]
    );
    if let Some([width, height]) = status["size"].as_array().map(Vec::as_slice) {
        let pointer = if status["absolute_pointer"] == true { "absolute" } else { "relative" };
        let _ = write!(out, "\n  screen {width} × {height}, pointer {pointer}");
    }
    let viewers = status["stream"]["viewers"].as_array().map_or(0, Vec::len);
    let _ = write!(
        out,
        "\n  {viewers} viewer(s), {} frames encoded\n  viewer: {}",
        status["stream"]["frames_encoded"],
        text("viewer")
    );
    out
}
