//! `sampan mode …`.

use super::Answer;
use crate::app::App;
use crate::args::ModeArgs;
use anyhow::{Result, bail};
use sampan_control::{Effect, Reply, Reporter, Request};
use serde_json::json;

/// `sampan mode …`.
pub fn mode(args: &ModeArgs) -> Result<Answer> {
    let app = App::open()?;
    let machine = app.machine(&args.vm.vm)?;
    let looked_at = args.background || args.foreground;
    if !machine.runs() {
        if looked_at {
            bail!(
                "{} does not run: --background and --foreground are for a machine that does",
                machine.name()
            );
        }
        let Some(mode) = args.mode else {
            let mode = machine.document()?.performance.mode;
            return Ok(Answer::new(json!({ "mode": mode }), mode.to_string()));
        };
        app.wait(machine.tell(Request::Mode { mode }))?;
        return Ok(Answer::new(json!({ "mode": mode }), format!("{mode} from the next start on")));
    }
    let mode = args.mode.map(|mode| Request::Mode { mode });
    let background = looked_at.then_some(Request::Background { on: args.background });
    let mut effects: Vec<Effect> = Vec::new();
    for request in mode.into_iter().chain(background) {
        if let Reply::Effect(effect) = app.wait(machine.call(request, &Reporter::new()))? {
            effects.push(effect);
        }
    }
    let facts = app.wait(machine.status())?.and_then(|status| status.facts);
    let (mode, on) = facts.as_ref().map_or((None, None), |facts| (facts.mode, facts.background));
    let refused = facts.and_then(|facts| facts.mode_refused);
    let mut text = mode.map_or_else(|| "unknown".to_owned(), |mode| mode.to_string());
    if on == Some(true) {
        text += ", in the background";
    }
    if effects.is_empty() {
        text.extend(refused.iter().flatten().map(|words| format!("\nnot done: {words}")));
    }
    for effect in &effects {
        text += &format!("\n{}", words(effect));
    }
    let json = json!({ "mode": mode, "background": on, "refused": refused, "effects": effects });
    Ok(Answer::new(json, text))
}

/// What a change did, a line each.
fn words(effect: &Effect) -> String {
    let mut lines = effect.done.clone();
    lines.extend(effect.refused.iter().map(|words| format!("not done: {words}")));
    lines.push(format!(
        "measured over a second: the guest's CPUs took {} % of a core before, {} % after",
        effect.before, effect.after
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_message::Message;

    #[test]
    fn what_was_not_done_is_told() {
        let effect = Effect {
            done: vec!["a".into()],
            refused: vec![Message::new("mode_refused", "b")],
            before: 90,
            after: 9,
        };
        let words = words(&effect);
        assert!(
            words.starts_with("a\nnot done: b\n") && words.contains("90 %") && words.contains("9 % after")
        );
    }
}
