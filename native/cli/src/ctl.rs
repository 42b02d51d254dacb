//! `sampan ctl`.

use crate::args::{Action, CtlArgs};
use crate::exit::Code;
use crate::run::runtime;
use crate::target::Target;
use crate::vm::{error_json, picture_words, save};
use crate::words::{one_line, say, say_json};
use anyhow::{Context, Result, bail};
use sampan_control::{Address, Client, PATIENCE, Reply, Request, State, Status};
use sampan_message::{Coded, Message};
use std::fmt::Write as _;

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
            say_json(&error_json(&error));
            Ok(Code::CouldNotStart)
        }
        Err(error) => Err(error),
    }
}

fn act(args: &CtlArgs, json: bool) -> Result<String> {
    // Looked at before the machine is asked.
    let target = match &args.action {
        Action::Screenshot { file, .. } => Some((Target::of(file)?, file)),
        _ => None,
    };
    let reply =
        runtime()?.block_on(async {
            let address = Address::Socket(args.socket.clone());
            let name = args.socket.display();
            let client = Client::connect(&address, Some(PATIENCE)).await?;
            let mut client = client.with_context(|| {
                format!("no machine is controlled at {name}: `sampan run` tells its socket on stderr")
            })?;
            let pid = client.pid();
            client.call(&request(&args.action)).await.map_err(|error| -> anyhow::Error {
                match (error, pid) {
            (error @ sampan_control::ClientError::Silent { .. }, Some(pid)) => Message::new(
                error.code(),
                format!("the machine at {name} (process {pid}) does not answer: `kill -KILL {pid}` ends it"),
            )
            .with("pid", pid)
            .into(),
            (error, _) => error.into(),
        }
            })
        })?;
    match (reply, target) {
        (Reply::Picture(picture), Some((target, file))) => {
            let saved = save(&picture, file, &target)?;
            if target.is_stdout() {
                return Ok(String::new());
            }
            Ok(if json { saved.to_string() } else { picture_words(&picture, file) })
        }
        (_, Some(_)) => bail!("the machine sent no picture"),
        (Reply::Status(status), _) if json => Ok(serde_json::to_string(&status)?),
        (Reply::Status(status), _) => Ok(human_status(&status)),
        (_, None) if json => Ok("{}".to_owned()),
        (_, None) => Ok(String::new()),
    }
}

fn request(action: &Action) -> Request {
    match action {
        Action::Status => Request::Status,
        Action::Screenshot { display, .. } => Request::Screenshot { display: display.display },
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

/// A condition as people read it.
pub fn human_status(status: &Status) -> String {
    let mut out = format!("{}: {}", one_line(&status.name), status.state.name());
    let Some(facts) = status.facts.as_ref().filter(|_| status.state != State::Starting) else { return out };
    if !status.detail.is_empty() {
        let _ = write!(out, " ({})", one_line(&status.detail));
    }
    let _ = write!(
        out,
        "\n  {} with {}, {} MiB, {} CPU(s), QEMU {}, up {} s",
        facts.arch,
        one_line(&facts.accelerator),
        facts.memory_mib,
        facts.cpus,
        one_line(&facts.qemu),
        facts.seconds
    );
    if let Some([width, height]) = facts.size {
        let pointer = if facts.absolute_pointer { "absolute" } else { "relative" };
        let _ = write!(out, "\n  screen {width} × {height}, pointer {pointer}");
    }
    if facts.displays.len() > 1 {
        let displays = facts.displays.iter().zip(1..).map(|(size, number)| match size {
            Some([width, height]) => format!("{number}: {width} × {height}"),
            None => format!("{number}: dark"),
        });
        let _ = write!(out, "\n  displays {}", displays.collect::<Vec<_>>().join(", "));
    }
    if !facts.features.is_empty() {
        let _ = write!(out, "\n  {}", crate::vm::features_in_short(&facts.features));
    }
    if let (Some(stream), Some(viewer)) = (&facts.stream, &facts.viewer) {
        let viewers = stream["viewers"].as_array().map_or(0, Vec::len);
        let _ = write!(
            out,
            "\n  {viewers} viewer(s), {} frames encoded\n  viewer: {}",
            stream["frames_encoded"],
            one_line(viewer)
        );
    }
    out
}
