//! A machine's screen, shown to other devices.

use crate::api::presets::invalid;
use crate::core::id;
use crate::promise::{Outcome, promise};
use crate::types::int;
use napi::bindgen_prelude::{Env, PromiseRaw};
use napi_derive::napi;
use sampan_manager::Unfit;
use sampan_trust::Rights;
use sampan_trust::sharing::{self, Sharing};
use std::net::IpAddr;

/// What a device may do with a machine.
#[napi(string_enum = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Right {
    /// See its screen. Every other right includes it.
    Watch,
    /// Type, point, and change the screen's size.
    Drive,
    /// Copy from and paste into the guest.
    Clipboard,
    /// Exchange files with the guest.
    Files,
}

impl From<sharing::Right> for Right {
    fn from(right: sharing::Right) -> Self {
        match right {
            sharing::Right::Watch => Self::Watch,
            sharing::Right::Drive => Self::Drive,
            sharing::Right::Clipboard => Self::Clipboard,
            sharing::Right::Files => Self::Files,
        }
    }
}

impl From<Right> for sharing::Right {
    fn from(right: Right) -> Self {
        match right {
            Right::Watch => Self::Watch,
            Right::Drive => Self::Drive,
            Right::Clipboard => Self::Clipboard,
            Right::Files => Self::Files,
        }
    }
}

fn rights(rights: Rights) -> Vec<Right> {
    rights.iter().map(Right::from).collect()
}

/// How a machine's screen is shown to other devices.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct StreamInfo {
    /// The address that a device which is paired opens: `https://192.0.2.1:4433`.
    pub url: String,
    /// Whether it is shown again at the machine's later starts.
    pub lasting: bool,
}

impl From<&Sharing> for StreamInfo {
    fn from(sharing: &Sharing) -> Self {
        Self { url: sharing.url.clone(), lasting: sharing.lasting }
    }
}

/// A code that pairs one device, once. Whoever has it may ask to be let in: it is shown to nobody else.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug)]
pub struct PairCode {
    /// To be shown as a QR code: some 170 characters.
    pub url: String,
    /// Eight words, to be typed instead at the address of `StreamInfo.url`.
    pub words: Vec<String>,
    /// Until when it can be used.
    pub until: i64,
}

/// A device that has used a code and waits for the owner's answer.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct PairRequest {
    /// The question's id, for `answer`.
    pub request: String,
    /// What the device calls itself: its own words.
    pub name: String,
    /// The address that it asks from.
    pub address: String,
    /// Four digits that the device shows, too: the owner compares them.
    pub check: String,
    /// Until when it waits.
    pub until: i64,
}

/// How far pairing is with a machine that is shown to other devices.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Pairing {
    /// The machine.
    pub machine: String,
    /// Until when a code can be used; none where there is none, or where it was used.
    pub code_until: Option<i64>,
    /// A device that waits for the owner's answer.
    pub request: Option<PairRequest>,
}

/// A device that sees a machine's screen now.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Viewer {
    /// Its number, for `kick`.
    pub viewer: String,
    /// The device's id.
    pub device: String,
    /// The device's name.
    pub name: String,
    /// The address that it came from.
    pub address: String,
    /// What it may do.
    pub rights: Vec<Right>,
    /// Whether it types and points: one viewer does at a time.
    pub driving: bool,
    /// Whether it asks for control.
    pub asking: bool,
    /// Since when.
    pub since: i64,
}

/// Who sees a machine's screen now.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug, PartialEq)]
pub struct Viewers {
    /// The machine.
    pub machine: String,
    /// Whether it is shown to other devices, and where.
    pub stream: Option<StreamInfo>,
    /// They, the longest-standing first.
    pub viewers: Vec<Viewer>,
}

/// A device that is paired with a machine.
#[napi(object, object_from_js = false)]
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id.
    pub device: String,
    /// What it calls itself.
    pub name: String,
    /// The machine that it may see.
    pub machine: String,
    /// What it may do.
    pub rights: Vec<Right>,
    /// When it was paired.
    pub paired: i64,
    /// When it was last connected.
    pub last_seen: i64,
}

impl Pairing {
    pub(crate) fn of(machine: &str, sharing: Option<&Sharing>) -> Self {
        Self {
            machine: machine.to_owned(),
            code_until: sharing.and_then(|sharing| sharing.code_until).map(int),
            request: sharing.and_then(|sharing| sharing.request.as_ref()).map(|request| PairRequest {
                request: request.request.clone(),
                name: request.name.clone(),
                address: request.address.clone(),
                check: request.check.clone(),
                until: int(request.until),
            }),
        }
    }
}

impl Viewers {
    pub(crate) fn of(machine: &str, sharing: Option<&Sharing>) -> Self {
        let viewers = sharing.map(|sharing| sharing.viewers.as_slice()).unwrap_or_default();
        let viewer = |viewer: &sharing::Viewer| Viewer {
            viewer: viewer.viewer.clone(),
            device: viewer.device.clone(),
            name: viewer.name.clone(),
            address: viewer.address.clone(),
            rights: rights(viewer.rights),
            driving: viewer.driving,
            asking: viewer.asking,
            since: int(viewer.since),
        };
        Self {
            machine: machine.to_owned(),
            stream: sharing.map(StreamInfo::from),
            viewers: viewers.iter().map(viewer).collect(),
        }
    }
}

fn address_of(text: Option<String>) -> Outcome<Option<IpAddr>> {
    text.map(|text| text.parse().map_err(|_| invalid("address", &Unfit::NoAddress))).transpose()
}

/// The addresses by which other devices may reach this one, the likeliest first.
#[napi(namespace = "stream", catch_unwind)]
pub fn addresses(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<String>>> {
    promise(env, move |_| async move {
        Ok(sampan_manager::share::addresses().iter().map(IpAddr::to_string).collect())
    })
}

/// The fingerprint of this host's certificate, as browsers show it: `AB:CD:…`, 32 bytes.
#[napi(namespace = "stream", catch_unwind)]
pub fn fingerprint(env: &Env) -> napi::Result<PromiseRaw<'_, String>> {
    promise(env, move |core| async move { Ok(core.manager.fingerprint().await?) })
}

/// How a running machine is shown to other devices; null where it is not.
#[napi(namespace = "stream", js_name = "show", catch_unwind)]
pub fn stream_show(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, Option<StreamInfo>>> {
    promise(env, move |core| async move {
        Ok(core.manager.sharing(id(&machine)?).await?.as_ref().map(StreamInfo::from))
    })
}

/// Shows a running machine to other devices until it ends; with `lasting` at later starts, too. Without an address it is the one from
/// before, or the likeliest. Nobody gets in who is not paired.
#[napi(namespace = "stream", js_name = "enable", catch_unwind)]
pub fn stream_enable(
    env: &Env,
    machine: String,
    address: Option<String>,
    lasting: Option<bool>,
) -> napi::Result<PromiseRaw<'_, StreamInfo>> {
    promise(env, move |core| async move {
        let address = address_of(address)?;
        let lasting = lasting.unwrap_or(false);
        Ok(StreamInfo::from(&core.manager.share(id(&machine)?, address, None, lasting).await?))
    })
}

/// Shows it no more, now and at later starts; who sees it is sent away.
#[napi(namespace = "stream", js_name = "disable", catch_unwind)]
pub fn stream_disable(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.unshare(id(&machine)?).await?) })
}

/// A code that pairs one device with a machine that is shown; one from before counts no more. The device then waits for `answer`:
/// `pairing` events tell of it.
#[napi(namespace = "stream", catch_unwind)]
pub fn pair(env: &Env, machine: String) -> napi::Result<PromiseRaw<'_, PairCode>> {
    promise(env, move |core| async move {
        let code = core.manager.pair_code(id(&machine)?).await?;
        let words = code.words.split(' ').map(str::to_owned).collect();
        Ok(PairCode { url: code.url, words, until: int(code.until) })
    })
}

/// The owner's answer to a device that waits: what it may do. No rights are a no.
#[napi(namespace = "stream", catch_unwind)]
pub fn answer(
    env: &Env,
    machine: String,
    request: String,
    rights: Vec<Right>,
) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        let rights = rights.into_iter().map(sharing::Right::from).collect();
        Ok(core.manager.answer_device(id(&machine)?, &request, rights).await?)
    })
}

/// The devices that are paired, of all machines.
#[napi(namespace = "stream", catch_unwind)]
pub fn devices(env: &Env) -> napi::Result<PromiseRaw<'_, Vec<Device>>> {
    promise(env, move |core| async move {
        let all = core.manager.devices().await?;
        Ok(all
            .iter()
            .map(|device| Device {
                device: device.id().to_owned(),
                name: device.name.clone(),
                machine: device.machine.clone(),
                rights: rights(device.rights),
                paired: int(device.paired),
                last_seen: int(device.last_seen),
            })
            .collect())
    })
}

/// Takes a device off the list; it is sent away at once, and must be paired anew to come again.
#[napi(namespace = "stream", catch_unwind)]
pub fn revoke(env: &Env, device: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move {
        core.manager.revoke_device(&device).await?;
        Ok(())
    })
}

/// Sends a viewer away; its device may come again.
#[napi(namespace = "stream", catch_unwind)]
pub fn kick(env: &Env, machine: String, viewer: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.kick_viewer(id(&machine)?, &viewer).await?) })
}

/// Hands control of the guest to a viewer that may drive: from then on nobody else's input by a browser is taken.
#[napi(namespace = "stream", catch_unwind)]
pub fn give(env: &Env, machine: String, viewer: String) -> napi::Result<PromiseRaw<'_, ()>> {
    promise(env, move |core| async move { Ok(core.manager.give_control(id(&machine)?, &viewer).await?) })
}
