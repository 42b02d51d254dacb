//! What a machine is made of: its disks and what is in its drives, the ports that lead to it, the folders it shares, its VNC server.

use super::presets::invalid;
use crate::core::id;
use crate::job::{Job, begin_of, number, text};
use crate::promise::{Failure, promise};
use crate::types::{Added, FileRef, confirmed, int, messages, ms};
use napi::bindgen_prelude::{Either8, Env, PromiseRaw};
use napi_derive::napi;
use sampan_config::{DriveKind as Drives, Protocol as Transport, Vnc, VncPassword};
use sampan_control::Request;
use sampan_library::DriveId;
use sampan_manager::edit::{NewShare, NewSize, ShareInfo};
use sampan_manager::{Error, Manager, Unfit};
use sampan_message::Coded;

/// What a drive plays.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DriveKind {
    /// A disk.
    Disk,
    /// A CD drive.
    Cdrom,
    /// A floppy drive.
    Floppy,
}

/// A drive.
#[napi(object, object_from_js = false)]
pub struct Drive {
    /// Its id.
    pub id: String,
    /// What it plays.
    pub kind: DriveKind,
    /// How it is connected.
    pub bus: String,
    /// Bytes that the guest sees.
    pub size: Option<i64>,
    /// Bytes that its newest image takes.
    pub used: Option<i64>,
    /// The image's format.
    pub format: Option<String>,
    /// The medium in it, of a CD or floppy drive.
    pub medium: Option<String>,
}

/// A disk that was taken off and can be put back.
#[napi(object, object_from_js = false)]
pub struct RemovedDisk {
    /// Its id.
    pub id: String,
    /// When.
    pub time: i64,
    /// Bytes that the guest saw.
    pub size: Option<i64>,
}

/// A machine's drives.
#[napi(object, object_from_js = false)]
pub struct DriveList {
    /// Those it has.
    pub drives: Vec<Drive>,
    /// Those that were taken off.
    pub removed: Vec<RemovedDisk>,
    /// Bytes that compacting may give back.
    pub reclaimable: Option<i64>,
}

/// A machine's drives.
#[napi(namespace = "disks", js_name = "list", catch_unwind)]
pub fn disks_list(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, DriveList>> {
    promise(env, move |core| async move {
        let vm = id(&machine)?;
        let document = core.manager.machine(vm).await?.document()?;
        let disks = core.manager.disks(vm).await?;
        let drive = |drive: &sampan_config::DriveSection| {
            let info = disks.drives.iter().find(|info| info.drive.as_str() == drive.id);
            let bus = serde_json::to_value(drive.bus).ok();
            Drive {
                id: drive.id.clone(),
                kind: match drive.kind {
                    Drives::Disk => DriveKind::Disk,
                    Drives::Cdrom => DriveKind::Cdrom,
                    Drives::Floppy => DriveKind::Floppy,
                },
                bus: bus.as_ref().and_then(|bus| bus.as_str()).unwrap_or_default().to_owned(),
                size: info.and_then(|info| info.size).map(int),
                used: info.and_then(|info| info.used).map(int),
                format: info.and_then(|info| info.format).map(str::to_owned),
                medium: drive.media.clone(),
            }
        };
        Ok(DriveList {
            drives: document.drives.drives.iter().map(drive).collect(),
            removed: disks
                .removed
                .iter()
                .map(|removed| RemovedDisk {
                    id: removed.drive.to_string(),
                    time: ms(removed.time),
                    size: removed.size.map(int),
                })
                .collect(),
            reclaimable: disks.reclaimable.map(int),
        })
    })
}

fn bytes(size: i64) -> Result<u64, Error> {
    u64::try_from(size).map_err(|_| Error::unfit("size", &Unfit::NegativeSize))
}

/// Gives a machine a new empty disk; comes to the drive's id.
#[napi(namespace = "disks", js_name = "add", catch_unwind, ts_return_type = "Job<string>")]
pub fn disk_add(machine: String, size: i64, fixed: bool, codes: Vec<String>) -> Job {
    begin_of("add-disk", &machine, |manager, vm, reporter| async move {
        let drive = manager.add_disk(vm, bytes(size)?, fixed, &confirmed(codes), &reporter).await?;
        Ok(text(drive.to_string()))
    })
}

/// Gives a machine a copy of a disk image that a picker has opened.
#[napi(namespace = "disks", catch_unwind, ts_return_type = "Job<Added>")]
pub fn add_image(machine: String, file: FileRef, codes: Vec<String>) -> Job {
    let lent = file.lend();
    begin_of("import-disk", &machine, |manager, vm, reporter| async move {
        let (drive, notes) = manager.import_lent_disk(vm, lent?, &confirmed(codes), &reporter).await?;
        Ok(Some(Either8::H(Added { drive: drive.to_string(), notes: messages(&notes) })))
    })
}

/// Makes a disk larger, of a running machine, too; comes to its size. The guest still has to grow its partitions.
#[napi(namespace = "disks", catch_unwind, ts_return_type = "Job<number>")]
pub fn grow(machine: String, drive: String, size: i64, codes: Vec<String>) -> Job {
    begin_of("grow-disk", &machine, |manager, vm, reporter| async move {
        let (drive, size): (DriveId, _) = (drive.parse()?, NewSize::To(bytes(size)?));
        Ok(number(manager.grow_disk(vm, &drive, size, &confirmed(codes), &reporter).await?))
    })
}

/// Gives back what disks take and hold nothing; comes to how many bytes that was.
#[napi(namespace = "disks", catch_unwind, ts_return_type = "Job<number>")]
pub fn compact(machine: String, drive: Option<String>) -> Job {
    begin_of("compact", &machine, |manager, vm, reporter| async move {
        let drive = drive.map(|drive| drive.parse()).transpose()?;
        let (_, done) = manager.compact_disks(vm, drive, &reporter).await?;
        Ok(number(done.iter().map(|one| one.before.saturating_sub(one.after)).sum()))
    })
}

/// Takes a disk off a machine. It can be put back.
#[napi(namespace = "disks", js_name = "remove", catch_unwind)]
pub fn disk_remove(env: &Env, machine: String, drive: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        Ok(core.manager.remove_disk(id(&machine)?, drive.parse()?, false).await?)
    })
}

/// Puts a disk that was taken off back; its id now.
#[napi(namespace = "disks", js_name = "restore", catch_unwind)]
pub fn disk_restore(env: &Env, machine: String, drive: String) -> napi::Result<PromiseRaw<'_, String>> {
    promise(env, move |core| async move {
        Ok(core.manager.restore_disk(id(&machine)?, drive.parse()?).await?.to_string())
    })
}

/// Puts a medium of the library into a CD or floppy drive, or takes out what is there. With `force` a guest that holds it is not asked.
#[napi(namespace = "disks", catch_unwind)]
pub fn insert(
    env: &Env,
    machine: String,
    drive: String,
    medium: Option<String>,
    force: bool,
) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        let machine = core.manager.machine(id(&machine)?).await?;
        Ok(machine.tell(Request::Insert { drive, medium, force }).await?)
    })
}

/// How a port is led.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Ports of this host that lead to a guest.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct Forward {
    /// How.
    pub protocol: Protocol,
    /// Where on this host: `127.0.0.1`, or `0.0.0.0` for the whole network.
    pub address: String,
    /// The first port on this host.
    pub host_port: u16,
    /// The first port of the guest.
    pub guest_port: u16,
    /// How many.
    pub count: u16,
}

impl Forward {
    /// As requests have it.
    fn words(&self) -> Result<String, Failure> {
        let address = self.address.parse().map_err(|_| invalid("address", &Unfit::NoAddress))?;
        let protocol = match self.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
        };
        let Self { host_port, guest_port, count, .. } = *self;
        Ok(sampan_config::Forward { protocol, address, host_port, guest_port, count }.to_string())
    }
}

/// The ports that lead to a machine.
#[napi(namespace = "forwards", js_name = "list", catch_unwind)]
pub fn forwards_list(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Vec<Forward>>> {
    promise(env, move |core| async move {
        let document = core.manager.machine(id(&machine)?).await?.document()?;
        let all = document.network.cards.iter().flat_map(|card| &card.forwards);
        Ok(all
            .map(|forward| Forward {
                protocol: match forward.protocol {
                    Transport::Tcp => Protocol::Tcp,
                    Transport::Udp => Protocol::Udp,
                },
                address: forward.address.to_string(),
                host_port: forward.host_port,
                guest_port: forward.guest_port,
                count: forward.count,
            })
            .collect())
    })
}

/// Leads ports to a guest, of a running machine at once.
#[napi(namespace = "forwards", js_name = "add", catch_unwind)]
pub fn forward_add(env: &Env, machine: String, forward: Forward) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        let machine = core.manager.machine(id(&machine)?).await?;
        Ok(machine.tell(Request::ForwardAdd { forward: forward.words()? }).await?)
    })
}

/// Takes a forward away.
#[napi(namespace = "forwards", js_name = "remove", catch_unwind)]
pub fn forward_remove(env: &Env, machine: String, forward: Forward) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        let machine = core.manager.machine(id(&machine)?).await?;
        Ok(machine.tell(Request::ForwardRemove { forward: forward.words()? }).await?)
    })
}

/// A folder of this host that a machine shares.
#[napi(object, object_from_js = false)]
pub struct Share {
    /// The name by which the guest mounts it.
    pub tag: String,
    /// The folder; none for a machine that came from another host.
    pub path: Option<String>,
    /// Whether the guest may only read.
    pub read_only: bool,
    /// The command that mounts it in a Linux guest.
    pub mount: String,
}

impl From<&ShareInfo> for Share {
    fn from(info: &ShareInfo) -> Self {
        Self {
            tag: info.share.tag.clone(),
            path: info.folder.as_ref().map(|folder| folder.display().to_string()),
            read_only: info.share.read_only,
            mount: info.mount(),
        }
    }
}

/// The folders that a machine shares.
#[napi(namespace = "shares", js_name = "list", catch_unwind)]
pub fn shares_list(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Vec<Share>>> {
    promise(env, move |core| async move {
        Ok(core.manager.shares(id(&machine)?).await?.iter().map(Share::from).collect())
    })
}

/// Shares a folder from the machine's next start on.
#[napi(namespace = "shares", js_name = "add", catch_unwind)]
pub fn share_add(
    env: &Env,
    machine: String,
    path: String,
    tag: Option<String>,
    read_only: bool,
    codes: Vec<String>,
) -> napi::Result<PromiseRaw<'_, Share>> {
    promise(env, move |core| async move {
        let new = NewShare { folder: path.into(), tag, writable: !read_only, security: None };
        Ok(Share::from(&core.manager.add_share(id(&machine)?, new, &confirmed(codes)).await?))
    })
}

/// Shares a folder no more, from the next start on.
#[napi(namespace = "shares", js_name = "remove", catch_unwind)]
pub fn share_remove(env: &Env, machine: String, tag: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.remove_share(id(&machine)?, tag).await?) })
}

/// Where a machine's VNC server listens.
#[napi(object, object_from_js = false)]
pub struct VncInfo {
    /// The address.
    pub address: String,
    /// The port.
    pub port: u16,
    /// Whether there is a password; without one nobody gets in.
    pub has_password: bool,
}

fn password(text: Option<String>) -> Result<Option<VncPassword>, Failure> {
    let wrong = |error: sampan_config::BadVncPassword| -> Failure {
        Error::Unfit { field: "password", why: error.message() }.into()
    };
    text.map(VncPassword::new).transpose().map_err(wrong)
}

/// A machine's VNC server.
#[napi(namespace = "vnc", js_name = "show", catch_unwind)]
pub fn vnc_show(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Option<VncInfo>>> {
    promise(env, move |core| async move { Ok(vnc_of(&core.manager, &machine).await?) })
}

async fn vnc_of(manager: &Manager, machine: &str) -> Result<Option<VncInfo>, Error> {
    let info = manager.vnc(id(machine)?).await?;
    Ok(info.map(|info| VncInfo {
        address: info.vnc.address.to_string(),
        port: info.vnc.port,
        has_password: info.has_password,
    }))
}

/// Turns the VNC server on from the next start on. Without a password the one from before counts, else one is made up: what this comes
/// to then, the only time that it is told.
#[napi(namespace = "vnc", js_name = "enable", catch_unwind)]
pub fn vnc_enable(
    env: &Env,
    machine: String,
    address: String,
    port: u16,
    password_text: Option<String>,
) -> napi::Result<PromiseRaw<'_, Option<String>>> {
    promise(env, move |core| async move {
        let address = address.parse().map_err(|_| invalid("address", &Unfit::NoAddress))?;
        let vnc = Vnc { address, port };
        Ok(core.manager.enable_vnc(id(&machine)?, vnc, password(password_text)?).await?)
    })
}

/// Changes the password, of a running machine at once. Comes to whether it counts now, else from the next start on; rejects with
/// `vnc_off` where there is no server.
#[napi(namespace = "vnc", js_name = "setPassword", catch_unwind)]
pub fn vnc_set_password(
    env: &Env,
    machine: String,
    password_text: String,
) -> napi::Result<PromiseRaw<'_, bool>> {
    promise(env, move |core| async move {
        let Some(password) = password(Some(password_text))? else { return Ok(false) };
        Ok(core.manager.set_vnc_password(id(&machine)?, &password).await?)
    })
}

/// Turns it off from the next start on; the password is forgotten.
#[napi(namespace = "vnc", js_name = "disable", catch_unwind)]
pub fn vnc_disable(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.disable_vnc(id(&machine)?).await?) })
}
