//! What a running machine is told.

use super::Answer;
use crate::app::App;
use crate::args::StopArgs;
use crate::target::Target;
use anyhow::{Context, Result};
use sampan_control::{ClientError, Picture, Reply, Reporter, Request};
use sampan_manager::{Ended, Error};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

/// One request, whose answer tells people nothing more.
pub fn ask(vm: &str, request: &Request) -> Result<Answer> {
    let app = App::open()?;
    let machine = app.running(vm)?;
    app.watch(async |reporter| machine.call(request.clone(), reporter).await)?;
    Ok(Answer::done())
}

/// `sampan suspend VM`: done once another `start` may follow.
pub fn suspend(vm: &str) -> Result<Answer> {
    let app = App::open()?;
    let id = app.id(vm)?;
    app.watch(async |reporter| app.manager.suspend(id, reporter).await)?;
    Ok(Answer::new(json!({ "state": "suspended" }), ""))
}

/// `sampan screenshot VM FILE [--display N]`.
pub fn screenshot(vm: &str, file: &Path, display: Option<NonZeroU32>) -> Result<Answer> {
    let target = Target::of(file)?;
    let app = App::open()?;
    let machine = app.running(vm)?;
    let request = Request::Screenshot { display };
    let Reply::Picture(picture) = app.wait(machine.call(request, &Reporter::new()))? else {
        anyhow::bail!("the machine sent no picture");
    };
    let saved = save(&picture, file, &target)?;
    if target.is_stdout() {
        return Ok(Answer::nothing());
    }
    Ok(Answer::new(saved, picture_words(&picture, file)))
}

/// Writes a picture. What is told of it names the file instead of its bytes.
pub fn save(picture: &Picture, file: &Path, target: &Target) -> Result<Value> {
    target.write(&picture.png).context("the picture")?;
    Ok(json!({ "file": file, "width": picture.width, "height": picture.height }))
}

/// What people are told of it.
pub fn picture_words(picture: &Picture, file: &Path) -> String {
    format!("{}: {} × {}", file.display(), picture.width, picture.height)
}

/// `sampan stop VM`.
pub fn stop(args: &StopArgs) -> Result<Answer> {
    let app = App::open()?;
    let (id, manager) = (app.id(&args.vm.vm)?, &app.manager);
    let patience = Duration::from_secs(args.timeout);
    // With --force alone the guest is not asked; with a time it may shut down until then.
    let asks = !args.force || args.timeout != StopArgs::DEFAULT_TIMEOUT;
    let ended = app.wait(async {
        if asks {
            match manager.shut_down(id, patience).await {
                Err(
                    Error::NotShutDown { .. }
                    | Error::Paused { .. }
                    | Error::Client(ClientError::Silent { .. }),
                ) if args.force => {}
                ended => return ended,
            }
        }
        manager.force_off(id).await
    })?;
    let name = || app.manager.library().read(id).map(|bundle| bundle.name().to_owned());
    let (how, text) = match ended {
        Ended::WasOff => {
            return Ok(Answer::new(json!({ "state": "stopped" }), format!("{} does not run", name()?)));
        }
        Ended::Quit => ("quit", String::new()),
        Ended::ShutDown => ("powerdown", String::new()),
        Ended::Forced => ("force", String::new()),
        Ended::Killed => {
            ("killed", format!("{} was ended with its supervisor, which did not answer", name()?))
        }
    };
    Ok(Answer::new(json!({ "state": "stopped", "how": how }), text))
}
