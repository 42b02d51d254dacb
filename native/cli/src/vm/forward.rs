//! `sampan forward …`.

use super::Answer;
use crate::app::App;
use crate::args::ForwardAction;
use anyhow::Result;
use sampan_config::Forward;
use sampan_control::Request;
use serde_json::{Value, json};

/// `sampan forward …`.
pub fn forward(action: &ForwardAction) -> Result<Answer> {
    let app = App::open()?;
    match action {
        ForwardAction::List { vm } => {
            let document = app.machine(&vm.vm)?.document()?;
            let all = document.network.cards.iter().flat_map(|card| &card.forwards);
            let texts: Vec<String> = all.map(ToString::to_string).collect();
            let text = if texts.is_empty() { "no forwards".into() } else { texts.join("\n") };
            Ok(Answer::new(texts.into_iter().map(Value::from).collect(), text))
        }
        ForwardAction::Add { vm, forward } => {
            let forward: Forward = forward.parse()?;
            let machine = app.machine(&vm.vm)?;
            app.wait(machine.tell(Request::ForwardAdd { forward: forward.to_string() }))?;
            let warnings = forward.warnings();
            let text = warnings.join("; ");
            Ok(Answer::new(json!({ "forward": forward.to_string(), "warnings": warnings }), text))
        }
        ForwardAction::Remove { vm, forward } => {
            let forward: Forward = forward.parse()?;
            let machine = app.machine(&vm.vm)?;
            app.wait(machine.tell(Request::ForwardRemove { forward: forward.to_string() }))?;
            Ok(Answer::done())
        }
    }
}
