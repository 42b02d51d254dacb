//! What the agent in a guest does for its owner.

use crate::core::id;
use crate::job::{Job, begin_of, number, text};
use crate::promise::promise;
use crate::types::{Agent, Exit};
use napi::bindgen_prelude::{Either8, Env, PromiseRaw, Uint8Array};
use napi_derive::napi;
use sampan_control::{Reply, Reporter, Request};
use sampan_manager::Error;

/// Who answers in a running guest; rejects where nobody does.
#[napi(namespace = "guest", catch_unwind)]
pub fn agent(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Agent>> {
    promise(env, move |core| async move {
        let machine = core.manager.running(id(&machine)?).await?;
        match machine.call(Request::Agent, &Reporter::new()).await? {
            Reply::Agent(info) => Ok(Agent::from(&info)),
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
        Ok(Some(Either8::E(Exit {
            code: done.code,
            signal: done.signal,
            truncated: done.truncated,
            stdout: text(&done.stdout),
            stderr: text(&done.stderr),
        })))
    })
}

/// A program of a Linux guest.
#[napi(object, object_from_js = false)]
pub struct GuestApp {
    /// Its id: the name of its `.desktop` file without the ending.
    pub app: String,
    /// The machine.
    pub machine: String,
    /// Its name.
    pub name: String,
    /// Whether it is pinned.
    pub pinned: bool,
}

fn apps_of(machine: &str, all: Vec<sampan_manager::GuestApp>) -> Vec<GuestApp> {
    let one = |app: sampan_manager::GuestApp| GuestApp {
        app: app.id,
        machine: machine.to_owned(),
        name: app.name,
        pinned: app.pinned,
    };
    all.into_iter().map(one).collect()
}

/// The programs of a running Linux guest, listed by its agent, with names in `language`, such as `zh-CN`.
#[napi(namespace = "guest", catch_unwind)]
pub fn apps(env: &Env, machine: String, language: String) -> napi::Result<PromiseRaw<'_, Vec<GuestApp>>> {
    promise(env, move |core| async move {
        Ok(apps_of(&machine, core.manager.guest_apps(id(&machine)?, &language).await?))
    })
}

/// The programs that are pinned, whether the machine runs or not.
#[napi(namespace = "guest", catch_unwind)]
pub fn pinned(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Vec<GuestApp>>> {
    promise(
        env,
        move |core| async move { Ok(apps_of(&machine, core.manager.pinned_apps(id(&machine)?).await?)) },
    )
}

/// Pins a program under a name; without one, pins it no more. It is kept on this host and goes with no copy of the machine.
#[napi(namespace = "guest", catch_unwind)]
pub fn pin(
    env: &Env,
    machine: String,
    app: String,
    name: Option<String>,
) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(
        env,
        move |core| async move { Ok(core.manager.pin_app(id(&machine)?, &app, name.as_deref()).await?) },
    )
}

/// Starts a program in the desktop session that is on the guest's screen, as the user who is logged in there, by systemd. Rejects with
/// `no_desktop_session` where nobody is logged in, and `no_app_starter` where the guest has nothing that starts programs so.
#[napi(namespace = "guest", catch_unwind, ts_return_type = "Job<void>")]
pub fn launch(machine: String, app: String) -> Job {
    begin_of("launch", &machine, |manager, vm, reporter| async move {
        tokio::select! {
            done = manager.launch_app(vm, &app) => done.map(|()| None),
            () = reporter.cancelled() => Err(Error::Cancelled),
        }
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

/// Gives a file that a picker has opened to whoever uses the guest's desktop, under its own name or one with a number. Comes to where
/// it is: its full name in the guest; an empty text for the downloads of the desktop's user, where their agent has put it; or, where no
/// agent answers in the guest, `9p:TAG/NAME` for a folder that the machine shares and its guest may write.
#[napi(namespace = "guest", catch_unwind, ts_return_type = "Job<string>")]
pub fn give(machine: String, file: crate::types::FileRef) -> Job {
    let (name, lent) = (file.name.clone(), file.lend());
    begin_of("push", &machine, |manager, vm, reporter| async move {
        let (to, _) = manager.give_lent(vm, lent?, name, &reporter).await?;
        Ok(text(to.place()))
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
