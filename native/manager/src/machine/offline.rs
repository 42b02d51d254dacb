//! A machine at rest: what concerns its disks and its description is done under its bundle's lock.

use crate::Manager;
use crate::edit::{change, edit};
use crate::error::{Error, Result};
use crate::time::now;
use sampan_config::{Forward, VncPassword};
use sampan_control::{Reply, Reporter, Request};
use sampan_library::{Bundle, DriveId, Locked, NewSnapshot};

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
            locked(manager, id, move |locked| Ok(locked.grow_drive(&layer, &drive, size)?)).await?;
            Ok(Reply::Done)
        }
        // There is no memory.
        Request::Snapshot { name, note, disks_only: _ } => {
            let new = NewSnapshot { name, note, time: now(), thumbnail: None };
            let layer = manager.block_layer(reporter)?;
            let id = locked(manager, id, move |locked| Ok(locked.take_snapshot(&layer, &new)?)).await?;
            Ok(Reply::Snapshot { id: id.as_str().to_owned() })
        }
        Request::ForwardAdd { forward } => {
            let forward: Forward = parsed(&forward)?;
            locked(manager, id, move |locked| {
                edit(locked, |document| change::add_forward(document, forward))
            })
            .await?;
            Ok(Reply::Done)
        }
        Request::ForwardRemove { forward } => {
            let forward: Forward = parsed(&forward)?;
            locked(manager, id, move |locked| {
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
            locked(manager, id, set).await?;
            Ok(Reply::Done)
        }
        Request::VncPassword { password } => {
            let password = VncPassword::new(password)
                .map_err(|e| Error::Invalid { field: "displays.vnc.password", why: e.to_string() })?;
            let keep = move |locked: &mut Locked| {
                let mut host = locked.host()?;
                host.vnc_password = Some(password.as_str().to_owned());
                Ok(locked.set_host(&host)?)
            };
            locked(manager, id, keep).await?;
            Ok(Reply::Done)
        }
        _ => Err(Error::NotRunning { name }),
    }
}

async fn locked<T: Send + 'static>(
    manager: &Manager,
    id: sampan_library::VmId,
    work: impl FnOnce(&mut Locked) -> Result<T> + Send + 'static,
) -> Result<T> {
    let library = manager.library().clone();
    crate::blocking(move || work(&mut library.lock(id)?)).await
}

fn parsed(forward: &str) -> Result<Forward> {
    forward.parse().map_err(|e: sampan_config::ForwardError| Error::Invalid {
        field: "network.cards",
        why: e.to_string(),
    })
}
