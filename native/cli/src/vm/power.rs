//! What a running machine is told.

use super::Answer;
use super::library;
use super::place::{connect, connect_running};
use crate::args::StopArgs;
use crate::control::{Client, Request};
use crate::target::Target;
use anyhow::{Context, Result, bail};
use sampan_library::{Bundle, Error as LibraryError};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a guest that shuts down is looked at.
const PACE: Duration = Duration::from_millis(50);

fn bundle(vm: &str) -> Result<Bundle> {
    let library = library()?;
    Ok(library.read(library.find(vm)?)?)
}

/// A running machine, by name.
pub fn running(vm: &str) -> Result<Client> {
    connect_running(&bundle(vm)?)
}

/// One request, whose answer tells nothing more to people.
pub fn ask(vm: &str, request: &Request) -> Result<Answer> {
    Ok(Answer::new(running(vm)?.ask(request)?, ""))
}

/// `sampan suspend VM`: done once another `start` may follow.
pub fn suspend(vm: &str) -> Result<Answer> {
    let bundle = bundle(vm)?;
    connect_running(&bundle)?.ask(&Request::Suspend)?;
    gone(&bundle, Duration::from_secs(30))?;
    Ok(Answer::new(json!({ "state": "suspended" }), ""))
}

/// `sampan screenshot VM FILE`.
pub fn screenshot(vm: &str, file: &Path) -> Result<Answer> {
    let target = Target::of(file)?;
    let answer = running(vm)?.ask(&Request::Screenshot)?;
    let saved = crate::ctl::save(&answer, file, &target)?;
    if target.is_stdout() {
        return Ok(Answer::nothing());
    }
    let text = format!("{}: {} × {}", file.display(), saved["width"], saved["height"]);
    Ok(Answer::new(saved, text))
}

/// `sampan stop VM`.
pub fn stop(args: &StopArgs) -> Result<Answer> {
    let bundle = bundle(&args.vm.vm)?;
    let Some(mut client) = connect(&bundle)? else {
        return Ok(Answer::new(json!({ "state": "stopped" }), format!("{} does not run", bundle.name())));
    };
    let stopped = |how: &str| Answer::new(json!({ "state": "stopped", "how": how }), "");
    let status = client.ask(&Request::Status)?;
    if status["state"] != "running" {
        // Nobody there would hear the power button.
        if !args.force && status["state"] == "paused" {
            bail!("{} is paused: resume it first, or end it with --force", bundle.name());
        }
        client.ask(&Request::Quit)?;
        gone(&bundle, Duration::from_secs(30))?;
        return Ok(stopped("quit"));
    }
    let patience = Duration::from_secs(args.timeout);
    // With --force alone it is not asked; with a time it may shut down until then.
    if !args.force || args.timeout != StopArgs::DEFAULT_TIMEOUT {
        client.ask(&Request::Powerdown)?;
        if gone(&bundle, patience).is_ok() {
            return Ok(stopped("powerdown"));
        }
        if !args.force {
            bail!(
                "{} has not shut down within {} s: it may ask something on its screen, or ignore its power button; \
                 try again with a longer --timeout, or --force",
                bundle.name(),
                args.timeout
            );
        }
        client = connect_running(&bundle)?;
    }
    client.ask(&Request::Quit)?;
    gone(&bundle, Duration::from_secs(30))?;
    Ok(stopped("force"))
}

/// Waits until nobody runs the machine any more, and whoever did has let go of it: another command may follow at once.
pub fn gone(bundle: &Bundle, patience: Duration) -> Result<()> {
    let library = library()?;
    let begun = Instant::now();
    let still_there = || -> Result<bool> {
        if connect(bundle).context("its control socket")?.is_some() {
            return Ok(true);
        }
        // Its supervisor removes the socket a moment before it gives the lock back.
        Ok(matches!(library.lock(bundle.id()), Err(LibraryError::InUse { .. })))
    };
    while still_there()? {
        if begun.elapsed() > patience {
            bail!("{} still runs after {} s", bundle.name(), patience.as_secs());
        }
        std::thread::sleep(PACE);
    }
    Ok(())
}
