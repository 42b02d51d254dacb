//! What the agent in a guest does for its owner.

use crate::core::id;
use crate::job::{Job, begin_of, number};
use crate::promise::promise;
use napi::bindgen_prelude::{Either7, Env, PromiseRaw, Uint8Array};
use napi_derive::napi;
use sampan_control::{Reply, Reporter, Request};
use sampan_manager::Error;

/// Who answers in a guest.
#[napi(object, object_from_js = false)]
pub struct Agent {
    /// The agent's version.
    pub version: String,
    /// The guest's system, if it tells.
    pub system: Option<String>,
}

/// How a program in the guest ended.
#[napi(object, object_from_js = false)]
#[derive(Clone)]
pub struct Exit {
    /// Its exit code, if it ended by itself.
    pub code: Option<i64>,
    /// The signal that ended it, or the exception code on Windows.
    pub signal: Option<i64>,
    /// Whether some of its output is missing.
    pub truncated: bool,
    /// What it wrote to stdout, as text.
    pub stdout: String,
    /// What it wrote to stderr, as text.
    pub stderr: String,
}

/// Who answers in a running guest; rejects where nobody does.
#[napi(namespace = "guest", catch_unwind)]
pub fn agent(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Agent>> {
    promise(env, move |core| async move {
        let machine = core.manager.running(id(&machine)?).await?;
        match machine.call(Request::Agent, &Reporter::new()).await? {
            Reply::Agent(info) => Ok(Agent { version: info.version, system: info.system }),
            _ => Err(Error::Thread.into()),
        }
    })
}

/// Runs a program in the guest for at most `span` milliseconds.
#[napi(namespace = "guest", catch_unwind, ts_return_type = "Job<Exit>")]
pub fn exec(machine: String, argv: Vec<String>, span: f64, stdin: Option<Uint8Array>) -> Job {
    use base64::Engine as _;
    let stdin = stdin.map(|bytes| base64::engine::general_purpose::STANDARD.encode(&bytes[..]));
    begin_of("exec", &machine, |manager, vm, reporter| async move {
        let timeout = super::life::span(span).as_secs().max(1);
        let request = Request::Exec { argv, stdin: stdin.unwrap_or_default(), timeout };
        let machine = manager.running(vm).await?;
        let reply = tokio::select! {
            reply = machine.call(request, &reporter) => reply?,
            () = reporter.cancelled() => return Err(Error::Cancelled),
        };
        let Reply::Execution(done) = reply else { return Err(Error::Thread) };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Some(Either7::E(Exit {
            code: done.code,
            signal: done.signal,
            truncated: done.truncated,
            stdout: text(&done.stdout),
            stderr: text(&done.stderr),
        })))
    })
}

/// Copies a file that a picker has opened into the guest; comes to how many bytes it has.
#[napi(namespace = "guest", catch_unwind, ts_return_type = "Job<number>")]
pub fn push(machine: String, from: crate::types::FileRef, to: String) -> Job {
    let lent = from.lend();
    begin_of("push", &machine, |manager, vm, reporter| async move {
        Ok(number(manager.push_lent(vm, lent?, to, &reporter).await?))
    })
}

/// Copies a file of the guest into one that a picker has opened for writing; comes to how many bytes it has.
#[napi(namespace = "guest", catch_unwind, ts_return_type = "Job<number>")]
pub fn pull(machine: String, from: String, to: crate::types::FileRef) -> Job {
    let lent = to.lend();
    begin_of("pull", &machine, |manager, vm, reporter| async move {
        Ok(number(manager.pull_to_lent(vm, from, lent?, &reporter).await?))
    })
}
