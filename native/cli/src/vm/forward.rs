//! `sampan forward …`.

use super::place::connect;
use super::{Answer, document, library};
use crate::args::ForwardAction;
use crate::control::Request;
use anyhow::{Context, Result, bail};
use sampan_config::{Document, Forward};
use serde_json::{Value, json};

/// `sampan forward …`.
pub fn forward(action: &ForwardAction) -> Result<Answer> {
    match action {
        ForwardAction::List { vm } => {
            let library = library()?;
            let document = document::of(&library.read(library.find(&vm.vm)?)?)?;
            let all = document.network.cards.iter().flat_map(|card| &card.forwards);
            let texts: Vec<String> = all.map(ToString::to_string).collect();
            let text = if texts.is_empty() { "no forwards".into() } else { texts.join("\n") };
            Ok(Answer::new(texts.into_iter().map(Value::from).collect(), text))
        }
        ForwardAction::Add { vm, forward } => {
            let parsed: Forward = forward.parse()?;
            let request = Request::ForwardAdd { forward: parsed.to_string() };
            let words = parsed.warnings().join("; ");
            change(&vm.vm, &request, |document| {
                let card = document.network.cards.first_mut().context("the machine has no network card")?;
                card.forwards.push(parsed);
                Ok(())
            })?;
            Ok(Answer::new(json!({ "forward": parsed.to_string(), "warnings": parsed.warnings() }), words))
        }
        ForwardAction::Remove { vm, forward } => {
            let parsed: Forward = forward.parse()?;
            let request = Request::ForwardRemove { forward: parsed.to_string() };
            change(&vm.vm, &request, |document| {
                let mut found = false;
                for card in &mut document.network.cards {
                    let before = card.forwards.len();
                    card.forwards.retain(|kept| *kept != parsed);
                    found |= card.forwards.len() != before;
                }
                if found {
                    Ok(())
                } else {
                    bail!("the machine has no forward {parsed}: `sampan forward list` shows those it has")
                }
            })?;
            Ok(Answer::done())
        }
    }
}

/// A running machine's supervisor changes the document; a stopped one's is changed here.
fn change(vm: &str, request: &Request, edit: impl FnOnce(&mut Document) -> Result<()>) -> Result<()> {
    let library = library()?;
    let id = library.find(vm)?;
    if let Some(mut client) = connect(&library.read(id)?)? {
        client.ask(request)?;
        return Ok(());
    }
    let mut locked = library.lock(id)?;
    let mut document = document::of(&locked)?;
    edit(&mut document)?;
    if let Some(fault) = document.check().into_iter().next() {
        bail!("{fault}");
    }
    locked.set_document(&document.to_files())?;
    Ok(())
}
