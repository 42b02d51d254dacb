//! The machines of the library.

use super::presets::Draft;
use crate::core::{hub, id};
use crate::features::Feature;
use crate::job::{Job, arrived, begin, begin_of, number};
use crate::promise::{Failure, promise};
use crate::types::{Change, FileRef, Finding, Picture, Status, Summary, confirmed, findings, int, ms};
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_manager::{CloneOptions, Error};

/// A machine, all that is known of it.
#[napi(object, object_from_js = false)]
pub struct Machine {
    /// Its condition.
    pub status: Status,
    /// Its description, as JSON: an object with a member for each section.
    pub document: String,
    /// Remarks of its owner.
    pub notes: String,
    /// What its guest exchanges with its owner, and what it lacks for that. What depends on the guest is known while it runs.
    pub features: Vec<Feature>,
}

/// When changes take effect.
#[napi(object, object_from_js = false)]
pub struct Changed {
    /// Parts of the description that count now.
    pub now: Vec<String>,
    /// Parts that count from the next start on.
    pub next_start: Vec<String>,
    /// What a person should know of what there is now.
    pub warnings: Vec<Finding>,
}

/// A machine in the trash.
#[napi(object, object_from_js = false)]
pub struct Trashed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was thrown away.
    pub deleted: Option<i64>,
    /// What it takes of the disk, which is free once it is removed for ever.
    pub size: Option<i64>,
}

/// The machines, by name.
#[napi(namespace = "machines", js_name = "list", catch_unwind)]
pub fn machines_list(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Summary>>> {
    promise(
        env,
        |core| async move { Ok(core.manager.recent_list().await?.iter().map(Summary::from).collect()) },
    )
}

/// One machine.
#[napi(namespace = "machines", catch_unwind)]
pub fn show(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Machine>> {
    promise(env, move |core| async move {
        let vm = id(&machine)?;
        let handle = core.manager.machine(vm).await?;
        let document = handle.document()?;
        let said = handle.status().await?;
        let told = said.as_ref().and_then(|said| said.facts.as_ref()).map(|facts| facts.features.clone());
        let features = told.unwrap_or_else(|| sampan_manager::features::features(&document, None));
        let list = core.manager.recent_list().await?;
        let summary = list.iter().find(|one| one.id == machine).cloned();
        let summary = summary.unwrap_or_else(|| sampan_manager::Summary::at_rest(handle.bundle()));
        let sections: serde_json::Map<String, serde_json::Value> = document
            .to_files()
            .into_iter()
            .filter_map(|(file, text)| {
                let section = file.trim_end_matches(".json").to_owned();
                Some((section, serde_json::from_str(&text).ok()?))
            })
            .collect();
        Ok(Machine {
            status: Status::of(&summary, said.as_ref()),
            document: serde_json::Value::Object(sections).to_string(),
            notes: document.system.notes.clone(),
            features: features.iter().map(Feature::from).collect(),
        })
    })
}

/// Makes a machine, and downloads what it begins with if that is not here yet. `codes` are those of the findings that were
/// confirmed.
#[napi(namespace = "machines", catch_unwind, ts_return_type = "Job<Arrived>")]
pub fn create(draft: Draft, codes: Vec<String>) -> Job {
    let lent = draft.file.as_ref().map(FileRef::lend).transpose();
    let name = draft.name.clone();
    begin("create", name.as_str(), |manager, reporter| async move {
        let confirmed = confirmed(codes);
        let told = |Failure(message): Failure| Error::Told(message);
        let made = match lent? {
            Some(lent) => {
                let new = draft.new_machine().map_err(told)?;
                manager.create_of_lent(new, lent, &confirmed, &reporter).await?
            }
            None => {
                let new = draft.with_medium(&manager).await.map_err(told)?;
                let plan = manager.plan(new, None).await?;
                manager.create(plan, &confirmed, &reporter).await?
            }
        };
        Ok(arrived(&made))
    })
}

/// What changes would make of a machine, without making them.
#[napi(namespace = "machines", catch_unwind)]
pub fn check(env: &Env, machine: String, changes: Vec<Change>) -> napi::Result<PromiseRaw<'_, Vec<Finding>>> {
    promise(env, move |core| async move {
        let changes = changes.into_iter().map(Into::into).collect();
        Ok(findings(&core.manager.check_changes(id(&machine)?, changes).await?))
    })
}

/// Changes a machine, all of it or nothing.
#[napi(namespace = "machines", catch_unwind)]
pub fn change(
    env: &Env,
    machine: String,
    changes: Vec<Change>,
    codes: Vec<String>,
) -> napi::Result<PromiseRaw<'_, Changed>> {
    promise(env, move |core| async move {
        let (vm, changes): (_, Vec<_>) = (id(&machine)?, changes.into_iter().map(Into::into).collect());
        let found = core.manager.check_changes(vm, changes.clone()).await?;
        sampan_manager::confirm(found, &confirmed(codes))?;
        let changed = core.manager.change(vm, changes).await?;
        Ok(Changed {
            now: changed.now,
            next_start: changed.next_start,
            warnings: findings(&changed.warnings),
        })
    })
}

/// Puts a machine into the trash.
#[napi(namespace = "machines", catch_unwind)]
pub fn remove(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.delete(id(&machine)?).await?) })
}

/// What is in the trash.
#[napi(namespace = "machines", catch_unwind)]
pub fn trash(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Trashed>>> {
    promise(env, |core| async move {
        let all = core.manager.trash().await?.into_iter();
        Ok(all
            .map(|one| Trashed {
                id: one.id,
                name: one.name,
                deleted: one.deleted.map(ms),
                size: one.usage.map(int),
            })
            .collect())
    })
}

/// Takes a machine out of the trash, under another name where one is given.
#[napi(namespace = "machines", catch_unwind)]
pub fn restore(env: &Env, machine: String, name: Option<String>) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        core.manager.restore(&machine, name.as_deref()).await?;
        Ok(())
    })
}

/// Removes a machine of the trash for ever.
#[napi(namespace = "machines", catch_unwind)]
pub fn purge(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.purge(id(&machine)?).await?) })
}

/// Copies a machine that does not run. A linked copy is built on the original's disks.
#[napi(namespace = "machines", js_name = "clone", catch_unwind, ts_return_type = "Job<Arrived>")]
pub fn clone_machine(machine: String, name: String, linked: bool, snapshot: Option<String>) -> Job {
    begin_of("clone", &machine, |manager, vm, reporter| async move {
        let snapshot = snapshot.map(|text| text.parse()).transpose()?;
        let options = CloneOptions { name, linked, snapshot };
        Ok(arrived(&manager.clone_machine(vm, options, &reporter).await?))
    })
}

/// Makes a linked copy's disks its own; comes to how many images were filled.
#[napi(namespace = "machines", catch_unwind, ts_return_type = "Job<number>")]
pub fn detach(machine: String) -> Job {
    begin_of("detach", &machine, |manager, vm, reporter| async move {
        Ok(number(manager.detach(vm, None, &reporter).await? as u64))
    })
}

/// Writes a machine into a file that a picker has opened for writing; comes to how many bytes it has.
#[napi(namespace = "machines", catch_unwind, ts_return_type = "Job<number>")]
pub fn export_to(machine: String, file: FileRef) -> Job {
    let lent = file.lend();
    begin_of("export", &machine, |manager, vm, reporter| async move {
        Ok(number(manager.export_to_lent(vm, lent?, &reporter).await?))
    })
}

/// Takes over a machine from a file that a picker has opened: one of ours, an OVA appliance. What in it reaches out of the machine
/// is left out, and told.
#[napi(namespace = "machines", catch_unwind, ts_return_type = "Job<Arrived>")]
pub fn import_from(file: FileRef, name: Option<String>) -> Job {
    let lent = file.lend();
    begin("import", file.name.as_str(), |manager, reporter| async move {
        Ok(arrived(&manager.import_lent(lent?, name, &reporter).await?))
    })
}

/// A machine's picture: what a running one shows, else that of its newest snapshot.
#[napi(namespace = "machines", catch_unwind)]
pub fn thumbnail(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Picture>> {
    promise(env, move |core| async move { Ok(core.manager.thumbnail(id(&machine)?).await?.into()) })
}

/// The machines that are in view: while somebody listens to `thumbnail`, new pictures of them are told.
#[napi(namespace = "machines", catch_unwind)]
pub fn watch(machines: Vec<String>) {
    hub().watch(machines.into_iter().collect());
}

/// What a machine takes of this host's disk, in bytes: about what an export needs.
#[napi(namespace = "machines", catch_unwind)]
pub fn size(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, i64>> {
    promise(env, move |core| async move {
        let bundle = core.manager.bundle(id(&machine)?).await?;
        let usage = tokio::task::spawn_blocking(move || bundle.usage()).await;
        Ok(int(usage.map_err(|_| Error::Thread)??))
    })
}
