//! What takes the space of this host's disk.

use crate::job::{Job, begin, number};
use crate::promise::promise;
use crate::types::int;
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_manager::storage as core_storage;

/// What can be thrown away without a machine losing anything.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Waste {
    /// Machines in the trash, for ever.
    Trash,
    /// Downloads that were begun and are not finished.
    Unfinished,
    /// Media that no machine names.
    UnusedMedia,
}

/// What space is taken by.
#[napi(string_enum = "camelCase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// A machine's disks, with what its snapshots hold of them.
    Disks,
    /// A machine's saved memory.
    Memory,
    /// A machine's logs and reports.
    Logs,
    /// Media that machines name.
    Media,
    /// Waste: machines in the trash.
    Trash,
    /// Waste: unfinished downloads.
    Unfinished,
    /// Waste: media that no machine names.
    UnusedMedia,
    /// Nothing: what is free.
    Free,
}

/// How much something takes.
#[napi(object, object_from_js = false)]
pub struct Usage {
    /// The machine.
    pub machine: Option<String>,
    /// What it is.
    pub part: Part,
    /// Bytes.
    pub bytes: i64,
}

/// What takes space, and how much is free.
#[napi(namespace = "storage", catch_unwind)]
pub fn usage(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Usage>>> {
    promise(env, |core| async move {
        let all = core.manager.storage().await?.into_iter();
        Ok(all
            .map(|usage| Usage {
                machine: usage.machine,
                part: match usage.part {
                    core_storage::Part::Disks => Part::Disks,
                    core_storage::Part::Memory => Part::Memory,
                    core_storage::Part::Logs => Part::Logs,
                    core_storage::Part::Media => Part::Media,
                    core_storage::Part::Free => Part::Free,
                    core_storage::Part::Waste(core_storage::Waste::Trash) => Part::Trash,
                    core_storage::Part::Waste(core_storage::Waste::Unfinished) => Part::Unfinished,
                    core_storage::Part::Waste(core_storage::Waste::Media) => Part::UnusedMedia,
                },
                bytes: int(usage.bytes),
            })
            .collect())
    })
}

/// Throws away what is named, as far as nobody uses it; comes to how many bytes are free by it.
#[napi(namespace = "storage", catch_unwind, ts_return_type = "Job<number>")]
pub fn clean(what: Vec<Waste>) -> Job {
    begin("clean", "", |manager, _| async move {
        let what: Vec<core_storage::Waste> = what
            .into_iter()
            .map(|waste| match waste {
                Waste::Trash => core_storage::Waste::Trash,
                Waste::Unfinished => core_storage::Waste::Unfinished,
                Waste::UnusedMedia => core_storage::Waste::Media,
            })
            .collect();
        Ok(number(manager.clean(&what).await?))
    })
}
