//! Requests that only machines of the library know: they change the bundle too, or speak to the guest's agent.

use super::Request;
use crate::vm::now;
use crate::words::with_hint;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sampan_config::VncPassword;
use sampan_library::NewSnapshot;
use sampan_message::Coded;
use sampan_session::ProgressFn;
use sampan_session::agent::{AgentError, Exec, Exited};
use sampan_session::vm::{Effect, Vm, VmError};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Of each of a program's outputs.
const MAX_OUTPUT: usize = 8 << 20;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The machine did not do it.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The request makes no sense.
    #[error("{0}")]
    Request(String),
}

impl KeptError {
    /// In words for the terminal of whoever has asked.
    pub fn words(&self, machine: &str) -> String {
        match self {
            Self::Vm(error) => with_hint(&error.message(), machine),
            Self::Request(words) => words.clone(),
        }
    }
}

impl From<AgentError> for KeptError {
    fn from(error: AgentError) -> Self {
        VmError::from(error).into()
    }
}

pub async fn answer(request: Request, vm: &Vm) -> Result<Value, KeptError> {
    match request {
        Request::Suspend => vm.suspend(now(), &ProgressFn::none()).await?,
        Request::Snapshot { name, note, disks_only } => {
            let new = NewSnapshot { name, note, time: now(), thumbnail: None };
            let id = vm.snapshot(new, disks_only, &ProgressFn::none()).await?;
            return Ok(json!({ "id": id.as_str() }));
        }
        Request::Grow { drive, size } => vm.grow(&drive, size).await?,
        Request::ForwardAdd { forward } => vm.add_forward(parsed(&forward)?).await?,
        Request::ForwardRemove { forward } => vm.remove_forward(parsed(&forward)?).await?,
        Request::Mode { mode } => return told(vm.set_mode(mode).await?),
        Request::Background { on } => return told(vm.set_background(on).await?),
        Request::VncPassword { password } => {
            let password = VncPassword::new(password).map_err(|e| KeptError::Request(e.to_string()))?;
            vm.set_vnc_password(password).await?;
        }
        Request::Exec { argv, stdin, timeout } => return exec(vm, argv, &stdin, timeout).await,
        Request::Push { from, to } => return push(vm, &from, &to).await,
        Request::Pull { from, to } => return pull(vm, &from, &to).await,
        Request::Agent => {
            let agent = vm.agent()?;
            let (info, system) = (agent.info().await?, agent.os_info().await.ok());
            return Ok(json!({ "version": info.version, "system": system.and_then(|s| s.pretty_name) }));
        }
        _ => return Err(KeptError::Request("this is no request about the library".into())),
    }
    Ok(json!({}))
}

fn told(effect: Effect) -> Result<Value, KeptError> {
    serde_json::to_value(effect).map_err(|e| KeptError::Request(e.to_string()))
}

fn parsed(forward: &str) -> Result<sampan_config::Forward, KeptError> {
    forward.parse().map_err(|e: sampan_config::ForwardError| KeptError::Request(e.to_string()))
}

async fn exec(vm: &Vm, argv: Vec<String>, stdin: &str, timeout: u64) -> Result<Value, KeptError> {
    let mut argv = argv.into_iter();
    let program = argv.next().ok_or_else(|| KeptError::Request("name a program".into()))?;
    let stdin = STANDARD.decode(stdin).map_err(|e| KeptError::Request(format!("stdin is no base64: {e}")))?;
    // A week is for ever here, and within every clock's range.
    let timeout = Duration::from_secs(timeout.min(7 * 86_400));
    let exec = Exec::new(program).args(argv).stdin(stdin).timeout(timeout).max_output(MAX_OUTPUT);
    let done = vm.agent()?.exec(exec).await?;
    let (code, signal) = match done.exited {
        Exited::Code(code) => (Some(code), None),
        Exited::Signal(signal) => (None, Some(signal)),
        Exited::Unknown => (None, None),
    };
    Ok(json!({
        "code": code, "signal": signal, "truncated": done.truncated,
        "stdout": STANDARD.encode(done.stdout), "stderr": STANDARD.encode(done.stderr),
    }))
}

async fn push(vm: &Vm, from: &Path, to: &str) -> Result<Value, KeptError> {
    let mut file = tokio::fs::File::open(from).await.map_err(at(from))?;
    let bytes = vm.agent()?.push(&mut file, to, |_| {}).await?;
    Ok(json!({ "bytes": bytes }))
}

async fn pull(vm: &Vm, from: &str, to: &Path) -> Result<Value, KeptError> {
    let bytes = super::pull::pull(vm.agent()?, from, to, sampan_library::free).await?;
    Ok(json!({ "bytes": bytes }))
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> VmError + '_ {
    |source| VmError::Io { path: path.to_owned(), source }
}
