//! What a guest's agent does.

use super::Answer;
use super::power::running;
use crate::args::size::human;
use crate::args::{CopyAction, ExecArgs};
use crate::control::Request;
use crate::exit::Code;
use crate::target::Target;
use crate::words::{pass_stderr, pass_stdout, say_json, tell};
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// What a program may read.
const MAX_STDIN: u64 = 16 << 20;

/// `sampan exec VM -- PROGRAM…`. What is piped in is what the program reads.
pub fn exec(args: &ExecArgs, as_json: bool) -> Result<Code> {
    let mut client = running(&args.vm.vm)?;
    let mut stdin = Vec::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().take(MAX_STDIN).read_to_end(&mut stdin).context("stdin")?;
    }
    client.wait_at_most(std::time::Duration::from_secs(args.timeout.saturating_add(60).min(8 * 86_400)))?;
    let request =
        Request::Exec { argv: args.command.clone(), stdin: STANDARD.encode(stdin), timeout: args.timeout };
    let answer = client.ask(&request)?;
    let bytes = |name: &str| STANDARD.decode(answer[name].as_str().unwrap_or_default()).unwrap_or_default();
    let (code, signal) = (answer["code"].as_i64(), answer["signal"].as_i64());
    if as_json {
        say_json(&json!({
            "code": code, "signal": signal, "truncated": answer["truncated"],
            "stdout": String::from_utf8_lossy(&bytes("stdout")),
            "stderr": String::from_utf8_lossy(&bytes("stderr")),
        }));
    } else {
        pass_stdout(&bytes("stdout"));
        pass_stderr(&bytes("stderr"));
        if answer["truncated"] == true {
            tell("sampan: some of the output was lost");
        }
    }
    // As a shell has it.
    let status = code.or(signal.map(|signal| 128 + signal)).unwrap_or(1);
    Ok(Code::Guest(u8::try_from(status).unwrap_or(255)))
}

/// `sampan file …`.
pub fn file(action: &CopyAction) -> Result<Answer> {
    // The machine's supervisor reads and writes the file, from where it is.
    let full = |path: &Path| std::path::absolute(path).context("the file's name");
    let ask = |vm: &str, request: Request| {
        let mut client = running(vm)?;
        client.wait_at_most(std::time::Duration::from_secs(86_400))?;
        client.ask(&request)
    };
    let answer = match action {
        CopyAction::Push { vm, from, to } => {
            ask(&vm.vm, Request::Push { from: full(from)?, to: to.clone() })?
        }
        CopyAction::Pull { vm, from, to } => {
            let target = Target::of(to)?;
            let answer =
                target.fill(|to| ask(&vm.vm, Request::Pull { from: from.clone(), to: full(to)? }))?;
            if target.is_stdout() {
                return Ok(Answer::nothing());
            }
            answer
        }
    };
    let text = human(answer["bytes"].as_u64().unwrap_or_default());
    Ok(Answer::new(answer, text))
}
