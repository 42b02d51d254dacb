//! Work that goes on, whoever began it.

use crate::job::Job;
use crate::promise::promise;
use crate::types::{JobInfo, confirmed};
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_manager::{Error, Sentence};

/// The jobs that go on, and those that have failed and were not discarded.
#[napi(namespace = "jobs", js_name = "list", catch_unwind)]
pub fn jobs_list(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<JobInfo>>> {
    promise(env, |core| async move { Ok(core.manager.job_list().iter().map(JobInfo::from).collect()) })
}

/// A job that another page has begun.
#[napi(namespace = "jobs", catch_unwind, ts_return_type = "Promise<Job<Answer>>")]
pub fn attach(env: &Env, id: String) -> napi::Result<PromiseRaw<'_, Job>> {
    promise(env, move |core| async move { core.jobs.find(&id) })
}

/// Has a download rest: it keeps what it has, and its job stays. One that cannot rest rejects with `cannot_pause`.
#[napi(namespace = "jobs", js_name = "pause", catch_unwind)]
pub fn job_pause(env: &Env, id: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.pause_job(number(&id)?)?) })
}

/// Lets one that rests go on. Over a network that costs money that must be confirmed.
#[napi(namespace = "jobs", js_name = "resume", catch_unwind)]
pub fn job_resume(env: &Env, id: String, codes: Option<Vec<String>>) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        Ok(core.manager.resume_job(number(&id)?, &confirmed(codes.unwrap_or_default()))?)
    })
}

fn number(id: &str) -> Result<u64, Error> {
    id.parse().map_err(|_| Error::saying(&Sentence::NoJob { job: id.to_owned() }))
}

/// Cancels one that goes on, and forgets one that has failed.
#[napi(namespace = "jobs", catch_unwind)]
pub fn discard(env: &Env, id: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        if let Ok(id) = id.parse() {
            core.manager.discard_job(id);
            if core.manager.job_list().iter().all(|job| job.id != id) {
                core.jobs.forget(id);
            }
        }
        Ok(())
    })
}
