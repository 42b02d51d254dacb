//! What a guest's agent does.

use super::Answer;
use crate::app::App;
use crate::args::size::human;
use crate::args::{CopyAction, ExecArgs};
use crate::exit::Code;
use crate::target::Target;
use crate::words::{pass_stderr, pass_stdout, say_json, tell};
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan_control::{GivenTo, Reply, Request};
use serde_json::json;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// The most bytes that a program may read.
const MAX_STDIN: u64 = 16 << 20;

/// `sampan exec VM -- PROGRAM…`. What is piped in is what the program reads.
pub fn exec(args: &ExecArgs, as_json: bool) -> Result<Code> {
    let app = App::open()?;
    // Told before anything is read; a connection on which nothing is asked does not last.
    drop(app.running(&args.vm.vm)?);
    let mut stdin = Vec::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().take(MAX_STDIN + 1).read_to_end(&mut stdin).context("stdin")?;
    }
    if stdin.len() as u64 > MAX_STDIN {
        bail!(
            "stdin has more than {MAX_STDIN} bytes: copy it into the guest with `sampan file push` instead"
        );
    }
    let request =
        Request::Exec { argv: args.command.clone(), stdin: STANDARD.encode(stdin), timeout: args.timeout };
    let machine = app.running(&args.vm.vm)?;
    let reporter = sampan_control::Reporter::new();
    let Reply::Execution(done) = app.wait(machine.call(request, &reporter))? else {
        bail!("the machine does not tell how the program ended");
    };
    if as_json {
        say_json(&json!({
            "code": done.code, "signal": done.signal, "truncated": done.truncated,
            "stdout": String::from_utf8_lossy(&done.stdout),
            "stderr": String::from_utf8_lossy(&done.stderr),
        }));
    } else {
        pass_stdout(&done.stdout);
        pass_stderr(&done.stderr);
        if done.truncated {
            tell("sampan: some of the output was lost");
        }
    }
    // As a shell has it.
    let status = done.code.or(done.signal.map(|signal| 128 + signal)).unwrap_or(1);
    Ok(Code::Guest(u8::try_from(status).unwrap_or(255)))
}

/// `sampan file …`.
pub fn file(action: &CopyAction) -> Result<Answer> {
    let app = App::open()?;
    // The machine's supervisor reads and writes the file, from where it is.
    let full = |path: &Path| std::path::absolute(path).context("the file's name");
    let copy = |vm: &str, request: Request| -> Result<(u64, Option<GivenTo>)> {
        let machine = app.running(vm)?;
        match app.watch(async |reporter| machine.call(request, reporter).await)? {
            Reply::Copied { bytes, to } => Ok((bytes, to)),
            _ => bail!("the machine does not tell how much was copied"),
        }
    };
    let bytes = match action {
        CopyAction::Push { vm, from, to } => {
            let request = Request::Push { from: full(from)?, to: to.clone(), name: None };
            let (bytes, given) = copy(&vm.vm, request)?;
            if let Some(given) = given {
                let words = match &given {
                    GivenTo::Downloads => "to the downloads of the guest's desktop".to_owned(),
                    GivenTo::Path(path) => format!("to {path}"),
                    GivenTo::Shared { tag, path: Some(path), .. } => {
                        format!("to {path}, by the shared folder {tag}")
                    }
                    GivenTo::Shared { tag, name, path: None } => {
                        format!("to the shared folder {tag}, as {name}: no agent answers in the guest")
                    }
                };
                let (way, to, shared) = match given {
                    GivenTo::Downloads => ("desktop", None, None),
                    GivenTo::Path(path) => ("agent", Some(path), None),
                    GivenTo::Shared { tag, name, path } => {
                        ("shared", path, Some(json!({ "tag": tag, "name": name })))
                    }
                };
                return Ok(Answer::new(
                    json!({ "bytes": bytes, "way": way, "to": to, "shared": shared }),
                    format!("{} {words}", human(bytes)),
                ));
            }
            bytes
        }
        CopyAction::Pull { vm, from, to } => {
            let target = Target::of(to)?;
            let (bytes, _) =
                target.fill(|to| copy(&vm.vm, Request::Pull { from: from.clone(), to: full(to)? }))?;
            if target.is_stdout() {
                return Ok(Answer::nothing());
            }
            bytes
        }
    };
    Ok(Answer::new(json!({ "bytes": bytes }), human(bytes)))
}
