//! Work that outlives its page: it is begun when it is asked for, goes on when nobody waits for it, and is joined again by its
//! id.

use crate::core::{core, hub, runtime};
use crate::promise::{Failure, Outcome, free_promise, refused_by_engine, to_js};
use crate::types::{Added, Arrived, Exit, Medium, Message as Told, Progress};
use napi::bindgen_prelude::{Either8, Env, Function, PromiseRaw};
use napi::threadsafe_function::ThreadsafeFunctionCallMode::NonBlocking;
use napi_derive::napi;
use parking_lot::Mutex;
use sampan_control::Reporter;
use sampan_manager::{About, Error, Manager, Sentence};
use sampan_message::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often a page is told at most how far a job is.
const PACE: Duration = Duration::from_millis(100);

/// What jobs come to: nothing, an id or a text, a number, whether, or one of the larger values.
pub(crate) type Answer = Option<Either8<String, f64, bool, Medium, Exit, Arrived, Vec<Told>, Added>>;

/// A number as an answer.
pub(crate) fn number(number: u64) -> Answer {
    Some(Either8::B(number as f64))
}

/// Whether, as an answer.
pub(crate) fn whether(yes: bool) -> Answer {
    Some(Either8::C(yes))
}

/// A machine that has come to be, as an answer.
pub(crate) fn arrived(arrived: &sampan_manager::Arrived) -> Answer {
    Some(Either8::F(Arrived::from(arrived)))
}

/// A text as an answer.
pub(crate) fn text(text: impl Into<String>) -> Answer {
    Some(Either8::A(text.into()))
}

type End = Option<Result<Answer, Message>>;

/// A job that was begun here.
struct Begun {
    id: u64,
    reporter: Reporter,
    end: watch::Receiver<End>,
}

/// The jobs that pages have begun here and that are not over.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<BTreeMap<u64, Arc<Begun>>>);

impl Jobs {
    /// A job by its number.
    pub(crate) fn find(&self, id: &str) -> Result<Job, Failure> {
        let begun = id.parse().ok().and_then(|id| self.0.lock().get(&id).cloned());
        begun
            .map(|begun| Job { begun: Ok(begun) })
            .ok_or_else(|| Failure(Message::saying(&Sentence::NoJob { job: id.to_owned() })))
    }

    /// Forgets one that has failed.
    pub(crate) fn forget(&self, id: u64) {
        self.0.lock().remove(&id);
    }
}

/// Begins work that is listed among the jobs until it is done. A panic in it is an error of it.
pub(crate) fn begin<F>(
    kind: &'static str,
    about: impl Into<About>,
    work: impl FnOnce(Manager, Reporter) -> F,
) -> Job
where
    F: Future<Output = Result<Answer, Error>> + Send + 'static,
{
    let begun = runtime().and_then(|runtime| Ok((runtime, core()?)));
    let (runtime, core) = match begun {
        Ok(begun) => begun,
        Err(error) => return Job { begun: Err(Failure::from(error).0) },
    };
    let _entered = runtime.enter();
    let (tell, end) = watch::channel(None);
    let job = core.manager.spawn_job(kind, about, work);
    let (id, reporter) = (job.id(), job.reporter().clone());
    let begun = Arc::new(Begun { id, reporter, end });
    {
        let listed: Vec<u64> = core.manager.job_list().iter().map(|job| job.id).collect();
        let mut jobs = core.jobs.0.lock();
        // Of those that have failed the core remembers the last ones.
        jobs.retain(|id, job| listed.contains(id) || job.end.borrow().is_none());
        jobs.insert(id, Arc::clone(&begun));
    }
    runtime.spawn(async move {
        let done = job.wait().await.map_err(|error| Failure::from(error).0);
        // One that has failed stays until it is discarded, as in the list.
        let is_over = done.as_ref().err().is_none_or(|error| error.code == "cancelled");
        if is_over {
            core.jobs.forget(id);
        }
        tell.send_replace(Some(done));
        hub().look_again();
    });
    Job { begun: Ok(begun) }
}

/// A job of a machine whose id is read first.
pub(crate) fn begin_of<F>(
    kind: &'static str,
    machine: &str,
    work: impl FnOnce(Manager, sampan_library::VmId, Reporter) -> F,
) -> Job
where
    F: Future<Output = Result<Answer, Error>> + Send + 'static,
{
    match core().and_then(|_| crate::core::id(machine)) {
        Ok(id) => begin(kind, id, |manager, reporter| work(manager, id, reporter)),
        Err(error) => Job { begun: Err(Failure::from(error).0) },
    }
}

/// Work that takes a while. It has begun when a page gets it, and outlives the page.
#[napi]
pub struct Job {
    begun: Result<Arc<Begun>, Message>,
}

#[napi]
impl Job {
    /// Its id, for `jobs.attach`; empty if it could not be begun, which `run` tells.
    #[napi(getter)]
    pub fn id(&self) -> String {
        self.begun.as_ref().map(|begun| begun.id.to_string()).unwrap_or_default()
    }

    /// Asks it to stop. `run` rejects with the code `cancelled` once it has.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        if let Ok(begun) = &self.begun {
            begun.reporter.cancel();
        }
    }

    /// Waits for its end, and tells how far it is, at most ten times a second and the newest alone. Any number may wait.
    #[napi(
        catch_unwind,
        ts_args_type = "onProgress?: (progress: Progress) => void",
        ts_return_type = "Promise<T>"
    )]
    pub fn run<'env>(
        &self,
        env: &'env Env,
        on_progress: Option<Function<'_, Progress, ()>>,
    ) -> napi::Result<PromiseRaw<'env, Answer>> {
        let begun = match &self.begun {
            Ok(begun) => Arc::clone(begun),
            Err(message) => {
                let message = message.clone();
                return free_promise(env, async move { Err(Failure(message)) });
            }
        };
        let listener = match on_progress {
            Some(listener) => Some(
                listener
                    .build_threadsafe_function::<Progress>()
                    .callee_handled::<false>()
                    .weak::<true>()
                    .max_queue_size::<1>()
                    .build()
                    .map_err(|error| to_js(env, &refused_by_engine("onProgress", &error)))?,
            ),
            None => None,
        };
        // Where the engine is still busy with the last one, this one is given up: a newer one comes.
        let tell = move |progress: Progress| {
            if let Some(listener) = &listener {
                listener.call(progress, NonBlocking);
            }
        };
        free_promise(env, async move { ended(&begun, tell).await })
    }
}

async fn ended(begun: &Begun, tell: impl Fn(Progress)) -> Outcome<Answer> {
    let (mut end, mut progress) = (begun.end.clone(), begun.reporter.watch());
    let mut speed = Speed::default();
    progress.mark_changed();
    loop {
        tokio::select! {
            biased;
            over = end.wait_for(Option::is_some) => {
                return match over.ok().and_then(|end| end.clone()) {
                    Some(done) => done.map_err(Failure),
                    None => Err(Error::Thread.into()),
                };
            }
            Ok(()) = progress.changed() => {}
        }
        let now = progress.borrow_and_update().clone();
        if let Some(now) = now {
            tell(speed.measure(&now));
        }
        // Its end is told at once all the same.
        let _ = tokio::time::timeout(PACE, end.wait_for(Option::is_some)).await;
    }
}

/// How fast work goes on, told of a phase of it by the mean since it began.
#[derive(Default)]
struct Speed {
    since: Option<(String, u64, Instant)>,
}

impl Speed {
    fn measure(&mut self, now: &sampan_control::Progress) -> Progress {
        let begun = match &self.since {
            Some((phase, done, at)) if *phase == now.phase && *done <= now.done => (*done, *at),
            _ => {
                let at = Instant::now();
                self.since = Some((now.phase.to_string(), now.done, at));
                (now.done, at)
            }
        };
        let seconds = begun.1.elapsed().as_secs_f64();
        let done = (now.done - begun.0) as f64;
        let per_second = (seconds >= 0.5 && done > 0.0).then(|| done / seconds);
        let left = now.total.saturating_sub(now.done) as f64;
        Progress {
            phase: now.phase.to_string(),
            done: crate::types::int(now.done),
            total: crate::types::int(now.total),
            per_second: per_second.map(|speed| speed as i64),
            left: per_second.filter(|_| now.total > 0).map(|speed| (left / speed * 1000.0) as i64),
        }
    }
}
