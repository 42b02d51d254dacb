//! `sampan mode …`.

use super::place::{connect, library};
use super::{Answer, document};
use crate::args::ModeArgs;
use crate::control::Request;
use anyhow::{Result, bail};
use sampan_session::vm::Effect;
use serde_json::json;

/// `sampan mode …`.
pub fn mode(args: &ModeArgs) -> Result<Answer> {
    let library = library()?;
    let id = library.find(&args.vm.vm)?;
    let bundle = library.read(id)?;
    let looked_at = args.background || args.foreground;
    if let Some(mut client) = connect(&bundle)? {
        let mut effects = Vec::new();
        if let Some(mode) = args.mode {
            effects.push(client.ask(&Request::Mode { mode })?);
        }
        if looked_at {
            effects.push(client.ask(&Request::Background { on: args.background })?);
        }
        let status = client.ask(&Request::Status)?;
        let mut lines = vec![status["mode"].as_str().unwrap_or("unknown").to_owned()];
        if status["background"] == true {
            lines.push("in the background".into());
        }
        let mut text = lines.join(", ");
        if effects.is_empty() {
            let refused = status["mode_refused"].as_array().into_iter().flatten();
            text.extend(refused.filter_map(|words| Some(format!("\nnot done: {}", words.as_str()?))));
        }
        for effect in &effects {
            let effect: Effect = serde_json::from_value(effect.clone())?;
            text += &format!("\n{}", effect.words());
        }
        let json = json!({ "mode": status["mode"], "background": status["background"], "refused": status["mode_refused"], "effects": effects });
        return Ok(Answer::new(json, text));
    }
    if looked_at {
        bail!("{} does not run: --background and --foreground are for a machine that does", bundle.name());
    }
    let Some(mode) = args.mode else {
        let mode = document::of(&bundle)?.performance.mode;
        return Ok(Answer::new(json!({ "mode": mode }), mode.to_string()));
    };
    let mut locked = library.lock(id)?;
    if locked.suspended().is_some() {
        bail!("{} is suspended, and goes on as it was: start it first", locked.name());
    }
    let mut document = document::of(&locked)?;
    document.performance.mode = mode;
    locked.set_document(&document.to_files())?;
    Ok(Answer::new(json!({ "mode": mode }), format!("{mode} from the next start on")))
}
