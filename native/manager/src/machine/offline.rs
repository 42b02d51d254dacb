//! A machine at rest: what concerns its disks and its description is done under its bundle's lock.

use crate::Manager;
use crate::edit::{change, edit};
use crate::error::{Error, Result};
use crate::time::now;
use sampan_config::{Forward, VmConfig, VncPassword};
use sampan_control::{Applied, Reply, Reporter, Request};
use sampan_library::{Bundle, DriveId, Locked, NewSnapshot, SnapshotId};
use sampan_message::Coded;

/// Carries out what can be done without a running machine.
pub(super) async fn call(
    manager: &Manager,
    bundle: &Bundle,
    request: Request,
    reporter: &Reporter,
) -> Result<Reply> {
    let (id, name) = (bundle.id(), bundle.name().to_owned());
    match request {
        Request::Quit => Ok(Reply::Done),
        Request::Grow { drive, size } => {
            let drive: DriveId = drive.parse()?;
            let layer = manager.block_layer(reporter)?;
            manager.with_locked(id, move |locked| Ok(locked.grow_drive(&layer, &drive, size)?)).await?;
            Ok(Reply::Done)
        }
        // There is no memory.
        Request::Snapshot { name, note, disks_only: _ } => {
            let new = NewSnapshot { name, note, time: now(), thumbnail: None };
            let layer = manager.block_layer(reporter)?;
            let id = manager.with_locked(id, move |locked| Ok(locked.take_snapshot(&layer, &new)?)).await?;
            Ok(Reply::Snapshot { id: id.as_str().to_owned() })
        }
        Request::SnapshotEdit { snapshot, name, note } => {
            let snapshot: SnapshotId = snapshot.parse()?;
            manager
                .with_locked(id, move |locked| Ok(locked.describe_snapshot(&snapshot, &name, &note)?))
                .await?;
            Ok(Reply::Done)
        }
        Request::SnapshotDelete { snapshot } => {
            let snapshot: SnapshotId = snapshot.parse()?;
            manager.with_locked(id, move |locked| Ok(locked.delete_snapshot(&snapshot)?)).await?;
            Ok(Reply::Done)
        }
        Request::Rename { name } => {
            let rename = move |locked: &mut Locked| {
                // The library refuses what is taken before anything is written.
                locked.rename(&name)?;
                edit(locked, |document| {
                    name.clone_into(&mut document.system.name);
                    Ok(())
                })
            };
            manager.with_locked(id, rename).await?;
            Ok(Reply::Done)
        }
        Request::Configure { sections } => {
            let named = name.clone();
            let edited =
                VmConfig::from_files(&sections).map_err(|source| Error::VmConfig { name: named, source })?;
            let set = move |locked: &mut Locked| {
                let before = locked.document()?;
                edit(locked, |document| {
                    // The name has a request of its own.
                    let name = std::mem::take(&mut document.system.name);
                    *document = edited;
                    document.system.name = name;
                    Ok(())
                })?;
                let after = locked.document()?;
                let changed = after.iter().filter(|(file, text)| before.get(*file) != Some(text));
                Ok(changed.map(|(file, _)| file.trim_end_matches(".json").to_owned()).collect())
            };
            let next_start = manager.with_locked(id, set).await?;
            Ok(Reply::Applied(Applied { now: Vec::new(), next_start }))
        }
        Request::Insert { drive, medium, force: _ } => {
            let library = manager.library().clone();
            let insert = move |locked: &mut Locked| {
                // As it is written in the library: names that look alike are one.
                let medium = medium.map(|name| library.medium(&name)).transpose()?.map(|medium| medium.name);
                edit(locked, |document| change::insert(document, &drive, medium))
            };
            manager.with_locked(id, insert).await?;
            Ok(Reply::Done)
        }
        Request::ForwardAdd { forward } => {
            let forward: Forward = parsed(&forward)?;
            manager
                .with_locked(id, move |locked| {
                    edit(locked, |document| change::add_forward(document, forward))
                })
                .await?;
            Ok(Reply::Done)
        }
        Request::ForwardRemove { forward } => {
            let forward: Forward = parsed(&forward)?;
            manager
                .with_locked(id, move |locked| {
                    edit(locked, |document| change::remove_forward(document, forward))
                })
                .await?;
            Ok(Reply::Done)
        }
        Request::Mode { mode } => {
            let set = move |locked: &mut Locked| {
                edit(locked, |document| {
                    document.performance.mode = mode;
                    Ok(())
                })
            };
            manager.with_locked(id, set).await?;
            Ok(Reply::Done)
        }
        Request::Sound { volume, muted, microphone } => {
            let set = move |locked: &mut Locked| {
                edit(locked, |document| {
                    let sound = &mut document.sound;
                    sound.volume = volume.unwrap_or(sound.volume);
                    sound.muted = muted.unwrap_or(sound.muted);
                    sound.microphone = microphone.unwrap_or(sound.microphone);
                    Ok(())
                })
            };
            manager.with_locked(id, set).await?;
            Ok(Reply::Done)
        }
        Request::VncPassword { password } => {
            let password = VncPassword::new(password)
                .map_err(|e| Error::Unfit { field: "displays.vnc.password", why: e.message() })?;
            let keep = move |locked: &mut Locked| {
                let mut host = locked.host()?;
                host.vnc_password = Some(password.as_str().to_owned());
                Ok(locked.set_host(&host)?)
            };
            manager.with_locked(id, keep).await?;
            Ok(Reply::Done)
        }
        _ => Err(Error::NotRunning { name }),
    }
}

fn parsed(forward: &str) -> Result<Forward> {
    forward
        .parse()
        .map_err(|e: sampan_config::ForwardError| Error::Unfit { field: "network.cards", why: e.message() })
}
