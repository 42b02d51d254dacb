//! A guest's clipboard.

use super::{Answer, print};
use crate::app::App;
use crate::args::ClipboardAction;
use crate::exit::Code;
use crate::run::Signals;
use crate::target::Target;
use crate::words::{is_stdout_gone, pass_stdout, say, say_json};
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan_control::{ClipboardInfo, ClipboardKind, Reply, Reporter, Request};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A byte more than is taken, so that too much is noticed.
const MOST: u64 = (sampan_session::vdagent::MAX_CONTENT as u64) + 1;

/// `sampan clipboard …`.
pub fn clipboard(action: &ClipboardAction, as_json: bool) -> Result<Code> {
    match action {
        ClipboardAction::Get { vm, png } => print(get(&vm.vm, png.as_deref(), as_json), as_json),
        ClipboardAction::Set { vm, png } => print(set(&vm.vm, png.as_deref()), as_json),
        ClipboardAction::Watch { vm } => watch(&vm.vm, as_json),
    }
}

fn get(vm: &str, png: Option<&Path>, as_json: bool) -> Result<Answer> {
    let target = png.map(Target::of).transpose()?;
    let kind = if png.is_some() { ClipboardKind::Png } else { ClipboardKind::Text };
    let app = App::open()?;
    let machine = app.running(vm)?;
    let ask = async |reporter: &Reporter| {
        let request = Request::ClipboardGet { kind };
        tokio::select! {
            reply = machine.call(request, reporter) => reply,
            () = reporter.cancelled() => Err(sampan_manager::Error::Cancelled),
        }
    };
    let Reply::Clipboard(content) = app.cancellable(ask)? else {
        bail!("the machine does not tell what is in its clipboard");
    };
    match target {
        Some(target) => {
            target.write(&content.data)?;
            if target.is_stdout() {
                return Ok(Answer::nothing());
            }
            Ok(Answer::new(json!({ "bytes": content.data.len() }), ""))
        }
        None if as_json => Ok(Answer::new(json!({ "text": String::from_utf8_lossy(&content.data) }), "")),
        None => {
            pass_stdout(&content.data);
            Ok(Answer::nothing())
        }
    }
}

fn set(vm: &str, png: Option<&Path>) -> Result<Answer> {
    let app = App::open()?;
    // Told before anything is read; a connection on which nothing is asked does not last.
    drop(app.running(vm)?);
    let mut bytes = Vec::new();
    match png {
        Some(file) if file != Path::new("-") => {
            let open = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
            open.take(MOST).read_to_end(&mut bytes).with_context(|| file.display().to_string())?;
        }
        _ => {
            std::io::stdin().take(MOST).read_to_end(&mut bytes).context("stdin")?;
        }
    }
    let kind = if png.is_some() { ClipboardKind::Png } else { ClipboardKind::Text };
    let request = Request::ClipboardSet { kind, data: STANDARD.encode(bytes), secret: false };
    let machine = app.running(vm)?;
    app.wait(machine.tell(request))?;
    Ok(Answer::done())
}

/// Until a signal comes, the machine ends, or nobody reads it any more.
fn watch(vm: &str, as_json: bool) -> Result<Code> {
    let app = App::open()?;
    let machine = app.running(vm)?;
    app.block_on(async {
        let mut signals = Signals::new()?;
        let mut watcher = machine.into_client()?.watch().await?;
        let mut last = None;
        loop {
            let status = tokio::select! {
                status = watcher.next() => status?,
                code = signals.first() => return Ok(code),
            };
            let Some(status) = status else { return Ok(Code::Done) };
            let Some(facts) = status.facts else { continue };
            let Some(info) = facts.clipboard else {
                bail!(
                    "the machine has no port for its clipboard: stop it, then `sampan set {} serial.vdagent=true` gives it one",
                    super::shell_word(vm)
                );
            };
            if last.as_ref() == Some(&info) {
                continue;
            }
            match as_json {
                true => say_json(&json!(info)),
                false => say(&words(&info)),
            }
            last = Some(info);
            if is_stdout_gone() {
                return Ok(Code::Done);
            }
        }
    })
}

fn words(info: &ClipboardInfo) -> String {
    if !info.agent {
        return "no agent answers".into();
    }
    let kinds: Vec<&str> = info
        .kinds
        .iter()
        .map(|kind| match kind {
            ClipboardKind::Text => "text",
            ClipboardKind::Png => "picture",
        })
        .collect();
    if kinds.is_empty() { "nothing".into() } else { kinds.join(", ") }
}
