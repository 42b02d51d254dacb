//! Starting and ending machines.

use crate::core::id;
use crate::job::{Job, begin_of, whether};
use crate::promise::promise;
use crate::types::{Message, Mode, messages};
use napi::bindgen_prelude::{Either8, Env, PromiseRaw};
use napi_derive::napi;
use sampan_control::{Reply, Reporter, Request};
use sampan_manager::Ended;
use sampan_manager::run::StartOptions as Options;
use std::time::Duration;

/// The longest that a guest is waited for: a day.
const MAX_SPAN: f64 = 86_400_000.0;

/// How a machine is started.
#[napi(object)]
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// Whether all that the guest writes in this run is thrown away at its end.
    pub throw_away: Option<bool>,
    /// Whether the saved state of a suspended machine is given up: it starts as after a power failure.
    pub discard_state: Option<bool>,
    /// The codes of what was confirmed.
    pub codes: Option<Vec<String>>,
}

/// A span of time that a page gives in milliseconds.
pub(crate) fn span(ms: f64) -> Duration {
    Duration::from_millis(if ms.is_finite() { ms.clamp(0.0, MAX_SPAN) as u64 } else { 0 })
}

/// Starts a machine, or resumes one that is suspended. What it would do to this host must be confirmed first.
/// Comes to what a person should know of the start, such as that the last run was cut off.
#[napi(namespace = "life", catch_unwind, ts_return_type = "Job<Array<Message>>")]
pub fn start(machine: String, options: Option<StartOptions>) -> Job {
    let StartOptions { throw_away, discard_state, codes } = options.unwrap_or_default();
    begin_of("start", &machine, |manager, vm, _| async move {
        let found = manager.start_findings(vm).await?;
        sampan_manager::confirm(found, &crate::types::confirmed(codes.unwrap_or_default()))?;
        let options = Options {
            throw_away: throw_away.unwrap_or(false),
            discard_state: discard_state.unwrap_or(false),
            in_process: true,
        };
        let told = parking_lot::Mutex::new(Vec::new());
        let tell = |message| {
            log::info!("{vm}: {message}");
            told.lock().push(message);
        };
        manager.start(vm, options, None, &tell).await?;
        Ok(Some(Either8::G(messages(&told.into_inner()))))
    })
}

/// Presses the power button, asks the guest's agent, and waits for so many milliseconds; comes to whether it has shut down.
#[napi(namespace = "life", catch_unwind, ts_return_type = "Job<boolean>")]
pub fn shut_down(machine: String, patience: f64) -> Job {
    begin_of("stop", &machine, |manager, vm, reporter| async move {
        let ended = tokio::select! {
            ended = manager.shut_down(vm, span(patience)) => ended,
            () = reporter.cancelled() => Err(sampan_manager::Error::Cancelled),
        };
        match ended {
            Ok(Ended::WasOff | Ended::Quit | Ended::ShutDown | Ended::Forced | Ended::Killed) => {
                Ok(whether(true))
            }
            Err(sampan_manager::Error::NotShutDown { .. }) => Ok(whether(false)),
            Err(error) => Err(error),
        }
    })
}

/// Ends a machine now. Its disks are flushed, its guest is not asked.
#[napi(namespace = "life", catch_unwind)]
pub fn force_off(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        core.manager.force_off(id(&machine)?).await?;
        Ok(())
    })
}

fn told(env: &Env, machine: String, request: Request) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(
        env,
        move |core| async move { Ok(core.manager.running(id(&machine)?).await?.tell(request).await?) },
    )
}

/// Halts the CPUs.
#[napi(namespace = "life", catch_unwind)]
pub fn pause(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, ()>> {
    told(env, machine, Request::Pause)
}

/// Lets the CPUs run.
#[napi(namespace = "life", js_name = "resume", catch_unwind)]
pub fn resume_machine(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, ()>> {
    told(env, machine, Request::Resume)
}

/// Presses the reset button.
#[napi(namespace = "life", catch_unwind)]
pub fn reset(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, ()>> {
    told(env, machine, Request::Reset)
}

/// Saves the memory and ends the machine; the next start goes on where it was.
#[napi(namespace = "life", catch_unwind, ts_return_type = "Job<void>")]
pub fn suspend(machine: String) -> Job {
    begin_of("suspend", &machine, |manager, vm, reporter| async move {
        manager.suspend(vm, &reporter).await?;
        Ok(None)
    })
}

/// Changes the performance mode, now and for later starts. Comes to what the system did not do of it.
#[napi(namespace = "life", catch_unwind)]
pub fn set_mode(env: &Env, machine: String, mode: Mode) -> napi::Result<PromiseRaw<'_, Vec<Message>>> {
    promise(env, move |core| async move {
        let machine = core.manager.machine(id(&machine)?).await?;
        let request = Request::Mode { mode: mode.into() };
        Ok(match machine.call(request, &Reporter::new()).await? {
            Reply::Effect(effect) => effect.refused.iter().map(Message::from).collect(),
            _ => Vec::new(),
        })
    })
}
