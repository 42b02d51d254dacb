//! Programs in the guest.

use super::{Agent, AgentError, COMMAND_TIMEOUT, types};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The most that can be given to a program as its input, in bytes.
pub const MAX_STDIN: usize = 4 << 20;

/// What the agent itself keeps of each output (`qga/commands.c`, `GUEST_EXEC_MAX_OUTPUT`).
const AGENT_MAX_OUTPUT: usize = 16 << 20;

/// How often is asked whether a program has ended: first and at last.
const POLL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// A program to be run in the guest, as its agent's user: mostly root.
#[derive(Clone, Debug)]
pub struct Exec {
    path: String,
    args: Vec<String>,
    env: Vec<String>,
    stdin: Vec<u8>,
    timeout: Duration,
    max_output: usize,
}

impl Exec {
    /// The program of that path (or name, looked for in the agent's `PATH`), without arguments. It may run for a minute and
    /// each of its outputs may have 1 MiB.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
            max_output: 1 << 20,
        }
    }

    /// Adds an argument. No shell looks at it.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable. With any, the program has no others.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// What the program reads, at most [`MAX_STDIN`] bytes.
    #[must_use]
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = input.into();
        self
    }

    /// How long it may run.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many bytes each of its two outputs may have; the agent itself keeps 16 MiB of each.
    #[must_use]
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes.min(AGENT_MAX_OUTPUT);
        self
    }

    /// The longest line that tells such an output: two times base64, and the words around.
    fn answer_limit(&self) -> usize {
        2 * (self.max_output.div_ceil(3) * 4) + (16 << 10)
    }
}

/// How a program in the guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exited {
    /// By itself, with this code (on Windows that of an exception, where it died of one).
    Code(i64),
    /// By this signal.
    Signal(i64),
    /// The agent does not know.
    Unknown,
}

/// What a program in the guest left. The guest says so; it may say anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub exited: Exited,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Whether the agent lost a part of either: it keeps 16 MiB.
    pub truncated: bool,
}

impl Agent {
    /// Runs a program in the guest and waits for its end.
    ///
    /// # Errors
    /// [`AgentError::StillRunning`] after its time: it goes on, and [`Agent::exec_status`] may ask for it.
    /// [`AgentError::TooLong`] for more output than it may have, which is lost. [`AgentError::Refused`] where there is no such
    /// program, or the agent is told not to run any (`guest-exec` among its blocked commands, as on Fedora and RHEL).
    pub async fn exec(&self, exec: Exec) -> Result<Finished, AgentError> {
        let deadline = Instant::now() + exec.timeout;
        let pid = self.exec_start(&exec).await?;
        let mut pause = POLL.0;
        loop {
            if let Some(finished) = self.exec_poll(pid, exec.answer_limit(), exec.max_output).await? {
                return Ok(finished);
            }
            if Instant::now() + pause > deadline {
                return Err(AgentError::StillRunning { path: exec.path, pid, timeout: exec.timeout });
            }
            sleep(pause).await;
            pause = (pause * 2).min(POLL.1);
        }
    }

    /// Starts a program in the guest; its number there.
    ///
    /// # Errors
    /// As of [`Agent::exec`].
    pub async fn exec_start(&self, exec: &Exec) -> Result<i64, AgentError> {
        if exec.stdin.len() > MAX_STDIN {
            return Err(AgentError::TooMuchInput { given: exec.stdin.len(), limit: MAX_STDIN });
        }
        let command = types::guest_exec {
            path: exec.path.clone(),
            arg: Some(exec.args.clone()),
            env: (!exec.env.is_empty()).then(|| exec.env.clone()),
            input_data: (!exec.stdin.is_empty()).then(|| exec.stdin.clone()),
            capture_output: Some(types::GuestExecCaptureOutput::flag(true)),
        };
        Ok(self.execute(command).await?.pid)
    }

    /// Whether the program of that number has ended, and how; `None` while it runs. Its end and its output can be asked for once.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn exec_status(&self, pid: i64) -> Result<Option<Finished>, AgentError> {
        let most = Exec::new("").max_output(AGENT_MAX_OUTPUT);
        self.exec_poll(pid, most.answer_limit(), most.max_output).await
    }

    async fn exec_poll(&self, pid: i64, line: usize, output: usize) -> Result<Option<Finished>, AgentError> {
        let status = self.execute_limited(types::guest_exec_status { pid }, COMMAND_TIMEOUT, line).await?;
        if !status.exited {
            return Ok(None);
        }
        let exited = match (status.signal, status.exitcode) {
            (Some(signal), _) => Exited::Signal(signal),
            (None, Some(code)) => Exited::Code(code),
            (None, None) => Exited::Unknown,
        };
        let stdout = status.out_data.unwrap_or_default();
        let stderr = status.err_data.unwrap_or_default();
        if stdout.len() > output || stderr.len() > output {
            return Err(AgentError::TooLong { command: "guest-exec-status", limit: output });
        }
        let truncated = status.out_truncated == Some(true) || status.err_truncated == Some(true);
        Ok(Some(Finished { exited, stdout, stderr, truncated }))
    }
}
