//! What machines have said, and how their runs ended.

use crate::core::id;
use crate::job::{Job, begin_of, number};
use crate::promise::promise;
use crate::types::{FileRef, int, ms};
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_manager::run::{EndRecord, How};

/// How a run ended.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EndKind {
    /// It was told to, or the guest powered off.
    Ended,
    /// QEMU died.
    Died,
    /// It never ran.
    NotStarted,
    /// Whoever ran it was killed before the end could be noted.
    CutOff,
}

/// How a machine's last run ended.
#[napi(object, object_from_js = false)]
pub struct EndReport {
    /// The machine.
    pub machine: String,
    /// How, in a word.
    pub kind: EndKind,
    /// When it was noted.
    pub time: i64,
    /// How, in English.
    pub words: String,
    /// Whether there is a report, see `logs.report`.
    pub report: bool,
    /// Whether a person has seen it, see `logs.dismissReport`.
    pub dismissed: bool,
}

impl EndReport {
    pub(crate) fn of(machine: &str, record: &EndRecord) -> Self {
        let kind = match record.how {
            How::Ended => EndKind::Ended,
            How::Died => EndKind::Died,
            How::NotStarted => EndKind::NotStarted,
            How::Unknown => EndKind::CutOff,
        };
        let (time, words) = (ms(record.time), record.words.clone());
        let (report, dismissed) = (record.report.is_some(), record.dismissed);
        Self { machine: machine.to_owned(), kind, time, words, report, dismissed }
    }
}

/// A log of a run.
#[napi(object, object_from_js = false)]
pub struct LogInfo {
    /// Its name, for `logs.read`.
    pub run: String,
    /// Its length in bytes.
    pub size: i64,
}

/// How a machine's last run ended; nothing of one that never ran, or runs.
#[napi(namespace = "logs", catch_unwind)]
pub fn last(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Option<EndReport>>> {
    promise(env, move |core| async move {
        let bundle = core.manager.bundle(id(&machine)?).await?;
        let runs = core.manager.machine(bundle.id()).await?.runs();
        let record = EndRecord::last(bundle.path()).filter(|_| !runs);
        Ok(record.map(|record| EndReport::of(&machine, &record)))
    })
}

/// The report of a machine's last crash, as text to pass on: what happened, this host, the last lines of its logs.
#[napi(namespace = "logs", catch_unwind)]
pub fn report(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Option<String>>> {
    promise(env, move |core| async move { Ok(core.manager.crash_report(id(&machine)?).await?) })
}

/// A person has seen how the last run ended: lists and statuses do not tell it any more. The report stays.
#[napi(namespace = "logs", catch_unwind)]
pub fn dismiss_report(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.dismiss_report(id(&machine)?).await?) })
}

/// Writes all logs and reports of a machine into a file that a picker has opened for writing, as one text; how many bytes it has.
#[napi(namespace = "logs", js_name = "exportTo", catch_unwind, ts_return_type = "Job<number>")]
pub fn logs_export_to(machine: String, file: FileRef) -> Job {
    let lent = file.lend();
    begin_of("export-logs", &machine, |manager, vm, reporter| async move {
        Ok(number(manager.export_logs_to_lent(vm, lent?, &reporter).await?))
    })
}

/// The logs of a machine's last runs, the oldest first.
#[napi(namespace = "logs", catch_unwind)]
pub fn runs(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Vec<LogInfo>>> {
    promise(env, move |core| async move {
        let logs = core.manager.run_logs(id(&machine)?).await?.into_iter();
        Ok(logs.map(|log| LogInfo { run: log.name, size: int(log.size) }).collect())
    })
}

/// A piece of a log, of at most `max` bytes from the byte `from` on.
#[napi(namespace = "logs", catch_unwind)]
pub fn read(
    env: &Env,
    machine: String,
    run: String,
    from: i64,
    max: u32,
) -> napi::Result<PromiseRaw<'_, String>> {
    promise(env, move |core| async move {
        let from = u64::try_from(from).unwrap_or(0);
        Ok(core.manager.read_log(id(&machine)?, &run, from, max).await?)
    })
}
