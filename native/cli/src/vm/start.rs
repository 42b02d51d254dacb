//! `sampan start`: a supervisor of its own for the machine.

use super::Answer;
use super::list::death;
use crate::app::{App, confirmed};
use crate::args::StartArgs;
use crate::hints::with_hint;
use crate::words::Progress;
use anyhow::{Result, bail};
use sampan_manager::confirm;
use sampan_manager::run::{EndRecord, StartOptions};
use sampan_message::Message;
use serde_json::json;

/// `sampan start VM`.
pub fn start(args: &StartArgs) -> Result<Answer> {
    if !args.listen.ip().is_loopback() {
        bail!(
            "--listen {}: only addresses of this machine alone can be used yet, such as 127.0.0.1:0",
            args.listen
        );
    }
    let app = App::open()?;
    let id = app.id(&args.vm.vm)?;
    let machine = app.wait(app.manager.machine(id))?;
    if !machine.runs() {
        let findings = app.wait(app.manager.start_findings(id))?;
        for doubt in app.told_of(confirm(findings, &confirmed(args.yes)))? {
            log::warn!("{doubt}");
        }
    }
    let bundle = machine.bundle().clone();
    drop(machine);
    let options = StartOptions {
        throw_away: args.throw_away,
        discard_state: args.discard_state,
        in_process: args.in_process,
    };
    let progress = Progress::start();
    if let Some(last) = EndRecord::last_death(bundle.path()) {
        progress.say(death(&bundle, &last));
    }
    let name = bundle.name().to_owned();
    let tell = |message: Message| progress.say(with_hint(&message, Some(&name)));
    let started = app.wait(app.manager.start(id, options, Some(args.listen), &tell))?;
    progress.say(format_args!("{} runs", bundle.name()));
    let viewer = started.viewer.unwrap_or_default();
    let text = format!("viewer: {viewer}");
    Ok(Answer::new(json!({ "viewer": viewer, "pid": started.pid }), text))
}
