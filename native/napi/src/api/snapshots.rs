//! States that a machine can go back to.

use crate::core::id;
use crate::job::{Job, begin_of, text, whether};
use crate::promise::promise;
use crate::types::{Picture, confirmed, int, ms};
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_control::{Reply, Request};
use sampan_manager::Error;

/// A snapshot.
#[napi(object, object_from_js = false)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// The snapshot that it grew from.
    pub parent: Option<String>,
    /// Its name.
    pub name: String,
    /// A remark.
    pub note: String,
    /// When it was taken.
    pub time: i64,
    /// Whether the machine's memory is in it.
    pub memory: bool,
    /// Whether it has a picture.
    pub picture: bool,
    /// What it takes of the disk: its memory, and what was written to the disks since its parent.
    pub size: i64,
    /// How much of that is free once it is removed; the rest others are built on.
    pub frees: i64,
}

/// A machine's snapshots.
#[napi(object, object_from_js = false)]
pub struct SnapshotTree {
    /// All of them, the oldest first.
    pub nodes: Vec<Snapshot>,
    /// The one that the machine as it is grew from.
    pub now: Option<String>,
}

/// A machine's snapshots.
#[napi(namespace = "snapshots", js_name = "list", catch_unwind)]
pub fn snapshots_list(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, SnapshotTree>> {
    promise(env, move |core| async move {
        let bundle = core.manager.bundle(id(&machine)?).await?;
        let manifest = bundle.manifest().clone();
        let usage = tokio::task::spawn_blocking(move || bundle.snapshot_usage()).await;
        let usage = usage.map_err(|_| Error::Thread)?;
        let mut nodes: Vec<Snapshot> = manifest
            .snapshots
            .iter()
            .map(|(id, snapshot)| Snapshot {
                size: int(usage.get(id).map_or(0, |usage| usage.held)),
                frees: int(usage.get(id).map_or(0, |usage| usage.freed)),
                id: id.to_string(),
                parent: snapshot.parent.as_ref().map(ToString::to_string),
                name: snapshot.name.clone(),
                note: snapshot.note.clone(),
                time: ms(snapshot.time),
                memory: snapshot.memory.is_some(),
                picture: snapshot.thumbnail.is_some(),
            })
            .collect();
        nodes.sort_by_key(|snapshot| snapshot.time);
        Ok(SnapshotTree { nodes, now: manifest.parent.as_ref().map(ToString::to_string) })
    })
}

/// Keeps the machine as it is now, a running one with its memory unless `disksOnly`. Comes to the snapshot's id.
#[napi(namespace = "snapshots", js_name = "create", catch_unwind, ts_return_type = "Job<string>")]
pub fn snapshot_create(machine: String, name: String, note: String, disks_only: bool) -> Job {
    begin_of("snapshot", &machine, |manager, vm, reporter| async move {
        let request = Request::Snapshot { name, note, disks_only };
        match manager.machine(vm).await?.call(request, &reporter).await? {
            Reply::Snapshot { id } => Ok(text(id)),
            _ => Err(Error::Thread),
        }
    })
}

/// Goes back to a snapshot of a machine that does not run; comes to whether it resumes where it was then. What has changed since is
/// kept as a snapshot called `keepAs`, or lost, which must be confirmed.
#[napi(namespace = "snapshots", js_name = "restore", catch_unwind, ts_return_type = "Job<boolean>")]
pub fn snapshot_restore(
    machine: String,
    snapshot: String,
    keep_as: Option<String>,
    codes: Option<Vec<String>>,
) -> Job {
    begin_of("restore", &machine, |manager, vm, reporter| async move {
        let confirmed = confirmed(codes.unwrap_or_default());
        let resumes = manager.restore_snapshot(vm, snapshot.parse()?, keep_as, &confirmed, &reporter).await?;
        Ok(whether(resumes))
    })
}

/// Changes a snapshot's name and note.
#[napi(namespace = "snapshots", js_name = "edit", catch_unwind)]
pub fn snapshot_edit(
    env: &Env,
    machine: String,
    snapshot: String,
    name: String,
    note: String,
) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        let machine = core.manager.machine(id(&machine)?).await?;
        Ok(machine.tell(Request::SnapshotEdit { snapshot, name, note }).await?)
    })
}

/// Forgets a snapshot.
#[napi(namespace = "snapshots", js_name = "remove", catch_unwind)]
pub fn snapshot_remove(env: &Env, machine: String, snapshot: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        let machine = core.manager.machine(id(&machine)?).await?;
        Ok(machine.tell(Request::SnapshotDelete { snapshot }).await?)
    })
}

/// A snapshot's picture.
#[napi(namespace = "snapshots", catch_unwind)]
pub fn picture(env: &Env, machine: String, snapshot: String) -> napi::Result<PromiseRaw<'_, Picture>> {
    promise(env, move |core| async move {
        let picture = core.manager.snapshot_picture(id(&machine)?, snapshot.parse()?).await?;
        Ok(picture.into())
    })
}
